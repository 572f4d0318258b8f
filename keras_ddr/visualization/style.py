"""Looks shared by all figures, and the layout in whole pixels.

Figures are `matplotlib.figure.Figure` objects made without pyplot, and settings are
applied inside a context: nothing global is changed.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import io
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath, TextToPath

from keras_ddr.files import check_output_path, replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text
    from matplotlib.typing import RcKeyType
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import StrPath

__all__ = ["save_figure"]

P = ParamSpec("P")
R = TypeVar("R")

DPI = 300
_LONGEST = 200  # characters of the head and of the tail of a text
SUFFIXES = (".png", ".pdf", ".svg")
INK = "#222222"
FADED = "#6b6b6b"

# Fonts of the usual systems with Chinese, Japanese and Korean.
_EAST_ASIAN = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR"),
    *("Source Han Sans SC", "WenQuanYi Zen Hei"),
    *("PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic"),
)

STYLE: dict[RcKeyType, Any] = {
    "font.family": "sans-serif",
    "font.size": 7.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.5,
    "axes.titlesize": 7.0,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "white",
    "figure.dpi": DPI,
    "savefig.dpi": "figure",
    "savefig.facecolor": "white",
    # Text stays text in vector files.
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
}


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function with the settings of `STYLE`, and leave no trace of them."""

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with matplotlib.rc_context({**STYLE, "font.family": _families()}):
            return function(*args, **kwargs)

    return inside


@functools.cache
def _families() -> list[str]:
    """Matplotlib's font, and fonts of this machine with East Asian characters."""
    known = set(font_manager.get_font_names())
    return ["sans-serif", *(name for name in _EAST_ASIAN if name in known)]


@styled
def save_figure(figure: Figure, path: StrPath, *, overwrite: bool = True) -> Path:
    """Write a figure, whole or not at all.

    Args:
        figure: A `matplotlib.figure.Figure`.
        path: File ending in .png, .pdf or .svg, in a folder that exists.
        overwrite: Whether a file that exists is replaced.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        InputError: Another suffix, the folder is missing, or the file exists.
    """
    path = check_figure_path(path, overwrite)
    # In memory first: Matplotlib's PDF turns a full disk into an error of another kind.
    drawn = io.BytesIO()
    with boxes_once(path):
        figure.savefig(drawn, format=path.suffix[1:].lower())
    with replacing(path) as temporary:
        temporary.write_bytes(drawn.getbuffer())
    return path


