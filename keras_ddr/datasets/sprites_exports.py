"""Characters that the LPC character generator exported: whole, by animation, by frame.

The generator (https://github.com/LiberatedPixelCup/
Universal-LPC-Spritesheet-Character-Generator) gives the sheet of a character as one
picture, or an archive with

    standard/<animation>.png                        rows are directions, or
    standard/<animation>/<direction>/<frame>.png    frames from 1
    credits/metadata.json

beside `custom/`, whose cells are larger, and `items/`, which holds single parts.
"""

from __future__ import annotations

import json
import os
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keras_ddr.data.labels import Label
from keras_ddr.data.writer import SequenceRecord
from keras_ddr.datasets.folders import remarks, walk_folders
from keras_ddr.datasets.sprites_layout import (
    ALL_ANIMATIONS,
    ALL_POSES,
    ANIMATIONS,
    CELL,
    DIRECTIONS,
    POSES,
    SHEET_HEIGHT,
    SHEET_WIDTH,
    directions_of,
    pose_name,
)
from keras_ddr.errors import InputError
from keras_ddr.files import natural_key, read_text
from keras_ddr.media.pictures import opened

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath

# Names that some versions give, and copies of other animations.
_ALIASES = {"combat_idle": "combat", "backslash": "1h_backslash"}
_ALIASES["halfslash"] = "1h_halfslash"
_COPIES = ("watering", "1h_slash")
_NO_CHARACTERS = ("custom", "credits", "items")
# Heights of sheets that hold the rows of the generator and nothing else.
_WITH_MORE = (46 * CELL, 54 * CELL)
_MOST_TEXT = 1 << 20

_NUMBERS = {pose[:3]: number for number, pose in enumerate(ALL_POSES)}


class Piece(NamedTuple):
    """A picture of a character: a sheet, an animation, or a frame of one."""

    path: str
    animation: str = ""  # "" for a whole sheet
    direction: str = ""  # "" for all rows
    column: int = -1


def find_exports(root: StrPath) -> dict[str, list[Piece]]:
    """The pictures of each exported character, by its path below the root."""
    found: dict[str, list[Piece]] = defaultdict(list)
    others: dict[str, list[str]] = defaultdict(list)
    for folder, files in walk_folders(root, _NO_CHARACTERS.__contains__):
        below = os.path.relpath(folder, root).replace(os.sep, "/")
        parts = [part for part in below.split("/") if part != "."]
        for file in files:
            if not file.lower().endswith(".png"):
                continue
            piece, owner = _piece(parts, os.path.join(folder, file))
            if piece is None:
                continue
            problem = _unfit(piece)
            if problem:
                others[problem].append("/".join([*parts, file]))
            else:
                found["/".join(owner) or Path(os.path.abspath(root)).name].append(piece)
    if found:
        for line in remarks(others):
            warnings.warn(line, stacklevel=3)
    return dict(sorted(found.items(), key=lambda entry: natural_key(entry[0])))


def _piece(folders: list[str], path: str) -> tuple[Piece | None, list[str]]:
    """The animation or frame that a file shows, and the path of its character."""
    stem = os.path.splitext(os.path.basename(path))[0].lower()
    stem = _ALIASES.get(stem, stem)
    lower = [_ALIASES.get(name.lower(), name.lower()) for name in folders]
    owner, piece = [*folders, os.path.basename(path)[:-4]], Piece(path)
    if lower[-2:-1] and lower[-2] in ALL_ANIMATIONS and lower[-1] in DIRECTIONS:
        if not (stem.isascii() and stem.isdecimal()):
            return None, []
        owner = folders[:-2]
        piece = Piece(path, lower[-2], lower[-1], int(stem[:9]) - 1)
    elif stem in ALL_ANIMATIONS:
        owner, piece = folders, Piece(path, stem)
    elif stem in _COPIES or (set(lower) & {*ALL_ANIMATIONS, *_COPIES}):
        return None, []
    if piece.animation and owner[-1:] == ["standard"]:
        owner = owner[:-1]
    return piece, owner


