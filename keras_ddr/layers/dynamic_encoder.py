"""f, h_i → q(z_i | f, x_i): what one frame of a set shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
from keras import ops

from keras_ddr.layers.gaussian_head import DynamicGaussian

if TYPE_CHECKING:
    from keras_ddr.typing import Shape, Tensor

__all__ = ["DynamicEncoder"]


@keras.saving.register_keras_serializable(package="keras_ddr")
class DynamicEncoder(DynamicGaussian):
    """Gives the posterior of z for each frame, knowing the set's f.

    Args:
        dynamic_dim: Dimensions of z (2 in the paper).
        hidden_units: Units of the two dense layers (512 in the paper).
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        static: f, `(B, static_dim)`.
        features: `(B, N, h, w, c)`, the feature maps of N frames a set.

    References:
        Appendix C, "q(z | …): concat([f, h_i]) → [μ_z, σ²_z]".
    """

    def build(self, static_shape: Shape, features_shape: Shape) -> None:
        """Create the dense layers' weights."""
        height, width, channels = features_shape[-3:]
        self._build_for(static_shape[-1] + height * width * channels)

    def call(self, static: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tuple (mean, log-variance), each `(B, N, dynamic_dim)`."""
        number, height, width, channels = features.shape[1:]
        flat = ops.reshape(features, (-1, number, height * width * channels))
        static = ops.repeat(ops.expand_dims(static, 1), number, axis=1)
        x = ops.concatenate([ops.cast(static, flat.dtype), flat], axis=-1)
        return self._distribution(x)
