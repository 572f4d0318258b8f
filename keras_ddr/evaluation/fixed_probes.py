"""The fixed probes: what a simple estimator reads from a code.

They are not tuned, so that numbers of different models can be compared. A "linear"
probe is a standardised linear model, "neighbours" the 15 nearest neighbours of the
standardised code. Everything here takes and returns arrays and knows no model.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.arguments import check_choice
from keras_ddr.errors import InputError
from keras_ddr.evaluation import intervals

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from sklearn.pipeline import Pipeline

    from keras_ddr.typing import Interval

__all__ = ["ProbeScore", "probe"]

NEIGHBOURS = 15
_ITERATIONS = 1000
_TURN = 2 * math.pi
_PERIODS: dict[str | None, float] = {
    **dict.fromkeys(("deg", "degree", "degrees", "°"), 360.0),
    **dict.fromkeys(("rad", "radian", "radians", None), _TURN),
    **dict.fromkeys(("turn", "turns"), 1.0),
}


@dataclasses.dataclass(frozen=True)
class ProbeScore:
    """How well one label is read from one code, on items not trained on.

    Attributes:
        metric: "accuracy" for categorical labels, "r2" for continuous and periodic
            ones (for a periodic one over its sine and cosine together).
        value: The score; 1 is perfect.
        chance: Score of guessing: 1 / number of classes for an accuracy (a uniform
            guess), 0 for R² (always predicting the mean).
        majority: Score of always naming the most frequent class of the scored items.
        concordance: Concordance correlation coefficient of a continuous label.
        classes: Number of classes.
        fitted: Number of items that the probe was fitted on; `scored` on.
        interval: 95 % interval `(low, high)` of `value`, from resampled sequences.
        concordance_interval: That of `concordance`.
    """

    metric: str
    value: float
    chance: float
    majority: float | None = None
    concordance: float | None = None
    classes: int | None = None
    fitted: int = 0
    scored: int = 0
    interval: Interval | None = None
    concordance_interval: Interval | None = None


def probe(
    fit_codes: ArrayLike,
    fit_labels: ArrayLike,
    test_codes: ArrayLike,
    test_labels: ArrayLike,
    kind: str,
    estimator: str = "linear",
    classes: int | None = None,
    period: float = _TURN,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> ProbeScore:
    """Fit a probe on one part of the data and score it on another.

    Args:
        fit_codes: Codes `(n, dim)`, float.
        fit_labels: Their labels `(n,)`; strings or integers for a categorical label,
            numbers otherwise.
        test_codes: Codes `(m, dim)` of persons that are not among those fitted on.
        test_labels: Their labels `(m,)`.
        kind: "categorical", "continuous" or "periodic".
        estimator: "linear": standardised logistic regression, or ridge regression for
            numbers. "neighbours": the 15 nearest neighbours of the standardised code.
        classes: Number of classes; those found in both parts where `None`.
        period: Period of a periodic label, in its unit.
        groups: The sequence of each scored item `(m,)`, for confidence intervals;
            none are made where `None`.
        seed: Seed of the resampling for them.

    Returns:
        `ProbeScore`.

    Raises:
        InputError: There is too little to fit or to score: no item, one class only, a
            label that does not vary, or values that are not finite; or shapes do not
            belong together.

    Example:
        >>> import numpy as np
        >>> codes = np.linspace(-1, 1, 50)[:, None]
        >>> probe(codes, codes[:, 0], codes, codes[:, 0], "continuous").value > 0.99
        True
    """
    check_choice(("categorical", "continuous", "periodic"), kind=kind)
    check_choice(("linear", "neighbours"), estimator=estimator)
    codes = [np.asarray(part, "float64") for part in (fit_codes, test_codes)]
    labels = [np.asarray(fit_labels), np.asarray(test_labels)]
    _check(codes, labels)
    if kind != "categorical":
        columns = [_targets(part, kind, period) for part in labels]
        return _regress(codes, columns, kind, estimator, groups, seed)
    model = pipeline(estimator, len(labels[0]), classify=True)
    counts = np.unique(labels[1], return_counts=True)[1]
    if classes is None:
        classes = len(np.unique(np.concatenate(labels)))
    if len(np.unique(labels[0])) < 2:
        raise InputError("the label does not vary among the fitted items")
    right = model.fit(codes[0], labels[0]).predict(codes[1]) == labels[1]
    grouped = groups is not None
    return ProbeScore(
        metric="accuracy",
        value=float(np.mean(right)),
        chance=1.0 / int(classes),
        majority=float(counts.max() / counts.sum()),
        classes=int(classes),
        fitted=len(labels[0]),
        scored=len(labels[1]),
        interval=intervals.mean_interval(right, groups, seed) if grouped else None,
    )


def concordance_correlation(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Concordance correlation coefficient (Lin, 1989); 0 where both are constant."""
    truth, predicted = np.asarray(truth, float), np.asarray(predicted, float)
    covariance = np.mean((truth - truth.mean()) * (predicted - predicted.mean()))
    spread = truth.var() + predicted.var() + (truth.mean() - predicted.mean()) ** 2
    return float(2 * covariance / spread) if spread > 0 else 0.0


