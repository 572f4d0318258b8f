"""Densities of a model: fitted to a store, kept in its file, forgotten in training."""

import numpy as np
import pytest

from keras_ddr import DDR, InputError
from keras_ddr.code_densities import IndependentSubspaces
from keras_ddr.data import FrameSets, write_arrays
from keras_ddr.densities import fit_densities
from keras_ddr.encoding import encode_sequences
from keras_ddr.model_files import load_model_file


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    generator = np.random.default_rng(0)
    frames = generator.integers(0, 255, (14, 6, 32, 32, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("densities") / "store"
    return write_arrays(path, frames, splits=["train"] * 10 + ["val"] * 4)


@pytest.fixture
def model():
    sizes = {"static_dim": 4, "filters": 6, "pair_filters": 6, "hidden_units": 8}
    return DDR((32, 32, 3), **sizes)


def test_draws_lie_where_codes_are(model, store):
    fit_densities(model, store)
    codes = [c.static.mean for _, c in encode_sequences(model, store, "train")]
    generator = np.random.default_rng(0)
    drawn = model.densities.static.sample(5000, generator)
    np.testing.assert_allclose(drawn.mean(axis=0), np.mean(codes, axis=0), atol=0.1)
    images = model.sample(2, 3, seed=1)
    assert images.shape == (2, 3, *model.image_shape)
    np.testing.assert_array_equal(images, model.sample(2, 3, seed=1, density="fitted"))
    prior = model.sample(2, 3, seed=1, density="prior")
    assert not np.allclose(images, prior)
    model.densities = None
    np.testing.assert_array_equal(prior, model.sample(2, 3, seed=1))
    with pytest.raises(InputError, match="has no densities; fit them"):
        model.sample(density="fitted")


@pytest.mark.backend
def test_a_file_keeps_them_and_training_forgets_them(model, store, tmp_path):
    model.compile()
    fit_densities(model, store)
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = load_model_file(path)
    pairs = zip(model.densities[:2], loaded.densities[:2], (4, 2), strict=True)
    for one, other, dim in pairs:
        at = np.zeros((1, dim))
        np.testing.assert_allclose(one.log_prob(at), other.log_prob(at), rtol=1e-4)
    expected = model.sample(2, 2, density="fitted")
    np.testing.assert_allclose(loaded.sample(2, 2), expected, atol=1e-4)
    flat = IndependentSubspaces.of(model.densities.dynamic)
    model.densities = model.densities._replace(static=flat)
    model.save(path)
    with pytest.raises(InputError, match=r"its densities are of \(2, 2\) dimensions"):
        load_model_file(path)
    loaded.fit(FrameSets(store, batch_size=2, steps=1), verbose=0)
    assert loaded.densities is None


def test_a_store_without_val_and_with_one_sequence(model, tmp_path):
    frames = np.zeros((1, 6, 32, 32, 3), "uint8")
    alone = write_arrays(tmp_path / "alone", frames, splits=["train"])
    densities = fit_densities(model, alone)
    assert densities.static.components == len(densities.dynamic.weights) == 1
    assert np.isfinite(model.sample(2, 2)).all()
