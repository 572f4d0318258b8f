"""Square crops of one size: around a face or an animal, or of a whole picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.media import opencv

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# A picture more than this many times as long as wide is made small first.
_LONG = 8
# Where eyes (right, left), nose and corners of the mouth (right, left) of an upright
# face lie in the unit square: the usual template of face recognition (112 pixels).
_X = 38.2946, 73.5318, 56.0252, 41.5493, 70.7299
_Y = 51.6963, 51.5014, 71.7366, 92.3655, 92.2041
_TEMPLATE = np.stack([_X, _Y], axis=1) / 112


def square(box: NDArray[Any], margin: float) -> tuple[int, int, int]:
    """The square (left, top, side) in whole pixels that is cropped for a box."""
    x, y, width, height = (float(value) for value in box)
    side = max(1, round(max(width, height) * (1 + 2 * margin)))
    left, top = x + (width - side) / 2, y + (height - side) / 2
    return round(left), round(top), side


def crop_square(
    image: NDArray[np.uint8], box: NDArray[Any], size: int = 64, margin: float = 0.2
) -> NDArray[np.uint8]:
    """Cut the square around a box and a margin at one size; its border is repeated."""
    cv2 = opencv.load()
    left, top, side = square(box, margin)
    height, width = image.shape[:2]
    # A square may touch the picture in less than a pixel.
    x0, x1 = np.clip([left, left + side], 0, width)
    y0, y1 = np.clip([top, top + side], 0, height)
    x0, y0 = min(x0, width - 1), min(y0, height - 1)
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    part = image[y0:y1, x0:x1]
    borders = y0 - top, top + side - y1, x0 - left, left + side - x1
    if max(borders) > 0:
        borders = np.maximum(borders, 0).tolist()
        part = cv2.copyMakeBorder(part, *borders, cv2.BORDER_REPLICATE)
    return _resized(part, size)


def crop_aligned(
    image: NDArray[np.uint8], landmarks: ArrayLike, size: int = 64, margin: float = 0.2
) -> NDArray[np.uint8]:
    """Cut a face such that eyes, nose and mouth lie at the same places.

    The picture is turned, scaled and shifted (never sheared) so that the landmarks
    (5, 2) come as near as can be, by least squares, to those of an upright face.
    """
    template = (0.5 + (_TEMPLATE - 0.5) / (1 + 2 * margin)) * size
    # As complex numbers, a turn and a scale are one factor.
    source = np.asarray(landmarks, np.float64) @ (1, 1j)
    target = template @ (1, 1j)
    centred = source - source.mean()
    spread = float((np.abs(centred) ** 2).sum())
    factor = (np.conj(centred) * (target - target.mean())).sum() / max(spread, 1e-6)
    if abs(factor) < 1e-6:
        factor = complex(1e-6)
    return _warped(image, factor, target.mean() - factor * source.mean(), size)


def crop_turned(
    image: NDArray[np.uint8],
    centre: ArrayLike,
    angle: float,
    side: float,
    size: int = 64,
) -> NDArray[np.uint8]:
    """Cut a turned square around a point; the border of the picture is repeated.

    The direction `angle`, in degrees from x to y, points to the right in the crop.
    `centre` counts from the middle of the first pixel.
    """
    factor = np.exp(-1j * math.radians(angle)) * size / side
    middle = (size - 1) / 2 * (1 + 1j)
    return _warped(image, factor, middle - factor * complex(*np.ravel(centre)), size)


def _warped(
    image: NDArray[np.uint8], factor: complex, shift: complex, size: int
) -> NDArray[np.uint8]:
    """The square of a picture where point p comes to lie at factor * p + shift."""
    cv2 = opencv.load()
    # Sample a multiple of the size first, no fewer than the picture has, and average
    # that: shrinking by sampling alone would alias.
    times = min(16, max(1, math.ceil(1 / abs(factor) - 1e-3)))
    half = (times - 1) / 2  # pixel centres of the larger picture
    factor, shift = factor * times, shift * times + half * (1 + 1j)
    matrix = np.array(
        [
            [factor.real, -factor.imag, shift.real],
            [factor.imag, factor.real, shift.imag],
        ]
    )
    turned = cv2.warpAffine(
        image,
        matrix,
        (size * times, size * times),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return _resized(turned, size)


def crop_whole(
    image: NDArray[np.uint8], size: int = 64, crop: str = "none"
) -> NDArray[np.uint8]:
    """Bring a whole picture (H, W, C) to a square (size, size, C).

    "center" takes the largest square in the middle, "none" all of the picture, with
    black bars where it is not square.
    """
    cv2 = opencv.load()
    height, width = image.shape[:2]
    if crop == "center":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return _resized(image[top : top + side, left : left + side], size)
    side = max(height, width)
    if side > _LONG * min(height, width):
        # Bars around a long strip could fill the memory.
        width, height = (max(1, round(n * size / side)) for n in (width, height))
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        side = size
    above, before = (side - height) // 2, (side - width) // 2
    borders = above, side - height - above, before, side - width - before
    if any(borders):
        image = cv2.copyMakeBorder(image, *borders, cv2.BORDER_CONSTANT)
    return _resized(image, size)


def _resized(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The picture in size x size: averaged where it shrinks, else interpolated."""
    cv2 = opencv.load()
    if image.shape[:2] == (size, size):
        return image
    smaller = max(image.shape[:2]) >= size
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(image, (size, size), interpolation=method)
