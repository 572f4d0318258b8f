"""Objects of label images, each followed by its number: a square around it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.faces.cropping import crop_square
from keras_ddr.media.stacks import open_stacks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.media.blocks import Stack

_MARGIN = 0.1  # on every side, as share of the square
_MOST_OBJECTS = 100_000


@dataclass
class Found:
    """An object: its centre (x, y) by frame, and the side of its squares."""

    centres: dict[int, tuple[float, float]] = field(default_factory=dict)
    side: float = 0.0

    def crop(
        self, image: NDArray[np.uint8], number: int, size: int
    ) -> NDArray[np.uint8]:
        """The square of a frame around the object, (size, size, 3)."""
        x, y = self.centres[number]
        side = self.side * (1 + 2 * _MARGIN)
        box = np.array([x - side / 2, y - side / 2, side, side])
        return crop_square(image, box, size, 0)


class Masks:
    """Label images for every frame, or one for all; 0 is the background."""

    def __init__(self, path: str, stack: Stack, shape: tuple[int, int, int]) -> None:
        if stack.dtype.kind not in "iub":
            raise InputError(
                f"{path}: has values of the type {stack.dtype}; masks are whole numbers"
            )
        if stack.shape not in (shape, shape[1:]):
            raise InputError(
                f"{path}: has shape {stack.shape}, but the frames have {shape}; give "
                f"masks of {shape}, or one of {shape[1:]} for all"
            )
        self._path = path
        self._stack = stack
        self._frames = shape[0]
        self._still = stack.shape != shape

    def of_frame(self, number: int) -> NDArray[Any]:
        """The label image (H, W) of a frame."""
        index: tuple[int | slice, ...] = (slice(None), slice(None))
        return self._stack.read(index if self._still else (number, *index))

    def objects(self) -> dict[int, Found]:
        """All objects by their numbers; the side holds each in all its frames."""
        found: dict[int, Found] = {}
        for number in range(1 if self._still else self._frames):
            for label, centre, reach in _objects_in(self.of_frame(number)):
                each = found.setdefault(label, Found())
                numbers = range(self._frames) if self._still else [number]
                each.centres.update(dict.fromkeys(numbers, centre))
                each.side = max(each.side, 2 * reach)
            if len(found) > _MOST_OBJECTS:
                raise InputError(
                    f"{self._path}: has more than {_MOST_OBJECTS} objects; give label "
                    "images, not pictures"
                )
        return found


def _objects_in(
    mask: NDArray[Any],
) -> Iterator[tuple[int, tuple[float, float], float]]:
    """Number, centroid and reach along x or y of each object of a label image."""
    rows, columns = np.nonzero(mask > 0)
    labels, places = np.unique(mask[rows, columns], return_inverse=True)
    places = places.ravel()
    counts = np.bincount(places)
    reaches = []
    centres = []
    for where in (columns, rows):
        # A pixel reaches from its number to the next.
        centre = np.bincount(places, where) / np.maximum(counts, 1) + 0.5
        away = np.abs(where + 0.5 - centre[places]) + 0.5
        reach = np.zeros(len(labels))
        np.maximum.at(reach, places, away)
        centres.append(centre)
        reaches.append(reach)
    for k, label in enumerate(labels.tolist()):
        centre = float(centres[0][k]), float(centres[1][k])
        yield int(label), centre, float(max(reaches[0][k], reaches[1][k]))


@contextlib.contextmanager
def open_masks(path: str, shape: tuple[int, int, int]) -> Iterator[Masks]:
    """The masks in a file for frames of shape (T, H, W)."""
    with open_stacks(path, least=2) as stacks:
        if len(stacks) > 1:
            raise InputError(f"{path}: holds {len(stacks)} arrays; give one of masks")
        yield Masks(path, stacks[0], shape)


def mask_for(name: str, masks: Mapping[str, str], alone: bool) -> str:
    """The file of masks for a file, by its name without suffix, or "" for none.

    `alone`: there is one of each, whatever their names.
    """
    if alone:
        return next(iter(masks.values()))
    stems = {_stem(other): path for other, path in masks.items()}
    return stems.get(_stem(name), "")


def _stem(name: str) -> str:
    """A path without the suffixes of its file."""
    path = PurePath(name)
    return str(path.with_name(path.name.split(".")[0]))
