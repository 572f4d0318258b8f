"""What a trained model is used for: encode, decode, sample, swap, log-likelihood."""

from __future__ import annotations

import dataclasses
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from keras import ops
from scipy.special import logsumexp

from keras_ddr import checks
from keras_ddr.arguments import check_number, check_seed, check_whole
from keras_ddr.errors import InputError
from keras_ddr.gaussian import DiagonalGaussian
from keras_ddr.programs import CHUNK

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.likelihoods import Likelihood
    from keras_ddr.programs import Programs
    from keras_ddr.typing import ImageShape

__all__ = ["Codes", "Inference", "LogLikelihood"]

_DRAWS = 32  # draws of f that log_likelihood handles at a time


class LogLikelihood(NamedTuple):
    """Importance-sampled log-likelihood of a set of frames.

    Attributes:
        value: Nats a frame.
        effective_sample_size: Between 1 and the number of draws of f; near 1 means
            that one draw decided the value, so that it is too low.
    """

    value: float
    effective_sample_size: float


@dataclasses.dataclass(frozen=True)
class Codes:
    """What `DDR.encode` finds in one sequence; NumPy float32 arrays.

    Attributes:
        static: q(f | frames), arrays of shape `(static_dim,)`.
        dynamic: q(z | f, x) at the mean of f, arrays of shape `(T, dynamic_dim)`.
        prior: p(z | f) at the mean of f, arrays of shape `(dynamic_dim,)`.
    """

    static: DiagonalGaussian[NDArray[np.float32]]
    dynamic: DiagonalGaussian[NDArray[np.float32]]
    prior: DiagonalGaussian[NDArray[np.float32]]

    @property
    def standardized(self) -> NDArray[np.float32]:
        """z̃ = (z − μ_p(f)) / σ_p(f) of the means of z, `(T, dynamic_dim)`.

        q(z | f, x), p(z | f) and the decoder all see f, so that a shift of z that
        depends on f changes nothing in the ELBO: what is said of z should hold for z̃.
        """
        return self.prior.standardize(self.dynamic.mean)


