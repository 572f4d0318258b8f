"""The test between groups: exact, and right under the null hypothesis."""

import itertools

import numpy as np
import pytest
from scipy.stats import binom

from keras_ddr import InputError
from keras_ddr.states import compare_groups
from keras_ddr.states.groups import holm


def test_p_is_the_share_of_all_exchanges_of_persons(rng):
    use = rng.normal(size=(8, 3))
    use[:4] += [2.0, 0.5, 0.0]
    found = compare_groups(use, list("aaaabbbb"), permutations=20_000)

    def apart(group):
        others = [i for i in range(8) if i not in group]
        return np.abs(use[list(group)].mean(axis=0) - use[others].mean(axis=0))

    every = np.stack([apart(group) for group in itertools.combinations(range(8), 4)])
    exact = (every >= apart(range(4)) - 1e-12).mean(axis=0)
    np.testing.assert_allclose(found.p, exact, atol=0.015)
    assert found.persons == {"a": 4, "b": 4}
    np.testing.assert_allclose(found.means["a"], use[:4].mean(axis=0))
    # 70 ways to choose four of eight, and two of them are the same groups.
    assert found.smallest == pytest.approx(2 / 70)


def test_its_level_holds_where_labels_mean_nothing(rng):
    """By chance p is below .05 in .05 of the cases, corrected ones in no more."""
    cases, persons = 300, 15
    single, any_of = 0, 0
    for case in range(cases):
        # A few frames a person, so that persons differ far more than chance in frames.
        use = rng.dirichlet([0.5, 1.0, 2.0, 4.0], size=persons)
        groups = rng.permutation(["a"] * 4 + ["b"] * 5 + ["c"] * 6)
        found = compare_groups(use, groups, permutations=99, seed=case)
        single += found.p[0] <= 0.05
        any_of += found.corrected.min() <= 0.05
    low, high = binom.ppf([0.001, 0.999], cases, 0.05)
    assert low <= single <= high
    assert any_of <= high


def test_holm_by_hand():
    found = holm([0.01, 0.04, 0.03, 0.6])
    np.testing.assert_allclose(found, [0.04, 0.09, 0.09, 0.6])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]


def test_one_group_is_refused(rng):
    with pytest.raises(InputError, match="all persons are of one group .a.; give"):
        compare_groups(rng.normal(size=(3, 2)), ["a", "a", "a"])
