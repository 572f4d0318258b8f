"""The training step on PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import torch

from keras_ddr.training.memory import keep_freed_memory

if TYPE_CHECKING:
    from keras_ddr.typing import Tensor

__all__ = ["TrainStep"]


class TrainStep(keras.Model):
    """Mixin of `DDR`: one step of stochastic gradient ascent on the ELBO."""

    def make_train_function(self, force: bool = False) -> Callable[..., Any]:
        """As in Keras; from here on the process keeps the memory that it frees."""
        keep_freed_memory()
        return super().make_train_function(force)

    def train_step(self, data: Any) -> dict[str, Tensor]:
        """Take one step on a batch and return the running means of the loss parts."""
        x, y, sample_weight = self.unpack(data)
        weights = self.trainable_weights
        self.zero_grad()
        y_pred = self(x, training=True)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
        # Half precision: a loss that isn't scaled has gradients that vanish.
        self.optimizer.scale_loss(loss).backward()
        with torch.no_grad():
            self.optimizer.apply([w.value.grad for w in weights], weights)
        weight = self.total_weight(x, sample_weight)
        self._loss_tracker.update_state(loss.detach(), sample_weight=weight)
        return self.compute_metrics(x, y, y_pred, sample_weight)
