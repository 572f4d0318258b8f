"""The format of frame stores: names and numbers that reading and writing share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from keras_ddr.typing import LabelInfo, LabelValue

__all__ = ["FILES", "FORMAT", "FORMAT_VERSION", "SPLITS"]

FORMAT = "keras_ddr frame store"
"""What meta.json calls a frame store."""
FORMAT_VERSION = 1
"""Version of the format that is written here."""
SPLITS = ("train", "val", "test")
"""Names of the splits."""
FILES = ("frames.npy", "sequences.csv", "labels.npz", "meta.json")
"""Names of the files of a store."""
HEADER_SIZE = 192
"""Bytes before the pixels in a frames.npy that is written here."""

COLUMNS = ("name", "start", "length", "split", "person", "source")
LABEL_PREFIX = "label:"
SCOPES = ("sequence", "frame")
KINDS = ("categorical", "continuous", "periodic")
# Every frame has these two; a dataset that knows no times leaves NaN.
FRAME_LABELS: dict[str, LabelInfo] = {
    "source_frame": {
        "scope": "frame",
        "kind": "continuous",
        "classes": None,
        "unit": "frames",
        "missing": -1,
    },
    "time": {
        "scope": "frame",
        "kind": "continuous",
        "classes": None,
        "unit": "s",
        "missing": None,
    },
}

# Where in its source a frame was cut out, where that is known: the box of the face,
# landmarks (as the person has them) and the detector's score.
CROP_LABELS = (
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "right_eye_x",
    "right_eye_y",
    "left_eye_x",
    "left_eye_y",
    "nose_x",
    "nose_y",
    "mouth_right_x",
    "mouth_right_y",
    "mouth_left_x",
    "mouth_left_y",
    "detector_score",
)


class Row(TypedDict):
    """A row of sequences.csv."""

    name: str
    start: int
    length: int
    split: str
    person: str
    source: str
    labels: dict[str, LabelValue]


def shape_text(shape: Iterable[int]) -> str:
    """A shape as messages name it: 64x64x3."""
    return "x".join(str(size) for size in shape)
