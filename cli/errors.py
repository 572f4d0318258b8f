"""Errors as one line on the terminal."""

import signal
import sys
from typing import Self

import click


class Failure(click.ClickException):
    """Bad input, or a file that cannot be read or written."""

    exit_code = 1

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """The message for an exception of the package."""
        errors = sys.modules.get("keras_ddr.errors")
        if errors is not None and isinstance(error, errors.InputError):
            return cls(str(error))
        if isinstance(error, OSError) and error.strerror:
            name = f"{error.filename}: " if error.filename else ""
            return cls(f"{name}{error.strerror}")
        # TensorFlow, JAX and PyTorch each have an error of their own.
        text = f"{type(error).__name__} {error}".lower()
        full = ("resourceexhausted", "resource_exhausted", "out of memory")
        if isinstance(error, MemoryError) or any(name in text for name in full):
            return cls(
                "out of memory; use a smaller model, or with ddr fit a smaller "
                "--batch-size"
            )
        return cls(
            f"{type(error).__name__}: {error} "
            "(not expected; ddr --debug COMMAND shows where)"
        )


class Interrupted(click.ClickException):
    """Ctrl-C, or another signal that asks to end."""

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.exit_code = 128 + number  # type: ignore[misc]  # click's is of the class


def one_line(text: object) -> str:
    """The text with every run of white space as one space."""
    return printable(" ".join(str(text).split()))


def printable(text: object) -> str:
    """The text with codes for control characters, which could steer the terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))
