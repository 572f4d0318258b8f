"""Swap error: one sequence's f with another's z, compared with the true picture."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.evaluation import intervals
from keras_ddr.evaluation.equal_error_rate import persons_of
from keras_ddr.evaluation.measure import Headline, Measure, aligned, number
from keras_ddr.evaluation.reconstruction import squared_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.evaluation.measure import Material
    from keras_ddr.typing import Interval

__all__ = ["Swap", "SwapScore"]

_CHUNK = 256
_ROWS = {
    "swap": "f of A, z of B",
    "swap_prior": "f of A, z~ of B",
    "reconstruction": "f, z of the true frame",
    "mean_image": "mean image",
}


@dataclasses.dataclass(frozen=True)
class SwapScore:
    """Mean squared errors on intensities in [0, 1], all on the same true frames.

    Attributes:
        swap: Error of f of A with z of a frame of B, z taken as it is.
        swap_prior: The same with z carried over as z̃.
        reconstruction: Error of f and z of the true frame itself.
        mean_image: Error of always predicting the mean frame of the training part.
        pairs: Number of pairs (A, frame of B).
        intervals: Dict name of an error → its interval.
    """

    swap: float
    swap_prior: float
    reconstruction: float
    mean_image: float
    pairs: int
    intervals: dict[str, Interval | None] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Swap(Measure):
    """Decode f of one sequence with z of another and compare with the truth.

    The truth is a stored frame of A's person with the same `label` as the frame of B,
    so that the store must show every person in (nearly) every pose. It may come from
    another sequence of that person.

    Attributes:
        pairs: Number of random pairs of sequences of two people.
        label: Name of the categorical frame label that says which frames show the same.
    """

    pairs: int = 1000
    label: str = "pose"

    name = "swap"
    about = "f of one sequence with z of another, against the true frame"

    def run(self, material: Material) -> SwapScore:
        """See `Measure`."""
        store, model, seed = material.store, material.model, material.seed
        sequences, codes = material.test.sequences, material.test.codes
        label = store.labels.get(self.label)
        if label is None or label.scope != "frame":
            raise InputError(
                f"{store.path} has no frame label {self.label!r} to pair frames by"
            )
        people = persons_of(sequences)
        if len(set(people)) < 2:
            raise InputError("swapping takes sequences of at least two people")
        mean = mean_image(store, material.fit.sequences, seed=seed)
        chosen = self._choose_pairs(store, sequences, people, seed)
        parts = []
        for start in range(0, len(chosen), _CHUNK):
            part = chosen[start : start + _CHUNK]
            truth = [store.frames(sequences[c].index, [i])[0] for _, c, i, _, _ in part]
            truth = np.stack(truth).astype("float32") / 255.0
            static = np.stack([codes[a].static.mean for a, *_ in part])
            of_truth = np.stack([codes[c].static.mean for _, c, *_ in part])
            own = np.stack([codes[c].dynamic.mean[i] for _, c, i, _, _ in part])
            other = np.stack([codes[b].dynamic.mean[j] for *_, b, j in part])
            scores = np.stack([codes[b].standardized[j] for *_, b, j in part])
            aligned_z = model.unstandardize(static, scores)
            images = [model.decode(static, z) for z in (other, aligned_z)]
            images.append(model.decode(of_truth, own))
            found = [squared_errors(x, truth) for x in images]
            parts.append([*found, squared_errors(mean, truth)])
        errors = dict(zip(_ROWS, np.concatenate(parts, axis=1), strict=True))
        first, _, _, second, _ = np.transpose(chosen)
        means = {name: float(values.mean()) for name, values in errors.items()}
        found = {
            name: intervals.pair_interval(values, first, second, seed)
            for name, values in errors.items()
        }
        return SwapScore(**means, pairs=len(chosen), intervals=found)

    def lines(self, score: SwapScore) -> list[str]:
        """See `Measure`."""
        rows = [
            [text, number(getattr(score, name), score.intervals.get(name), 5)]
            for name, text in _ROWS.items()
        ]
        return [
            f"Swap: mean squared error of {score.pairs} frames, intensities in [0, 1]",
            *aligned(["predicted from", "mse"], rows),
        ]

    def _choose_pairs(
        self,
        store: FrameStore,
        sequences: list[Sequence],
        people: NDArray[np.integer],
        seed: int,
    ) -> list[tuple[int, int, int, int, int]]:
        """List of (A, sequence and frame of its person, B, frame of B)."""
        generator = np.random.default_rng(seed)
        values = [store.frame_labels(s.index)[self.label] for s in sequences]
        known = [store.labels[self.label].present(column) for column in values]
        lengths = [len(column) for column in values]
        owner = np.repeat(np.arange(len(sequences)), lengths)
        place = np.concatenate([np.arange(length) for length in lengths])
        everything = np.concatenate(values)
        of_person = {who: np.flatnonzero(people[owner] == who) for who in set(people)}
        chosen: list[tuple[int, int, int, int, int]] = []
        # Some draws find no partner where a pose is not stored for everyone.
        for _ in range(10 * self.pairs):
            if len(chosen) == self.pairs:
                break
            a, b = generator.choice(len(sequences), size=2, replace=False)
            j = generator.integers(lengths[b])
            if people[a] == people[b] or not known[b][j]:
                continue
            frames = of_person[people[a]]
            same = frames[everything[frames] == values[b][j]]
            if len(same):
                k = generator.choice(same)
                chosen.append((a, int(owner[k]), int(place[k]), b, int(j)))
        if not chosen:
            raise InputError(
                f"no two people share a value of the frame label {self.label!r}"
            )
        return chosen

    def headlines(self, score: SwapScore) -> dict[str, Headline]:
        """See `Measure`."""
        found = {"swap, z as it is": score.swap, "swap, z~": score.swap_prior}
        names = {"swap, z as it is": "swap", "swap, z~": "swap_prior"}
        return {
            text: Headline(value, score.intervals.get(names[text]), -1, 5)
            for text, value in found.items()
        }


def mean_image(
    store: FrameStore, sequences: list[Sequence], frames: int = 2000, seed: int = 0
) -> NDArray[np.float64]:
    """Mean `(H, W, C)` in [0, 1] of random frames, spread over the sequences."""
    generator = np.random.default_rng(seed)
    if len(sequences) > frames:
        order = generator.permutation(len(sequences))[:frames]
        sequences = [sequences[i] for i in order]
    each = max(1, frames // len(sequences))
    total, count = np.zeros(store.frame_shape), 0
    for sequence in sequences:
        taken = np.sort(generator.permutation(sequence.length)[:each])
        total += store.frames(sequence.index, taken).sum(axis=0, dtype="float64")
        count += len(taken)
    return total / (255.0 * count)
