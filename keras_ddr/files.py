"""Files that are either whole or not there, and the order of their names."""

import contextlib
import errno
import json
import os
import pathlib
import re

from filelock import FileLock, Timeout

from keras_ddr.errors import InputError

__all__ = [
    "NO_SPACE",
    "bounded_lines",
    "check_output_path",
    "locked",
    "natural_key",
    "read_json",
    "read_text",
    "replacing",
    "write_json",
]

# Bytes of a text that is read at once, characters of a line of a table.
_MOST_TEXT = 64 << 20
_MOST_LINE = 1 << 20
_PIECE = 1 << 16

NO_SPACE = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
"""Error numbers of a full disk, quota or file-size limit."""


def check_output_path(path, suffixes):
    """Refuse a file that could not be written, before the work is done.

    Args:
        path: File to write or replace.
        suffixes: What it may end in, in lower case with their dots.

    Returns:
        `pathlib.Path`.

    Raises:
        InputError: Another suffix, the folder is missing, or it is a folder itself.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() not in suffixes:
        choice = "one of " * (len(suffixes) > 1) + ", ".join(suffixes)
        raise InputError(f"{path} has the suffix {path.suffix!r}; use {choice}")
    if not path.parent.is_dir():
        raise InputError(
            f"{path} cannot be written: the folder {path.parent} does not exist; "
            "make it first"
        )
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file")
    return path


@contextlib.contextmanager
def locked(path, busy):
    """Hold a lock file, which ends with the process however that ends.

    Args:
        path: Lock file; it is made where it is not there, and stays.
        busy: What to say where another process holds it.

    Raises:
        InputError: Another process holds it.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(busy) from None
    except (OSError, NotImplementedError):
        pass  # a file system without locks, or a folder that cannot be written
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def replacing(path):
    """Write a file under a temporary name beside it and move it into place.

    Whoever reads `path` finds the old file or the new one, never half of it. Nothing
    is left behind where the body raises.

    Args:
        path: File to write or replace; its folder exists.

    Yields:
        The temporary path, with the same suffix.

    Raises:
        InputError: The disk is full.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.stem}.tmp-{os.getpid()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            raise InputError(
                f"{path}: no space left on the disk; free some, or choose another place"
            ) from error
        raise


def write_json(path, content):
    """Write `content` as indented JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_json(path):
    """Content of a JSON file.

    Raises:
        InputError: It is not JSON, or cannot be read.
    """
    try:
        return json.loads(read_text(path))
    except InputError:
        raise
    # The parser calls itself for what is nested.
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({error}); restore it") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; restore it") from None


def read_text(path, most=_MOST_TEXT, encoding="utf-8", errors="strict"):
    """Read a text file that is not larger than such files are.

    Args:
        path: File.
        most: Bytes that it may have.
        encoding: As for `open`.
        errors: As for `open`.

    Returns:
        The text, with one kind of line end.

    Raises:
        InputError: It is larger.
        OSError: It cannot be read.
        UnicodeDecodeError: It is in another encoding.
    """
    with open(path, encoding=encoding, errors=errors) as file:
        # Not by the size that the system tells: a device has none. Piece by piece,
        # since a buffer is made for all that is asked for.
        parts, size = [], 0
        while part := file.read(_PIECE):
            parts.append(part)
            size += len(part)
            if size > most:
                raise InputError(
                    f"{path}: is larger than {most >> 20} MB, as no file of this kind "
                    "is; give another"
                )
    return "".join(parts)


def bounded_lines(file, path, most=_MOST_LINE):
    """Lines of an open text file, none of which can fill the memory.

    Args:
        file: Text file, open for reading.
        path: Its name, for the message.
        most: Characters that a line may have.

    Yields:
        Lines with their ends.

    Raises:
        InputError: A line is longer.
    """
    number = 0
    while line := file.readline(most + 1):
        number += 1
        if len(line) > most:
            raise InputError(
                f"{path}: line {number} is longer than {most} characters; give a "
                "table with a row a line"
            )
        yield line


def natural_key(name):
    """Sort key by which frame 2 comes before frame 10.

    Args:
        name: File name or path, as text.

    Returns:
        Something to compare with other such keys.
    """
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"(\d+)", name)
        if part
    ]
