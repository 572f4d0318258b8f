"""f → p(z | f): the learned prior of the dynamics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras

from keras_ddr.layers.gaussian_head import DynamicGaussian

if TYPE_CHECKING:
    from keras_ddr.typing import Shape, Tensor

__all__ = ["ConditionalGaussianPrior"]


@keras.saving.register_keras_serializable(package="keras_ddr")
class ConditionalGaussianPrior(DynamicGaussian):
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

    def build(self, static_shape: Shape) -> None:
        """Create the dense layers' weights."""
        self._build_for(static_shape[-1])

    def call(self, static: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tuple (mean, log-variance), each `(B, dynamic_dim)`."""
        return self._distribution(static)
