"""Values of any range become 8 bits, by one pair of limits for many frames."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

# (low, high), which become 0 and 255; one for all channels, or one for each.
Limits: TypeAlias = tuple[tuple[float, float], ...]

MOST_FRAMES = 256  # looked at for percentiles, at equal distances
_MOST_VALUES = 1 << 14  # of a frame and channel, at equal distances
_ROWS = 256  # rows of a picture converted at a time


class Bound(NamedTuple):
    """An end of a scale: a value, or a percentile of the values."""

    number: float
    percent: bool = False


# Outside it lies one pixel in ten thousand: hot ones, but hardly an object.
PERCENTILE = Bound(0.01, True), Bound(99.99, True)


def parse_scale(text: str) -> tuple[Bound, Bound] | None:
    """The ends in words: "percentile", "LOW:HIGH", either a percentile with "%".

    None for "range", which is that of the type of the values.
    """
    if text == "range":
        return None
    if text == "percentile":
        return PERCENTILE
    parts = text.split(":")
    bounds = [_bound(part.strip()) for part in parts]
    known = [bound for bound in bounds if bound is not None]
    if len(bounds) != 2 or len(known) != 2:
        raise InputError(
            f"scale={text!r}; use range, percentile, or LOW:HIGH such as 100:4095 or "
            "1%:99.8%"
        )
    low, high = known
    if low.percent == high.percent and low.number >= high.number:
        raise InputError(f"scale={text!r}; the second number must be above the first")
    return low, high


def _bound(text: str) -> Bound | None:
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        return None
    percent = text.endswith("%")
    if not math.isfinite(number) or (percent and not 0 <= number <= 100):
        return None
    return Bound(number, percent)


def bounds_for(scale: str | None, dtype: DTypeLike) -> tuple[Bound, Bound] | None:
    """The ends of a scale in words for a type; None for all that the type can hold.

    Where nothing is said, 8 bits stay as they are and all else is "percentile".
    """
    if scale is None:
        plain = np.dtype(dtype) in (np.dtype(np.uint8), np.dtype(bool))
        return None if plain else PERCENTILE
    return parse_scale(scale)


def full_range(dtype: DTypeLike) -> tuple[float, float]:
    """All that a type can hold; of floats 0 to 1."""
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        about = np.iinfo(dtype)
        return float(about.min), float(about.max)
    return 0.0, 1.0


class Sample:
    """Values of many frames, as many as a percentile needs, and their extremes."""

    def __init__(self) -> None:
        self._parts: list[list[NDArray[Any]]] = []  # of each channel
        self._dtype: np.dtype[Any] = np.dtype(float)
        self._ends: list[tuple[float, float]] = []

    def add(self, frame: NDArray[Any], apart: bool = False) -> None:
        """Add a frame (H, W) or (H, W, C); `apart`: its channels have own limits."""
        channels = np.moveaxis(frame, -1, 0) if apart else [frame]
        self._dtype = frame.dtype
        for number, values in enumerate(channels):
            if number == len(self._parts):
                self._parts.append([])
                self._ends.append((math.inf, -math.inf))
            flat = np.ravel(values)
            if flat.dtype.kind == "f":
                flat = flat[np.isfinite(flat)]
            if not flat.size:
                continue
            low, high = self._ends[number]
            low, high = min(low, float(flat.min())), max(high, float(flat.max()))
            self._ends[number] = low, high
            # An odd distance, so that not always the same columns are seen.
            self._parts[number].append(flat[:: flat.size // _MOST_VALUES | 1].copy())

    def limits(self, low: Bound, high: Bound) -> Limits | None:
        """The limits between two bounds; of values all alike, those of their type."""
        found = [self._between(n, low, high) for n in range(len(self._parts))]
        return tuple(found) or None

    def _between(self, number: int, low: Bound, high: Bound) -> tuple[float, float]:
        parts = self._parts[number]
        if not parts:
            return full_range(self._dtype)
        values = np.concatenate(parts)
        ends = dict(zip((0, 100), self._ends[number], strict=True))

        def value(bound: Bound) -> float:
            if not bound.percent:
                return bound.number
            if bound.number in ends:
                return ends[int(bound.number)]
            return float(np.percentile(values, bound.number))

        found = value(low), value(high)
        if self._dtype.kind in "iu":
            found = math.floor(found[0]), math.ceil(found[1])
        # Little may differ from a ground that fills nearly all.
        if found[0] >= found[1] and low.percent and high.percent:
            found = self._ends[number]
        return found if found[0] < found[1] else full_range(self._dtype)


def widest(limits: Sequence[Limits]) -> Limits:
    """Limits that hold all others, channel by channel."""
    most = max(map(len, limits), default=0)
    whole = [each for each in limits if len(each) == most]
    return tuple(
        (min(low for low, _ in pairs), max(high for _, high in pairs))
        for pairs in zip(*whole, strict=True)
    )


def as_8_bits(values: NDArray[Any], limits: Limits | None) -> NDArray[np.uint8]:
    """Values (H, W) or (H, W, C) between limits as 0 to 255, NaN as 0.

    Without limits 8 bits stay as they are, truth is white, and other types have their
    full range.
    """
    if limits is None:
        if values.dtype == np.uint8:
            return values
        if values.dtype == bool:
            return np.where(values, np.uint8(255), np.uint8(0))
        limits = (full_range(values.dtype),)
    if values.dtype.kind in "iu" and values.dtype.itemsize == 2 and len(limits) == 1:
        # Each value once, not each pixel.
        return _table(values.dtype.kind, limits)[values.astype("=u2", copy=False)]
    return _spread(values, limits)


@functools.lru_cache(maxsize=8)
def _table(kind: str, limits: Limits) -> NDArray[np.uint8]:
    """What each value of 16 bits becomes."""
    values = np.arange(1 << 16, dtype=np.uint16).view(f"{kind}2")
    return _spread(values, limits)


def _spread(values: NDArray[Any], limits: Limits) -> NDArray[np.uint8]:
    low, high = np.array(limits, np.float64).T
    if len(limits) == 1:
        low, high = low[0], high[0]
    result = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), _ROWS):
        part = (values[start : start + _ROWS].astype(np.float64) - low) / (high - low)
        part = np.nan_to_num(np.clip(part, 0, 1)) * 255
        result[start : start + _ROWS] = np.rint(part)
    return result
