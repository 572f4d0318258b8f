"""Progress: one line that is drawn again on a terminal, plain lines elsewhere."""

import shutil
import sys
import time

import click

__all__ = ["PLAIN", "Bar", "Counter", "duration"]

_REDRAW = 0.1  # seconds
PLAIN = 10.0  # seconds between plain lines at least
_BAR = 24


class Bar:
    """One line on standard error, drawn again where that is a terminal."""

    def __init__(self) -> None:
        self.shown = sys.stderr.isatty()
        self._drawn = 0.0
        self._on_screen = False

    def draw(self, share: float, text: str, *, now: bool = False) -> None:
        """Draw the bar.

        Args:
            share: Done, 0 to 1.
            text: What stands after it.
            now: Draw even if the last drawing is a moment ago.
        """
        if not self.shown or not (now or self.due()):
            return
        self._drawn = time.monotonic()
        width = shutil.get_terminal_size().columns - 1
        text = f"{share:4.0%} {text}"
        # What is said matters more than the bar where the terminal is narrow.
        length = max(0, min(_BAR, width - len(text) - 1))
        full = round(min(1.0, share) * length)
        self._put(f"{'━' * full}{'╌' * (length - full)} {text}".lstrip()[:width])

    def say(self, text: str) -> None:
        """Show a text without a bar."""
        if self.shown:
            self._put(text[: shutil.get_terminal_size().columns - 1])

    def _put(self, line: str) -> None:
        sys.stderr.write("\r\x1b[2K" + line)
        sys.stderr.flush()
        self._on_screen = True

    def due(self) -> bool:
        """Whether it is time to draw again."""
        return time.monotonic() - self._drawn > _REDRAW

    def clear(self) -> None:
        """Remove the line."""
        if self._on_screen:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
            self._on_screen = False


class Counter:
    """Progress of counted work: call it with (done, total).

    Args:
        what: What is counted, such as "sequences written".
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._bar = Bar()
        self._began = self._said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` are done."""
        total = total or done
        text = f"{done} of {total} {self._what}"
        if done >= total:
            self._bar.clear()
            click.echo(f"{text}  {duration(time.monotonic() - self._began)}")
        elif self._bar.shown:
            self._bar.draw(done / total, text)
        elif time.monotonic() - self._said > PLAIN:
            self._said = time.monotonic()
            click.echo(text)

    def clear(self) -> None:
        """Remove the line of work that ended early."""
        self._bar.clear()


def duration(seconds: float) -> str:
    """Seconds as text: "8 s", "2:05" or "1:02:05"."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