class Inference:
    """Mixin of `DDR`: NumPy arrays in, NumPy arrays out."""

    # What it needs of `DDR`.
    image_shape: ImageShape
    static_dim: int
    dynamic_dim: int
    frames_per_set: int
    aggregation: str
    likelihood: Likelihood
    _programs: Programs

    def encode(
        self,
        frames: ArrayLike,
        sets: int = 16,
        seed: int = 0,
        combine: str = "mixture",
        frames_per_set: int | None = None,
        noise: float = 0.0,
    ) -> Codes:
        """Find f of a sequence and z of each of its frames.

        Each frame goes through the convolutions once. Random sets of N frames then
        each give a posterior of f, and these are combined.

        Args:
            frames: One sequence `(T, H, W, C)`, T ≥ N; integers 0 to 255 or floats
                in [0, 1].
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

        Raises:
            InputError: Too few frames, or an argument that cannot be used.
        """
        if combine not in ("mixture", "product"):
            raise InputError(f"combine={combine!r}; use 'mixture' or 'product'")
        check_whole(sets=sets)
        check_seed(seed=seed)
        check_number(noise=noise)
        number = self._number(frames_per_set)
        least = {"concat": None, "mean": 2, "pooled": 1}[self.aggregation]
        frames = checks.check_sequence(frames, self.image_shape, number, least)
        features = self._features(frames)
        disjoint = combine == "product"
        members = _choose_sets(len(frames), number, sets, seed, disjoint)
        posteriors = DiagonalGaussian(*self._programs.static(features[members]))
        static = _combine(posteriors, combine)
        repeated = np.repeat(static.mean[None], len(frames), axis=0)
        dynamic = DiagonalGaussian(*self._programs.dynamic(repeated, features))
        if noise:
            # Of the frames, so that no two sequences get the same noise.
            generator = np.random.default_rng([seed, _checksum(frames)])
            drawn = generator.standard_normal(dynamic.mean.shape, "float32")
            dynamic = DiagonalGaussian(
                dynamic.sample(np.float32(noise) * drawn), dynamic.log_variance
            )
        return Codes(static, dynamic, self.prior_of(static.mean))

    def _features(self, frames: NDArray[Any]) -> NDArray[np.float32]:
        """Maps of frames; a chunk is scaled at a time."""
        return np.concatenate(
            [
                self._programs.features(checks.intensities(part))
                for part in np.split(frames, range(CHUNK, len(frames), CHUNK))
            ]
        )

    def _number(self, frames_per_set: int | None) -> int:
        """N of sets for encoding."""
        if frames_per_set is None or frames_per_set == self.frames_per_set:
            return self.frames_per_set
        if self.aggregation == "concat":
            raise InputError(
                f"frames_per_set={frames_per_set!r}; with aggregation 'concat' it is "
                f"the {self.frames_per_set} of training"
            )
        least = checks.least_frames(self.aggregation)
        check_whole(least, frames_per_set=frames_per_set)
        return frames_per_set

    def prior_of(self, static: ArrayLike) -> DiagonalGaussian[NDArray[np.float32]]:
        """p(z | f).

        Args:
            static: f, `(..., static_dim)`.

        Returns:
            `DiagonalGaussian` of NumPy arrays `(..., dynamic_dim)`.
        """
        static = np.asarray(static, dtype="float32")
        flat = static.reshape(-1, self.static_dim)
        shape = (*static.shape[:-1], self.dynamic_dim)
        if not len(flat):
            nothing = np.zeros(shape, "float32")
            return DiagonalGaussian(nothing, nothing)
        return DiagonalGaussian(
            *(part.reshape(shape) for part in self._programs.prior(flat))
        )

    def decode(self, static: ArrayLike, dynamic: ArrayLike) -> NDArray[np.float32]:
        """Images of f and z.

        Args:
            static: f, `(..., static_dim)`.
            dynamic: z, `(..., dynamic_dim)`. Leading axes broadcast; z may have one
                more, the frames: f `(B, static_dim)` with z `(B, N, dynamic_dim)`.

        Returns:
            Expected intensities, float32 in [0, 1], `(..., H, W, C)`.

        Raises:
            InputError: The last axes are not those of the model.
        """
        static = np.asarray(static, dtype="float32")
        dynamic = np.asarray(dynamic, dtype="float32")
        for name, value, size in (
            ("static", static, self.static_dim),
            ("dynamic", dynamic, self.dynamic_dim),
        ):
            if value.ndim == 0 or value.shape[-1] != size:
                raise InputError(
                    f"{name} has shape {value.shape}; its last axis must be {size}"
                )
        if dynamic.ndim == static.ndim + 1:
            static = static[..., None, :]
        try:
            leading = np.broadcast_shapes(static.shape[:-1], dynamic.shape[:-1])
        except ValueError:
            raise InputError(
                f"static {static.shape} and dynamic {dynamic.shape} do not belong "
                "together; give z one more axis than f, or the same leading axes"
            ) from None
        static = np.broadcast_to(static, (*leading, self.static_dim))
        dynamic = np.broadcast_to(dynamic, (*leading, self.dynamic_dim))
        images = self._decode_pairs(
            static.reshape(-1, self.static_dim), dynamic.reshape(-1, self.dynamic_dim)
        )
        return images.reshape(*leading, *self.image_shape)

    def _decode_pairs(
        self, static: NDArray[np.float32], dynamic: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        if not len(static):
            return np.zeros((0, *self.image_shape), "float32")
        return self._expected_images(self._programs.outputs(static, dynamic))

    def _expected_images(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.concatenate(
            [
                ops.convert_to_numpy(self.likelihood.mean(outputs[i : i + CHUNK]))
                for i in range(0, len(outputs), CHUNK)
            ]
        )

    def sample(
        self, sequences: int = 1, frames: int = 8, seed: int = 0
    ) -> NDArray[np.float32]:
        """Draw new sequences: f ~ p(f), z ~ p(z | f), and their images.

        Args:
            sequences: Number of sequences.
            frames: Number of frames of each, in no order.
            seed: Of the draws.

        Returns:
            Expected intensities, `(sequences, frames, H, W, C)` float32 in [0, 1].
        """
        check_whole(sequences=sequences, frames=frames)
        check_seed(seed=seed)
        generator = np.random.default_rng(seed)
        static = generator.standard_normal((sequences, self.static_dim), "float32")
        noise = generator.standard_normal(
            (frames, sequences, self.dynamic_dim), "float32"
        )
        dynamic = self.prior_of(static).sample(noise)
        return self.decode(static, np.swapaxes(dynamic, 0, 1))

    def swap(
        self,
        static_from: ArrayLike | Codes,
        dynamic_from: ArrayLike | Codes,
        align: str = "none",
    ) -> NDArray[np.float32]:
        """Images of one sequence's f with another's z.

        Args:
            static_from: Frames `(T, H, W, C)` of a sequence, or its `Codes`.
            dynamic_from: The same of the sequence whose dynamics are wanted.
            align: "none" takes z as it is. "prior" carries it over as its standard
                score: z̃ under the one p(z | f) becomes z under the other.

        Returns:
            Expected intensities, `(T, H, W, C)` float32 in [0, 1], one for each frame
            of `dynamic_from`.

        Raises:
            InputError: `align` is not known, or the frames cannot be encoded.
        """
        if align not in ("none", "prior"):
            raise InputError(f"align={align!r}; use 'none' or 'prior'")
        static_from, dynamic_from = (
            codes if isinstance(codes, Codes) else self.encode(codes)
            for codes in (static_from, dynamic_from)
        )
        dynamic = dynamic_from.dynamic.mean
        if align == "prior":
            dynamic = static_from.prior.sample(dynamic_from.standardized)
        return self.decode(static_from.static.mean, dynamic)

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

        Raises:
            InputError: The frames do not fit the model.
        """
        check_whole(samples=samples, dynamic_samples=dynamic_samples)
        check_seed(seed=seed)
        frames = checks.intensities(
            checks.check_sequence(frames, self.image_shape, self.frames_per_set)
        )
        if self.aggregation == "concat" and len(frames) != self.frames_per_set:
            raise InputError(
                f"frames holds {len(frames)} frames; a set has {self.frames_per_set}"
            )
        generator = np.random.default_rng(seed)
        features = self._programs.features(frames)
        posterior = DiagonalGaussian(
            *(part[0] for part in self._programs.static(features[None]))
        )
        blocks = [
            self._log_weights(
                frames,
                features,
                posterior,
                min(_DRAWS, samples - start),
                dynamic_samples,
                generator,
            )
            for start in range(0, samples, _DRAWS)
        ]
        log_weights = np.concatenate(blocks)
        value = logsumexp(log_weights) - np.log(len(log_weights))
        effective = np.exp(2 * logsumexp(log_weights) - logsumexp(2 * log_weights))
        return LogLikelihood(float(value) / len(frames), float(effective))

    def _log_weights(
        self,
        frames: NDArray[np.float32],
        features: NDArray[np.float32],
        posterior: DiagonalGaussian[NDArray[np.float32]],
        samples: int,
        dynamic_samples: int,
        generator: np.random.Generator,
    ) -> NDArray[np.float64]:
        """Logarithms of p(f, x) / q(f) for draws of f, `(samples,)` float64."""
        number = len(frames)
        noise = generator.standard_normal((samples, self.static_dim), "float32")
        static = posterior.sample(noise)
        each_frame = np.repeat(static, number, axis=0)
        dynamic = self._programs.dynamic(
            each_frame, np.tile(features, (samples, 1, 1, 1))
        )
        dynamic = DiagonalGaussian(
            *(part.reshape(samples, number, self.dynamic_dim) for part in dynamic)
        )
        prior = self.prior_of(static[:, None])
        shape = (dynamic_samples, samples, number, self.dynamic_dim)
        z = dynamic.sample(generator.standard_normal(shape, "float32"))
        log_prob = []
        for draw in z:
            outputs = self._programs.outputs(
                each_frame, draw.reshape(-1, self.dynamic_dim)
            )
            targets = np.tile(frames, (samples, 1, 1, 1))
            log_prob.append(
                ops.convert_to_numpy(self.likelihood.log_prob(outputs, targets))
            )
        terms = np.reshape(log_prob, shape[:-1]).astype("float64")
        terms += prior.log_prob(z) - dynamic.log_prob(z)
        per_frame = logsumexp(terms, axis=0) - np.log(len(terms))
        standard = DiagonalGaussian(np.zeros_like(static), np.zeros_like(static))
        log_ratio = standard.log_prob(static) - posterior.log_prob(static)
        return per_frame.sum(axis=1) + log_ratio


def _checksum(frames: NDArray[Any]) -> int:
    """The same for integers and for the intensities that they stand for."""
    checksum = 0
    for start in range(0, len(frames), CHUNK):
        chunk = checks.intensities(frames[start : start + CHUNK])
        checksum = zlib.crc32(chunk.tobytes(), checksum)
    return checksum


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
        mean = posteriors.mean.mean(axis=0)
        variance = posteriors.variance.mean(axis=0) + posteriors.mean.var(axis=0)
        return DiagonalGaussian(mean, np.log(variance))
    precisions = 1.0 / posteriors.variance
    # Each posterior contains the prior, whose precision is 1; it counts once.
    precision = np.maximum(precisions.sum(axis=0) - (len(precisions) - 1), 1.0)
    mean = (precisions * posteriors.mean).sum(axis=0) / precision
    return DiagonalGaussian(mean, -np.log(precision))
