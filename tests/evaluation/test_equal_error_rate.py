import numpy as np
import pytest
from sklearn.metrics import roc_curve

from keras_ddr import InputError
from keras_ddr.data import write_arrays
from keras_ddr.evaluation import Verification
from keras_ddr.evaluation.equal_error_rate import equal_error_rate


def test_rates_of_known_scores(rng):
    assert equal_error_rate([3, 2, 1, 0], [1, 1, 0, 0]) == 0
    assert equal_error_rate([3, 2, 1, 0], [0, 0, 1, 1]) == 1
    assert equal_error_rate([5, 5, 5, 5], [1, 0, 1, 0]) == 0.5
    # At a threshold between 2 and 3 one of four is wrong on each side.
    scores = [1, 3, 4, 5, -1, 0, 1.5, 3.5]
    assert equal_error_rate(scores, [1, 1, 1, 1, 0, 0, 0, 0]) == 0.25
    labels = rng.integers(2, size=20_000)
    rate = equal_error_rate(rng.standard_normal(20_000), labels)
    assert rate == pytest.approx(0.5, abs=0.015)


def test_rate_of_two_normals(rng):
    # Half of the distance, 1, away from each mean: Φ(−1).
    scores = np.concatenate([rng.normal(2, 1, 40_000), rng.normal(0, 1, 4000)])
    rate = equal_error_rate(scores, np.arange(44_000) < 40_000)
    assert rate == pytest.approx(0.1587, abs=0.01)


def test_rates_are_interpolated():
    # Above 1: no impostor, half of the true pairs refused; from 1: all accepted.
    assert equal_error_rate([1, 2, 1], [1, 1, 0]) == pytest.approx(1 / 3)


def test_weights_count_like_copies(rng):
    scores, labels = rng.standard_normal(50).round(1), rng.integers(2, size=50)
    weights = rng.integers(0, 4, size=50)
    copies = equal_error_rate(np.repeat(scores, weights), np.repeat(labels, weights))
    assert equal_error_rate(scores, labels, weights) == pytest.approx(copies)


def test_rates_lie_on_the_roc_curve(rng):
    labels = rng.integers(2, size=200).astype(bool)
    scores = (labels + rng.standard_normal(200)).round(2)
    accepted, found, _ = roc_curve(labels, scores)
    rate = equal_error_rate(scores, labels)
    assert np.interp(rate, accepted, found) == pytest.approx(1 - rate)


def test_pairs_follow_from_the_seed(codec, many, material):
    given = [material(codec("random"), many, seed=seed) for seed in (0, 0, 1)]
    first, same, other = (Verification(pairs=100).run(part) for part in given)
    assert first == same != other
    assert (first["z"].genuine, first["z"].impostors) == (100, 100)
    assert first["z"].persons == 24
    low, high = first["z"].interval
    assert low < first["z"].value < high


def test_pairs_of_a_person_with_two_sequences_are_of_both(
    codec, many, material, tmp_path
):
    """Two colourings of one person: recognising a sequence does not help."""
    chosen = many.sequences[:20]
    frames = [many.frames(s.index) for s in chosen]
    persons = [f"person {i % 10}" for i in range(20)]
    for name, given in (("two", {"persons": persons}), ("apart", {})):
        store = write_arrays(tmp_path / name, frames, **given)
        measure = Verification(pairs=500)
        score = measure.run(material(codec("oracle"), store, store.sequences))["f"]
        assert score.persons == (10 if given else 20)
        assert score.value > 0.3 if given else score.value == 0


def test_who_cannot_be_verified(codec, many, material, tmp_path):
    one = material(codec("oracle"), many, many.sequences[:1])
    with pytest.raises(InputError, match="at least two persons"):
        Verification().run(one)
    short = write_arrays(
        tmp_path / "short", [many.frames(i, range(5)) for i in range(3)]
    )
    # Five frames: halves of two are too short for sets of three.
    with pytest.raises(InputError, match="long enough to be halved"):
        Verification().run(material(codec("oracle"), short, short.sequences))
