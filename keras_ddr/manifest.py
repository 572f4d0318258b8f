"""Manifests: `SHA256SUMS`, one plain file of checksums in a store or run.

`sha256sum -c SHA256SUMS` reads it, and `ddr verify` compares it with the files. A file
that is replaced while others stay, as in a run, has the sums of its old and new content
for a moment: a process killed between the two leaves nothing that looks damaged.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from keras_ddr import files
from keras_ddr.errors import InputError, reason_of

if TYPE_CHECKING:
    from keras_ddr.typing import Progress, StrPath

    # The sums that a file may have, by its name: two while it is replaced.
    _Sums: TypeAlias = dict[str, list[str]]

NAME = "SHA256SUMS"

_LINE = re.compile(r"([0-9a-f]{64})  ([^\x00-\x1f]+)")
_CHUNK = 1 << 20
_MOST = 1 << 20  # bytes of a manifest


def digest(path: StrPath, report: Callable[[int], object] | None = None) -> str:
    """The sha256 of a file, in hexadecimal; `report` gets numbers of bytes read."""
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(_CHUNK):
            total.update(part)
            if report is not None:
                report(len(part))
    return total.hexdigest()


def write(
    folder: StrPath, names: Iterable[str], known: Mapping[str, str] | None = None
) -> None:
    """Write the manifest of a folder; sums in `known` are not computed again."""
    known = known or {}
    folder = Path(folder)
    _write(folder, {n: [known.get(n) or digest(folder / n)] for n in names})


@contextlib.contextmanager
def replacing(folder: StrPath, name: str) -> Iterator[Path]:
    """As `files.replacing` a file and its line; one process at a time in a folder."""
    folder = Path(folder)
    with files.replacing(folder / name) as temporary:
        yield temporary
        sums = _read(folder)
        new = digest(temporary)
        if name in sums:  # a new file is listed once it is there
            _write(folder, {**sums, name: [new, *sums[name]]})
    _write(folder, {**sums, name: [new]})


def remove(folder: StrPath, names: Iterable[str]) -> None:
    """Take lines out of the manifest, before their files are removed."""
    folder, names = Path(folder), set(names)
    sums = _read(folder)
    if names & sums.keys():
        _write(folder, {n: known for n, known in sums.items() if n not in names})


def verify(
    folder: StrPath,
    needed: Iterable[str] = (),
    remedy: str = "restore it",
    report: Callable[[int], object] | None = None,
) -> list[str]:
    """A line for each damaged or missing file, listed or `needed`; others may write."""
    folder, problems = Path(folder), []
    if not folder.joinpath(NAME).is_file():
        return [f"{folder / NAME}: is missing; {remedy}"]
    try:
        before = _read(folder)
    except InputError as error:
        return [f"{error}; {remedy}"]
    found = {name: _found(folder / name, report) for name in before}
    with contextlib.suppress(InputError):
        after = _read(folder)
        # Files removed meanwhile are not missing.
        before = {n: [*s, *after[n]] for n, s in before.items() if n in after}
    for name in needed:
        if name not in before and (folder / name).is_file():
            problems.append(f"{folder / NAME}: does not list {name}; {remedy}")
        elif name not in before:
            problems.append(f"{folder / name}: is missing; {remedy}")
    for name, known in before.items():
        content = found[name]
        if isinstance(content, FileNotFoundError):
            said = "is missing"
        elif isinstance(content, OSError):
            said = f"cannot be read ({reason_of(content)})"
        elif content not in known:
            said = "differs from what was written (sha256)"
        else:
            continue
        problems.append(f"{folder / name}: {said}; {remedy}")
    return problems


def megabytes(
    progress: Progress | None, paths: Iterable[StrPath]
) -> Callable[[int], None]:
    """Function that turns numbers of bytes read from `paths` into progress."""
    if progress is None:
        return lambda size: None
    sizes = [os.path.getsize(path) for path in paths if os.path.isfile(path)]
    total, done = max(1, sum(sizes) >> 20), 0

    def report(size: int) -> None:
        nonlocal done
        before, done = done >> 20, done + size
        # The caller reports the end, once.
        if before < done >> 20 < total:
            progress(done >> 20, total)

    return report


def _found(path: Path, report: Callable[[int], object] | None) -> str | OSError:
    try:
        return digest(path, report)
    except OSError as error:
        return error


def _read(folder: Path) -> _Sums:
    path = folder / NAME
    sums: _Sums = {}
    if not path.is_file():
        return sums
    try:
        # Not as text, so that no other end of a line passes for the one written.
        with open(path, "rb") as file:
            lines = file.read(_MOST).decode().removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({reason_of(error)})") from error
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        name = Path(match[2]) if match else Path("/")
        # No name of ours leads out of the folder.
        if match is None or ".." in name.parts or name.is_absolute():
            raise InputError(f"{path}: line {number} is no checksum and name of a file")
        sums.setdefault(match[2], []).append(match[1])
    return sums


def _write(folder: Path, sums: _Sums) -> None:
    lines = [f"{value}  {name}\n" for name in sorted(sums) for value in sums[name]]
    with files.replacing(folder / NAME) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8", newline="\n")
