import math

import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.evaluation import fixed_probes as probes
from keras_ddr.evaluation import probe


def test_concordance_correlation_of_known_values():
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    assert probes.concordance_correlation(truth, truth) == pytest.approx(1)
    assert probes.concordance_correlation(truth, -truth + 5) == pytest.approx(-1)
    # var 1.25, cov 1.25, difference of the means 1: 2.5 / (2.5 + 1).
    shifted = probes.concordance_correlation(truth, truth + 1)
    assert shifted == pytest.approx(2.5 / 3.5)
    assert probes.concordance_correlation(np.ones(3), np.ones(3)) == 0


def test_r_squared_of_an_angle_is_joint_over_its_sine_and_cosine():
    codes, angles = np.zeros((4, 1)), np.array([0.0, 0.0, np.pi / 2, np.pi])
    score = probe(codes, angles, codes, angles, "periodic")
    # The probe knows nothing and predicts the mean.
    assert score.value == pytest.approx(0)
    score = probe(codes[:2], angles[2:], codes, angles, "periodic")
    targets = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    residual = np.square(targets - targets[2:].mean(axis=0)).sum()
    spread = np.square(targets - targets.mean(axis=0)).sum()
    assert score.value == pytest.approx(1 - residual / spread)


@pytest.mark.parametrize("estimator", ["linear", "neighbours"])
def test_classes_that_are_apart_are_found(rng, estimator):
    centres = 10 * rng.standard_normal((4, 3))
    names = np.array(["a", "b", "c", "d"])
    fit, test = rng.integers(4, size=200), rng.integers(4, size=100)
    noise = rng.standard_normal((300, 3))
    score = probe(
        centres[fit] + noise[:200],
        names[fit],
        centres[test] + noise[200:],
        names[test],
        "categorical",
        estimator,
    )
    assert score.metric == "accuracy"
    assert score.value > 0.95
    assert score.chance == 0.25
    assert score.majority == np.bincount(test).max() / 100
    assert (score.classes, score.fitted, score.scored) == (4, 200, 100)
    assert score.concordance is None


@pytest.mark.parametrize("estimator", ["linear", "neighbours"])
def test_codes_without_information_are_at_chance(rng, estimator):
    labels = rng.integers(5, size=4000)
    codes = rng.standard_normal((4000, 2))
    score = probe(
        codes[:2000],
        labels[:2000],
        codes[2000:],
        labels[2000:],
        "categorical",
        estimator,
    )
    assert score.value == pytest.approx(0.2, abs=0.04)
    score = probe(
        codes[:2000],
        labels[:2000],
        codes[2000:],
        labels[2000:],
        "continuous",
        estimator,
    )
    assert score.value == pytest.approx(0, abs=0.12)


def test_chance_counts_all_declared_classes(rng):
    labels = rng.integers(2, size=50)
    codes = rng.standard_normal((50, 1))
    score = probe(codes, labels, codes, labels, "categorical", classes=10)
    assert score.chance == 0.1


def test_a_class_that_was_never_seen_counts_as_wrong():
    codes = np.array([[0.0], [1.0], [2.0]])
    score = probe(
        codes[:2], np.array(["a", "b"]), codes[2:], np.array(["c"]), "categorical"
    )
    assert score.value == 0
    assert score.classes == 3


def test_a_continuous_label_is_read_linearly(rng):
    codes = rng.standard_normal((400, 3)) * [1, 100, 0.01]
    labels = codes @ [1.0, 0.02, 50.0] + 7
    score = probe(codes[:200], labels[:200], codes[200:], labels[200:], "continuous")
    assert score.metric == "r2"
    assert score.value > 0.99
    assert score.concordance > 0.99
    assert (score.chance, score.majority, score.classes) == (0, None, None)


def test_neighbours_see_standardised_codes(rng):
    # The informative component is tiny beside the other before it is standardised.
    codes = rng.standard_normal((2000, 2)) * [1e-3, 1e3]
    labels = codes[:, 0]
    score = probe(
        codes[:1000],
        labels[:1000],
        codes[1000:],
        labels[1000:],
        "continuous",
        "neighbours",
    )
    assert score.value > 0.9


def test_fifteen_neighbours_are_averaged():
    # All codes are equally far away, so that the prediction is the mean of 15.
    codes = np.array([[-1.0], [1.0]] * 10)[:15]
    labels = np.arange(15.0)
    test = np.array([[0.0], [0.0]])
    score = probe(codes, labels, test, np.array([6.0, 8.0]), "continuous", "neighbours")
    assert score.value == pytest.approx(0)
    assert probes.NEIGHBOURS == 15


@pytest.mark.parametrize(("unit", "period"), [("degrees", 360.0), (None, 2 * math.pi)])
def test_a_periodic_label_has_no_seam(rng, unit, period):
    angles = rng.uniform(0, 1, 600)
    codes = np.stack([np.cos(2 * np.pi * angles), np.sin(2 * np.pi * angles)], axis=1)
    labels = period * (angles + rng.integers(-2, 3, 600))
    score = probe(
        codes[:300],
        labels[:300],
        codes[300:],
        labels[300:],
        "periodic",
        period=probes.period_of(unit),
    )
    assert score.value > 0.999
    assert score.concordance is None


def test_what_cannot_be_probed_is_refused(rng):
    codes, labels = rng.standard_normal((20, 2)), np.arange(20.0)
    with pytest.raises(InputError, match="does not vary among the fitted"):
        probe(codes, np.ones(20), codes, labels, "continuous")
    with pytest.raises(InputError, match="does not vary among the scored"):
        probe(codes, labels, codes, np.ones(20), "continuous")
    with pytest.raises(InputError, match="does not vary among the fitted"):
        probe(codes, np.ones(20), codes, labels, "categorical")
    with pytest.raises(InputError, match="no item"):
        probe(codes, labels, codes[:0], labels[:0], "continuous")
    with pytest.raises(InputError, match="NaN"):
        probe(codes * np.nan, labels, codes, labels, "continuous")
    with pytest.raises(InputError, match="NaN or infinite"):
        probe(codes, np.append(labels[1:], np.inf), codes, labels, "continuous")
    with pytest.raises(InputError, match="kind='ordinal'"):
        probe(codes, labels, codes, labels, "ordinal")
    with pytest.raises(InputError, match="estimator='forest'"):
        probe(codes, labels, codes, labels, "continuous", "forest")
    with pytest.raises(InputError, match="unit 'hours'"):
        probes.period_of("hours")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"fit_labels": np.arange(9)}, r"fit_labels has shape \(9,\).*\(10,\)"),
        ({"test_labels": np.zeros((5, 1))}, r"test_labels has shape \(5, 1\)"),
        (
            {"test_codes": np.zeros((5, 3))},
            r"test_codes has shape \(5, 3\)",
        ),
    ],
)
def test_what_does_not_belong_together(changed, said):
    arguments = {
        "fit_codes": np.zeros((10, 2)),
        "fit_labels": np.arange(10),
        "test_codes": np.zeros((5, 2)),
        "test_labels": np.arange(5),
        "kind": "continuous",
    }
    with pytest.raises(InputError, match=said):
        probe(**{**arguments, **changed})
