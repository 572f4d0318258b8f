"""The training step on JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import keras

from keras_ddr.training.memory import keep_freed_memory

if TYPE_CHECKING:
    from keras_ddr.typing import Tensor

__all__ = ["TrainStep"]


class TrainStep(keras.Model):
    """Mixin of `DDR`: one step of stochastic gradient ascent on the ELBO."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # JAX starts its threads with its first array: later is too late for them.
        keep_freed_memory(of_threads=True)
        super().__init__(*args, **kwargs)

    def stateless_call(self, *args: Any, **kwargs: Any) -> Any:
        """As in Keras, and parts know by themselves whether this is training.

        Keras calls `call` alone here, so that a layer in it that was not told, such as
        one that normalises by the batch, would behave as after the training.
        """
        context = self._get_call_context()
        context.set_value("training", kwargs.get("training"))
        try:
            return super().stateless_call(*args, **kwargs)
        finally:
            self._maybe_reset_call_context()

    def train_step(
        self, state: tuple[Any, ...], data: Any
    ) -> tuple[dict[str, Tensor], tuple[Any, ...]]:
        """Take one step on a batch, without side effects.

        The state holds lists of trainable, non-trainable, optimizer and metric values;
        it returns the running means of the loss parts and the new state.
        """
        x, y, sample_weight = self.unpack(data)
        weights, others, optimizer, metrics = state
        # Scales the loss for the gradient and hands back the plain one.
        loss_and_gradients = jax.value_and_grad(
            self.compute_loss_and_updates, has_aux=True
        )
        (_, (loss, y_pred, others, metrics)), gradients = loss_and_gradients(
            weights,
            others,
            metrics,
            x,
            y,
            sample_weight,
            training=True,
            optimizer_variables=optimizer,
        )
        weights, optimizer = self.optimizer.stateless_apply(
            optimizer, gradients, weights
        )
        mapping = list(zip(self.metrics_variables, metrics, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            weight = self.total_weight(x, sample_weight)
            self._loss_tracker.update_state(loss, sample_weight=weight)
            logs = self.compute_metrics(x, y, y_pred, sample_weight)
        metrics = [scope.get_current_value(v) for v in self.metrics_variables]
        return logs, (weights, others, optimizer, metrics)
