"""LPC sprites: game characters of 64x64 pixels in 178 poses.

The characters are composed from the sheets of the Liberated Pixel Cup
(https://github.com/jrconway3/Universal-LPC-spritesheet), which are CC-BY-SA 3.0 / GPL
3.0 and are not part of this package. A body, legs, a torso and hair in 6 variants each
make 1296 characters, each of them a sequence of 178 frames, as in the paper's section 4
and Appendix A ("Sprites").
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.arguments import is_whole
from keras_ddr.data.labels import Label
from keras_ddr.data.place import check_target
from keras_ddr.data.splits import assign_splits
from keras_ddr.data.writer import SequenceRecord, write_store
from keras_ddr.datasets.identities import (
    Identity,
    choose_identities,
    counted,
    draw_identities,
)
from keras_ddr.datasets.sprites_exports import (
    Piece,
    exported_sequences,
    find_exports,
    labels_of_exports,
)
from keras_ddr.datasets.sprites_layout import (
    ANIMATIONS,
    CELL,
    DIRECTIONS,
    POSE_NAMES,
    POSES,
)
from keras_ddr.datasets.sprites_sheets import (
    LICENCE,
    REPOSITORY,
    AnimationMissing,
    cut_cells,
    drawing,
    find_root,
    read_sheet,
    refuse,
)
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.datasets.sprites_sheets import Sheets
    from keras_ddr.typing import Progress, StrPath

__all__ = ["LAYERS", "prepare"]

SHARES = (900, 100, 296)

# In drawing order. Folders are not searched: they hold shadows and single parts.
LAYERS = {
    "body": {
        name: f"body/male/{name}.png"
        for name in ("light", "tanned2", "dark2", "darkelf", "darkelf2", "orc")
    },
    "legs": {
        **{
            f"{colour}-pants": f"legs/pants/male/{colour}_pants_male.png"
            for colour in ("magenta", "red", "teal", "white")
        },
        "golden-greaves": "legs/armor/male/golden_greaves_male.png",
        "robe-skirt": "legs/skirt/male/robe_skirt_male.png",
    },
    "torso": {
        **{
            f"{colour}-longsleeve": (
                f"torso/shirts/longsleeve/male/{colour}_longsleeve.png"
            )
            for colour in ("maroon", "teal", "white")
        },
        "leather-chest": "torso/leather/chest_male.png",
        "gold-chest": "torso/gold/chest_male.png",
        "tabard-jacket": "torso/chain/tabard/jacket_male.png",
    },
    "hair": {
        name: f"hair/male/messy1/{name}.png"
        for name in ("black", "blonde2", "blue", "green2", "purple", "redhead")
    },
}
"""Sheets below the root, by layer and class, in the order in which they are drawn."""
# The legs are hidden behind the fallen body there.
_EMPTY_BY_DESIGN = {"legs": [(20, 4)]}

_OTHERWISE = ", or the folder of unpacked exports of the character generator"
_TOLD = 3  # sheets that a message names


def prepare(
    store_path: StrPath,
    lpc_root: StrPath,
    *,
    identities: int = 1296,
    seed: int = 0,
    background: Sequence[int] = (0, 0, 0),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FrameStore:
    """Make a frame store of LPC sprites, composed or exported.

    A clone of the sheets gives every identity as a sequence of 178 frames (64, 64, 3),
    and person of its own. 900 identities are for training, 100 for validation and 296
    for testing, or shares like these of fewer. Frame labels: `pose` (178 classes such
    as "walk-left-3"), `pose_distinct` (158 classes: poses that look alike on at least
    one character are merged), `animation`, `direction`; `source_frame` is the pose
    number and `time` is NaN. Sequence labels: `body`, `legs`, `torso`, `hair`.

    Characters that the LPC character generator exported (whole sheets, by animation or
    by frame) are a sequence each as well, with the labels `pose`, `animation` and
    `direction`; classes of animations that the sheets lack come after those above.

    Args:
        store_path: Folder to make.
        lpc_root: Clone of Universal-LPC-spritesheet, a folder that holds one, or one
            with unpacked exports.
        identities: Number of characters, 6 to 1296; fewer than all are chosen at
            random such that every variant of every layer occurs.
        seed: Of that choice and of the split.
        background: Colour (r, g, b) behind the character, 0 to 255.
        overwrite: Whether to replace a store that exists.
        progress: Called as progress(done, total) with numbers of characters.

    Raises:
        InputError: Naming every sheet that is missing, unreadable or of another width;
            or there is no character whose sheets have all animations.

    Warns:
        UserWarning: Once, naming the sheets that lack an animation; the characters
            that wear them are left out. Of exports once for each reason to leave
            pictures out.
    """
    check_target(store_path, overwrite)
    background = _checked_background(background)
    chosen = choose_identities([6] * 4, identities, SHARES, seed)
    root = find_root(lpc_root, _OTHERWISE)
    characters = {} if (root / "body").is_dir() else find_exports(root)
    if characters:
        _refuse_parts(root, characters)
        characters = _some(characters, identities, seed)
        shares = np.array(SHARES) / sum(SHARES)
        splits = assign_splits(characters, shares, seed)
        records = exported_sequences(characters, splits, background)
        labels, number = labels_of_exports(characters), len(characters)
    else:
        sheets, lacking = _read_sheets(root)
        chosen = _without(chosen, lacking)
        distinct, distinct_names = _distinct_poses(sheets)
        records = sequences(sheets, chosen, background, distinct)
        labels, number = _labels(distinct_names), len(chosen)
    return write_store(
        store_path,
        counted(records, number, progress),
        dataset="sprites",
        frame_shape=(CELL, CELL, 3),
        labels=labels,
        arguments={
            "lpc_root": str(lpc_root),
            "identities": identities,
            "background": list(background),
        },
        seed=seed,
        licence=LICENCE,
        ordered=False,
        overwrite=overwrite,
    )


def _refuse_parts(root: Path, characters: Iterable[str]) -> None:
    """Refuse a folder whose sheets are bodies and clothes, not characters."""
    parts = tuple(
        f"/{path}".removesuffix(".png")
        for sheets in LAYERS.values()
        for path in sheets.values()
    )
    for name in characters:
        if name.endswith(parts) or "spritesheets" in name.split("/")[:-1]:
            raise InputError(
                f"{root}: holds sheets of single parts ({name}.png), not characters; "
                f"give a clone of {REPOSITORY} itself, or the folder of unpacked "
                "exports of the character generator"
            )


def _some(
    characters: dict[str, list[Piece]], most: int, seed: int
) -> dict[str, list[Piece]]:
    """As many characters as are wanted."""
    names = list(characters)
    if len(names) <= most:
        return characters
    warnings.warn(
        f"{most} of {len(names)} characters are taken, as identities says",
        stacklevel=3,
    )
    order = np.random.default_rng([int(seed), 0, 4]).permutation(len(names))
    return {names[place]: characters[names[place]] for place in sorted(order[:most])}


def _labels(distinct_names: list[str]) -> dict[str, Label]:
    """Labels of composed characters."""
    labels = {
        layer: Label("sequence", "categorical", list(sheets))
        for layer, sheets in LAYERS.items()
    }
    for name, classes in {
        "pose": POSE_NAMES,
        "pose_distinct": distinct_names,
        "animation": ANIMATIONS,
        "direction": DIRECTIONS,
    }.items():
        labels[name] = Label("frame", "categorical", list(classes))
    return labels


def sequences(
    sheets: Sheets,
    chosen: Iterable[Identity],
    background: Sequence[int],
    distinct: NDArray[np.integer],
) -> Iterator[SequenceRecord]:
    """Compose characters one by one; `distinct` are their classes `pose_distinct`."""
    frame_labels = {
        "pose": np.arange(len(POSES), dtype=np.int32),
        "pose_distinct": distinct,
        "animation": np.array([ANIMATIONS.index(p[0]) for p in POSES], np.int32),
        "direction": np.array([DIRECTIONS.index(p[1]) for p in POSES], np.int32),
    }
    ground = np.empty((len(POSES), CELL, CELL, 3), np.uint8)
    ground[:] = background
    draw = drawing(sheets, ground)
    return draw_identities(chosen, LAYERS, draw, frame_labels)


def _read_sheets(root: Path) -> tuple[Sheets, dict[tuple[str, str], str]]:
    """The sheets by layer and class, and the problems of those without an animation."""
    sheets: dict[tuple[str, str], NDArray[np.uint8]] = {}
    lacking: dict[tuple[str, str], str] = {}
    problems = []
    cells = [(animation, row, column) for animation, _, _, row, column in POSES]
    for layer, paths in LAYERS.items():
        hidden = _EMPTY_BY_DESIGN.get(layer, ())
        for name, path in paths.items():
            try:
                sheet = read_sheet(root, path)
                sheets[layer, name] = cut_cells(path, sheet, cells, hidden)
            except AnimationMissing as error:
                lacking[layer, name] = str(error)
            except InputError as error:
                problems.append(str(error))
    refuse(root, problems, 6 * len(LAYERS), _OTHERWISE)
    return sheets, lacking


def _without(
    chosen: list[Identity], lacking: Mapping[tuple[str, str], str]
) -> list[Identity]:
    """The characters that wear no sheet of which an animation is missing."""
    names = {layer: list(sheets) for layer, sheets in LAYERS.items()}
    left = [
        (numbers, split)
        for numbers, split in chosen
        if not any(
            (layer, names[layer][number]) in lacking
            for layer, number in zip(LAYERS, numbers, strict=True)
        )
    ]
    told = "; ".join(list(lacking.values())[:_TOLD])
    if len(lacking) > _TOLD:
        told += f"; {len(lacking) - _TOLD} more"
    if not left:
        raise InputError(f"no character has all animations: {told}")
    if len(left) < len(chosen):
        warnings.warn(
            f"{len(chosen) - len(left)} of {len(chosen)} characters are left out: "
            f"{told}",
            stacklevel=3,
        )
    return left


def _distinct_poses(sheets: Sheets) -> tuple[NDArray[np.int32], list[str]]:
    """Number the poses such that poses alike on some character share a number.

    Whether two poses differ depends on what is worn: the 1296 characters have 166 to
    176 different pictures each. With these classes no character shows one picture
    under two numbers. A class has the name of its first pose.
    """
    known = [
        [number for number, name in enumerate(names) if (layer, name) in sheets]
        for layer, names in LAYERS.items()
    ]
    every = [(numbers, "") for numbers in itertools.product(*known)]
    first = np.arange(len(POSES))
    # No sheet uses this colour, so the classes are the same for every background.
    for record in sequences(sheets, every, (255, 1, 254), first):
        seen: dict[int, int] = {}
        for pose, frame in enumerate(record.frames):
            alike = first[seen.setdefault(hash(frame.tobytes()), pose)]
            if first[pose] != alike:
                low, high = sorted((first[pose], alike))
                first[first == high] = low
    poses, numbers = np.unique(first, return_inverse=True)
    return numbers.astype(np.int32), [POSE_NAMES[pose] for pose in poses]


def _checked_background(background: Sequence[int]) -> tuple[int, ...]:
    colour = tuple(background)
    if len(colour) != 3 or not all(is_whole(v) and 0 <= v <= 255 for v in colour):
        raise InputError(
            f"background: {background!r} is not a colour; give three numbers from 0 "
            "to 255"
        )
    return colour
