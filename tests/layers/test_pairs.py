"""The static encoder against the same thing written as the paper draws it."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from gradients import gradients
from keras_ddr.layers import PairwiseStaticEncoder

pytestmark = pytest.mark.backend


def _by_concatenation(layer, features):
    """Conv_C and ReLU on every concatenated pair, with the layer's own stock layers."""
    number = features.shape[1]
    mean = layer.aggregation == "mean"
    pairs = itertools.permutations if mean else itertools.combinations
    maps = [
        ops.relu(
            layer.pair_convolution(
                np.concatenate([features[:, i], features[:, j]], axis=-1)
            )
        )
        for i, j in pairs(range(number), 2)
    ]
    x = sum(maps) / len(maps) if mean else ops.concatenate(maps, axis=-1)
    x = ops.relu(layer.set_convolution(x))
    return layer.head(layer.dense(ops.reshape(x, (len(features), -1))))


@pytest.mark.parametrize("aggregation", ["concat", "mean"])
@pytest.mark.parametrize("number", [2, 3, 5])
def test_factorised_pairs_equal_concatenated_pairs(rng, aggregation, number):
    layer = PairwiseStaticEncoder(4, 6, 5, aggregation)
    features = rng.standard_normal((3, number, 4, 4, 3), dtype="float32")
    layer.build(features.shape)
    layer.pair_convolution.bias.assign(rng.standard_normal(6))
    layer.set_convolution.bias.assign(rng.standard_normal(6))
    for ours, theirs in zip(
        layer(features), _by_concatenation(layer, features), strict=True
    ):
        np.testing.assert_allclose(
            ops.convert_to_numpy(ours), ops.convert_to_numpy(theirs), atol=1e-5
        )

    def loss(function):
        return lambda: sum(ops.sum(ops.square(part)) for part in function())

    for ours, theirs in zip(
        gradients(loss(lambda: layer(features)), layer),
        gradients(loss(lambda: _by_concatenation(layer, features)), layer),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_mean_does_not_depend_on_order(rng):
    layer = PairwiseStaticEncoder(4, 6, 5, "mean")
    features = rng.standard_normal((2, 5, 4, 4, 3), dtype="float32")
    mean, log_variance = layer(features)
    for _ in range(4):
        shuffled = layer(features[:, rng.permutation(5)])
        np.testing.assert_allclose(
            ops.convert_to_numpy(shuffled[0]), ops.convert_to_numpy(mean), atol=1e-5
        )
        np.testing.assert_allclose(
            ops.convert_to_numpy(shuffled[1]),
            ops.convert_to_numpy(log_variance),
            atol=1e-5,
        )


def test_concat_does_depend_on_order(rng):
    layer = PairwiseStaticEncoder(4, 6, 5, "concat")
    features = rng.standard_normal((2, 3, 4, 4, 3), dtype="float32")
    mean, _ = layer(features)
    other, _ = layer(features[:, ::-1])
    assert np.abs(ops.convert_to_numpy(mean) - ops.convert_to_numpy(other)).max() > 1e-4


def test_mean_takes_any_number_of_frames(rng):
    layer = PairwiseStaticEncoder(4, 6, 5, "mean")
    for number in (2, 3, 7):
        mean, _ = layer(rng.standard_normal((2, number, 4, 4, 3), dtype="float32"))
        assert tuple(mean.shape) == (2, 4)


@pytest.mark.parametrize("aggregation", ["concat", "mean"])
def test_compiled_half_precision_gives_the_codes_of_float32(rng, aggregation):
    """JAX 0.11, for a CPU, made infinities of rolled sums in bfloat16."""
    features = rng.standard_normal((6, 3, 4, 4, 48), dtype="float32")
    exact = PairwiseStaticEncoder(4, 48, 5, aggregation)
    half = PairwiseStaticEncoder(4, 48, 5, aggregation, dtype="mixed_bfloat16")
    models = []
    for layer in (exact, half):
        inputs = keras.Input(features.shape[1:])
        models.append(keras.Model(inputs, layer(inputs)))
    models[1].set_weights(models[0].get_weights())
    found = [model.predict(features, verbose=0)[0] for model in models]
    np.testing.assert_allclose(found[1], found[0], rtol=0.1, atol=0.05)
