"""Independent subspaces against the one mixture that they stand for, and their fits."""

import itertools

import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.code_densities import Densities, IndependentSubspaces
from keras_ddr.mixture import GaussianMixture


def mixture_of(rng, components, dim):
    roots = rng.normal(size=(components, dim, dim))
    covariances = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(dim)
    weights = rng.dirichlet(np.ones(components))
    return GaussianMixture(weights, 2 * rng.normal(size=(components, dim)), covariances)


@pytest.fixture
def subspaces(rng):
    parts = mixture_of(rng, 3, 2), mixture_of(rng, 2, 1)
    return IndependentSubspaces(rng.normal(size=3), rng.normal(size=(3, 3)), parts)


def multiplied(density):
    """The same density as one mixture: a component for each choice from both parts."""
    one, other = density.parts
    back = np.linalg.inv(density.directions)
    weights, means, covariances = [], [], []
    for i, j in itertools.product(range(len(one.weights)), range(len(other.weights))):
        weights.append(one.weights[i] * other.weights[j])
        means.append(density.mean + np.r_[one.means[i], other.means[j]] @ back)
        block = np.zeros((3, 3))
        block[:2, :2], block[2:, 2:] = one.covariances[i], other.covariances[j]
        covariances.append(back.T @ block @ back)
    return GaussianMixture(weights, means, covariances)


def test_log_density_and_draws_are_those_of_all_combinations(subspaces, rng):
    whole = multiplied(subspaces)
    x = 3 * rng.normal(size=(50, 3))
    np.testing.assert_allclose(subspaces.log_prob(x), whole.log_prob(x), rtol=1e-6)
    drawn = subspaces.sample(100_000, rng)
    mean = whole.weights @ whole.means
    apart = whole.means - mean
    expected = np.einsum("k,ki,kj->ij", whole.weights, apart, apart)
    expected += np.einsum("k,kij->ij", whole.weights, whole.covariances)
    deviations = np.sqrt(np.diag(expected))
    np.testing.assert_allclose((drawn.mean(axis=0) - mean) / deviations, 0, atol=0.02)
    found = np.cov(drawn.T) / np.outer(deviations, deviations)
    expected = expected / np.outer(deviations, deviations)
    np.testing.assert_allclose(found, expected, atol=0.03)


def test_what_varies_independently_is_found_and_combined(rng):
    """Six hairs, six shirts and six shoes, in some dimensions of a turned space."""
    turned = np.linalg.qr(rng.normal(size=(9, 9)))[0]
    kinds = rng.normal(size=(3, 6, 2))

    def people(number):
        chosen = rng.integers(6, size=(3, number))
        wide = np.concatenate([k[c] for k, c in zip(kinds, chosen, strict=True)], 1)
        wide = wide + 0.02 * rng.normal(size=wide.shape)
        thin = 0.02 * rng.normal(size=(number, 3))
        return np.concatenate([wide, thin], axis=1) @ turned

    points, held_out, more = people(200), people(100), people(300)
    density = IndependentSubspaces.fit(points, held_out, noise=1e-3)
    assert sorted(part.dim for part in density.parts) == [2, 2, 2, 3]
    plain = GaussianMixture.fit(points, held_out)
    assert density.log_prob(more).mean() > plain.log_prob(more).mean() + 2

    def strangeness(drawn):
        """How far draws are from each of the 216 combinations."""
        places = (drawn @ turned.T)[:, :6].reshape(-1, 3, 1, 2)
        return np.linalg.norm(places - kinds, axis=-1).min(axis=-1).mean()

    assert strangeness(density.sample(500, rng)) < 0.2
    assert strangeness(plain.sample(500, rng)) > 0.3


def test_what_has_no_parts_is_described_as_well_as_by_a_mixture(rng):
    centres = rng.normal(size=(10, 5)) * 4
    points = centres[rng.integers(10, size=1000)] + 0.1 * rng.normal(size=(1000, 5))
    whole = GaussianMixture.fit(points[:500], points[500:750])
    density = IndependentSubspaces.fit(points[:500], points[500:750])
    held_out, more = points[500:750], points[750:]
    assert len(density.parts) == 1
    assert density.log_prob(held_out).mean() >= whole.log_prob(held_out).mean()
    assert density.log_prob(more).mean() > whole.log_prob(more).mean() - 1


def test_arrays_that_describe_no_density(subspaces):
    parts = subspaces.parts
    for directions in (np.zeros((3, 3)), np.eye(2)):
        with pytest.raises(InputError, match="do not describe a density"):
            IndependentSubspaces(np.zeros(3), directions, parts)


def test_densities_as_arrays(subspaces, rng):
    dynamic = mixture_of(rng, 2, 2)
    arrays = {**Densities(subspaces, dynamic).arrays(), "0": np.ones(3)}
    found = Densities.taken_from(arrays)
    assert list(arrays) == ["0"] and Densities.taken_from(arrays) is None
    x = rng.normal(size=(5, 3))
    np.testing.assert_allclose(
        found.static.log_prob(x), subspaces.log_prob(x), rtol=1e-3, atol=1e-3
    )
    np.testing.assert_allclose(found.dynamic.means, dynamic.means, rtol=1e-6)


def test_arrays_of_one_mixture_for_all_of_f(rng):
    """As files had them before."""
    static, dynamic = mixture_of(rng, 3, 4), mixture_of(rng, 2, 2)
    arrays = {
        f"density_{name}_{array}": getattr(part, array)
        for name, part in (("static", static), ("dynamic", dynamic))
        for array in ("weights", "means", "covariances")
    }
    found = Densities.taken_from(arrays)
    x = rng.normal(size=(5, 4))
    np.testing.assert_allclose(found.static.log_prob(x), static.log_prob(x))
