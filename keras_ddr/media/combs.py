"""Combs: what is left of interlaced video where each frame holds two moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EVERY = 9  # frames from one pair that is looked at to the next; film repeats after 5
_PAIRS = 50  # pairs with motion are enough for a file
_COLUMNS = 200  # that are looked at, and up to twice as many
_LEVELS = 12  # least difference of intensities; noise and coding stay below
_LEAST = 2e-3  # share of pixels in a pair that shows motion
_COMBED = 0.2  # least share of such pairs; film on video has two frames in five


class CombFinder:
    """Looks at some pairs of frames of a video, for a fraction of their decoding time.

    A frame of interlaced video holds two fields, even and odd rows, half a frame apart.
    Weaving one of them with the other field of the frame before gives two fields that
    are as far apart, and so as much of a comb; weaving the others, three times as far.
    Of progressive video both are a whole frame apart, and the frame itself is smooth.
    """

    def __init__(self) -> None:
        self._number = self._moving = self._combed = 0
        self._before: NDArray[np.int16] | None = None

    def look(self, image: NDArray[np.uint8]) -> None:
        """Take the next frame (H, W, 3), as it is stored."""
        self._number += 1
        if self._moving >= _PAIRS or self._number % _EVERY > 1:
            return
        now = image[:, :: max(1, image.shape[1] // _COLUMNS), 1].astype(np.int16)
        before, self._before = self._before, now
        if self._number % _EVERY == 0 or before is None or before.shape != now.shape:
            return
        moving, combed = _compare(before, now)
        self._moving += moving
        self._combed += combed

    @property
    def found(self) -> bool:
        """Whether the frames so far are combed where something moves."""
        return self._combed >= max(2, _COMBED * self._moving)


def _compare(before: NDArray[Any], now: NDArray[Any]) -> tuple[bool, bool]:
    """Whether something moves from a frame (H, W) to the next, and that is combed."""
    moved = np.abs(now - before) > _LEVELS
    moved = moved[1:-1] | moved[:-2] | moved[2:]
    woven = [now.copy(), now.copy()]
    for parity, weave in enumerate(woven):
        weave[parity::2] = before[parity::2]
    near, far = sorted(_combs(weave, moved) for weave in woven)
    moving = near > _LEAST * now.size
    return moving, moving and far > 1.5 * near and _combs(now, moved) > near / 2


def _combs(image: NDArray[Any], where: NDArray[np.bool_]) -> int:
    """Pixels that stick out from the rows above and below to the same side."""
    above, below = image[1:-1] - image[:-2], image[1:-1] - image[2:]
    out = np.minimum(above, below) > _LEVELS
    out |= np.maximum(above, below) < -_LEVELS
    return int(np.count_nonzero(out & where))
