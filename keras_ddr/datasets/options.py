"""Options that data sets of videos and pictures share."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.arguments import (
    check_choice,
    check_number,
    check_size,
    check_whole,
    is_number,
)
from keras_ddr.data.labels import Label
from keras_ddr.errors import InputError
from keras_ddr.faces.detector import COLUMNS, FaceDetector, detector_model
from keras_ddr.media import opencv

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath

__all__ = [
    "check",
    "check_numbers",
    "coloured",
    "detector",
    "face_labels",
    "make_detector",
    "threads",
]

_CHOICES = {
    "crop": ("face", "center", "none"),
    "people": ("largest", "all"),
    "align": ("box", "eyes"),
    "channels": (1, 3),
    "persons": ("source", "folder"),
}


def check(**chosen: str | int) -> None:
    """Refuse what is not among the choices, by its name.

    Raises:
        InputError: one of them cannot be used.
    """
    for name, value in chosen.items():
        check_choice(_CHOICES[name], **{name: value})


def check_numbers(size: int, margin: float, fps: float | None = None) -> None:
    """Refuse numbers out of range, by their names.

    Raises:
        InputError: one of them cannot be used.
    """
    check_size(size=size)
    if not is_number(margin) or not -0.4 < margin <= 2:
        raise InputError(
            f"margin={margin!r}; it must be between -0.4 and 2, such as 0.2"
        )
    if fps is not None:
        check_number(above=True, fps=fps)


def detector(
    model: StrPath | None, size: int, every: int, threshold: float, refine: bool = False
) -> dict[str, Any]:
    """Check what the detector needs, and fetch its model where none is given.

    Args:
        model: path, or None.
        size: longest side of searched pictures.
        every: distance of searched frames.
        threshold: least score.
        refine: whether landmarks are needed as exactly as can be.

    Returns:
        Dict of plain values from which a worker makes its own detector.

    Raises:
        InputError: one of them cannot be used.
    """
    check_whole(32, 10_000, detector_size=size)
    # Further apart a face could come and go unseen.
    check_whole(1, 10, detect_every=every)
    if not is_number(threshold) or not 0 < threshold < 1:
        raise InputError(
            f"threshold={threshold!r}; it must be between 0 and 1, such as 0.7"
        )
    opencv.load()  # before a download that would be of no use
    path = detector_model(model)
    FaceDetector(path, size, threshold)
    return {
        "model": os.path.abspath(path),
        "size": int(size),
        "every": int(every),
        "threshold": float(threshold),
        "refine": bool(refine),
    }


def face_labels() -> dict[str, Label]:
    """Descriptions of the frame labels that say where a face was."""
    return {
        name: Label(
            "frame", "continuous", unit=None if name == "detector_score" else "px"
        )
        for name in COLUMNS
    }


def coloured(image: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Turn a crop from blue, green, red into what is stored.

    Args:
        image: uint8 (H, W, 3): blue, green, red.
        channels: 3 for red, green, blue, or 1 for grey.

    Returns:
        uint8 (H, W, channels).
    """
    if channels == 3:
        return image[..., ::-1]
    # Luma of ITU-R BT.601, as OpenCV and Pillow have it.
    grey = image @ np.array([0.114, 0.587, 0.299], np.float32)
    return np.rint(grey).astype(np.uint8)[..., None]


def threads() -> int:
    """Decoding threads: one in a worker, since there is one worker a core."""
    return 1 if multiprocessing.parent_process() else os.cpu_count() or 1


def make_detector(about: Mapping[str, Any]) -> FaceDetector:
    """The detector that `detector` describes."""
    return FaceDetector(
        about["model"], about["size"], about["threshold"], about["refine"]
    )
