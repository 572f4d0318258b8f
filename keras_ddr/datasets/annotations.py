"""Annotation files with a line a frame, and the frames that their lines belong to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.files import read_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath

# Annotations that lack more lines than this may be counted in another way.
_NEAR = 5
_MISSING = -5


def read_annotation(path: StrPath) -> tuple[NDArray[np.float64], str]:
    """Numbers of a file of one a line, in [-1, 1] or NaN, and the problem or "".

    A header, line ends of Windows, a byte order mark, commas after the numbers and
    blank lines at the end are taken.
    """
    lines = text_lines(path)
    header = int(bool(lines) and _is_header(lines[0]))
    values, bad = [], []
    for number, line in enumerate(lines[header:], start=header + 1):
        try:
            (text,) = line.replace(",", " ").split()
            value = mark(float(text))
        except ValueError:
            value = np.nan
            bad.append((number, line))
        values.append(value)
    return np.array(values, np.float64), bad_lines(path, bad)


def _is_header(line: str) -> bool:
    # Words alone: a broken number taken for a header would shift all lines.
    words = [word.strip("\"'#:;").lower() for word in line.replace(",", " ").split()]
    return bool(words) and all(
        re.fullmatch(r"[^\W\d]+", word) and word not in ("nan", "inf") for word in words
    )


def mark(value: float) -> float:
    """A valence or arousal as it is stored: NaN for "none", clipped to [-1, 1]."""
    if np.isnan(value) or value == _MISSING:
        return np.nan
    if not abs(value) <= 1 + 1e-6:
        raise ValueError(value)
    return min(1.0, max(-1.0, value))


def bad_lines(path: StrPath, bad: Sequence[tuple[int, str]]) -> str:
    """Lines (number from 1, line) that could not be used, as a note, or ""."""
    if not bad:
        return ""
    number, line = bad[0]
    more = f" (and {len(bad) - 1} more lines)" if len(bad) > 1 else ""
    return (
        f"{path}: line {number} holds {line.strip()[:40]!r}, which is no label{more}; "
        "taken as missing"
    )


def align(
    count: int, frames: int, with_file: Sequence[int] = (), with_box: Sequence[int] = ()
) -> tuple[NDArray[np.integer] | None, str]:
    """Find the frames that the lines of an annotation belong to, and the rule in words.

    Lines are one a frame where there are as many as frames; else one a boxed frame
    where there are as many as boxes; else one a frame if they are more than the frames,
    at most 5 fewer, or reach the last box. Else there are no frames (None).
    """
    every = np.arange(count)
    if count == frames:
        return every, ""
    for boxed in (with_file, with_box):
        if count and count == len(boxed):
            return np.array(boxed), "taken as one a boxed frame"
    last = with_box[-1] + 1 if len(with_box) else np.inf
    if count and (count >= min(frames - _NEAR, last)):
        return every, "taken as one a frame"
    return None, "which fits neither, so it is left out (NaN)"


def text_lines(path: StrPath) -> list[str]:
    """Lines of a text file, without a byte order mark and blank lines at its end."""
    try:
        text = read_text(path, encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    # Any line end is "\n" here.
    return text.rstrip().split("\n") if text.strip() else []
