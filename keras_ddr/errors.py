"""The one kind of error that a user can cause."""

__all__ = ["InputError"]


class InputError(ValueError):
    """Bad input: a file, an option or an argument that cannot be used.

    The message is one line. It names the file or the argument, says what was wrong
    with it and what to do. The `ddr` command prints it without a traceback.
    """
