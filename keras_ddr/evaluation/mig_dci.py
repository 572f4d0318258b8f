"""MIG and DCI: does each component of z stand for one factor?

Both assume one factor for each component, so that they are measured only where a store
has as many continuous factors of frames as z has components.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.evaluation.measure import Measure, Skipped
from keras_ddr.evaluation.text_table import aligned, number, numbers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.data.labels import Label
    from keras_ddr.evaluation.measure import Material

__all__ = ["Axis", "AxisScore", "dci", "mutual_information_gap", "score_axes"]

_BINS = 20  # of equal width
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


@dataclasses.dataclass(frozen=True)
class Axis(Measure):
    """MIG and DCI of z and z̃: a dict code → `AxisScore`."""

    name = "axis"
    about = "MIG and DCI: one component of z for each factor?"
    needs = frozenset({"codes", "fit", "fit codes"})

    def run(self, material: Material) -> dict[str, AxisScore]:
        """See `Measure`."""
        labels = material.store.content_labels
        names = _factors(labels, material.model.dynamic_dim)
        fit, test = material.fit, material.test
        factors = [
            {name: _finite(labels[name], part.frame_values(name)) for name in names}
            for part in (fit, test)
        ]
        scores = {}
        for code in ("z", "z~"):
            codes = fit.frame_codes[code], test.frame_codes[code]
            scores[code], constant = score_axes(codes, factors, material.seed)
        material.skipped.extend(
            Skipped(f"axis of {name}", "the factor does not vary") for name in constant
        )
        return scores

    def lines(self, score: Mapping[str, AxisScore]) -> list[str]:
        """See `Measure`."""
        names, scores = list(score["z"].gaps), score.values()
        rows = [["MIG", *(number(s.mig) for s in scores)]]
        rows += [[f"  {n}", *(number(s.gaps[n]) for s in scores)] for n in names]
        rows += [
            ["DCI disentanglement", *numbers(s.disentanglement for s in scores)],
            ["DCI completeness", *numbers(s.completeness for s in scores)],
        ]
        rows += [
            [
                f"DCI informativeness, R² of {name}",
                *numbers(s.informativeness[name] for s in scores),
            ]
            for name in names
        ]
        return [
            "Axes: one component of z for each factor? 1 is perfect.",
            *aligned(["measure", *score], rows),
        ]


def _factors(labels: Mapping[str, Label], dynamic_dim: int) -> list[str]:
    """Names of the factors of frames that the components of z may stand for."""
    names = [
        name
        for name, label in labels.items()
        if (label.scope, label.kind) == ("frame", "continuous")
    ]
    if len(names) != dynamic_dim:
        raise InputError(
            f"takes as many continuous frame labels as z has components; here are "
            f"{len(names)} and {dynamic_dim}"
        )
    return names


def score_axes(
    codes: Sequence[NDArray[Any]],
    factors: Sequence[Mapping[str, ArrayLike]],
    seed: int = 0,
) -> tuple[AxisScore, list[str]]:
    """MIG and DCI, and the names of constant factors, which are left out.

    `codes` are the two `(n, dim)` to fit on and to score on; `factors` are dicts name →
    values `(n,)` of each, NaN where missing.
    """
    found = [_complete(*part) for part in zip(codes, factors, strict=True)]
    if not all(len(part) for part, _ in found):
        raise InputError("no frame has all factors")
    ranges = {
        name: min(np.ptp(values[name]) for _, values in found) for name in factors[0]
    }
    names = [name for name in ranges if ranges[name] > 0]
    if not names:
        raise InputError("no factor varies")
    (fit_codes, fit_factors), (test_codes, test_factors) = found
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
    return score, [name for name in ranges if name not in names]


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
    from sklearn.metrics import mutual_info_score

    found, places = np.unique(factor, return_inverse=True)
    if len(places) != len(np.asarray(codes)):
        raise InputError(
            f"factor has {len(places)} values for {len(np.asarray(codes))} codes; give "
            "one each"
        )
    if len(found) < 2:
        raise InputError("factor is constant, so that codes cannot tell of it")
    factor = _discretize(factor) if len(found) > _BINS else places
    entropy = mutual_info_score(factor, factor)
    known = [
        mutual_info_score(_discretize(part), factor) for part in np.transpose(codes)
    ]
    first, second = sorted([*known, 0.0], reverse=True)[:2]
    return float(np.clip((first - second) / entropy, 0.0, 1.0))


def _discretize(values: ArrayLike, bins: int = _BINS) -> NDArray[np.int64]:
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
        seed: Seed of the choice of at most 5000 items and of the forests.

    Returns:
        Tuple: disentanglement in [0, 1] or `None` with one factor; completeness in
        [0, 1] or `None` with one component; R² of each factor, a list; the importance
        `[factor][component]`, lists.

    References:
        Eastwood and Williams, "A framework for the quantitative evaluation of
        disentangled representations", 2018.
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.metrics import r2_score

    generator = np.random.default_rng(seed)
    chosen = generator.permutation(len(fit_codes))[:_ITEMS]
    importance, information = [], []
    for fit, test in zip(fit_factors.T, test_factors.T, strict=True):
        forest = RandomForestRegressor(_TREES, max_depth=_DEPTH, random_state=seed)
        forest.fit(fit_codes[chosen], fit[chosen])
        importance.append(forest.feature_importances_)
        information.append(float(r2_score(test, forest.predict(test_codes))))
    importance = np.stack(importance)
    return (
        _concentration(importance.T),
        _concentration(importance),
        information,
        importance.tolist(),
    )


def _concentration(importance: NDArray[np.float64]) -> float | None:
    """1 − mean entropy of the rows as a share of its largest value, weighted by sums.

    `None` where rows have one entry; 0 where there is nothing.
    """
    from scipy.special import entr

    columns = importance.shape[1]
    if columns < 2:
        return None
    sums = importance.sum(axis=1, keepdims=True)
    shares = importance / np.where(sums > 0, sums, 1.0)
    values = 1.0 - entr(shares).sum(axis=1) / np.log(columns)
    total = sums.sum()
    return float((values * sums[:, 0]).sum() / total) if total > 0 else 0.0


def _complete(
    codes: NDArray[Any], factors: Mapping[str, ArrayLike]
) -> tuple[NDArray[Any], dict[str, NDArray[np.float64]]]:
    """Items that have all factors."""
    values = {name: np.asarray(factor, np.float64) for name, factor in factors.items()}
    present = np.all([np.isfinite(value) for value in values.values()], axis=0)
    return codes[present], {name: value[present] for name, value in values.items()}


def _finite(label: Label, values: NDArray[Any]) -> NDArray[np.float64]:
    """Values with NaN where they stand for none, or are infinite."""
    found = label.numbers(values)
    return np.where(np.isfinite(found), found, np.nan)
