"""Files that are either whole or not there, and the order of their names."""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import os
import pathlib
import re
import shutil
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from filelock import FileLock, Timeout

from keras_ddr.errors import InputError, reason_of

if TYPE_CHECKING:
    from keras_ddr.typing import StrPath

# Bytes of a text that is read at once, characters of a line of a table.
_MOST_TEXT = 64 << 20
_MOST_LINE = 1 << 20
_PIECE = 1 << 16

# Error numbers of a full disk, quota or file-size limit.
NO_SPACE = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
# Error numbers of a folder that one may not write to.
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


def check_expanded(path: StrPath) -> None:
    """Refuse a path that begins with "~": shells do not replace it after "="."""
    if pathlib.Path(path).parts[:1] == ("~",):
        raise InputError(
            f"{path}: ~ was not replaced by your home folder; write it out: "
            f"{os.path.expanduser(path)}"
        )


def check_output_path(
    path: StrPath, suffixes: Sequence[str], overwrite: bool = True
) -> pathlib.Path:
    """Refuse a file with another suffix, or that could not be written or replaced."""
    check_expanded(path)
    path = pathlib.Path(path)
    if path.suffix.lower() not in [suffix.lower() for suffix in suffixes]:
        choice = "one of " * (len(suffixes) > 1) + ", ".join(suffixes)
        raise InputError(f"{path} has the suffix {path.suffix!r}; use {choice}")
    # A link stays, and its target is written.
    target = pathlib.Path(os.path.realpath(path)) if path.is_symlink() else path
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file")
    if not overwrite and path.exists():
        raise InputError(
            f"{path} exists; replace it with --overwrite, or choose another name"
        )
    said = ""
    if not target.parent.is_dir():
        said = f"the folder {target.parent} does not exist; make it first"
    elif path.exists() and not os.access(path, os.W_OK):
        said = "it is write-protected; choose another name, or make it writable"
    elif not os.access(target.parent, os.W_OK):
        said = f"the folder {target.parent} is read-only; choose another place"
    if said:
        raise InputError(f"{path} cannot be written: {said}")
    return path


def check_output_folder(path: StrPath, overwrite: bool = False) -> pathlib.Path:
    """Refuse a folder that holds something, or that could not be made."""
    check_expanded(path)
    path = pathlib.Path(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} exists and is a file; give the name of a new folder")
    if path.is_dir() and any(path.iterdir()) and not overwrite:
        raise InputError(
            f"{path} is not empty; replace its files with --overwrite, or choose "
            "another name"
        )
    if not path.parent.is_dir():
        raise InputError(
            f"{path} cannot be made: the folder {path.parent} does not exist; make it "
            "first"
        )
    place = path if path.is_dir() else path.parent
    if not os.access(place, os.W_OK):
        raise InputError(
            f"{path} cannot be written: {place} is read-only; choose another place"
        )
    return path


def cannot_write(path: StrPath, error: BaseException) -> InputError | None:
    """The message for a full disk or read-only folder, or `None` for other errors."""
    if not isinstance(error, OSError):
        return None
    if error.errno in NO_SPACE:
        return InputError(
            f"{path}: no space left on the disk; free some, or choose another place"
        )
    if error.errno in _READ_ONLY:
        return InputError(
            f"{path}: cannot be written ({error.strerror}); choose another place, or "
            "make this one writable"
        )
    return None


@contextlib.contextmanager
def locked(
    path: StrPath, busy: str, *, again: bool = False, keep: bool = True
) -> Iterator[bool]:
    """Hold a lock file, or refuse; it gives whether the system could lock it."""
    lock = FileLock(path, is_singleton=again)
    try:
        lock.acquire(timeout=0)
        # The holder before may have removed the file meanwhile.
        while not keep and not os.path.lexists(path):
            lock.release()
            lock.acquire(timeout=0)
    except Timeout:
        raise InputError(busy) from None
    except (OSError, NotImplementedError):
        pass
    try:
        yield lock.is_locked
    finally:
        if not keep and lock.is_locked:
            # Windows cannot remove an open file.
            with contextlib.suppress(OSError):
                os.unlink(path)
        lock.release()


