"""One meaning of z̃ for all sequences: a flow given f, learned after a training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops
from scipy.optimize import linear_sum_assignment
from scipy.stats import kurtosis

from keras_ddr.errors import InputError
from keras_ddr.mixture import GaussianMixture
from keras_ddr.subspaces import independent_directions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import Tensor

    _Codes = Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]
    _Frames = tuple[NDArray[np.float32], NDArray[np.float32]]

__all__ = ["Alignment", "fit_alignment"]

_NAME = "alignment_"
_MOMENTS = "mean", "directions", "turn", "shift"
_LAYERS, _DENSE, _UNITS, _GAUSSIANS = 6, 3, 64, 200
_BATCH, _RATE = 256, 4e-3
_TOGETHER = 20  # steps, since Keras takes as long between two as for one
_LEAST_SPREAD = 0.03  # of a direction of f, as a share of the widest
_FEWEST = 50  # sequences from which differences between them can be learned
_POINTS = 2000  # z̃ that a mixture alone is fitted to
_SILENT = 1e-6  # spread of a component that says nothing
_CLEARER = 1.1  # times as far from normal, for components to be turned
_LOG_VARIANCE, _LOG_2PI = -4.0, float(np.log(2 * np.pi))  # of its densities, at first


@dataclasses.dataclass(frozen=True)
class Alignment:
    """An invertible change of z̃ that depends on f.

    z̃ = (z − μ_p(f)) / σ_p(f) leaves out how f shifts and scales z, but not how it bends
    it. Affine coupling layers (Dinh et al., 2017, "Density estimation using Real NVP",
    section 3), given f, turn z̃ of every sequence into draws of one density for all.

    Attributes:
        mean: Of f, `(static_dim,)`.
        directions: `(static_dim, C)`; (f − mean) · directions is what the layers see.
        turn: `(D, D)`; what they make of z̃ is multiplied by it, so that its components
            depend on each other as little as possible, each near one of z̃.
        shift: What is added then, `(D,)`: mean and spread stay as they were.
        weights: Kernels and biases of the three dense layers of each of L coupling
            layers: `(L, D + C, H)`, `(L, H)`, `(L, H, H)`, `(L, H)`, `(L, H, 2 D)`,
            `(L, 2 D)`.

    Raises:
        InputError: The arrays do not belong together.
    """

    mean: NDArray[np.float32]
    directions: NDArray[np.float32]
    turn: NDArray[np.float32]
    shift: NDArray[np.float32]
    weights: tuple[NDArray[np.float32], ...]

    def __post_init__(self) -> None:
        dim, seen = len(self.shift), len(self.mean)
        first, last = (self.weights[k].shape for k in (0, -1))
        if (
            self.directions.shape != (seen, first[1] - dim)
            or self.turn.shape != (dim, dim)
            or last[1] != 2 * dim
        ):
            raise InputError("the arrays of an alignment do not belong together")

    def forth(self, static: ArrayLike, scores: ArrayLike) -> NDArray[np.float32]:
        """Aligned z̃ of z̃ `(…, D)`, for f `(…, static_dim)`; leading axes broadcast."""
        return self.with_volume(static, scores)[0]

    def with_volume(
        self, static: ArrayLike, scores: ArrayLike
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As `forth`, and the logarithms `(…)` of the determinants of its Jacobian."""
        z, given, shape = self._rows(static, scores)
        volume = np.full(len(z), np.linalg.slogdet(self.turn)[1], "float32")
        for mask, layer in self._layers():
            scale, shift = _coupling(np, z, given, mask, layer)
            z, volume = z * np.exp(scale) + shift, volume + scale.sum(axis=1)
        z = z @ self.turn + self.shift
        return z.reshape(shape), volume.reshape(shape[:-1])

    def back(self, static: ArrayLike, aligned: ArrayLike) -> NDArray[np.float32]:
        """The inverse of `forth`: z̃ of aligned z̃."""
        z, given, shape = self._rows(static, aligned)
        z = (z - self.shift) @ np.linalg.inv(self.turn)
        for mask, layer in reversed(self._layers()):
            scale, shift = _coupling(np, z, given, mask, layer)
            z = (z - shift) * np.exp(-scale)
        return z.reshape(shape)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """All arrays by names."""
        of_layers = {f"{_NAME}{k}": part for k, part in enumerate(self.weights)}
        return {f"{_NAME}{name}": getattr(self, name) for name in _MOMENTS} | of_layers

    @classmethod
    def taken_from(cls, arrays: dict[str, NDArray[Any]]) -> Alignment | None:
        """The alignment among named arrays, or `None`."""
        if f"{_NAME}0" not in arrays:
            return None
        moments = {name: arrays[f"{_NAME}{name}"] for name in _MOMENTS}
        weights = tuple(arrays[f"{_NAME}{k}"] for k in range(2 * _DENSE))
        return cls(**moments, weights=weights)

    def _layers(self) -> list[tuple[NDArray[np.float32], list[NDArray[np.float32]]]]:
        """The mask and the weights of each coupling layer."""
        layers = [list(layer) for layer in zip(*self.weights, strict=True)]
        return list(zip(_masks(len(self.shift), len(layers)), layers, strict=True))

    def _rows(
        self, static: ArrayLike, scores: ArrayLike
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], tuple[int, ...]]:
        """z̃ `(n, D)`, what layers see of f `(n, C)`, and the shape of the result."""
        scores, static = np.asarray(scores, "float32"), np.asarray(static, "float32")
        leading = np.broadcast_shapes(scores.shape[:-1], static.shape[:-1])
        given = (static - self.mean) @ self.directions
        wide = (np.broadcast_to(p, (*leading, p.shape[-1])) for p in (scores, given))
        z, given = (part.reshape(math.prod(leading), -1) for part in wide)
        return z, given, (*leading, scores.shape[-1])


