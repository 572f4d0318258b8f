import keras
import numpy as np
import pytest
from keras import ops
from scipy.stats import norm
from sklearn.decomposition import PCA

from keras_ddr import DDR, ELBO, InputError
from keras_ddr.layers import (
    ComponentsDecoder,
    ComponentsDynamicEncoder,
    PrincipalComponents,
)
from keras_ddr.likelihoods import ComponentsNormal

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


@pytest.fixture
def components(rng):
    layer = PrincipalComponents((16, 16, 3), components=6)
    layer.build()
    layer.adapt(_frames(rng))
    return layer


def test_the_likelihood_is_that_of_the_pixels(rng, components):
    likelihood = ComponentsNormal(components, stddev=0.2)
    frames = rng.random((2, 3, 16, 16, 3)).astype("float32")
    scores = rng.normal(size=(2, 3, 6)).astype("float32")
    expected = ops.convert_to_numpy(components.frames(scores))
    log_density = norm.logpdf(frames, expected, 0.2).sum(axis=(2, 3, 4))
    coordinates = components.coordinates(frames)
    for x in (frames, coordinates):
        found = ops.convert_to_numpy(likelihood(scores, x))
        np.testing.assert_allclose(found, log_density, rtol=1e-4)
    # A change of the components' frames is as large as that of the coordinates.
    ours, theirs = likelihood.compared(scores, components.frames(scores[::-1]))
    np.testing.assert_allclose(
        np.square(ops.convert_to_numpy(ours - theirs)).sum(axis=-1),
        np.square(expected - expected[::-1]).sum(axis=(2, 3, 4)),
        rtol=1e-3,
    )
    images = ops.convert_to_numpy(likelihood.mean(5 * scores))
    assert images.shape == frames.shape and 0 <= images.min() and images.max() <= 1


def test_scores_are_linear_in_f(rng):
    """For one z, mixtures of f give the mixtures of their scores."""
    decoder = ComponentsDecoder(6, 8, 12)
    decoder.build((None, 3), (None, 1, 2))
    f = rng.normal(size=(3, 3)).astype("float32")
    f[2] = 0.3 * f[0] + 0.7 * f[1]
    z = np.repeat(rng.normal(size=(1, 1, 2)), 3, axis=0).astype("float32")
    a, b, both = ops.convert_to_numpy(decoder(f, z))
    assert np.abs(a - b).max() > 1e-2
    np.testing.assert_allclose(both, 0.3 * a + 0.7 * b, atol=1e-5)


def test_the_loss_of_frames_is_that_of_their_coordinates(rng):
    """A step finds coordinates once; elsewhere frames are given."""
    sets = _frames(rng).reshape(10, 4, 16, 16, 3)
    model = DDR((16, 16, 3), **_SIZES)
    model.adapt(sets.reshape(-1, 16, 16, 3))
    model.compile(objective=ELBO(motion_weight=3.0, change_weight=5.0))
    coordinates = model.frame_encoder.components.coordinates(sets)
    assert coordinates.shape == (10, 4, 7)
    losses = [
        float(model.compute_loss(x, None, model(x, training=False)))
        for x in (sets, coordinates)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_training_finds_them_first_and_files_keep_them(rng, tmp_path):
    sets = _frames(rng).reshape(20, 2, 16, 16, 3)
    model = DDR((16, 16, 3), **_SIZES)
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(sets, batch_size=4, epochs=1, verbose=0)
    expected = PrincipalComponents((16, 16, 3), components=6)
    expected.build()
    expected.adapt(sets.reshape(-1, 16, 16, 3))
    basis = ops.convert_to_numpy(expected.basis)
    encoder = model.frame_encoder
    assert encoder.components is model.likelihood.components
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


def test_they_have_a_likelihood_of_their_own():
    with pytest.raises(InputError, match="a likelihood of its own; leave likelihood"):
        DDR((16, 16, 3), likelihood="normal", **_SIZES)


def test_their_dynamic_encoder_by_hand(rng):
    """The network sees features, and their products with what f makes of them."""
    layer = ComponentsDynamicEncoder(2, 8, 5)
    f = rng.normal(size=(3, 4)).astype("float32")
    features = rng.normal(size=(3, 2, 1, 1, 6)).astype("float32")
    mean, log_variance = map(ops.convert_to_numpy, layer(f, features))
    wide = features[:, :, 0, 0] @ ops.convert_to_numpy(layer.wide.kernel)
    content = np.tanh(f @ ops.convert_to_numpy(layer.content.kernel))
    seen = [features[:, :, 0, 0], wide * content[:, None]]
    raw = ops.convert_to_numpy(layer.network(np.concatenate(seen, axis=-1)))
    np.testing.assert_allclose(mean, raw[..., :2], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        log_variance, 7 * np.tanh(raw[..., 2:] / 7), rtol=1e-5, atol=1e-6
    )
    again = ComponentsDynamicEncoder.from_config(layer.get_config())
    assert (again.dynamic_dim, again.units, again.products) == (2, 8, 5)


def test_a_frame_encoder_of_your_own_sees_frames(rng):
    seen = []

    class Encoder(keras.layers.Layer):
        def call(self, frames):
            seen.append(tuple(frames.shape[1:]))
            return ops.mean(frames, axis=(1, 2))

        def compute_output_shape(self, shape):
            return shape[0], shape[-1]

    model = DDR((16, 16, 3), frame_encoder=Encoder(), **_SIZES)
    model.compile(keras.optimizers.Adam(1e-3))
    sets = _frames(rng).reshape(20, 2, 16, 16, 3)
    history = model.fit(sets, batch_size=10, epochs=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert set(seen) == {(16, 16, 3)}
