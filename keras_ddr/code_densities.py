"""Densities of the codes of trained sequences: of f and of z̃."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from keras_ddr.alignment import Alignment
from keras_ddr.errors import InputError
from keras_ddr.mixture import GaussianMixture, as_points
from keras_ddr.subspaces import find_subspaces

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Densities", "IndependentSubspaces"]

_PREFIX = "density_"
_ARRAYS, _MOMENTS = ("weights", "means", "covariances"), ("mean", "directions")
_FEWEST = 40  # points from which subspaces can be found
_ROUNDING = 1e-12  # as a share of the square of points


@dataclasses.dataclass(frozen=True)
class IndependentSubspaces:
    """A density on vectors: the product of mixtures on independent subspaces.

    A face may have any hair with any skin. A mixture over all of f would need a normal
    density for each pair of both; here each has a mixture of its own, on the directions
    of f that it depends on (independent subspace analysis; Hyvärinen and Hoyer, 2000,
    "Emergence of phase- and shift-invariant features").

    Attributes:
        mean: `(D,)`.
        directions: `(D, D)`; (x − mean) · directions are the coordinates of x, those of
            each subspace side by side.
        parts: A `GaussianMixture` of the coordinates of each subspace.

    Raises:
        InputError: The arrays do not belong together, or describe no density.
    """

    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    parts: tuple[GaussianMixture, ...]

    def __post_init__(self) -> None:
        for name in ("mean", "directions"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), "float64"))
        size = sum(part.dim for part in self.parts)
        if (
            self.mean.shape != (size,)
            or self.directions.shape != (size, size)
            or not np.isfinite(self.mean).all()
            or not np.isfinite(np.linalg.slogdet(self.directions)[1])
        ):
            raise InputError("the arrays of subspaces do not describe a density")

    @property
    def dim(self) -> int:
        """D, dimensions of the vectors."""
        return len(self.mean)

    @property
    def components(self) -> int:
        """Number of Gaussians of all subspaces."""
        return sum(len(part.weights) for part in self.parts)

    @classmethod
    def of(cls, mixture: GaussianMixture) -> IndependentSubspaces:
        """The same density as a mixture: one subspace, of all dimensions."""
        return cls(np.zeros(mixture.dim), np.eye(mixture.dim), (mixture,))

    @classmethod
    def fit(
        cls,
        points: ArrayLike,
        held_out: ArrayLike = (),
        seed: int = 0,
        noise: ArrayLike = 0.0,
    ) -> IndependentSubspaces:
        """Fit the density that explains other points best.

        The principal components that stand out of the noise, at most 32, are turned so
        that they depend on each other as little as possible (FastICA). Those that still
        do are joined, the most dependent first, and of all the ways to cut this tree
        the one is taken under which `held_out` has the highest log-density. The other
        principal components are a subspace as well. Fewer than 40 points, and those
        that one mixture explains better, get one subspace.

        Args:
            points: `(n, D)`, n ≥ 1. A dimension may be constant.
            held_out: Further points `(m, D)`.
            seed: Of the first guesses.
            noise: Variances `(D,)` of noise, or one for all dimensions, such as those
                of the posterior whose means the points are.

        Raises:
            InputError: There is no point, or one that is not finite.
        """
        points, held_out = as_points(points), np.asarray(held_out, "float64")
        whole = cls.of(GaussianMixture.fit(points, held_out, seed))
        if len(points) < _FEWEST or not len(held_out):
            return whole
        mean = points.mean(axis=0)
        known, other = points - mean, held_out - mean
        rounding = _ROUNDING * max(1.0, np.square(points).mean())
        noise = np.maximum(np.broadcast_to(noise, mean.shape), rounding)
        directions, groups = find_subspaces(known, other, seed, noise)
        known, other = known @ directions, other @ directions
        parts = [
            GaussianMixture.fit(known[:, group], other[:, group], seed)
            for group in groups
        ]
        apart = cls(mean, directions[:, np.concatenate(groups)], tuple(parts))
        return max((whole, apart), key=lambda one: one.log_prob(held_out).mean())

    def log_prob(self, x: ArrayLike) -> NDArray[np.float64]:
        """Log-density in nats `(n,)` of points `(n, D)`."""
        places = (np.asarray(x, "float64") - self.mean) @ self.directions
        of_parts = [
            part.log_prob(places[:, columns])
            for part, columns in zip(self.parts, self._columns(), strict=True)
        ]
        return np.sum(of_parts, axis=0) + np.linalg.slogdet(self.directions)[1]

    def sample(
        self, number: int, generator: np.random.Generator
    ) -> NDArray[np.float32]:
        """Draws `(number, D)`."""
        places = np.concatenate(
            [part.sample(number, generator) for part in self.parts], axis=1
        )
        drawn = self.mean + places @ np.linalg.inv(self.directions)
        return drawn.astype("float32")

    def _columns(self) -> list[slice]:
        """Where the coordinates of each subspace are."""
        ends = np.cumsum([0, *(part.dim for part in self.parts)])
        return [slice(*pair) for pair in itertools.pairwise(ends)]


class Densities(NamedTuple):
    """Densities of the codes of trained sequences, fitted after a training.

    Attributes:
        static: `IndependentSubspaces` of f, D the dimensions of f.
        dynamic: `GaussianMixture` of z̃ of frames, D the dimensions of z.
        alignment: What makes z̃ of all sequences alike, or `None`; see
            `keras_ddr.alignment`.
    """

    static: IndependentSubspaces
    dynamic: GaussianMixture
    alignment: Alignment | None = None

    @property
    def dims(self) -> tuple[int, int]:
        """Dimensions of f and of z."""
        return self.static.dim, self.dynamic.dim

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """All arrays by names, float32."""
        found = {f"static_{name}": getattr(self.static, name) for name in _MOMENTS}
        parts = {f"static_{k}": part for k, part in enumerate(self.static.parts)}
        for name, part in {**parts, "dynamic": self.dynamic}.items():
            found.update({f"{name}_{a}": getattr(part, a) for a in _ARRAYS})
        if self.alignment is not None:
            found |= self.alignment.arrays()
        return {f"{_PREFIX}{k}": v.astype("float32") for k, v in found.items()}

    @classmethod
    def taken_from(cls, arrays: dict[str, Any]) -> Self | None:
        """The densities among named arrays, which lose theirs; `None` without one."""
        names = [name for name in arrays if name.startswith(_PREFIX)]
        arrays = {n.removeprefix(_PREFIX): np.asarray(arrays.pop(n)) for n in names}
        if "dynamic_means" not in arrays:
            return None
        parts: list[GaussianMixture] = []
        while f"static_{len(parts)}_means" in arrays:
            parts.append(_mixture(arrays, f"static_{len(parts)}"))
        if parts:
            moments = [arrays[f"static_{name}"] for name in _MOMENTS]
            static = IndependentSubspaces(moments[0], moments[1], tuple(parts))
        else:  # as files had f before
            static = IndependentSubspaces.of(_mixture(arrays, "static"))
        return cls(static, _mixture(arrays, "dynamic"), Alignment.taken_from(arrays))


def _mixture(arrays: dict[str, NDArray[Any]], name: str) -> GaussianMixture:
    """The mixture of this name among arrays."""
    return GaussianMixture(*(arrays[f"{name}_{array}"] for array in _ARRAYS))
