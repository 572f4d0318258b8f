"""For how long frames are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A step of more usual ones than this spans a frame that was left out.
_GAP = 1.5


def frame_durations(
    numbers: NDArray[np.integer], times: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Seconds for which each frame counts: to the next one, or before a gap as usual.

    `numbers` and `times` `(T,)` are those of the source, in order of time.
    """
    steps = np.diff(times)
    usual = float(np.median(steps)) if len(steps) else 0.0
    gap = (np.diff(numbers) != 1) & (steps > _GAP * usual)
    return np.append(np.where(gap, usual, steps), usual)
