"""The flow of z̃: its inverse and volume, and what it learns of sequences."""

import dataclasses

import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.alignment import Alignment, fit_alignment
from keras_ddr.code_densities import Densities, IndependentSubspaces
from keras_ddr.mixture import GaussianMixture

pytestmark = pytest.mark.backend


@pytest.fixture(params=[1, 2, 3])
def alignment(request, rng):
    """Random layers, for f of four dimensions."""
    dim, seen, units, layers = request.param, 3, 5, 4
    shapes = [(dim + seen, units), (units,), (units, units), (units,)]
    shapes += [(units, 2 * dim), (2 * dim,)]
    weights = tuple(0.5 * rng.normal(size=(layers, *shape)) for shape in shapes)
    turn, shift = rng.normal(size=(dim, dim)), rng.normal(size=dim)
    return Alignment(
        rng.normal(size=4), rng.normal(size=(4, seen)), turn, shift, weights
    )


def test_back_undoes_forth_with_any_leading_axes(alignment, rng):
    scores = rng.normal(size=(5, 6, len(alignment.shift))).astype("float32")
    static = rng.normal(size=(5, 1, 4)).astype("float32")
    moved = alignment.forth(static, scores)
    assert moved.shape == scores.shape and not np.allclose(moved, scores, atol=0.1)
    np.testing.assert_allclose(alignment.back(static, moved), scores, atol=1e-4)
    alone = alignment.forth(static[2, 0], scores[2])
    np.testing.assert_allclose(alone, moved[2], rtol=1e-4, atol=1e-5)


def test_volume_is_that_of_the_jacobian(alignment, rng):
    static, at = rng.normal(size=4), rng.normal(size=len(alignment.shift))
    step = 1e-2 * np.eye(len(at))
    ends = (alignment.forth(static, at + sign * step) for sign in (1, -1))
    jacobian = np.subtract(*ends) / 2e-2
    _, volume = alignment.with_volume(static, at)
    np.testing.assert_allclose(volume, np.linalg.slogdet(jacobian)[1], atol=1e-2)


def bent(rng, people, bend):
    """Nine places, which looks bend: codes of people."""
    places = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(-1, 2)
    for looks in rng.normal(size=(people, 3)).astype("float32"):
        chosen = places[rng.integers(9, size=24)] + 0.03 * rng.normal(size=(24, 2))
        moved = chosen.copy()
        moved[:, 0] += bend * looks[0] * chosen[:, 1] ** 2
        moved[:, 1] += bend * looks[1] * np.sin(2 * chosen[:, 0])
        yield (looks, moved.astype("float32")), chosen


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_what_looks_bend_is_straightened_for_people_it_never_saw(angle, rng):
    """And what varies independently gets components of its own."""
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turn = turn.astype("float32")
    train, val = (
        [(looks, scores @ turn) for (looks, scores), _ in bent(rng, n, 0.3)]
        for n in (300, 60)
    )
    found = fit_alignment(train, val, steps=400)
    before, after, true = [], [], []
    for (looks, scores), places in bent(rng, 100, 0.3):
        before.append(scores)
        after.append(found.forth(looks, scores @ turn))
        true.append(places)
    before, after, true = (np.concatenate(part) for part in (before, after, true))
    like = np.abs(np.corrcoef(after.T, true.T)[:2, 2:])
    assert like.max(axis=1).min() > 0.97 and like.min() < 0.1
    if not angle:  # it keeps the places where they are
        assert np.std(after - true) < 0.5 * np.std(before - true)
        assert np.abs((after - true).mean(axis=0)).max() < 0.1


def test_nothing_is_aligned_where_nothing_is_gained(rng):
    train, val = ([c for c, _ in bent(rng, n, 0.0)] for n in (60, 60))
    assert fit_alignment(train, val, steps=100) is None
    assert fit_alignment(train[:49], val) is None and fit_alignment(train, []) is None


@pytest.mark.parametrize("silent", ["f", "a component of z̃", "z̃"])
def test_codes_that_say_nothing(silent, rng):
    """As of a model whose posterior has collapsed."""
    codes = [code for code, _ in bent(rng, 60, 0.3)]
    if silent == "f":
        codes = [(0 * f, z) for f, z in codes]
    else:
        still = np.float32([1, 0] if "component" in silent else [0, 0])
        codes = [(f, z * still) for f, z in codes]
    found = fit_alignment(codes, codes[:20], steps=60)
    if found is not None:
        f, z = codes[0]
        assert np.isfinite(found.forth(f, z)).all()
        np.testing.assert_allclose(found.back(f, found.forth(f, z)), z, atol=1e-3)


def test_arrays(alignment, rng):
    dim = len(alignment.shift)
    static = IndependentSubspaces.of(GaussianMixture.fit(rng.normal(size=(9, 4))))
    dynamic = GaussianMixture.fit(rng.normal(size=(9, dim)))
    arrays = Densities(static, dynamic, alignment).arrays()
    found = Densities.taken_from(arrays).alignment
    x = rng.normal(size=(5, dim))
    expected = alignment.forth(np.ones(4), x)
    np.testing.assert_allclose(
        found.forth(np.ones(4), x), expected, rtol=1e-3, atol=1e-4
    )
    assert arrays == {}
    with pytest.raises(InputError, match="do not belong together"):
        dataclasses.replace(alignment, directions=np.zeros((4, 9)))
