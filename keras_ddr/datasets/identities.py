"""Choosing combinations of attributes for the drawn datasets."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.arguments import check_seed, check_whole
from keras_ddr.data.splits import split_counts

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def choose_identities(
    sizes: Sequence[int], number: int, shares: ArrayLike, seed: int
) -> list[tuple[tuple[int, ...], str]]:
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
    others = [
        combination
        for combination in itertools.product(*(range(size) for size in sizes))
        if combination not in known
    ]
    for place in random.permutation(len(others))[: number - least]:
        chosen.append(others[place])
    splits = np.repeat(["train", "val", "test"], split_counts(number, shares))
    return sorted(zip(chosen, map(str, splits), strict=True))
