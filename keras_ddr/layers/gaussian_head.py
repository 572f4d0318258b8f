"""The end of every network that gives a Gaussian."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

if TYPE_CHECKING:
    from keras_ddr.typing import Shape, Tensor

__all__ = ["GaussianHead"]

_LOG_VARIANCE_BOUND = 7.0


def halves(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and bounded log-variance from the two halves of the last axis."""
    dim = outputs.shape[-1] // 2
    raw = outputs[..., dim:]
    log_variance = _LOG_VARIANCE_BOUND * ops.tanh(raw / _LOG_VARIANCE_BOUND)
    return outputs[..., :dim], log_variance


class Part(keras.layers.Layer):
    """A layer whose arguments are attributes of the same names."""

    _arguments: tuple[str, ...] = ()

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the same layer again."""
        own = {name: getattr(self, name) for name in self._arguments}
        return {**super().get_config(), **own}

    def _hidden(self, units: int, name: str) -> keras.layers.Dense:
        return keras.layers.Dense(
            units, activation="relu", dtype=self.dtype_policy, name=name
        )


@keras.saving.register_keras_serializable(package="keras_ddr")
class GaussianHead(Part):
    """A dense layer of 2·dim units, split into a mean and a log-variance.

    It computes in float32. The log-variance is softly bounded to (−7, 7) by
    7·tanh(v/7): without a bound, training diverged at learning rate 1e-3.

    Args:
        dim: Number of latent dimensions.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        inputs: `(..., units)`.

    References:
        Appendix C, the last dense line of each network (1024 and 4 units).
    """

    _arguments = ("dim",)

    def __init__(self, dim: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.dim = dim
        self.dense = keras.layers.Dense(2 * dim, dtype="float32", name="dense")

    def build(self, input_shape: Shape) -> None:
        """Create the dense layer's weights."""
        self.dense.build(input_shape)
        self.built = True

    def call(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tuple (mean, log-variance), each `(..., dim)` float32."""
        return halves(self.dense(inputs))

    def compute_output_shape(self, input_shape: Shape) -> tuple[Shape, Shape]:
        """Shapes of the mean and the log-variance."""
        shape = (*input_shape[:-1], self.dim)
        return shape, shape


class DynamicGaussian(Part):
    """Two dense layers and a `GaussianHead` of z."""

    _arguments = ("dynamic_dim", "hidden_units")

    def __init__(
        self, dynamic_dim: int = 2, hidden_units: int = 512, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.dynamic_dim = dynamic_dim
        self.hidden_units = hidden_units
        self.dense_1 = self._hidden(hidden_units, "dense_1")
        self.dense_2 = self._hidden(hidden_units, "dense_2")
        self.head = GaussianHead(dynamic_dim, name="head")

    def _build_for(self, inputs: int) -> None:
        self.dense_1.build((None, inputs))
        self.dense_2.build((None, self.hidden_units))
        self.head.build((None, self.hidden_units))
        self.built = True

    def _distribution(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return self.head(self.dense_2(self.dense_1(inputs)))
