"""Scores of clips that a judge has seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.evaluation import intervals
from keras_ddr.evaluation.judge_scores import entropies

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import Interval


@dataclasses.dataclass(frozen=True)
class Seen:
    """Clips that a judge saw in one draw.

    Attributes:
        probabilities: Dict name of a target → `(n, classes)`.
        static_from: Clips that f was taken from, `(n,)`, or `None` where it was drawn.
        dynamic_from: The same of z.
    """

    probabilities: Mapping[str, NDArray[np.float64]]
    static_from: NDArray[np.integer] | None = None
    dynamic_from: NDArray[np.integer] | None = None


@dataclasses.dataclass(frozen=True)
class ClipRow:
    """Scores of one kind of clips; the means of all draws.

    Attributes:
        accuracy: Dict name of a target → share of clips in which the judge named the
            class of the clip that gave the code: z for the action, f for attributes.
            Targets whose code was drawn are absent.
        intervals: Dict name of a target → the interval of this share, from resampled
            people.
        of_other: Dict name of a target → share of clips in which it named the class of
            the clip that gave the other code; chance, if that code does not know it.
        entropies: Dict of the action, in nats: "conditional", H(y | x), low where the
            judge is sure; "marginal", H(y) of the mean; "inception_score", IS =
            exp(H(y) − H(y | x)), from 1 to the number of actions; "confidence".
        draws: Number of draws.
    """

    accuracy: dict[str, float]
    intervals: dict[str, Interval | None]
    of_other: dict[str, float]
    entropies: dict[str, float]
    draws: int


def balanced(action: NDArray[np.integer]) -> NDArray[np.integer]:
    """The first m clips of each class that occurs; m is the smallest class count."""
    classes, counts = np.unique(action[action >= 0], return_counts=True)
    if not len(classes):
        raise InputError("no clip has a label of the action")
    each = [np.flatnonzero(action == k)[: counts.min()] for k in classes]
    return np.sort(np.concatenate(each))


def row_of(
    draws: list[Seen],
    truth: Mapping[str, NDArray[np.integer]],
    people: NDArray[np.integer],
    seed: int,
) -> ClipRow:
    """Scores of the draws of one kind of clips.

    Args:
        draws: List of `Seen`.
        truth: Dict name of a target → class numbers of all clips, −1 where there is
            none; the last target is the action.
        people: Numbers of the person of all clips.
        seed: Of the intervals.
    """
    *_, action = truth
    accuracy, spread, of_other = {}, {}, {}
    for name, known in truth.items():
        codes = ("static_from", "dynamic_from")
        own, other = codes if name != action else codes[::-1]
        right, groups = _right(draws, name, known, own)
        if len(right):
            accuracy[name] = float(right.mean())
            found = intervals.mean_interval(right, people[groups], seed)
            spread[name] = found
        right, _ = _right(draws, name, known, other, unlike=own)
        if len(right):
            of_other[name] = float(right.mean())
    each = [entropies(_equal_shares(seen, truth[action], action)) for seen in draws]
    mean = {key: float(np.mean([part[key] for part in each])) for key in each[0]}
    return ClipRow(accuracy, spread, of_other, mean, len(draws))


def _right(
    draws: list[Seen],
    name: str,
    truth: NDArray[np.integer],
    code: str,
    unlike: str | None = None,
) -> tuple[NDArray[np.bool_], NDArray[np.integer]]:
    """Whether the class is that of the clip that gave a code, and which clip that is.

    `unlike` names another code: clips that gave both are left out.
    """
    right, given = [np.zeros(0, bool)], [np.zeros(0, int)]
    for seen in draws:
        source = getattr(seen, code)
        if source is None:
            continue
        counts = truth[source] >= 0
        if unlike is not None and getattr(seen, unlike) is not None:
            counts &= source != getattr(seen, unlike)
        named = seen.probabilities[name].argmax(axis=1)
        right.append((named == truth[source])[counts])
        given.append(source[counts])
    return np.concatenate(right), np.concatenate(given)


def _equal_shares(
    seen: Seen, truth: NDArray[np.integer], action: str
) -> NDArray[np.float64]:
    """Probabilities of the action of as many clips of each; all, if both were drawn."""
    probabilities = seen.probabilities[action]
    source = seen.dynamic_from if seen.dynamic_from is not None else seen.static_from
    if source is None:
        return probabilities
    return probabilities[balanced(truth[source])]
