"""The "Sprites" of DSVAE and its successors: clips of 8 frames, 9 actions.

1296 characters of 64x64 pixels walk, cast spells and slash, seen from the front, the
left and the right. Li and Mandt (2018) made them, and those who came after train on
1000 characters and test on 296. They are rebuilt here, pixel for pixel, from the sheets
of the Liberated Pixel Cup, which are not part of this package. `sprites` has other
sheets, all poses, and no clips.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.arguments import check_choice, check_whole
from keras_ddr.data.labels import Label
from keras_ddr.data.place import check_target
from keras_ddr.data.splits import split_counts
from keras_ddr.data.writer import write_store
from keras_ddr.datasets.identities import Identity, counted, draw_identities
from keras_ddr.datasets.sprites_layout import CELL
from keras_ddr.datasets.sprites_sheets import (
    LICENCE,
    Overlay,
    cut_cells,
    drawing,
    find_root,
    read_sheet,
    refuse,
)
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.data.writer import SequenceRecord
    from keras_ddr.datasets.sprites_sheets import Cell, Sheets
    from keras_ddr.typing import Progress, StrPath

__all__ = ["ACTIONS", "LAYERS", "prepare"]

# Both are one class.
_SHIRT, _TIE = "formal_male_no_th-sh/shirt.png", "formal_male_no_th-sh/tie.png"
LAYERS = {
    "body": {
        name: f"body/male/{name}.png"
        for name in ("light", "tanned2", "darkelf", "darkelf2", "dark", "dark2")
    },
    "bottom": {
        "white-pants": "legs/pants/male/white_pants_male.png",
        "golden-greaves": "legs/armor/male/golden_greaves_male.png",
        "red-pants": "legs/pants/male/red_pants_male.png",
        "metal-pants": "legs/armor/male/metal_pants_male.png",
        "teal-pants": "legs/pants/male/teal_pants_male.png",
        "formal-pants": "formal_male_no_th-sh/pants.png",
    },
    "top": {
        "maroon-longsleeve": "torso/shirts/longsleeve/male/maroon_longsleeve.png",
        "teal-longsleeve": "torso/shirts/longsleeve/male/teal_longsleeve.png",
        "white-longsleeve": "torso/shirts/longsleeve/male/white_longsleeve.png",
        "plate-chest": "torso/plate/chest_male.png",
        "leather-chest": "torso/leather/chest_male.png",
        "formal-shirt": _SHIRT,
    },
    "hair": {
        "messy2-green2": "hair/male/messy2/green2.png",
        "longknot-blue2": "hair/male/longknot/blue2.png",
        "messy1-light-blonde": "hair/male/messy1/light-blonde.png",
        "bangs-white": "hair/male/bangs/white.png",
        "plain-ruby-red": "hair/male/plain/ruby-red.png",
        "jewfro-purple": "hair/male/jewfro/purple.png",
    },
}
"""Sheets below the root, by label and class, in the order in which they are drawn."""
# All wear them, over everything else.
_BOOTS = "feet/armor/male/golden_boots_male.png"

# Columns of the 8 frames, and rows by direction.
_DIRECTIONS = ("front", "left", "right")
_COLUMNS = {
    "walk": ((8, 1, 2, 3, 4, 5, 6, 7), (10, 9, 11)),
    "spellcard": ((0, 1, 2, 3, 4, 5, 4, 6), (2, 1, 3)),
    "slash": ((0, 1, 2, 3, 4, 5, 4, 0), (14, 13, 15)),
}
ACTIONS = tuple(f"{name}-{direction}" for name in _COLUMNS for direction in _DIRECTIONS)
"""Classes of the label `action`, in the order of the published numbers."""
_CELLS: list[Cell] = [
    (name, row, column)
    for name, (columns, rows) in _COLUMNS.items()
    for row in rows
    for column in columns
]
_LENGTH, _RATE = 8, 8.0  # frames of a clip; frames a second, which nobody published
_CHARACTERS, _TRAIN, _SEED = 6**4, 1000, 423


def prepare(
    store_path: StrPath,
    lpc_root: StrPath,
    *,
    sequences: str = "clips",
    identities: int = 1296,
    val: int = 100,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FrameStore:
    """Make a frame store of the clips of the published Sprites protocol.

    Frames are (64, 64, 3). Sequence labels: `body`, `bottom`, `top`, `hair`, 6 classes
    each. Frame labels: `action` (9 classes, `ACTIONS`), `phase` (0 to 7, the place in
    the clip), and `pose` (63 classes such as "walk-front-8": action and column of the
    sheet, which some frames of a clip have in common); `time` goes by 8 frames a
    second. The person is the character.

    The split is the published one: 1000 of the characters, by a fixed permutation, are
    to train and 296 to test. There is no published val; it is taken from the end of the
    1000.

    Args:
        store_path: Folder to make.
        lpc_root: Clone of Universal-LPC-spritesheet, or a folder that holds one.
        sequences: "clips" makes each clip of 8 frames a sequence, "characters" each
            character with its 9 clips (72 frames), one after another.
        identities: Number of characters, 3 to 1296; fewer than all are the first ones
            of each split.
        val: Of the 1000 characters to train, how many are to validate; 0 to 999.
        overwrite: Whether to replace a store that exists.
        progress: Called as progress(done, total) with numbers of sequences.

    Raises:
        InputError: Naming every sheet that is missing, unreadable, of another width or
            empty where it should not be; or an argument cannot be used.
    """
    check_target(store_path, overwrite)
    check_choice(("clips", "characters"), sequences=sequences)
    check_whole(3, _CHARACTERS, identities=identities)
    check_whole(0, _TRAIN - 1, val=val)
    records, number = characters(lpc_root, choose(identities, val)), identities
    if sequences == "clips":
        records, number = _clips(records), len(ACTIONS) * identities
    return write_store(
        store_path,
        counted(records, number, progress),
        dataset="sprites9",
        frame_shape=(CELL, CELL, 3),
        labels=_labels(),
        arguments={
            "lpc_root": str(lpc_root),
            "sequences": sequences,
            "identities": identities,
            "val": val,
        },
        licence=LICENCE,
        overwrite=overwrite,
    )


def permutation() -> NDArray[np.integer]:
    """Numbers of all characters in the published order: 1000 to train, 296 to test.

    A number is 216 body + 36 bottom + 6 top + hair.
    """
    return np.random.RandomState(_SEED).permutation(_CHARACTERS)


def choose(number: int, val: int) -> list[Identity]:
    """Characters and their splits, sorted by their number."""
    order = permutation()
    parts = np.split(order, [_TRAIN - val, _TRAIN])
    counts = split_counts(number, [len(part) for part in parts])
    chosen = []
    for split, part, count in zip(("train", "val", "test"), parts, counts, strict=True):
        classes = np.transpose(np.unravel_index(part[:count], (6, 6, 6, 6)))
        chosen += [(tuple(numbers), split) for numbers in classes.tolist()]
    return sorted(chosen)


def _labels() -> dict[str, Label]:
    labels = {
        layer: Label("sequence", "categorical", list(sheets))
        for layer, sheets in LAYERS.items()
    }
    phases = [str(phase) for phase in range(_LENGTH)]
    names = {"action": ACTIONS, "phase": phases, "pose": dict.fromkeys(_pose_names())}
    for name, classes in names.items():
        labels[name] = Label("frame", "categorical", list(classes))
    return labels


def _pose_names() -> list[str]:
    """Names of the poses of the 72 frames of a character."""
    numbers = range(len(_CELLS))
    return [f"{ACTIONS[n // _LENGTH]}-{_CELLS[n][2]}" for n in numbers]


def _read_sheets(root: Path) -> tuple[Sheets, NDArray[np.uint8]]:
    """Cells by layer and class, and those of the boots."""
    sheets: dict[str, NDArray[np.uint8]] = {}
    problems = []
    worn = {
        path: (layer, name)
        for layer, paths in LAYERS.items()
        for name, path in paths.items()
    }
    for path in (*worn, _TIE, _BOOTS):
        try:
            sheets[path] = cut_cells(path, read_sheet(root, path), _CELLS)
        except InputError as error:
            problems.append(str(error))
    refuse(root, problems, len(worn) + 2)
    tie = sheets[_TIE]  # opaque where there is something
    sheets[_SHIRT] = np.where(tie[..., 3:] > 0, tie, sheets[_SHIRT])
    return {key: sheets[path] for path, key in worn.items()}, sheets[_BOOTS]


def characters(
    lpc_root: StrPath, chosen: Iterable[Identity]
) -> Iterator[SequenceRecord]:
    """Each character as a sequence of 72 frames."""
    sheets, boots = _read_sheets(find_root(lpc_root))
    numbers = np.arange(len(_CELLS))
    poses = _pose_names()
    known = list(dict.fromkeys(poses))
    frame_labels: dict[str, NDArray[Any]] = {
        "action": (numbers // _LENGTH).astype(np.int32),
        "phase": (numbers % _LENGTH).astype(np.int32),
        "pose": np.array([known.index(pose) for pose in poses], np.int32),
        "time": numbers / _RATE,
    }
    ground = np.zeros((len(_CELLS), CELL, CELL, 3), np.uint8)
    dressed, shoes = drawing(sheets, ground), Overlay(boots)
    return draw_identities(
        chosen, LAYERS, lambda worn: shoes.over(dressed(worn)), frame_labels
    )


def _clips(characters: Iterable[SequenceRecord]) -> Iterator[SequenceRecord]:
    """Each clip as a sequence of 8 frames."""
    for character in characters:
        for number, action in enumerate(ACTIONS):
            part = slice(number * _LENGTH, (number + 1) * _LENGTH)
            labels = {name: v[part] for name, v in character.frame_labels.items()}
            yield dataclasses.replace(
                character,
                name=f"{character.name}_{action}",
                frames=character.frames[part],
                frame_labels={**labels, "time": labels["time"] - labels["time"][0]},
            )
