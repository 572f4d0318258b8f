"""Files of Aff-Wild2 that belong together, and the content of its text files."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from keras_ddr.datasets.annotations import bad_lines, mark, text_lines
from keras_ddr.datasets.folders import (
    frame_number,
    id_of,
    only_one,
    remarks,
    same_content,
    split_side,
    walk_folders,
)
from keras_ddr.errors import InputError
from keras_ddr.files import natural_key
from keras_ddr.media.pictures import SUFFIXES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath

# Kind -> name -> path and columns of the annotations of that name.
_Annotations: TypeAlias = dict[str, dict[str, list[tuple[str, list[str]]]]]

MISSING = -1  # class number of a frame without a class
_VALENCE_AROUSAL = ["valence", "arousal"]
_EXPRESSIONS = frozenset(
    "neutral anger disgust fear happiness sadness surprise other contempt".split()
)


def find_people(root: StrPath) -> dict[str, list[str]]:
    """Folders of pictures by name, several where copies are nested."""
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the one with cropped_aligned")
    inside, anywhere = defaultdict(list), defaultdict(list)
    for folder, files in walk_folders(root):
        if any(frame_number(name, SUFFIXES) is not None for name in files):
            key = id_of(os.path.basename(os.path.abspath(folder)))
            anywhere[key].append(folder)
            if any(map(is_cropped, Path(folder).relative_to(root).parts)):
                inside[key].append(folder)
    # The root may be the folder itself, under whatever name.
    people = inside or anywhere
    if not people:
        raise InputError(
            f"{root}: holds no folder cropped_aligned with folders of pictures "
            "(VIDEO/00001.jpg); give the folder that does"
        )
    return {key: people[key] for key in sorted(people, key=natural_key)}


def is_cropped(name: str) -> bool:
    """Whether a folder is one of cropped pictures, by its name."""
    letters = re.sub(r"[^a-z]", "", name.lower())
    return letters.startswith(("croppedalign", "cropalign"))


def find_annotations(
    root: StrPath, people: Mapping[str, list[str]]
) -> tuple[_Annotations, list[str]]:
    """Annotations by kind ("va", "expression", "au") and name, and remarks."""
    found: _Annotations = {}
    broken = []
    known = {*people, *(split_side(key)[0] for key in people)}
    pictures = {os.path.abspath(path) for paths in people.values() for path in paths}
    for folder, files in walk_folders(root, is_cropped):
        if os.path.abspath(folder) in pictures:
            continue
        for name in files:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() != ".txt":
                continue
            path, key = os.path.join(folder, name), id_of(stem)
            try:
                kind, columns = read_header(path)
            except InputError as error:
                if key in known:
                    broken.append(f"{error}; it is left out")
                continue
            found.setdefault(kind, defaultdict(list))[key].append((path, columns))
    return found, broken


def read_header(path: StrPath) -> tuple[str, list[str]]:
    """Kind of an annotation, and its columns or, of expressions, classes."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            line = file.readline(4096).strip()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    names = [name for name in line.replace(",", " ").split() if name]
    lower = [name.lower() for name in names]
    if sorted(lower) == sorted(_VALENCE_AROUSAL):
        return "va", lower
    if len(set(lower)) == len(lower) > 0:
        if all(map(is_unit, lower)):
            return "au", [name.upper() for name in names]
        if len(lower) > 1 and _EXPRESSIONS.issuperset(lower):
            return "expression", names
    if not line and not os.path.getsize(path):
        raise InputError(f"{path}: is empty (0 bytes)")
    raise InputError(
        f"{path}: line 1 holds {line[:40]!r}, which is not the header of valence and "
        "arousal, expressions or AUs"
    )


def is_unit(name: str) -> bool:
    """Whether a column is that of an action unit."""
    return re.fullmatch(r"au\d+", name.lower()) is not None


def match(
    people: Mapping[str, list[str]], found: _Annotations
) -> tuple[dict[str, list[str]], dict[str, dict[str, str]], list[str]]:
    """Give people their annotations: kind -> columns, person -> kind -> path."""
    columns: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    chosen: dict[str, dict[str, str]] = {key: {} for key in people}
    alone = defaultdict(list)
    for key in people:
        alone[split_side(key)[0]].append(key)
    orphans: list[str] = []
    unclear: list[str] = []
    twice: list[str] = []
    for kind, files in found.items():
        for key, candidates in files.items():
            owner = key
            if key not in people:
                others = alone.get(key, [])
                # The mere name is clear where there is one person only.
                if len(others) != 1 or others[0] in files:
                    (unclear if others else orphans).append(candidates[0][0])
                    continue
                owner = others[0]
            path, problem = only_one(
                [path for path, _ in candidates], "annotations", same_content
            )
            if problem:
                twice.append(f"{problem}; their labels are left out")
                continue
            names = candidates[0][1]
            wanted = _VALENCE_AROUSAL if kind == "va" else names
            kind_columns = columns.setdefault(kind, list(wanted))
            first.setdefault(kind, path)
            check_agree(path, kind, names, kind_columns, first[kind])
            chosen[owner][kind] = path
    told = {
        "there are no pictures of this name, so this is left out": orphans,
        "could be of the left or the right person of the video, so this is left out": (
            unclear
        ),
    }
    return columns, chosen, [*twice, *remarks(told)]


def check_agree(
    path: str, kind: str, names: list[str], others: list[str], other_path: str
) -> None:
    """Refuse a header with other columns than another file of its kind."""
    # Classes are numbered by their order; columns have their names.
    if kind == "expression":
        same = [n.lower() for n in names] == [n.lower() for n in others]
    else:
        same = sorted(names) == sorted(others)
    if not same:
        raise InputError(
            f"{path}: its header names {', '.join(names)}, but that of {other_path} "
            f"{', '.join(others)}; give files with the same classes"
        )


def columns_of(kind: str, names: list[str]) -> int:
    """Number of columns of an annotation with this header."""
    return 1 if kind == "expression" else len(names)


def read_annotation(
    path: StrPath, kind: str, names: list[str]
) -> tuple[NDArray[np.float64], str]:
    """Rows of an annotation, float64, in the order of `names`, NaN where missing.

    Row k is frame k + 1 of the files. Also the problem, naming file and line, or "".
    """
    found, header = read_header(path)
    lines = text_lines(path)[1:]
    width = columns_of(kind, names)
    if found != kind or columns_of(kind, header) != width:
        raise InputError(f"{path}: has changed while it was read; run again")
    order = [0] if kind == "expression" else [header.index(name) for name in names]
    top = len(names) if kind == "expression" else 2
    table, bad = np.full((len(lines), width), np.nan), []
    for row, line in enumerate(lines):
        try:
            values = [float(text) for text in line.replace(",", " ").split()]
            if len(values) != width:
                raise ValueError(line)
            value_of = mark if kind == "va" else lambda value: class_number(value, top)
            table[row] = [value_of(values[column]) for column in order]
        except (ValueError, OverflowError):
            bad.append((row + 2, line))
    if not lines:
        return table, f"{path}: holds no row, so its labels are missing"
    return table, bad_lines(path, bad)


def class_number(value: float, top: int) -> float:
    """The number of a class below `top`, or NaN for none."""
    if value == MISSING:
        return np.nan
    if value != int(value) or not 0 <= value < top:
        raise ValueError(value)
    return value
