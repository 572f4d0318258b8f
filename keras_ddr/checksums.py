"""Checksums that files carry within themselves, or that one file keeps of others.

A file that holds its own checksum is replaced at once, so that a process which dies
between two files leaves no whole file that looks damaged. The sum is that of the file
with zeros in its own place:

- JSON: the last entry, `"checksum"`.
- zip archives (`.keras`): the comment at the end, which readers of archives pass over.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from keras_ddr.typing import Progress, StrPath

__all__ = [
    "KEY",
    "Findings",
    "add_to_archive",
    "check_archive",
    "check_json",
    "digest",
    "json_text",
    "megabytes",
]

KEY = "checksum"
"""The entry of a JSON file that holds its checksum."""

_NONE = "0" * 64
_JSON_END = f'"{KEY}": "{_NONE}"\n}}\n'
_MARK = b"keras_ddr sha256 "
_CHUNK = 1 << 20
# What a zip archive without a comment ends with: a record of so many bytes.
_END, _END_SIZE = b"PK\5\6", 22


@dataclass
class Findings:
    """What came of comparing files with their checksums.

    Attributes:
        problems: one line for each damaged file.
        notes: one line for each file that could not be compared, and why.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, path: StrPath, whole: bool | None, remedy: str) -> None:
        """Note what was found of a file that holds its own checksum.

        Args:
            path: the file.
            whole: what `check_json` or `check_archive` returned.
            remedy: what to do where it is damaged.
        """
        if whole is None:
            self.notes.append(
                f"{path}: holds no checksum (an older keras_ddr wrote it), so only its "
                "form could be checked"
            )
        elif not whole:
            self.problems.append(
                f"{path}: differs from what was written (sha256); {remedy}"
            )


def megabytes(
    progress: Progress | None, paths: Iterable[StrPath]
) -> Callable[[int], None]:
    """Turn numbers of bytes that were read into progress.

    Args:
        progress: called as progress(done, total) in megabytes, or None.
        paths: the files that will be read.

    Returns:
        Function to call with numbers of bytes.
    """
    if progress is None:
        return lambda size: None
    sizes = [os.path.getsize(path) for path in paths if os.path.isfile(path)]
    total, done = max(1, sum(sizes) >> 20), 0

    def report(size: int) -> None:
        nonlocal done
        before, done = done >> 20, done + size
        # The end is told once, by whoever knows that it is reached.
        if before < done >> 20 < total:
            progress(done >> 20, total)

    return report


def digest(
    path: StrPath,
    start: int = 0,
    size: int | None = None,
    report: Callable[[int], object] | None = None,
) -> str:
    """The sha256 of a file, or of a part of it.

    Args:
        path: File.
        start: Where the part begins, in bytes.
        size: Its length; to the end where `None`.
        report: Called with the number of bytes that were read, now and then.

    Returns:
        64 hexadecimal digits.
    """
    return _summed(path, start, size, b"", report)


def _summed(
    path: StrPath,
    start: int,
    size: int | None,
    more: bytes,
    report: Callable[[int], object] | None,
) -> str:
    total = hashlib.sha256()
    with open(path, "rb") as file:
        file.seek(start)
        left = os.fstat(file.fileno()).st_size - start if size is None else size
        while left > 0 and (part := file.read(min(left, _CHUNK))):
            total.update(part)
            left -= len(part)
            if report is not None:
                report(len(part))
    total.update(more)
    return total.hexdigest()


def json_text(content: Mapping[str, Any]) -> str:
    """JSON that holds its own checksum.

    Args:
        content: Dict without the key "checksum"; NumPy's numbers and arrays become
            Python's, and what JSON does not know becomes text.

    Returns:
        The text of the file, in ASCII.
    """
    content = {**content, KEY: _NONE}
    text = json.dumps(content, indent=2, default=_plain) + "\n"
    found = hashlib.sha256(text.encode("ascii")).hexdigest()
    return text.removesuffix(_JSON_END) + _JSON_END.replace(_NONE, found)


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    return value.tolist() if isinstance(value, np.ndarray) else str(value)


def check_json(path: StrPath) -> bool | None:
    """Compare a JSON file with the checksum in it.

    Args:
        path: File.

    Returns:
        Whether it is the one that was written, or `None` where it holds no checksum.
    """
    with open(path, "rb") as file:
        data = file.read()
    begin, _, end = _JSON_END.encode("ascii").partition(_NONE.encode("ascii"))
    start = len(data) - len(end) - len(_NONE)
    around = data[max(0, start - len(begin)) : max(0, start)] + data[-len(end) :]
    wrong = _differences(around, begin + end)
    if wrong:
        # Damage in the entry, or before or after it; else there never was one.
        near = f'"{KEY}"'.encode("ascii") in data[-200:]
        return False if near or wrong <= len(begin + end) // 2 else None
    known = data[start : start + len(_NONE)]
    zeroed = data[:start] + _NONE.encode("ascii") + end
    return known == hashlib.sha256(zeroed).hexdigest().encode("ascii")


def _differences(found: bytes, wanted: bytes) -> int:
    if len(found) != len(wanted):
        return len(wanted)
    return sum(a != b for a, b in zip(found, wanted, strict=True))


def add_to_archive(path: StrPath) -> None:
    """Write the checksum of a zip archive into its comment.

    Args:
        path: File without a comment.
    """
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = _MARK + _NONE.encode("ascii")
    found = digest(path)
    with open(path, "r+b") as file:
        file.seek(-len(_NONE), os.SEEK_END)
        file.write(found.encode("ascii"))


def check_archive(
    path: StrPath, report: Callable[[int], object] | None = None
) -> bool | None:
    """Compare a zip archive with the checksum in its comment.

    Args:
        path: File.
        report: As for `digest`.

    Returns:
        Whether it is the one that was written; or `None` where it has no comment, and
        only the sums of its members could be compared.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        file.seek(max(0, size - len(_NONE) - len(_MARK)))
        mark, known = file.read(len(_MARK)), file.read()
    if mark == _MARK:
        found = _summed(path, 0, size - len(_NONE), _NONE.encode("ascii"), report)
        return found.encode("ascii") == known
    try:
        with zipfile.ZipFile(path) as archive:
            # A comment that is damaged is no longer ours.
            bare = not archive.comment and _ends_with_record(path, size)
            whole = bare and archive.testzip() is None
    # An archive can be broken in any way.
    except Exception:
        return False
    if report is not None:
        report(size)
    return None if whole else False


def _ends_with_record(path: StrPath, size: int) -> bool:
    """Whether nothing comes after the record that ends an archive."""
    with open(path, "rb") as file:
        file.seek(max(0, size - _END_SIZE))
        return file.read(4) == _END
