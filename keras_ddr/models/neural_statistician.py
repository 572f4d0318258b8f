"""The neural statistician: f is pooled over single frames, and decides on z."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_ddr.arguments import check_image_shape, check_whole
from keras_ddr.gaussian import DiagonalGaussian
from keras_ddr.likelihoods import Likelihood
from keras_ddr.model import DDR
from keras_ddr.models.statistician_layers import (
    ConditionalGaussian,
    StatisticianDecoder,
    StatisticNetwork,
    frame_encoder,
)
from keras_ddr.objective import ELBO
from keras_ddr.presets import Preset

if TYPE_CHECKING:
    from keras_ddr.typing import ImageShape, Shape, Tensor

_OF_DDR = set(inspect.signature(DDR.__init__).parameters)

__all__ = ["AnnealedELBO", "NeuralStatistician", "PixelNormal"]


@keras.saving.register_keras_serializable(package="keras_ddr")
class PixelNormal(Likelihood):
    """Normal with mean sigmoid(outputs) and a learned variance for each value.

    The log-variances are a weight `(H, W, C)`, drawn from N(0, 1) at first and clipped
    to −4 to 3: a standard deviation of 0.14 to 4.5 intensities.
    """

    def build(self, outputs_shape: Shape, x_shape: Shape) -> None:
        """Create the log-variances before they are clipped."""
        self.log_variance = self.add_weight(
            name="log_variance",
            shape=tuple(x_shape[-3:]),
            initializer=keras.initializers.RandomNormal(0.0, 1.0),
        )
        self.built = True

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Log-likelihood of each image, `(...)` float32 nats, summed over pixels."""
        log_variance = ops.clip(ops.convert_to_tensor(self.log_variance), -4.0, 3.0)
        leading = ops.shape(x)[:-3]
        flat = (*leading, -1)
        expected = DiagonalGaussian(
            ops.reshape(self.mean(outputs), flat), ops.reshape(log_variance, (-1,))
        )
        return expected.log_prob(ops.reshape(ops.cast(x, "float32"), flat))


@keras.saving.register_keras_serializable(package="keras_ddr")
@dataclasses.dataclass(frozen=True)
class AnnealedELBO(ELBO):
    """An ELBO that favours reconstructions at first.

    Training descends −w log p(x | f, z) + KL / w with w = 1 + a; a begins with 1 and
    halves again and again. The history and validations show the ELBO.

    Args:
        halve_every: Training steps after which a halves: an epoch of the reference.

    References:
        Edwards and Storkey, "Towards a Neural Statistician", 2017.
    """

    halve_every: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(halve_every=self.halve_every)
        object.__setattr__(self, "halve_every", int(self.halve_every))

    @property
    def counts_steps(self) -> bool:
        """Whether the loss depends on the number of the training step."""
        return True

    def factors(self, step: Tensor | None) -> tuple[Any, Any]:
        """Factors on the reconstruction and on the KL terms, see `ELBO`."""
        reconstruction, kl_weight = super().factors(step)
        if step is None:
            return reconstruction, kl_weight
        w = 1.0 + ops.power(0.5, ops.floor((step - 1.0) / self.halve_every))
        return reconstruction * w, kl_weight / w


@keras.saving.register_keras_serializable(package="keras_ddr")
class NeuralStatistician(DDR):
    """The neural statistician, with the network for faces.

    It has the form of `DDR` with other parts: f, the paper's context c, is found from
    the mean of the features of single frames; q(z | f, x), p(z | f) and the decoder are
    given f; every value of a frame has a learned variance. Batch normalisation stands
    behind most layers; a last one, of a single channel, over all outputs of each
    Gaussian.

    Args:
        image_shape: `(H, W, C)` of a frame; H and W multiples of 16.
        static_dim: Dimensions of f.
        dynamic_dim: Dimensions of z.
        frames_per_set: N, frames of a training set.
        filters: Channels of the largest maps; each of the four groups of convolutions
            has twice those of the one before.
        hidden_units: Units of all dense layers.
        seed: Non-negative integer that starts the random draws of f and z.
        **kwargs: As for `keras.Model`.

    Raises:
        InputError: An argument that cannot be used.

    References:
        Edwards and Storkey, "Towards a Neural Statistician", 2017; the faces of the
        authors' experiments.
    """

    objective_class = AnnealedELBO
    presets = {
        "small": Preset(
            "For two CPU cores: about thirty minutes of training.",
            {"static_dim": 64, "filters": 8, "hidden_units": 256},
            {"halve_every": 50},
            {
                "batch_size": 16,
                "learning_rate": 5e-3,
                "schedule": "cosine",
                "clipnorm": 1e3,
                "steps": 5_000,
            },
        ),
        "published": Preset(
            "The network for faces of 64x64; 300 epochs of 50 steps.",
            objective={"halve_every": 50},
            training={
                "batch_size": 64,
                "learning_rate": 1e-3,
                "clipnorm": 1e3,
                "steps": 15_000,
            },
        ),
    }

    def __init__(
        self,
        image_shape: ImageShape = (64, 64, 3),
        static_dim: int = 512,
        dynamic_dim: int = 16,
        frames_per_set: int = 5,
        filters: int = 32,
        hidden_units: int = 1000,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        image_shape = check_image_shape(image_shape)
        check_whole(dynamic_dim=dynamic_dim, static_dim=static_dim)
        check_whole(filters=filters, hidden_units=hidden_units)
        policy = keras.dtype_policies.get(kwargs.get("dtype"))
        units = hidden_units, policy
        super().__init__(
            image_shape,
            static_dim,
            dynamic_dim,
            frames_per_set,
            filters,
            hidden_units=hidden_units,
            aggregation="pooled",
            likelihood=PixelNormal(name="likelihood"),
            frame_encoder=frame_encoder(filters, policy),
            static_encoder=StatisticNetwork(static_dim, *units),
            dynamic_encoder=ConditionalGaussian(
                dynamic_dim, hidden_units, "dynamic_encoder", policy
            ),
            prior=ConditionalGaussian(dynamic_dim, hidden_units, "prior", policy),
            frame_decoder=StatisticianDecoder(image_shape, filters, *units),
            seed=seed,
            **kwargs,
        )
        self._own = []  # they follow from the other arguments

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the same model again, and which parts are frozen."""
        config = super().get_config()
        own = inspect.signature(type(self).__init__).parameters
        return {k: v for k, v in config.items() if k in own or k not in _OF_DDR}
