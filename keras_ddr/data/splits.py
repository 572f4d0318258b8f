"""Splits: which sequences train, validate and test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.data.format import SPLITS
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["assign_splits"]


def checked_shares(splits: Mapping[str, float] | ArrayLike) -> NDArray[np.float64]:
    """Shares (3,) of train, val and test from a dict or numbers that sum to 1."""
    given = splits
    if isinstance(splits, Mapping):
        known = set(splits) <= set(SPLITS)
        given = [splits.get(split, 0.0) for split in SPLITS] if known else []
    try:
        shares = np.asarray(given, "float64")
    except (TypeError, ValueError):
        shares = np.empty(0)
    fit = shares.shape == (3,) and (shares >= 0).all() and np.isclose(shares.sum(), 1)
    if not fit:
        if isinstance(splits, Mapping):
            said = ", ".join(f"{name} {share}" for name, share in splits.items())
        else:
            said = " ".join(map(str, np.ravel(np.asarray(splits, object))))
        raise InputError(
            f"splits: {said} are not three shares (train, val, test) that sum to 1"
        )
    return shares


def assign_splits(
    groups: Iterable[str],
    fractions: Mapping[str, float] | Iterable[float],
    seed: int = 0,
) -> list[str]:
    """Deal groups out to train, val and test at random.

    Args:
        groups: List of group names, one for each sequence (its person, else its
            source, else its name). Equal names stay together.
        fractions: Dict split -> share of the groups, such as
            {"train": .8, "val": .1, "test": .1}, or the three shares in that order;
            an `InputError` where they do not sum to 1.
        seed: The same seed and set of groups give the same splits.

    Returns:
        List of split names, one for each entry of `groups`. Every split with a share
        above 0 gets a group where there are enough.
    """
    if not isinstance(fractions, Mapping):
        fractions = list(fractions)
    shares = checked_shares(fractions)
    unique = sorted(set(groups))
    counts = split_counts(len(unique), shares)
    order = np.random.default_rng([int(seed), 0, 2]).permutation(len(unique))
    sides = np.repeat(SPLITS, counts)
    side_of = {unique[k]: str(side) for k, side in zip(order, sides, strict=True)}
    return [side_of[group] for group in groups]


def split_counts(number: int, shares: ArrayLike) -> list[int]:
    """Round shares of `number` to whole counts, none of them 0 where avoidable."""
    shares = np.asarray(shares, float)
    exact = number * shares / shares.sum()
    counts = np.floor(exact).astype(int)
    for place in np.argsort(counts - exact, kind="stable")[: number - counts.sum()]:
        counts[place] += 1
    for place in np.flatnonzero((counts == 0) & (shares > 0)):
        if counts.max() > 1:
            counts[counts.argmax()] -= 1
            counts[place] += 1
    return [int(count) for count in counts]


def joined_groups(
    names: Iterable[str], persons: Iterable[str], sources: Iterable[str]
) -> list[str]:
    """Names of groups: equal for sequences linked by persons or sources (not "")."""
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def find(key: tuple[str, str]) -> tuple[str, str]:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]  # half the way for the next one
            key = parent[key]
        return key

    names = [str(name) for name in names]
    for name, person, source in zip(names, persons, sources, strict=True):
        for key in (("person", str(person or "")), ("source", str(source or ""))):
            if key[1]:
                parent[find(key)] = find(("name", name))
    return ["{} {}".format(*find(("name", name))) for name in names]
