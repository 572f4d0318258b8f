"""Puppets that move: arms and legs follow smooth paths, an order in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.arguments import check_size, check_whole
from keras_ddr.data.writer import SequenceRecord, write_store
from keras_ddr.datasets.identities import (
    Identity,
    choose_identities,
    counted,
    described,
)
from keras_ddr.datasets.puppets import (
    ARM_ANGLES,
    ATTRIBUTES,
    LEG_ANGLES,
    OFFER,
    Poses,
    labels_of,
)
from keras_ddr.datasets.splits import Splits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.typing import Progress, StrPath

__all__ = ["prepare"]

RATE = 25.0  # frames a second
_FREQUENCIES = 0.2, 1.0  # swings a second
_SHARES = 0.3, 0.7  # of the first of two sines in a path
_ARMS, _LEGS = 12, 8  # the grid whose nearest pose is the label `pose`


def prepare(
    store_path: StrPath,
    *,
    identities: int = 300,
    length: int = 96,
    clips: int = 1,
    size: int = 64,
    splits: Splits = Splits(),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FrameStore:
    """Make a frame store of puppets that move.

    The angle of the arms and that of the legs are each a sum of two sines, drawn anew
    for each sequence: 0.2 to 1 swings a second, within the angles of the grid of
    `puppets.prepare`. Labels are those of that grid as well: `arm_angle` and
    `leg_angle` (degrees), `pose`, here the nearest of its 96 poses, and `skin`, `hair`,
    `shirt`, `trousers`; `time` goes by 25 frames a second.

    Args:
        store_path: Folder to make.
        identities: Number of different colourings, 6 to 1296, chosen as for
            `puppets.prepare`: the same for the same seed.
        length: Frames of a sequence.
        clips: Sequences of each identity, which is their person.
        size: Height and width in pixels, a multiple of 16.
        splits: Shares of the identities for train, val and test, and the seed of that
            choice, of the split and of the paths.
        overwrite: Whether to replace a store that exists.
        progress: Called as progress(done, total) with numbers of sequences.

    Raises:
        InputError: An argument cannot be used, or the store exists.
    """
    check_whole(length=length, clips=clips)
    check_size(size=size)
    splits = OFFER.settle(splits)
    chosen = choose_identities([6] * 4, identities, splits.shares, splits.seed)
    records = _sequences(chosen, clips, length, size, splits.seed)
    return write_store(
        store_path,
        counted(records, identities * clips, progress),
        dataset="puppets",
        frame_shape=(size, size, 3),
        labels=labels_of(_ARMS, _LEGS),
        arguments={
            "motion": True,
            "identities": identities,
            "length": length,
            "clips": clips,
            "size": size,
            **OFFER.noted(splits),
        },
        seed=splits.seed,
        licence="Drawn by keras_ddr; free to use.",
        overwrite=overwrite,
    )


def _sequences(
    chosen: Iterable[Identity], clips: int, length: int, size: int, seed: int
) -> Iterator[SequenceRecord]:
    """The clips of each identity."""
    time = np.arange(length) / RATE
    for number, (name, split, labels) in enumerate(described(chosen, ATTRIBUTES)):
        for clip in range(clips):
            generator = np.random.default_rng([int(seed), 0, 5, number, clip])
            arms, legs = (
                _path(time, limits, generator) for limits in (ARM_ANGLES, LEG_ANGLES)
            )
            place = _nearest(arms, ARM_ANGLES, _ARMS)
            yield SequenceRecord(
                name=name if clips == 1 else f"{name}_{clip}",
                frames=_drawn(arms, legs, size, labels),
                split=split,
                person=name,
                labels=labels,
                frame_labels={
                    "arm_angle": arms,
                    "leg_angle": legs,
                    "pose": place * _LEGS + _nearest(legs, LEG_ANGLES, _LEGS),
                    "time": time,
                },
            )


def _drawn(
    arms: NDArray[Any], legs: NDArray[Any], size: int, labels: Mapping[str, str]
) -> NDArray[np.uint8]:
    """Frames of a clip; drawing takes much more memory than they do."""
    parts = [slice(start, start + 64) for start in range(0, len(arms), 64)]
    return np.concatenate(
        [Poses(arms[k], legs[k], size).coloured(labels) for k in parts]
    )


def _path(
    time: NDArray[Any], limits: tuple[float, float], generator: np.random.Generator
) -> NDArray[np.float32]:
    """Angles `(T,)` at these seconds."""
    frequencies = generator.uniform(*_FREQUENCIES, size=2)
    phases = generator.uniform(0, 2 * np.pi, size=2)
    share = generator.uniform(*_SHARES)
    sines = np.sin(2 * np.pi * frequencies * time[:, None] + phases)
    swing = sines @ [share, 1 - share]  # from -1 to 1
    low, high = limits
    return ((low + high) / 2 + (high - low) / 2 * swing).astype(np.float32)


def _nearest(
    angles: NDArray[Any], limits: tuple[float, float], number: int
) -> NDArray[np.int32]:
    """Numbers of the nearest of evenly spaced angles."""
    low, high = limits
    return np.rint((angles - low) / (high - low) * (number - 1)).astype(np.int32)
