"""f → p(z | f): the learned prior of the dynamics, and one that is the same for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_ddr.layers.gaussian_head import DynamicGaussian, Part

if TYPE_CHECKING:
    from keras_ddr.typing import Shape, Tensor

__all__ = ["ConditionalGaussianPrior", "StandardGaussianPrior"]


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


@keras.saving.register_keras_serializable(package="keras_ddr")
class StandardGaussianPrior(Part):
    """The standard normal in the place of `ConditionalGaussianPrior`; no weights.

    Args:
        dynamic_dim: Dimensions of z.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        static: f, `(B, static_dim)`; its values are not used.
    """

    _arguments = ("dynamic_dim",)

    def __init__(self, dynamic_dim: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dynamic_dim = dynamic_dim

    def build(self, static_shape: Shape) -> None:
        """There is nothing to make."""
        self.built = True

    def call(self, static: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tuple (mean, log-variance), zeros of `(B, dynamic_dim)`."""
        zeros = ops.repeat(ops.zeros_like(static[:, :1]), self.dynamic_dim, axis=-1)
        return zeros, zeros
