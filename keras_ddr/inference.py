"""Uses of a trained `DDR`: encode, decode, p(z | f), ELBO and log-likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from keras import ops
from scipy.special import logsumexp

from keras_ddr import checks
from keras_ddr.arguments import check_choice, check_number, check_seed, check_whole
from keras_ddr.codes import Codes, with_noise
from keras_ddr.errors import InputError
from keras_ddr.gaussian import DiagonalGaussian
from keras_ddr.programs import CHUNK
from keras_ddr.sequence_model import SequenceModel

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import Tensor

__all__ = ["LogLikelihood"]

_SETS = 16  # sets that are compared at a time: each is N frames
_DRAWS = 32  # draws of f that log_likelihood handles at a time


class LogLikelihood(NamedTuple):
    """Importance-sampled log-likelihood of a set of frames.

    Attributes:
        value: Nats a frame.
        effective_sample_size: Up to the number of draws of f; near 1 one draw decided
            the value, which is too low then.
    """

    value: float
    effective_sample_size: float


class Inference(SequenceModel):
    """Mixin of `DDR`: NumPy arrays in, NumPy arrays out."""

    has_prior_of_dynamic = True

    def quantize(self, mode: str, *args: Any, **kwargs: Any) -> None:
        """Refuse: Keras forgets in the file which layers are quantized."""
        raise InputError(
            f"quantize({mode!r}): a quantized DDR could not be loaded from its file; "
            "export the model (format='onnx' or 'litert') and quantize that, or train "
            "in half precision"
        )

    def encode(  # type: ignore[override]
        self,
        frames: ArrayLike,
        sets: int = 16,
        seed: int = 0,
        combine: str = "mixture",
        frames_per_set: int | None = None,
        noise: float = 0.0,
    ) -> Codes:
        """Find f of a sequence and z of each of its frames.

        Args:
            frames: As for `SequenceModel`.
            sets: Number of random sets of N frames.
            seed: Of the choice of sets.
            combine: "mixture": mean of the means, and the variance of the mixture.
                "product": disjoint sets only (at most T // N), their posteriors
                multiplied with the prior p(f) counted once; precision at least 1.
            frames_per_set: N of these sets, where it is to be another than in training;
                not with aggregation "concat".
            noise: Posterior standard deviations of random noise on the mean of each z.
                The decoder hardly sees what is finer than the posterior is wide, but
                appearance can be guessed from it. With 1, z is a draw of q(z | f, x).
                The same frames and seed give the same noise.

        Returns:
            `Codes`; z is conditioned on the mean of f.
        """
        check_choice(("mixture", "product"), combine=combine)
        check_whole(sets=sets)
        check_seed(seed=seed)
        check_number(noise=noise)
        number = self._number(frames_per_set)
        frames = checks.check_sequence(
            frames, self.image_shape, number, self.any_number()
        )
        features = np.concatenate(
            [
                self._programs("features", self.features, [checks.intensities(part)])
                for part in np.split(frames, range(CHUNK, len(frames), CHUNK))
            ]
        )
        members = _choose_sets(len(frames), number, sets, seed, combine == "product")
        posteriors = self._programs(
            "static", self.static_encoder, [features[members]], _SETS
        )
        static = _combine(DiagonalGaussian(*posteriors), combine)
        inputs = [np.repeat(static.mean[None], len(frames), axis=0), features[:, None]]
        parts = self._programs("dynamic", self.dynamic_encoder, inputs)
        dynamic = DiagonalGaussian(*(part[:, 0] for part in parts))
        dynamic = with_noise(dynamic, frames, noise, seed)
        return Codes(static, dynamic, self.prior_of(static.mean), self.alignment)

    def _number(self, frames_per_set: int | None) -> int:
        """N of sets for encoding."""
        if frames_per_set is None or frames_per_set == self.frames_per_set:
            return self.frames_per_set
        fewest = self.any_number()
        if fewest is None:
            raise InputError(
                f"frames_per_set={frames_per_set!r}; this static encoder (aggregation "
                f"{self.aggregation!r}) takes the {self.frames_per_set} of training"
            )
        check_whole(fewest, frames_per_set=frames_per_set)
        return frames_per_set

    def prior_of(self, static: ArrayLike) -> DiagonalGaussian[NDArray[np.float32]]:
        """p(z | f) of f `(..., static_dim)`: arrays `(..., dynamic_dim)`."""
        static = np.asarray(static, dtype="float32")
        flat = static.reshape(-1, self.static_dim)
        shape = (*static.shape[:-1], self.dynamic_dim)
        if not len(flat):
            nothing = np.zeros(shape, "float32")
            return DiagonalGaussian(nothing, nothing)
        parts = self._programs("prior", self.prior, [flat])
        return DiagonalGaussian(*(part.reshape(shape) for part in parts))

    def standardize(self, static: ArrayLike, dynamic: ArrayLike) -> NDArray[np.float32]:
        """(z − μ_p(f)) / σ_p(f), aligned; arguments as for `SequenceModel`."""
        scores = self.prior_of(static).standardize(np.asarray(dynamic, "float32"))
        return self.alignment.forth(static, scores) if self.alignment else scores

    def unstandardize(
        self, static: ArrayLike, standardized: ArrayLike
    ) -> NDArray[np.float32]:
        """The z of z̃; arguments as for `SequenceModel`."""
        scores = np.asarray(standardized, "float32")
        if self.alignment:
            scores = self.alignment.back(static, scores)
        return self.prior_of(static).sample(scores)

    def draw_dynamic(
        self, static: NDArray[np.float32], generator: np.random.Generator
    ) -> NDArray[np.float32]:
        """As `SequenceModel`: a draw of p(z | f), which no alignment changes."""
        shape = (*static.shape[:-1], self.dynamic_dim)
        noise = generator.standard_normal(shape, "float32")
        return self.prior_of(static).sample(noise)

    def decode_pairs(
        self, static: NDArray[np.float32], dynamic: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Images `(T, H, W, C)` of T pairs of f and z, see `SequenceModel`."""
        outputs = self._programs("outputs", self.outputs, [static, dynamic[:, None]])
        return self.expected_images(outputs[:, 0].astype("float32", copy=False))

    def expected_images(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Expected intensities of outputs of the decoder, `(…, H, W, C)` in [0, 1]."""
        return np.concatenate(
            [
                ops.convert_to_numpy(self.likelihood.mean(outputs[i : i + CHUNK]))
                for i in range(0, len(outputs), CHUNK)
            ]
        )

    def sampled_elbo(
        self, frames: NDArray[Any], generator: np.random.Generator
    ) -> NDArray[np.float64]:
        """The three parts of the ELBO of each set, with one draw of f and of z.

        For frames `(B, N, H, W, C)`, uint8 or floats in [0, 1], it returns float64
        `(B, 3)` in nats a set: log p(x | f, z), KL(q(z | f, x) ‖ p(z | f)) and
        KL(q(f | x_S) ‖ p(f)). Draws are the same on every backend, and the random state
        of training does not move.
        """
        x = ops.convert_to_tensor(checks.intensities(np.asarray(frames)))
        if self.set_size > x.shape[1]:  # distinct frames: here f comes from the same
            x = ops.concatenate([x, x], axis=1)
        outputs = self.forward_pass(x, _drawing(generator))
        parts = self.elbo_parts(x, outputs)
        parts = [np.asarray(ops.convert_to_numpy(part), "float64") for part in parts]
        return np.stack([-parts[0], parts[1], parts[2]], axis=1)

    def log_likelihood(
        self,
        frames: ArrayLike,
        samples: int = 64,
        dynamic_samples: int = 1,
        seed: int = 0,
    ) -> LogLikelihood:
        """Importance-sampled log-likelihood of one set of frames.

        log mean_k [ p(f_k) / q(f_k) · Π_i mean_l p(x_i | f_k, z_ikl) p(z_ikl | f_k)
        / q(z_ikl | f_k, x_i) ], in log space. In expectation it lies between the ELBO
        and the true value, and rises with the number of samples.

        Args:
            frames: `(N, H, W, C)`, with the N of the model.
            samples: Draws of f.
            dynamic_samples: Draws of z for each frame and draw of f.
            seed: Of the draws.

        Returns:
            `LogLikelihood`: nats a frame, and the effective sample size over f.
        """
        check_whole(samples=samples, dynamic_samples=dynamic_samples)
        check_seed(seed=seed)
        frames = checks.intensities(
            checks.check_sequence(frames, self.image_shape, self.frames_per_set)
        )
        if self.any_number() is None and len(frames) != self.frames_per_set:
            raise InputError(
                f"frames holds {len(frames)} frames; a set has {self.frames_per_set}"
            )
        generator = np.random.default_rng(seed)
        x = ops.convert_to_tensor(frames[None])
        features = self.features(x)
        posterior = DiagonalGaussian(
            *(_plain(part)[0] for part in self.static_encoder(features))
        )
        left = range(samples, 0, -_DRAWS)
        draws = [(dynamic_samples, min(_DRAWS, number)) for number in left]
        log_weights = np.concatenate(
            [self._log_weights(x, features, posterior, k, generator) for k in draws]
        )
        value = logsumexp(log_weights) - np.log(len(log_weights))
        effective = np.exp(2 * logsumexp(log_weights) - logsumexp(2 * log_weights))
        return LogLikelihood(float(value) / len(frames), float(effective))

    def _log_weights(
        self,
        x: Tensor,
        features: Tensor,
        posterior: DiagonalGaussian[NDArray[np.float32]],
        draws: tuple[int, int],
        generator: np.random.Generator,
    ) -> NDArray[np.float64]:
        """Logarithms of p(f, x) / q(f) for draws (of z, of f), one for each f."""
        of_dynamic, of_static = draws
        noise = generator.standard_normal((of_static, self.static_dim), "float32")
        static = posterior.sample(noise)
        x, features = (ops.repeat(part, of_static, axis=0) for part in (x, features))
        terms = []
        for _ in range(of_dynamic):
            drawn: list[Tensor] = []

            def draw(mean: Tensor, log_variance: Tensor, drawn: Any = drawn) -> Tensor:
                drawn.append(_drawing(generator)(mean, log_variance))
                return drawn[-1]

            outputs = self.given_static(ops.convert_to_tensor(static), features, draw)
            z = _plain(drawn[0])
            dynamic, prior = (
                DiagonalGaussian(
                    _plain(outputs[f"{name}_mean"]),
                    _plain(outputs[f"{name}_log_variance"]),
                )
                for name in ("dynamic", "prior")
            )
            prior = DiagonalGaussian(prior.mean[:, None], prior.log_variance[:, None])
            log_prob = self.likelihood.log_prob(outputs["reconstruction_logits"], x)
            terms.append(_plain(log_prob) + prior.log_prob(z) - dynamic.log_prob(z))
        per_frame = logsumexp(np.asarray(terms, "float64"), axis=0) - np.log(of_dynamic)
        standard = DiagonalGaussian(np.zeros_like(static), np.zeros_like(static))
        log_ratio = standard.log_prob(static) - posterior.log_prob(static)
        return per_frame.sum(axis=1) + log_ratio


def _plain(tensor: Tensor) -> NDArray[np.float32]:
    return np.asarray(ops.convert_to_numpy(tensor), "float32")


def _drawing(generator: np.random.Generator) -> Any:
    """A function that draws from posteriors with NumPy's noise."""

    def draw(mean: Tensor, log_variance: Tensor) -> Tensor:
        noise = generator.standard_normal(tuple(mean.shape), "float32")
        noise = ops.cast(ops.convert_to_tensor(noise), mean.dtype)
        return DiagonalGaussian(mean, log_variance).sample(noise)

    return draw


def _choose_sets(
    length: int, number: int, sets: int, seed: int, disjoint: bool
) -> NDArray[np.integer]:
    """Indices `(sets, number)` of frames; random members in random order."""
    generator = np.random.default_rng(seed)
    if disjoint:
        sets = min(sets, length // number)
        return generator.permutation(length)[: sets * number].reshape(sets, number)
    return np.stack([generator.permutation(length)[:number] for _ in range(sets)])


def _combine(
    posteriors: DiagonalGaussian[NDArray[np.float32]], combine: str
) -> DiagonalGaussian[NDArray[np.float32]]:
    """One Gaussian from those of several sets, arrays `(sets, static_dim)`."""
    if combine == "mixture":
        return posteriors.mixture()
    precisions = 1.0 / posteriors.variance
    # Each posterior contains the prior, whose precision is 1; it counts once.
    precision = np.maximum(precisions.sum(axis=0) - (len(precisions) - 1), 1.0)
    mean = (precisions * posteriors.mean).sum(axis=0) / precision
    return DiagonalGaussian(mean, -np.log(precision))
