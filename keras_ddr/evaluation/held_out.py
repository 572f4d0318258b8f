"""Reading a class from codes of people that a probe was not fitted on."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.evaluation import intervals
from keras_ddr.evaluation.fixed_probes import pipeline

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import Interval

__all__ = ["Leak"]

FOLDS = 5
# Fewer, and five people of each of two classes have eight, can be right by luck.
_FREEDOM = 6.0


@dataclasses.dataclass(frozen=True)
class Leak:
    """How often a class is read from one code.

    Attributes:
        value: Share of frames whose class is named right, in [0, 1]: the mean over
            sequences, and of that the mean over classes, so that chance is 1 / classes
            however many sequences each has.
        chance: 1 / number of classes.
        interval: Its 95 % interval over people, or `None` where these are too few.
    """

    value: float
    chance: float
    interval: Interval | None

    @property
    def found(self) -> bool:
        """Whether the whole interval lies above chance."""
        return self.interval is not None and self.interval[0] > self.chance

    @property
    def unclear(self) -> bool:
        """Whether chance is possible, and more than half way to perfect is, too."""
        if self.interval is None:
            return True
        return not self.found and self.interval[1] > (1 + self.chance) / 2

    def __str__(self) -> str:
        if self.interval is None:
            return short(self.value)
        low, high = self.interval
        return f"{short(self.value)}, {short(low)} to {short(high)}"


def deal_out(
    names: NDArray[Any], persons: NDArray[np.integer], seed: int
) -> NDArray[np.integer]:
    """The part of each sequence, all of a person in one and classes in each alike."""
    from sklearn.model_selection import StratifiedGroupKFold

    least = min(len(set(persons[names == name])) for name in np.unique(names))
    dealer = StratifiedGroupKFold(min(FOLDS, least), shuffle=True, random_state=seed)
    folds = np.zeros(len(names), int)
    with warnings.catch_warnings():
        # It counts sequences where people count.
        warnings.filterwarnings("ignore", "The least populated class")
        for fold, (_, held) in enumerate(dealer.split(names, names, persons)):
            folds[held] = fold
    return folds


def held_out(
    codes: ArrayLike,
    owner: ArrayLike,
    names: ArrayLike,
    folds: ArrayLike,
    estimator: str,
) -> NDArray[np.float64]:
    """Share of the items of each sequence whose class is named right, `(S,)`.

    Args:
        codes: Codes `(n, dim)`.
        owner: Sequence of each, `(n,)`, integers from 0 to S − 1.
        names: Class of each sequence, `(S,)`.
        folds: Part of each sequence, `(S,)`, read by a probe fitted on the others.
        estimator: As of `probe`.

    Returns:
        float64; NaN of a sequence without items.
    """
    codes, owner = np.asarray(codes, "float64"), np.asarray(owner)
    names, folds = np.asarray(names), np.asarray(folds)
    right = np.zeros(len(codes))
    truth = names[owner]
    for fold in np.unique(folds):
        held = folds[owner] == fold
        if not held.any() or len(np.unique(truth[~held])) < 2:
            continue  # what was never seen counts as wrong
        model = pipeline(estimator, int(np.sum(~held)), classify=True)
        model.fit(codes[~held], truth[~held])
        classes, counts = np.unique(truth[~held], return_counts=True)
        # Shares of classes divide out: else the most frequent one is named for all.
        odds = model.predict_proba(codes[held]) / counts
        right[held] = classes[odds.argmax(axis=1)] == truth[held]
    number = np.bincount(owner, minlength=len(names)).astype("float64")
    number[number == 0] = np.nan
    return np.bincount(owner, right, minlength=len(names)) / number


def balanced(
    shares: ArrayLike,
    names: ArrayLike,
    persons: ArrayLike,
    folds: int = FOLDS,
    seed: int = 0,
) -> Leak:
    """Mean over classes of the mean share `(S,)`, with an interval over people.

    Resampled people are the usual interval. It is stretched for people who are few, as
    Student's t is, and for probes of different folds being fitted on people whom they
    have in common (Nadeau and Bengio, 2003): without, chance would be left too often.
    """
    shares, names, persons = map(np.asarray, (shares, names, persons))
    read = np.isfinite(shares)
    shares, names, persons = shares[read], names[read], persons[read]
    classes, numbers = np.unique(names, return_inverse=True)
    member = np.eye(len(classes))[numbers]
    rows = np.hstack([member * shares[:, None], member])
    sums = intervals.group_sums(rows, persons)

    def mean(totals: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore"):  # a draw without one of the classes
            right, count = np.split(totals, 2, axis=1)
            return (right / count).mean(axis=1)

    value = float(mean(sums.sum(axis=0, keepdims=True))[0])
    people = (sums[:, len(classes) :] > 0).sum(axis=0).astype("float64")
    found, freedom = intervals.resample(sums, mean, seed), _freedom(people)
    if found is None or freedom < _FREEDOM:
        return Leak(value, 1 / len(classes), None)
    factor = _stretch(freedom, folds)
    low, high = (value + factor * (end - value) for end in found)
    return Leak(value, 1 / len(classes), (max(0.0, low), min(1.0, high)))


def _freedom(people: NDArray[np.float64]) -> float:
    """Degrees of freedom of a mean over classes (Welch and Satterthwaite)."""
    if people.min() < 2:
        return 0.0
    return float((1 / people).sum() ** 2 / (1 / (people**2 * (people - 1))).sum())


def _stretch(freedom: float, folds: int) -> float:
    """Factor by which intervals of `balanced` are wider than those of resampling."""
    from scipy.stats import norm, t

    of_few = np.sqrt((freedom + 1) / freedom) * t.ppf(0.975, freedom) / norm.ppf(0.975)
    return float(of_few * np.sqrt(1 + folds / (folds - 1)))


def short(value: float) -> str:
    """A share as in a sentence: .93, 1.00."""
    return f"{value:.2f}".removeprefix("0")