@contextlib.contextmanager
def boxes_once(path: StrPath) -> Iterator[None]:
    """Warn once, and not for every character, of those that no font has."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    boxes = [w for w in caught if "missing from" in str(w.message)]
    for w in caught:
        if w not in boxes:
            warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)
    if boxes:
        warnings.warn(
            f"{path}: no font of this machine has some of the characters, which are "
            "drawn as boxes; install one that has, such as Noto Sans CJK",
            stacklevel=4,
        )


def check_figure_path(path: StrPath, overwrite: bool = True) -> Path:
    """Refuse a path that `save_figure` could not write, before the work is done."""
    return check_output_path(path, SUFFIXES, overwrite)


def whole_scale(size: int, inches: float) -> int:
    """Whole factor that shows `size` image pixels at about `inches`, at least 1."""
    return max(1, round(inches * DPI / size))


def shorten_all(
    texts: Sequence[str], pixels: float, points: float = 7.0, weight: str = "bold"
) -> list[str]:
    """Cut texts as `shorten` does, so that different ones look different."""
    every = list(dict.fromkeys(texts))
    cut = {text: shorten(text, pixels, points, weight) for text in every}
    # By what differs: whole words, else characters, else numbers.
    for part in (r"[^\W_]+|[\W_]", r"."):
        alike: dict[str, list[str]] = {}
        for text, short in cut.items():
            alike.setdefault(short, []).append(text)
        for found in alike.values():
            for text in found if len(found) > 1 else ():
                own = _difference(text, found, part)
                cut[text] = shorten(own, pixels, points, weight)
    counts = Counter(cut.values())
    for number, text in enumerate(every, start=1):
        if counts[cut[text]] > 1:
            cut[text] = shorten(f"{number}: {text}", pixels, points, weight)
    return [cut[text] for text in texts]


def _difference(text: str, others: Sequence[str], part: str) -> str:
    """A text without the parts that all others begin and end with too."""
    words = {each: re.findall(part, each, re.DOTALL) for each in others}
    # One part at least is left.
    head = len(os.path.commonprefix([each[:-1] for each in words.values()]))
    tail = len(os.path.commonprefix([each[:head:-1] for each in words.values()]))
    own = words[text][head : len(words[text]) - tail]
    return ("…" if head else "") + "".join(own) + ("…" if tail else "")


def shorten(text: str, pixels: float, points: float = 7.0, weight: str = "bold") -> str:
    """Cut a text in the middle so that it is `pixels` wide at most, at `DPI`."""
    # Surrogates cannot be drawn.
    text = "".join(c if c.isprintable() else "?" for c in text)
    if len(text) > 2 * _LONGEST:
        # Measuring takes its time, and no figure is that wide.
        text = text[:_LONGEST] + text[-_LONGEST:]
    font, measure = FontProperties(weight=weight, size=points), TextToPath()

    def cut(kept: int) -> str:
        head = (kept + 1) // 2
        return f"{text[:head]}…{text[len(text) - (kept - head) :]}"

    def is_too_wide(string: str) -> bool:
        width, *_ = measure.get_text_width_height_descent(string, font, ismath=False)
        least = (width - points / 2) * DPI / 72  # without the space beside letters
        if width * DPI / 72 <= pixels or least > pixels:
            return least > pixels
        # To the pixel, which takes long. Between dollar signs it would read a formula.
        drawn = TextPath((0, 0), string.replace("$", "S"), size=points, prop=font)
        return drawn.get_extents().width * DPI / 72 > pixels

    if len(text) <= 4 or not is_too_wide(text):
        return text
    # The most characters that fit, but 4 at least.
    more = range(5, len(text))
    return cut(4 + bisect.bisect_left(more, True, key=lambda n: is_too_wide(cut(n))))


class NotebookFigure(Figure):
    """A figure that a notebook shows without pyplot, half as large as it is saved."""

    @styled
    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        drawn = io.BytesIO()
        self.savefig(drawn, format="png")
        width, height = (self.get_size_inches() * self.dpi / 2).round().astype(int)
        return drawn.getvalue(), {"width": int(width), "height": int(height)}


class Sheet:
    """A figure in device pixels from the top left; images at whole multiples."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = int(width), int(height)
        self.figure = NotebookFigure((self.width / DPI, self.height / DPI), dpi=DPI)

    def tiles(
        self, left: float, top: float, images: NDArray[Any], scale: int, gap: int
    ) -> Axes:
        """Show images `(rows, columns, H, W, C)`, `gap` pixels apart."""
        canvas = _compose(to_rgb(images), scale, gap)
        height, width = canvas.shape[:2]
        corner = left / self.width, 1 - (top + height) / self.height
        size = width / self.width, height / self.height
        axes = self.figure.add_axes((*corner, *size))
        axes.imshow(canvas, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        return axes

    def text(self, x: float, y: float, string: str, **kwargs: Any) -> Text:
        """Write at pixel (x, y) from the top left; kwargs as for `Figure.text`."""
        return self.figure.text(
            x / self.width, 1 - y / self.height, string, **{"va": "center", **kwargs}
        )

    def title(self, x: float, y: float, string: str) -> Text:
        """Write a name in bold; dollar signs in it begin no formula."""
        return self.text(x, y, string, weight="bold", parse_math=False)

    def heading(
        self, left: float, right: float, top: float, name: str, about: str
    ) -> None:
        """Write a name, cut to its room, at the left, and facts at the right."""
        self.title(left, top, name)
        self.text(right, top, about, ha="right", color=FADED)


def tiles_size(
    rows: int, columns: int, shape: tuple[int, ...], scale: int, gap: int
) -> tuple[int, int]:
    """Height and width in pixels of what `Sheet.tiles` shows; `shape` is `(H, W)`."""
    height = rows * shape[0] * scale + (rows - 1) * gap
    width = columns * shape[1] * scale + (columns - 1) * gap
    return height, width


def to_rgb(images: ArrayLike) -> NDArray[np.uint8]:
    """Images `(..., H, W, C)`, bytes or in [0, 1], as uint8 of 3 channels, or grey."""
    images = np.asarray(images)
    if images.dtype != np.uint8:
        images = np.round(np.clip(images, 0.0, 1.0) * 255.0).astype("uint8")
    if images.shape[-1] != 3:
        grey = images.mean(axis=-1, keepdims=True).round().astype("uint8")
        images = np.repeat(grey, 3, axis=-1)
    return images


def _compose(images: NDArray[np.uint8], scale: int, gap: int) -> NDArray[np.uint8]:
    """One picture of images `(rows, columns, H, W, 3)`."""
    images = images.repeat(scale, axis=2).repeat(scale, axis=3)
    rows, columns, height, width, _ = images.shape
    around = [(0, 0), (0, 0), (0, gap), (0, gap), (0, 0)]
    canvas = np.pad(images, around, constant_values=255).swapaxes(1, 2)
    canvas = canvas.reshape(rows * (height + gap), columns * (width + gap), 3)
    return canvas[: len(canvas) - gap, : canvas.shape[1] - gap]
