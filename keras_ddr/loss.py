"""Losses whose parts the history shows, and that of `DDR`: its objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_ddr.errors import InputError
from keras_ddr.objective import ELBO
from keras_ddr.sequence_model import SequenceModel

if TYPE_CHECKING:
    from keras_ddr.layers import GaussianSampling
    from keras_ddr.likelihoods import Likelihood
    from keras_ddr.typing import Tensor

__all__ = ["LossOfParts", "ObjectiveLoss"]


class LossOfParts(SequenceModel):
    """Mixin of models that draw from posteriors and whose loss has named parts.

    Attributes:
        loss_parts: Names of the parts, as the history shows them.
        sampling: `keras_ddr.layers.GaussianSampling` for all draws of `call`.
    """

    loss_parts: tuple[str, ...] = ()
    sampling: GaussianSampling
    _evaluating = False

    def _make_trackers(self) -> None:
        """Make all variables of the loss; Keras takes none after the model is built."""
        self._trackers = {
            name: keras.metrics.Mean(name, dtype="float32") for name in self.loss_parts
        }

    def _note(self, parts: Mapping[str, Tensor], weight: Tensor) -> None:
        """Put the parts of a batch of this weight into the history."""
        for name, value in parts.items():
            tracker = self._trackers[name]
            tracker.update_state(ops.stop_gradient(value), sample_weight=weight)

    def draw(self, mean: Tensor, log_variance: Tensor, training: bool | None) -> Tensor:
        """A draw in training and evaluation, the mean otherwise."""
        if training or self._evaluating:
            return self.sampling(mean, log_variance, training=bool(training))
        return mean

    def unpack(self, data: Any) -> tuple[Tensor, Any, Any]:
        """Frames of a batch, scaled once a step, and its weights."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        return self.intensities(x), y, sample_weight

    def evaluate(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """As `SequenceModel.evaluate`, with draws that are the same at every call."""
        self.sampling.reset_evaluation()
        return super().evaluate(x, y, **kwargs)

    def test_step(self, *args: Any) -> Any:
        """Keras's step, with f and z drawn from their posteriors."""
        *state, data = args
        self._evaluating = True
        try:
            return super().test_step(*state, self.unpack(data))
        finally:
            self._evaluating = False

    def shares(self, x: Tensor, sample_weight: Tensor | None) -> tuple[Tensor, Tensor]:
        """Share of each set in the mean of a batch, and the weight of the batch."""
        weight = self.total_weight(x, sample_weight)
        if sample_weight is None:
            return 1.0 / weight, weight
        weights = ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        return weights / ops.maximum(weight, 1e-7), weight

    def total_weight(self, x: Tensor, sample_weight: Tensor | None) -> Tensor:
        """Weight of a batch in means over batches, a float32 scalar."""
        if sample_weight is None:
            return ops.cast(ops.shape(x)[0], "float32")
        return ops.sum(ops.cast(sample_weight, "float32"))

    def intensities(self, frames: Tensor) -> Tensor:
        """Frames as floats in [0, 1]: integers in float32, floats as they are."""
        dtype = keras.backend.standardize_dtype(frames.dtype)
        if not dtype.startswith(("int", "uint")):
            return frames
        return ops.cast(frames, "float32") / 255.0


class ObjectiveLoss(LossOfParts):
    """Mixin of `DDR`: descends the objective that `compile` was given."""

    objective_class = ELBO
    loss_parts = ("reconstruction_loss", "kl_static", "kl_dynamic")
    likelihood: Likelihood

    def _make_trackers(self) -> None:
        """Make all variables of the loss; Keras takes none after the model is built."""
        super()._make_trackers()
        # Counted where the objective asks; saved, so that a resumed training goes on.
        self._step = self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="float32",
            trainable=False,
            aggregation="only_first_replica",
            name="step",
        )
        self._objective = type(self).objective_class()
        self._has_added_losses = False

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer | None = None,
        objective: ELBO | None = None,
        **kwargs: Any,
    ) -> None:
        """Set the optimizer and the objective.

        Args:
            optimizer: A Keras optimizer or its name; the paper's Adam at 1e-4 where
                `None`.
            objective: `ELBO` or one like it; where `None`, that of the preset or of
                the last `compile`, else the ELBO.
            **kwargs: As for `keras.Model.compile`, without a loss and metrics.

        Raises:
            InputError: A loss or metrics were given, or the objective needs two frames.
        """
        if objective is not None:
            self.objective = objective
        for name in ("independence_weight", "motion_weight", "change_weight"):
            if getattr(self.objective, name) and self.frames_per_set < 2:
                raise InputError(
                    f"{name}={getattr(self.objective, name)} compares the frames of a "
                    "set; take frames_per_set of at least 2, or leave it at 0"
                )
        super().compile(optimizer, **kwargs)

    @property
    def objective(self) -> ELBO:
        """The `ELBO` that training descends; it may be replaced between epochs."""
        return self._objective

    @objective.setter
    def objective(self, objective: ELBO) -> None:
        self._objective = objective
        self.test_function = None  # made before each validation
        if getattr(self, "train_function", None) is not None:
            self.make_train_function(force=True)

    def get_compile_config(self) -> dict[str, Any] | None:
        """As in Keras, with the objective."""
        config = super().get_compile_config()
        if config:
            config["objective"] = keras.saving.serialize_keras_object(self.objective)
        return config

    @property
    def warming_up(self) -> bool:
        """Whether the weight of the KL terms still rises."""
        # A sum is a number also where several devices hold the variable.
        warmup = self.objective.kl_warmup
        return bool(warmup) and float(ops.add(self._step, 0.0)) < warmup

    def compute_loss(
        self,
        x: Tensor = None,
        y: None = None,
        y_pred: Any = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """The objective of a batch with the losses that layers added, in float32 nats.

        `x` are frames `(B, N, H, W, C)`, `y_pred` the dict of `call`; a
        `sample_weight` `(B,)` of 0 leaves a set out. Parts are noted for the history.
        """
        weights, weight = self.shares(x, sample_weight)
        step = None
        if training:
            if self.objective.counts_steps:
                self._step.assign_add(1.0)
            step = ops.convert_to_tensor(self._step)
        _, frames = self.roles(ops.cast(self.intensities(x), "float32"))
        loss, parts = self.objective(frames, y_pred, self.likelihood, weights, step)
        self._note(parts, weight)
        added = self.losses
        self._has_added_losses = bool(added)
        for value in added:
            loss += ops.sum(ops.cast(value, "float32"))
        return loss

    def elbo_parts(
        self, frames: Tensor, outputs: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `ELBO.parts`, for frames as given to `call` and the dict that it gave."""
        _, frames = self.roles(ops.cast(self.intensities(frames), "float32"))
        return self.objective.parts(frames, outputs, self.likelihood)

    def get_metrics_result(self) -> dict[str, Tensor]:
        """Means of the loss and its parts over the batches so far.

        The loss is the sum of its parts, unless it has further ones: in Keras's own
        mean a padded batch counts as a full one.
        """
        logs = super().get_metrics_result()
        further = (
            self._has_added_losses
            or type(self).compute_loss is not ObjectiveLoss.compute_loss
            or type(self.objective).__call__ is not ELBO.__call__
        )
        return logs if further else {**logs, "loss": self.objective.total(logs)}

    def roles(self, of_set: Tensor) -> tuple[Tensor, Tensor]:
        """Values of the frames that f comes from, and of those that are decoded."""
        raise NotImplementedError
