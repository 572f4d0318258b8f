"""Likelihoods p(x | f, z) of an image given the decoder's outputs (section 2)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from keras_ddr.layers import PrincipalComponents
    from keras_ddr.typing import Shape, Tensor

__all__ = [
    "Bernoulli",
    "ComponentsNormal",
    "ContinuousBernoulli",
    "Likelihood",
    "Normal",
    "get",
]


class Likelihood(keras.layers.Layer):
    """Base of the likelihoods: a layer, since a likelihood may own weights.

    It always computes in float32. Subclasses define `log_prob` and `mean`, and are
    registered with `keras.saving.register_keras_serializable` for models to load again.

    Call arguments:
        outputs: Decoder outputs, `(..., H, W, C)`, any real values.
        x: Intensities in [0, 1], same shape.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)

    def build(self, outputs_shape: Shape, x_shape: Shape) -> None:
        """Create the weights; most likelihoods have none."""
        self.built = True

    def call(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Same as `log_prob`."""
        return self.log_prob(outputs, x)

    def compute_output_shape(self, outputs_shape: Shape, x_shape: Shape) -> Shape:
        """Shape of `log_prob`: one value an image."""
        return tuple(outputs_shape[:-3])

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Log-likelihood of each image, `(...)` float32 nats, summed over pixels."""
        outputs, x = ops.cast(outputs, "float32"), ops.cast(x, "float32")
        return ops.sum(self._pixel_log_prob(outputs, x), axis=(-3, -2, -1))

    def mean(self, outputs: Tensor) -> Tensor:
        """Expected intensities, `(..., H, W, C)` float32 in [0, 1]."""
        return ops.sigmoid(ops.cast(outputs, "float32"))

    def compared(self, outputs: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Expected and true frames, as `ELBO` compares their changes.

        Both `(..., D)` float32, with the distances of intensities.
        """
        size = math.prod(x.shape[-3:])
        shape = (-1, *x.shape[1:-3], size)
        return ops.reshape(self.mean(outputs), shape), ops.reshape(x, shape)

    def _pixel_log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="keras_ddr")
class Bernoulli(Likelihood):
    """The paper's likelihood: cross-entropy from logits on intensities.

    log p(x | l) = x·l − softplus(l). Exact at any logit. On intensities strictly
    between 0 and 1 it isn't a normalised density (see `ContinuousBernoulli`).

    References:
        Section 2, "Generative Model"; outputs are logits.
    """

    def _pixel_log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        return x * outputs - ops.softplus(outputs)


# Below this |logit| the closed forms of ContinuousBernoulli cancel in float32.
_SERIES_BELOW = 0.5


@keras.saving.register_keras_serializable(package="keras_ddr")
class ContinuousBernoulli(Likelihood):
    """The Bernoulli form with the normaliser that a density on [0, 1] needs.

    With logit l the log-normaliser is log(l / tanh(l/2)), and the mean is
    ½ + ½·coth(l/2) − 1/l; both by their series near l = 0 (probability ½).

    References:
        Loaiza-Ganem and Cunningham, "The continuous Bernoulli", 2019.
    """

    def _pixel_log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        return x * outputs - ops.softplus(outputs) + self._log_normalizer(outputs)

    def _log_normalizer(self, logits: Tensor) -> Tensor:
        small = ops.abs(logits) < _SERIES_BELOW
        # The unused branch still gets a gradient, so it must stay finite.
        safe = ops.where(small, ops.ones_like(logits), ops.abs(logits))
        closed = ops.log(safe) - ops.log(ops.tanh(0.5 * safe))
        square = ops.square(ops.where(small, logits, ops.zeros_like(logits)))
        series = math.log(2.0) + square * (
            1 / 12 + square * (-7 / 1440 + square * (31 / 90720))
        )
        return ops.where(small, series, closed)

    def mean(self, outputs: Tensor) -> Tensor:
        """Expected intensities, `(..., H, W, C)` float32 in [0, 1]."""
        logits = ops.cast(outputs, "float32")
        small = ops.abs(logits) < _SERIES_BELOW
        safe = ops.where(small, ops.ones_like(logits), logits)
        closed = 0.5 + 0.5 / ops.tanh(0.5 * safe) - 1.0 / safe
        bounded = ops.where(small, logits, ops.zeros_like(logits))
        square = ops.square(bounded)
        series = 0.5 + bounded * (1 / 12 + square * (-1 / 720 + square / 30240))
        return ops.where(small, series, closed)


@keras.saving.register_keras_serializable(package="keras_ddr")
class Normal(Likelihood):
    """Normal with mean sigmoid(outputs) and one learned standard deviation.

    The global log σ is a weight, softly bounded to (−6, 1), so that σ lies between
    0.0025 and 2.7 intensities. It starts at log 0.1.
    """

    _LOWEST, _HIGHEST = -6.0, 1.0

    def build(self, outputs_shape: Shape, x_shape: Shape) -> None:
        """Create the one weight, log σ before its bound."""
        start = (math.log(0.1) - self._LOWEST) / (self._HIGHEST - self._LOWEST)
        self.raw_log_stddev = self.add_weight(
            name="raw_log_stddev",
            shape=(),
            initializer=keras.initializers.Constant(math.log(start / (1 - start))),
        )
        self.built = True

    @property
    def log_stddev(self) -> Tensor:
        """The bounded log σ, a float32 scalar tensor."""
        share = ops.sigmoid(ops.convert_to_tensor(self.raw_log_stddev))
        return self._LOWEST + (self._HIGHEST - self._LOWEST) * share

    def _pixel_log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        log_stddev = self.log_stddev
        scaled = ops.square(x - ops.sigmoid(outputs)) * ops.exp(-2.0 * log_stddev)
        return -0.5 * (scaled + math.log(2.0 * math.pi)) - log_stddev


class ComponentsNormal(Likelihood):
    """Normal around the frames of principal components, with a standard deviation.

    Outputs are scores `(..., K)`. ‖x − x̂‖² is the distance of the scores, each times
    the standard deviation of its component, and of x from the space of the components,
    so that training makes no frames. In place of x, coordinates will do.

    Args:
        components: `keras_ddr.layers.PrincipalComponents`.
        stddev: σ of a pixel, in intensities. Half of the range weighs errors about as
            much as "bernoulli" does.
        **kwargs: As for `keras.layers.Layer`.
    """

    def __init__(
        self, components: PrincipalComponents, stddev: float = 0.5, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.components = components
        self.stddev = stddev

    def build(self, outputs_shape: Shape, x_shape: Shape) -> None:
        """Create the weights of the components, if nobody did."""
        if not self.components.built:
            self.components.build()
        self.built = True

    def compute_output_shape(self, outputs_shape: Shape, x_shape: Shape) -> Shape:
        """Shape of `log_prob`: one value an image."""
        return tuple(x_shape[:-3])

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Log-likelihood of each image, `(...)` float32 nats, summed over pixels."""
        x = self.components.coordinates(x)
        expected, true = self.compared(outputs, x)
        error = ops.sum(ops.square(true - expected), axis=-1) + ops.square(x[..., -1])
        variance, pixels = self.stddev**2, math.prod(self.components.image_shape)
        return -0.5 * (error / variance + pixels * math.log(2.0 * math.pi * variance))

    def mean(self, outputs: Tensor) -> Tensor:
        """Expected intensities, `(..., H, W, C)` float32 in [0, 1]."""
        return ops.clip(self.components.frames(outputs), 0.0, 1.0)

    def compared(self, outputs: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Expected and true scores `(..., K)`, as intensities differ."""
        scale = ops.convert_to_tensor(self.components.scale)
        true = self.components.coordinates(x)[..., :-1]
        return ops.cast(outputs, "float32") * scale, true


_BY_NAME = {
    "bernoulli": Bernoulli,
    "continuous_bernoulli": ContinuousBernoulli,
    "normal": Normal,
}


def get(
    identifier: str | Likelihood | dict[str, Any] | None,
    components: PrincipalComponents | None = None,
) -> Likelihood:
    """Likelihood from its name, its serialised form or an instance.

    Names are "bernoulli", also where `None`, "continuous_bernoulli" and "normal";
    another one is an `InputError`. With components it is theirs, and any other is one.
    """
    if components is not None:
        if identifier is not None:
            raise InputError(
                'decoder="components" has a likelihood of its own; leave likelihood out'
            )
        return ComponentsNormal(components, name="likelihood")
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, Likelihood):
        return identifier
    identifier = identifier or "bernoulli"
    if identifier in _BY_NAME:
        return _BY_NAME[identifier](name="likelihood")
    raise InputError(
        f"likelihood={identifier!r} is not known; use one of "
        f"{', '.join(_BY_NAME)}, or an instance of keras_ddr.likelihoods.Likelihood"
    )
