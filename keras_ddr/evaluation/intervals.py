"""Confidence intervals by resampling whole sequences: Efron's percentile bootstrap.

Frames of one sequence are alike, so that an interval over frames would be too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import Interval

RESAMPLES = 1000  # bootstrap draws
_LEVEL = 0.95
_CELLS = 4_000_000  # of the matrix of counts that is made at a time


def resample(
    sums: ArrayLike,
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    seed: int = 0,
) -> Interval | None:
    """Interval of a statistic of totals `(R, k)`, from sums `(S, k)` over sequences."""
    sums = np.asarray(sums, dtype="float64")
    if len(sums) < 2:
        return None
    values = [statistic(counts @ sums) for counts in draw_counts(len(sums), seed)]
    return quantiles(np.concatenate(values))


def mean_interval(
    values: ArrayLike, groups: ArrayLike | None = None, seed: int = 0
) -> Interval | None:
    """Interval of the mean of items `(n,)`; `groups` are the sequences of them."""
    values = np.asarray(values, dtype="float64")
    groups = np.arange(len(values)) if groups is None else groups
    rows = np.stack([values, np.ones_like(values)], axis=1)
    return resample(group_sums(rows, groups), lambda t: t[:, 0] / t[:, 1], seed)


def pair_interval(
    values: ArrayLike, first: ArrayLike, second: ArrayLike, seed: int = 0
) -> Interval | None:
    """Interval of the mean of items `(n,)` that belong to two sequences each."""
    means = [np.zeros(0)]
    for weights in pair_weights(first, second, seed):
        weights = weights[weights.any(axis=1)]
        means.append(weights @ np.asarray(values, float) / weights.sum(axis=1))
    return quantiles(np.concatenate(means))


def pair_weights(
    first: ArrayLike, second: ArrayLike, seed: int
) -> Iterator[NDArray[np.float64]]:
    """How often pairs count, `(R, n)` a chunk: draws of their sequences, multiplied."""
    found, places = np.unique(np.stack([first, second]), return_inverse=True)
    first, second = places.reshape(2, -1)
    if len(found) < 3:
        return  # a draw of two holds one pair or none
    for counts in draw_counts(len(found), seed, columns=len(first)):
        drawn = counts[:, first]
        yield np.where(first == second, drawn, drawn * counts[:, second])


def group_sums(rows: ArrayLike, groups: ArrayLike) -> NDArray[np.float64]:
    """Sums `(groups, k)` of rows `(n, k)` by group, in the order of `numpy.unique`."""
    found, places = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(found), np.shape(rows)[1]))
    np.add.at(sums, places, rows)
    return sums


def draw_counts(
    number: int, seed: int, columns: int = 0
) -> Iterator[NDArray[np.float64]]:
    """How often each sequence is drawn, `(R, number)`, in chunks for `columns`."""
    generator = np.random.default_rng(seed)
    chunk = max(1, _CELLS // max(number, columns))
    for start in range(0, RESAMPLES, chunk):
        size = min(chunk, RESAMPLES - start)
        shares = np.full(number, 1 / number)
        yield generator.multinomial(number, shares, size=size).astype("float64")


def quantiles(values: NDArray[Any]) -> Interval | None:
    """The 95 % interval `(low, high)` of resampled values; `None` if none is finite."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.quantile(values, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)
