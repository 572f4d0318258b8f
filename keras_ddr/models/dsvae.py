"""DSVAE: the disentangled sequential autoencoder, for frames in order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from keras_ddr.arguments import check_choice, check_number, check_seed
from keras_ddr.checks import check_sequence, intensities
from keras_ddr.codes import Codes, with_noise
from keras_ddr.gaussian import DiagonalGaussian
from keras_ddr.layers import DCGANDecoder, DCGANEncoder
from keras_ddr.layers.dcgan import initializer
from keras_ddr.layers.gaussian_head import halves
from keras_ddr.models.base import PublishedModel, per_frame, squared_error
from keras_ddr.presets import Preset
from keras_ddr.programs import CHUNK

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import ImageShape, Tensor

__all__ = ["DSVAE"]

POSTERIORS = ("shared", "full", "factorised")
HISTORIES = ("drawn", "inferred")
_SLOPE = 0.2

_PAPER = {"hidden_units": 512, "prior_history": "inferred"}
_SMALL = {
    "static_dim": 64,
    "dynamic_dim": 8,
    "filters": 24,
    "feature_dim": 64,
    "hidden_units": 128,
}
_LONG = {"batch_size": 128, "learning_rate": 1e-3, "steps": 70_000}
_SHORT = {
    "batch_size": 16,
    "learning_rate": 1e-3,
    "schedule": "cosine",
    "steps": 4_500,
}


@keras.saving.register_keras_serializable(package="keras_ddr")
class DSVAE(PublishedModel):
    """Learns f of a clip and z of each frame from windows of frames in order.

    Recurrent networks read the window, and a recurrent prior moves z. By default it is
    the form that later work compares with; the posteriors of the paper are options.

    The loss of a window is the sum of squared errors of all values + KL of f + KL of z
    summed over the frames. The squared error is -log p(x | f, z) in nats, for a normal
    of variance 1/2 a value, without the constant of (log π)/2 a value.

    Args:
        image_shape: `(H, W, C)` of a frame; H and W multiples of 16.
        static_dim: Dimensions of f.
        dynamic_dim: Dimensions of z.
        frames_per_set: Frames of a window.
        filters: Channels of the largest map of `DCGANEncoder` and `DCGANDecoder`.
        feature_dim: Values by which the recurrent networks see a frame.
        hidden_units: Units of each recurrent network.
        posterior: "shared": one bidirectional LSTM for f and z, and z does not see f;
            "full": f has one of its own and z another, which sees f as well;
            "factorised": z comes from its own frame alone. The latter two are the
            paper's.
        prior_history: The z by which the prior goes on in training: "drawn", its own
            draws, or "inferred", draws of the posterior, as the bound of the paper has
            it. With "drawn" the prior learns no motion: its draws jump.
        seed: Non-negative integer that starts the random draws of training.
        **kwargs: As for `keras.Model`.

    Call returns:
        Dict of tensors: `images` `(B, N, H, W, C)` in (0, 1); `static_mean` and
        `static_log_variance` `(B, static_dim)`; `dynamic_mean`, `dynamic_log_variance`,
        `prior_mean` and `prior_log_variance` `(B, N, dynamic_dim)`.

    References:
        Li and Mandt, "Disentangled Sequential Autoencoder", 2018; the networks are
        those of Bai et al., "Contrastively Disentangled Sequential Variational
        Autoencoder", 2021.
    """

    presets = {
        "small": Preset(
            "For two CPU cores: about thirty minutes of training.",
            _SMALL,
            training=_SHORT,
        ),
        "published": Preset(
            "The sizes and settings of later work that compares with it.",
            training=_LONG,
        ),
        "full": Preset(
            "As published, with the paper's full posterior and prior, and its 512 "
            "units, rate and batch.",
            {**_PAPER, "posterior": "full"},
            training={**_LONG, "batch_size": 25, "learning_rate": 2e-4},
        ),
    }
    frame_order = "ordered"
    loss_parts = ("reconstruction_loss", "kl_static", "kl_dynamic")
    _sizes = (
        "static_dim",
        "dynamic_dim",
        "frames_per_set",
        "filters",
        "feature_dim",
        "hidden_units",
    )
    _arguments = (*_sizes, "posterior", "prior_history")

    def __init__(
        self,
        image_shape: ImageShape = (64, 64, 3),
        static_dim: int = 256,
        dynamic_dim: int = 32,
        frames_per_set: int = 8,
        filters: int = 64,
        feature_dim: int = 128,
        hidden_units: int = 256,
        posterior: str = "shared",
        prior_history: str = "drawn",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        check_choice(POSTERIORS, posterior=posterior)
        check_choice(HISTORIES, prior_history=prior_history)
        given = locals()
        sizes = {name: given[name] for name in self._sizes}
        super().__init__(image_shape, seed, sizes, **kwargs)
        self.posterior = posterior
        self.prior_history = prior_history
        self._make_layers()
        self._finish()

    def _make_layers(self) -> None:
        common = {"filters": self.filters, "dtype": self.dtype_policy}
        self.frame_encoder = DCGANEncoder(
            self.feature_dim, name="frame_encoder", **common
        )
        self.sequence_encoder = self._both_ways("sequence_encoder")
        self.static_head = self._head(self.static_dim, "static_head")
        if self.posterior == "full":
            self.dynamic_encoder = self._both_ways("dynamic_encoder")
        if self.posterior == "factorised":
            self.dynamic_hidden = keras.layers.Dense(
                self.hidden_units,
                kernel_initializer=initializer("uniform"),
                dtype=self.dtype_policy,
                name="dynamic_hidden",
            )
        else:
            self.dynamic_recurrence = keras.layers.SimpleRNN(
                self.hidden_units,
                return_sequences=True,
                dtype=self.dtype_policy,
                name="dynamic_recurrence",
                **self._recurrent(),
            )
        self.dynamic_head = self._head(self.dynamic_dim, "dynamic_head")
        number = 2 if self.posterior == "shared" else 1
        self.prior_cells = [
            keras.layers.LSTMCell(
                self.hidden_units,
                unit_forget_bias=False,
                dtype="float32",
                name=f"prior_cell_{k + 1}",
                **self._recurrent(),
            )
            for k in range(number)
        ]
        self.prior_head = self._head(self.dynamic_dim, "prior_head")
        self.frame_decoder = DCGANDecoder(
            self.image_shape, name="frame_decoder", **common
        )

    def _recurrent(self) -> dict[str, Any]:
        """PyTorch's initial kernels of recurrent networks."""
        limit = 1 / math.sqrt(self.hidden_units)
        return {
            f"{kind}_initializer": keras.initializers.RandomUniform(-limit, limit)
            for kind in ("kernel", "recurrent")
        }

    def _both_ways(self, name: str) -> keras.layers.Bidirectional:
        """A bidirectional LSTM with outputs `(B, N, 2 hidden_units)`."""
        layer = keras.layers.LSTM(
            self.hidden_units,
            return_sequences=True,
            unit_forget_bias=False,
            dtype=self.dtype_policy,
            **self._recurrent(),
        )
        return keras.layers.Bidirectional(layer, dtype=self.dtype_policy, name=name)

    def _head(self, dim: int, name: str) -> keras.layers.Dense:
        kernel = initializer("uniform")
        return keras.layers.Dense(
            2 * dim, kernel_initializer=kernel, dtype="float32", name=name
        )

    # --- the loss -------------------------------------------------------------------

    def forward_pass(self, frames: Tensor, training: bool | None) -> dict[str, Tensor]:
        """See `PublishedModel`; the prior has its own noise, drawn for all frames."""
        features = per_frame(self.frame_encoder, frames, training=bool(training))
        summary = self.sequence_encoder(features)
        static_mean, static_log_variance = self._static(summary)
        static = self.draw(static_mean, static_log_variance, training)
        dynamic_mean, dynamic_log_variance = self._dynamic(summary, features, static)
        dynamic = self.draw(dynamic_mean, dynamic_log_variance, training)
        zeros = ops.zeros_like(dynamic)
        noise = self.draw(zeros, zeros, training)
        prior_mean, prior_log_variance = self._prior(noise, dynamic)
        number = frames.shape[1]
        codes = ops.concatenate(
            [dynamic, ops.repeat(static[:, None], number, axis=1)], axis=-1
        )
        return {
            "images": per_frame(self.frame_decoder, codes, training=bool(training)),
            "static_mean": static_mean,
            "static_log_variance": static_log_variance,
            "dynamic_mean": dynamic_mean,
            "dynamic_log_variance": dynamic_log_variance,
            "prior_mean": prior_mean,
            "prior_log_variance": prior_log_variance,
        }

    def _static(self, summary: Tensor) -> tuple[Tensor, Tensor]:
        """q(f | x) of what the LSTM says of a window `(B, N, 2 hidden_units)`."""
        units = self.hidden_units
        ends = [summary[:, -1, :units], summary[:, 0, units:]]  # of both ways
        mean, log_variance = halves(self.static_head(ops.concatenate(ends, axis=-1)))
        if self.posterior != "shared":
            return mean, log_variance
        # Also the log-variance: the published code has it so.
        return ops.leaky_relu(mean, _SLOPE), ops.leaky_relu(log_variance, _SLOPE)

    def _dynamic(
        self, summary: Tensor, features: Tensor, static: Tensor
    ) -> tuple[Tensor, Tensor]:
        """q(z | x), or q(z | f, x), of each frame, `(B, N, dynamic_dim)` each."""
        if self.posterior == "factorised":
            hidden = ops.leaky_relu(self.dynamic_hidden(features), _SLOPE)
            return halves(self.dynamic_head(hidden))
        if self.posterior == "full":
            repeated = ops.repeat(static[:, None], features.shape[1], axis=1)
            repeated = ops.cast(repeated, features.dtype)
            summary = ops.concatenate([features, repeated], axis=-1)
            summary = self.dynamic_encoder(summary)
        return halves(self.dynamic_head(self.dynamic_recurrence(summary)))

    def _prior(self, noise: Tensor, dynamic: Tensor) -> tuple[Tensor, Tensor]:
        """p(z_t | what was before) of each frame, `(B, N, dynamic_dim)` each."""
        z = ops.zeros_like(noise[:, 0])
        states = self._start(ops.repeat(z[:, :1], self.hidden_units, axis=-1))
        found = []
        for t in range(noise.shape[1]):
            mean, log_variance, *states = self._prior_step(z, *states)
            found.append((mean, log_variance))
            z = dynamic[:, t]
            if self.prior_history == "drawn":
                z = DiagonalGaussian(mean, log_variance).sample(noise[:, t])
        means, log_variances = zip(*found, strict=True)
        return ops.stack(means, axis=1), ops.stack(log_variances, axis=1)

    def _start(self, zeros: Any) -> list[Any]:
        """States of the prior before the first frame."""
        return [zeros] * (2 * len(self.prior_cells))

    def _prior_step(self, z: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Mean and log-variance of the next z, and the states that go on."""
        going_on: list[Tensor] = []
        for k, cell in enumerate(self.prior_cells):
            z, pair = cell(z, list(states[2 * k : 2 * k + 2]))
            going_on += pair
        return *halves(self.prior_head(z)), *going_on

    def parts(
        self, frames: Tensor, y: Tensor | None, outputs: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """See `PublishedModel`; the two KL in nats."""
        static, dynamic, prior = (
            DiagonalGaussian(outputs[f"{name}_mean"], outputs[f"{name}_log_variance"])
            for name in ("static", "dynamic", "prior")
        )
        return {
            "reconstruction_loss": squared_error(frames, outputs["images"]),
            "kl_static": static.kl_divergence(),
            "kl_dynamic": ops.sum(dynamic.kl_divergence(prior), axis=1),
        }

    # --- codes ----------------------------------------------------------------------

    def encode(  # type: ignore[override]
        self, frames: ArrayLike, *, seed: int = 0, noise: float = 0.0
    ) -> Codes:
        """Find f of a sequence and z of each of its frames.

        The recurrent networks read windows of the length that they have learned, one
        from each frame on. f has the moments of the equal mixture over all windows; z
        comes, at the mean of f, from the window in whose middle the frame is.

        Args:
            frames: As for `SequenceModel`.
            seed: Of the noise.
            noise: As for `SequenceModel`.
        """
        check_seed(seed=seed)
        check_number(noise=noise)
        number = self.frames_per_set
        frames = check_sequence(frames, self.image_shape, number)
        length = len(frames)
        features = np.concatenate(
            [
                self._programs("features", self.frame_encoder, [intensities(part)])
                for part in np.split(frames, range(CHUNK, length, CHUNK))
            ]
        )
        starts = np.arange(length - number + 1)
        windows = features[starts[:, None] + np.arange(number)]
        found = self._programs("static", self._static_of, [windows])
        static = DiagonalGaussian(*found).mixture()
        repeated = np.repeat(static.mean[None], len(windows), axis=0)
        found = self._programs("dynamic", self._dynamic_of, [windows, repeated])
        chosen = np.clip(np.arange(length) - number // 2, 0, starts[-1])
        places = np.arange(length) - chosen
        dynamic = DiagonalGaussian(*(part[chosen, places] for part in found))
        return Codes(static, with_noise(dynamic, frames, noise, seed))

    def _static_of(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        return self._static(self.sequence_encoder(windows))

    def _dynamic_of(self, windows: Tensor, static: Tensor) -> tuple[Tensor, Tensor]:
        return self._dynamic(self.sequence_encoder(windows), windows, static)

    def decode_pairs(
        self, static: NDArray[np.float32], dynamic: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Images `(T, H, W, C)` of T pairs of f and z, see `SequenceModel`."""
        codes = np.concatenate([dynamic, static], axis=-1)
        return self._programs("images", self.frame_decoder, [codes])

    def draw_dynamic(
        self, static: NDArray[np.float32], generator: np.random.Generator
    ) -> NDArray[np.float32]:
        """As `SequenceModel.draw_dynamic`: z moves as the prior has learned.

        It has learned paths of `frames_per_set` frames, and goes on by itself.
        """
        shape = (*static.shape[:-1], self.dynamic_dim)
        noise = generator.standard_normal(shape, "float32")
        z = np.zeros((math.prod(shape[1:-1]), self.dynamic_dim), "float32")
        states = self._start(np.zeros((len(z), self.hidden_units), "float32"))
        path = []
        for drawn in noise.reshape(len(noise), *z.shape):
            mean, log_variance, *states = self._programs(
                "prior", self._prior_step, [z, *states]
            )
            z = DiagonalGaussian(mean, log_variance).sample(drawn)
            path.append(z)
        return np.stack(path).reshape(shape)
