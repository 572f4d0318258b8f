"""DCGAN's networks: their sizes, and what the skips join."""

import keras
import numpy as np
import pytest
from keras import ops

import layer_checks
from keras_ddr.layers import DCGANDecoder, DCGANEncoder

pytestmark = pytest.mark.backend


def test_published_sizes():
    encoder, decoder = DCGANEncoder(128), DCGANDecoder((64, 64, 3))
    encoder.build((None, 64, 64, 3))
    decoder.build((None, 138))
    # By hand: kernels, biases, and two weights a channel that is normalised.
    kernels = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * 128)
    channels = 64 + 128 + 256 + 512 + 128
    counted = sum(int(np.prod(w.shape)) for w in encoder.trainable_weights)
    assert counted == kernels + 3 * channels == 3_807_424
    kernels = 16 * (138 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3)
    counted = sum(int(np.prod(w.shape)) for w in decoder.trainable_weights)
    assert counted == kernels + 3 * (512 + 256 + 128 + 64) + 3


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_as_layers(rng, tmp_path, kind):
    if kind == "encoder":
        layer = DCGANEncoder(5, filters=2)
        x = rng.random((6, 32, 16, 3), "float32")
        layer_checks.check_layer(layer, x, weights=20, tmp_path=tmp_path)
    else:
        layer = DCGANDecoder((32, 16, 3), filters=2, initializer="normal")
        x = rng.random((6, 5), "float32")
        layer_checks.check_layer(layer, x, weights=18, tmp_path=tmp_path)


def test_the_decoder_uses_each_map(rng):
    """A map that changes changes the picture, and each belongs to its size."""
    encoder = DCGANEncoder(4, filters=2, skips=True)
    decoder = DCGANDecoder((32, 32, 1), filters=2, skips=True)
    code, maps = encoder(rng.random((2, 32, 32, 1), "float32"))
    assert [tuple(m.shape[1:3]) for m in maps] == [(16, 16), (8, 8), (4, 4), (2, 2)]
    whole = ops.convert_to_numpy(decoder(code, maps))
    for k in range(4):
        changed = [m + 1 if i == k else m for i, m in enumerate(maps)]
        other = ops.convert_to_numpy(decoder(code, changed))
        assert np.abs(other - whole).max() > 1e-4, k


def test_a_pytorch_layer_begins_likewise():
    layer = DCGANEncoder(64, filters=32)
    layer.build((None, 32, 32, 3))
    kernel = ops.convert_to_numpy(layer.convolutions[1].kernel)
    limit = 1 / np.sqrt(16 * 32)
    assert np.abs(kernel).max() == pytest.approx(limit, rel=0.01)
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    same = keras.utils.set_random_seed
    same(3)
    one = DCGANEncoder(4, filters=2)
    one.build((None, 16, 16, 3))
    kernels = [ops.convert_to_numpy(c.kernel).ravel()[:9] for c in one.convolutions]
    assert np.abs(kernels[1] - kernels[2]).max() > 0  # each has draws of its own
