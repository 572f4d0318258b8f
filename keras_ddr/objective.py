"""What training minimises: the negative ELBO, and its relaxations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_ddr.gaussian import DiagonalGaussian

if TYPE_CHECKING:
    # What it is mixed into.
    from keras import Model as _Base

    from keras_ddr.likelihoods import Likelihood
    from keras_ddr.typing import Tensor
else:
    _Base = object

__all__ = ["Objective"]


class Objective(_Base):
    """Mixin of `DDR`: the loss and its parts.

    The model sets `kl_weight`, `kl_warmup` and `free_bits`. They change what training
    descends; the history always shows reconstruction + kl_weight · (KL z + KL f), so
    that epochs and runs can be compared.
    """

    # What it needs of `DDR`.
    likelihood: Likelihood
    kl_weight: float
    kl_warmup: int
    free_bits: float

    def _make_trackers(self) -> None:
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
        dynamic, static = _kl_terms(outputs)
        return (
            self._reconstruction(frames, outputs),
            ops.sum(dynamic, axis=(1, 2)),
            ops.sum(static, axis=1),
        )

    def _reconstruction(self, frames: Tensor, outputs: Mapping[str, Tensor]) -> Tensor:
        # With distinct dynamic frames those from which f came are not decoded.
        number = outputs["reconstruction_logits"].shape[1]
        log_prob = self.likelihood.log_prob(
            outputs["reconstruction_logits"],
            self._intensities(frames[:, -number:], "float32"),
        )
        return -ops.sum(log_prob, axis=1)

    def compute_loss(
        self,
        x: Tensor = None,
        y: None = None,
        y_pred: Any = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """The negative ELBO of a batch, and its parts for the history.

        Args:
            x: Frames `(B, N, H, W, C)`.
            y: Not used.
            y_pred: What `call` returned for `x`.
            sample_weight: `(B,)`, or `None` for equal weights; 0 leaves a set out.
            training: Whether warm-up and free bits apply.

        Returns:
            float32 scalar in nats: the (weighted) mean over the sets of
            reconstruction + kl_weight · (KL z + KL f).
        """
        if sample_weight is None:
            weight = ops.cast(ops.shape(x)[0], "float32")
            scale = 1.0 / weight
        else:
            weights = ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
            weight = ops.sum(weights)
            scale = weights / ops.maximum(weight, 1e-7)

        def mean(values: Tensor) -> Tensor:
            """Over the sets; the first axis goes last for the weights."""
            return ops.sum(ops.moveaxis(values, 0, -1) * scale, axis=-1)

        reconstruction = mean(self._reconstruction(x, y_pred))
        dynamic, static = _kl_terms(y_pred)
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
        return reconstruction + kl_weight * (ops.sum(dynamic) + ops.sum(static))

    def get_metrics_result(self) -> dict[str, Tensor]:
        """Means of the loss and its parts over the batches so far.

        The loss is the sum of its parts, each weighted by the weights of its sets, and
        not Keras's own mean, in which a padded batch counts as a full one.
        """
        logs = super().get_metrics_result()
        kl = logs["kl_static"] + logs["kl_dynamic"]
        return {**logs, "loss": logs["reconstruction_loss"] + self.kl_weight * kl}


def _kl_terms(outputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """KL of each dimension: z `(B, N, dynamic_dim)` and f `(B, static_dim)`, nats."""
    static, dynamic, prior = (
        DiagonalGaussian(
            ops.cast(outputs[f"{name}_mean"], "float32"),
            ops.cast(outputs[f"{name}_log_variance"], "float32"),
        )
        for name in ("static", "dynamic", "prior")
    )
    prior = DiagonalGaussian(prior.mean[:, None], prior.log_variance[:, None])
    return dynamic.kl_terms(prior), static.kl_terms()
