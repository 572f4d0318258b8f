"""The convolutions of the model, each computed the way its backend does fast.

Every function here equals the stock Keras operation of the same weights.

- JAX on a CPU: XLA's convolution gradients are slow (the transposed one is computed
  naively), while its matrix products are fast: a convolution becomes shifted slices
  side by side and one matrix product.
- PyTorch: its own functions, which pad and add the bias as they go; Keras's make a
  larger map, cut it and copy it.
- TensorFlow: the bias by its own operation, whose gradient is a fast reduction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

if TYPE_CHECKING:
    from keras_ddr.typing import Tensor

__all__ = ["DownConvolution", "UpConvolution"]

_BACKEND = keras.backend.backend()
_STRIDED = {"strides": 2, "padding": "same", "data_format": "channels_last"}


def _matrix_products_are_faster() -> bool:
    if _BACKEND != "jax":
        return False
    import jax

    return jax.default_backend() == "cpu"


def _valid_by_matmul(x: Tensor, kernel: Tensor) -> Tensor:
    """Stride-1 convolution without padding, as one matrix product."""
    # Either all shifted maps side by side are multiplied, or the maps once by all taps,
    # and the products are shifted: whichever moves less memory.
    rows, columns, inputs, outputs = kernel.shape
    height, width = x.shape[-3] - rows + 1, x.shape[-2] - columns + 1
    taps = [(i, j) for i in range(rows) for j in range(columns)]

    def shifted(maps: Tensor, i: int, j: int) -> Tensor:
        return maps[:, i : i + height, j : j + width, :]

    # Twice: products of places that only the margin needs are wasted arithmetic too.
    if 2 * x.shape[-3] * x.shape[-2] * outputs < height * width * inputs:
        kernel = ops.reshape(ops.transpose(kernel, (2, 0, 1, 3)), (inputs, -1))
        # Split, not sliced: gradients are then put side by side, not padded and added.
        products = ops.split(_product(x, kernel), len(taps), axis=-1)
        return sum(
            shifted(part, i, j) for part, (i, j) in zip(products, taps, strict=True)
        )
    patches = ops.concatenate([shifted(x, i, j) for i, j in taps], axis=-1)
    return _product(patches, ops.reshape(kernel, (-1, outputs)))


def _product(maps: Tensor, kernel: Tensor) -> Tensor:
    """Channels times a matrix, of all places at once."""
    # XLA copies a map of four axes for the gradient; one of two it takes as it is.
    flat = ops.reshape(maps, (-1, maps.shape[-1]))
    shape = (-1, *maps.shape[1:-1], kernel.shape[-1])
    return ops.reshape(ops.matmul(flat, kernel), shape)


def _pad(x: Tensor, before: int, after: int) -> Tensor:
    return ops.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))


def _add_bias(x: Tensor, bias: Tensor | None) -> Tensor:
    if bias is None:
        return x
    if _BACKEND != "tensorflow":
        return x + bias
    import tensorflow as tf

    # The gradient is a sum over all places, which half precision would lose.
    wide, bias = tf.cast(x, "float32"), tf.cast(bias, "float32")
    return tf.cast(tf.nn.bias_add(wide, bias), x.dtype)


def _by_torch(
    name: str, x: Tensor, kernel: Tensor, bias: Tensor | None, stride: int = 1
) -> Tensor:
    """A convolution of PyTorch; maps keep their layout, kernels are turned."""
    from torch.nn import functional

    padding = (kernel.shape[0] - 1) // 2
    x, kernel = ops.convert_to_tensor(x), ops.convert_to_tensor(kernel)
    bias = None if bias is None else ops.convert_to_tensor(bias)
    function = getattr(functional, name)
    x = function(
        x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), bias, stride, padding
    )
    return x.permute(0, 2, 3, 1)


def convolve(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Stride-1 convolution of maps with `same` padding and an odd square kernel."""
    if _BACKEND == "torch":
        return _by_torch("conv2d", x, kernel, bias)
    if _matrix_products_are_faster():
        margin = kernel.shape[0] // 2
        x = _valid_by_matmul(_pad(x, margin, margin), kernel)
    else:
        x = ops.conv(x, kernel, padding="same", data_format="channels_last")
    return _add_bias(x, bias)


