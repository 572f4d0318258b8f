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
from keras_ddr.evaluation.measure import Measure, Skipped, aligned, numbers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.data.labels import Label
    from keras_ddr.evaluation.measure import Material

__all__ = ["Axis", "AxisScore"]

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
            {n: labels[n].numbers(part.frame_values(n)) for n in names}
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
        rows: dict[str, list[float | None]]
        rows = {"MIG": [s.mig for s in scores]}
        rows |= {f"  {n}": [s.gaps[n] for s in scores] for n in names}
        rows["DCI disentanglement"] = [s.disentanglement for s in scores]
        rows["DCI completeness"] = [s.completeness for s in scores]
        for n in names:
            text = f"DCI informativeness, R² of {n}"
            rows[text] = [s.informativeness[n] for s in scores]
        head = "Axes: one component of z for each factor? 1 is perfect."
        cells = [[text, *numbers(values)] for text, values in rows.items()]
        return [head, *aligned(["measure", *score], cells)]


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
    """MIG and DCI of codes to fit on and to score on; constant factors are left out."""
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
    fit_columns, test_columns = (
        np.stack([part[name] for name in names], axis=1)
        for part in (fit_factors, test_factors)
    )
    disentanglement, completeness, information, importance = dci(
        fit_codes, fit_columns, test_codes, test_columns, seed
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
    """(I₁ − I₂) / H(factor) of the two components that tell most of a factor `(n,)`.

    Chen, Li, Grosse and Duvenaud, "Isolating sources of disentanglement in variational
    autoencoders", 2018. Components, and factors of more values, are put into 20 bins of
    equal width; I₂ = 0 where there is one component.
    """
    from sklearn.metrics import mutual_info_score

    found, places = np.unique(factor, return_inverse=True)
    factor = _discretize(factor) if len(found) > _BINS else places
    entropy = mutual_info_score(factor, factor)
    known = [
        mutual_info_score(_discretize(part), factor) for part in np.transpose(codes)
    ]
    first, second = sorted([*known, 0.0], reverse=True)[:2]
    return float(np.clip((first - second) / entropy, 0.0, 1.0))


def _discretize(values: ArrayLike) -> NDArray[np.int64]:
    """Number of the bin, of equal width over the range of `values`."""
    values = np.asarray(values, "float64")
    low, width = values.min(), np.ptp(values) or 1.0
    places = np.floor((values - low) / width * _BINS).astype("int64")
    return np.minimum(places, _BINS - 1)


def dci(
    fit_codes: NDArray[Any],
    fit_factors: NDArray[Any],
    test_codes: NDArray[Any],
    test_factors: NDArray[Any],
    seed: int = 0,
) -> tuple[float | None, float | None, list[float], list[list[float]]]:
    """Disentanglement, completeness, informativeness and importance of `AxisScore`.

    Eastwood and Williams, "A framework for the quantitative evaluation of disentangled
    representations", 2018, with random forests; factors are `(n, factors)`.
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
    shares = np.stack(importance)
    of_components, of_factors = _concentration(shares.T), _concentration(shares)
    return of_components, of_factors, information, shares.tolist()


def _concentration(importance: NDArray[np.float64]) -> float | None:
    """1 − weighted mean entropy of the rows; `None` of one column, 0 of nothing."""
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
    """Items that have all factors, none of them infinite."""
    values = {name: np.asarray(factor, np.float64) for name, factor in factors.items()}
    present = np.all([np.isfinite(value) for value in values.values()], axis=0)
    return codes[present], {name: value[present] for name, value in values.items()}
