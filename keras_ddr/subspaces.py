"""Directions of points that depend on each other as little as possible."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import expm

from keras_ddr.mixture import GaussianMixture

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["find_subspaces", "independent_directions"]

_PER_DIRECTION = 10  # points, at least, and for each Gaussian of a subspace
_MOST_DIRECTIONS = 32
_LEAST = 1e-6  # variance of a direction, as a share of the largest
_STANDS_OUT = 2.0  # variance of a direction, in units of the noise
_STARTS = 5  # of FastICA
_SMALLEST = 1e-9  # variance of a score, as a share of the largest
_OF_NORMAL = 0.3746  # mean of log cosh of a standard normal variable
_BINS = 5  # of a component, to see which depend on each other
# While subspaces are looked for: Gaussians of each, and their smallest variance.
_GAUSSIANS, _FLOOR = 10, 1e-2
# Turns that make subspaces independent: how many; the first and least, in radians.
_ROUNDS, _STEP, _SMALLEST_STEP = 20, 0.1, 1e-3


def find_subspaces(
    points: NDArray[np.float64],
    held_out: NDArray[np.float64],
    seed: int,
    noise: NDArray[np.float64],
) -> tuple[NDArray[np.float64], list[list[int]]]:
    """Find directions of points, and which of them depend on each other.

    Args:
        points: `(n, D)`, centred.
        held_out: Further points `(m, D)`, less the same mean; what explains them best
            decides which directions belong together.
        seed: Of the first guesses.
        noise: Variances `(D,)` of the noise, all positive. Principal components are
            those of points in its units.

    Returns:
        Directions `(D, D)`, and lists of the columns of each subspace. The last list
        holds all directions that do not stand out of the noise, if there are any.

    References:
        Hyvärinen and Oja, "Independent component analysis: algorithms and
        applications", 2000, section 6, for FastICA.
    """
    units = np.sqrt(noise)
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov((points / units).T)))
    variances, axes = variances[::-1], axes[:, ::-1]
    least = max(_LEAST * variances[0], _STANDS_OUT)
    directions = axes / units[:, None] / np.sqrt(np.maximum(variances, least))
    most = min(len(points) // _PER_DIRECTION, _MOST_DIRECTIONS)
    number = min(int((variances > least).sum()), most)
    leading, rest = directions[:, :number], list(range(number, len(axes)))
    groups = [list(range(number))] if number else []
    if number > 1:
        leading = leading @ independent_directions(points @ leading, seed)
        scores = points @ leading
        _, groups = _best_cut(_tree(scores), scores, held_out @ leading, seed)
        directions[:, :number] = leading @ _separating_turn(scores, groups, seed)
    return directions, [*groups, rest] if rest else groups


def _tree(scores: NDArray[np.float64]) -> Any:
    """A tree that joins the components of `(n, k)` which share most information."""
    from scipy.cluster.hierarchy import linkage, to_tree
    from scipy.spatial.distance import squareform

    inner = np.linspace(0, 1, _BINS + 1)[1:-1]
    bins = [np.searchsorted(np.quantile(c, inner), c) for c in scores.T]
    inside = np.eye(_BINS)[np.transpose(bins)]  # (n, k, bins)
    joint = np.einsum("nia,njb->ijab", inside, inside) / len(scores)
    alone = inside.mean(axis=0)
    expected = alone[:, None, :, None] * alone[None, :, None, :]
    ratio = np.maximum(joint, 1e-12) / np.maximum(expected, 1e-12)
    shared = (joint * np.log(ratio)).sum(axis=(2, 3))
    apart = shared.max() - (shared + shared.T) / 2
    np.fill_diagonal(apart, 0)
    return to_tree(linkage(squareform(apart, checks=False), "average"))


def _explained(
    group: list[int],
    scores: NDArray[np.float64],
    held_out: NDArray[np.float64],
    seed: int,
) -> float:
    """Mean log-density of some coordinates of held-out points."""
    fitted = _mixture(scores[:, group], seed)
    return float(fitted.log_prob(held_out[:, group]).mean())


def _mixture(scores: NDArray[np.float64], seed: int) -> GaussianMixture:
    number = min(_GAUSSIANS, len(scores) // _PER_DIRECTION)
    return GaussianMixture.of_size(scores, number, "full", _FLOOR, seed)


def _best_cut(
    node: Any, scores: NDArray[np.float64], held_out: NDArray[np.float64], seed: int
) -> tuple[float, list[list[int]]]:
    """Log-density of held-out scores under the best cut of a tree, and its groups."""
    group = sorted(node.pre_order())
    together = _explained(group, scores, held_out, seed), [group]
    if node.is_leaf():
        return together
    (one, left), (other, right) = (
        _best_cut(part, scores, held_out, seed) for part in (node.left, node.right)
    )
    return max(together, (one + other, left + right))


def _separating_turn(
    scores: NDArray[np.float64], groups: list[list[int]], seed: int
) -> NDArray[np.float64]:
    """The rotation `(k, k)` of scores `(n, k)` that makes groups of them independent.

    FastICA looks at one component at a time. Here mixtures of whole groups and the
    rotation between these climb the likelihood in turns.
    """
    group_of = np.empty(scores.shape[1], int)
    for number, group in enumerate(groups):
        group_of[group] = number
    between = group_of[:, None] != group_of
    turn, step = np.eye(len(group_of)), _STEP
    parts = [_mixture(scores[:, group], seed) for group in groups]
    for _ in range(_ROUNDS if len(groups) > 1 else 0):
        places = scores @ turn
        slopes = np.empty_like(places)
        for part, group in zip(parts, groups, strict=True):
            slopes[:, group] = part.score(places[:, group])
        slope = (places.T @ slopes - slopes.T @ places) * between
        slope /= max(np.linalg.norm(slope), np.finfo(float).tiny)
        before = _log_prob(parts, places, groups)
        while _log_prob(parts, scores @ turn @ expm(step * slope), groups) <= before:
            step /= 2
            if step < _SMALLEST_STEP:
                return turn
        turn, step = turn @ expm(step * slope), 2 * step
        places = scores @ turn
        parts = [
            part.improved(places[:, group], _FLOOR)
            for part, group in zip(parts, groups, strict=True)
        ]
    return turn


def _log_prob(
    parts: list[GaussianMixture], scores: NDArray[np.float64], groups: list[list[int]]
) -> float:
    """Mean log-density of scores of which each group has a mixture."""
    pairs = zip(parts, groups, strict=True)
    return float(sum(part.log_prob(scores[:, group]).mean() for part, group in pairs))


def independent_directions(
    scores: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    """Find directions in which scores are independent, by FastICA.

    Args:
        scores: `(n, k)`, centred.
        seed: Of the starts, of which the one is taken whose components are least
            normal.

    Returns:
        A matrix `(k, k)`; scores times it have variances of 1 and no correlation.
    """
    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    # FastICA's own whitening may lose directions of scores that are white already.
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(scores.T, ddof=0)))
    whitening = axes / np.sqrt(np.maximum(variances, _SMALLEST * variances[-1]))
    white, best, most = scores @ whitening, whitening, -np.inf
    for start in range(_STARTS):
        found = FastICA(whiten=False, random_state=seed * _STARTS + start)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            turn = found.fit(white).components_.T
        contrast = np.log(np.cosh(white @ turn)).mean(axis=0) - _OF_NORMAL
        if np.square(contrast).sum() > most:
            best, most = whitening @ turn, np.square(contrast).sum()
    return best
