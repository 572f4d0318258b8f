"""Bouts: intervals in which a sequence stays in one state."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.exports import Interval, Timeline
from keras_ddr.states.runs import person_of, runs_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.data.store import Sequence as StoredSequence

__all__ = ["Bout", "bout_intervals"]


@dataclasses.dataclass(frozen=True)
class Bout:
    """Frames one after the other in one state; a row of the table of bouts.

    Attributes:
        sequence: Name of the sequence.
        source: Name of its source, or "".
        person: Whose it is: the person, else the source, else the sequence.
        state: Name of the state.
        first_frame: Number of the first frame in the source, or its position in the
            sequence where the source has no numbers.
        last_frame: The same of the last one, which belongs to the bout.
        start: Time of the first frame in seconds, or NaN.
        stop: Time at which the next frame follows or would follow, or NaN.
    """

    sequence: str
    source: str
    person: str
    state: str
    first_frame: int
    last_frame: int
    start: float
    stop: float

    @property
    def frames(self) -> int:
        """Length in frames of the source."""
        return self.last_frame - self.first_frame + 1


def bout_intervals(
    timelines: Iterable[Timeline], bouts: Iterable[Bout]
) -> list[Interval]:
    """Bouts for `exports.write_intervals`.

    Args:
        timelines: `Timeline` of each sequence of the bouts.
        bouts: List of `Bout`.

    Returns:
        List of `Interval`: the tier is "state", the name that of the state.
    """
    known = {timeline.name: timeline for timeline in timelines}
    return [
        Interval(
            known[bout.sequence].recording,
            bout.sequence,
            known[bout.sequence].subject,
            "state",
            bout.state,
            *(bout.first_frame, bout.last_frame, bout.start, bout.stop),
        )
        for bout in bouts
    ]


def find_bouts(
    store: FrameStore,
    sequence: StoredSequence,
    found: NDArray[np.integer],
    names: Sequence[str],
) -> list[list[tuple[int, Bout]]]:
    """Bouts with the numbers of their states, a list for each run of a sequence.

    Args:
        store: `FrameStore` of the sequence, with frames in order.
        sequence: `Sequence` of the store.
        found: Numbers of the states of its frames `(T,)`, from 0.
        names: Names of the states.
    """
    labels = store.frame_labels(sequence.index)
    numbers, times = labels["source_frame"], labels["time"].astype("float64")
    if (numbers < 0).any():
        numbers = np.arange(len(numbers))
    runs = runs_of(store, sequence)
    step = np.median(np.concatenate([np.diff(times[run]) for run in runs] or [[]]))
    about = sequence.name, sequence.source, person_of(sequence)
    bouts: list[list[tuple[int, Bout]]] = []
    for run in runs:
        edges = np.flatnonzero(np.diff(found[run])) + 1
        bouts.append([])
        for part in np.split(np.arange(len(run)), edges):
            first, last = run[part[0]], run[part[-1]]
            after = part[-1] + 1
            stop = times[run[after]] if after < len(run) else times[last] + step
            state = int(found[first])
            span: tuple[Any, ...] = int(numbers[first]), int(numbers[last])
            span = *span, float(times[first]), float(stop)
            bouts[-1].append((state, Bout(*about, names[state], *span)))
    return bouts
