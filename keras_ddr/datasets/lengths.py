"""Which frames of a source make a sequence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.datasets.option_fields import Options, option
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Lengths(Options):
    """How the frames of a source are divided into sequences.

    Where it is not said otherwise they have 20 to 450 frames, of folders of pictures at
    least 3. "split" makes parts of `max_length` and leaves out the rest where equal
    parts would be shorter than `min_length`.
    """

    fps: float | None = option(
        None,
        "Keep so many frames a second, by their time stamps.",
        kind=float,
        least=0,
        open="(",
        unset="all frames",
    )
    cuts: bool = option(
        True, "End a sequence where the video cuts to another picture.", kind=bool
    )
    min_length: int = option(
        0,
        "Leave out sequences of fewer frames, of those that are kept.",
        kind=int,
        least=1,
    )
    max_length: int | None = option(
        0, "Most frames of a sequence.", kind=int, least=1, unset="any number"
    )
    long: str = option(
        "split",
        "Longer ones: split into equal parts, keep the first frames, or thin out to "
        "frames at equal distances.",
        choices=("split", "first", "thin"),
    )
    max_gap: int = option(
        5,
        "Most frames in a row without the face within a sequence.",
        kind=int,
        least=0,
        of_faces=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_length and self.max_length < self.min_length:
            raise InputError(
                f"min_length: {self.min_length} is above max_length {self.max_length}; "
                "no sequence could be both: change one of them"
            )

    def runs(self, numbers: ArrayLike) -> list[slice]:
        """Slices of frame numbers, cut where more than `max_gap` are missing."""
        numbers = np.asarray(numbers)
        cuts = np.flatnonzero(np.diff(numbers) > self.max_gap + 1) + 1
        bounds = [0, *cuts.tolist(), len(numbers)]
        return [slice(a, b) for a, b in zip(bounds, bounds[1:], strict=False) if b > a]

    def pieces(self, length: int) -> list[NDArray[np.integer]]:
        """Positions of the frames of each sequence that a run of frames gives."""
        most = self.max_length
        if length < self.min_length:
            return []
        if not most or length <= most:
            return [np.arange(length)]
        if self.long == "first":
            return [np.arange(most)]
        if self.long == "thin":
            return [np.rint(np.linspace(0, length - 1, most)).astype(np.int64)]
        count = math.ceil(length / most)
        if length // count < self.min_length:
            count = length // most
            length = count * most
        return np.array_split(np.arange(length), count)

    def too_short(self, tracks: Iterable[Sized]) -> str:
        """Why a source with these runs of frames gives nothing."""
        longest = max(map(len, tracks), default=0)
        counted = f" (counted at fps {self.fps:g})" if self.fps else ""
        return (
            f"the longest sequence has {longest} frames, fewer than min_length "
            f"{self.min_length}{counted}"
        )
