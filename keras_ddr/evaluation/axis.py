"""MIG and DCI: does each component of z stand for one factor?

Both assume one factor for each component, so that they are measured only where a store
has as many continuous factors of frames as z has components.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mutual_info_score

from keras_ddr.errors import InputError
from keras_ddr.evaluation.probes import r_squared

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.data.labels import Label

__all__ = [
    "BINS",
    "AxisScore",
    "dci",
    "discretize",
    "frame_factors",
    "mutual_information_gap",
    "score_axes",
]

BINS = 20
"""Intervals of equal width that values are sorted into."""
_ITEMS = 5000  # that a forest is fitted on
_TREES, _DEPTH = 20, 12


@dataclasses.dataclass(frozen=True)
class AxisScore:
    """MIG and DCI of one code.

    Attributes:
        mig: Mean over the factors of the gap between the two components that say most
            of it, as a share of its entropy; in [0, 1].
        gaps: Dict factor → its gap.
        disentanglement: Whether each component serves one factor, in [0, 1]; `None`
            with one factor.
        completeness: Whether each factor is served by one component, in [0, 1]; `None`
            with one component.
        informativeness: Dict factor → R² of a forest on other persons.
        importance: Share of each factor's prediction that falls on each component,
            list of rows `[factor][component]`; rows sum to 1 where anything was found.
    """

    mig: float
    gaps: dict[str, float]
    disentanglement: float | None
    completeness: float | None
    informativeness: dict[str, float]
    importance: list[list[float]]


def frame_factors(labels: Mapping[str, Label], dynamic_dim: int) -> list[str]:
    """Names of the factors of frames that the components of z may stand for.

    Args:
        labels: Dict name → `Label`, as in `store.content_labels`.
        dynamic_dim: Number of components of z.

    Returns:
        List of `dynamic_dim` names.

    Raises:
        InputError: There are not as many continuous frame labels.
    """
    names = [
        name
        for name, label in labels.items()
        if label.scope == "frame" and label.kind == "continuous"
    ]
    if len(names) != dynamic_dim:
        raise InputError(
            f"takes as many continuous frame labels as z has components; here are "
            f"{len(names)} and {dynamic_dim}"
        )
    return names


def score_axes(
    fit_codes: NDArray[Any],
    fit_factors: Mapping[str, ArrayLike],
    test_codes: NDArray[Any],
    test_factors: Mapping[str, ArrayLike],
    seed: int = 0,
) -> tuple[AxisScore, list[str]]:
    """MIG and DCI of codes.

    Args:
        fit_codes: `(n, dim)`, for the forests of DCI.
        fit_factors: Dict name → values `(n,)`, NaN where missing.
        test_codes: `(m, dim)` of persons that are not among those fitted on.
        test_factors: Dict with the same names → values `(m,)`.
        seed: Of the choice of items and of the forests.

    Returns:
        `AxisScore`, and the list of factors that are constant and were left out.

    Raises:
        InputError: No factor varies, or no item has all of them.
    """
    fit_codes, fit_factors = _complete(fit_codes, fit_factors)
    test_codes, test_factors = _complete(test_codes, test_factors)
    if not len(fit_codes) or not len(test_codes):
        raise InputError("no frame has all factors")
    constant = [
        name
        for name in fit_factors
        if min(np.ptp(fit_factors[name]), np.ptp(test_factors[name])) == 0
    ]
    names = [name for name in fit_factors if name not in constant]
    if not names:
        raise InputError("no factor varies")
    gaps = {n: mutual_information_gap(test_codes, test_factors[n]) for n in names}
    disentanglement, completeness, information, importance = dci(
        fit_codes,
        np.stack([fit_factors[name] for name in names], axis=1),
        test_codes,
        np.stack([test_factors[name] for name in names], axis=1),
        seed,
    )
    score = AxisScore(
        mig=float(np.mean(list(gaps.values()))),
        gaps=gaps,
        disentanglement=disentanglement,
        completeness=completeness,
        informativeness=dict(zip(names, information, strict=True)),
        importance=importance,
    )
    return score, constant


def mutual_information_gap(codes: ArrayLike, factor: ArrayLike) -> float:
    """Gap between the two components that tell most of a factor.

    Args:
        codes: `(n, dim)`; each component is put into 20 bins of equal width.
        factor: Values `(n,)`, not constant; into 20 bins where there are more.

    Returns:
        (I₁ − I₂) / H(factor) in [0, 1], of the empirical distributions; I₂ = 0 where
        there is one component.

    Raises:
        InputError: The factor is constant, or has another length than the codes.

    References:
        Chen, Li, Grosse and Duvenaud, "Isolating sources of disentanglement in
        variational autoencoders", 2018.
    """
    found, places = np.unique(factor, return_inverse=True)
    if len(places) != len(np.asarray(codes)):
        raise InputError(
            f"factor has {len(places)} values for {len(np.asarray(codes))} codes; give "
            "one each"
        )
    if len(found) < 2:
        raise InputError("factor is constant, so that codes cannot tell of it")
    factor = discretize(factor) if len(found) > BINS else places
    entropy = mutual_info_score(factor, factor)
    known = [
        mutual_info_score(discretize(part), factor) for part in np.transpose(codes)
    ]
    first, second = sorted([*known, 0.0], reverse=True)[:2]
    return float(np.clip((first - second) / entropy, 0.0, 1.0))


def discretize(values: ArrayLike, bins: int = BINS) -> NDArray[np.int64]:
    """Number of the bin, 0 to `bins` − 1, of equal width over the range of `values`."""
    values = np.asarray(values, "float64")
    low, high = values.min(), values.max()
    if not high > low:
        return np.zeros(len(values), "int64")
    places = np.floor((values - low) / (high - low) * bins).astype("int64")
    return np.minimum(places, bins - 1)


def dci(
    fit_codes: NDArray[Any],
    fit_factors: NDArray[Any],
    test_codes: NDArray[Any],
    test_factors: NDArray[Any],
    seed: int = 0,
) -> tuple[float | None, float | None, list[float], list[list[float]]]:
    """Disentanglement, completeness and informativeness, with random forests.

    Args:
        fit_codes: `(n, dim)`.
        fit_factors: `(n, factors)`.
        test_codes: `(m, dim)`.
        test_factors: `(m, factors)`.
        seed: Of the choice of at most 5000 items and of the forests.

    Returns:
        Tuple: disentanglement in [0, 1] or `None` with one factor; completeness in
        [0, 1] or `None` with one component; R² of each factor, a list; the importance
        `[factor][component]`, lists.

    References:
        Eastwood and Williams, "A framework for the quantitative evaluation of
        disentangled representations", 2018.
    """
    generator = np.random.default_rng(seed)
    chosen = generator.permutation(len(fit_codes))[:_ITEMS]
    importance, information = [], []
    for fit, test in zip(fit_factors.T, test_factors.T, strict=True):
        forest = RandomForestRegressor(_TREES, max_depth=_DEPTH, random_state=seed)
        forest.fit(fit_codes[chosen], fit[chosen])
        importance.append(forest.feature_importances_)
        information.append(r_squared(test, forest.predict(test_codes)))
    importance = np.stack(importance)
    return (
        _concentration(importance.T),
        _concentration(importance),
        information,
        importance.tolist(),
    )


def _concentration(importance: NDArray[np.float64]) -> float | None:
    """1 − entropy of the rows, in units of its largest value, weighted by their sums.

    `None` where rows have one entry; 0 where there is nothing.
    """
    number = importance.shape[1]
    if number < 2:
        return None
    sums = importance.sum(axis=1, keepdims=True)
    shares = importance / np.where(sums > 0, sums, 1.0)
    logarithms = np.log(np.where(shares > 0, shares, 1.0))
    values = 1.0 + (shares * logarithms).sum(axis=1) / np.log(number)
    total = sums.sum()
    return float((values * sums[:, 0]).sum() / total) if total > 0 else 0.0


def _complete(
    codes: NDArray[Any], factors: Mapping[str, ArrayLike]
) -> tuple[NDArray[Any], dict[str, NDArray[np.float64]]]:
    """Items that have all factors."""
    values = {name: np.asarray(factor, np.float64) for name, factor in factors.items()}
    present = np.all([np.isfinite(value) for value in values.values()], axis=0)
    return codes[present], {name: value[present] for name, value in values.items()}
