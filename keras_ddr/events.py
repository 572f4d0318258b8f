"""Moments at which the dynamics of a sequence reach an extreme (the paper, section 4).

A person who looks for expressions in hours of video gets a first list to look at: peaks
and valleys of the smoothed components of z.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from keras_ddr.arguments import check_number
from keras_ddr.errors import InputError
from keras_ddr.files import check_output_path, replacing, write_table

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.codes import Codes
    from keras_ddr.data.store import Sequence
    from keras_ddr.typing import StrPath

__all__ = [
    "COLUMNS",
    "Event",
    "curve_places",
    "find_events",
    "smooth_curve",
    "write_events",
]

# Frames that a longer gap counts as, whatever numbers a store was given.
_LONGEST_GAP = 100

COLUMNS = (
    "sequence",
    "source",
    "component",
    "kind",
    "position",
    "source_frame",
    "time",
    "z",
    "z_standardized",
    "prominence",
)
"""Columns of the table of events, before those of labels."""


@dataclass(frozen=True)
class Event:
    """A peak or a valley of one component of z.

    Attributes:
        sequence: Name of the sequence.
        source: Its source.
        component: Component of z, from 0.
        kind: "peak" or "valley".
        position: Place of the frame in the sequence, from 0.
        source_frame: Number of the frame in the source.
        time: Seconds, or NaN.
        z: The component at that frame.
        standardized: The same of z̃.
        prominence: How far the smoothed curve of z̃ falls (or rises) on both sides
            before it goes beyond the event, in standard scores.
    """

    sequence: str
    source: str
    component: int
    kind: str
    position: int
    source_frame: int
    time: float
    z: float
    standardized: float
    prominence: float


def curve_places(
    source_frame: ArrayLike,
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Places of the frames of a sequence on the axis of a curve.

    Args:
        source_frame: Their numbers in the source `(T,)`. Where one is missing (-1), the
            order of the sequence stands for all.

    Returns:
        `(order, places)`: positions in the sequence by ascending number, and for each
        its distance in frames from the first, ascending. Frames of one number stand
        one after the other, and a gap counts as 100 frames at most.
    """
    numbers = np.asarray(source_frame)
    if (numbers < 0).any():
        numbers = np.arange(len(numbers))
    order = np.argsort(numbers, kind="stable")
    steps = np.clip(np.diff(numbers[order]), 1, _LONGEST_GAP)
    return order, np.concatenate([[0], np.cumsum(steps)])


def smooth_curve(
    values: ArrayLike, places: ArrayLike, width: float = 2.0
) -> NDArray[np.float64]:
    """Smooth a curve `(T,)` whose values lie at ascending places.

    Args:
        values: The curve at the frames of a sequence, `(T,)`.
        places: Their places, ascending. The curve is straight between them.
        width: Standard deviation of the Gaussian window, in frames; 0 for none.

    Returns:
        float64 `(L,)` over all places from the first to the last.
    """
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
) -> list[Event]:
    """Find the peaks and valleys of z over a sequence.

    Args:
        sequence: `Sequence` of a store.
        codes: Its `Codes`, one z for each frame.
        frame_labels: Dict with its `source_frame` (see `curve_places`) and `time`.
        components: Components of z, from 0; all where `None`.
        width: Smoothing in frames, see `smooth_curve`.
        prominence: Least prominence of an event, in standard scores.
        distance: Least distance of two events of one kind and component, in frames;
            the more extreme of two nearer ones stays.

    Returns:
        List of `Event`, by frame.

    Raises:
        InputError: A component does not exist, a number is out of range, or z is not
            finite.
    """
    dimensions = codes.standardized.shape[1]
    components = range(dimensions) if components is None else set(components)
    for component in components:
        if not 0 <= component < dimensions:
            raise InputError(
                f"components: z has {dimensions} components, so {component + 1} is "
                "none of them"
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
                    sequence.name,
                    sequence.source,
                    int(component),
                    kind,
                    position,
                    source_frame=int(numbers[position]),
                    time=float(frame_labels["time"][position]),
                    z=float(codes.dynamic.mean[position, component]),
                    standardized=float(codes.standardized[position, component]),
                    prominence=float(height),
                )
                found.append(event)
    return sorted(found, key=lambda e: (rank[e.position], e.component, e.kind))


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
    path = check_output_path(path, [".csv"])
    labels = labels or [{}] * len(events)
    names = list(dict.fromkeys(name for row in labels for name in row))
    rows: list[list[object]] = [[*COLUMNS, *(f"label:{name}" for name in names)]]
    rows += [
        [
            event.sequence,
            event.source,
            event.component + 1,
            event.kind,
            event.position,
            event.source_frame,
            "" if np.isnan(event.time) else f"{event.time:.3f}",
            f"{event.z:.4f}",
            f"{event.standardized:.4f}",
            f"{event.prominence:.4f}",
            *(row.get(name, "") for name in names),
        ]
        for event, row in zip(events, labels, strict=True)
    ]
    with replacing(path) as temporary:
        write_table(temporary, rows)
    return path
