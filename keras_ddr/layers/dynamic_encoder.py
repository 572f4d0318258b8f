"""f, h_i → q(z_i | f, x_i): what one frame of a set shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_ddr.layers.gaussian_head import GaussianHead

if TYPE_CHECKING:
    from keras_ddr.typing import Shape, Tensor

__all__ = ["DynamicEncoder"]


@keras.saving.register_keras_serializable(package="keras_ddr")
class DynamicEncoder(keras.layers.Layer):
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

    def __init__(
        self, dynamic_dim: int = 2, hidden_units: int = 512, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.dynamic_dim = dynamic_dim
        self.hidden_units = hidden_units
        self.dense_1, self.dense_2 = (
            keras.layers.Dense(
                hidden_units, activation="relu", dtype=self.dtype_policy, name=name
            )
            for name in ("dense_1", "dense_2")
        )
        self.head = GaussianHead(dynamic_dim, name="head")

    def build(self, static_shape: Shape, features_shape: Shape) -> None:
        """Create the dense layers' weights."""
        height, width, channels = features_shape[-3:]
        self.dense_1.build((None, static_shape[-1] + height * width * channels))
        self.dense_2.build((None, self.hidden_units))
        self.head.build((None, self.hidden_units))
        self.built = True

    def call(self, static: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tuple (mean, log-variance), each `(B, N, dynamic_dim)`."""
        number, height, width, channels = features.shape[1:]
        flat = ops.reshape(features, (-1, number, height * width * channels))
        static = ops.repeat(ops.expand_dims(static, 1), number, axis=1)
        x = ops.concatenate([ops.cast(static, flat.dtype), flat], axis=-1)
        return self.head(self.dense_2(self.dense_1(x)))

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the same layer again."""
        return {
            **super().get_config(),
            "dynamic_dim": self.dynamic_dim,
            "hidden_units": self.hidden_units,
        }
