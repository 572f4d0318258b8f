"""Codes of one sequence."""

from __future__ import annotations

import dataclasses
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.checks import intensities
from keras_ddr.gaussian import DiagonalGaussian

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.alignment import Alignment

__all__ = ["Codes"]

_ROWS = 64  # frames of a checksum at a time


@dataclasses.dataclass(frozen=True)
class Codes:
    """Codes of one sequence; NumPy float32 arrays.

    Attributes:
        static: q(f | frames), arrays `(static_dim,)`.
        dynamic: q(z | f, x) at the mean of f, arrays `(T, dynamic_dim)`.
        prior: p(z | f) at the mean of f, arrays `(dynamic_dim,)`; the standard normal
            of a model that has no other.
        alignment: What the model's densities add to z̃, or `None`.
    """

    static: DiagonalGaussian[NDArray[np.float32]]
    dynamic: DiagonalGaussian[NDArray[np.float32]]
    prior: DiagonalGaussian[NDArray[np.float32]] = None  # type: ignore[assignment]
    alignment: Alignment | None = None

    def __post_init__(self) -> None:
        if self.prior is None:
            zeros = np.zeros(self.dynamic.mean.shape[-1:], "float32")
            object.__setattr__(self, "prior", DiagonalGaussian(zeros, zeros))

    @property
    def standardized(self) -> NDArray[np.float32]:
        """z̃ of the means of z, `(T, dynamic_dim)`.

        It is (z − μ_p(f)) / σ_p(f), aligned where there is an `alignment`. A change of
        z that depends on f changes nothing in the ELBO, since all that uses z sees f:
        statements about z should hold for z̃.
        """
        scores = self.prior.standardize(self.dynamic.mean)
        if self.alignment is None:
            return scores
        return self.alignment.forth(self.static.mean, scores)


def with_noise(
    dynamic: DiagonalGaussian[NDArray[np.float32]],
    frames: NDArray[Any],
    noise: float,
    seed: int,
) -> DiagonalGaussian[NDArray[np.float32]]:
    """The z of checked frames, each mean with `noise` standard deviations of noise."""
    if not noise:
        return dynamic
    # Seeded by the frames: no two sequences get the same noise.
    generator = np.random.default_rng([seed, _checksum(frames)])
    drawn = generator.standard_normal(dynamic.mean.shape, "float32")
    mean = dynamic.sample(np.float32(noise) * drawn)
    return DiagonalGaussian(mean, dynamic.log_variance)


def _checksum(frames: NDArray[Any]) -> int:
    """The same for integers and for the intensities that they stand for."""
    checksum = 0
    for start in range(0, len(frames), _ROWS):
        chunk = intensities(frames[start : start + _ROWS])
        checksum = zlib.crc32(chunk.tobytes(), checksum)
    return checksum
