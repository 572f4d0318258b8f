"""Moments at which the dynamics of a sequence reach an extreme (the paper, section 4).

A person who looks for expressions in hours of video gets a first list to look at: peaks
and valleys of the smoothed components of z.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from keras_ddr.arguments import check_number
from keras_ddr.errors import InputError
from keras_ddr.exports.writing import SUFFIXES as OF_INTERVALS
from keras_ddr.files import check_output_path, replacing, write_table

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.codes import Codes
    from keras_ddr.data.store import Sequence
    from keras_ddr.exports.intervals import Interval, Timeline
    from keras_ddr.typing import StrPath

__all__ = ["Event", "event_intervals", "find_events", "write_events"]

TABLE = ".csv"
SUFFIXES = (TABLE, *OF_INTERVALS)

# Frames that a longer gap counts as, whatever numbers a store was given.
_LONGEST_GAP = 100


@dataclasses.dataclass(frozen=True)
class Event:
    """A peak or a valley of one component of z; a row of the table of events.

    Attributes:
        component: Component of z, from 0.
        kind: "peak" or "valley".
        position: Place of the frame in the sequence, from 0.
        source_frame: Number of the frame in the source.
        time: Seconds, or NaN.
        z: The component at that frame; `z_standardized` is that of z̃.
        prominence: How far the smoothed curve of z̃ falls (or rises) on both sides
            before it goes beyond the event, in standard scores.
        motion_explained: Share of the motion of the sequence that z explains, or NaN;
            where it is low, events miss much of what moves.
    """

    sequence: str
    source: str
    component: int
    kind: str
    position: int
    source_frame: int
    time: float
    z: float
    z_standardized: float
    prominence: float
    motion_explained: float = float("nan")


def curve_places(
    source_frame: ArrayLike,
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Positions by ascending number (as they are if one is -1), and their distances."""
    numbers = np.asarray(source_frame)
    if (numbers < 0).any():
        numbers = np.arange(len(numbers))
    order = np.argsort(numbers, kind="stable")
    steps = np.clip(np.diff(numbers[order]), 1, _LONGEST_GAP)
    return order, np.concatenate([[0], np.cumsum(steps)])


def smooth_curve(
    values: ArrayLike, places: ArrayLike, width: float = 2.0
) -> NDArray[np.float64]:
    """A curve over all places from the first to the last, straight between values."""
    places = np.asarray(places)
    every = np.arange(places[0], places[-1] + 1)
    curve = np.interp(every, places, np.asarray(values, np.float64))
    return gaussian_filter1d(curve, width, mode="nearest") if width else curve


def find_events(
    sequence: Sequence,
    codes: Codes,
    frame_labels: Mapping[str, NDArray[Any]],
    *,
    components: Iterable[int] | None = None,
    width: float = 2.0,
    prominence: float = 0.5,
    distance: float = 5,
    motion_explained: float = float("nan"),
) -> list[Event]:
    """Find the peaks and valleys of z over a sequence.

    Args:
        sequence: `Sequence` of a store.
        codes: Its `Codes`, one z for each frame.
        frame_labels: Dict with its `source_frame` and `time`. The curve is straight
            where frames are missing, and a gap counts as 100 frames at most.
        components: Components of z, from 0; all where `None`.
        width: Standard deviation of the Gaussian smoothing, in frames; 0 for none.
        prominence: Least prominence of an event, in standard scores.
        distance: Least distance of two events of one kind and component, in frames;
            the more extreme of two nearer ones stays.
        motion_explained: To note with each event, see `Event`.

    Returns:
        List of `Event`, by frame.

    Raises:
        InputError: A component does not exist, a number is out of range, or z is not
            finite.
    """
    dimensions = codes.standardized.shape[1]
    components = range(dimensions) if components is None else set(components)
    for component in set(components) - set(range(dimensions)):
        raise InputError(
            f"components: z has {dimensions} components, so {component + 1} is none of "
            "them"
        )
    check_number(width=width, prominence=prominence)
    check_number(1, distance=distance)
    if not np.isfinite(codes.standardized).all():
        raise InputError(
            f"{sequence.name}: z holds NaN or infinity, so the model is broken; train "
            "it anew"
        )
    numbers = frame_labels["source_frame"]
    order, places_of = curve_places(numbers)
    rank = np.argsort(order)
    found = []
    for component in components:
        curve = smooth_curve(codes.standardized[order, component], places_of, width)
        for kind, sign in (("peak", 1), ("valley", -1)):
            places, about = find_peaks(
                sign * curve, prominence=max(prominence, 1e-9), distance=distance
            )
            for place, height in zip(places, about["prominences"], strict=True):
                # An extreme between two frames belongs to the nearest one.
                position = int(order[np.argmin(np.abs(places_of - place))])
                event = Event(
                    *(sequence.name, sequence.source, int(component), kind, position),
                    source_frame=int(numbers[position]),
                    time=float(frame_labels["time"][position]),
                    z=float(codes.dynamic.mean[position, component]),
                    z_standardized=float(codes.standardized[position, component]),
                    prominence=float(height),
                    motion_explained=motion_explained,
                )
                found.append(event)
    return sorted(found, key=lambda e: (rank[e.position], e.component, e.kind))


def event_intervals(timeline: Timeline, events: Iterable[Event]) -> list[Interval]:
    """Events of a sequence as moments, for `exports.write_intervals`.

    Args:
        timeline: `Timeline` of the sequence.
        events: Its events.

    Returns:
        List of `Interval`: the tier is the component, "z_1", the name "peak" or
        "valley".
    """
    return [
        timeline.interval(
            event.position,
            event.position,
            f"z_{event.component + 1}",
            event.kind,
            moment=True,
            note=f"prominence {event.prominence:.2f}",
        )
        for event in events
    ]


def write_events(
    path: StrPath, events: list[Event], labels: list[dict[str, str]] | None = None
) -> Path:
    """Write events as a table, whole or not at all.

    Args:
        path: File ending in .csv, in a folder that exists.
        events: List of `Event`.
        labels: List of dicts label name → text, one for each event, or `None`.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        InputError: The path cannot be used.
    """
    path = check_output_path(path, (TABLE,))
    labels = labels or [{}] * len(events)
    names = list(dict.fromkeys(name for row in labels for name in row))
    columns = [field.name for field in dataclasses.fields(Event)]
    rows: list[list[object]] = [[*columns, *(f"label:{name}" for name in names)]]
    for event, row in zip(events, labels, strict=True):
        cells = dataclasses.asdict(event)
        cells["component"] += 1
        for name in ("time", "motion_explained"):
            cells[name] = "" if np.isnan(cells[name]) else f"{cells[name]:.3f}"
        for name in ("z", "z_standardized", "prominence"):
            cells[name] = f"{cells[name]:.4f}"
        rows.append([*cells.values(), *(row.get(name, "") for name in names)])
    with replacing(path) as temporary:
        write_table(temporary, rows)
    return path
