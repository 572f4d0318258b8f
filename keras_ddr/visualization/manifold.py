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

    from keras_ddr.codes import Codes
    from keras_ddr.sequence_model import SequenceModel

__all__ = ["plot_manifold"]

_LEFT, _BELOW, _BETWEEN, _MARGIN, _GAP, _TITLE_GAP = 160, 110, 40, 30, 2, 16
_TICK = {"color": FADED, "fontsize": 5.5}
# Ticks: share of an axis, and alignment on one to the right and on one upwards.
_PLACES = (0.0, "left", "bottom"), (0.5, "center", "center"), (1.0, "right", "top")


@styled
def plot_manifold(
    model: SequenceModel,
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

    The same place in two panels has the same z̃. With the model's fitted density of z̃
    the grid follows the frames: columns are quantiles of the first component, rows are
    quantiles of the second given the first. Without one it spans quantiles of p(z | f),
    z̃ = Φ⁻¹(q), whose corners may hold nothing. With raw z, as in the paper, the same
    place has the same z, and the grid spans p(z | f) of all identities together.

    Args:
        model: A trained `SequenceModel`.
        identities: List of `Codes`, or f as an array `(identities, static_dim)`.
        grid: Number of values of each component.
        components: The two components of z that vary. Others stay at the prior mean, or
            take values that are likely with these two. A model with one component shows
            one row an identity.
        quantiles: First and last quantile in the grid.
        standardized: Whether the grid is one of z̃, or else of z.
        names: List of titles, or `None`.
        originals: List of a frame `(H, W, C)` of each identity to show beside the
            title, or `None`.

    Raises:
        InputError: Nothing to show, or a component or quantile that does not exist.
    """
    codes = [f.static.mean if hasattr(f, "static") else f for f in identities]
    if not codes:
        raise InputError("identities is empty; give at least one")
    static = np.stack(codes).astype("float32")
    components = check_components(components, model.dynamic_dim)
    shares = _shares(grid, quantiles)
    quantile_scores = norm.ppf(shares)
    fitted = model.densities if standardized else None
    if fitted is not None:
        scores = fitted.dynamic.grid(shares, components)
    else:
        scores = grid_scores(quantile_scores, components, model.dynamic_dim)
    scores = scores.reshape(-1, model.dynamic_dim)
    texts = [_ticks(quantiles)] * 2
    if standardized:
        z = model.unstandardize(static[:, None], scores)
    else:
        mean, stddev = _together(model, static)
        z = mean + stddev * scores
        ends = quantile_scores[0], quantile_scores[[0, -1]].mean(), quantile_scores[-1]
        texts = [
            [f"{mean[c] + stddev[c] * score:.2g}" for score in ends] for c in components
        ]
    rows = grid if len(components) == 2 else 1
    images = model.decode(static[:, None], z)
    images = images.reshape(len(static), rows, grid, *model.image_shape)
    named = [f"$z_{{{component + 1}}}$" for component in components]
    return _draw(images, list(zip(named, texts, strict=False)), names, originals)


def _draw(
    images: NDArray[np.float32],
    axes: list[tuple[str, list[str]]],
    names: Sequence[str] | None,
    originals: Sequence[ArrayLike] | None,
) -> Figure:
    """Panels of images `(identities, rows, columns, H, W, C)`, titles and axes."""
    rows, columns = images.shape[1:3]
    shape = images.shape[3:]
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
    beside = 0 if originals is None else shape[1] * small + _TITLE_GAP
    titles = None if names is None else shorten_all(names, width - beside)
    for index, panel in enumerate(images):
        x = _LEFT + (index % across) * (width + _BETWEEN)
        y = _MARGIN + (index // across) * (header + height + _BELOW)
        if originals is not None:
            sheet.tiles(x, y, np.asarray(originals[index])[None, None], small, 0)
        if titles is not None:
            sheet.title(x + beside, y + (header - _TITLE_GAP) / 2, titles[index])
        top = y + header
        sheet.tiles(x, top, panel, scale, _GAP)
        name, ticks = axes[0]
        below = top + height
        for text, (share, align, _) in zip(ticks, _PLACES, strict=True):
            sheet.text(x + share * width, below + 22, text, ha=align, **_TICK)
        sheet.text(x + width / 2, below + 62, name, ha="center")
        if rows > 1 and index % across == 0:
            name, ticks = axes[1]
            for text, (share, _, align) in zip(ticks, _PLACES, strict=True):
                place = top + (1 - share) * height
                sheet.text(x - 12, place, text, ha="right", va=align, **_TICK)
            sheet.text(x - 110, top + height / 2, name, ha="center")
    return sheet.figure


def _together(
    model: SequenceModel, static: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of p(z | f) of all identities as one."""
    zeros = np.zeros((len(static), model.dynamic_dim), "float32")
    means = model.unstandardize(static, zeros)
    deviations = model.unstandardize(static, zeros + 1) - means
    mean = means.mean(axis=0)
    variance = (np.square(deviations) + np.square(means - mean)).mean(axis=0)
    return mean, np.sqrt(variance)


def _shares(grid: int, quantiles: tuple[float, float]) -> NDArray[np.float64]:
    """Evenly spread quantiles."""
    low, high = quantiles
    if not 0 < low < high < 1:
        raise InputError(
            f"quantiles={tuple(quantiles)}; they must be rising, between 0 and 1"
        )
    check_whole(2, grid=grid)
    return np.linspace(low, high, grid)


def check_components(components: Sequence[int], dim: int) -> tuple[int, ...]:
    """Components that vary: two, or the only one."""
    wanted = min(2, dim)
    components = tuple(components)[:wanted]
    if len(set(components)) != wanted or not all(0 <= c < dim for c in components):
        raise InputError(
            f"components={components}; choose {wanted} of 0 to {dim - 1}, the "
            "components of z"
        )
    return components


def grid_scores(
    scores: NDArray[np.floating], components: tuple[int, ...], dim: int
) -> NDArray[np.float32]:
    """z̃ `(rows, columns, dim)` of one or two components; rows go from high to low."""
    rows = len(scores) if len(components) == 2 else 1
    z = np.zeros((rows, len(scores), dim), "float32")
    z[..., components[0]] = scores
    if rows > 1:
        z[..., components[1]] = scores[::-1, None]
    return z


def _ticks(quantiles: tuple[float, float]) -> list[str]:
    low, high = quantiles
    return [f"{100 * share:.3g} %" for share in (low, (low + high) / 2, high)]
