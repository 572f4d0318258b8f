"""x_i → h_i: the features of one frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_ddr.errors import InputError
from keras_ddr.layers.convolution import DownConvolution
from keras_ddr.layers.gaussian_head import Part

if TYPE_CHECKING:
    from keras_ddr.typing import Shape, Tensor

__all__ = ["FrameEncoder"]

_STEPS = 4  # stride-2 convolutions of Appendix C; H and W shrink by 2**4


@keras.saving.register_keras_serializable(package="keras_ddr")
class FrameEncoder(Part):
    """Four strided convolutions that turn each frame into a map of features.

    The map keeps its height and width for the comparison of pairs; the dynamic
    encoder flattens it.

    Args:
        filters: Channels of every convolution (256 in the paper).
        negative_slope: Slope of the leaky ReLU below zero (not given in the paper).
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        frames: Floats in [0, 1], `(..., H, W, C)` with any number of leading axes, H
            and W multiples of 16. For integer frames in a functional model, declare
            `keras.Input(..., dtype="uint8")` and put `keras.layers.Rescaling(1 / 255)`
            in front.

    References:
        Appendix C, "Conv: x_i → h_i".
    """

    _arguments = ("filters", "negative_slope")

    def __init__(
        self, filters: int = 256, negative_slope: float = 0.2, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.negative_slope = negative_slope
        self.convolutions = [
            DownConvolution(
                filters,
                kernel_initializer="he_normal",
                dtype=self.dtype_policy,
                name=f"convolution_{i}",
            )
            for i in range(1, _STEPS + 1)
        ]

    def build(self, frames_shape: Shape) -> None:
        """Create the convolutions' weights."""
        shape = (None, *frames_shape[-3:])
        for convolution in self.convolutions:
            convolution.build(shape)
            shape = convolution.compute_output_shape(shape)
        self.built = True

    def call(self, frames: Tensor) -> Tensor:
        """Return feature maps `(..., H/16, W/16, filters)`."""
        dtype = keras.backend.standardize_dtype(frames.dtype)
        if "float" not in dtype:
            raise InputError(
                f"frames have dtype {dtype}; this layer takes floats in [0, 1]: put "
                "keras.layers.Rescaling(1 / 255) in front"
            )
        x = ops.reshape(frames, (-1, *frames.shape[-3:]))
        for convolution in self.convolutions:
            x = ops.leaky_relu(convolution(x), negative_slope=self.negative_slope)
        leading = ops.shape(frames)[:-3]
        return ops.reshape(x, (*leading, *x.shape[-3:]))

    def compute_output_shape(self, frames_shape: Shape) -> Shape:
        """Shape of the feature maps."""
        *leading, height, width, _ = frames_shape
        return (*leading, height // 2**_STEPS, width // 2**_STEPS, self.filters)
