"""Runs: frames of a sequence that follow each other without a gap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.events import curve_places

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.codes import Codes
    from keras_ddr.data.store import FrameStore, Sequence

_GAP = 5  # usual steps from frame to frame that end a run


def person_of(sequence: Sequence) -> str:
    """Whose a sequence is: the person, else the source, else itself."""
    return sequence.person or sequence.source or sequence.name


def runs_of(store: FrameStore, sequence: Sequence) -> list[NDArray[np.integer]]:
    """Positions of each run in the order of time; frames in no order are one run."""
    numbers = store.label_values(sequence.index, "source_frame")
    if not store.ordered or len(numbers) < 2:
        return [np.arange(len(numbers))]
    order, places = curve_places(numbers)
    steps = np.diff(places)
    ends = np.flatnonzero(steps > _GAP * np.median(steps)) + 1
    return np.split(order, ends)


def checked(
    encoded: Iterable[tuple[Sequence, Codes]],
) -> Iterator[tuple[Sequence, NDArray[np.float64]]]:
    """Sequences and their z̃ `(T, D)`; one that is not finite is refused."""
    for sequence, codes in encoded:
        scores = codes.standardized.astype("float64")
        if not np.isfinite(scores).all():
            raise InputError(
                f"{sequence.name}: z holds NaN or infinity, so the model is broken; "
                "train it anew"
            )
        yield sequence, scores
