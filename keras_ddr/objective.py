"""What training minimises: the negative ELBO, and its relaxations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_ddr.arguments import check_number
from keras_ddr.gaussian import DiagonalGaussian

if TYPE_CHECKING:
    # What it is mixed into.
    from keras import Model as _Base

    from keras_ddr.likelihoods import Likelihood
    from keras_ddr.typing import Tensor
else:
    _Base = object

__all__ = ["Objective", "dependence"]


class _Weight:
    """A number of the loss that may be set at any time, also between two epochs.

    TensorFlow and JAX compile it into their steps, which are made anew where it
    changes.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name, self._kept = name, f"_{name}"

    def __get__(self, model: Any, owner: type | None = None) -> Any:
        return self if model is None else getattr(model, self._kept)

    def __set__(self, model: Any, value: float) -> None:
        named: dict[str, Any] = {self._name: value}
        check_number(**named)
        changed = getattr(model, self._kept, value) != value
        setattr(model, self._kept, float(value))
        if changed:
            model.test_function = None  # made before each validation
            if model.train_function is not None:
                model.make_train_function(force=True)


class Objective(_Base):
    """Mixin of `DDR`: the loss and its parts.

    The model sets `kl_weight`, `static_kl_weight`, `kl_warmup`, `free_bits` and
    `independence_weight`. They change what training descends; the history always shows
    reconstruction + kl_weight · (KL z + static_kl_weight · KL f), so that epochs and
    runs can be compared. Where layers of a subclass add losses or have regularizers, or
    it has a `compute_loss` of its own, the history shows the mean of that loss.
    """

    # What it needs of `DDR`.
    likelihood: Likelihood
    kl_warmup: int

    kl_weight = _Weight()
    static_kl_weight = _Weight()
    free_bits = _Weight()
    independence_weight = _Weight()

    def _make_trackers(self) -> None:
        self._has_added_losses = False
        self._reconstruction_tracker = keras.metrics.Mean("reconstruction_loss")
        self._kl_static_tracker = keras.metrics.Mean("kl_static")
        self._kl_dynamic_tracker = keras.metrics.Mean("kl_dynamic")
        if self.kl_warmup:
            # Saved with the weights, so that a resumed training goes on with it.
            self._step = self.add_weight(
                shape=(),
                initializer="zeros",
                dtype="float32",
                trainable=False,
                aggregation="only_first_replica",
                name="step",
            )

    @property
    def warming_up(self) -> bool:
        """Whether the weight of the KL terms still rises."""
        return bool(self.kl_warmup) and float(self._step) < self.kl_warmup

    def elbo_parts(
        self, frames: Tensor, outputs: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The three parts of the negative ELBO of each set (section 2, "Learning").

        Args:
            frames: `(B, N, H, W, C)`, as given to `call`.
            outputs: What `call` returned for them.

        Returns:
            Tuple of float32 tensors `(B,)` in nats, summed over the N frames and their
            pixels: −log p(x | f, z), KL(q(z | f, x) ‖ p(z | f)) and
            KL(q(f | x_S) ‖ p(f)).
        """
        dynamic, static = self.kl_terms(outputs)
        return (
            self._reconstruction(frames, outputs),
            ops.sum(dynamic, axis=(1, 2)),
            ops.sum(static, axis=1),
        )

    def kl_terms(self, outputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """KL of each dimension; a subclass with other posteriors or priors has its own.

        Args:
            outputs: What `call` returned.

        Returns:
            Tuple of float32 tensors in nats: of z for each frame `(B, N, dynamic_dim)`,
            KL(q(z | f, x) ‖ p(z | f)), and of f `(B, static_dim)`, KL(q(f | x_S) ‖
            p(f)).
        """
        static, dynamic, prior = (
            DiagonalGaussian(
                ops.cast(outputs[f"{name}_mean"], "float32"),
                ops.cast(outputs[f"{name}_log_variance"], "float32"),
            )
            for name in ("static", "dynamic", "prior")
        )
        prior = DiagonalGaussian(prior.mean[:, None], prior.log_variance[:, None])
        return dynamic.kl_terms(prior), static.kl_terms()

    def _reconstruction(self, frames: Tensor, outputs: Mapping[str, Tensor]) -> Tensor:
        # With distinct dynamic frames those from which f came are not decoded.
        number = outputs["reconstruction_logits"].shape[1]
        log_prob = self.likelihood.log_prob(
            outputs["reconstruction_logits"],
            self._intensities(frames[:, -number:], "float32"),
        )
        return -ops.sum(log_prob, axis=1)

    def _total_weight(self, x: Tensor, sample_weight: Tensor | None) -> Tensor:
        """What a batch counts in means over batches, a float32 scalar."""
        if sample_weight is None:
            return ops.cast(ops.shape(x)[0], "float32")
        return ops.sum(ops.cast(sample_weight, "float32"))

    def compute_loss(
        self,
        x: Tensor = None,
        y: None = None,
        y_pred: Any = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """The negative ELBO of a batch; notes its parts for the history.

        Args:
            x: Frames `(B, N, H, W, C)`.
            y: Not used.
            y_pred: What `call` returned for `x`.
            sample_weight: `(B,)`, or `None` for equal weights; 0 leaves a set out.
            training: Whether warm-up, free bits and the penalty of dependence apply.

        Returns:
            float32 scalar in nats: the (weighted) mean over the sets of
            reconstruction + kl_weight · (KL z + static_kl_weight · KL f), in training
            + independence_weight · N · `dependence`; and what layers added (`losses`).
        """
        weight = self._total_weight(x, sample_weight)
        if sample_weight is None:
            scale = 1.0 / weight
        else:
            weights = ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
            scale = weights / ops.maximum(weight, 1e-7)

        def mean(values: Tensor) -> Tensor:
            """Over the sets; the first axis goes last for the weights."""
            return ops.sum(ops.moveaxis(values, 0, -1) * scale, axis=-1)

        reconstruction = mean(self._reconstruction(x, y_pred))
        dynamic, static = self.kl_terms(y_pred)
        frames = dynamic.shape[1]
        # Nats of each dimension, for all frames and for the sequence.
        dynamic, static = mean(ops.sum(dynamic, axis=1)), mean(static)
        for tracker, value in (
            (self._reconstruction_tracker, reconstruction),
            (self._kl_dynamic_tracker, ops.sum(dynamic)),
            (self._kl_static_tracker, ops.sum(static)),
        ):
            tracker.update_state(ops.stop_gradient(value), sample_weight=weight)
        kl_weight = self.kl_weight
        if training and self.free_bits:
            dynamic = ops.maximum(dynamic, self.free_bits * frames)
            static = ops.maximum(static, self.free_bits)
        if training and self.kl_warmup:
            self._step.assign_add(1.0)
            kl_weight *= ops.minimum(self._step / self.kl_warmup, 1.0)
        kl = ops.sum(dynamic) + self.static_kl_weight * ops.sum(static)
        loss = reconstruction + kl_weight * kl
        if training and self.independence_weight:
            relative = _relative_dynamics(y_pred)
            loss += self.independence_weight * frames * dependence(relative, scale)
        added = self.losses
        self._has_added_losses = bool(added)
        for value in added:
            loss += ops.sum(ops.cast(value, "float32"))
        return loss

    def get_metrics_result(self) -> dict[str, Tensor]:
        """Means of the loss and its parts over the batches so far.

        The loss is the sum of its parts, each weighted by the weights of its sets, and
        not Keras's own mean, in which a padded batch counts as a full one; but for a
        loss of which these are not all parts.
        """
        logs = super().get_metrics_result()
        if (
            self._has_added_losses
            or type(self).compute_loss is not Objective.compute_loss
        ):
            return logs
        kl = logs["kl_dynamic"] + self.static_kl_weight * logs["kl_static"]
        return {**logs, "loss": logs["reconstruction_loss"] + self.kl_weight * kl}


def dependence(dynamic: Tensor, weights: Tensor) -> Tensor:
    """How much a frame's code says of which sequence it belongs to.

    The energy distance of Székely and Rizzo (2013) between the codes of one sequence
    and those of all, estimated from pairs of frames: the mean distance of two frames of
    different sets less that of two frames of one set. Its expectation is 0 where all
    sequences have the same distribution of codes, and positive otherwise.

    Args:
        dynamic: `(B, N, D)`, codes of N ≥ 2 frames of each of B sets.
        weights: Of the sets, `(B,)` or a scalar; 0 leaves a set out.

    Returns:
        float32 scalar, in units of the codes; 0 where fewer than two sets count.
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
    # Of one set alone what is left of the differences are errors of rounding.
    several = pairs > 1e-4 * ops.square(whole)
    across /= ops.where(several, number**2 * pairs, 1.0)
    within /= ops.where(several, whole, 1.0)
    return ops.cast(several, across.dtype) * (across - within)


def _distances(one: Tensor, other: Tensor) -> Tensor:
    """`(…, I, D)` and `(…, J, D)` to `(…, I, J)`; 0 has a gradient of 0."""
    squares = ops.square(one[..., :, None, :] - other[..., None, :, :])
    return ops.sqrt(ops.sum(squares, axis=-1) + 1e-12)


def _relative_dynamics(outputs: Mapping[str, Tensor]) -> Tensor:
    """z̃ of the posterior means, `(B, N, dynamic_dim)`."""
    mean, prior_mean, prior_log_variance = (
        ops.cast(outputs[name], "float32")
        for name in ("dynamic_mean", "prior_mean", "prior_log_variance")
    )
    scale = ops.exp(-0.5 * prior_log_variance)
    return (mean - prior_mean[:, None]) * scale[:, None]
