"""The plane of z, decoded for several identities side by side (Figure 3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

from keras_ddr.arguments import check_whole
from keras_ddr.errors import InputError
from keras_ddr.visualization.style import (
    FADED,
    Sheet,
    shorten_all,
    styled,
    tiles_size,
    whole_scale,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.gaussian import DiagonalGaussian
    from keras_ddr.sequence_model import Codes
    from keras_ddr.model import DDR

__all__ = ["plot_manifold"]

_LEFT, _BELOW, _BETWEEN, _MARGIN, _GAP, _TITLE_GAP = 160, 110, 40, 30, 2, 16
_TICK = {"color": FADED, "fontsize": 5.5}


@styled
def plot_manifold(
    model: DDR,
    identities: Iterable[Codes | ArrayLike],
    grid: int = 9,
    *,
    components: Sequence[int] = (0, 1),
    quantiles: tuple[float, float] = (0.02, 0.98),
    standardized: bool = True,
    names: Sequence[str] | None = None,
    originals: Sequence[ArrayLike] | None = None,
) -> Figure:
    """Fix f and decode z on a grid, one panel for each identity.

    The grid spans quantiles of p(z | f), z = μ_p + σ_p Φ⁻¹(q), so that it stays where
    the model has mass. The same place in two panels has the same standard score z̃. With
    raw z, as in the paper, it has the same z, and the grid spans what p(z | f) of all
    identities together covers.

    Args:
        model: A trained `DDR`.
        identities: List of `Codes`, or f as an array `(identities, static_dim)`.
        grid: Number of values of each component.
        components: The two components of z that vary; others stay at the prior mean. A
            model with one component shows one row an identity.
        quantiles: First and last quantile of p(z | f) in the grid.
        standardized: Whether the grid is one of z̃, or else of z.
        names: List of titles, or `None`.
        originals: List of a frame `(H, W, C)` of each identity to show beside the
            title, or `None`.

    Returns:
        `matplotlib.figure.Figure`.

    Raises:
        InputError: Nothing to show, or a component or quantile that does not exist.
    """
    static = [_mean_of(f) for f in identities]
    if not static:
        raise InputError("identities is empty; give at least one")
    components = _check_components(components, model.dynamic_dim)
    prior = model.prior_of(np.stack(static))
    if not standardized:
        prior = _together(prior)
    scores = _scores(grid, quantiles)
    images = _decode_grid(model, np.stack(static), prior, scores, components)
    rows, columns = images.shape[1:3]
    shape = model.image_shape
    scale = whole_scale(max(shape[:2]), 0.21 if rows > 1 else 0.42)
    height, width = tiles_size(rows, columns, shape, scale, _GAP)
    small = whole_scale(max(shape[:2]), 0.21)
    header = _TITLE_GAP + max(40, 0 if originals is None else shape[0] * small)
    across = 1 if rows == 1 else min(4, len(images))
    down = -(-len(images) // across)
    sheet = Sheet(
        _LEFT + across * (width + _BETWEEN) - _BETWEEN + _MARGIN,
        _MARGIN + down * (header + height + _BELOW),
    )
    room = width if originals is None else width - shape[1] * small - _TITLE_GAP
    titles = None if names is None else shorten_all(names, room)
    for index, panel in enumerate(images):
        x = _LEFT + (index % across) * (width + _BETWEEN)
        y = _MARGIN + (index // across) * (header + height + _BELOW)
        title = x
        if originals is not None:
            original = np.asarray(originals[index])[None, None]
            sheet.tiles(x, y, original, small, 0)
            title += shape[1] * small + _TITLE_GAP
        if titles is not None:
            middle = y + (header - _TITLE_GAP) / 2
            sheet.text(title, middle, titles[index], weight="bold", parse_math=False)
        sheet.tiles(x, y + header, panel, scale, _GAP)
        texts = [
            _ticks(quantiles) if standardized else _values(prior, scores, component)
            for component in components
        ]
        named = [f"$z_{{{component + 1}}}$" for component in components]
        _label_below(sheet, x, y + header + height, width, named[0], texts[0])
        if rows > 1 and index % across == 0:
            _label_left(sheet, x, y + header, height, named[1], texts[1])
    return sheet.figure


def _together(
    prior: DiagonalGaussian[NDArray[np.float32]],
) -> DiagonalGaussian[NDArray[np.float32]]:
    """Mean and variance of p(z | f) of all identities as one, for each of them."""
    mean = prior.mean.mean(axis=0)
    variance = (prior.variance + np.square(prior.mean - mean)).mean(axis=0)
    each = np.ones_like(prior.mean)
    return type(prior)(mean * each, np.log(variance) * each)


def _mean_of(identity: Codes | ArrayLike) -> NDArray[np.float32]:
    static = getattr(identity, "static", None)
    return np.asarray(identity if static is None else static.mean, dtype="float32")


def _scores(grid: int, quantiles: tuple[float, float]) -> NDArray[np.float64]:
    low, high = quantiles
    if not 0 < low < high < 1:
        raise InputError(
            f"quantiles={tuple(quantiles)}; they must be rising, between 0 and 1"
        )
    check_whole(2, grid=grid)
    return norm.ppf(np.linspace(low, high, grid))


def _check_components(components: Sequence[int], dim: int) -> tuple[int, ...]:
    components = tuple(components)[: min(2, dim)]
    wanted = min(2, dim)
    if len(set(components)) != wanted or not all(0 <= c < dim for c in components):
        raise InputError(
            f"components={components}; choose {wanted} of 0 to {dim - 1}, the "
            "components of z"
        )
    return components


def _decode_grid(
    model: DDR,
    static: NDArray[np.float32],
    prior: DiagonalGaussian[NDArray[np.float32]],
    scores: NDArray[np.float64],
    components: tuple[int, ...],
) -> NDArray[np.float32]:
    """Images `(identities, rows, columns, H, W, C)`; rows go from high to low."""
    grid = len(scores)
    rows = grid if len(components) == 2 else 1
    z = np.zeros((rows, grid, model.dynamic_dim))
    z[..., components[0]] = scores[None, :]
    if rows > 1:
        z[..., components[1]] = scores[::-1, None]
    z = prior.mean[:, None] + prior.stddev[:, None] * z.reshape(1, rows * grid, -1)
    images = model.decode(static, z)
    return images.reshape(len(static), rows, grid, *model.image_shape)


def _label_below(
    sheet: Sheet,
    x: float,
    y: float,
    width: float,
    name: str,
    ticks: list[tuple[float, str]],
) -> None:
    for (place, text), align in zip(ticks, ("left", "center", "right"), strict=True):
        sheet.text(x + place * width, y + 22, text, ha=align, **_TICK)
    sheet.text(x + width / 2, y + 62, name, ha="center")


def _label_left(
    sheet: Sheet,
    x: float,
    y: float,
    height: float,
    name: str,
    ticks: list[tuple[float, str]],
) -> None:
    for (place, text), align in zip(ticks, ("bottom", "center", "top"), strict=True):
        sheet.text(
            x - 12, y + (1 - place) * height, text, ha="right", va=align, **_TICK
        )
    sheet.text(x - 110, y + height / 2, name, ha="center")


def _ticks(quantiles: tuple[float, float]) -> list[tuple[float, str]]:
    low, high = quantiles
    named = ((0.0, low), (0.5, (low + high) / 2), (1.0, high))
    return [(place, f"{100 * quantile:.3g} %") for place, quantile in named]


def _values(
    prior: DiagonalGaussian[NDArray[np.float32]],
    scores: NDArray[np.float64],
    component: int,
) -> list[tuple[float, str]]:
    """Places and values of z at the ends and in the middle of the grid."""
    ends = scores[0], (scores[0] + scores[-1]) / 2, scores[-1]
    mean, stddev = prior.mean[0, component], prior.stddev[0, component]
    return [
        (place, f"{mean + stddev * score:.2g}")
        for place, score in zip((0.0, 0.5, 1.0), ends, strict=True)
    ]
