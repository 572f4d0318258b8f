"""Mixtures of Gaussians that are fitted to codes after a training."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.special import logsumexp, ndtr

from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["GaussianMixture"]

_LOG_2PI = np.log(2 * np.pi)
# A fit chooses from these numbers of components, and from one covariance each or one
# for all, with the smallest variance as a share of the mean one.
_COMPONENTS = (1, 3, 10, 30, 90)
_COVARIANCES = ("full", 1e-3), ("full", 1e-2), ("tied", 1e-3)
_ITERATIONS = 50
_PER_COMPONENT = 5  # points, at least
_FEWEST = 8  # points for more than one component
_BISECTIONS = 50
_ARRAYS = "weights", "means", "covariances"


@dataclasses.dataclass(frozen=True)
class GaussianMixture:
    """A density on vectors: the sum of K normal densities with full covariances.

    Attributes:
        weights: Shares of the components `(K,)`, floats that sum to 1.
        means: `(K, D)`.
        covariances: `(K, D, D)`, positive definite.

    Raises:
        InputError: The arrays do not belong together, or describe no density.

    Example:
        >>> import numpy as np
        >>> from keras_ddr.mixture import GaussianMixture
        >>> density = GaussianMixture([1.0], np.zeros((1, 2)), np.eye(2)[None])
        >>> density.log_prob(np.zeros((1, 2))).round(3)
        array([-1.838])
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]
    _factors: NDArray[np.float64] = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            value = np.asarray(getattr(self, name), "float64")
            object.__setattr__(self, name, value)
        shape = self.means.shape
        if (
            self.means.ndim != 2
            or self.weights.shape != shape[:1]
            or self.covariances.shape != (*shape, shape[-1])
            or not np.isclose(self.weights.sum(), 1.0, atol=1e-4)
            or (self.weights < 0).any()
            or not np.isfinite(self.means).all()
        ):
            raise InputError("the arrays of a mixture do not describe a density")
        try:
            factors = np.linalg.cholesky(self.covariances)
        except np.linalg.LinAlgError:
            factors = np.full_like(self.covariances, np.nan)
        if not np.isfinite(factors).all():
            raise InputError("a covariance of a mixture is not positive definite")
        object.__setattr__(self, "_factors", factors)  # of Cholesky

    @property
    def dim(self) -> int:
        """D, dimensions of the vectors."""
        return self.means.shape[1]

    @classmethod
    def fit(
        cls, points: ArrayLike, held_out: ArrayLike = (), seed: int = 0
    ) -> GaussianMixture:
        """Fit a mixture to points, the one that explains others best.

        The number of components (at most 90), whether each has its own covariance, and
        the smallest variance are those with the highest log-density of `held_out`.
        Without held-out points, or with fewer than 8 points, it is one Gaussian.

        Args:
            points: `(n, D)`, n ≥ 1. A dimension may be constant.
            held_out: Further points `(m, D)`.
            seed: Of the first guesses.

        Raises:
            InputError: There is no point, or one that is not finite.
        """
        points, held_out = as_points(points), np.asarray(held_out, "float64")
        # Codes that are all alike still need one that rounding does not reach.
        least = 1e-8 * max(1.0, float(np.square(points).mean()))
        spread = max(float(points.var(axis=0).mean()), least)
        if len(points) < _FEWEST or not len(held_out):
            return cls.of_size(points, 1, "full", 1e-3 * spread, seed)
        best, most = None, -np.inf
        for kind, floor in _COVARIANCES:
            before = -np.inf
            for number in _COMPONENTS:
                if number > 1 and number * _PER_COMPONENT > len(points):
                    break
                found = cls.of_size(points, number, kind, floor * spread, seed)
                value = found.log_prob(held_out).mean()
                if value > most:
                    best, most = found, value
                if value < before:
                    break  # more components explain less
                before = value
        if best is None:
            raise InputError("held_out: give points of finite numbers")
        return best

    @classmethod
    def of_size(
        cls, points: NDArray[Any], number: int, kind: str, floor: float, seed: int
    ) -> GaussianMixture:
        """Fit a mixture of this size by expectation maximisation.

        Args:
            points: `(n, D)`, finite, at least as many as components.
            number: Components.
            kind: "full" for a covariance each, "tied" for one of all.
            floor: Variance that is added to each dimension.
            seed: Of the first guess.
        """
        if len(points) == 1:
            return cls(np.ones(1), points, floor * np.eye(points.shape[1])[None])
        return cls._maximised(
            points,
            n_components=number,
            covariance_type=kind,
            reg_covar=floor,
            max_iter=_ITERATIONS,
            random_state=seed,
        )

    def improved(
        self, points: NDArray[Any], floor: float, steps: int = 3
    ) -> GaussianMixture:
        """The mixture after further steps of expectation maximisation."""
        return self._maximised(
            points,
            n_components=len(self.weights),
            reg_covar=floor,
            max_iter=steps,
            weights_init=self.weights / self.weights.sum(),
            means_init=self.means,
            precisions_init=np.linalg.inv(self.covariances),
        )

    @classmethod
    def _maximised(cls, points: NDArray[Any], **options: Any) -> GaussianMixture:
        """The mixture that scikit-learn fits to points with these options."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture as Fitted

        fitted = Fitted(**options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted.fit(points)
        (number, dim), covariances = fitted.means_.shape, fitted.covariances_
        covariances = np.broadcast_to(covariances, (number, dim, dim))
        return cls(fitted.weights_, fitted.means_, covariances)

    def log_prob(self, x: ArrayLike) -> NDArray[np.float64]:
        """Log-density in nats `(n,)` of points `(n, D)`."""
        return logsumexp(self._log_parts(np.asarray(x, "float64")), axis=1)

    def _log_parts(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-density of each component, times its weight, `(n, K)`."""
        with np.errstate(divide="ignore"):
            return np.log(self.weights) + self.component_log_prob(x)

    def component_log_prob(self, x: ArrayLike) -> NDArray[np.float64]:
        """Log-density of each component alone `(n, K)`, of points `(n, D)`."""
        x, parts = np.asarray(x, "float64"), []
        for mean, factor in zip(self.means, self._factors, strict=True):
            solved = solve_triangular(factor, (x - mean).T, lower=True)
            log_det = np.log(np.diag(factor)).sum()
            parts.append(-log_det - 0.5 * (solved**2).sum(axis=0))
        return np.stack(parts, axis=1) - 0.5 * self.dim * _LOG_2PI

    def responsibilities(self, x: ArrayLike) -> NDArray[np.float64]:
        """Probability of each component `(n, K)`, given points `(n, D)`."""
        parts = self._log_parts(np.asarray(x, "float64"))
        return np.exp(parts - logsumexp(parts, axis=1, keepdims=True))

    def score(self, x: ArrayLike) -> NDArray[np.float64]:
        """Gradients of the log-density `(n, D)` at points `(n, D)`."""
        x = np.asarray(x, "float64")
        shares, found = self.responsibilities(x), np.zeros_like(x)
        for k, factor in enumerate(self._factors):
            pull = cho_solve((factor, True), (self.means[k] - x).T).T
            found += shares[:, k, None] * pull
        return found

    def weighted(self, weights: ArrayLike) -> GaussianMixture:
        """The same components with other shares `(K,)`."""
        return GaussianMixture(np.asarray(weights), self.means, self.covariances)

    def ordered(self, order: Sequence[int]) -> GaussianMixture:
        """The same density with its components in this order."""
        order = list(order)
        return GaussianMixture(
            self.weights[order], self.means[order], self.covariances[order]
        )

    def sample(
        self, number: int, generator: np.random.Generator
    ) -> NDArray[np.float32]:
        """Draws `(number, D)`."""
        which = generator.choice(
            len(self.weights), size=number, p=self.weights / self.weights.sum()
        )
        noise = generator.standard_normal((number, self.dim))
        moved = np.einsum("nij,nj->ni", self._factors[which], noise)
        return (self.means[which] + moved).astype("float32")

    def marginal(self, axes: Sequence[int]) -> GaussianMixture:
        """The density of some of the dimensions, in this order."""
        axes = list(axes)
        return GaussianMixture(
            self.weights, self.means[:, axes], self.covariances[:, axes][:, :, axes]
        )

    def given(self, known: ArrayLike) -> GaussianMixture:
        """The density of the last dimensions, given the values of the first ones."""
        known = np.asarray(known, "float64")
        first = len(known)
        log_weights = self.marginal(range(first))._log_parts(known[None])[0]
        weights = np.exp(log_weights - logsumexp(log_weights))
        covariances = self.covariances
        gain = np.linalg.solve(
            covariances[:, :first, :first], covariances[:, :first, first:]
        ).transpose(0, 2, 1)
        shift = np.einsum("kij,kj->ki", gain, known - self.means[:, :first])
        rest = covariances[:, first:, first:] - gain @ covariances[:, :first, first:]
        return GaussianMixture(weights, self.means[:, first:] + shift, rest)

    def quantiles(self, shares: ArrayLike) -> NDArray[np.float64]:
        """Values `(n,)` of the only dimension below which these shares lie."""
        shares = np.asarray(shares, "float64")
        mean, deviation = self.means[:, 0], np.sqrt(self.covariances[:, 0, 0])
        low = np.full_like(shares, (mean - 10 * deviation).min())
        high = np.full_like(shares, (mean + 10 * deviation).max())
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            below = ndtr((middle[:, None] - mean) / deviation) @ self.weights
            low = np.where(below < shares, middle, low)
            high = np.where(below < shares, high, middle)
        return (low + high) / 2

    def grid(self, shares: ArrayLike, axes: Sequence[int]) -> NDArray[np.float32]:
        """Vectors on a grid that follows the mass, `(rows, columns, D)`.

        Columns are quantiles of the first of the axes; rows, from high to low, are
        quantiles of the second given the first; the other dimensions have the mean of
        the likeliest component there. With one axis there is one row.
        """
        shares = np.asarray(shares, "float64")
        down = shares[::-1] if len(axes) == 2 else shares[:1]
        across, down = np.meshgrid(shares, down)
        pairs = np.stack([across.ravel(), down.ravel()], axis=1)[:, : len(axes)]
        return self.at_quantiles(pairs, axes).reshape(*across.shape, self.dim)

    def at_quantiles(
        self, shares: ArrayLike, axes: Sequence[int]
    ) -> NDArray[np.float32]:
        """Vectors `(n, D)` by shares `(n, len(axes))` of the mass below them.

        The first axis is at its quantile, a second one at that given the first, and
        the other dimensions are as in `grid`.
        """
        shares = np.array(shares, "float64")
        plane, places = self.marginal(axes), np.empty_like(shares)
        places[:, 0] = plane.marginal([0]).quantiles(shares[:, 0])
        if len(axes) == 2:
            for x in np.unique(places[:, 0]):
                here = places[:, 0] == x
                places[here, 1] = plane.given([x]).quantiles(shares[here, 1])
        return self.completed(places, axes)

    def completed(self, places: ArrayLike, axes: Sequence[int]) -> NDArray[np.float32]:
        """Vectors `(n, D)` with these values `(n, len(axes))` of some dimensions.

        The others have the mean of the component that is likeliest there.
        """
        places = np.asarray(places, "float64")
        others = [axis for axis in range(self.dim) if axis not in axes]
        vectors = np.zeros((len(places), self.dim), "float32")
        vectors[:, list(axes)] = places
        if others:
            ordered = self.marginal([*axes, *others])
            for vector, place in zip(vectors, places, strict=True):
                rest = ordered.given(place)
                vector[others] = rest.means[rest.weights.argmax()]
        return vectors


def as_points(points: ArrayLike) -> NDArray[np.float64]:
    """Points `(n, D)` that a density can be fitted to; others are an `InputError`."""
    points = np.asarray(points, "float64")
    if points.ndim != 2 or not len(points) or not np.isfinite(points).all():
        raise InputError("points: give at least one, all of finite numbers")
    return points
