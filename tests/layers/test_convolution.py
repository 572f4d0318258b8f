"""The fast convolutions equal the stock ones, values and gradients."""

import keras
import numpy as np
import pytest
from keras import ops

from gradients import gradients
from keras_ddr.layers import DownConvolution, UpConvolution, convolution

pytestmark = pytest.mark.backend


def _assert_same(one, other, tolerance=1e-5):
    np.testing.assert_allclose(
        ops.convert_to_numpy(one),
        ops.convert_to_numpy(other),
        rtol=1e-5,
        atol=tolerance,
    )


@pytest.mark.parametrize("shape", [(2, 4, 4, 3), (1, 8, 6, 2), (3, 32, 32, 1)])
def test_down_by_matmul(rng, shape):
    x = rng.standard_normal(shape, dtype="float32")
    kernel = rng.standard_normal((4, 4, shape[-1], 5), dtype="float32")
    stock = ops.conv(x, kernel, strides=2, padding="same", data_format="channels_last")
    _assert_same(convolution._down_by_matmul(x, kernel), stock)


@pytest.mark.parametrize("shape", [(2, 4, 4, 3), (1, 8, 6, 2), (3, 1, 1, 1)])
def test_up_by_matmul(rng, shape):
    x = rng.standard_normal(shape, dtype="float32")
    kernel = rng.standard_normal((4, 4, 5, shape[-1]), dtype="float32")
    stock = ops.conv_transpose(
        x, kernel, strides=2, padding="same", data_format="channels_last"
    )
    _assert_same(convolution._up_by_matmul(x, kernel), stock)


def test_same_by_matmul(rng):
    x = rng.standard_normal((2, 4, 5, 3), dtype="float32")
    kernel = rng.standard_normal((3, 3, 3, 6), dtype="float32")
    stock = ops.conv(x, kernel, padding="same", data_format="channels_last")
    padded = convolution._pad(x, 1, 1)
    _assert_same(convolution._valid_by_matmul(padded, kernel), stock)
    _assert_same(convolution.convolve(x, kernel), stock)
    bias = rng.standard_normal(6, dtype="float32")
    _assert_same(convolution.convolve(x, kernel, bias), stock + bias)


@pytest.mark.parametrize(("inputs", "outputs"), [(2, 9), (9, 2)])
def test_both_orders_of_shifts_and_products(rng, inputs, outputs):
    """Few outputs are multiplied first, few inputs shifted first: the same sums."""
    x = rng.standard_normal((2, 7, 6, inputs), dtype="float32")
    kernel = rng.standard_normal((2, 2, inputs, outputs), dtype="float32")
    stock = ops.conv(x, kernel, padding="valid", data_format="channels_last")
    _assert_same(convolution._valid_by_matmul(x, kernel), stock)


@pytest.mark.parametrize(
    ("layer", "stock"),
    [
        (DownConvolution, keras.layers.Conv2D),
        (UpConvolution, keras.layers.Conv2DTranspose),
    ],
)
@pytest.mark.parametrize(
    "options", [{}, {"activation": "softplus"}, {"use_bias": False}], ids=str
)
@pytest.mark.parametrize(("inputs", "filters"), [(3, 5), (16, 1)])
def test_layers_equal_stock_layers_with_the_same_weights(
    rng, layer, stock, options, inputs, filters
):
    x = rng.standard_normal((2, 8, 8, inputs), dtype="float32")
    ours = layer(filters, **options)
    theirs = stock(
        filters, 4, strides=2, padding="same", data_format="channels_last", **options
    )
    ours.build(x.shape)
    theirs.build(x.shape)
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
    if ours.use_bias:
        ours.bias.assign(rng.standard_normal(filters))
    theirs.set_weights(ours.get_weights())
    _assert_same(ours(x), theirs(x))
    assert tuple(ours.compute_output_shape(x.shape)) == tuple(ours(x).shape)
    weight = rng.standard_normal(ours(x).shape, dtype="float32")
    pairs = zip(
        gradients(lambda: ops.sum(ops.multiply(ours(x), weight)), ours),
        gradients(lambda: ops.sum(ops.multiply(theirs(x), weight)), theirs),
        strict=True,
    )
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
