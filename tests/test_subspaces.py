"""Directions that are independent, against the sources that were mixed."""

import numpy as np
import pytest

from keras_ddr.subspaces import find_subspaces, independent_directions


@pytest.mark.parametrize("white", [True, False])
def test_mixed_sources_are_found(white, rng):
    """White scores as well, of which a first row without signs loses nothing."""
    sources = rng.choice([-1.0, 0.0, 1.0], size=(2000, 16))
    sources -= sources.mean(axis=0)
    mixing = rng.normal(size=(16, 16))
    if white:
        roots = np.linalg.cholesky(np.linalg.inv(np.cov(sources.T, ddof=0)))
        mixing = roots @ np.linalg.qr(mixing)[0]
    scores = sources @ mixing
    found = scores @ independent_directions(scores, 0)
    np.testing.assert_allclose(np.cov(found.T, ddof=0), np.eye(16), atol=1e-6)
    like = np.abs(np.corrcoef(sources.T, found.T)[:16, 16:])
    assert like.max(axis=1).min() > 0.95


def test_subspaces_are_turned_apart(rng):
    """Kinds that lie anywhere in their planes, which no single direction shows."""
    kinds = rng.normal(size=(3, 6, 2))
    chosen = rng.integers(6, size=(3, 600))
    wide = np.concatenate([k[c] for k, c in zip(kinds, chosen, strict=True)], axis=1)
    wide = wide - wide.mean(axis=0) + 0.02 * rng.normal(size=wide.shape)
    points = wide @ np.linalg.qr(rng.normal(size=(6, 6)))[0]
    directions, groups = find_subspaces(points[:400], points[400:], 0, np.full(6, 1e-3))
    assert sorted(map(len, groups)) == [2, 2, 2]
    shares = []  # of each plane in each subspace
    for group in groups:
        found = points @ directions[:, group]
        fits = [np.linalg.lstsq(wide[:, i : i + 2], found)[0] for i in (0, 2, 4)]
        parts = zip((0, 2, 4), fits, strict=True)
        shares.append([1 - (found - wide[:, i : i + 2] @ f).var() for i, f in parts])
    shares = np.sort(shares, axis=1)
    assert shares[:, 2].min() > 0.99 and shares[:, :2].max() < 0.05


def test_noise_hides_directions(rng):
    points = rng.normal(size=(500, 4)) * [3, 2, 1, 1]
    for noise, expected in (([1, 1, 1, 1], 2), ([1, 1, 0.1, 1], 3), ([9, 9, 9, 9], 0)):
        _, groups = find_subspaces(
            points[:400], points[400:], 0, np.array(noise, "float64")
        )
        hidden = groups[-1]
        assert len(hidden) == 4 - expected