def fit_alignment(
    codes: _Codes, held_out: _Codes, seed: int = 0, steps: int = 1000
) -> Alignment | None:
    """Learn to align z̃ of sequences, if that explains other sequences better.

    The layers and a mixture of normal densities, which all sequences share, are trained
    to give z̃ of train the highest likelihood. People who never do the same have
    nothing to be aligned by: the layers are kept only if z̃ of held-out sequences is
    likelier with them than under a mixture alone.

    Args:
        codes: For each sequence its f `(static_dim,)` and z̃ of its frames `(T, D)`.
        held_out: The same of other sequences.
        seed: Of weights and batches.
        steps: Of the training, 256 frames each.

    Returns:
        `Alignment`, or `None` where sequences are fewer than 50, or gain nothing.
    """
    if len(codes) < _FEWEST or not held_out:
        return None
    static = np.stack([f for f, _ in codes])
    mean = static.mean(axis=0)
    _, deviations, axes = np.linalg.svd(static - mean, full_matrices=False)
    kept = deviations > max(_LEAST_SPREAD * deviations[0], 1e-6)
    directions = axes[kept].T / deviations[kept] * np.sqrt(len(static))
    f, z = _frames(codes)
    weights = _train(z, (f - mean) @ directions, seed, steps)
    size = z.shape[1]
    zeros, eye = np.zeros(size, "float32"), np.eye(size, dtype="float32")
    found = Alignment(mean, directions, eye, zeros, weights)
    moved = found.forth(f, z)
    if not np.isfinite(moved).all():  # the training has failed
        return None
    turn = _independent_axes(moved, z, seed)
    shift = z.mean(axis=0) - moved.mean(axis=0) @ turn
    found = dataclasses.replace(found, turn=turn, shift=shift)
    return found if _gain(found, (f, z), _frames(held_out), seed) > 0 else None


def _independent_axes(
    moved: NDArray[np.float32], z: NDArray[np.float32], seed: int
) -> NDArray[np.float32]:
    """The matrix `(D, D)` that turns aligned z̃ to independent components, like z̃."""
    spread = np.maximum(moved.std(axis=0), _SILENT)
    plain = np.diag(z.std(axis=0) / spread).astype("float32")
    scores = (moved - moved.mean(axis=0)) / spread
    if min(moved.std(axis=0).min(), z.std(axis=0).min()) < _SILENT:
        return plain
    turned = independent_directions(scores, seed)
    if _peakedness(scores @ turned) < _CLEARER * _peakedness(scores):
        return plain  # a normal density has no axes
    like = np.corrcoef((scores @ turned).T, z.T)[: len(spread), len(spread) :]
    _, order = linear_sum_assignment(-np.abs(like.T))
    signs = np.sign(like[order, np.arange(len(order))])
    turn = turned[:, order] * signs / spread[:, None] * z.std(axis=0)
    return turn.astype("float32")


def _peakedness(scores: NDArray[np.floating]) -> float:
    """How far components `(n, D)` are from normal densities: their mean |kurtosis|."""
    return float(np.abs(kurtosis(scores)).mean())


def _gain(alignment: Alignment, frames: _Frames, held_out: _Frames, seed: int) -> float:
    """Nats a held-out frame that z̃ is likelier with an alignment than without."""
    generator = np.random.default_rng([seed, 8])
    chosen = (generator.permutation(len(z))[:_POINTS] for _, z in (frames, held_out))
    (f, z), (other_f, others) = (
        (static[rows], scores[rows])
        for rows, (static, scores) in zip(chosen, (frames, held_out), strict=True)
    )
    moved, volume = alignment.with_volume(other_f, others)
    with_it = GaussianMixture.fit(alignment.forth(f, z), moved, seed).log_prob(moved)
    alone = GaussianMixture.fit(z, others, seed).log_prob(others)
    return float((with_it + volume - alone).mean())


