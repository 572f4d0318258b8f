"""FHVAE: a table of sequence means, and a term that tells sequences apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from keras_ddr import checks
from keras_ddr.arguments import check_choice, check_number, check_seed
from keras_ddr.codes import Codes, with_noise
from keras_ddr.errors import InputError
from keras_ddr.gaussian import DiagonalGaussian
from keras_ddr.host import as_array
from keras_ddr.layers import DCGANDecoder, DCGANEncoder, GaussianHead
from keras_ddr.models.base import PublishedModel, per_frame, squared_error
from keras_ddr.presets import Preset
from keras_ddr.programs import CHUNK

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import ImageShape, Tensor

__all__ = ["FHVAE"]

_VARIANCE = 0.25  # of the sequence latent of a frame around that of its sequence
_TABLES = ("sequences", "persons")


@keras.saving.register_keras_serializable(package="keras_ddr")
class FHVAE(PublishedModel):
    """The factorized hierarchical variational autoencoder, with a frame as a segment.

    Each frame has two latents: one that stays close to a mean μ of its sequence, z1 ~
    N(μ, ¼), and one that does not, z2 ~ N(0, 1), as the reference code names them. The
    means of all training sequences are the rows of a table that is trained with the
    networks; a discriminative term asks which row a frame belongs to. f is μ, z is z2.

    A sequence that is not in the table has the μ that is most probable for the means
    of q(z1 | x) of its N frames, Σ / (N + ¼); its posterior has the variance
    ¼ / (N + ¼). Validation uses it, with the frames of each set, and leaves out the
    discriminative term, for which there is no row.

    Args:
        image_shape: `(H, W, C)` of a frame; H and W multiples of 16.
        table_size: Rows of the table: sequences or persons of the split train. `ddr
            fit` and `Run.create` take it from the store.
        static_dim: Dimensions of z1 and μ.
        dynamic_dim: Dimensions of z2.
        frames_per_set: Frames of a sequence in a training set; each is a segment.
        filters: Channels of the largest maps, see `keras_ddr.layers.DCGANEncoder`.
        hidden_units: Values of the dense layer in front of each posterior.
        alpha: Weight of the discriminative term; 0 for none.
        table: What has a row: "sequences", or "persons".
        seed: Non-negative integer that starts the draws of training.
        **kwargs: As for `keras.Model`, and `stddev`: fixed standard deviation of an
            intensity in p(x | z1, z2), default .1.

    Call arguments:
        frames: `(B, N, H, W, C)`; integers 0 to 255, or floats in [0, 1].

    Call returns:
        Dict of tensors: `images` `(B, N, H, W, C)`; `sequence_mean`,
        `sequence_log_variance` `(B, N, static_dim)` of q(z1 | x); `dynamic_mean`,
        `dynamic_log_variance` `(B, N, dynamic_dim)` of q(z2 | x, z1).

    Raises:
        InputError: An argument that cannot be used.

    References:
        Hsu, Zhang and Glass, "Unsupervised Learning of Disentangled and Interpretable
        Representations from Sequential Data", 2017.
    """

    loss_parts = (
        "reconstruction_loss",
        "kl_sequence",
        "kl_dynamic",
        "mean_loss",
        "discriminative_loss",
    )
    _arguments = (
        "table_size",
        "static_dim",
        "dynamic_dim",
        "frames_per_set",
        "filters",
        "hidden_units",
        "alpha",
        "table",
        "stddev",
    )
    presets = {
        "small": Preset(
            "For two CPU cores: about thirty minutes of training.",
            {
                "static_dim": 16,
                "dynamic_dim": 16,
                "frames_per_set": 4,
                "filters": 24,
                "hidden_units": 128,
            },
            training={
                "batch_size": 20,
                "learning_rate": 2e-3,
                "schedule": "cosine",
                "steps": 6_000,
            },
        ),
        "published": Preset(
            "The sizes, batch and rate of the reference; 256 frames a step.",
            training={
                "batch_size": 256,
                "learning_rate": 1e-3,
                "beta_1": 0.95,
                "steps": 1_000_000,
            },
        ),
    }

    def __init__(
        self,
        image_shape: ImageShape = (64, 64, 3),
        table_size: int = 2,
        static_dim: int = 32,
        dynamic_dim: int = 32,
        frames_per_set: int = 1,
        filters: int = 64,
        hidden_units: int = 256,
        alpha: float = 10.0,
        table: str = "sequences",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        given = locals()
        sizes = {name: given[name] for name in self._arguments[:6]}
        stddev = kwargs.pop("stddev", 0.1)
        check_number(alpha=alpha)
        check_number(above=True, stddev=stddev)
        check_choice(_TABLES, table=table)
        super().__init__(image_shape, seed, sizes, **kwargs)
        self.alpha, self.stddev, self.table = float(alpha), float(stddev), table
        self.part_weights = {"discriminative_loss": self.alpha}
        policy = {"dtype": self.dtype_policy}
        self.encoder = DCGANEncoder(128, filters, name="encoder", **policy)
        hidden = {"units": hidden_units, "activation": "tanh", **policy}
        self.sequence_hidden = keras.layers.Dense(name="sequence_hidden", **hidden)
        self.sequence_head = GaussianHead(static_dim, name="sequence_head")
        self.dynamic_hidden = keras.layers.Dense(name="dynamic_hidden", **hidden)
        self.dynamic_head = GaussianHead(dynamic_dim, name="dynamic_head")
        self.decoder = DCGANDecoder(self.image_shape, filters, name="decoder", **policy)
        self.means = self.add_weight(
            shape=(self.table_size, self.static_dim),
            initializer=keras.initializers.RandomNormal(0.0, 1.0),
            dtype="float32",
            name="means",
        )
        self._finish()

    # --- training -------------------------------------------------------------------

    def forward_pass(self, frames: Tensor, training: bool | None) -> dict[str, Tensor]:
        """Posteriors of both latents of each frame, and its image."""
        features = per_frame(self.encoder, frames, training=training)
        mean, log_variance = self._sequence(features)
        sequence = self.draw(mean, log_variance, training)
        dynamic_mean, dynamic_log_variance = self._dynamic(features, sequence)
        dynamic = self.draw(dynamic_mean, dynamic_log_variance, training)
        codes = ops.concatenate([sequence, dynamic], axis=-1)
        return {
            "images": per_frame(self.decoder, codes, training=training),
            "sequence_mean": mean,
            "sequence_log_variance": log_variance,
            "dynamic_mean": dynamic_mean,
            "dynamic_log_variance": dynamic_log_variance,
        }

    def _sequence(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """q(z1 | x) of features `(…, 128)`."""
        return self.sequence_head(self.sequence_hidden(features))

    def _dynamic(self, features: Tensor, sequence: Tensor) -> tuple[Tensor, Tensor]:
        """q(z2 | x, z1) of features and z1 `(…, static_dim)`."""
        joined = [ops.cast(features, "float32"), sequence]
        return self.dynamic_head(self.dynamic_hidden(ops.concatenate(joined, axis=-1)))

    def parts(
        self, frames: Tensor, y: Tensor | None, outputs: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Parts of the loss of each set, in nats summed over its frames.

        `y` are rows of the table and the frames of each sequence `(B, 2)`, as
        `FrameSets` gives them; a row of −1, or no `y`, stands for a sequence that is
        not in the table.
        """
        number, values = frames.shape[1], math.prod(frames.shape[1:])
        error = squared_error(frames, outputs["images"]) / (2 * self.stddev**2)
        scale = values * (math.log(self.stddev) + 0.5 * math.log(2 * math.pi))
        means = ops.cast(outputs["sequence_mean"], "float32")
        table = ops.convert_to_tensor(self.means)
        # Closed form: the most probable mean of these frames.
        mean, length = ops.sum(means, axis=1) / (number + _VARIANCE), float(number)
        told_apart = ops.zeros_like(mean[:, 0])
        if y is not None:
            y = ops.cast(y, "int32")
            known, row = y[:, 0] >= 0, ops.maximum(y[:, 0], 0)
            mean = ops.where(known[:, None], ops.take(table, row, axis=0), mean)
            length = ops.where(known, ops.cast(y[:, 1], "float32"), length)
            told_apart = ops.where(known, _told_apart(means, table, row), 0.0)
        prior = DiagonalGaussian(
            mean[:, None], ops.full_like(mean[:, None], math.log(_VARIANCE))
        )
        standard = DiagonalGaussian(ops.zeros_like(mean), ops.zeros_like(mean))
        sequence, dynamic = (
            DiagonalGaussian(outputs[f"{k}_mean"], outputs[f"{k}_log_variance"])
            for k in ("sequence", "dynamic")
        )
        return {
            "reconstruction_loss": error + scale,
            "kl_sequence": ops.sum(sequence.kl_divergence(prior), axis=1),
            "kl_dynamic": ops.sum(dynamic.kl_divergence(), axis=1),
            "mean_loss": -number * standard.log_prob(mean) / length,
            "discriminative_loss": told_apart,
        }

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """As `SequenceModel.fit`; with an array of sets `y` are rows and frames.

        Args:
            x: A `FrameSets`, which knows them, or an array of sets.
            y: For an array: integers `(S, 2)`, the row of the table that each set
                belongs to, and the number of frames of its sequence.
            **kwargs: As for `SequenceModel.fit`.
        """
        if y is None and hasattr(x, "shape"):
            raise InputError(
                "y is missing; give integers (sets, 2): the row of the table that each "
                "set belongs to, and the number of frames of its sequence (a FrameSets "
                "knows them)"
            )
        return super().fit(x, y, **kwargs)

    def _takes_labels(self) -> bool:
        return True

    def _checked(self, x: Any, y: Any, argument: str) -> Any:
        """As `SequenceModel._checked`, with the rows of the table."""
        if y is not None:
            self._check_rows(as_array(y))
        return super()._checked(x, y, argument)

    def _check_rows(self, y: NDArray[Any]) -> None:
        whole = np.issubdtype(y.dtype, np.integer)
        if not whole or y.ndim != 2 or y.shape[1] != 2:
            raise InputError(
                f"y is of {y.dtype} and has shape {y.shape}; give integers (sets, 2): "
                "the row of the table, and the frames of the sequence"
            )
        if len(y) and (y[:, 0].max() >= self.table_size or y[:, 1].min() < 1):
            raise InputError(
                f"y has rows up to {y[:, 0].max()} and sequences of at least "
                f"{y[:, 1].min()} frames; the table has {self.table_size} rows, and a "
                "sequence has at least one frame"
            )

    # --- use ------------------------------------------------------------------------

    def encode(  # type: ignore[override]
        self, frames: ArrayLike, *, seed: int = 0, noise: float = 0.0
    ) -> Codes:
        """Find f of a sequence and z of each of its frames.

        f is the closed form over all frames, whether the table has a row for the
        sequence or not, and z the mean of q(z2 | x, z1) at the mean of z1.

        Args:
            frames: As for `SequenceModel`.
            seed: Of the noise.
            noise: As for `SequenceModel`.
        """
        check_seed(seed=seed)
        check_number(noise=noise)
        frames = checks.check_sequence(frames, self.image_shape, self.frames_per_set)
        chunks = [
            self._programs("codes", self._codes, [checks.intensities(part)])
            for part in np.split(frames, range(CHUNK, len(frames), CHUNK))
        ]
        means, *found = (np.concatenate(part) for part in zip(*chunks, strict=True))
        divisor = len(means) + _VARIANCE
        static = DiagonalGaussian(
            means.sum(axis=0) / np.float32(divisor),
            np.full(self.static_dim, math.log(_VARIANCE / divisor), "float32"),
        )
        dynamic = DiagonalGaussian(*found)
        return Codes(static, with_noise(dynamic, frames, noise, seed))

    def _codes(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Means of z1, and means and log-variances of z2, of frames `(T, H, W, C)`."""
        features = self.encoder(frames)
        mean, _ = self._sequence(features)
        return mean, *self._dynamic(features, mean)

    def decode_pairs(
        self, static: NDArray[np.float32], dynamic: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Images `(T, H, W, C)` of T pairs of f and z, see `SequenceModel`."""
        codes = np.concatenate([static, dynamic], axis=1)
        return self._programs("decoder", self.decoder, [codes])


def _told_apart(means: Tensor, table: Tensor, row: Tensor) -> Tensor:
    """−log softmax over the rows, by the distance of z1, of the true one: `(B,)`."""
    # ‖m‖² is the same for all rows, and falls out.
    scores = 2 * ops.matmul(means, ops.transpose(table))
    scores -= ops.sum(ops.square(table), axis=1)
    scores = ops.log_softmax(scores / (2 * _VARIANCE), axis=-1)
    chosen = ops.one_hot(row, table.shape[0], dtype="float32")
    return -ops.sum(scores * chosen[:, None], axis=(1, 2))
