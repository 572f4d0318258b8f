"""Files in folders: found by suffix, numbered, and compared with their copies."""

from __future__ import annotations

import filecmp
import os
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from keras_ddr.errors import InputError
from keras_ddr.files import natural_key
from keras_ddr.media import pictures, stacks, video

if TYPE_CHECKING:
    from keras_ddr.typing import StrPath

# Suffixes of videos, pictures and arrays; no reader reads the last ones.
_MEDIA = (
    video.SUFFIXES
    | pictures.SUFFIXES
    | stacks.SUFFIXES
    | frozenset(".arw .avif .braw .cr2 .cr3 .dng .heic .heif .jxl .nef .r3d".split())
)


def walk_folders(
    root: StrPath, leave_out: Callable[[str], bool] = lambda name: False
) -> Iterator[tuple[str, list[str]]]:
    """Each folder below a root once, linked ones too, with its sorted file names.

    Hidden files and folders are left out; a folder that cannot be read is warned of.
    """

    def problem(error: OSError) -> None:
        said = f"{error.filename}: cannot be read ({error.strerror})"
        if str(error.filename) == str(root):
            raise InputError(f"{said}; allow that, or give another folder")
        warnings.warn(f"{said}; what is in it is left out", stacklevel=3)

    known = set()
    for folder, folders, files in os.walk(root, onerror=problem, followlinks=True):
        about = os.stat(folder)
        if (about.st_dev, about.st_ino) in known:
            folders.clear()
            continue
        known.add((about.st_dev, about.st_ino))
        folders[:] = sorted(
            (name for name in folders if name[0] != "." and not leave_out(name)),
            key=lambda name: (natural_key(name), name),
        )
        yield folder, sorted(name for name in files if name[0] != ".")


def find_files(
    root: StrPath,
    suffixes: Collection[str],
    what: str,
    advice: str,
    folders: Collection[str] = (),
    beside: Collection[str] = (),
) -> list[tuple[str, str]]:
    """Files of some suffixes: (path below the root with "/", path), natural order.

    Warns once of other videos and pictures, which are left out. Folders of the suffixes
    `folders` stand for files. Those of the suffixes `beside` may lie there too.
    """
    found = []
    counts: Counter[str] = Counter()

    def is_one(name: str) -> bool:
        return name.lower().endswith(tuple(folders)) if folders else False

    for folder, files in walk_folders(root, is_one):
        if folders:
            inside = [entry.name for entry in os.scandir(folder) if entry.is_dir()]
            for name in filter(is_one, inside):
                path = os.path.join(folder, name)
                found.append((os.path.relpath(path, root).replace(os.sep, "/"), path))
        for name in files:
            suffix = os.path.splitext(name)[1].lower()
            if suffix in suffixes:
                path = os.path.join(folder, name)
                # The reader names a link that leads nowhere.
                if os.path.isfile(path) or not os.path.exists(path):
                    below = os.path.relpath(path, root).replace(os.sep, "/")
                    found.append((below, path))
            elif suffix in _MEDIA and suffix not in beside:
                counts[suffix] += 1
    others = ", ".join(f"{n} {suffix}" for suffix, n in sorted(counts.items()))
    if not found:
        raise InputError(
            f"{root}: holds no {what} (looked for {', '.join(sorted(suffixes))}"
            + (f"; found {others}" if others else "")
            + f"); {advice}"
        )
    if others:
        warnings.warn(
            f"{root}: left out, since by its name it is no {what}: {others}",
            stacklevel=3,
        )
    return sorted(found, key=lambda entry: (natural_key(entry[0]), entry[0]))


def id_of(stem: str) -> str:
    """The form in which names are compared: macOS takes é apart."""
    return unicodedata.normalize("NFC", stem)


def split_side(key: str) -> tuple[str, str]:
    """Split "<video>_left" or "<video>_right" into the video and the side, or ""."""
    base, _, side = key.rpartition("_")
    return (base, side) if base and side in ("left", "right") else (key, "")


def frame_number(name: str, suffixes: Container[str]) -> int | None:
    """The number in a name such as "12.pts" or "    12.jpg", or None."""
    stem, suffix = os.path.splitext(name)
    stem = stem.strip()
    # No video has frame numbers of more than nine digits.
    number = stem.isascii() and stem.isdecimal() and len(stem.lstrip("0")) <= 9
    if suffix.lower() in suffixes and number:
        return int(stem)
    return None


def files_in(folder: StrPath | None) -> list[str]:
    """Paths of the files in a folder that are not hidden, sorted; of None, none."""
    if folder is None:
        return []
    with os.scandir(folder) as entries:
        return sorted(
            entry.path for entry in entries if entry.name[0] != "." and entry.is_file()
        )


def numbered_files(
    folder: StrPath, suffixes: Container[str]
) -> tuple[dict[int, str], list[str]]:
    """Files of frames by number (from 0; names count from 1), and those without one."""
    paths: dict[int, str] = {}
    strange = []
    for path in sorted(files_in(folder), key=natural_key):
        number = frame_number(os.path.basename(path), suffixes)
        if number == 0 or (number and number - 1 in paths):
            strange.append(path)
        elif number:
            paths[number - 1] = path
    return dict(sorted(paths.items())), strange


def same_content(a: StrPath, b: StrPath) -> bool:
    """Whether two files are copies."""
    return os.path.getsize(a) == os.path.getsize(b) and filecmp.cmp(a, b, False)


def same_files(a: StrPath, b: StrPath) -> bool:
    """Whether two folders hold copies of the same files."""
    first, second = files_in(a), files_in(b)
    names, others = (list(map(os.path.basename, found)) for found in (first, second))
    return names == others and all(map(same_content, first, second))


def only_one(
    paths: list[str], what: str, same: Callable[[str, str], bool]
) -> tuple[str, str]:
    """The first of several paths of one name, and the problem if they are no copies."""
    if all(same(paths[0], other) for other in paths[1:]):
        return paths[0], ""
    return paths[0], f"{', '.join(paths)}: {what} of one name, but different; keep one"


def several(names: Sequence[object], most: int = 3) -> str:
    """Names in one line, the first few of many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def remarks(told: Mapping[str, Sequence[object]]) -> list[str]:
    """Lines on the files, or whatever else, of which a text is true."""
    return [f"{several(names)}: {text}" for text, names in told.items() if names]
