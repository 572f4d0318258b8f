"""Progress: a tqdm bar on terminals and in notebooks, plain lines elsewhere."""

import shutil
import sys
import time
from typing import Any, ClassVar, Self

import click

REDRAW, PLAIN = 0.1, 10.0  # seconds between drawings, and between plain lines
FIRST = 2.0  # seconds up to the first plain line on long files


class Progress:
    """One bar on standard error, or a line now and then."""

    shown: ClassVar[set[Self]] = set()  # those whose bar is on the terminal

    def __init__(self) -> None:
        self.draws = sys.stderr.isatty() or "ipykernel" in sys.modules
        self.began = self.said = time.monotonic()
        self._bar: Any = None

    def due(self) -> bool:
        """Whether it is time to show something again."""
        return time.monotonic() - self.said > (REDRAW if self.draws else PLAIN)

    def show(self, done: int, total: int, text: str) -> None:
        """Draw the bar with a text behind it, or write the text as a line."""
        self.said = time.monotonic()
        if not self.draws:
            click.echo(text)
            return
        if self._bar is None:
            from tqdm.auto import tqdm

            # tqdm shows nothing on terminals that do not tell their size.
            columns, rows = shutil.get_terminal_size()
            self._bar = tqdm(
                total=total,
                initial=done,
                bar_format="{percentage:3.0f}% {bar:12} {desc}",
                leave=False,
                ncols=columns - 1,
                nrows=rows,
                desc=text,
            )
            Progress.shown.add(self)
        self._bar.total, self._bar.n = total, done
        self._bar.set_description_str(text)

    def clear(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
            Progress.shown.discard(self)


class Counter:
    """Progress of counted work, such as "sequences read": called with (done, total)."""

    def __init__(self, counted: str) -> None:
        self._counted = counted
        self._progress = Progress()
        self.clear = self._progress.clear

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` are done."""
        total = total or done
        text = f"{done} of {total} {self._counted}"
        if done >= total:
            self.clear()
            click.echo(f"{text}  {duration(time.monotonic() - self._progress.began)}")
        elif self._progress.due():
            self._progress.show(done, total, text)


class FileCounter(Counter):
    """Progress of files; `frames` is called with those of the frames in them."""

    def __init__(self, counted: str) -> None:
        super().__init__(counted)
        self._progress.said -= max(0.0, PLAIN - FIRST)
        self._files = ""
        self._ended = False
        self._begin: tuple[int, float] | None = None  # frames of earlier runs, and when

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` files are done."""
        self._ended = done >= total
        self._files = f"{done} of {total} {self._counted}"
        if self._ended or self._begin is None:
            super().__call__(done, total)

    def frames(self, done: int, total: int) -> None:
        """Show how many frames are done, how fast, and how long it will still take.

        `total` is 0 while it is not known.
        """
        now = time.monotonic()
        if self._begin is None:
            self._begin = done, now
        if self._ended or not self._progress.due():
            return
        text = f"{done} of {total} frames" if total else f"{done} frames"
        before, began = self._begin
        if done > before:
            rate = (done - before) / (now - began)
            text += f", {rate:.0f} a second"
            text += f", {duration((total - done) / rate)} left" if total else ""
        text += f" ({self._files})" if self._files else ""
        self._progress.show(done if total else 0, total or 1, text)


def duration(seconds: float) -> str:
    """Seconds as text: "8 s", "2:05" or "1:02:05"."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