@contextlib.contextmanager
def replacing(path: StrPath) -> Iterator[pathlib.Path]:
    """Write a file beside its place and move it there: it is the old or the new one."""
    # A link stays, and its target is written.
    path = pathlib.Path(os.path.realpath(path) if os.path.islink(path) else path)
    temporary = path.with_name(f".{path.stem}.tmp-{this_process()}{path.suffix}")
    _remove_leftovers(path)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())  # some disks are found full only now
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # a read-only file system refuses this, too
            temporary.unlink(missing_ok=True)
        refusal = cannot_write(path, error)
        # Errors about another file pass through: its name is the useful one.
        named = getattr(error, "filename", None) or str(temporary)
        full = getattr(error, "errno", None) in NO_SPACE
        if refusal and (full or named == str(temporary)):
            raise refusal from error
        raise


def this_process() -> str:
    """Text by which the names of temporary files tell their writer."""
    # Process numbers mean something on one host only.
    host = "".join(c for c in socket.gethostname() if c.isalnum())[:16] or "host"
    return f"{host}-{os.getpid()}"


def _remove_leftovers(path: pathlib.Path) -> None:
    """Remove temporary files and folders for `path` of processes that were killed."""
    prefix = f".{path.stem}.tmp-"
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(path.parent)):
            owner = entry.name.removeprefix(prefix).partition(".")[0]
            if entry.name.startswith(prefix) and not _may_live(owner):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    os.unlink(entry)


def _may_live(owner: str) -> bool:
    """Whether the process of which `this_process` gave this may still run."""
    host, number, *_ = [*owner.split("-"), ""]
    # Windows has no signal that does nothing.
    if host != this_process().partition("-")[0] or sys.platform == "win32":
        return True
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, ValueError):
        return False
    except (OSError, OverflowError):
        pass  # another user's process
    return True


def write_table(path: StrPath, rows: Iterable[Sequence[object]]) -> None:
    """Write rows, the header first, as CSV in UTF-8 with Unix line ends."""
    with open(
        path, "w", newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:
        table = csv.writer(file, lineterminator="\n")
        # Python writes a lone carriage return bare, and readers take it for a line end.
        quoted = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for row in rows:
            bare = any(isinstance(cell, str) and "\r" in cell for cell in row)
            (quoted if bare else table).writerow(row)


def write_json(path: StrPath, content: object) -> None:
    """Write indented JSON, whole or not at all; NumPy's values become Python's."""
    with replacing(path) as temporary:
        text = json.dumps(content, indent=2, default=_plain)
        temporary.write_text(text + "\n", encoding="utf-8", newline="\n")


def _plain(value: object) -> object:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return str(value)


def read_json(path: StrPath, remedy: str = "restore it") -> Any:
    """Content of a JSON file; damage is an `InputError` with this advice."""
    try:
        return json.loads(read_text(path))
    except InputError:
        raise
    # The parser calls itself for nested parts.
    except (ValueError, OSError, RecursionError) as error:
        said = f"{path}: cannot be read ({reason_of(error)})"
        raise InputError(f"{said}; {remedy}") from error


def read_table(
    path: StrPath, columns: Iterable[str], remedy: str = "restore it"
) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a CSV file, each as its place for messages and its cells by column."""
    try:
        with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
            reader = csv.DictReader(bounded_lines(file, path))
            header = reader.fieldnames or []
            if len(set(header)) < len(header):
                raise InputError(f"{path}: has a column twice; {remedy}")
            for column in columns:
                if column not in header:
                    raise InputError(f"{path}: has no column {column!r}; {remedy}")
            for row in reader:
                place = f"{path}: line {reader.line_num}"
                if None in row or None in row.values():
                    said = "has more or fewer cells than the header"
                    raise InputError(f"{place} {said}; {remedy}")
                yield place, row
    except (OSError, csv.Error) as error:
        said = f"{path}: cannot be read ({reason_of(error)})"
        raise InputError(f"{said}; {remedy}") from error


def read_text(
    path: StrPath,
    most: int = _MOST_TEXT,
    encoding: str = "utf-8",
    errors: str = "strict",
) -> str:
    """Read a text file of at most `most` bytes, as `open` does."""
    with open(path, encoding=encoding, errors=errors) as file:
        # Count what is read: a device has no size. Read in pieces, since Python makes
        # a buffer for all that is asked for.
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


def bounded_lines(file: TextIO, path: StrPath, most: int = _MOST_LINE) -> Iterator[str]:
    """Lines of an open text file; one of more than `most` characters is refused."""
    number = 0
    while line := file.readline(most + 1):
        number += 1
        if len(line) > most:
            raise InputError(
                f"{path}: line {number} is longer than {most} characters; give a "
                "table with a row a line"
            )
        yield line


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key of a file name by which frame 2 comes before frame 10."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"(\d+)", name)
        if part
    ]
