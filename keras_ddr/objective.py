"""The objective of training: the negative ELBO, and its relaxations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_ddr.arguments import check_number, check_whole
from keras_ddr.gaussian import DiagonalGaussian

if TYPE_CHECKING:
    from keras_ddr.likelihoods import Likelihood
    from keras_ddr.typing import Tensor

__all__ = ["ELBO", "dependence", "moving_error", "unexplained_change"]

_LEAST_CHANGE = 0.001


@keras.saving.register_keras_serializable(package="keras_ddr")
@dataclasses.dataclass(frozen=True)
class ELBO:
    """The negative ELBO of `DDR`, and what training may descend in its place.

    The history shows reconstruction + kl_weight · (KL z + static_kl_weight · KL f)
    whatever the other settings are, so that epochs and runs can be compared. A subclass
    with other posteriors or priors overrides `kl_terms`; one whose weights change with
    the step, `factors` and `counts_steps`; one with another loss, `__call__`.

    Args:
        kl_weight: Factor on both KL terms; 1 is the ELBO.
        static_kl_weight: Further factor on the KL of f. 1 is the ELBO of a set; N / T
            that of a whole sequence of T frames, which has one f, divided among its
            sets.
        kl_warmup: Training steps in which the factor rises in equal parts to
            `kl_weight`; 0 for none.
        free_bits: Nats that each dimension of f (of a sequence) and of z (of a frame)
            may take for nothing: training does not push a KL below, in the mean over a
            batch (Kingma et al. 2016, Appendix C.8; on several TensorFlow devices, over
            the part of each). 0 is the ELBO.
        independence_weight: Nats that a frame pays for each unit of `dependence` of z̃
            on the sequence, in a batch (or the part of a device); for data whose
            sequences show the same range of motion. 0 is the ELBO.
        motion_weight: Further nats that a unit of `moving_error` costs in training:
            about 10 for data whose small motions matter, as those of faces. 0 is the
            ELBO.
        change_weight: Nats that a frame pays in training for `unexplained_change` of
            1, where small changes between frames count as much as large ones. 0 is
            the ELBO.

    Raises:
        InputError: A number that cannot be used.

    References:
        Section 2, "Learning".
    """

    kl_weight: float = 1.0
    static_kl_weight: float = 1.0
    kl_warmup: int = 0
    free_bits: float = 0.0
    independence_weight: float = 0.0
    motion_weight: float = 0.0
    change_weight: float = 0.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(ELBO):
            value: Any = getattr(self, field.name)
            whole = field.type == "int"
            if not whole:
                check_number(**{field.name: value})
            elif value != 0:
                check_whole(**{field.name: value})
            object.__setattr__(self, field.name, (int if whole else float)(value))

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the same objective again."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ELBO:
        """Make the objective that `get_config` has described."""
        return cls(**config)

    @property
    def counts_steps(self) -> bool:
        """Whether the loss depends on the number of the training step."""
        return bool(self.kl_warmup)

    def factors(self, step: Tensor | None) -> tuple[Any, Any]:
        """Factors on the reconstruction and on both KL terms; `step` as for a call."""
        kl_weight: Any = self.kl_weight
        if step is not None and self.kl_warmup:
            kl_weight *= ops.minimum(step / self.kl_warmup, 1.0)
        return 1.0, kl_weight

    def kl_terms(self, outputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """KL of each dimension in float32 nats, for the dict of `DDR.call`.

        z has `(B, N, dynamic_dim)` of them, f `(B, static_dim)`.
        """
        static, dynamic, prior = _distributions(outputs)
        return dynamic.kl_terms(prior), static.kl_terms()

    def parts(
        self, frames: Tensor, outputs: Mapping[str, Tensor], likelihood: Likelihood
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The three parts of the negative ELBO of each set, arguments as for a call.

        −log p(x | f, z), KL(q(z | f, x) ‖ p(z | f)) and KL(q(f | x_S) ‖ p(f)): float32
        `(B,)` in nats, summed over the N frames and their pixels.
        """
        dynamic, static = self.kl_terms(outputs)
        return (
            reconstruction_error(frames, outputs, likelihood),
            ops.sum(dynamic, axis=(1, 2)),
            ops.sum(static, axis=1),
        )

    def total(self, parts: Mapping[str, Any]) -> Any:
        """Loss of means of its parts, as the history shows it."""
        kl = parts["kl_dynamic"] + self.static_kl_weight * parts["kl_static"]
        return parts["reconstruction_loss"] + self.kl_weight * kl

    def __call__(
        self,
        frames: Tensor,
        outputs: Mapping[str, Tensor],
        likelihood: Likelihood,
        weights: Tensor,
        step: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch and its parts.

        Args:
            frames: `(B, N, H, W, C)` float32 in [0, 1]: those that were decoded.
            outputs: Dict that `DDR.call` returned for them.
            likelihood: p(x | f, z).
            weights: Share of each set in the mean, `(B,)`, or a scalar for all.
            step: Training steps so far, this one included, float32 scalar; `None`
                outside training, where warm-up, free bits, the penalty of dependence
                and the weight of motion do not apply.

        Returns:
            float32 scalar in nats, and a dict of the means `reconstruction_loss`,
            `kl_static` and `kl_dynamic`.
        """

        def mean(values: Tensor) -> Tensor:  # over the sets, for which weights are
            return ops.sum(ops.moveaxis(values, 0, -1) * weights, axis=-1)

        reconstruction = mean(reconstruction_error(frames, outputs, likelihood))
        dynamic, static = self.kl_terms(outputs)
        number = dynamic.shape[1]
        # Nats of each dimension, for all frames and for the sequence.
        dynamic, static = mean(ops.sum(dynamic, axis=1)), mean(static)
        parts = {
            "reconstruction_loss": reconstruction,
            "kl_static": ops.sum(static),
            "kl_dynamic": ops.sum(dynamic),
        }
        of_reconstruction, kl_weight = self.factors(step)
        if step is not None and self.free_bits:
            dynamic = ops.maximum(dynamic, self.free_bits * number)
            static = ops.maximum(static, self.free_bits)
        kl = ops.sum(dynamic) + self.static_kl_weight * ops.sum(static)
        loss = of_reconstruction * reconstruction + kl_weight * kl
        if step is not None and self.independence_weight:
            _, z, prior = _distributions(outputs)
            distance = dependence(prior.standardize(z.mean), weights)
            loss += self.independence_weight * number * distance
        if step is not None and (self.motion_weight or self.change_weight):
            logits = outputs["reconstruction_logits"]
            expected, true = likelihood.compared(logits, frames)
        if step is not None and self.motion_weight:
            loss += self.motion_weight * mean(moving_error(true, expected))
        if step is not None and self.change_weight:
            share = unexplained_change(true, expected)
            loss += self.change_weight * number * mean(share)
        return loss, parts


def reconstruction_error(
    frames: Tensor, outputs: Mapping[str, Tensor], likelihood: Likelihood
) -> Tensor:
    """−log p(x | f, z) of each set, `(B,)` float32 nats; arguments as `ELBO.parts`."""
    log_prob = likelihood.log_prob(outputs["reconstruction_logits"], frames)
    return -ops.sum(log_prob, axis=1)


def moving_error(frames: Tensor, expected: Tensor) -> Tensor:
    """Squared error of what moves within each set.

    An error that all frames of a set share, as of a person's looks, does not count: it
    is far larger than that of an expression, and learned first.

    Args:
        frames: `(B, N, D)`, as `Likelihood.compared` gives them.
        expected: Those expected in their place, of the same shape.

    Returns:
        `(B,)`: Σ‖(x − x̄) − (x̂ − x̂̄)‖² over the N frames, with x̄ and x̂̄ their means.
    """
    error = expected - frames
    error = error - ops.mean(error, axis=1, keepdims=True)
    return ops.sum(ops.square(error), axis=(1, 2))


def dependence(dynamic: Tensor, weights: Tensor) -> Tensor:
    """How much a frame's code says of which sequence it belongs to, in units of codes.

    The energy distance of Székely and Rizzo (2013) between the codes of one sequence
    and those of all: the mean distance of two frames of different sets less that of two
    frames of one set. Its expectation is 0 where all sequences have the same
    distribution of codes, and positive otherwise; it is 0 for fewer than two sets.

    Args:
        dynamic: `(B, N, D)`, codes of N ≥ 2 frames of each of B sets.
        weights: Of the sets, `(B,)` or a scalar; 0 leaves a set out.
    """
    number = dynamic.shape[1]
    weights = ops.ones_like(dynamic[:, 0, 0]) * ops.convert_to_tensor(weights)
    # A set counts by its weight, two sets by the product of theirs.
    own = ops.sum(_distances(dynamic, dynamic), axis=(1, 2))
    within = ops.sum(weights * own) / (number * (number - 1))
    codes = ops.reshape(dynamic, (-1, dynamic.shape[-1]))
    of_codes = ops.repeat(weights, number)
    total = ops.sum(of_codes[:, None] * of_codes * _distances(codes, codes))
    across = total - ops.sum(ops.square(weights) * own)
    whole = ops.sum(weights)
    pairs = ops.square(whole) - ops.sum(ops.square(weights))
    # With one set alone the differences are errors of rounding.
    several = pairs > 1e-4 * ops.square(whole)
    across /= ops.where(several, number**2 * pairs, 1.0)
    within /= ops.where(several, whole, 1.0)
    return ops.cast(several, across.dtype) * (across - within)


def _distances(one: Tensor, other: Tensor) -> Tensor:
    """`(…, I, D)` and `(…, J, D)` to `(…, I, J)`; 0 has a gradient of 0."""
    squares = ops.square(one[..., :, None, :] - other[..., None, :, :])
    return ops.sqrt(ops.sum(squares, axis=-1) + 1e-12)


def _distributions(outputs: Mapping[str, Tensor]) -> Iterator[DiagonalGaussian[Tensor]]:
    """q(f | x_S), q(z | f, x) and p(z | f), the last with an axis for the frames."""
    for name in ("static", "dynamic", "prior"):
        mean, log_variance = (
            ops.cast(outputs[f"{name}_{of}"], "float32")
            for of in ("mean", "log_variance")
        )
        if name == "prior":
            mean, log_variance = mean[:, None], log_variance[:, None]
        yield DiagonalGaussian(mean, log_variance)


def unexplained_change(frames: Tensor, expected: Tensor) -> Tensor:
    """Share of the change from one frame to another that is not expected.

    A smile changes a hundredth of what a turn of the head does, and is unexplained for
    as long in the squared error. As a share of its own it counts as much.

    Args:
        frames: `(B, N, D)`, as `Likelihood.compared` gives them.
        expected: Those expected in their place, of the same shape.

    Returns:
        `(B,)`: mean over the pairs of a set of ‖(x_i − x_j) − (x̂_i − x̂_j)‖² over
        ‖x_i − x_j‖² + c, where c is a thousandth of the latter's mean over the batch:
        frames that are all but equal differ by noise.
    """
    change, left = _squared_distances(frames), _squared_distances(expected - frames)
    number = frames.shape[1]
    pairs = number * (number - 1)
    least = _LEAST_CHANGE * ops.mean(ops.sum(change, axis=(1, 2))) / pairs
    return ops.sum(left / (change + least + 1e-7), axis=(1, 2)) / pairs


def _squared_distances(points: Tensor) -> Tensor:
    """‖x_i − x_j‖² of all pairs of a set, `(B, N, N)`, for `(B, N, D)`."""
    flat = points - ops.mean(points, axis=1, keepdims=True)  # small, for precision
    products = ops.matmul(flat, ops.transpose(flat, (0, 2, 1)))
    squares = ops.diagonal(products, axis1=1, axis2=2)
    distances = squares[:, :, None] + squares[:, None] - 2 * products
    return ops.maximum(distances, 0.0)
