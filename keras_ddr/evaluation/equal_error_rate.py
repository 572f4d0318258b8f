"""Can two codes be recognised as those of one person? Equal error rates.

f should be recognised and z̃ should not: 0 is everyone, 50 % is chance.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.encoding import encode_frames
from keras_ddr.errors import InputError
from keras_ddr.evaluation.intervals import pair_weights, quantiles
from keras_ddr.evaluation.measure import Headline, Measure, aligned, number

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.data.store import Sequence
    from keras_ddr.evaluation.measure import Material
    from keras_ddr.typing import Interval

__all__ = ["Verification", "VerificationScore"]

_MOST_FRAMES = 64  # of each half that f is taken from


@dataclasses.dataclass(frozen=True)
class VerificationScore:
    """Equal error rate of one code.

    Attributes:
        value: Equal error rate in [0, 1]; 0 recognises everyone, ½ is chance.
        genuine: Number of pairs of one person; `impostors` are of two.
        halved: Number of persons with one sequence only, whose pairs of f are of two
            halves of it, and of z of two of its frames.
    """

    value: float
    interval: Interval | None
    genuine: int
    impostors: int
    persons: int
    halved: int = 0


@dataclasses.dataclass(frozen=True)
class Verification(Measure):
    """Equal error rate of f, z and z̃: a dict code → `VerificationScore`.

    A pair of one person is made of two codes of different sequences of that person
    where there are several. Otherwise, for f, of two disjoint random halves of the
    frames of one sequence, each encoded on its own, and, for z and z̃, of two frames
    of that sequence. A person that the store does not name is the source, or else the
    sequence. Codes are taken relative to the mean of all codes.

    Attributes:
        pairs: Number of random pairs of one person, and of two persons.
    """

    pairs: int = 2000

    name = "verification"
    about = "equal error rate: is it the same person?"

    def run(self, material: Material) -> dict[str, VerificationScore]:
        """See `Measure`."""
        from sklearn.preprocessing import normalize

        test, seed = material.test, material.seed
        persons = persons_of(test.sequences)
        static, owner = _static_codes(material, persons)
        scores = {}
        for code in ("f", "z", "z~"):
            codes, owners = static, owner
            if code != "f":
                codes, owners = test.frame_codes[code], test.owner
            generator = np.random.default_rng([seed, 2])
            first, second, same = _choose_pairs(owners, persons, self.pairs, generator)
            unit = normalize((codes - codes.mean(axis=0)).astype("float64"))
            similar = np.sum(unit[first] * unit[second], axis=1)  # cosine
            resampled = [
                equal_error_rate(similar, same, row)
                for weights in pair_weights(owners[first], owners[second], seed)
                for row in weights
                if row[same].any() and row[~same].any()
            ]
            scores[code] = VerificationScore(
                value=equal_error_rate(similar, same),
                interval=quantiles(np.array(resampled)),
                genuine=int(same.sum()),
                impostors=int((~same).sum()),
                persons=len(np.unique(persons[owners])),
                halved=int((np.bincount(persons) == 1).sum()),
            )
        return scores

    def lines(self, score: Mapping[str, VerificationScore]) -> list[str]:
        """See `Measure`."""
        of_f = score["f"]
        lines = [
            f"Verification: equal error rate of {of_f.genuine} pairs of one person and "
            f"{of_f.impostors} of two"
        ]
        if of_f.halved:
            lines.append(
                f"{of_f.halved} of {of_f.persons} persons have one sequence only: "
                "their pairs are parts of it."
            )
        rates = [number(s.value, s.interval) for s in score.values()]
        rows = [["equal error rate", "0.500", *rates]]
        return [*lines, *aligned(["measure", "chance", *score], rows)]

    def headlines(self, score: Mapping[str, VerificationScore]) -> dict[str, Headline]:
        """See `Measure`."""
        better = {"f": -1, "z~": 1}
        return {
            f"equal error rate on {code}": Headline(found.value, found.interval, sign)
            for code, sign in better.items()
            if (found := score.get(code)) is not None
        }


def equal_error_rate(
    scores: ArrayLike, same: ArrayLike, weights: NDArray[np.floating] | float = 1.0
) -> float:
    """Rate of equally frequent false acceptances and refusals; ½ of equal scores."""
    same = np.asarray(same, bool)
    kinds = weights * same, weights * ~same
    # scikit-learn's roc_curve takes six times as long, and an interval needs thousands.
    found, places = np.unique(scores, return_inverse=True)
    refused, below = (
        np.append(0.0, np.cumsum(np.bincount(places, kind, len(found)))) / kind.sum()
        for kind in kinds
    )
    difference = refused - (1.0 - below)  # rises from −1 to 1
    end = int(np.argmax(difference >= 0))
    start = end - 1
    share = -difference[start] / (difference[end] - difference[start])
    return float(refused[start] + share * (refused[end] - refused[start]))


def persons_of(sequences: list[Sequence]) -> NDArray[np.integer]:
    """A number for each sequence's person, its source or itself."""
    named = [(s.index, (s.person, s.person or s.source)) for s in sequences]
    keys = [key if any(key) else (index, "") for index, key in named]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys])


def _static_codes(
    material: Material, persons: NDArray[np.integer]
) -> tuple[NDArray[np.float32], NDArray[np.integer]]:
    """Codes of f `(n, dim)` and the position of each one's sequence `(n,)`."""
    test, model = material.test, material.model
    several = np.bincount(persons)[persons] > 1
    least = test.encoding.get("frames_per_set") or model.frames_per_set
    generator = np.random.default_rng([material.seed, 1])
    halves: list[NDArray[np.integer] | None] = []
    owner: list[int] = []
    for i, sequence in enumerate(test.sequences):
        half = min(sequence.length // 2, _MOST_FRAMES)
        if several[i] or half < least:
            halves.append(None)
            owner.append(i)
            continue
        order = generator.permutation(sequence.length)
        halves += [order[:half], order[half : 2 * half]]
        owner += [i, i]
    pairs = list(zip(owner, halves, strict=True))
    parts = [(test.sequences[i], half) for i, half in pairs if half is not None]
    found = encode_frames(model, test.store, parts, seed=material.seed, **test.encoding)
    codes = [test.codes[i] if half is None else next(found)[1] for i, half in pairs]
    return np.stack([c.static.mean for c in codes]), np.array(owner)


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
    # Two codes of one person have to differ in this.
    apart = np.where(several[person], owner, -1 - np.arange(len(owner)))
    usable = [p for p, rows in members.items() if len(set(apart[rows])) > 1]
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
        others = rows[apart[rows] != apart[first]]
        genuine.append((first, others[generator.integers(len(others))]))
    impostors: list[tuple[np.integer, np.integer]] = []
    while len(impostors) < pairs:
        first, second = generator.integers(len(owner), size=2)
        if person[first] != person[second]:
            impostors.append((first, second))
    chosen = np.array(genuine + impostors)
    return chosen[:, 0], chosen[:, 1], np.arange(2 * pairs) < pairs
