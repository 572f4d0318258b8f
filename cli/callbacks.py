"""Keras callbacks of the command line; imports keras."""

import time
from typing import Any

import click
import keras

from ddr_cli.progress import PLAIN, Bar, duration

__all__ = ["FitProgress"]

_NAMES = {
    "loss": "loss",
    "reconstruction_loss": "reconstruction",
    "kl_static": "kl_f",
    "kl_dynamic": "kl_z",
    "val_loss": "val_loss",
}
_SHORT = {"reconstruction": "rec"}


class FitProgress(keras.callbacks.Callback):
    """All parts of the loss, as a line for every epoch and in between.

    In between there is a bar on a terminal, and now and then a line elsewhere.

    Args:
        step: Steps done before.
        steps: Last step.
    """

    def __init__(self, step: int, steps: int) -> None:
        super().__init__()
        self._bar = Bar()
        self._first = self._step = step
        self.steps = steps
        self._began = time.monotonic()
        self.said_first = ""  # once training begins, which may be refused before

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Say what is trained."""
        if self.said_first:
            click.echo(self.said_first)
        self.said_first = ""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the time."""
        self._epoch_began = self._said = time.monotonic()

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Count, and draw the bar now and then."""
        self._step += 1
        if self._bar.shown:
            if self._bar.due():
                self._bar.draw(
                    self._step / self.steps,
                    f"{self._step}/{self.steps}  {_parts(logs, short=True)}  "
                    f"{duration(self._left())} left",
                )
        elif time.monotonic() - self._said > PLAIN:
            self._said = time.monotonic()
            left = duration(self._left())
            click.echo(f"step {self._step}/{self.steps}  {_parts(logs)}  {left} left")

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Say that the validation runs."""
        share = self._step / self.steps
        self._bar.draw(share, f"{self._step}/{self.steps}  validation", now=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the line of the epoch."""
        self._bar.clear()
        took = duration(time.monotonic() - self._epoch_began)
        click.echo(f"step {self._step}/{self.steps}  {_parts(logs)}  {took}")

    def clear(self) -> None:
        """Remove the bar."""
        self._bar.clear()

    def _left(self) -> float:
        done = self._step - self._first
        return (time.monotonic() - self._began) / done * (self.steps - self._step)


def _parts(logs: dict[str, Any] | None, short: bool = False) -> str:
    parts = []
    for key, name in _NAMES.items():
        if logs and key in logs:
            value = float(logs[key])
            if short:
                parts.append(f"{_SHORT.get(name, name)} {value:.1f}")
            else:
                parts.append(f"{name} {value:.2f}")
    return "  ".join(parts)
