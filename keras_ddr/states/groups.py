"""Tests whether groups of persons differ in how much they use states."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.states.runs import person_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.data.store import Sequence as StoredSequence

__all__ = ["GroupTest", "compare_groups"]


@dataclasses.dataclass(frozen=True)
class GroupTest:
    """Differences between groups of persons in the use of states.

    Attributes:
        label: Name of the label, or "".
        persons: Dict name of a group → number of its persons.
        means: Dict name of a group → mean use of each state `(K,)`.
        p: Of each state `(K,)`: how likely such differences are by chance.
        corrected: The same, corrected for several states by the method of Holm.
        smallest: The smallest p that so few persons allow.
    """

    label: str
    persons: dict[str, int]
    means: dict[str, NDArray[np.float64]]
    p: NDArray[np.float64]
    corrected: NDArray[np.float64]
    smallest: float


def compare_groups(
    use: ArrayLike,
    groups: Sequence[str],
    *,
    label: str = "",
    permutations: int = 9999,
    seed: int = 0,
) -> GroupTest:
    """Test the use of each state between groups, by permutations of persons.

    The statistic is the variance between the groups. Persons, not frames, are
    permuted: frames of one person are alike and would let chance look significant.

    Args:
        use: Share of each state in the frames of each person `(P, K)`.
        groups: Group of each person, P names.
        label: What the groups are of.
        permutations: Random ones.
        seed: Of them.

    Raises:
        InputError: There are fewer than two groups.
    """
    use = np.asarray(use, "float64")
    names, places = np.unique(np.asarray(groups, str), return_inverse=True)
    if len(names) < 2:
        raise InputError(
            f"groups: all persons are of one group ({', '.join(names) or 'none'}); "
            "give a label with two groups or more"
        )
    sizes = np.bincount(places)
    member = (np.arange(len(names))[:, None] == places).astype("float64")
    apart = use - use.mean(axis=0)

    def between(member: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((member @ apart) ** 2 / sizes[:, None]).sum(axis=0)

    observed = between(member)
    generator = np.random.default_rng(seed)
    # Rounding makes no difference of two orders of the same groups.
    least, count = observed - 1e-9 * (apart**2).sum(axis=0), np.ones(use.shape[1])
    for _ in range(permutations):
        count += between(member[:, generator.permutation(len(places))]) >= least
    p = count / (permutations + 1)
    ways = math.factorial(len(places)) // math.prod(map(math.factorial, sizes.tolist()))
    # Groups of one size that change places differ no less.
    alike = math.prod(
        math.factorial(n) for n in np.unique(sizes, return_counts=True)[1]
    )
    means = {n: use[places == k].mean(axis=0) for k, n in enumerate(names.tolist())}
    persons = dict(zip(names.tolist(), sizes.tolist(), strict=True))
    return GroupTest(label, persons, means, p, holm(p), min(1.0, alike / ways))


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Values p `(K,)` corrected for K tests: Holm's, which needs no independence."""
    p = np.asarray(p, "float64")
    order = np.argsort(p)
    scaled = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(scaled, 1.0)
    return corrected


def groups_of(
    store: FrameStore, sequences: Iterable[StoredSequence], label: str
) -> Mapping[str, str]:
    """Group of each person whose group is known, by a categorical label of sequences.

    Raises:
        InputError: The label cannot be used.
    """
    known = store.labels.get(label)
    fits = [
        name
        for name, about in store.labels.items()
        if (about.scope, about.kind) == ("sequence", "categorical")
    ]
    if label not in fits:
        said = "there is no such label"
        if known is not None:
            said = f"it is a {known.kind} label of {known.scope}s, and groups need a "
            said += "categorical one of sequences"
        listed = ", ".join(fits) or "none; give it some by ddr label"
        raise InputError(f"groups={label}: {said}; {store.path} has {listed}")
    groups: dict[str, str] = {}
    for sequence in sequences:
        value = np.array([sequence.labels[label]], object)
        [name] = store.labels[label].names(value)
        person = person_of(sequence)
        if name is not None and groups.setdefault(person, name) != name:
            raise InputError(
                f"groups={label}: {person} is in two groups, {groups[person]} and "
                f"{name}; the test needs one group a person"
            )
    if len(set(groups.values())) < 2:
        raise InputError(
            f"groups={label}: all persons are of one group "
            f"({', '.join(set(groups.values())) or 'none'}); give another label"
        )
    return groups
