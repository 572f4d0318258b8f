"""Callbacks that `SequenceModel.fit` adds by itself."""

import collections
import math
import warnings
from typing import Any

import keras
import numpy as np

from keras_ddr.errors import LossNotFinite

__all__ = ["LossWatch"]

# Reading a loss waits for the device; by then these steps are already on their way.
_BEHIND = 16

# A code whose KL is below this many nats tells nothing of what was seen.
_COLLAPSED = 0.05
_PATIENCE = 200  # steps

_REMEDIES = (
    "the decoder does without it (posterior collapse); if the data vary in it, try "
    "kl_warmup, free_bits or a smaller kl_weight"
)


class EpochSetter(keras.callbacks.Callback):
    """Tells the training data which epoch begins: Keras never tells a `PyDataset`."""

    def __init__(self, data: Any) -> None:
        super().__init__()
        self._data = data

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Hand on the epoch, counted from 0."""
        self._data.set_epoch(epoch)


class LossWatch(keras.callbacks.Callback):
    """Stops when the loss or a weight is not finite, and warns where a code is unused.

    It does so at most 16 steps after the first one with such a loss, and at the end of
    the epoch in which a weight broke, before later callbacks see that end. A loss alone
    does not show every broken weight: oneDNN, on some processors, makes 0 of a NaN
    where it fuses a convolution with its bias and ReLU.
    """

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Forget the training before."""
        self._unused = {"kl_static": 0, "kl_dynamic": 0}
        self._warned: set[str] = set()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """The means begin anew."""
        self._epoch = epoch + 1
        self._steps = 0
        self._pending: collections.deque[tuple[int, Any]] = collections.deque()

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Look at a step some time ago: means stay NaN once they are."""
        # Keras calls this once for several steps with `steps_per_execution`.
        self._steps = batch + 1
        self._pending.append((self._steps, logs))
        while self._steps - self._pending[0][0] >= _BEHIND:
            self._check(*self._pending.popleft())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the last steps, the validation, the weights and both KL terms."""
        for step, values in self._pending:
            self._check(step, values)
        self._check(0, logs)
        check_weights(self.model, self._epoch, self._steps)
        for name in self._unused:
            self._look_for_collapse(name, logs or {})

    def _check(self, step: int, logs: dict[str, Any] | None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        wrong = {k: v for k, v in values.items() if not math.isfinite(v)}
        # The loss is their sum: it is named alone where parts overflow together.
        parts = {k: v for k, v in wrong.items() if not k.endswith("loss")}
        parts |= {k: v for k, v in wrong.items() if k.endswith("reconstruction_loss")}
        if wrong:
            raise LossNotFinite(self._epoch, step, parts or wrong)

    def _look_for_collapse(self, name: str, logs: dict[str, Any]) -> None:
        if name not in logs or name in self._warned:
            return
        nats, code, unit = float(logs[name]), "f", "sequence"
        if name == "kl_dynamic":
            nats, code, unit = nats / self.model.frames_per_set, "z", "frame"
        low = nats < _COLLAPSED and not self.model.warming_up
        self._unused[name] = self._unused[name] + self._steps if low else 0
        if self._unused[name] >= _PATIENCE:
            self._warned.add(name)
            warnings.warn(
                f"the KL of {code} is {nats:.3f} nats a {unit} (after epoch "
                f"{self._epoch}): {_REMEDIES}",
                stacklevel=2,
            )


def check_weights(model: keras.Model, epoch: int, step: int) -> None:
    """Refuse weights that are not finite: they must not replace good ones."""
    for weight in model.trainable_variables:
        value = keras.ops.convert_to_numpy(weight)
        if not np.isfinite(value).all():
            wrong = float(value[~np.isfinite(value)][0])
            raise LossNotFinite(epoch, step, {f"weight {weight.path}": wrong})


def with_first(added: list[keras.callbacks.Callback], callbacks: Any) -> Any:
    """Callbacks with those of the model in front."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        for callback in added:
            callback.set_model(callbacks.model)
        callbacks.callbacks[:0] = added
        return callbacks
    if callbacks is None:
        callbacks = []
    elif not isinstance(callbacks, list | tuple):
        callbacks = [callbacks]
    return [*added, *callbacks]
