"""f, z_i → x_i: the image of one frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_ddr.layers.convolution import UpConvolution
from keras_ddr.layers.gaussian_head import Part

if TYPE_CHECKING:
    from keras_ddr.typing import ImageShape, Shape, Tensor

__all__ = ["FrameDecoder"]

_STEPS = 4  # stride-2 deconvolutions of Appendix C


def _initializer(last: bool) -> keras.initializers.Initializer:
    """He's initialisation for a transposed kernel 4×4 of stride 2."""
    # An output pixel sees 4 of the 16 taps of each input channel, and Keras's fans
    # count 16: 2 / (4·inputs) is 8 / fan_out. The first images are to be grey.
    return keras.initializers.VarianceScaling(1.0 if last else 8.0, mode="fan_out")


@keras.saving.register_keras_serializable(package="keras_ddr")
class FrameDecoder(Part):
    """Turns f and each z of a set into the outputs of the likelihood.

    Four stride-2 steps reach 64×64 only from 4×4, so a dense layer (which Appendix C
    does not list) comes first.

    Args:
        image_shape: `(H, W, C)` of a frame, H and W multiples of 16.
        filters: Channels of all deconvolutions but the last (256 in the paper).
        negative_slope: Slope of the leaky ReLU below zero (not given in the paper).
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        static: f, `(B, static_dim)`.
        dynamic: z, `(B, N, dynamic_dim)`.

    References:
        Appendix C, "Deconv: concat([f, z_i]) → x̃_i".
    """

    _arguments = ("image_shape", "filters", "negative_slope")

    def __init__(
        self,
        image_shape: ImageShape,
        filters: int = 256,
        negative_slope: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        self.filters = filters
        self.negative_slope = negative_slope
        height, width, channels = self.image_shape
        self.start_shape = (height // 2**_STEPS, width // 2**_STEPS, filters)
        units = self.start_shape[0] * self.start_shape[1] * filters
        self.dense = keras.layers.Dense(
            units, kernel_initializer="he_normal", dtype=self.dtype_policy, name="dense"
        )
        self.deconvolutions = [
            UpConvolution(
                channels if last else filters,
                kernel_initializer=_initializer(last),
                # Logits of half precision are too coarse to learn from.
                dtype="float32" if last else self.dtype_policy,
                name=f"deconvolution_{i}",
            )
            for i, last in enumerate([False] * (_STEPS - 1) + [True], 1)
        ]

    def build(self, static_shape: Shape, dynamic_shape: Shape) -> None:
        """Create the weights of the dense layer and the deconvolutions."""
        self.dense.build((None, static_shape[-1] + dynamic_shape[-1]))
        shape = (None, *self.start_shape)
        for deconvolution in self.deconvolutions:
            deconvolution.build(shape)
            shape = deconvolution.compute_output_shape(shape)
        self.built = True

    def call(self, static: Tensor, dynamic: Tensor) -> Tensor:
        """Return outputs (logits) `(B, N, H, W, C)`."""
        number = dynamic.shape[1]
        static = ops.repeat(ops.expand_dims(static, 1), number, axis=1)
        x = ops.concatenate([static, dynamic], axis=-1)
        x = self._activate(self.dense(ops.reshape(x, (-1, x.shape[-1]))))
        x = ops.reshape(x, (-1, *self.start_shape))
        for deconvolution in self.deconvolutions[:-1]:
            x = self._activate(deconvolution(x))
        x = self.deconvolutions[-1](x)
        return ops.reshape(x, (-1, number, *self.image_shape))

    def _activate(self, x: Tensor) -> Tensor:
        return ops.leaky_relu(x, negative_slope=self.negative_slope)

    def compute_output_shape(self, static_shape: Shape, dynamic_shape: Shape) -> Shape:
        """Shape of the outputs."""
        return (*dynamic_shape[:2], *self.image_shape)
