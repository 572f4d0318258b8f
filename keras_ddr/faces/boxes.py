"""Boxes around faces: (x, y, width, height) in pixels, and the files that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.files import read_text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import StrPath

_MOST = 1 << 20  # bytes of a file of points
_FARTHEST = 1e6  # pixels from the corner at which a point can be meant


@dataclass(frozen=True)
class Face:
    """A face in a picture, in pixels of it."""

    box: NDArray[np.float64]  # x, y, width, height
    # x, y of right eye, left eye, nose, right and left corner of the mouth, as the
    # person has them, (5, 2); NaN where not known.
    landmarks: NDArray[np.float64]
    score: float = np.nan  # 0 to 1; NaN of a face that was not searched for

    @property
    def area(self) -> float:
        """Area of the box, square pixels."""
        return float(self.box[2] * self.box[3])

    @property
    def numbers(self) -> NDArray[np.float64]:
        """All of it, (15,), in the order of `keras_ddr.data.labels.CROP_LABELS`."""
        return np.concatenate([self.box, self.landmarks.ravel(), [self.score]])

    @property
    def pose(self) -> NDArray[np.float64]:
        """Head pose by the landmarks, (4,), in the order of `HEAD_LABELS`.

        Yaw and pitch are places of the nose, which follow the angles: how far it is
        from the middle of the eyes towards the person's left, and downwards as a share
        of the way to the mouth.
        """
        right, left, nose, *corners = self.landmarks
        eyes, mouth = (right + left) / 2, (corners[0] + corners[1]) / 2
        across = left - right
        distance = np.hypot(*across)
        if not distance > 0:  # also where not known
            return np.full(4, np.nan)
        across = across / distance
        down = np.array([-across[1], across[0]])
        yaw = (nose - eyes) @ across / distance
        height = (mouth - eyes) @ down
        pitch = (nose - eyes) @ down / height if height else np.nan
        roll = np.degrees(np.arctan2(across[1], across[0]))
        width = np.hypot(*(corners[1] - corners[0])) / distance
        return np.array([yaw, pitch, roll, width])


def mean_face(
    faces: Sequence[Face], weights: Sequence[float], score: float = np.nan
) -> Face:
    """The weighted mean of boxes and landmarks, with a score of its own."""
    box, landmarks = np.zeros(4), np.zeros((5, 2))
    for face, weight in zip(faces, weights, strict=True):
        box, landmarks = box + weight * face.box, landmarks + weight * face.landmarks
    total = sum(weights)
    return Face(box / total, landmarks / total, score)


def is_usable(box: ArrayLike, height: int, width: int) -> bool:
    """Whether a box can be cropped: finite, in the picture, not far larger than it."""
    box = np.asarray(box, np.float64)
    if not np.isfinite(box).all():
        return False
    x, y, w, h = box
    inside = x < width and y < height and x + w > 0 and y + h > 0
    return bool(w > 0 and h > 0 and inside and max(w, h) <= 4 * max(height, width))


def match(
    before: Sequence[Any] | NDArray[Any],
    after: Sequence[Any] | NDArray[Any],
    reach: float,
) -> list[tuple[int, int]]:
    """Pair the boxes of two frames that belong together: (index before, index after).

    The nearest centres come first; `reach` is a share of the smaller width.
    """
    if not len(before) or not len(after):
        return []
    before, after = np.asarray(before), np.asarray(after)
    centres = before[:, None, :2] + before[:, None, 2:] / 2
    moved = centres - (after[None, :, :2] + after[None, :, 2:] / 2)
    widths = np.maximum(before[:, None, 2], 1e-6), np.maximum(after[None, :, 2], 1e-6)
    distance = np.hypot(moved[..., 0], moved[..., 1]) / np.minimum(*widths)
    ratio = np.maximum(*widths) / np.minimum(*widths)
    possible = (distance <= reach) & (ratio <= 1.6)
    pairs: list[tuple[int, int]] = []
    for position in np.argsort(distance, axis=None, kind="stable"):
        i, j = divmod(int(position), len(after))
        if possible[i, j]:
            pairs.append((i, j))
            possible[i] = possible[:, j] = False
    return pairs


def read_pts(path: StrPath) -> NDArray[np.float64]:
    """The points (N, 2) of a .pts file: n_points: N, then lines x y between braces."""
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
                x, y = (float(word) for word in line.split())
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
    """The box (x, y, width, height) around points (N, 2), in any order."""
    low, high = points.min(axis=0), points.max(axis=0)
    return np.concatenate([low, high - low])
