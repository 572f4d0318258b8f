"""Codes and labels of the sequences of one split, as the measures need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.labels import Label
    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.sequence_model import Codes
    from keras_ddr.model import DDR

__all__ = [
    "EncodedSplit",
    "choose_sequences",
    "select_sequences",
]

_LINEAR_FRAMES = 4000  # frames that a linear probe of a frame label sees, at most


class EncodedSplit:
    """Codes and labels of one split; frames are a random choice of all frames.

    Args:
        store: `FrameStore`.
        sequences: List of `Sequence`.
        max_frames: Largest number of frames.
        generator: NumPy generator for that choice.

    Attributes:
        sequences: As given.
        codes: List of `Codes`, one a sequence, once `encode` was called.
        owner: For each frame the position of its sequence in `sequences`, `(F,)`.
        position: For each frame its place in the sequence, `(F,)`.
        frame_codes: Dict "f", "z", "z~" → `(F, dim)`, once `encode` was called.
        encoding: Dict as given to `encode`.
    """

    codes: list[Codes]
    encoding: dict[str, Any]
    sequence_codes: NDArray[np.float32]
    frame_codes: dict[str, NDArray[np.float32]]

    def __init__(
        self,
        store: FrameStore,
        sequences: list[Sequence],
        max_frames: int,
        generator: np.random.Generator,
    ) -> None:
        self.store = store
        self.sequences = sequences
        lengths = [sequence.length for sequence in sequences]
        self.owner = np.repeat(np.arange(len(sequences)), lengths)
        self.position = np.concatenate([np.arange(length) for length in lengths])
        self._kept = np.arange(len(self.owner))
        if len(self._kept) > max_frames:
            chosen = generator.choice(self._kept, size=max_frames, replace=False)
            self._kept = np.sort(chosen)
        self.owner = self.owner[self._kept]
        self.position = self.position[self._kept]
        self._rank = generator.permutation(len(self._kept))

    def encode(
        self,
        model: DDR,
        seed: int = 0,
        done: Callable[[], object] | None = None,
        encoding: Mapping[str, Any] | None = None,
    ) -> None:
        """Find the codes of all sequences, each once.

        Args:
            model: `DDR`.
            seed: Of its choice of sets.
            done: Called after each sequence, or `None`.
            encoding: Dict of other arguments of `DDR.encode`, or `None`.
        """
        self.encoding = dict(encoding or {})
        codes = []
        for sequence in self.sequences:
            frames = self.store.frames(sequence.index)
            codes.append(model.encode(frames, seed=seed, **self.encoding))
            if done is not None:
                done()
        self.codes = codes
        self.sequence_codes = np.stack([c.static.mean for c in codes])
        self.frame_codes = {
            "f": self.sequence_codes[self.owner],
            "z": np.concatenate([c.dynamic.mean for c in codes])[self._kept],
            "z~": np.concatenate([c.standardized for c in codes])[self._kept],
        }

    def items(
        self, name: str, label: Label, code: str
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.integer]]:
        """All items that have a label.

        Args:
            name: Name of the label.
            label: Its `Label` in the store.
            code: "f", "z" or "z~".

        Returns:
            Codes `(n, dim)`, label values `(n,)` and the positions `(n,)` of the
            sequences they belong to.
        """
        owner = self.owner
        if label.scope == "sequence":
            values = [sequence.labels.get(name) for sequence in self.sequences]
            known = label.present(values)
            values = np.array(
                [v if k else "" for v, k in zip(values, known, strict=True)]
            )
            if code == "f":
                codes, owner = self.sequence_codes, np.arange(len(self.sequences))
            else:
                codes = self.frame_codes[code]
                known, values = known[self.owner], values[self.owner]
        else:
            codes = self.frame_codes[code]
            values = self.frame_values(name)
            known = label.present(values)
        codes, values, owner = codes[known], values[known], owner[known]
        if label.kind != "categorical":
            values = values.astype("float64")
        if code == "f" and label.scope == "frame":
            # f is the same for all frames of a sequence, so that more rows add time
            # (a linear probe of 178 poses takes many minutes) and no knowledge.
            rank = self._rank[known]
            chosen = np.sort(np.argsort(rank)[:_LINEAR_FRAMES])
            codes, values, owner = codes[chosen], values[chosen], owner[chosen]
        return codes, values, owner

    def frame_values(self, label: str) -> NDArray[Any]:
        """Values `(F,)` of a frame label, as stored."""
        values = [self.store.frame_labels(s.index)[label] for s in self.sequences]
        return np.concatenate(values)[self._kept]


def select_sequences(store: FrameStore, split: str, number: int) -> list[Sequence]:
    """Sequences of a split that are long enough.

    Args:
        store: `FrameStore`.
        split: Name of the split.
        number: Fewest frames.

    Returns:
        List of `Sequence`.

    Raises:
        InputError: There is none.
    """
    sequences = store.select(split=split, min_length=number)
    if not sequences:
        splits = sorted({sequence.split for sequence in store.sequences})
        raise InputError(
            f"{store.path} has no sequence of at least {number} frames in the split "
            f"{split!r}; its splits are {', '.join(splits) or 'none'}: "
            "choose one of them, or make the store with other shares (--splits)"
        )
    return sequences


def choose_sequences(
    sequences: list[Sequence], number: int | None, generator: np.random.Generator
) -> list[Sequence]:
    """At most `number` of the sequences (all where `None`), at random, in order."""
    if number is None or number >= len(sequences):
        return list(sequences)
    chosen = generator.choice(len(sequences), size=number, replace=False)
    return [sequences[i] for i in np.sort(chosen)]
