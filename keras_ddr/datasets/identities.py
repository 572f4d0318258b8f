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

__all__ = ["choose_identities"]


def choose_identities(
    sizes: Sequence[int], number: int, shares: ArrayLike, seed: int
) -> list[tuple[tuple[int, ...], str]]:
    """Choose different combinations of attribute values and split them.

    Every value of every attribute occurs: the first few identities run through all
    values. They go to the training split as far as it has room.

    Args:
        sizes: Number of values of each attribute, equal for all.
        number: Number of identities, from sizes[0] to the product.
        shares: Shares of train, val and test, on any scale.
        seed: Non-negative integer; the same seed gives the same identities.

    Returns:
        List of (combination, split), sorted by combination, where a combination is a
        tuple of value indices.

    Raises:
        InputError: There are fewer combinations, or too few to cover all values.
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