def _strided(
    layer: Any,
    x: Tensor,
    of_torch: str,
    by_matmul: Callable[[Tensor, Tensor], Tensor],
    stock: Callable[..., Tensor],
) -> Tensor:
    """Maps that a layer of stride 2 gives."""
    if _BACKEND == "torch":
        x = _by_torch(of_torch, x, layer.kernel, layer.bias, 2)
    elif _matrix_products_are_faster():
        x = _add_bias(by_matmul(x, layer.kernel), layer.bias)
    else:
        x = _add_bias(stock(x, layer.kernel, **_STRIDED), layer.bias)
    return layer.activation(x)


def _down_by_matmul(x: Tensor, kernel: Tensor) -> Tensor:
    """Kernel 4, stride 2, `same`: space to depth, then a 2×2 kernel."""
    inputs, outputs = kernel.shape[2:]
    x = _pad(x, 1, 1)
    height, width = x.shape[1] // 2, x.shape[2] // 2
    x = ops.reshape(x, (-1, height, 2, width, 2, inputs))
    x = ops.reshape(
        ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, height, width, 4 * inputs)
    )
    kernel = ops.reshape(kernel, (2, 2, 2, 2, inputs, outputs))
    kernel = ops.reshape(
        ops.transpose(kernel, (0, 2, 1, 3, 4, 5)), (2, 2, 4 * inputs, outputs)
    )
    return _valid_by_matmul(x, kernel)


def _up_by_matmul(x: Tensor, kernel: Tensor) -> Tensor:
    """Transposed kernel 4, stride 2, `same`: a 2×2 kernel, then depth to space.

    Position p of the padded input sees x[p−1] and x[p] and gives the outputs
    2p−1 and 2p; tap a and phase s meet at kernel index 2(1−a) + s.
    """
    outputs, inputs = kernel.shape[2:]
    height, width = x.shape[1] + 1, x.shape[2] + 1
    kernel = ops.reshape(kernel, (2, 2, 2, 2, outputs, inputs))
    # One axis at a time: Keras 3.12 takes no two on TensorFlow.
    kernel = ops.flip(ops.flip(kernel, axis=0), axis=2)
    kernel = ops.reshape(
        ops.transpose(kernel, (0, 2, 5, 1, 3, 4)), (2, 2, inputs, 4 * outputs)
    )
    x = _valid_by_matmul(_pad(x, 1, 1), kernel)
    x = ops.reshape(x, (-1, height, width, 2, 2, outputs))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    x = ops.reshape(x, (-1, 2 * height, 2 * width, outputs))
    return x[:, 1:-1, 1:-1, :]


@keras.saving.register_keras_serializable(package="keras_ddr")
class DownConvolution(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with kernel 4×4, stride 2, `same`: halves H and W.

    Args:
        filters: Number of output channels.
        **kwargs: As for `keras.layers.Conv2D`.

    Call arguments:
        inputs: Maps `(B, H, W, c)`, H and W even.
    """

    def __init__(self, filters: int, **kwargs: Any) -> None:
        super().__init__(filters, **{"kernel_size": 4, **_STRIDED, **kwargs})

    def call(self, inputs: Tensor) -> Tensor:
        """Return maps `(B, H/2, W/2, filters)`."""
        return _strided(self, inputs, "conv2d", _down_by_matmul, ops.conv)


@keras.saving.register_keras_serializable(package="keras_ddr")
class UpConvolution(keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose`, kernel 4×4, stride 2, `same`: doubles H, W.

    Args:
        filters: Number of output channels.
        **kwargs: As for `keras.layers.Conv2DTranspose`.

    Call arguments:
        inputs: Maps `(B, h, w, c)`.
    """

    def __init__(self, filters: int, **kwargs: Any) -> None:
        super().__init__(filters, **{"kernel_size": 4, **_STRIDED, **kwargs})

    def call(self, inputs: Tensor) -> Tensor:
        """Return maps `(B, 2h, 2w, filters)`."""
        stock = ops.conv_transpose
        return _strided(self, inputs, "conv_transpose2d", _up_by_matmul, stock)
