"""f → p(z | f): the learned prior of the dynamics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from keras_ddr.layers.gaussian_head import GaussianHead

if TYPE_CHECKING:
    from keras_ddr.typing import Shape, Tensor

__all__ = ["ConditionalGaussianPrior"]


@keras.saving.register_keras_serializable(package="keras_ddr")
class ConditionalGaussianPrior(keras.layers.Layer):
    """The distribution of z for a given f.

    Args:
        dynamic_dim: Dimensions of z (2 in the paper).
        hidden_units: Units of the two dense layers (512 in the paper).
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        static: f, `(B, static_dim)`.

    References:
        Section 2, "Generative Model"; Appendix C, "p(z | f): f → [μ_z, σ²_z]".
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

    def build(self, static_shape: Shape) -> None:
        """Create the dense layers' weights."""
        self.dense_1.build(static_shape)
        self.dense_2.build((None, self.hidden_units))
        self.head.build((None, self.hidden_units))
        self.built = True

    def call(self, static: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tuple (mean, log-variance), each `(B, dynamic_dim)`."""
        return self.head(self.dense_2(self.dense_1(static)))

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the same layer again."""
        return {
            **super().get_config(),
            "dynamic_dim": self.dynamic_dim,
            "hidden_units": self.hidden_units,
        }
