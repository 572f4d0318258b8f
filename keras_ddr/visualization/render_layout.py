"""Pictures side by side in a film, with their names above them."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from keras_ddr.arguments import check_number, check_whole
from keras_ddr.errors import InputError
from keras_ddr.files import check_output_path
from keras_ddr.media.moving import SUFFIXES, write_moving
from keras_ddr.visualization.style import (
    DPI,
    FADED,
    Sheet,
    boxes_once,
    shorten_all,
    styled,
    to_rgb,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.data.store import Sequence as StoredSequence
    from keras_ddr.typing import Progress, StrPath

__all__ = ["Film"]

USUAL_RATE = 25
_TALL, _WIDE = 256, 1920  # pixels that a picture, and all beside each other, take
_SPACE = 12  # pixels around pictures
_BATCH = 32  # frames that are decoded at a time


@dataclasses.dataclass(frozen=True)
class Film:
    """How moving pictures are made.

    Attributes:
        frames: Most frames; 300 of a sequence and 200 of a walk where `None`.
        start: First frame of the sequence, from 0.
        fps: Frames a second; as in the source where `None`, and else 25.
        scale: Whole factor by which frames are enlarged; about 256 pixels high where
            `None`.
        pixels: Whether pixels stay squares, or else are smoothed when enlarged.
        lossless: Whether a .webp holds every pixel as it is; other formats lose some.
        overwrite: Whether a file that exists is replaced.
        progress: Called with (frames done, all).
        report: Called with a line on the file that was written.

    Raises:
        InputError: A number is out of range.
    """

    frames: int | None = None
    start: int = 0
    fps: float | None = None
    scale: int | None = None
    pixels: bool = False
    lossless: bool = False
    overwrite: bool = False
    progress: Progress | None = None
    report: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        check_whole(0, start=self.start)
        for name, least in (("frames", 2), ("scale", 1)):
            if (value := getattr(self, name)) is not None:
                check_whole(least, **{name: value})
        if self.fps is not None:
            check_number(0.1, fps=self.fps)

    def check(self, path: StrPath) -> Path:
        """Refuse a path that cannot be written, or that exists."""
        path = check_output_path(path, SUFFIXES, self.overwrite)
        if self.lossless and path.suffix.lower() != ".webp":
            raise InputError(f"{path}: only .webp is without loss (--lossless)")
        return path

    def positions(self, sequence: StoredSequence) -> NDArray[np.integer]:
        """Frames of a sequence that are shown."""
        end = min(sequence.length, self.start + (self.frames or 300))
        if end - self.start < 2:
            raise InputError(
                f"the sequence {sequence.name!r} has {sequence.length} frames, and a "
                f"film from frame {self.start} needs 2; choose another, or an earlier "
                "start"
            )
        return np.arange(self.start, end)

    def rate(
        self,
        store: FrameStore,
        sequence: StoredSequence,
        positions: NDArray[np.integer],
    ) -> float:
        """Frames a second, those of the source if its times are known."""
        if self.fps is not None:
            return float(self.fps)
        times = store.label_values(sequence.index, "time", positions)
        steps = np.diff(times.astype("float64"))
        step = np.median(steps)
        if 0 < step <= 1:
            # Without those where frames are missing.
            return float(1 / steps[np.abs(steps - step) < step / 2].mean())
        said = (
            "has no times of frames"
            if np.isnan(step)
            else f"has a frame each {step:.3g} s"
        )
        warnings.warn(
            f"{sequence.name!r} {said}: its {len(positions)} frames are shown at "
            f"{USUAL_RATE} a second; fps (--fps) sets another number",
            stacklevel=4,
        )
        return float(USUAL_RATE)


class Layout:
    """Places of pictures of one shape `(H, W)` in rows and columns, and their names."""

    def __init__(
        self, shape: Sequence[int], rows: int, columns: int, film: Film, lines: int = 1
    ) -> None:
        fits = min(round(_TALL / shape[0]), _WIDE // (columns * shape[1]))
        scale = film.scale or max(1, fits)
        self.height, self.width = shape[0] * scale, shape[1] * scale
        self.resample = (
            Image.Resampling.NEAREST if film.pixels else Image.Resampling.BICUBIC
        )
        self._type = min(max(self.height // 16, 11), 18)  # pixels
        self._line = round(1.5 * self._type)
        self._head = lines * self._line + 2
        across = _SPACE + columns * (self.width + _SPACE)
        down = _SPACE + rows * (self._head + self.height + _SPACE)
        # Half as many values of colour as of brightness in each direction.
        self.sheet = Sheet(across + across % 2, down + down % 2)

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """Left and top of a picture."""
        left = _SPACE + column * (self.width + _SPACE)
        top = _SPACE + row * (self._head + self.height + _SPACE) + self._head
        return left, top

    def cut(self, names: Sequence[str], share: float = 1.0) -> list[str]:
        """Names that take at most a share of the width, cut so that they differ."""
        return shorten_all(names, share * self.width, self._points(1.0))

    @styled
    def write(self, row: int, column: int, name: str, about: str = "") -> None:
        """Write a name above a picture, and a line about it."""
        left, top = self.corner(row, column)
        y = top - self._head + self._line / 2
        self.sheet.title(left, y, name).set_fontsize(self._points(1.0))
        if about:
            style = {"color": FADED, "fontsize": self._points(0.9)}
            self.sheet.text(left, y + self._line, about, parse_math=False, **style)

    def _points(self, share: float) -> float:
        return share * self._type * 72 / DPI

    @styled
    def background(self, path: Path) -> NDArray[np.uint8]:
        """All but the pictures."""
        canvas = FigureCanvasAgg(self.sheet.figure)
        with boxes_once(path):
            canvas.draw()
        drawn = np.asarray(canvas.buffer_rgba())[..., :3]
        # Inches are rounded to whole pixels.
        missing = self.sheet.height - drawn.shape[0], self.sheet.width - drawn.shape[1]
        return np.pad(drawn, [(0, missing[0]), (0, missing[1]), (0, 0)], mode="edge")

    def enlarge(self, image: NDArray[np.number]) -> NDArray[np.uint8]:
        """One picture `(H, W, C)` at the size that it is shown."""
        image = to_rgb(image)
        if image.shape[:2] == (self.height, self.width):
            return image
        size = self.width, self.height
        return np.asarray(Image.fromarray(image).resize(size, self.resample))


# Pictures `(n, H, W, C)`, by place, of n numbers of frames.
Images = Callable[["NDArray[np.integer]"], "dict[tuple[int, int], NDArray[np.number]]"]


def save_film(
    path: Path,
    layout: Layout,
    images: Images,
    count: int,
    fps: float,
    film: Film,
    finish: Callable[[NDArray[np.uint8], int], None] | None = None,
) -> Path:
    """Write a film; `finish` draws on each frame, of this number, in place."""
    background = layout.background(path)
    done = 0

    def pictures(numbers: Iterable[int]) -> Iterator[NDArray[np.uint8]]:
        nonlocal done
        numbers = np.asarray(list(numbers))
        for batch in np.split(numbers, range(_BATCH, len(numbers), _BATCH)):
            parts = images(batch)
            for k, number in enumerate(batch.tolist()):
                canvas = background.copy()
                for place, part in parts.items():
                    x, y = layout.corner(*place)
                    enlarged = layout.enlarge(part[k])
                    canvas[y : y + layout.height, x : x + layout.width] = enlarged
                if finish is not None:
                    finish(canvas, number)
                yield canvas
            if film.progress is not None and batch[-1] >= done:
                done = int(batch[-1]) + 1
                film.progress(done, count)

    codec = write_moving(path, pictures, count, fps, film.lossless)
    if film.report is not None:
        height, width = background.shape[:2]
        film.report(
            f"{path}: {codec}, {width}×{height}, {fps:.4g} frames a second, "
            f"{count} frames ({count / fps:.3g} s)"
        )
    return path
