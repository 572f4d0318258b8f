"""Parts of sequences that have a name, on the clock of their source."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.data.timing import frame_durations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import Sequence

__all__ = ["Interval", "Timeline"]

# One of several people of a video, in the name of a sequence: clip#person2-1.
_TRACK = re.compile(r".*#([^#/]+)-\d+")


@dataclasses.dataclass(frozen=True)
class Interval:
    """A part of a sequence that has a name, or a moment.

    Attributes:
        recording: Whose clock counts: the source of the sequence, or the sequence
            itself where it has none.
        sequence: Name of the sequence.
        subject: Who is seen: the person, or "person2" of a video of several, or "".
        tier: Line of a timeline that it belongs to, such as "z_1" or "state".
        name: What is seen there, such as "peak" or "3".
        first: Number of its first frame in the source; -1 where unknown.
        last: Number of its last one.
        start: Seconds from the beginning of the source at which its first frame
            appears, NaN where unknown.
        stop: Seconds at which its last frame disappears.
        moment: Whether it is an instant, that of `start`: `stop` is then the end of
            this one frame.
        note: Anything else about it.
    """

    recording: str
    sequence: str
    subject: str
    tier: str
    name: str
    first: int
    last: int
    start: float
    stop: float
    moment: bool = False
    note: str = ""


class Timeline:
    """When the frames of a sequence are shown in its source.

    Args:
        sequence: `Sequence` of a store.
        frame_labels: Dict with its `source_frame` and `time`, as
            `store.frame_labels` gives them.

    Attributes:
        name: Name of the sequence.
        recording: See `Interval`, as for `subject`.
        subject: Likewise.
        source: Name of the source, or "".
        numbers: Numbers of the frames in the source, ints (T,).
        starts: Seconds at which they appear, float64 (T,); NaN where unknown.
        stops: Seconds at which they disappear.
    """

    def __init__(
        self, sequence: Sequence, frame_labels: Mapping[str, NDArray[Any]]
    ) -> None:
        self.name, self.source = sequence.name, sequence.source
        self.recording = sequence.source or sequence.name
        track = _TRACK.fullmatch(sequence.name) if sequence.source else None
        self.subject = sequence.person or (track[1] if track else "")
        self.numbers = np.asarray(frame_labels["source_frame"])
        self.starts = np.asarray(frame_labels["time"], np.float64)
        order = np.argsort(self.starts, kind="stable")
        durations = frame_durations(self.numbers[order], self.starts[order])
        self.stops = np.empty_like(self.starts)
        self.stops[order] = self.starts[order] + durations

    def interval(
        self,
        first: int,
        last: int,
        tier: str,
        name: str,
        *,
        moment: bool = False,
        note: str = "",
    ) -> Interval:
        """The `Interval` from one place in the sequence to another one, inclusive.

        Args:
            first: Position of its first frame, from 0.
            last: Position of its last frame; that of `first` for a moment.
            tier: See `Interval`, as for all that follows.
            name: Likewise.
            moment: Likewise.
            note: Likewise.

        Returns:
            `Interval`.
        """
        return Interval(
            *(self.recording, self.name, self.subject, tier, name),
            first=int(self.numbers[first]),
            last=int(self.numbers[last]),
            start=float(self.starts[first]),
            stop=float(self.stops[last]),
            moment=moment,
            note=note,
        )


@dataclasses.dataclass(frozen=True)
class Tier:
    """Intervals of one subject and kind that do not overlap, by their start."""

    subject: str
    title: str
    moments: bool
    intervals: list[Interval]

    @property
    def name(self) -> str:
        """Subject and title."""
        return f"{self.subject} {self.title}".strip()


@dataclasses.dataclass(frozen=True)
class Recording:
    """A source: all that is known of it, for a file about it."""

    name: str
    media: Path | None  # where its video should be, absolute
    timelines: list[Timeline]
    intervals: list[Interval]

    @property
    def end(self) -> float:
        """Seconds at which its last known frame disappears."""
        return max(float(timeline.stops.max()) for timeline in self.timelines)

    @property
    def rate(self) -> float:
        """Frames a second, 0 where unknown."""
        rates = [
            np.diff(timeline.numbers) / steps
            for timeline in self.timelines
            if (steps := np.diff(timeline.starts)).all()
        ]
        rates = [rate for rate in rates if len(rate)]
        return abs(float(np.median(np.concatenate(rates)))) if rates else 0.0

    def tiers(self) -> list[Tier]:
        """Its intervals; those of one kind that overlap go to several tiers."""
        kinds: dict[tuple[str, str, bool], list[Interval]] = {}
        for interval in sorted(self.intervals, key=lambda i: (i.start, i.stop)):
            kind = interval.subject, interval.tier, interval.moment
            kinds.setdefault(kind, []).append(interval)
        return [
            Tier(subject, f"{title} ({number})" if number > 1 else title, moments, lane)
            for (subject, title, moments), intervals in sorted(kinds.items())
            for number, lane in enumerate(_lanes(intervals), start=1)
        ]


def _lanes(intervals: Iterable[Interval]) -> list[list[Interval]]:
    """Intervals by their start, in as few lists without overlap as there can be."""
    lanes: list[list[Interval]] = []
    for interval in intervals:
        for lane in lanes:
            # Times are sums: what touches may seem to overlap by a rounding.
            if lane[-1].stop <= interval.start + 1e-6:
                lane.append(interval)
                break
        else:
            lanes.append([interval])
    return lanes


def milliseconds(seconds: float, up: bool) -> int:
    """Whole milliseconds at which a frame is shown (`up`), or just before it is."""
    thousandths = round(1000 * seconds, 3)
    return int(np.ceil(thousandths) if up else np.floor(thousandths))
