import numpy as np
import pytest

from keras_ddr.evaluation import intervals, probe


def test_interval_of_a_mean_is_that_of_theory(rng):
    values = rng.standard_normal(400)
    low, high = intervals.mean_interval(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)
    assert (high + low) / 2 == pytest.approx(values.mean(), abs=half / 5)


def test_more_items_of_the_same_sequences_do_not_narrow_it(rng):
    values = rng.standard_normal(50)
    once = intervals.mean_interval(values)
    repeated = np.repeat(values, 20)
    groups = np.repeat(np.arange(50), 20)
    assert intervals.mean_interval(repeated, groups) == pytest.approx(once)
    low, high = intervals.mean_interval(repeated)
    assert high - low < 0.4 * (once[1] - once[0])


def test_pairs_share_their_sequences(rng):
    level = rng.standard_normal(40)
    first, second = rng.integers(40, size=(2, 3000))
    first, second = first[first != second], second[first != second]
    low, high = intervals.pair_interval(level[first] + level[second], first, second)
    # Twice the error of the mean of 40, not that of thousands of pairs.
    half = 2 * 1.96 * level.std() / np.sqrt(40)
    assert (high - low) / 2 == pytest.approx(half, rel=0.25)
    assert low < 2 * level.mean() < high


def test_too_few_sequences_have_no_interval():
    assert intervals.mean_interval([1.0]) is None
    assert intervals.mean_interval([1.0, 2.0], [3, 3]) is None
    assert intervals.pair_interval([1.0], [0], [1]) is None


def test_the_size_of_chunks_does_not_matter(rng, monkeypatch):
    values = rng.standard_normal(30)
    whole = intervals.mean_interval(values)
    monkeypatch.setattr(intervals, "_CELLS", 1000)
    assert intervals.mean_interval(values) == pytest.approx(whole)


@pytest.mark.parametrize(
    "kind",
    [
        "continuous",
        pytest.param("periodic", marks=pytest.mark.slow),
        pytest.param("categorical", marks=pytest.mark.slow),
    ],
)
def test_intervals_of_probes_are_those_of_resampled_sequences(rng, kind):
    groups = np.repeat(np.arange(60), 10)
    labels = rng.uniform(0, 6, 60)[groups]
    codes = labels[:, None] + 2 * rng.standard_normal((600, 1))
    if kind == "categorical":
        labels = labels.astype(int)
    half = groups < 30
    split = codes[half], labels[half], codes[~half], labels[~half]
    score = probe(*split, kind, groups=groups[~half])
    # Directly: the same fitted probe, scored on items of sequences drawn anew.
    values, lin = [], []
    for _ in range(200):
        drawn = rng.integers(30, 60, size=30)
        items = np.concatenate([np.flatnonzero(groups == g) for g in drawn])
        found = probe(codes[half], labels[half], codes[items], labels[items], kind)
        values.append(found.value)
        lin.append(found.concordance)
    expected = np.quantile(values, [0.025, 0.975])
    width = expected[1] - expected[0]
    np.testing.assert_allclose(score.interval, expected, atol=0.2 * width)
    assert score.interval[0] < score.value < score.interval[1]
    if kind == "continuous":
        expected = np.quantile(lin, [0.025, 0.975])
        width = expected[1] - expected[0]
        np.testing.assert_allclose(
            score.concordance_interval, expected, atol=0.2 * width
        )
    else:
        assert score.concordance_interval is None
