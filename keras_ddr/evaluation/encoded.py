"""Codes and labels of the sequences of one split, as the measures need them."""

import math

import numpy as np

from keras_ddr.data.store import CROP_LABELS, FRAME_LABELS
from keras_ddr.errors import InputError

__all__ = [
    "EncodedSplit",
    "choose_sequences",
    "is_missing",
    "measured_labels",
    "select_sequences",
]

_LINEAR_FRAMES = 4000  # frames that a linear probe of a frame label sees, at most
# Where a frame came from, not what it shows.
_BOOKKEEPING = (*FRAME_LABELS, *CROP_LABELS)


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
    """

    def __init__(self, store, sequences, max_frames, generator):
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
        self.codes = None

    def encode(self, model, seed=0, done=None):
        """Find the codes of all sequences, each once.

        Args:
            model: `DDR`.
            seed: Of its choice of sets.
            done: Called after each sequence, or `None`.
        """
        codes = []
        for sequence in self.sequences:
            codes.append(model.encode(self.store.frames(sequence.index), seed=seed))
            if done is not None:
                done()
        self.codes = codes
        self.sequence_codes = np.stack([c.static.mean for c in codes])
        self.frame_codes = {
            "f": self.sequence_codes[self.owner],
            "z": np.concatenate([c.dynamic.mean for c in codes])[self._kept],
            "z~": np.concatenate([c.standardized for c in codes])[self._kept],
        }

    def items(self, label, info, code):
        """All items that have a label.

        Args:
            label: Name of the label.
            info: What `store.label_info` says of it.
            code: "f", "z" or "z~".

        Returns:
            Codes `(n, dim)`, label values `(n,)` and the positions `(n,)` of the
            sequences they belong to.
        """
        owner = self.owner
        if info["scope"] == "sequence":
            values = [sequence.labels.get(label) for sequence in self.sequences]
            present = np.array([not is_missing(v, info) for v in values])
            values = np.array(
                [v if p else "" for v, p in zip(values, present, strict=True)]
            )
            if code == "f":
                codes, owner = self.sequence_codes, np.arange(len(self.sequences))
            else:
                codes = self.frame_codes[code]
                present, values = present[self.owner], values[self.owner]
        else:
            codes = self.frame_codes[code]
            values = self.frame_values(label)
            present = np.array([not is_missing(v, info) for v in values.tolist()])
        codes, values, owner = codes[present], values[present], owner[present]
        if info["kind"] != "categorical":
            values = values.astype("float64")
        if code == "f" and info["scope"] == "frame":
            # f is the same for all frames of a sequence, so that more rows add time
            # (a linear probe of 178 poses takes many minutes) and no knowledge.
            rank = self._rank[present]
            chosen = np.sort(np.argsort(rank)[:_LINEAR_FRAMES])
            codes, values, owner = codes[chosen], values[chosen], owner[chosen]
        return codes, values, owner

    def frame_values(self, label):
        """Values `(F,)` of a frame label, as stored."""
        values = None
        for owner, sequence in enumerate(self.sequences):
            mask = self.owner == owner
            stored = np.asarray(self.store.frame_labels(sequence.index)[label])
            if values is None:
                values = np.empty(len(self.owner), stored.dtype)
            values[mask] = stored[self.position[mask]]
        return values


def measured_labels(store):
    """Labels that say what a frame shows, dict name → info as in `store.label_info`."""
    return {k: v for k, v in store.label_info.items() if k not in _BOOKKEEPING}


def is_missing(value, info):
    """Whether a label's value stands for none: `None`, NaN, "" or its own sign."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    if isinstance(value, str) and not value:
        return True
    return info.get("missing") is not None and value == info["missing"]


def select_sequences(store, split, number):
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
            f"{split!r}; its splits are {', '.join(splits) or 'none'}"
        )
    return sequences


def choose_sequences(sequences, number, generator):
    """At most `number` of the sequences (all where `None`), at random, in order."""
    if number is None or number >= len(sequences):
        return list(sequences)
    chosen = generator.choice(len(sequences), size=number, replace=False)
    return [sequences[i] for i in np.sort(chosen)]
