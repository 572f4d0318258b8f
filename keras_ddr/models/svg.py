"""Stochastic video generation: frames predicted one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from keras_ddr.arguments import check_choice, check_number, check_seed, check_whole
from keras_ddr.checks import check_sequence, intensities
from keras_ddr.errors import InputError
from keras_ddr.gaussian import DiagonalGaussian
from keras_ddr.layers import DCGANDecoder, DCGANEncoder
from keras_ddr.layers.dcgan import initializer
from keras_ddr.layers.gaussian_head import Part
from keras_ddr.models.base import PublishedModel, per_frame, squared_error
from keras_ddr.presets import Preset

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import ImageShape, Shape, Tensor

__all__ = ["SVG"]


@keras.saving.register_keras_serializable(package="keras_ddr")
class Recurrent(Part):
    """A dense layer, LSTMs one upon the other, and a dense layer for each time.

    Args:
        outputs: Values of an output.
        units: Of the first dense layer and of each LSTM.
        layers: Number of LSTMs.
        activation: Of the outputs.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        inputs: `(B, T, D)`.
        states: As they were returned, to go on from there; zeros where `None`.

    Call returns:
        Outputs `(B, T, outputs)` float32, and the states after the last time
        `(B, layers, 2, units)`.
    """

    _arguments = ("outputs", "units", "layers", "activation")

    def __init__(
        self,
        outputs: int,
        units: int = 256,
        layers: int = 1,
        activation: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.outputs, self.units = outputs, units
        self.layers, self.activation = layers, activation
        self.first = keras.layers.Dense(
            units,
            kernel_initializer=initializer("normal"),
            dtype=self.dtype_policy,
            name="first",
        )
        self.lstms = [self._lstm(f"lstm_{k + 1}") for k in range(layers)]
        self.last = keras.layers.Dense(
            outputs,
            activation,
            kernel_initializer=initializer("normal"),
            dtype="float32",
            name="last",
        )

    def _lstm(self, name: str) -> keras.layers.LSTM:
        """One with PyTorch's initial weights."""
        limit = self.units**-0.5
        uniform = keras.initializers.RandomUniform
        return keras.layers.LSTM(
            self.units,
            kernel_initializer=uniform(-limit, limit),
            recurrent_initializer=uniform(-limit, limit),
            unit_forget_bias=False,
            return_sequences=True,
            return_state=True,
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, inputs_shape: Shape, states_shape: Any = None) -> None:
        """Create all weights."""
        self.first.build(inputs_shape)
        for lstm in self.lstms:
            lstm.build((*inputs_shape[:-1], self.units))
        self.last.build((*inputs_shape[:-1], self.units))
        self.built = True

    def call(
        self, inputs: Tensor, states: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the outputs and the states."""
        x, after = self.first(inputs), []
        for k, lstm in enumerate(self.lstms):
            before = None if states is None else [states[:, k, 0], states[:, k, 1]]
            x, *pair = lstm(x, initial_state=before)
            after.append(ops.stack(pair, axis=1))
        return self.last(x), ops.cast(ops.stack(after, axis=1), "float32")

    def compute_output_shape(
        self, inputs_shape: Shape, states_shape: Any = None
    ) -> tuple[Shape, Shape]:
        """Shapes of the outputs and the states."""
        outputs = (*inputs_shape[:-1], self.outputs)
        return outputs, (inputs_shape[0], self.layers, 2, self.units)


@keras.saving.register_keras_serializable(package="keras_ddr")
class SVG(PublishedModel):
    """Predicts frames from those before, and draws what cannot be known.

    A frame is decoded from the vector that LSTMs predict from the vector of the frame
    before and from z of this frame; the maps of the last frame that was given go into
    the decoder as well. In training z comes from a posterior that sees the frame
    itself; in prediction from the prior, which sees the frames before.

    The loss of a sequence is the squared error of all its frames but the first, summed
    over their values, plus `beta` · H · W · C times the KL of z, summed over frames
    and dimensions. This is H · W · C times the loss of the paper: mean squared error
    plus `beta` times the KL.

    Args:
        image_shape: `(H, W, C)` of a frame; H and W multiples of 16.
        past: Frames that are given in training, at least 1.
        future: Frames that are predicted from them, at least 1.
        dynamic_dim: Dimensions of z.
        code_dim: Values of the vector of a frame.
        filters: Channels of the first convolution.
        hidden_units: Units of each LSTM.
        prior: "learned" is SVG-LP: p(z) of a frame given those before it; "fixed" is
            SVG-FP: a standard normal.
        beta: Weight of the KL beside the mean squared error.
        seed: Non-negative integer that starts the random draws of training.
        **kwargs: As for `keras.Model`.

    References:
        Denton and Fergus, "Stochastic Video Generation with a Learned Prior", 2018.
    """

    _arguments = (
        *("past", "future", "dynamic_dim", "code_dim", "filters", "hidden_units"),
        *("prior", "beta"),
    )
    loss_parts = ("prediction_loss", "kl_dynamic")
    frame_order = "ordered"
    static_dim = 0
    lacks_codes = "predicts frames and has no static code: see ddr plot prediction"
    presets = {
        "small": Preset(
            "For two CPU cores: about thirty minutes of training.",
            {"filters": 16, "hidden_units": 128},
            training={
                "batch_size": 16,
                "learning_rate": 2e-3,
                "schedule": "cosine",
                "steps": 2_500,
            },
        ),
        "published": Preset(
            "The sizes and the training of the paper's authors, for a GPU.",
            training={
                "batch_size": 100,
                "learning_rate": 2e-3,
                "schedule": "constant",
                "steps": 180_000,
            },
        ),
    }

    past: int
    future: int
    code_dim: int
    filters: int
    hidden_units: int

    def __init__(
        self,
        image_shape: ImageShape = (64, 64, 1),
        past: int = 5,
        future: int = 10,
        dynamic_dim: int = 10,
        code_dim: int = 128,
        filters: int = 64,
        hidden_units: int = 256,
        prior: str = "learned",
        beta: float = 1e-4,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        check_choice(("learned", "fixed"), prior=prior)
        check_number(beta=beta)
        given = locals()
        sizes = {name: given[name] for name in self._arguments[:6]}
        super().__init__(image_shape, seed, sizes, **kwargs)
        self.prior, self.beta = prior, float(beta)
        self.part_weights = {"kl_dynamic": self.beta * float(np.prod(image_shape))}
        network: dict[str, Any] = {"initializer": "normal", "dtype": self.dtype_policy}
        network |= {"filters": self.filters, "skips": True}
        self.encoder = DCGANEncoder(self.code_dim, name="encoder", **network)
        self.decoder = DCGANDecoder(self.image_shape, name="decoder", **network)
        self.predictor = self._recurrent("predictor", self.code_dim, 2, "tanh")
        self.posterior = self._recurrent("posterior", 2 * self.dynamic_dim)
        if prior == "learned":
            self.learned_prior = self._recurrent("prior", 2 * self.dynamic_dim)
        self._finish()

    def _recurrent(self, name: str, outputs: int, *arguments: Any) -> Recurrent:
        dtype = self.dtype_policy
        units = self.hidden_units
        return Recurrent(outputs, units, *arguments, dtype=dtype, name=name)

    @property
    def set_size(self) -> int:
        """Frames of a training set: those given and those predicted."""
        return self.past + self.future

    # --- training -------------------------------------------------------------------

    def forward_pass(self, frames: Tensor, training: bool | None) -> dict[str, Tensor]:
        """Images of all frames but the first, with the Gaussians of z of each.

        Without training and evaluation z is the posterior mean.
        """
        codes, maps = per_frame(self.encoder, frames, training=training)
        before, after = codes[:, :-1], codes[:, 1:]
        posterior = _gaussian(self.posterior(after)[0])
        outputs = {"mean": posterior.mean, "log_variance": posterior.log_variance}
        z = self.draw(posterior.mean, posterior.log_variance, training)
        if self.prior == "learned":
            prior = _gaussian(self.learned_prior(before)[0])
            outputs["prior_mean"] = prior.mean
            outputs["prior_log_variance"] = prior.log_variance
        predicted, _ = self.predictor(_joined(before, z))
        images = self._decode(predicted, maps, training)
        return {**outputs, "images": images}

    def _decode(
        self, codes: Tensor, maps: list[Tensor], training: bool | None
    ) -> Tensor:
        """Images `(B, T, H, W, C)`, each with the maps of the last frame given by then.

        `codes` are `(B, T, code_dim)`, the maps those of T + 1 frames.
        """
        number = codes.shape[1]
        flat = []
        for part in maps:
            last = ops.repeat(part[:, self.past - 1 : self.past], number, axis=1)
            known = ops.concatenate([part[:, : self.past], last], axis=1)[:, :number]
            flat.append(ops.reshape(known, (-1, *part.shape[2:])))
        codes = ops.reshape(codes, (-1, self.code_dim))
        images = self.decoder(codes, flat, training=training)
        return ops.reshape(images, (-1, number, *self.image_shape))

    def parts(
        self, frames: Tensor, y: Tensor | None, outputs: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Squared error and KL of each sequence, `(B,)`, summed over its frames."""
        posterior = DiagonalGaussian(outputs["mean"], outputs["log_variance"])
        prior = None
        if self.prior == "learned":
            prior = DiagonalGaussian(
                outputs["prior_mean"], outputs["prior_log_variance"]
            )
        return {
            "prediction_loss": squared_error(frames[:, 1:], outputs["images"]),
            "kl_dynamic": ops.sum(posterior.kl_divergence(prior), axis=1),
        }

    # --- prediction -----------------------------------------------------------------

    def predict_frames(
        self, frames: ArrayLike, number: int, draws: int = 1, seed: int = 0
    ) -> NDArray[np.float32]:
        """Draw the frames that come after those of a sequence.

        Args:
            frames: The first frames, `(T, H, W, C)`, T at least 1; integers 0 to 255 or
                floats in [0, 1].
            number: Frames to predict, also more than in training.
            draws: Times that they are drawn.
            seed: Of all draws.

        Returns:
            Expected intensities, `(draws, number, H, W, C)` float32 in [0, 1].

        Raises:
            InputError: An argument cannot be used.
        """
        check_whole(number=number, draws=draws)
        check_seed(seed=seed)
        frames = intensities(check_sequence(frames, self.image_shape, 1))
        given = len(frames)
        shape = (draws, given - 1 + number, self.dynamic_dim)
        noise = np.random.default_rng(seed).standard_normal(shape, "float32")
        codes, *maps = self._programs("encoder", self._flat_encoder, [frames], given)
        states = self._read(codes, noise[:, : given - 1])
        last = [np.repeat(part[-1:], draws, axis=0) for part in (codes, *maps)]
        code, *maps = last
        images = []
        for k in range(given - 1, noise.shape[1]):
            image, code, *states = self._programs(
                "step", self._step, [code, noise[:, k], *states, *maps], draws
            )
            images.append(image)
        return np.stack(images, axis=1).astype("float32", copy=False)

    def _flat_encoder(self, frames: Tensor) -> list[Tensor]:
        """Vector and maps of each frame, in one list."""
        code, maps = self.encoder(frames, training=False)
        return [ops.cast(part, "float32") for part in (code, *maps)]

    def _read(
        self, codes: NDArray[np.float32], noise: NDArray[np.float32]
    ) -> list[NDArray[np.float32]]:
        """States of the LSTMs of each draw after all given frames but the last.

        `codes` are `(T, code_dim)`, the noise `(draws, T - 1, dynamic_dim)`.
        """
        draws, number = noise.shape[:2]
        layers = [self.predictor]
        if self.prior == "learned":
            layers.append(self.learned_prior)
        if not number:
            shapes = [(draws, part.layers, 2, part.units) for part in layers]
            return [np.zeros(shape, "float32") for shape in shapes]
        repeated = np.repeat(codes[None], draws, axis=0)
        found = self._programs("read", self._read_given, [repeated, noise], draws)
        return [found] if isinstance(found, np.ndarray) else list(found)

    def _read_given(self, codes: Tensor, noise: Tensor) -> list[Tensor]:
        """As `_read`, of tensors."""
        before, after = codes[:, :-1], codes[:, 1:]
        z = _gaussian(self.posterior(after)[0]).sample(noise)
        states = [self.predictor(_joined(before, z))[1]]
        if self.prior == "learned":
            states.append(self.learned_prior(before)[1])
        return states

    def _step(self, code: Tensor, noise: Tensor, *others: Tensor) -> list[Tensor]:
        """The next frame, its vector and the states after it."""
        *states, _, _, _, _ = others
        maps = list(others[-4:])
        z, code = noise[:, None], code[:, None]
        if self.prior == "learned":
            outputs, states[1] = self.learned_prior(code, states[1])
            z = _gaussian(outputs).sample(z)
        predicted, states[0] = self.predictor(_joined(code, z), states[0])
        image = self.decoder(predicted[:, 0], maps, training=False)
        code, _ = self.encoder(image, training=False)
        return [image, ops.cast(code, "float32"), *states]

    def decode(self, static: ArrayLike, dynamic: ArrayLike) -> NDArray[np.float32]:
        """Refused: frames follow from frames."""
        raise InputError(f"{type(self).__name__} {self.lacks_codes}")


def _gaussian(outputs: Tensor) -> DiagonalGaussian[Tensor]:
    """Means and log-variances side by side as a Gaussian."""
    return DiagonalGaussian(*ops.split(outputs, 2, axis=-1))


def _joined(codes: Tensor, z: Tensor) -> Tensor:
    """The input of the predictor."""
    return ops.concatenate([ops.cast(codes, "float32"), z], axis=-1)
