"""Identities of drawn data sets: combinations of attributes, and their sequences."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from keras_ddr.arguments import check_seed, check_whole
from keras_ddr.data.splits import split_counts
from keras_ddr.data.writer import SequenceRecord

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import Progress

# A class of each attribute, by its number, and the split.
Identity: TypeAlias = tuple[tuple[int, ...], str]


def choose_identities(
    sizes: Sequence[int], number: int, shares: ArrayLike, seed: int
) -> list[Identity]:
    """Choose different combinations of attribute values: (combination, split), sorted.

    The first few run through all values of every attribute; they go to the training
    split as far as it has room.
    """
    total = int(np.prod(sizes))
    least = max(sizes)
    check_whole(least, total, identities=number)
    check_seed(seed=seed)
    random = np.random.default_rng([int(seed), 0, 3])
    orders = [random.permutation(size) for size in sizes]
    chosen = [
        tuple(int(order[k % len(order)]) for order in orders) for k in range(least)
    ]
    known = set(chosen)
    every = itertools.product(*map(range, sizes))
    others = [combination for combination in every if combination not in known]
    for place in random.permutation(len(others))[: number - least]:
        chosen.append(others[place])
    splits = np.repeat(["train", "val", "test"], split_counts(number, shares))
    return sorted(zip(chosen, map(str, splits), strict=True))


def described(
    chosen: Iterable[Identity], attributes: Mapping[str, Iterable[str]]
) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Name and split of each identity, and its classes by attribute."""
    classes = {name: list(values) for name, values in attributes.items()}
    for numbers, split in chosen:
        pairs = zip(classes.items(), numbers, strict=True)
        labels = {name: values[number] for (name, values), number in pairs}
        yield "_".join(labels.values()), split, labels


def draw_identities(
    chosen: Iterable[Identity],
    attributes: Mapping[str, Iterable[str]],
    draw: Callable[[dict[str, str]], NDArray[np.uint8]],
    frame_labels: Mapping[str, NDArray[Any]],
) -> Iterator[SequenceRecord]:
    """A sequence of each identity; `draw` makes its frames from attribute -> class."""
    for name, split, labels in described(chosen, attributes):
        yield SequenceRecord(
            name=name,
            frames=draw(labels),
            split=split,
            person=name,
            labels=labels,
            frame_labels=frame_labels,
        )


def counted(
    records: Iterable[SequenceRecord], total: int, progress: Progress | None
) -> Iterator[SequenceRecord]:
    """The records; progress(done, total) is called after each of them."""
    for done, record in enumerate(records, start=1):
        yield record
        if progress is not None:
            progress(done, total)
