"""The fixed probes: what can be read from a code by a simple classifier.

They are not tuned, so that numbers of different models can be compared. From f a
standardised linear model, from z the 15 nearest neighbours of the standardised code.
Everything here takes and returns arrays and knows no model.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from keras_ddr.errors import InputError
from keras_ddr.evaluation import intervals

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from sklearn.pipeline import Pipeline

    from keras_ddr.typing import Interval

__all__ = [
    "NEIGHBOURS",
    "ProbeScore",
    "concordance_correlation",
    "period_of",
    "probe",
    "r_squared",
]

NEIGHBOURS = 15
"""Neighbours that read a label from z."""
_ITERATIONS = 1000

_PERIODS = {
    "deg": 360.0,
    "degree": 360.0,
    "degrees": 360.0,
    "°": 360.0,
    "rad": 2 * math.pi,
    "radian": 2 * math.pi,
    "radians": 2 * math.pi,
    "turn": 1.0,
    "turns": 1.0,
}


@dataclasses.dataclass(frozen=True)
class ProbeScore:
    """How well one label is read from one code, on items not trained on.

    Attributes:
        metric: "accuracy" for categorical labels, "r2" for continuous and periodic
            ones (for a periodic one over its sine and cosine together).
        value: The score; 1 is perfect.
        chance: What guessing gives: 1 / number of classes for an accuracy (the expected
            score of a uniform guess, and the natural one for balanced classes), 0 for
            R² (always predicting the mean).
        majority: Share of the most frequent class among the scored items, which is what
            always naming that class would give; `None` unless categorical.
        concordance: Concordance correlation coefficient; `None` unless continuous.
        classes: Number of classes, or `None`.
        fitted: Number of items that the probe was fitted on.
        scored: Number of items that it was scored on.
        interval: 95 % interval `(low, high)` of `value`, from resampled sequences, or
            `None`.
        concordance_interval: That of `concordance`.
    """

    metric: str
    value: float
    chance: float
    majority: float | None
    concordance: float | None
    classes: int | None
    fitted: int
    scored: int
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
    period: float = 2 * math.pi,
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
        period: Of a periodic label, in its unit.
        groups: The sequence of each scored item `(m,)`, for confidence intervals;
            none are made where `None`.
        seed: Of the resampling for them.

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
    fit_codes = _matrix(fit_codes, "fit_codes")
    test_codes = _matrix(test_codes, "test_codes")
    fit_labels, test_labels = np.asarray(fit_labels), np.asarray(test_labels)
    for part, codes, labels in (
        ("fit", fit_codes, fit_labels),
        ("test", test_codes, test_labels),
    ):
        if labels.shape != (len(codes),):
            raise InputError(
                f"{part}_labels has shape {labels.shape}; it must be ({len(codes)},), "
                f"one for each of {part}_codes"
            )
    if fit_codes.shape[1] != test_codes.shape[1]:
        raise InputError(
            f"fit_codes has {fit_codes.shape[1]} dimensions and test_codes "
            f"{test_codes.shape[1]}; they must be codes of one model"
        )
    if groups is not None and len(np.asarray(groups)) != len(test_codes):
        raise InputError(
            f"groups has {len(np.asarray(groups))} values for {len(test_codes)} scored "
            "items; give one each"
        )
    if not len(fit_labels) or not len(test_labels):
        raise InputError("no item with this label to fit or to score")
    if kind == "categorical":
        return _classify(
            fit_codes,
            fit_labels,
            test_codes,
            test_labels,
            estimator,
            classes,
            groups,
            seed,
        )
    if kind not in ("continuous", "periodic"):
        raise InputError(
            f"kind={kind!r}; use 'categorical', 'continuous' or 'periodic'"
        )
    fit_targets = _targets(fit_labels, kind, period)
    test_targets = _targets(test_labels, kind, period)
    for targets, part in ((fit_targets, "fitted"), (test_targets, "scored")):
        if np.ptp(targets, axis=0).max() == 0:
            raise InputError(f"the label does not vary among the {part} items")
    model = _regressor(estimator, len(fit_labels)).fit(fit_codes, fit_targets)
    predicted = model.predict(test_codes).reshape(test_targets.shape)
    concordance = concordance_interval = interval = None
    if kind == "continuous":
        concordance = concordance_correlation(test_targets[:, 0], predicted[:, 0])
    if groups is not None:
        interval = _r_squared_interval(test_targets, predicted, groups, seed)
        if kind == "continuous":
            concordance_interval = _concordance_interval(
                test_targets[:, 0], predicted[:, 0], groups, seed
            )
    return ProbeScore(
        metric="r2",
        value=r_squared(test_targets, predicted),
        chance=0.0,
        majority=None,
        concordance=concordance,
        classes=None,
        fitted=len(fit_labels),
        scored=len(test_labels),
        interval=interval,
        concordance_interval=concordance_interval,
    )


def r_squared(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Coefficient of determination, joint over columns.

    Args:
        truth: True values `(n,)` or `(n, columns)`.
        predicted: Predicted values, same shape.

    Returns:
        1 − residual sum of squares / total sum of squares, each summed over all
        columns; 1 is perfect, 0 is as good as the mean, below 0 is worse.
    """
    truth = np.asarray(truth, dtype="float64")
    predicted = np.asarray(predicted, dtype="float64")
    residual = np.square(truth - predicted).sum()
    total = np.square(truth - truth.mean(axis=0)).sum()
    return float(1.0 - residual / total)


