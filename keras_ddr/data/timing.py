"""For how long frames are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A frame whose next one was left out counts for so many usual steps at most.
_STEPS = 1.5


def frame_durations(
    numbers: NDArray[np.integer], times: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Seconds for which each frame counts: to the next one, where that was kept.

    `numbers` and `times` `(T,)` are those of the source, in order of time.
    """
    steps = np.diff(times)
    usual = float(np.median(steps)) if len(steps) else 0.0
    left_out = np.diff(numbers) != 1
    steps = np.where(left_out, np.minimum(steps, _STEPS * usual), steps)
    return np.append(steps, usual)
