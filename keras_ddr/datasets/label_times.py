"""Times in tables of labels, and the frames that they mean."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keras_ddr.data.timing import frame_durations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import LabelValue

# Tables and time stamps are rounded to milliseconds, so that a time and the frame
# that it was taken from may be a millisecond apart.
_ROUNDED = 1e-3
# No recording lasts for more digits of seconds.
_CLOCK = re.compile(r"(?:(?:(\d{1,6}):)?([0-5]?\d):)?(\d{1,9}(?:[.,]\d*)?|[.,]\d+)")


def seconds(text: str, decimal_comma: bool) -> float | None:
    """Seconds of "12.5", "1:12.5" or "0:01:12.5", or None where it is no time."""
    match = _CLOCK.fullmatch(text)
    if match is None or ("," in text and not decimal_comma and ":" not in text):
        return None
    hours, minutes, rest = match.groups()
    value = float(rest.replace(",", "."))
    if minutes is not None and value >= 60:
        return None
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + value


class Span(NamedTuple):
    """A value from a time to another one, or at one moment, in seconds."""

    start: float
    end: float
    value: LabelValue
    line: int  # of the table


def joined(spans: Iterable[Span]) -> tuple[list[Span], tuple[Span, Span] | None]:
    """Spans in order, equal ones that overlap as one; two that cannot both be true."""
    result: list[Span] = []
    for span in sorted(spans, key=lambda span: span[:2]):
        last = result[-1] if result else span
        apart = span.start >= last.end - _ROUNDED and span.start > last.start
        if not result or apart:
            result.append(span)
        elif span.value != last.value:
            return result, (last, span)
        else:
            result[-1] = last._replace(end=max(last.end, span.end))
    return result, None


def places(
    spans: list[Span], numbers: NDArray[np.integer], times: NDArray[np.floating]
) -> dict[int, LabelValue]:
    """Values by the places of the frames with these numbers and times `(T,)`.

    A span labels the frames from its start to before its end. A moment labels the frame
    that is shown then; of several moments the first counts.
    """
    found: dict[int, LabelValue] = {}
    moments = [span for span in spans if span.start == span.end]
    begins = np.array([span.start for span in moments]) + _ROUNDED
    shown = np.searchsorted(times, begins, "right") - 1
    ends = times + frame_durations(numbers, times) + _ROUNDED
    for place, begin, span in zip(shown.tolist(), begins, moments, strict=True):
        if place >= 0 and begin < ends[place]:
            found.setdefault(place, span.value)
    long = [span for span in spans if span.start < span.end]
    bounds = np.array([span[:2] for span in long]).reshape(-1, 2) - _ROUNDED
    first, last = np.searchsorted(times, bounds).T.tolist()
    for begin, end, span in zip(first, last, long, strict=True):
        found.update(dict.fromkeys(range(begin, end), span.value))
    return found
