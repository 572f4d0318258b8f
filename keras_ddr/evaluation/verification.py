"""Verification: can two codes be recognised as those of one person?

Low on f and near 50 % on z~ is what disentanglement means here. The equal error rate
is where as many impostors are accepted as true pairs are refused.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.evaluation import intervals

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.data.store import Sequence
    from keras_ddr.evaluation.encoded import EncodedSplit
    from keras_ddr.model import DDR
    from keras_ddr.typing import Interval

__all__ = ["VerificationScore", "cosine_similarity", "equal_error_rate", "verify"]

_MOST_FRAMES = 256  # of each half that f is taken from


@dataclasses.dataclass(frozen=True)
class VerificationScore:
    """Equal error rate of one code.

    Attributes:
        value: Equal error rate in [0, 1]; 0 recognises everyone, ½ is chance.
        interval: 95 % interval `(low, high)` from resampled sequences, or `None`.
        genuine: Number of pairs of one person.
        impostors: Number of pairs of two persons.
        persons: Number of persons.
        halved: Number of those with one sequence only, whose pairs of f are of two
            halves of it, and of z of two of its frames.
    """

    value: float
    interval: Interval | None
    genuine: int
    impostors: int
    persons: int
    halved: int = 0


def verify(
    model: DDR, encoded: EncodedSplit, *, pairs: int = 2000, seed: int = 0
) -> dict[str, VerificationScore]:
    """Equal error rate on f, z and z~.

    A pair of one person is made of two codes of different sequences of that person
    where there are several. Otherwise, for f, of two disjoint random halves of the
    frames of one sequence, each encoded on its own, and, for z and z~, of two frames
    of that sequence. A person that the store does not name is the source, or else the
    sequence. Codes are taken relative to the mean of all codes.

    Args:
        model: `DDR`.
        encoded: `EncodedSplit` of the split, encoded.
        pairs: Number of random pairs of one person, and of two persons.
        seed: Of every choice.

    Returns:
        Dict "f", "z", "z~" → `VerificationScore`.

    Raises:
        InputError: There is one person only, or no pair of one.
    """
    persons = _persons(encoded.sequences)
    static, owner = _static_codes(model, encoded, persons, seed)
    scores = {}
    for code in ("f", "z", "z~"):
        codes, owners = static, owner
        if code != "f":
            codes, owners = encoded.frame_codes[code], encoded.owner
        generator = np.random.default_rng([seed, 2])
        first, second, same = _choose_pairs(owners, persons, pairs, generator)
        similar = cosine_similarity(codes - codes.mean(axis=0), first, second)
        scores[code] = VerificationScore(
            value=equal_error_rate(similar, same),
            interval=_interval(similar, same, owners[first], owners[second], seed),
            genuine=int(same.sum()),
            impostors=int((~same).sum()),
            persons=len(np.unique(persons[owners])),
            halved=int((np.bincount(persons) == 1).sum()),
        )
    return scores


def equal_error_rate(
    scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """Rate at which false acceptances and false refusals are equally frequent.

    Args:
        scores: Similarities `(n,)`; pairs at or above a threshold are accepted.
        labels: `(n,)`, true for pairs of one person.
        weights: How often each pair counts, `(n,)`; once where `None`.

    Returns:
        A number in [0, 1]: between two thresholds both rates are interpolated
        linearly. Scores that are all equal give ½.

    Raises:
        InputError: There are no pairs of one kind.

    Example:
        >>> equal_error_rate([0.9, 0.8, 0.3, 0.1], [True, True, False, False])
        0.0
    """
    scores, labels = np.asarray(scores, "float64"), np.asarray(labels, bool)
    weights = np.ones(len(scores)) if weights is None else np.asarray(weights, float)
    genuine, impostors = weights * labels, weights * ~labels
    if not genuine.sum() > 0 or not impostors.sum() > 0:
        raise InputError("an equal error rate takes pairs of both kinds")
    # The rates below each distinct score, and above the highest one.
    found, places = np.unique(scores, return_inverse=True)
    below = [
        np.concatenate([[0.0], np.cumsum(np.bincount(places, part, len(found)))])
        / part.sum()
        for part in (genuine, impostors)
    ]
    refused, accepted = below[0], 1.0 - below[1]
    difference = refused - accepted  # rises from −1 to 1
    end = int(np.argmax(difference >= 0))
    start = end - 1
    share = -difference[start] / (difference[end] - difference[start])
    return float(refused[start] + share * (refused[end] - refused[start]))


def cosine_similarity(
    codes: ArrayLike, first: NDArray[np.integer], second: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Cosine of the angle between rows.

    Args:
        codes: `(n, dim)`.
        first: Rows `(p,)`.
        second: Rows `(p,)`.

    Returns:
        `(p,)` in [−1, 1]; 0 where a row is 0.
    """
    codes = np.asarray(codes, "float64")
    length = np.linalg.norm(codes, axis=1, keepdims=True)
    codes = codes / np.where(length > 0, length, 1.0)
    return np.sum(codes[first] * codes[second], axis=1)


