"""Mixtures against closed forms, and fits of points that are hard to fit."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from keras_ddr import InputError
from keras_ddr.code_densities import IndependentSubspaces
from keras_ddr.mixture import GaussianMixture


@pytest.fixture
def mixture(rng):
    roots = rng.normal(size=(3, 4, 4))
    covariances = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(4)
    return GaussianMixture([0.2, 0.5, 0.3], 2 * rng.normal(size=(3, 4)), covariances)


def test_log_density_is_that_of_scipy(mixture, rng):
    x = rng.normal(size=(5, 4))
    parts = zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
    expected = sum(w * multivariate_normal(m, c).pdf(x) for w, m, c in parts)
    np.testing.assert_allclose(mixture.log_prob(x), np.log(expected))


def test_score_is_the_slope_of_the_log_density(mixture, rng):
    x, step = rng.normal(size=4), 1e-5 * np.eye(4)
    slopes = (mixture.log_prob(x + step) - mixture.log_prob(x - step)) / 2e-5
    np.testing.assert_allclose(mixture.score(x[None])[0], slopes, rtol=1e-5)


def test_an_improved_mixture_explains_more(mixture, rng):
    points = mixture.sample(500, rng)
    poor = GaussianMixture.of_size(points[:30], 3, "full", 0.1, 0)
    better = poor.improved(points, 1e-6)
    assert better.log_prob(points).mean() > poor.log_prob(points).mean()
    best = GaussianMixture.of_size(points, 1, "full", 0.0, 0)
    still = best.improved(points, 0.0)
    np.testing.assert_allclose(still.means, best.means, rtol=1e-5)


def test_a_joint_density_is_a_marginal_and_a_conditional_one(mixture, rng):
    x = rng.normal(size=(1, 4))
    together = mixture.marginal([2, 0]).log_prob(x[:, [2, 0]])
    given = mixture.marginal([2, 0, 1, 3]).given(x[0, [2, 0]])
    parts = together + given.log_prob(x[:, [1, 3]])
    np.testing.assert_allclose(mixture.log_prob(x), parts)


def test_draws_have_the_moments_and_quantiles(mixture, rng):
    drawn = mixture.sample(200_000, rng)
    mean = mixture.weights @ mixture.means
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.05)
    shares = [0.02, 0.5, 0.9]
    below = drawn[:, 2, None] < mixture.marginal([2]).quantiles(shares)
    np.testing.assert_allclose(below.mean(axis=0), shares, atol=0.01)


def test_a_grid_stays_where_points_are(rng):
    """On a horseshoe with a third dimension that the place decides."""
    angle = rng.uniform(0, np.pi, size=2000)
    points = np.stack([np.cos(angle), np.sin(angle), angle], axis=1)
    points += rng.normal(scale=0.03, size=points.shape)
    density = GaussianMixture.fit(points[:1000], points[1000:])
    grid = density.grid(np.linspace(0.05, 0.95, 9), (0, 1))
    assert grid.shape == (9, 9, 3)
    assert (np.diff(grid[0, :, 0]) > 0).all() and (np.diff(grid[:, 4, 1]) < 0).all()
    apart = np.abs(np.hypot(grid[..., 0], grid[..., 1]) - 1)
    assert apart.max() < 0.2
    found = np.arctan2(grid[..., 1], grid[..., 0])
    np.testing.assert_allclose(grid[..., 2], found, atol=0.3)


def test_the_size_that_explains_others_is_chosen(rng):
    centres = rng.normal(size=(10, 5)) * 4
    points = centres[rng.integers(10, size=1000)] + 0.1 * rng.normal(size=(1000, 5))
    one = GaussianMixture.fit(points[:500])
    chosen = GaussianMixture.fit(points[:500], points[500:750])
    assert len(one.weights) == 1 and len(chosen.weights) >= 10
    assert chosen.log_prob(points[750:]).mean() > one.log_prob(points[750:]).mean() + 5
    round_points = rng.normal(size=(400, 5))
    plain = GaussianMixture.fit(round_points[:300], round_points[300:])
    assert len(plain.weights) == 1


@pytest.mark.parametrize("number", [1, 2, 5, 30, 60, 400])
@pytest.mark.parametrize("kind", [GaussianMixture, IndependentSubspaces])
def test_few_points_and_a_constant_dimension(kind, number, rng):
    points = rng.normal(size=(number, 4))
    points[:, 1] = 7
    density = kind.fit(points, points[:40])
    drawn = density.sample(500, rng)
    assert np.isfinite(drawn).all() and np.isfinite(density.log_prob(points)).all()
    np.testing.assert_allclose(drawn[:, 1], 7, atol=0.5)
    assert np.abs(drawn - points.mean(axis=0)).max() < 12


@pytest.mark.parametrize("kind", [GaussianMixture, IndependentSubspaces])
def test_points_that_are_all_alike(kind, rng):
    """As codes of a model whose f says nothing."""
    for noise in (0, 1e-7):
        points = 0.3 + noise * rng.normal(size=(200, 6))
        density = kind.fit(points, points[:50])
        np.testing.assert_allclose(density.sample(100, rng), 0.3, atol=1e-3)


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.full((50, 2), np.nan)])
@pytest.mark.parametrize("kind", [GaussianMixture, IndependentSubspaces])
def test_points_that_are_none(kind, points):
    with pytest.raises(InputError, match="points: give at least one"):
        kind.fit(points, np.zeros((5, 2)))


def test_arrays_that_describe_no_density():
    with pytest.raises(InputError, match="do not describe a density"):
        GaussianMixture([0.5], np.zeros((1, 2)), np.eye(2)[None])
    with pytest.raises(InputError, match="not positive definite"):
        GaussianMixture([1.0], np.zeros((1, 2)), -np.eye(2)[None])
