"""Diagonal Gaussians: draws, densities and divergences in closed form."""

from __future__ import annotations

import math
from typing import Any, Generic, TypeVar

import numpy as np
from keras import ops

__all__ = ["DiagonalGaussian"]

# A NumPy array or a tensor: what comes out is of the kind that was put in.
ArrayT = TypeVar("ArrayT", bound=Any)

_LOG_2PI = math.log(2.0 * math.pi)


class DiagonalGaussian(Generic[ArrayT]):
    """A normal distribution with a diagonal covariance, over the last axis.

    It holds NumPy arrays or backend tensors and answers in kind.

    Args:
        mean: Array or tensor of shape `(..., dim)`.
        log_variance: Natural logarithm of the variances, same shape.

    Example:
        >>> import numpy as np
        >>> q = DiagonalGaussian(np.zeros(3), np.zeros(3))
        >>> float(q.kl_divergence())
        0.0
    """

    def __init__(self, mean: ArrayT, log_variance: ArrayT) -> None:
        self.mean = mean
        self.log_variance = log_variance

    def __repr__(self) -> str:
        return f"DiagonalGaussian(shape={tuple(self.mean.shape)})"

    @property
    def _math(self) -> Any:
        # NumPy and keras.ops share the few names used here.
        return np if isinstance(self.mean, np.ndarray) else ops

    @property
    def variance(self) -> ArrayT:
        """Variances, shape `(..., dim)`."""
        return self._math.exp(self.log_variance)

    @property
    def stddev(self) -> ArrayT:
        """Standard deviations, shape `(..., dim)`."""
        return self._math.exp(0.5 * self.log_variance)

    def sample(self, noise: ArrayT) -> ArrayT:
        """Turn standard normal noise `(..., dim)` into a draw, `mean + stddev * noise`.

        The noise may have more leading axes than the distribution.
        """
        return self.mean + self.stddev * noise

    def standardize(self, x: ArrayT) -> ArrayT:
        """Standard score of `x`, `(x - mean) / stddev`, shape of `x`."""
        return (x - self.mean) / self.stddev

    def mixture(self) -> DiagonalGaussian[ArrayT]:
        """One with the moments of the equal mixture over the first axis."""
        m = self._math
        variance = m.mean(self.variance, axis=0) + m.var(self.mean, axis=0)
        return DiagonalGaussian(m.mean(self.mean, axis=0), m.log(variance))

    def kl_divergence(self, other: DiagonalGaussian[ArrayT] | None = None) -> ArrayT:
        """KL(self || other) in nats, `(...)`; to the standard normal where `None`."""
        return self._math.sum(self.kl_terms(other), axis=-1)

    def kl_terms(self, other: DiagonalGaussian[ArrayT] | None = None) -> ArrayT:
        """As `kl_divergence` of each dimension, shape `(..., dim)`."""
        m = self._math
        if other is None:
            terms = m.square(self.mean) + m.exp(self.log_variance)
            terms = terms - 1.0 - self.log_variance
        else:
            difference = m.square(self.mean - other.mean)
            # Two exponentials of differences stay finite where a quotient of
            # two variances would not.
            terms = (
                m.exp(self.log_variance - other.log_variance)
                + difference * m.exp(-other.log_variance)
                - 1.0
                + other.log_variance
                - self.log_variance
            )
        return 0.5 * terms

    def log_prob(self, x: ArrayT) -> ArrayT:
        """Log-density in nats at points `(..., dim)`, shape `(...)`."""
        m = self._math
        scaled = m.square(x - self.mean) * m.exp(-self.log_variance)
        return -0.5 * m.sum(scaled + self.log_variance + _LOG_2PI, axis=-1)