def _persons(sequences: list[Sequence]) -> NDArray[np.integer]:
    """A number for each sequence's person, its source or itself."""
    numbers: dict[tuple[str, str | int], int] = {}
    return np.array(
        [
            numbers.setdefault(
                ("person", s.person)
                if s.person
                else ("source", s.source)
                if s.source
                else ("sequence", s.index),
                len(numbers),
            )
            for s in sequences
        ]
    )


def _static_codes(
    model: DDR, encoded: EncodedSplit, persons: NDArray[np.integer], seed: int
) -> tuple[NDArray[np.float32], NDArray[np.integer]]:
    """Codes of f `(n, dim)` and the position of each one's sequence `(n,)`."""
    several = np.bincount(persons)[persons] > 1
    number = encoded.encoding.get("frames_per_set") or model.frames_per_set
    generator = np.random.default_rng([seed, 1])
    codes, owner = [], []
    for i, sequence in enumerate(encoded.sequences):
        half = min(sequence.length // 2, _MOST_FRAMES)
        if several[i] or half < number:
            codes.append(encoded.codes[i].static.mean)
            owner.append(i)
            continue
        order = generator.permutation(sequence.length)
        for part in (order[:half], order[half : 2 * half]):
            frames = encoded.store.frames(sequence.index, part)
            codes.append(
                model.encode(frames, seed=seed, **encoded.encoding).static.mean
            )
            owner.append(i)
    return np.stack(codes), np.array(owner)


def _choose_pairs(
    owner: NDArray[np.integer],
    persons: NDArray[np.integer],
    pairs: int,
    generator: np.random.Generator,
) -> tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.bool_]]:
    """Rows of random pairs `(n,)`, `(n,)` and whether both are of one person."""
    person = persons[owner]
    several = np.bincount(persons) > 1
    members = {p: np.flatnonzero(person == p) for p in np.unique(person)}
    usable = [
        p
        for p, rows in members.items()
        if len(np.unique(owner[rows]) if several[p] else rows) > 1
    ]
    if not usable:
        raise InputError(
            "no person has two sequences, nor one that is long enough to be halved"
        )
    if len(members) < 2:
        raise InputError("at least two persons are needed")
    genuine: list[tuple[np.integer, np.integer]] = []
    while len(genuine) < pairs:
        rows = members[usable[generator.integers(len(usable))]]
        first = rows[generator.integers(len(rows))]
        apart = owner if several[person[first]] else np.arange(len(owner))
        others = rows[apart[rows] != apart[first]]
        genuine.append((first, others[generator.integers(len(others))]))
    impostors: list[tuple[np.integer, np.integer]] = []
    while len(impostors) < pairs:
        first, second = generator.integers(len(owner), size=2)
        if person[first] != person[second]:
            impostors.append((first, second))
    chosen = np.array(genuine + impostors)
    return chosen[:, 0], chosen[:, 1], np.arange(2 * pairs) < pairs


def _interval(
    scores: NDArray[np.float64],
    same: NDArray[np.bool_],
    first: NDArray[np.integer],
    second: NDArray[np.integer],
    seed: int,
) -> Interval | None:
    """Interval of the rate; a pair counts as often as its sequences are drawn."""
    found, places = np.unique(np.stack([first, second]), return_inverse=True)
    first, second = places.reshape(2, -1)
    if len(found) < 3:
        return None
    values = []
    for counts in intervals.draw_counts(len(found), seed, intervals.RESAMPLES):
        for row in counts:
            # A pair of one sequence is there as often as that sequence.
            weights = np.where(first == second, row[first], row[first] * row[second])
            if (weights * same).sum() > 0 and (weights * ~same).sum() > 0:
                values.append(equal_error_rate(scores, same, weights))
    return intervals.quantiles(np.array(values))
