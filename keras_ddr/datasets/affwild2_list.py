"""Lists of the multi-task challenge of Aff-Wild2: a row a picture, with all labels.

image,valence,arousal,expression,AU1,AU2,AU4,…
VIDEO/00001.jpg,0.1,-0.2,4,0,1,0,…
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keras_ddr.datasets.affwild2_files import (
    check_agree,
    class_number,
    is_cropped,
    is_unit,
)
from keras_ddr.datasets.annotations import bad_lines, mark, text_lines
from keras_ddr.datasets.folders import frame_number, id_of, several, walk_folders
from keras_ddr.media.pictures import SUFFIXES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath

_EXPRESSIONS = "Neutral Anger Disgust Fear Happiness Sadness Surprise Other".split()
# Some headers name the units in one word.
_UNITS = [f"AU{n}" for n in (1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26)]


class List(NamedTuple):
    """A list: where it is, its columns by kind, and the videos in it."""

    path: str
    columns: dict[str, list[str]]
    videos: set[str]


def find_lists(root: StrPath) -> list[List]:
    """All lists below a folder."""
    found = []
    for folder, files in walk_folders(root, is_cropped):
        for name in files:
            path = os.path.join(folder, name)
            if name.lower().endswith((".txt", ".csv")) and (columns := _columns(path)):
                videos = {video for _, _, video, _, _ in _rows(path)}
                found.append(List(path, columns, videos - {""}))
    return found


def add_lists(
    lists: list[List], columns: dict[str, list[str]], people: Collection[str]
) -> list[str]:
    """Add the columns of lists to those by kind; remarks on videos without pictures.

    Classes of expressions are those of the other annotations, where there are some.
    """
    told = []
    origin = "the other annotations"
    for path, own, videos in lists:
        for kind, names in own.items():
            known = columns.setdefault(kind, names)
            if kind == "au":
                check_agree(path, kind, names, known, origin)
        origin = path
        if missing := sorted(videos.difference(people)):
            told.append(f"{path}: there are no pictures of {several(missing)}")
    return told


def read_list(
    path: StrPath, video: str, columns: dict[str, list[str]]
) -> tuple[dict[str, NDArray[np.float64]], str]:
    """Rows of a video by kind, NaN where missing, and the problem in words or "".

    Row k is frame k + 1 of the files.
    """
    own = _columns(path)
    names = [name for kind in own for name in _names(kind, own[kind])]
    rows, bad = [], []
    for number, line, of_video, frame, cells in _rows(path):
        if of_video != video:
            continue
        try:
            if frame is None or len(cells) != len(names):
                raise ValueError(line)
            values = map(_value, names, cells, [columns] * len(cells))
            rows.append((frame, dict(zip(names, values, strict=True))))
        except (ValueError, OverflowError):
            bad.append((number, line))
    # A frame that is listed twice has the later row.
    count = max((frame for frame, _ in rows), default=-1) + 1
    tables = {}
    for kind in own:
        wanted = _names(kind, columns[kind])
        tables[kind] = np.full((count, len(wanted)), np.nan)
        for frame, known in rows:
            tables[kind][frame] = [known[name] for name in wanted]
    return tables, bad_lines(path, bad)


def _names(kind: str, columns: list[str]) -> list[str]:
    return ["expression"] if kind == "expression" else columns


def _value(name: str, text: str, columns: dict[str, list[str]]) -> float:
    value = float(text)
    if name in ("valence", "arousal"):
        return mark(value)
    return class_number(value, len(columns[name]) if name == "expression" else 2)


def _columns(path: StrPath) -> dict[str, list[str]]:
    """Columns by kind of a list, or none where a file is no list."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            first, *names = file.readline(4096).strip().replace(" ", "").split(",")
    except OSError:
        return {}
    units = [name.upper() for name in names[3:]]
    units = _UNITS if units == ["AUS"] else units
    known = [name.lower() for name in [first, *names[:3]]]
    if known != ["image", "valence", "arousal", "expression"]:
        return {}
    if not all(map(is_unit, units)) or len(set(units)) < len(units):
        return {}
    kinds = {"va": known[1:3], "expression": list(_EXPRESSIONS), "au": units}
    return {kind: names for kind, names in kinds.items() if names}


def _rows(path: StrPath) -> Iterator[tuple[int, str, str, int | None, list[str]]]:
    """Line number, line, video, frame from 0 (or None) and the other cells."""
    for number, line in enumerate(text_lines(path)[1:], start=2):
        image, *cells = line.strip().split(",")
        folder, _, name = image.strip().replace("\\", "/").rpartition("/")
        place = frame_number(name, SUFFIXES)
        video = id_of(folder.rpartition("/")[2])
        yield number, line, video, place - 1 if place else None, cells
