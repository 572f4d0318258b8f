"""Stores with the frames of another one in another order, or without some of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.arguments import check_number, check_seed, check_whole
from keras_ddr.data.store import FrameStore
from keras_ddr.data.writer import SequenceRecord, write_store
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath

__all__ = ["reordered"]


def reordered(
    store: FrameStore | StrPath,
    path: StrPath,
    *,
    shuffle: bool = False,
    missing: float = 0.0,
    keep: int = 1,
    seed: int = 0,
    overwrite: bool = False,
) -> FrameStore:
    """Write a store whose sequences are shuffled, or lack some of their frames.

    Each frame keeps its labels and its time. The store counts as ordered if the other
    one does, so that models of ordered frames can be trained on it and show how much
    they need the order.

    Args:
        store: `FrameStore` or its path.
        path: Folder to make.
        shuffle: Whether the frames of each sequence come in random order.
        missing: Share of the frames of each sequence that are left out at random, from
            0 to below 1.
        keep: Frames of a sequence that stay at least, or all where it has fewer.
        seed: Of what is left out and of the order.
        overwrite: Whether to replace a store that exists.

    Returns:
        The `FrameStore` at `path`, with the sequences of `store` in its order.

    Raises:
        InputError: An argument cannot be used.
    """
    check_number(missing=missing)
    if missing >= 1:
        raise InputError(f"missing={missing}; it must be a share below 1")
    check_whole(keep=keep)
    check_seed(seed=seed)
    store = store if isinstance(store, FrameStore) else FrameStore.open(store)
    about = {"shuffle": bool(shuffle), "missing": float(missing), "seed": int(seed)}
    return write_store(
        path,
        _sequences(store, shuffle, missing, keep, seed),
        dataset=store.dataset,
        frame_shape=store.frame_shape,
        labels=store.labels,
        arguments={**(store.meta.get("arguments") or {}), "reordered": about},
        seed=store.meta.get("seed"),
        licence=store.meta.get("licence", ""),
        ordered=store.ordered,
        overwrite=overwrite,
    )


def _sequences(
    store: FrameStore, shuffle: bool, missing: float, keep: int, seed: int
) -> Iterator[SequenceRecord]:
    for row in store.sequences:
        generator = np.random.default_rng([int(seed), 0, 6, row.index])
        frames = _kept(row.length, missing, keep, generator)
        if shuffle:
            generator.shuffle(frames)
        labels = store.frame_labels(row.index)
        yield SequenceRecord(
            row.name,
            store.frames(row.index, frames),
            row.split,
            row.person,
            row.source,
            row.labels,
            {name: values[frames] for name, values in labels.items()},
        )


def _kept(
    length: int, missing: float, keep: int, generator: np.random.Generator
) -> NDArray[np.integer]:
    """The frames of a sequence that are kept, in order."""
    number = min(length, max(keep, math.ceil(length * (1 - missing))))
    return np.sort(generator.permutation(length)[:number])