def _frames(codes: _Codes) -> _Frames:
    """Codes f and z̃ of all frames, `(n, static_dim)` and `(n, D)`."""
    repeated = [np.tile(f, (len(scores), 1)) for f, scores in codes]
    return np.concatenate(repeated), np.concatenate([scores for _, scores in codes])


def _train(
    z: NDArray[np.float32], given: NDArray[np.float32], seed: int, steps: int
) -> tuple[NDArray[np.float32], ...]:
    """Weights of coupling layers for z̃ `(n, D)` of frames, given `(n, C)`."""
    generator = np.random.default_rng([seed, 7])
    flow = _Flow(z[generator.permutation(len(z))[:_GAUSSIANS]], given.shape[1], seed)
    rate = keras.optimizers.schedules.CosineDecay(_RATE, steps)
    flow.compile(
        keras.optimizers.Adam(rate),
        loss=lambda _, found: -found,
        steps_per_execution=1 if keras.backend.backend() == "torch" else _TOGETHER,
    )
    drawn = generator.integers(len(z), size=steps * _BATCH)
    nothing = np.zeros((len(drawn), 1), "float32")
    inputs = z[drawn], given[drawn]
    flow.fit(inputs, nothing, batch_size=_BATCH, shuffle=False, verbose=0)
    return tuple(ops.convert_to_numpy(part) for part in flow.of_layers)


class _Flow(keras.Model):
    """log p(z̃ | f) `(n, 1)` of z̃ `(n, D)`: coupling layers over a mixture."""

    def __init__(self, centres: NDArray[np.float32], seen: int, seed: int) -> None:
        super().__init__(name="flow", dtype="float32")
        number, dim = centres.shape
        sizes = [(dim + seen, _UNITS), (_UNITS, _UNITS), (_UNITS, 2 * dim)]
        generator = np.random.default_rng([seed, 9])
        starts = []
        for rows, columns in sizes:
            drawn = generator.standard_normal((_LAYERS, rows, columns))
            starts += [drawn / np.sqrt(rows), np.zeros((_LAYERS, columns))]
        starts[-2] *= 0  # at first nothing moves
        self.of_layers = [self._weight(start) for start in starts]
        self.centres = self._weight(centres)
        self.log_variances = self._weight(np.full((number, dim), _LOG_VARIANCE))
        self.shares = self._weight(np.zeros(number))

    def _weight(self, start: NDArray[Any]) -> keras.Variable:
        constant = keras.initializers.Constant(start.astype("float32"))
        return self.add_weight(shape=start.shape, initializer=constant)

    def call(self, inputs: tuple[Tensor, Tensor]) -> Tensor:
        (z, given), volume = inputs, 0.0
        for k, mask in enumerate(_masks(z.shape[1], _LAYERS)):
            layer = [part[k] for part in self.of_layers]
            kept = ops.convert_to_tensor(mask)
            scale, shift = _coupling(ops, z, given, kept, layer)
            z, volume = z * ops.exp(scale) + shift, volume + ops.sum(scale, axis=1)
        apart = ops.square(z[:, None] - self.centres) * ops.exp(-self.log_variances)
        parts = -0.5 * ops.sum(apart + self.log_variances + _LOG_2PI, axis=2)
        value = ops.logsumexp(ops.log_softmax(self.shares) + parts, axis=1)
        return ops.expand_dims(value + volume, 1)


def _masks(dim: int, layers: int) -> list[NDArray[np.float32]]:
    """1 for every other dimension, which a layer leaves as it is; then the others."""
    return [(np.arange(dim) % 2 == k % 2).astype("float32") for k in range(layers)]


def _coupling(
    xp: Any, z: Any, given: Any, mask: Any, layer: list[Any]
) -> tuple[Any, Any]:
    """Logarithms of factors, and shifts, of z̃ `(n, D)`; `xp` is NumPy or keras.ops."""
    *hidden, kernel, bias = layer
    x = xp.concatenate([z * mask, given], axis=1)
    for weights, constant in zip(hidden[::2], hidden[1::2], strict=True):
        x = xp.matmul(x, weights) + constant
        x = x / (1 + xp.exp(-x))
    x = (xp.matmul(x, kernel) + bias) * xp.concatenate([1 - mask, 1 - mask])
    dim = mask.shape[0]
    return xp.tanh(x[:, :dim]), x[:, dim:]
