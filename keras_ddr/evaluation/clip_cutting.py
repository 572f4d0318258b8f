"""Clips of a store: runs of frames that the label `phase` counts from 0."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.evaluation.judge_targets import Target

__all__ = ["ClipSet", "clip_length", "cut_clips"]

_PHASE = "phase"


@dataclasses.dataclass(frozen=True)
class ClipSet:
    """Clips of equal length, in the order of their sequences.

    Attributes:
        sequences: List of `Sequence` that they were cut from.
        owner: For each clip the position of its sequence in `sequences`, `(n,)`.
        start: For each clip its first frame in the sequence, `(n,)`.
        length: Frames of a clip, T.
        truth: Dict name of a target → class numbers `(n,)`, −1 where there is none.
    """

    store: FrameStore
    sequences: list[Sequence]
    owner: NDArray[np.integer]
    start: NDArray[np.integer]
    length: int
    truth: dict[str, NDArray[np.integer]]

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.owner)

    def images(self, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """Intensities in [0, 1] of some clips, `(len(rows), T, H, W, C)`."""
        index = np.array([self.sequences[i].index for i in self.owner[rows]])
        places = self.start[rows][:, None] + np.arange(self.length)
        frames = self.store.gather(index, places)
        return frames.astype(np.float32) / np.float32(255)

    def of_frames(self, values: list[NDArray[Any]]) -> NDArray[Any]:
        """Values `(n, T, …)` of their frames, from those of each whole sequence."""
        places = zip(self.owner, self.start, strict=True)
        return np.stack([values[i][at : at + self.length] for i, at in places])


def clip_length(store: FrameStore, sequences: Iterable[Sequence]) -> int:
    """Frames of a clip: one more than the largest phase."""
    largest = max(np.nanmax(_phases(store, s), initial=-1) for s in sequences)
    if largest < 0:
        raise InputError(f"{store.path}: the label {_PHASE!r} is missing everywhere")
    return int(largest) + 1


def cut_clips(
    store: FrameStore,
    sequences: list[Sequence],
    targets: Iterable[Target],
    length: int | None = None,
) -> ClipSet:
    """Cut sequences into clips.

    Args:
        store: `FrameStore` with a frame label `phase`: 0, 1, … in each clip.
        sequences: List of `Sequence`, each of one or more clips.
        targets: Each a `Target` that is the same in all frames of a clip.
        length: Frames of a clip; by default one more than the largest phase.

    Raises:
        InputError: There is no such label, or no clip.

    Warns:
        UserWarning: Some frames belong to no whole clip.
    """
    length = length or clip_length(store, sequences)
    targets = list(targets)
    owner, start = [], []
    truth: dict[str, list[Any]] = {target.name: [] for target in targets}
    for number, sequence in enumerate(sequences):
        if sequence.length < length:
            continue
        phases = sliding_window_view(_phases(store, sequence), length)
        whole = (phases == np.arange(length)).all(axis=1)
        values = [target.of_sequence(store, sequence) for target in targets]
        for column in values:
            part = sliding_window_view(column, length)
            whole &= (part == part[:, :1]).all(axis=1)
        found = np.flatnonzero(whole)
        start.append(found)
        owner.append(np.full(len(found), number))
        for target, column in zip(targets, values, strict=True):
            truth[target.name].append(column[found])
    if not sum(map(len, start)):
        raise InputError(
            f"{store.path} has no clip of {length} frames: frames in a row whose label "
            f"{_PHASE!r} counts 0 to {length - 1} and whose action is one"
        )
    clips = ClipSet(
        store,
        sequences,
        np.concatenate(owner),
        np.concatenate(start),
        length,
        {name: np.concatenate(parts) for name, parts in truth.items()},
    )
    _tell_of_rest(clips)
    return clips


def _tell_of_rest(clips: ClipSet) -> None:
    every = sum(sequence.length for sequence in clips.sequences)
    rest = every - len(clips) * clips.length
    if rest:
        warnings.warn(
            f"{clips.store.path}: {rest} of {every} frames are in no whole clip of "
            f"{clips.length} frames and are left out",
            stacklevel=3,
        )


def _phases(store: FrameStore, sequence: Sequence) -> NDArray[np.float64]:
    label = store.labels.get(_PHASE)
    if label is None or label.scope != "frame":
        raise InputError(
            f"{store.path} has no frame label {_PHASE!r}, which counts the frames of "
            "each clip from 0; give it one (sprites9 has it)"
        )
    return label.numbers(store.label_values(sequence.index, _PHASE))
