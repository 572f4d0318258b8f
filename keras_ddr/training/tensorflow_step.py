"""The training step on TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from keras_ddr.errors import InputError
from keras_ddr.training.devices import NOT_ACCUMULATED
from keras_ddr.training.memory import keep_freed_memory

if TYPE_CHECKING:
    from keras_ddr.typing import Tensor

__all__ = ["TrainStep"]


class TrainStep(keras.Model):
    """Mixin of `DDR`: one step of stochastic gradient ascent on the ELBO."""

    @property
    def distribute_strategy(self) -> Any:
        """TensorFlow's strategy, which is also what Keras hands its datasets to."""
        return _Untuned(super().distribute_strategy)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As in Keras, but for what it would refuse in the middle of a step."""
        super().compile(*args, **kwargs)
        if _replicas() > 1 and _inner(self.optimizer).gradient_accumulation_steps:
            raise InputError(f"gradient_accumulation_steps: {NOT_ACCUMULATED}")

    def train_step(self, data: Any) -> dict[str, Tensor]:
        """Take one step on a batch and return the running means of the loss parts."""
        # When this is traced, the data is there, and with it TensorFlow's own limit.
        _keep_freed_memory()
        x, y, sample_weight = self.unpack(data)
        weights = self.trainable_weights
        share = _share(x, sample_weight)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            # Half precision: a loss that isn't scaled has gradients that vanish.
            scaled_loss = self.optimizer.scale_loss(loss * share)
        gradients = tape.gradient(scaled_loss, weights)
        gradients = _of_one_type(gradients, self.optimizer)
        gradients = _clipped_together(gradients, self.optimizer)
        self.optimizer.apply(_after_all(loss, gradients), weights)
        weight = self.total_weight(x, sample_weight)
        self._loss_tracker.update_state(loss, sample_weight=weight)
        return self.compute_metrics(x, y, y_pred, sample_weight)


class _Untuned:
    """A strategy whose datasets are tuned while they run only where they ask for it."""

    # The thread that tunes a dataset sleeps for twice as long each time, up to a
    # minute, and the end of `fit` waits for it to wake up, which may double the time of
    # a short training. There is nothing to tune in a generator.

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self._strategy = strategy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)

    def experimental_distribute_dataset(self, dataset: tf.data.Dataset) -> Any:
        if dataset.options().autotune.enabled is None:
            options = tf.data.Options()
            options.autotune.enabled = False
            dataset = dataset.with_options(options)
        return self._strategy.experimental_distribute_dataset(dataset)


def _replicas() -> int:
    return tf.distribute.get_strategy().num_replicas_in_sync


@tf.autograph.experimental.do_not_convert
def _keep_freed_memory() -> None:
    keep_freed_memory()


def _inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """The optimizer that half precision wraps into one that scales the loss."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _share(x: Tensor, sample_weight: Tensor | None) -> Tensor:
    """Share of this replica's loss in that of the batch: gradients are summed."""
    if _replicas() == 1:
        return 1.0
    weight = tf.cast(tf.shape(x)[0], tf.float32)
    if sample_weight is not None:
        weight = tf.reduce_sum(tf.cast(sample_weight, tf.float32))
    context = tf.distribute.get_replica_context()
    total = context.all_reduce(tf.distribute.ReduceOp.SUM, weight)
    return weight / tf.maximum(total, 1e-7)


def _of_one_type(
    gradients: list[Tensor], optimizer: keras.optimizers.Optimizer
) -> list[Tensor]:
    """Gradients in the widest of their types where Keras adds up a norm of all."""
    # In pure half precision those of the last layer are wider than others.
    if not getattr(_inner(optimizer), "global_clipnorm", None):
        return gradients
    types = {part.dtype for part in gradients if part is not None}
    widest = max(types, key=lambda dtype: dtype.size)
    return [None if part is None else tf.cast(part, widest) for part in gradients]


def _after_all(loss: Tensor, gradients: list[Tensor]) -> list[Tensor]:
    """The gradients, each of which waits for the loss and for all others."""
    # TensorFlow lets a weight change while a part that has read it, and whose gradient
    # goes elsewhere, is still at work: DrNet's pose encoder then met a discriminator
    # of the next step.
    found = [part for part in gradients if part is not None]
    with tf.control_dependencies([loss, *found]):
        return [None if part is None else tf.identity(part) for part in gradients]


def _clipped_together(
    gradients: list[Tensor], optimizer: keras.optimizers.Optimizer
) -> list[Tensor]:
    """Gradients whose sum over the replicas is clipped, where Keras clips each."""
    count, inner = _replicas(), _inner(optimizer)
    limits = ("clipnorm", "global_clipnorm", "clipvalue")
    clips = any(getattr(inner, name, None) for name in limits)
    if count == 1 or not clips:
        return gradients
    context = tf.distribute.get_replica_context()
    gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
    scale = 1.0 if inner is optimizer else tf.convert_to_tensor(optimizer.dynamic_scale)
    clipped = inner._clip_gradients([part / scale for part in gradients])
    return [part * (scale / count) for part in clipped]
