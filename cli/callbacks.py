"""Keras callbacks of the command line; imports keras."""

import time
from typing import Any

import click
import keras

from ddr_cli.progress import Progress, duration


class FitProgress(keras.callbacks.Callback):
    """All parts of the loss, as a line for every epoch and as progress in between."""

    def __init__(self, step: int, steps: int) -> None:
        super().__init__()
        self._progress = Progress()
        self.clear = self._progress.clear
        self._first = self._step = step
        self.steps = steps
        self.said_first = ""  # once training begins, which may be refused before

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Name the training."""
        if self.said_first:
            click.echo(self.said_first)
        self.said_first = ""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the time."""
        self._epoch_began = self._progress.said = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count, and show progress now and then."""
        self._step += 1
        if self._progress.due():
            done = self._step - self._first
            rate = (time.monotonic() - self._progress.began) / done
            self._show(f"{duration(rate * (self.steps - self._step))} left", logs)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Name the validation."""
        if self._progress.draws:
            self._show("validation", logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the line of the epoch."""
        self.clear()
        took = duration(time.monotonic() - self._epoch_began)
        click.echo(f"step {self._step}/{self.steps}  {self._parts(logs)}  {took}")

    def _show(self, text: str, logs: dict[str, Any] | None) -> None:
        step = f"step {self._step}/{self.steps}"
        # Narrow terminals cut the end off.
        line = f"{step}  {text}  {self._parts(logs)}"
        self._progress.show(self._step, self.steps, line)

    def _parts(self, logs: dict[str, Any] | None) -> str:
        """The loss and its parts, and the loss of the validation."""
        found = {name: name.removesuffix("_loss") for name in self.model.history_keys}
        found["val_loss"] = "val_loss"
        logs = logs or {}
        texts = [f"{t} {float(logs[n]):.2f}" for n, t in found.items() if n in logs]
        return "  ".join(texts)
