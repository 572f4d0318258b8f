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

# He's initialisation for a transposed kernel 4×4 of stride 2: an output pixel sees 4 of
# the 16 taps of each input channel, and Keras's fans count 16: 2 / (4·inputs) is
# 8 / fan_out.
_HE = 8.0


@keras.saving.register_keras_serializable(package="keras_ddr")
class FrameDecoder(Part):
    """Turns f and each z of a set into the outputs of the likelihood.

    Four stride-2 steps reach 64×64 only from 4×4, so a dense layer (which Appendix C
    does not list) comes first.

    Args:
        image_shape: `(H, W, C)` of a frame, H and W multiples of 2 to the `steps`.
        filters: Channels of all deconvolutions but the last (256 in the paper).
        negative_slope: Slope of the leaky ReLU below zero (not given in the paper).
        steps: Number of stride-2 deconvolutions (4 in Appendix C).
        last_scale: Scale of the last one's initial weights: the first images are to be
            grey.
        hidden_units: Units of a dense layer whose outputs join f and z; 0 for none
            (the paper).
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        static: f, `(B, static_dim)`.
        dynamic: z, `(B, N, dynamic_dim)`.

    References:
        Appendix C, "Deconv: concat([f, z_i]) → x̃_i".
    """

    _arguments = (
        "image_shape",
        "filters",
        "negative_slope",
        "steps",
        "last_scale",
        "hidden_units",
    )

    def __init__(
        self,
        image_shape: ImageShape,
        filters: int = 256,
        negative_slope: float = 0.2,
        steps: int = 4,
        last_scale: float = 1.0,
        hidden_units: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        self.filters = filters
        self.negative_slope = negative_slope
        self.steps = steps
        self.last_scale = last_scale
        self.hidden_units = hidden_units
        height, width, channels = self.image_shape
        self.start_shape = (height // 2**steps, width // 2**steps, filters)
        units = self.start_shape[0] * self.start_shape[1] * filters
        self.hidden = self._hidden(hidden_units, "hidden") if hidden_units else None
        self.dense = keras.layers.Dense(
            units, kernel_initializer="he_normal", dtype=self.dtype_policy, name="dense"
        )
        self.deconvolutions = [
            UpConvolution(
                channels if last else filters,
                kernel_initializer=keras.initializers.VarianceScaling(
                    last_scale if last else _HE, mode="fan_out"
                ),
                # Logits of half precision are too coarse to learn from.
                dtype="float32" if last else self.dtype_policy,
                name=f"deconvolution_{i}",
            )
            for i, last in enumerate([False] * (steps - 1) + [True], 1)
        ]

    def build(self, static_shape: Shape, dynamic_shape: Shape) -> None:
        """Create the weights of the dense layer and the deconvolutions."""
        units = static_shape[-1] + dynamic_shape[-1]
        if self.hidden is not None:
            self.hidden.build((None, units))
        self.dense.build((None, units + self.hidden_units))
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
        x = ops.reshape(x, (-1, x.shape[-1]))
        if self.hidden is not None:
            x = ops.concatenate([x, ops.cast(self.hidden(x), x.dtype)], axis=-1)
        x = self._activate(self.dense(x))
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
