"""Decoded frames as a player shows them: their colours, shape and turn."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.media.combs import CombFinder
from keras_ddr.media.orientation import read_turn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath

# Ratios of the formats in use lie within: pixels of 352x576 for 16:9 are 2.9 times as
# wide as high. Others are errors of a file, and could fill the memory.
_MOST = 4.0
_LEAST = 1.01  # ratios below come from rounding, and nobody sees them


class Display:
    """Turns what a decoder gives into what is seen, and notes what is odd about it."""

    def __init__(
        self,
        cv2: ModuleType,
        capture: Any,
        path: StrPath,
        changes: Mapping[int, tuple[int, int]],
    ) -> None:
        self._cv2 = cv2
        # Some versions of OpenCV turn frames the wrong way, and none mirrors them.
        self._turn = read_turn(path)
        if self._turn and not capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0):
            self._turn = None
        self._ratio = _ratio(cv2, capture)
        self._changes = changes  # of its size, by `size_changes`
        self._due = sorted(self._changes.items(), reverse=True)
        self._size: tuple[int, int] | None = None  # where OpenCV stretches it
        self._combs = CombFinder()
        self._last: NDArray[np.uint8] | None = None
        # Size of a shown frame by that of the stored one: across, down.
        self.stretch = 1.0, 1.0
        self.still = True  # whether all frames so far are one and the same
        self._sizes: tuple[tuple[int, int], tuple[int, int]] | None = None

    def show(self, image: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
        """The frame (H, W, 3), red, green, blue, of a decoded one and its number."""
        if self.still:
            self.still = self._last is None or np.array_equal(self._last, image)
            self._last = image if self.still else None
        image = self._as_rgb(image)
        self._combs.look(image)
        while self._due and self._due[-1][0] <= number:
            self._size = self._due.pop()[1]
        width, height = self._size or image.shape[1::-1]
        # Made larger, so that no pixel is lost.
        wide = round(width * max(1.0, self._ratio))
        high = round(height / min(1.0, self._ratio))
        if (wide, high) != (width, height):
            self._sizes = (width, height), (wide, high)
        if (wide, high) != image.shape[1::-1]:
            image = self._cv2.resize(image, (wide, high))
        self.stretch = wide / width, high / height
        if self._turn is None:
            return image
        if self._turn.swap:
            self.stretch = self.stretch[::-1]
        return self._turn.apply(image)

    def notes(self) -> list[str]:
        """Oddities in words."""
        notes = []
        if self._sizes is not None:
            stored, shown = (f"{wide}x{high}" for wide, high in self._sizes)
            notes.append(
                f"its pixels are not square: frames of {stored} are taken as {shown}, "
                "as a player shows them"
            )
        if self._changes:
            places = [
                f"to {wide}x{high} in frame {number}"
                for number, (wide, high) in self._changes.items()
            ]
            more = f" (and {len(places) - 1} times more)" if len(places) > 1 else ""
            notes.append(
                f"its size changes {places[0]}{more}; sequences end where it does"
            )
        if self._combs.found:
            notes.append(
                "its frames have the combs of interlaced video, which z would learn; "
                "deinterlace it first, with ffmpeg -i FILE -vf bwdif=mode=send_frame "
                "NEW.mp4"
            )
        return notes

    def _as_rgb(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        cv2 = self._cv2
        channels = image.shape[2] if image.ndim == 3 else 1
        codes = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}
        return cv2.cvtColor(image, codes[channels])


def _ratio(cv2: ModuleType, capture: Any) -> float:
    """Width of a pixel by its height, by stream or container; 1 if not said."""
    wide, high = (
        float(capture.get(name))
        for name in (cv2.CAP_PROP_SAR_NUM, cv2.CAP_PROP_SAR_DEN)
    )
    ratio = wide / high if wide > 0 and high > 0 else 1.0
    return ratio if _LEAST <= max(ratio, 1 / ratio) <= _MOST else 1.0