def period_of(unit: str | None) -> float:
    """Period of a label in its unit, radians where `None`."""
    if unit not in _PERIODS:
        raise InputError(f"unit {unit!r} has no known period; use degrees or radians")
    return _PERIODS[unit]


def _regress(
    codes: list[NDArray[np.float64]],
    columns: list[NDArray[np.float64]],
    kind: str,
    estimator: str,
    groups: ArrayLike | None,
    seed: int,
) -> ProbeScore:
    """Score of a label of numbers."""
    from sklearn.metrics import r2_score

    fit, truth = columns
    for targets, part in ((fit, "fitted"), (truth, "scored")):
        if np.ptp(targets, axis=0).max() == 0:
            raise InputError(f"the label does not vary among the {part} items")
    model = pipeline(estimator, len(fit), classify=False).fit(codes[0], fit)
    predicted = model.predict(codes[1]).reshape(truth.shape)
    continuous = kind == "continuous"
    found: list[Interval | None] = [None, None]
    if groups is not None:
        found = _intervals(truth, predicted, groups, seed)
    joint = r2_score(truth, predicted, multioutput="variance_weighted")
    return ProbeScore(
        metric="r2",
        value=float(joint),
        chance=0.0,
        concordance=concordance_correlation(truth, predicted) if continuous else None,
        fitted=len(fit),
        scored=len(truth),
        interval=found[0],
        concordance_interval=found[1] if continuous else None,
    )


def _intervals(
    truth: NDArray[np.float64],
    predicted: NDArray[np.float64],
    groups: ArrayLike,
    seed: int,
) -> list[Interval | None]:
    """Intervals of the joint R² and of the first column's concordance correlation."""
    # Centred, so that differences of large sums keep their digits.
    truth, predicted = truth - truth.mean(axis=0), predicted - truth.mean(axis=0)
    parts = [truth, predicted, truth**2, predicted**2, truth * predicted]
    residuals = np.square(truth - predicted)
    rows = np.column_stack([np.ones(len(truth)), residuals, *parts])
    sums = intervals.group_sums(rows, groups)

    def moments(totals: NDArray[np.float64]) -> NDArray[np.float64]:
        means = totals[:, 1:] / totals[:, :1]
        return means.reshape(len(totals), 6, -1).transpose(1, 2, 0)

    def r_squared(totals: NDArray[np.float64]) -> NDArray[np.float64]:
        residual, mean, _, square, _, _ = moments(totals)
        spread = (square - mean**2).sum(axis=0)
        enough = spread > 1e-9 * square.sum(axis=0)
        return 1.0 - residual.sum(axis=0) / np.where(enough, spread, np.nan)

    def concordance(totals: NDArray[np.float64]) -> NDArray[np.float64]:
        _, mean_t, mean_p, square_t, square_p, product = moments(totals)[:, 0]
        # The variances and the squared difference of the means.
        spread = square_t + square_p - 2 * mean_t * mean_p
        return 2 * (product - mean_t * mean_p) / np.where(spread > 0, spread, np.nan)

    return [intervals.resample(sums, f, seed) for f in (r_squared, concordance)]


def pipeline(estimator: str, number: int, classify: bool) -> Pipeline:
    """The probe for `number` items."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if estimator == "linear":
        model = LogisticRegression(max_iter=_ITERATIONS) if classify else Ridge()
    else:
        kind = KNeighborsClassifier if classify else KNeighborsRegressor
        model = kind(n_neighbors=min(NEIGHBOURS, number))
    return make_pipeline(StandardScaler(), model)


def _check(codes: list[NDArray[np.float64]], labels: list[NDArray[Any]]) -> None:
    """Refuse arrays that do not belong together, or hold nothing to fit or score."""
    for part, rows, values in zip(("fit", "test"), codes, labels, strict=True):
        if rows.ndim != 2 or rows.shape[1] != codes[0].shape[-1]:
            raise InputError(
                f"{part}_codes has shape {rows.shape}; it must be (items, dim), with "
                "the dim of one model"
            )
        if values.shape != (len(rows),):
            raise InputError(
                f"{part}_labels has shape {values.shape}; it must be ({len(rows)},), "
                f"one for each of {part}_codes"
            )
        if not np.isfinite(rows).all():
            raise InputError(f"{part}_codes holds NaN or infinity")
    if not all(map(len, labels)):
        raise InputError("no item with this label to fit or to score")


def _targets(labels: ArrayLike, kind: str, period: float) -> NDArray[np.float64]:
    """Columns to predict: the number, or the sine and cosine of an angle."""
    labels = np.asarray(labels, dtype="float64")
    if not np.isfinite(labels).all():
        raise InputError("values of this label are NaN or infinite")
    if kind == "continuous":
        return labels[:, None]
    angles = labels * (_TURN / period)
    return np.stack([np.sin(angles), np.cos(angles)], axis=1)