def _unfit(piece: Piece) -> str:
    """Why a picture cannot be cut into cells, or ""."""
    try:
        with opened(piece.path) as image:
            width, height = image.size
    except InputError:
        return "cannot be read; left out"
    if not piece.animation:
        whole = width >= SHEET_WIDTH and height >= SHEET_HEIGHT
        return "" if whole else "no sheet of 832x1344 or more; left out"
    rows = 1 if piece.direction else len(directions_of(piece.animation))
    fits = height == rows * CELL and not width % CELL
    return "" if fits else f"not in cells of {CELL}x{CELL}; left out"


def labels_of_exports(characters: Mapping[str, list[Piece]]) -> dict[str, Label]:
    """Labels of frames; those of the data set are a part of them, in their order."""
    animations, poses = ANIMATIONS, POSES
    pieces = [piece for found in characters.values() for piece in found]
    if any(_has_more(piece) for piece in pieces):
        animations, poses = ALL_ANIMATIONS, ALL_POSES
    classes = {
        "pose": list(map(pose_name, poses)),
        "animation": list(animations),
        "direction": list(DIRECTIONS),
    }
    return {
        name: Label("frame", "categorical", values) for name, values in classes.items()
    }


def _has_more(piece: Piece) -> bool:
    """Whether a picture may show animations that the sheets of the data set lack."""
    if piece.animation:
        return piece.animation not in ANIMATIONS
    with opened(piece.path) as image:
        return image.width == SHEET_WIDTH and image.height in _WITH_MORE


def exported_sequences(
    characters: Mapping[str, list[Piece]],
    splits: Sequence[str],
    background: Sequence[int],
) -> Iterator[SequenceRecord]:
    """Each character as a sequence, its frames in the order of the sheets."""
    for (name, pieces), split in zip(characters.items(), splits, strict=True):
        cells: dict[int, NDArray[np.uint8]] = {}
        for piece in pieces:
            cells.update(_cells(piece))
        numbers = np.array(sorted(cells), np.int64)
        if not len(numbers):
            warnings.warn(f"{name}: all cells are empty; left out", stacklevel=2)
            continue
        poses = [ALL_POSES[number] for number in numbers]
        colours = np.stack([cells[number] for number in numbers]).astype(np.uint32)
        alpha = colours[..., 3:]
        frames = colours[..., :3] * alpha + np.array(background) * (255 - alpha)
        animations = [ALL_ANIMATIONS.index(pose[0]) for pose in poses]
        directions = [DIRECTIONS.index(pose[1]) for pose in poses]
        yield SequenceRecord(
            name=name,
            frames=((frames + 127) // 255).astype(np.uint8),
            split=split,
            person=name,
            source=name,
            frame_labels={
                "source_frame": numbers,
                "pose": numbers.astype(np.int32),
                "animation": np.array(animations, np.int32),
                "direction": np.array(directions, np.int32),
            },
        )


def _cells(piece: Piece) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Cells (64, 64, 4) of a picture that show something, by number of the pose."""
    with opened(piece.path) as image:
        sheet = np.asarray(image.convert("RGBA"))
    places = {}
    if piece.direction:
        direction = _true_direction(piece)
        places[piece.animation, direction, piece.column] = (0, 0)
    elif piece.animation:
        for row, direction in enumerate(directions_of(piece.animation)):
            for column in range(sheet.shape[1] // CELL):
                places[piece.animation, direction, column] = (row, column)
    else:
        poses = ALL_POSES if _has_more(piece) else POSES
        for animation, direction, frame, row, column in poses:
            places[animation, direction, frame] = (row, column)
    for pose, (row, column) in places.items():
        top, left = CELL * row, CELL * column
        cell = sheet[top : top + CELL, left : left + CELL]
        if pose in _NUMBERS and cell[..., 3].any():
            yield _NUMBERS[pose], cell


def _true_direction(piece: Piece) -> str:
    """The direction of a frame.

    Some versions name the second row "down" and the third "left", other than the sheet
    has them; their metadata lists the names in the order of the rows.
    """
    rows = directions_of(piece.animation)
    if len(rows) == 1:  # under the name of the first direction, whatever it shows
        return rows[0]
    folders = Path(piece.path).parents  # direction, animation, "standard", character
    for above in folders[2:4]:
        try:
            text = read_text(above / "credits" / "metadata.json", _MOST_TEXT)
            names = json.loads(text)["directions"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(names, list) and sorted(map(str, names)) == sorted(DIRECTIONS):
            return DIRECTIONS[names.index(piece.direction)]
    return piece.direction
