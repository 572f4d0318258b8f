"""Likelihoods: normalised where they should be, exact where they must be."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ddr import InputError, likelihoods

pytestmark = pytest.mark.backend


def _pixel(likelihood, logits, x):
    """log p of single pixels, as an array."""
    logits, x = np.broadcast_arrays(np.float32(logits), np.float32(x))
    shape = (*logits.shape, 1, 1, 1)
    value = likelihood(logits.reshape(shape).copy(), x.reshape(shape).copy())
    return ops.convert_to_numpy(value)


def test_bernoulli_is_cross_entropy(rng):
    logits = rng.normal(0, 5, 100)
    x = rng.random(100)
    p = 1 / (1 + np.exp(-logits))
    expected = x * np.log(p) + (1 - x) * np.log1p(-p)
    value = _pixel(likelihoods.Bernoulli(), logits, x)
    np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-5)


def test_bernoulli_is_exact_at_extreme_logits():
    value = _pixel(likelihoods.Bernoulli(), [200, 200, -200, -200], [0, 1, 0, 1])
    np.testing.assert_allclose(value, [-200, 0, 0, -200], atol=1e-5)


@pytest.mark.parametrize(
    "logit", [-30, -3, -0.6, -0.5, -0.499, -1e-3, 0, 1e-4, 0.49, 0.51, 2, 40]
)
def test_continuous_bernoulli_is_a_density_with_that_mean(logit):
    x = np.linspace(0, 1, 20_001)
    likelihood = likelihoods.ContinuousBernoulli()
    density = np.exp(_pixel(likelihood, np.float32(logit), x).astype("float64"))
    assert np.trapezoid(density, x) == pytest.approx(1.0, abs=2e-4)
    mean = float(ops.convert_to_numpy(likelihood.mean(np.float32(logit))))
    assert mean == pytest.approx(np.trapezoid(density * x, x), abs=2e-4)


def test_normal_is_a_density_with_the_learned_scale():
    likelihood = likelihoods.Normal()
    x = np.linspace(-3, 4, 20_001)
    density = np.exp(_pixel(likelihood, 0.7, x).astype("float64"))
    assert np.trapezoid(density, x) == pytest.approx(1.0, abs=1e-3)
    mean = np.trapezoid(density * x, x)
    assert mean == pytest.approx(1 / (1 + np.exp(-0.7)), abs=1e-3)
    variance = np.trapezoid(density * (x - mean) ** 2, x)
    assert np.sqrt(variance) == pytest.approx(0.1, abs=1e-3)
    assert len(likelihood.trainable_weights) == 1
    for raw in (-1e4, 1e4):
        likelihood.raw_log_stddev.assign(raw)
        assert -6 <= float(ops.convert_to_numpy(likelihood.log_stddev)) <= 1


@pytest.mark.parametrize("name", ["bernoulli", "continuous_bernoulli", "normal"])
def test_sums_over_pixels_and_round_trips(rng, name):
    likelihood = likelihoods.get(name)
    outputs = rng.standard_normal((2, 3, 4, 5, 1), dtype="float32")
    x = rng.random((2, 3, 4, 5, 1), dtype="float32")
    whole = (
        ops.convert_to_numpy(likelihood.log_prob(outputs, x))
        if name != ("normal")
        else ops.convert_to_numpy(likelihood(outputs, x))
    )
    assert whole.shape == (2, 3)
    pixels = sum(
        ops.convert_to_numpy(
            likelihood(
                outputs[..., i : i + 1, j : j + 1, :], x[..., i : i + 1, j : j + 1, :]
            )
        )
        for i in range(4)
        for j in range(5)
    )
    np.testing.assert_allclose(whole, pixels, rtol=1e-4, atol=1e-4)
    mean = ops.convert_to_numpy(likelihood.mean(100 * outputs))
    assert mean.min() >= 0 and mean.max() <= 1
    copy = likelihoods.get(keras.saving.serialize_keras_object(likelihood))
    assert type(copy) is type(likelihood)


def test_gradients_are_finite_everywhere():
    from gradients import gradients

    dense = keras.layers.Dense(1, use_bias=False)
    dense.build((None, 1))
    for name in ("bernoulli", "continuous_bernoulli", "normal"):
        likelihood = likelihoods.get(name)
        for logit in (-300.0, -0.5, -1e-6, 0.0, 1e-6, 0.5, 300.0):
            dense.kernel.assign([[logit]])

            def loss(likelihood=likelihood):
                outputs = ops.reshape(dense(np.ones((1, 1), "float32")), (1, 1, 1, 1))
                return ops.sum(likelihood(outputs, np.full((1, 1, 1, 1), 0.3)))

            assert np.isfinite(gradients(loss, dense)[0]).all(), (name, logit)


def test_unknown_name():
    with pytest.raises(InputError, match="likelihood='poisson' is not known"):
        likelihoods.get("poisson")
