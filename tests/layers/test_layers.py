"""Every layer: serialisation, saving in a functional model, precision, a step."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ddr import InputError, layers
from layer_checks import check_layer

pytestmark = pytest.mark.backend


@pytest.fixture
def random(rng):
    return lambda *shape: rng.random(shape, dtype="float32")


def test_frame_encoder(random, tmp_path):
    layer = layers.FrameEncoder(filters=5)
    maps = check_layer(layer, random(2, 3, 32, 48, 1), weights=8, tmp_path=tmp_path)
    assert maps.shape == (2, 3, 2, 3, 5)


def test_frame_encoder_takes_integers_behind_a_rescaling(rng):
    frames = rng.integers(0, 256, (2, 32, 32, 3), dtype="uint8")
    encoder = layers.FrameEncoder(filters=4)
    inputs = keras.Input((32, 32, 3), dtype="uint8")
    model = keras.Model(inputs, encoder(keras.layers.Rescaling(1 / 255)(inputs)))
    expected = ops.convert_to_numpy(encoder(frames.astype("float32") / 255))
    np.testing.assert_allclose(model.predict_on_batch(frames), expected, atol=1e-5)


@pytest.mark.parametrize("aggregation", ["concat", "mean"])
def test_static_encoder(random, tmp_path, aggregation):
    layer = layers.PairwiseStaticEncoder(6, 5, 7, aggregation)
    mean, log_variance = check_layer(
        layer, random(2, 4, 2, 2, 3), weights=8, tmp_path=tmp_path
    )
    assert mean.shape == log_variance.shape == (2, 6)


def test_dynamic_encoder(random, tmp_path):
    layer = layers.DynamicEncoder(2, 7)
    mean, log_variance = check_layer(
        layer, random(2, 6), random(2, 3, 2, 2, 4), weights=6, tmp_path=tmp_path
    )
    assert mean.shape == log_variance.shape == (2, 3, 2)


def test_prior(random, tmp_path):
    layer = layers.ConditionalGaussianPrior(2, 7)
    mean, _ = check_layer(layer, random(3, 6), weights=6, tmp_path=tmp_path)
    assert mean.shape == (3, 2)


def test_pooled_static_encoder(random, tmp_path):
    layer = layers.PooledStaticEncoder(5, filters=6, hidden_units=7)
    mean, log_variance = check_layer(
        layer, random(2, 3, 4, 4, 8), weights=8, tmp_path=tmp_path
    )
    assert mean.shape == log_variance.shape == (2, 5)


def test_standard_prior(random, tmp_path):
    mean, log_variance = check_layer(
        layers.StandardGaussianPrior(3),
        random(2, 5),
        weights=0,
        tmp_path=tmp_path,
        training_step=False,
    )
    assert mean.shape == log_variance.shape == (2, 3)
    assert not mean.any()
    assert not log_variance.any()


def test_frame_decoder(random, tmp_path):
    layer = layers.FrameDecoder((32, 48, 3), filters=5)
    outputs = check_layer(
        layer, random(2, 6), random(2, 3, 2), weights=10, tmp_path=tmp_path
    )
    assert outputs.shape == (2, 3, 32, 48, 3)


def test_head_bounds_the_log_variance(random, tmp_path):
    layer = layers.GaussianHead(3)
    check_layer(layer, random(2, 4), weights=2, tmp_path=tmp_path)
    _, log_variance = layer(1e6 * random(2, 4))
    assert np.abs(ops.convert_to_numpy(log_variance)).max() <= 7


@pytest.mark.parametrize("layer", [layers.DownConvolution(5), layers.UpConvolution(5)])
def test_convolutions(random, tmp_path, layer):
    check_layer(layer, random(2, 4, 6, 3), weights=2, tmp_path=tmp_path)


def test_sampling(random, tmp_path):
    layer = layers.GaussianSampling(seed=3)
    inputs = random(2, 4), random(2, 4)
    check_layer(layer, *inputs, weights=0, tmp_path=tmp_path, training_step=False)


def test_sampling_has_the_mean_and_variance_it_was_given():
    mean, log_variance = np.full((50_000, 2), 3.0), np.full((50_000, 2), np.log(4.0))
    layer = layers.GaussianSampling(seed=1)
    draws = ops.convert_to_numpy(
        layer(mean.astype("float32"), log_variance.astype("float32"), training=True)
    )
    np.testing.assert_allclose(draws.mean(axis=0), 3.0, atol=0.05)
    np.testing.assert_allclose(draws.var(axis=0), 4.0, rtol=0.05)


def test_sampling_streams_are_independent_and_repeatable():
    zeros = np.zeros((4, 3), "float32")

    def draw(layer, training):
        return ops.convert_to_numpy(layer(zeros, zeros, training=training))

    one, other = layers.GaussianSampling(seed=5), layers.GaussianSampling(seed=5)
    first = draw(one, True)
    assert np.abs(draw(one, True) - first).max() > 0.1
    # Evaluation draws in between change nothing in training.
    draw(other, False)
    np.testing.assert_array_equal(draw(other, True), first)
    draw(other, False)
    other.reset_evaluation()
    repeated = draw(other, False)
    other.reset_evaluation()
    np.testing.assert_array_equal(draw(other, False), repeated)
    assert np.abs(repeated - first).max() > 0.1


def test_sampling_state_is_in_the_file(tmp_path):
    zeros = np.zeros((4, 3), "float32")
    inputs = [keras.Input((3,)), keras.Input((3,))]
    layer = layers.GaussianSampling(seed=5)
    model = keras.Model(inputs, layer(*inputs))
    layer(zeros, zeros, training=True)
    model.save(tmp_path / "sampling.keras")
    loaded = keras.models.load_model(tmp_path / "sampling.keras")
    np.testing.assert_array_equal(
        ops.convert_to_numpy(loaded.layers[-1](zeros, zeros, training=True)),
        ops.convert_to_numpy(layer(zeros, zeros, training=True)),
    )


def test_static_encoder_refuses_other_numbers():
    layer = layers.PairwiseStaticEncoder(4, 3, 5)
    layer(np.zeros((1, 3, 2, 2, 2), "float32"))
    with pytest.raises(InputError, match="sets of 3 frames and got 4"):
        layer.call(np.zeros((1, 4, 2, 2, 2), "float32"))
    with pytest.raises(InputError, match="at least 2 frames"):
        layers.PairwiseStaticEncoder(4, 3, 5).build((None, 1, 2, 2, 2))
    with pytest.raises(InputError, match="aggregation='sum'"):
        layers.PairwiseStaticEncoder(4, 3, 5, "sum")


def test_frame_encoder_refuses_integers():
    frames = np.zeros((1, 16, 16, 3), "uint8")
    inputs = keras.Input((16, 16, 3), dtype="uint8")
    encoder = keras.Model(inputs, layers.FrameEncoder(4)(inputs))
    for call in (layers.FrameEncoder(4), encoder):
        with pytest.raises(InputError, match="dtype uint8(.|\n)*Rescaling"):
            call(frames)


def test_sets_of_an_unknown_number_are_refused():
    with pytest.raises(InputError, match="number of frames of a set must be known"):
        layers.PairwiseStaticEncoder(3, 4, 4, "mean")(keras.Input((None, 2, 2, 8)))
