"""Densities of the codes of trained sequences: of f and of z̃."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from keras_ddr.alignment import Alignment
from keras_ddr.errors import InputError
from keras_ddr.mixture import GaussianMixture, independent_directions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Densities", "IndependentSubspaces"]

_PREFIX = "density_"
_ARRAYS, _MOMENTS = ("weights", "means", "covariances"), ("mean", "directions")
_FEWEST = 40  # points from which directions can be found
_PER_DIRECTION = 10  # points, at least, and for each Gaussian of a subspace
_MOST_DIRECTIONS = 32
_SIZES = 2  # numbers of leading directions that are tried
_LEAST = 1e-6  # variance of a direction, as a share of the largest
_BINS = 5  # of a component, to see which depend on each other
# While subspaces are looked for: Gaussians of each, and their smallest variance.
_GAUSSIANS, _FLOOR = 10, 1e-2


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
        cls, points: ArrayLike, held_out: ArrayLike = (), seed: int = 0
    ) -> IndependentSubspaces:
        """Fit the density that explains other points best.

        The leading principal components are turned so that they depend on each other as
        little as possible (FastICA). Those that still do are joined, the most dependent
        first, and of all the ways to cut this tree the one is taken under which
        `held_out` has the highest log-density. It may be one subspace with one mixture:
        that is what a few points get.

        Args:
            points: `(n, D)`, n ≥ 1. A dimension may be constant.
            held_out: Further points `(m, D)`.
            seed: Of the first guesses.

        Raises:
            InputError: There is no point, or one that is not finite.
        """
        points, held_out = (np.asarray(part, "float64") for part in (points, held_out))
        whole = cls.of(GaussianMixture.fit(points, held_out, seed))
        if len(points) < _FEWEST or not len(held_out):
            return whole
        mean = points.mean(axis=0)
        centred = points - mean, held_out - mean
        candidates = [whole]
        for directions, groups in _find_subspaces(*centred, seed):
            known, other = (part @ directions for part in centred)
            pairs = [(known[:, group], other[:, group]) for group in groups]
            parts = [GaussianMixture.fit(*pair, seed) for pair in pairs]
            turned = directions[:, np.concatenate(groups)]
            candidates.append(cls(mean, turned, tuple(parts)))
        return max(candidates, key=lambda one: one.log_prob(held_out).mean())

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


def _find_subspaces(
    points: NDArray[np.float64], held_out: NDArray[np.float64], seed: int
) -> Iterator[tuple[NDArray[np.float64], list[list[int]]]]:
    """Directions `(D, D)` for centred points, and which of them belong together."""
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(points.T)))
    variances, axes = variances[::-1], axes[:, ::-1]
    if variances[0] < np.finfo(float).tiny:
        return
    variances = np.maximum(variances, _LEAST * variances[0])
    whitening = axes / np.sqrt(variances)
    for number in _leading(variances, len(points)):
        directions = whitening.copy()
        directions[:, :number] @= independent_directions(
            points @ whitening[:, :number], seed
        )
        places = points @ directions, held_out @ directions
        _, groups = _best_cut(_tree(places[0][:, :number]), *places, seed)
        rest = list(range(number, len(axes)))
        yield directions, [*groups, rest] if rest else groups


def _leading(variances: NDArray[np.float64], points: int) -> list[int]:
    """Numbers of principal components after which the variance falls most."""
    most = min(len(variances), points // _PER_DIRECTION, _MOST_DIRECTIONS)
    after = np.append(variances[1:], _LEAST * variances[0])
    falls = {k: variances[k - 1] / after[k - 1] for k in range(2, most + 1)}
    return sorted(falls, key=falls.__getitem__)[-_SIZES:]


def _tree(scores: NDArray[np.float64]) -> Any:
    """A tree that joins the components of `(n, k)` which share most information."""
    from scipy.cluster.hierarchy import linkage, to_tree
    from scipy.spatial.distance import squareform

    inner = np.linspace(0, 1, _BINS + 1)[1:-1]
    bins = [np.searchsorted(np.quantile(c, inner), c) for c in scores.T]
    inside = np.eye(_BINS)[np.transpose(bins)]  # (n, k, bins)
    joint = np.einsum("nia,njb->ijab", inside, inside) / len(scores)
    alone = inside.mean(axis=0)
    expected = alone[:, None, :, None] * alone[None, :, None, :]
    ratio = np.maximum(joint, 1e-12) / np.maximum(expected, 1e-12)
    shared = (joint * np.log(ratio)).sum(axis=(2, 3))
    apart = shared.max() - (shared + shared.T) / 2
    np.fill_diagonal(apart, 0)
    return to_tree(linkage(squareform(apart, checks=False), "average"))


def _explained(
    group: list[int],
    scores: NDArray[np.float64],
    held_out: NDArray[np.float64],
    seed: int,
) -> float:
    """Mean log-density of some coordinates of held-out points."""
    number = min(_GAUSSIANS, len(scores) // _PER_DIRECTION)
    fitted = GaussianMixture.of_size(scores[:, group], number, "full", _FLOOR, seed)
    return float(fitted.log_prob(held_out[:, group]).mean())


def _best_cut(
    node: Any, scores: NDArray[np.float64], held_out: NDArray[np.float64], seed: int
) -> tuple[float, list[list[int]]]:
    """Log-density of held-out scores under the best cut of a tree, and its groups."""
    group = sorted(node.pre_order())
    together = _explained(group, scores, held_out, seed), [group]
    if node.is_leaf():
        return together
    (one, left), (other, right) = (
        _best_cut(part, scores, held_out, seed) for part in (node.left, node.right)
    )
    return max(together, (one + other, left + right))


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
