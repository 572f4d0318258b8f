"""Closed forms against sampling."""

import numpy as np
import pytest
from keras import ops

from keras_ddr import DiagonalGaussian

pytestmark = pytest.mark.backend


def _random(rng, dim=3):
    return DiagonalGaussian(rng.standard_normal(dim), rng.uniform(-1.5, 1.0, dim))


def test_kl_against_sampling(rng):
    draws = 400_000
    for other in (_random(rng), None):
        q = _random(rng)
        p = other or DiagonalGaussian(np.zeros(3), np.zeros(3))
        x = q.sample(rng.standard_normal((draws, 3)))
        difference = q.log_prob(x) - p.log_prob(x)
        error = difference.std() / np.sqrt(draws)
        assert abs(difference.mean() - q.kl_divergence(other)) < 5 * error


def test_kl_of_equal_distributions_is_zero(rng):
    q = _random(rng)
    assert abs(q.kl_divergence(q)) < 1e-12
    assert DiagonalGaussian(np.zeros(4), np.zeros(4)).kl_divergence() == 0


def test_log_prob_integrates_to_one():
    q = DiagonalGaussian(np.array([0.3]), np.array([-0.7]))
    x = np.linspace(-8, 8, 4001)
    assert np.trapezoid(np.exp(q.log_prob(x[:, None])), x) == pytest.approx(1.0)


def test_arrays_and_tensors_agree(rng):
    q, p = _random(rng), _random(rng)
    x = rng.standard_normal((5, 3))

    def as_tensors(d):
        return DiagonalGaussian(
            ops.convert_to_tensor(d.mean, "float32"),
            ops.convert_to_tensor(d.log_variance, "float32"),
        )

    tq, tp = as_tensors(q), as_tensors(p)
    for ours, theirs in (
        (tq.kl_divergence(tp), q.kl_divergence(p)),
        (tq.kl_divergence(), q.kl_divergence()),
        (tq.log_prob(ops.convert_to_tensor(x, "float32")), q.log_prob(x)),
        (tq.stddev, q.stddev),
        (tq.standardize(ops.convert_to_tensor(x, "float32")), q.standardize(x)),
    ):
        np.testing.assert_allclose(ops.convert_to_numpy(ours), theirs, rtol=1e-4)


def test_kl_stays_finite_at_the_bounds_of_the_log_variance():
    for a in (-7.0, 7.0):
        for b in (-7.0, 7.0):
            q = DiagonalGaussian(np.zeros((1, 2), "float32"), np.full((1, 2), a))
            p = DiagonalGaussian(np.full((1, 2), 3.0), np.full((1, 2), b))
            assert np.isfinite(q.kl_divergence(p)).all()
