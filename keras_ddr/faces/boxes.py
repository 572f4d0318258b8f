"""Boxes around faces: (x, y, width, height) in pixels, and the files that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.files import read_text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import StrPath

    _Boxes: TypeAlias = NDArray[Any] | Sequence[ArrayLike]

__all__ = ["box_of_points", "is_usable", "match", "read_pts"]

_MOST = 1 << 20  # bytes of a file of points
_FARTHEST = 1e6  # pixels from the corner at which a point can be meant


def is_usable(box: ArrayLike, height: int, width: int) -> bool:
    """Whether a box can be cropped from a picture.

    Args:
        box: (x, y, width, height) in pixels.
        height: of the picture.
        width: of the picture.

    Returns:
        False where a number is not finite, the box has no area, lies outside the
        picture or is so large that it cannot be meant.
    """
    box = np.asarray(box, np.float64)
    if not np.isfinite(box).all():
        return False
    x, y, w, h = box
    inside = x < width and y < height and x + w > 0 and y + h > 0
    return bool(w > 0 and h > 0 and inside and max(w, h) <= 4 * max(height, width))


def match(before: _Boxes, after: _Boxes, reach: ArrayLike) -> list[tuple[int, int]]:
    """Pair the boxes of two frames that belong together.

    The nearest centres are paired first. Boxes are no pair where the centre moved by
    more than `reach` of the smaller width, or where one is more than 1.6 times as
    wide.

    Args:
        before: boxes (n, 4 or more): x, y, width, height, ….
        after: boxes (m, 4 or more).
        reach: in widths; one number, or n numbers, one for each box of `before`.

    Returns:
        List of (index in `before`, index in `after`).
    """
    if not len(before) or not len(after):
        return []
    before, after = np.asarray(before)[:, :4], np.asarray(after)[:, :4]
    centres = before[:, None, :2] + before[:, None, 2:] / 2
    moved = centres - (after[None, :, :2] + after[None, :, 2:] / 2)
    widths = np.maximum(before[:, None, 2], 1e-6), np.maximum(after[None, :, 2], 1e-6)
    distance = np.hypot(moved[..., 0], moved[..., 1]) / np.minimum(*widths)
    ratio = np.maximum(*widths) / np.minimum(*widths)
    possible = (distance <= np.reshape(reach, (-1, 1))) & (ratio <= 1.6)
    pairs: list[tuple[int, int]] = []
    taken: tuple[set[int], set[int]] = set(), set()
    for place in np.argsort(distance, axis=None, kind="stable"):
        i, j = divmod(int(place), len(after))
        if possible[i, j] and i not in taken[0] and j not in taken[1]:
            pairs.append((i, j))
            taken[0].add(i)
            taken[1].add(j)
    return pairs


def read_pts(path: StrPath) -> NDArray[np.float64]:
    """Read the points of a .pts file.

    Args:
        path: file with the lines "version: 1", "n_points: N", "{", N lines "x y", "}".
            Commas between numbers, blank lines, a byte order mark and any line ends are
            taken as well.

    Returns:
        float64 array (N, 2) of x, y in pixels.

    Raises:
        InputError: naming file and line.
    """
    path = Path(path)
    try:
        text = read_text(path, _MOST, "utf-8-sig", "replace")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    points, promised, inside = [], None, False
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.replace(",", " ").strip()
        if line.startswith("n_points"):
            promised = line.partition(":")[2].strip()
        if line in ("{", "}"):
            inside = line == "{"
        elif inside and line:
            try:
                x, y = (float(part) for part in line.split())
            except ValueError:
                raise InputError(
                    f"{path}: line {number} is {line[:40]!r}, but should be two "
                    "numbers; the box is left out"
                ) from None
            if not (abs(x) <= _FARTHEST and abs(y) <= _FARTHEST):
                raise InputError(
                    f"{path}: line {number} holds {line[:40]!r}, which is no place in "
                    "a picture; the box is left out"
                )
            points.append((x, y))
    if promised is not None and promised != str(len(points)):
        raise InputError(
            f"{path}: promises {promised[:20]} points and holds {len(points)}; the box "
            "is left out"
        )
    return np.array(points, np.float64).reshape(-1, 2)


def box_of_points(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The box around points, whose order does not matter.

    Args:
        points: (N, 2) of x, y.

    Returns:
        Array (x, y, width, height).
    """
    low, high = points.min(axis=0), points.max(axis=0)
    return np.concatenate([low, high - low])
