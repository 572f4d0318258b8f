import keras
import numpy as np
import pytest
from keras import ops
from sklearn.decomposition import PCA

from keras_ddr import DDR, InputError
from keras_ddr.layers import ComponentsDecoder, PrincipalComponents

pytestmark = pytest.mark.backend

_SIZES = {
    "static_dim": 3,
    "frames_per_set": 2,
    "filters": 2,
    "pair_filters": 4,
    "hidden_units": 8,
    "aggregation": "mean",
    "decoder": "components",
    "components": 6,
}


def _frames(rng, number=40):
    """Frames of 16×16 in which eight patterns vary, each less than the one before."""
    patterns = rng.normal(size=(8, 16 * 16 * 3))
    scores = rng.normal(size=(number, 8)) * 0.03 / np.arange(1, 9)
    frames = 0.5 + scores @ patterns
    assert 0 < frames.min() and frames.max() < 1
    return frames.reshape(number, 16, 16, 3).astype("float32")


def test_scores_are_those_of_scikit_learn(rng):
    frames = _frames(rng)
    layer = PrincipalComponents((16, 16, 3), components=8)
    layer.build()
    assert not layer.adapted
    layer.adapt(frames)
    assert layer.adapted and not layer.trainable_weights
    flat = frames.reshape(len(frames), -1)
    exact = PCA(8, svd_solver="full").fit(flat)
    expected = exact.transform(flat)
    scores = ops.convert_to_numpy(layer(frames))
    np.testing.assert_allclose(scores.std(axis=0), 1, rtol=1e-3)
    np.testing.assert_allclose(
        np.abs(scores), np.abs(expected / expected.std(axis=0)), atol=5e-3
    )
    # As many components as patterns: frames come back whole.
    again = ops.convert_to_numpy(layer.frames(layer(frames[None])))[0]
    np.testing.assert_allclose(again, frames, atol=1e-4)
    with pytest.raises(InputError, match="8 principal components need more frames"):
        layer.adapt(frames[:8])


def test_the_decoder_stays_within_the_edges(rng):
    components = PrincipalComponents((16, 16, 3), components=6)
    decoder = ComponentsDecoder(components, 8)
    decoder.build((None, 3), (None, 2, 2))
    components.adapt(_frames(rng))
    components.mean.assign(np.linspace(-0.5, 1.5, 16 * 16 * 3))
    outputs = decoder(np.ones((4, 3), "float32"), np.ones((4, 2, 2), "float32"))
    assert outputs.shape == (4, 2, 16, 16, 3)
    images = ops.convert_to_numpy(ops.sigmoid(outputs))
    assert images.min() == pytest.approx(0.01, rel=1e-3)
    assert images.max() == pytest.approx(0.99, rel=1e-3)


def test_scores_are_linear_in_f(rng):
    """For one z, mixtures of f give the mixtures of their frames."""
    components = PrincipalComponents((16, 16, 3), components=6)
    decoder = ComponentsDecoder(components, 8)
    decoder.build((None, 3), (None, 1, 2))
    components.adapt(_frames(rng))
    f = rng.normal(scale=0.1, size=(3, 3)).astype("float32")
    f[2] = 0.3 * f[0] + 0.7 * f[1]
    z = np.repeat(rng.normal(size=(1, 1, 2)), 3, axis=0).astype("float32")
    a, b, both = ops.convert_to_numpy(ops.sigmoid(decoder(f, z)))
    assert np.abs(a - b).max() > 1e-3
    np.testing.assert_allclose(both, 0.3 * a + 0.7 * b, atol=1e-5)


def test_training_finds_them_first_and_files_keep_them(rng, tmp_path):
    sets = _frames(rng).reshape(20, 2, 16, 16, 3)
    model = DDR((16, 16, 3), **_SIZES)
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(sets, batch_size=4, epochs=1, verbose=0)
    expected = PrincipalComponents((16, 16, 3), components=6)
    expected.build()
    expected.adapt(sets.reshape(-1, 16, 16, 3))
    basis = ops.convert_to_numpy(expected.basis)
    encoder, decoder = model.frame_encoder, model.frame_decoder
    assert encoder.components is decoder.components
    np.testing.assert_array_equal(ops.convert_to_numpy(encoder.components.basis), basis)
    model.before_fit(pytest.fail)  # a second training goes on with them
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    for one, other in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(*map(ops.convert_to_numpy, (one, other)))
    codes = loaded.encode(sets[0])
    np.testing.assert_allclose(
        loaded.decode(codes.static.mean, codes.dynamic.mean),
        model.decode(codes.static.mean, codes.dynamic.mean),
        atol=1e-6,
    )


def test_frames_that_cannot_be_looked_at_first(rng):
    model = DDR((16, 16, 3), **_SIZES)
    model.compile(keras.optimizers.Adam(1e-3))
    batches = (_frames(rng, 4).reshape(2, 2, 16, 16, 3) for _ in range(2))
    with pytest.raises(InputError, match=r"call model.adapt\(frames\)"):
        model.fit(batches, steps_per_epoch=1, epochs=1, verbose=0)
