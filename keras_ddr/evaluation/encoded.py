"""Codes and labels of the sequences of one split, as the measures need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.encoding import encode_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.codes import Codes
    from keras_ddr.data import FrameStore, Label, Sequence
    from keras_ddr.sequence_model import SequenceModel

__all__ = ["EncodedSplit"]


class EncodedSplit:
    """Codes and labels of one split; frames are a random choice of all frames.

    Attributes:
        sequences: List of `Sequence`.
        owner: For each frame the position of its sequence in `sequences`, `(F,)`.
        position: For each frame its place in the sequence, `(F,)`.
        codes: List of `Codes`, one a sequence; this and the rest once `encode` was
            called.
        sequence_codes: f of each sequence `(S, static_dim)`.
        frame_codes: Dict "f", "z", "z~" → `(F, dim)`.
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
        most: int | None = None,
    ) -> None:
        """`most`: frames of a sequence that are encoded, at random."""
        self.store = store
        self.sequences = sequences
        self._places = [np.arange(sequence.length) for sequence in sequences]
        if most is not None:
            self._places = [
                np.sort(generator.permutation(places)[:most]) for places in self._places
            ]
        lengths = [len(places) for places in self._places]
        self._kept = np.arange(sum(lengths))
        if len(self._kept) > max_frames:
            chosen = generator.choice(self._kept, size=max_frames, replace=False)
            self._kept = np.sort(chosen)
        self.owner = np.repeat(np.arange(len(sequences)), lengths)[self._kept]
        self.position = self.kept(self._places)
        self._rank = generator.permutation(len(self._kept))

    def encode(
        self,
        model: SequenceModel,
        seed: int = 0,
        done: Callable[[], object] | None = None,
        encoding: Mapping[str, Any] | None = None,
    ) -> None:
        """Find the codes of all sequences; calls `done` after each."""
        self.encoding = dict(encoding or {})
        parts = list(zip(self.sequences, self._places, strict=True))
        progress = None if done is None else lambda *_: done()
        encoded = encode_frames(
            model, self.store, parts, progress, seed=seed, **self.encoding
        )
        self.codes = codes = [found for _, found in encoded]
        self.sequence_codes = np.stack([c.static.mean for c in codes])
        self.frame_codes = {
            "f": self.sequence_codes[self.owner],
            "z": self.kept([c.dynamic.mean for c in codes]),
            "z~": self.kept([c.standardized for c in codes]),
        }

    def items(
        self, name: str, label: Label, code: str, most: int | None = None
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.integer]]:
        """Codes `(n, dim)`, values and sequences' positions `(n,)` of labelled items.

        At most `most` of a label of frames, at random.
        """
        if label.scope == "sequence" and code == "f":
            codes, owner = self.sequence_codes, np.arange(len(self.sequences))
            values = np.array([s.labels[name] for s in self.sequences], object)
        else:
            codes, owner = self.frame_codes[code], self.owner
            values = self.frame_values(name)
        known = label.present(values)
        codes, owner = codes[known], owner[known]
        # One type for all values, so that they can be compared.
        values = np.array(values[known].tolist())
        if label.kind != "categorical":
            values = values.astype("float64")
        if label.scope == "frame" and most is not None:
            chosen = np.sort(np.argsort(self._rank[known])[:most])
            codes, values, owner = codes[chosen], values[chosen], owner[chosen]
        return codes, values, owner

    def frame_values(self, name: str) -> NDArray[Any]:
        """Values `(F,)` of a label, as stored."""
        parts = zip(self.sequences, self._places, strict=True)
        values = [self.store.label_values(s.index, name, p) for s, p in parts]
        return self.kept(values)

    def kept(self, values: list[NDArray[Any]]) -> NDArray[Any]:
        """Values `(F, …)` of the kept frames, from those of all that are encoded."""
        return np.concatenate(values)[self._kept]


def first_split(store: FrameStore, least: int) -> str | None:
    """The first of test, val and train that has a sequence of `least` frames."""
    names = ("test", "val", "train")
    return next((name for name in names if store.select(name, least)), None)


def choose_sequences(
    store: FrameStore,
    split: str,
    least: int,
    number: int | None,
    generator: np.random.Generator,
) -> list[Sequence]:
    """Sequences of a split with `least` frames; `number` at most, at random."""
    sequences = store.require(split, least)
    if number is None or number >= len(sequences):
        return sequences
    chosen = generator.choice(len(sequences), size=number, replace=False)
    return [sequences[i] for i in np.sort(chosen)]
