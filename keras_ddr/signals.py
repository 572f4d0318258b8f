"""Ending a training between two steps on Ctrl-C and SIGTERM."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Self

__all__ = ["Stopped"]

_DEFAULTS: dict[
    signal.Signals, Callable[[int, FrameType | None], Any] | signal.Handlers
] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


class Stopped(KeyboardInterrupt):
    """A training was asked to end, and did so after a step that is saved.

    Attributes:
        signal: Number of the signal.
        step: Last step, which is saved.
    """

    def __init__(self, number: int, step: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name} at step {step}")
        self.signal = int(number)
        self.step = step


class StopRequest:
    """Takes note of SIGINT (Ctrl-C) and SIGTERM; a second one ends things at once."""

    # An exception in the middle of a step or of a file can be lost: libraries swallow
    # what is raised in their callbacks.

    def __init__(self) -> None:
        self.signal: int | None = None
        self._insisted = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[Self]:
        """Handle the signals within, where nobody else does and Python allows it."""
        before = {}
        if threading.current_thread() is threading.main_thread():
            for number, default in _DEFAULTS.items():
                if signal.getsignal(number) == default:
                    before[number] = signal.signal(number, self._note)
        try:
            yield self
        except Exception as error:
            if not self._insisted:
                raise
            raise KeyboardInterrupt from error
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = number
        else:
            # TensorFlow may turn the interrupt into an error of its own.
            self._insisted = True
            signal.signal(number, _DEFAULTS[signal.Signals(number)])
            signal.raise_signal(number)