def concordance_correlation(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Concordance correlation coefficient (Lin, 1989).

    Args:
        truth: True values `(n,)`.
        predicted: Predicted values `(n,)`.

    Returns:
        2 cov / (var + var + squared difference of the means), in [−1, 1]; 0 where both
        are constant.
    """
    truth = np.asarray(truth, dtype="float64")
    predicted = np.asarray(predicted, dtype="float64")
    covariance = np.mean((truth - truth.mean()) * (predicted - predicted.mean()))
    spread = truth.var() + predicted.var() + (truth.mean() - predicted.mean()) ** 2
    return float(2 * covariance / spread) if spread > 0 else 0.0


def period_of(unit: str | None) -> float:
    """Period of a label in its unit.

    Args:
        unit: "degrees", "radians", "turns", or `None` for radians.

    Returns:
        The period, such as 360.0.

    Raises:
        InputError: The unit of an angle is not known.
    """
    if unit is None:
        return _PERIODS["radians"]
    if unit not in _PERIODS:
        raise InputError(f"unit {unit!r} has no known period; use degrees or radians")
    return _PERIODS[unit]


def _classify(
    fit_codes: NDArray[np.float64],
    fit_labels: NDArray[Any],
    test_codes: NDArray[np.float64],
    test_labels: NDArray[Any],
    estimator: str,
    classes: int | None,
    groups: ArrayLike | None,
    seed: int,
) -> ProbeScore:
    found = np.unique(np.concatenate([fit_labels, test_labels]))
    classes = len(found) if classes is None else int(classes)
    if len(np.unique(fit_labels)) < 2:
        raise InputError("the label does not vary among the fitted items")
    model = _classifier(estimator, len(fit_labels)).fit(fit_codes, fit_labels)
    counts = np.unique(test_labels, return_counts=True)[1]
    right = model.predict(test_codes) == test_labels
    interval = None
    if groups is not None:
        interval = intervals.mean_interval(right, groups, seed)
    return ProbeScore(
        metric="accuracy",
        value=float(np.mean(right)),
        chance=1.0 / classes,
        majority=float(counts.max() / counts.sum()),
        concordance=None,
        classes=classes,
        fitted=len(fit_labels),
        scored=len(test_labels),
        interval=interval,
    )


def _r_squared_interval(
    truth: NDArray[np.float64],
    predicted: NDArray[np.float64],
    groups: ArrayLike,
    seed: int,
) -> Interval | None:
    # Centred, so that differences of large sums keep their digits.
    truth, predicted = truth - truth.mean(axis=0), predicted - truth.mean(axis=0)
    residual = np.square(truth - predicted).sum(axis=1)
    square = np.square(truth).sum(axis=1)
    rows = np.column_stack([np.ones(len(truth)), residual, square, truth])

    def statistic(totals: NDArray[np.float64]) -> NDArray[np.float64]:
        number, residual, square = totals[:, :3].T
        spread = square - np.square(totals[:, 3:]).sum(axis=1) / number
        spread = np.where(spread > 1e-9 * square, spread, np.nan)
        return 1.0 - residual / spread

    return intervals.resample(intervals.group_sums(rows, groups), statistic, seed)


def _concordance_interval(
    truth: NDArray[np.float64],
    predicted: NDArray[np.float64],
    groups: ArrayLike,
    seed: int,
) -> Interval | None:
    truth, predicted = truth - truth.mean(), predicted - truth.mean()
    rows = np.column_stack(
        [
            np.ones(len(truth)),
            truth,
            predicted,
            np.square(truth),
            np.square(predicted),
            truth * predicted,
        ]
    )

    def statistic(totals: NDArray[np.float64]) -> NDArray[np.float64]:
        moments = (totals[:, 1:] / totals[:, :1]).T
        mean_t, mean_p, square_t, square_p, product = moments
        # The variances and the squared difference of the means.
        spread = square_t + square_p - 2 * mean_t * mean_p
        return 2 * (product - mean_t * mean_p) / np.where(spread > 0, spread, np.nan)

    return intervals.resample(intervals.group_sums(rows, groups), statistic, seed)


def _classifier(estimator: str, number: int) -> Pipeline:
    if estimator == "linear":
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=_ITERATIONS))
    return _neighbours(KNeighborsClassifier, estimator, number)


def _regressor(estimator: str, number: int) -> Pipeline:
    if estimator == "linear":
        return make_pipeline(StandardScaler(), Ridge())
    return _neighbours(KNeighborsRegressor, estimator, number)


def _neighbours(
    kind: type[KNeighborsClassifier] | type[KNeighborsRegressor],
    estimator: str,
    number: int,
) -> Pipeline:
    if estimator != "neighbours":
        raise InputError(f"estimator={estimator!r}; use 'linear' or 'neighbours'")
    return make_pipeline(StandardScaler(), kind(n_neighbors=min(NEIGHBOURS, number)))


def _matrix(codes: ArrayLike, argument: str) -> NDArray[np.float64]:
    codes = np.asarray(codes, dtype="float64")
    if codes.ndim != 2:
        raise InputError(f"{argument} has shape {codes.shape}; it must be (items, dim)")
    if not np.isfinite(codes).all():
        raise InputError(f"{argument} holds NaN or infinity")
    return codes


def _targets(labels: ArrayLike, kind: str, period: float) -> NDArray[np.float64]:
    labels = np.asarray(labels, dtype="float64")
    if not np.isfinite(labels).all():
        raise InputError("values of this label are NaN or infinite")
    if kind == "continuous":
        return labels[:, None]
    angles = labels * (2 * math.pi / period)
    return np.stack([np.sin(angles), np.cos(angles)], axis=1)
