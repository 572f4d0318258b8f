"""Planes of z̃: where frames lie, and the places whose pictures a page holds."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.mixture import GaussianMixture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from keras_ddr.sequence_model import SequenceModel

_MOST_COMPONENTS = 4  # of z, those that change most, that planes are made of
_GRIDS = range(41, 3, -2)  # places along an axis
_SHADES = 48  # along an axis
_LEVELS = 99  # of a shade
_REST = 0.02  # of the mass, where frames lie too thinly for a picture
_ENDS = (0.005, 0.995)  # quantiles that an axis spans
_MARGIN = 1.08  # that the span is widened by
_LEAST = 0.5  # standard scores to either side of the middle
_SMOOTHED = 0.04  # standard deviation of what a density is smoothed with, of an axis
_POINTS = 600  # frames that a density is fitted to, where the model has none
_IDENTITIES = 3  # whose pictures tell how much a component changes
_APART = 1.5  # standard scores to either side, for that


@dataclasses.dataclass(frozen=True)
class Plane:
    """One or two components of z̃, and places on a grid over them.

    Attributes:
        axes: The components.
        low: Value of each at the first column and the lowest row.
        high: At the last column and the highest row.
        grid: Columns, and rows of two components.
        scores: z̃ `(n, D)` of the places that have a picture.
        pictures: Picture at each place of the grid `(rows · columns,)`, the nearest one
            where frames do not lie; rows go from high to low.
        shade: `(rows, columns)` of another grid, whole numbers to 99: the share, in
            percent, of the mass at places where the density is no higher.
    """

    axes: tuple[int, ...]
    low: list[float]
    high: list[float]
    grid: int
    scores: NDArray[np.float32]
    pictures: NDArray[np.integer]
    shade: NDArray[np.integer]

    def to_json(self) -> dict[str, Any]:
        """All but the scores, as plain values."""
        return {
            "axes": list(self.axes),
            "low": self.low,
            "high": self.high,
            "grid": self.grid,
            "pictures": self.pictures.tolist(),
            "shade": self.shade.tolist(),
        }


def fitted_density(
    scores: NDArray[np.floating], fitted: GaussianMixture | None
) -> GaussianMixture:
    """The density of z̃ of the model, or one of the frames that are shown."""
    if fitted is not None:
        return fitted
    some = scores[:: -(-len(scores) // _POINTS)]
    return GaussianMixture.fit(some[::2], some[1::2])


def pairs_of_components(
    model: SequenceModel, static: Sequence[NDArray[np.float32]]
) -> list[tuple[int, ...]]:
    """Pairs of the components of z̃ that change pictures most, or the only one.

    Args:
        model: A trained `SequenceModel`.
        static: f of identities.
    """
    ends = _APART * np.eye(model.dynamic_dim, dtype="float32")
    change = np.zeros(model.dynamic_dim)
    for f in static[:_IDENTITIES]:
        high, low = (model.decode(f, model.unstandardize(f, z)) for z in (ends, -ends))
        change += np.square(high - low).mean(axis=(1, 2, 3))
    order = np.argsort(-change, kind="stable")[:_MOST_COMPONENTS]
    pairs = itertools.combinations(order.tolist(), min(2, len(order)))
    return [tuple(sorted(pair)) for pair in pairs]


def make_plane(
    density: GaussianMixture,
    axes: Sequence[int],
    scores: NDArray[np.floating],
    most: int,
) -> Plane:
    """The plane of these components with as fine a grid as `most` pictures allow.

    Args:
        density: Of z̃.
        axes: One or two components of z̃.
        scores: z̃ `(T, D)` of all frames that are shown.
        most: Pictures.
    """
    marginal = density.marginal(axes)
    points = np.asarray(scores, "float64")[:, list(axes)]
    low, high = _ends(marginal, points)
    # A picture has its use near frames as well.
    wider = np.diag(np.square(_SMOOTHED * (high - low)))
    marginal = dataclasses.replace(marginal, covariances=marginal.covariances + wider)
    fine = _places(low, high, _SHADES)
    values = marginal.log_prob(fine)
    least, levels = _levels(values)
    for grid in _GRIDS:
        places = _places(low, high, grid)
        kept = marginal.log_prob(places) >= least
        kept[_nearest(points, low, high, grid)] = True
        if kept.sum() <= most:
            break
    # In units of a step, so that the nearest is so for the eye.
    unit = (high - low) / (grid - 1)
    apart = np.square((places[:, None] - places[kept]) / unit).sum(axis=-1)
    return Plane(
        *(tuple(axes), low.tolist(), high.tolist(), grid),
        scores=density.completed(places[kept], axes),
        pictures=apart.argmin(axis=1),
        shade=levels.reshape(-1, _SHADES),
    )


def _ends(
    marginal: GaussianMixture, points: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where axes begin and end: nearly all frames lie between."""
    spans = []
    for axis in range(marginal.dim):
        low, high = marginal.marginal([axis]).quantiles(_ENDS)
        # All that are shown, but for some that are far off.
        far, shown = (high - low) / 4, points[:, axis]
        low = min(low, max(shown.min(), low - far))
        high = max(high, min(shown.max(), high + far))
        middle, half = (low + high) / 2, max((high - low) / 2 * _MARGIN, _LEAST)
        spans.append((middle - half, middle + half))
    low, high = np.round(np.array(spans).T, 4)
    return low, high


def _places(
    low: NDArray[np.float64], high: NDArray[np.float64], grid: int
) -> NDArray[np.float64]:
    """Places of a grid `(n, 1 or 2)`; rows go from high to low."""
    columns = np.linspace(low[0], high[0], grid)
    if len(low) == 1:
        return columns[:, None]
    rows = np.linspace(high[1], low[1], grid)
    return np.stack([np.tile(columns, grid), np.repeat(rows, grid)], axis=1)


def _nearest(
    points: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    grid: int,
) -> NDArray[np.integer]:
    """The place on the grid nearest to each point."""
    steps = np.round((points - low) / (high - low) * (grid - 1)).astype(int)
    steps = np.clip(steps, 0, grid - 1)
    if len(low) == 1:
        return steps[:, 0]
    return (grid - 1 - steps[:, 1]) * grid + steps[:, 0]


def _levels(values: NDArray[np.float64]) -> tuple[float, NDArray[np.integer]]:
    """The log-density below which hardly a frame lies, and the shade at each place."""
    order = np.argsort(values)
    mass = np.exp(values[order] - values.max())
    share = np.cumsum(mass) / mass.sum()
    levels = np.empty(len(values), int)
    levels[order] = np.floor(share * _LEVELS)
    return float(values[order[np.searchsorted(share, _REST)]]), levels
