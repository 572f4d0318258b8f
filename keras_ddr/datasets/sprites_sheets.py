"""LPC sheets: where they are, the cells that are read, and how they are drawn."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from keras_ddr.datasets.sprites_layout import CELL, SHEET_HEIGHT, SHEET_WIDTH
from keras_ddr.errors import InputError
from keras_ddr.media.pictures import opened

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath

    # Animation, row, column.
    Cell: TypeAlias = tuple[str, int, int]
    # By layer and class: RGBA (T, 64, 64, 4).
    Sheets: TypeAlias = Mapping[tuple[str, str], NDArray[np.uint8]]

REPOSITORY = "Universal-LPC-spritesheet"
LICENCE = (
    "Art of the Liberated Pixel Cup, CC-BY-SA 3.0 / GPL 3.0, credits in AUTHORS.txt of "
    "https://github.com/jrconway3/Universal-LPC-spritesheet, or in the folder credits "
    "of each export. Do not redistribute without the credits."
)
_MISSING = "is missing"


def find_root(lpc_root: StrPath, otherwise: str = "") -> Path:
    """The folder with the sheets; `otherwise` is what else may be given."""
    root = Path(lpc_root)
    if not root.is_dir():
        raise InputError(
            f"{root}: no such folder; clone "
            f"https://github.com/jrconway3/{REPOSITORY} and give its path{otherwise}"
        )
    if not (root / "body").is_dir() and (root / REPOSITORY / "body").is_dir():
        root = root / REPOSITORY
    return root


class AnimationMissing(InputError):
    """A sheet without one of the animations."""


def read_sheet(root: Path, relative: str) -> NDArray[np.uint8]:
    """A sheet as RGBA (H, 832, 4); one that cannot be used is an `InputError`."""
    if not (root / relative).exists():
        raise InputError(f"{relative}: {_MISSING}")
    with opened(root / relative) as image:
        if image.width != SHEET_WIDTH:
            raise InputError(
                f"{relative}: is {image.width}x{image.height}, but sheets are "
                f"{SHEET_WIDTH}x{SHEET_HEIGHT}"
            )
        return np.asarray(image.convert("RGBA"))


def cut_cells(
    relative: str,
    sheet: NDArray[np.uint8],
    cells: Sequence[Cell],
    empty: Collection[tuple[int, int]] = (),
) -> NDArray[np.uint8]:
    """Cells (T, 64, 64, 4) of a sheet, 0 where they are transparent.

    A cell that the sheet lacks, or where nothing is drawn and that is not among the
    `empty` ones, is an `AnimationMissing` that names the sheet, `relative`.
    """
    rows = len(sheet) // CELL
    if cut_off := dict.fromkeys(name for name, row, _ in cells if row >= rows):
        size = f"{SHEET_WIDTH}x{len(sheet)}"
        raise AnimationMissing(f"{relative}: is {size}, without {', '.join(cut_off)}")
    corners = [(CELL * row, CELL * column) for _, row, column in cells]
    result = np.stack([sheet[y : y + CELL, x : x + CELL] for y, x in corners])
    result[result[..., 3] == 0] = 0
    lacking: dict[str, list[str]] = {}
    for (animation, row, column), cell in zip(cells, result, strict=True):
        if not cell.any() and (row, column) not in empty:
            lacking.setdefault(animation, []).append(f"row {row} column {column}")
    if lacking:
        told = (
            f"{animation} has {len(places)} empty cells (first at {places[0]})"
            for animation, places in lacking.items()
        )
        raise AnimationMissing(f"{relative}: {', '.join(told)}")
    return result


def refuse(root: Path, problems: list[str], sheets: int, otherwise: str = "") -> None:
    """Refuse sheets that cannot be used: all of them in one line."""
    if len(problems) == sheets and all(p.endswith(_MISSING) for p in problems):
        raise InputError(
            f"{root}: has none of the {sheets} sheets, {problems[0]}; give a clone of "
            f"{REPOSITORY}{otherwise}"
        )
    if problems:
        raise InputError(
            "; ".join(problems)
            + f"; give a clone of {REPOSITORY} with these sheets whole ({root} was "
            "given)"
        )


def drawing(
    sheets: Sheets, ground: NDArray[np.uint8]
) -> Callable[[Mapping[str, str]], NDArray[np.uint8]]:
    """A function from layer -> class, in drawing order, to frames (T, 64, 64, 3)."""
    overlays = {worn: Overlay(cells) for worn, cells in sheets.items()}

    # The identities come sorted, so what lies below the last layer is composed once
    # for every run of equal ones.
    @functools.lru_cache(12)
    def below(*worn: tuple[str, str]) -> NDArray[np.uint8]:
        return overlays[worn[-1]].over(below(*worn[:-1])) if worn else ground

    def draw(labels: Mapping[str, str]) -> NDArray[np.uint8]:
        *worn, last = labels.items()
        return overlays[last].over(below(*worn))

    return draw


class Overlay:
    """A layer prepared for drawing over opaque pictures."""

    def __init__(self, cells: NDArray[np.uint8]) -> None:
        alpha = cells.reshape(-1, 4)[:, 3]
        colours = cells.reshape(-1, 4)[:, :3]
        self.opaque = np.flatnonzero(alpha == 255)
        self.opaque_colours = colours[self.opaque]
        self.partial = np.flatnonzero((alpha > 0) & (alpha < 255))
        self.alpha = alpha[self.partial, None].astype(np.uint32)
        self.partial_colours = colours[self.partial] * self.alpha

    def over(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The pictures (T, 64, 64, 3) with the layer on top."""
        result = pictures.copy()
        pixels = result.reshape(-1, 3)
        below = pixels[self.partial] * (255 - self.alpha)
        pixels[self.partial] = (below + self.partial_colours + 127) // 255
        pixels[self.opaque] = self.opaque_colours
        return result
