import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.evaluation import Axis
from keras_ddr.evaluation.mig_dci import (
    _discretize,
    dci,
    mutual_information_gap,
    score_axes,
)


@pytest.fixture
def factors(rng):
    """Three factors with missing combinations, one of them constant."""
    rows = rng.integers(6, size=(4000, 3)).astype(float)
    total = rows[:, 0] + rows[:, 1]
    rows = rows[(total > 0) & (total < 10)]
    rows[:, 2] = 3.0
    return {name: rows[:, i] for i, name in enumerate(("a", "b", "c"))}


def rotated(codes):
    return codes @ (np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2))


def test_copied_factors_score_one_and_constant_ones_are_left_out(rng, factors):
    codes = np.stack(list(factors.values()), axis=1)
    codes = codes + 1e-3 * rng.standard_normal(codes.shape)
    half = len(codes) // 2
    parts = [slice(half), slice(half, None)]
    score, constant = score_axes(
        [codes[part] for part in parts],
        [{k: v[part] for k, v in factors.items()} for part in parts],
    )
    assert constant == ["c"]
    assert set(score.gaps) == set(score.informativeness) == {"a", "b"}
    assert score.mig > 0.9
    assert score.disentanglement > 0.95 and score.completeness > 0.95
    assert min(score.informativeness.values()) > 0.99
    np.testing.assert_allclose(np.sum(score.importance, axis=1), 1)


def test_rotated_codes_keep_information_and_lose_axes(rng):
    codes = rng.uniform(size=(3000, 2))
    turned = rotated(codes)
    for i in range(2):
        assert mutual_information_gap(codes, codes[:, i]) > 0.9
        assert mutual_information_gap(turned, codes[:, i]) < 0.1
    straight, bent = (
        dci(c[:2000], codes[:2000], c[2000:], codes[2000:]) for c in (codes, turned)
    )
    assert straight[0] > 0.95 and straight[1] > 0.95
    assert bent[0] < 0.3 and bent[1] < 0.3
    assert min(bent[2]) > 0.9


def test_gap_of_known_distributions():
    # One bit in the first component, none in the second, of a factor of one bit.
    factor = np.array([0, 1] * 10)
    codes = np.stack([factor, np.zeros(20)], axis=1)
    assert mutual_information_gap(codes, factor) == pytest.approx(1)
    assert mutual_information_gap(codes[:, [0, 0]], factor) == 0
    assert mutual_information_gap(codes[:, :1], factor) == pytest.approx(1)
    # A factor of two bits, of which the component says one.
    two = np.array([0, 1, 2, 3] * 5)
    assert mutual_information_gap((two % 2)[:, None], two) == pytest.approx(0.5)


def test_codes_that_say_nothing_score_nothing_and_no_nan(rng):
    factor = rng.uniform(size=(2000, 2))
    for codes in (np.zeros((2000, 2)), rng.standard_normal((2000, 2))):
        assert mutual_information_gap(codes, factor[:, 0]) < 0.05
        disentanglement, completeness, information, importance = dci(
            codes[:1000], factor[:1000], codes[1000:], factor[1000:]
        )
        assert 0 <= disentanglement < 0.1
        assert 0 <= completeness < 0.1 or not np.any(importance)
        assert max(information) < 0.05
        assert np.isfinite(importance).all()


def test_bins_are_equal_in_width():
    np.testing.assert_array_equal(
        _discretize([0, 0.049, 0.051, 0.999, 1]), [0, 0, 1, 19, 19]
    )
    np.testing.assert_array_equal(_discretize(np.ones(3)), [0, 0, 0])


def test_one_factor_or_one_component_has_no_order(rng):
    codes = rng.uniform(size=(500, 1))
    disentanglement, completeness, _, _ = dci(codes, codes, codes, codes)
    assert disentanglement is None and completeness is None


def test_frames_without_a_factor_are_left_out(rng):
    factors = {"a": rng.uniform(size=5000)}
    codes = np.stack([factors["a"], rng.uniform(size=5000)], axis=1)
    codes[:2500] = 0
    factors["a"][:2500] = np.nan
    score, _ = score_axes([codes, codes], [factors, factors])
    assert score.mig > 0.9
    with pytest.raises(InputError, match="no frame has all"):
        score_axes([codes[:250], codes], [{"a": factors["a"][:250]}, factors])
    with pytest.raises(InputError, match="no factor varies"):
        score_axes([codes, codes], [{"a": np.ones(5000)}] * 2)


def test_factors_are_continuous_labels_of_frames(codec, many, material):
    found = Axis().run(material(codec("oracle"), many, fit=many.select("train")))
    assert set(found["z"].gaps) == {"arm_angle", "leg_angle"}
    with pytest.raises(InputError, match="here are 2 and 26"):
        Axis().run(material(codec("all in z"), many))
