"""Cutting the frames of a source into sequences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.arguments import check_choice, check_whole
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["LONG", "check_lengths", "pieces", "runs"]

LONG = ("split", "first", "thin")
"""What can be done with sequences that are too long."""


def runs(numbers: ArrayLike, max_gap: int) -> list[slice]:
    """Cut where too many frames are missing.

    Args:
        numbers: (T,) frame numbers, ascending.
        max_gap: most frames in a row that may be missing within a run.

    Returns:
        List of slices of `numbers`.
    """
    numbers = np.asarray(numbers)
    cuts = np.flatnonzero(np.diff(numbers) > max_gap + 1) + 1
    bounds = [0, *cuts.tolist(), len(numbers)]
    return [slice(a, b) for a, b in zip(bounds, bounds[1:], strict=False) if b > a]


def pieces(
    length: int, min_length: int = 20, max_length: int | None = 450, long: str = "split"
) -> list[NDArray[np.integer]]:
    """Choose the frames of the sequences that a run of frames gives.

    Args:
        length: number of frames T of the run.
        min_length: a shorter run gives nothing.
        max_length: most frames of a sequence, or None for any number.
        long: of a longer run, "split" makes equal parts (where these would be shorter
            than `min_length`, parts of `max_length`, and the end is left), "first"
            takes its beginning, "thin" takes frames at equal distances over all of it.

    Returns:
        List of integer arrays of positions in the run.
    """
    if length < min_length:
        return []
    if max_length is None or length <= max_length:
        return [np.arange(length)]
    if long == "first":
        return [np.arange(max_length)]
    if long == "thin":
        return [np.rint(np.linspace(0, length - 1, max_length)).astype(np.int64)]
    count = math.ceil(length / max_length)
    if length // count < min_length:
        count = length // max_length
        length = count * max_length
    return np.array_split(np.arange(length), count)


def check_lengths(
    min_length: int, max_length: int | None, long: str, max_gap: int
) -> None:
    """Refuse lengths that make no sense, by their names.

    Raises:
        InputError: one of them cannot be used.
    """
    check_whole(min_length=min_length)
    if max_length is not None:
        check_whole(max_length=max_length)
    check_whole(0, max_gap=max_gap)
    if max_length is not None and max_length < min_length:
        raise InputError(
            f"min_length: {min_length} is above max_length {max_length}; no sequence "
            "could be both: change one of them"
        )
    check_choice(LONG, long=long)
