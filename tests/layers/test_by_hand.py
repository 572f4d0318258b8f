"""The lines of Appendix C, computed again with NumPy and Keras's plain convolutions."""

import numpy as np
import pytest
from keras import ops

from keras_ddr import layers

pytestmark = pytest.mark.backend


@pytest.fixture
def filled(rng):
    """Builds a layer on its inputs and gives every weight random values."""

    def fill(layer, *inputs):
        layer(*inputs)
        for weight in layer.weights:
            weight.assign(rng.normal(0, 0.5, weight.shape).astype("float32"))
        return layer

    return fill


def _weights(layer):
    return [ops.convert_to_numpy(weight) for weight in layer.weights]


def _dense(layer, x):
    kernel, bias = _weights(layer)
    return x @ kernel + bias


def _relu(x):
    return np.maximum(x, 0)


def _leaky(x, slope):
    return np.where(x > 0, x, slope * x)


def _head(layer, x):
    """Mean, and the log-variance bounded to (−7, 7)."""
    outputs = _dense(layer.dense, x)
    mean, raw = np.split(outputs, 2, axis=-1)
    return mean, 7 * np.tanh(raw / 7)


def _same(found, expected):
    np.testing.assert_allclose(
        ops.convert_to_numpy(found), expected, rtol=1e-4, atol=1e-4
    )


def test_head(filled, rng):
    x = rng.normal(0, 10, (5, 3)).astype("float32")
    layer = filled(layers.GaussianHead(2), x)
    expected = _head(layer, x)
    assert np.abs(expected[1]).max() > 2  # where the bound is felt
    for found, wanted in zip(layer(x), expected, strict=True):
        _same(found, wanted)


@pytest.mark.parametrize("slope", [0.2, 0.05])
def test_frame_encoder(filled, rng, slope):
    frames = rng.random((2, 3, 32, 16, 3), dtype="float32")
    layer = filled(layers.FrameEncoder(filters=4, negative_slope=slope), frames)
    x = frames.reshape(6, 32, 16, 3)
    for convolution in layer.convolutions:
        kernel, bias = _weights(convolution)
        x = ops.convert_to_numpy(ops.conv(x, kernel, strides=2, padding="same")) + bias
        x = _leaky(x, slope)
    _same(layer(frames), x.reshape(2, 3, 2, 1, 4))


def test_dynamic_encoder(filled, rng):
    f = rng.normal(size=(2, 5)).astype("float32")
    h = rng.normal(size=(2, 3, 2, 1, 4)).astype("float32")
    layer = filled(layers.DynamicEncoder(2, hidden_units=6), f, h)
    mean, log_variance = (ops.convert_to_numpy(part) for part in layer(f, h))
    for b in range(2):
        for n in range(3):
            x = np.concatenate([f[b], h[b, n].ravel()])
            x = _relu(_dense(layer.dense_2, _relu(_dense(layer.dense_1, x))))
            wanted = _head(layer.head, x)
            _same(mean[b, n], wanted[0])
            _same(log_variance[b, n], wanted[1])


def test_prior(filled, rng):
    f = rng.normal(size=(4, 5)).astype("float32")
    layer = filled(layers.ConditionalGaussianPrior(2, hidden_units=6), f)
    x = _relu(_dense(layer.dense_2, _relu(_dense(layer.dense_1, f))))
    for found, wanted in zip(layer(f), _head(layer.head, x), strict=True):
        _same(found, wanted)


@pytest.mark.parametrize("slope", [0.2, 0.05])
def test_frame_decoder(filled, rng, slope):
    f = rng.normal(size=(2, 5)).astype("float32")
    z = rng.normal(size=(2, 3, 2)).astype("float32")
    layer = filled(layers.FrameDecoder((16, 32, 1), 4, negative_slope=slope), f, z)
    found = ops.convert_to_numpy(layer(f, z))
    for b in range(2):
        for n in range(3):
            x = _leaky(_dense(layer.dense, np.concatenate([f[b], z[b, n]])), slope)
            x = x.reshape(1, 1, 2, 4)
            for i, deconvolution in enumerate(layer.deconvolutions):
                kernel, bias = _weights(deconvolution)
                x = ops.conv_transpose(x, kernel, strides=2, padding="same")
                x = ops.convert_to_numpy(x) + bias
                x = x if i == 3 else _leaky(x, slope)
            _same(found[b, n], x[0])
