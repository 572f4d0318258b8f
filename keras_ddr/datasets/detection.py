"""How faces are found."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from keras_ddr.data.labels import CROP_LABELS, Label
from keras_ddr.datasets.option_fields import Options, option
from keras_ddr.faces.detector import FaceDetector, detector_model
from keras_ddr.media import opencv

if TYPE_CHECKING:
    from keras_ddr.typing import StrPath

FACE_LABELS = {
    name: Label("frame", "continuous", unit=None if name == "detector_score" else "px")
    for name in CROP_LABELS
}


@dataclass(frozen=True)
class Detection(Options):
    """How faces are searched for."""

    detector_model: StrPath | None = option(
        None,
        "YuNet as ONNX file (face_detection_yunet_2023mar.onnx).",
        unset="downloaded once, 230 kB",
        metavar="FILE",
    )
    detector_size: int = option(
        320,
        "Longest side to which frames are reduced for the search; larger finds smaller "
        "faces, and takes longer.",
        kind=int,
        least=32,
        most=10_000,
    )
    threshold: float = option(
        0.7, "Least score of a face.", kind=float, least=0, most=1, open="()"
    )
    # Further apart a face could come and go unseen.
    detect_every: int = option(
        4,
        "Search every so many frames while faces move little, and interpolate between; "
        "quick motion is searched frame by frame anyway.",
        kind=int,
        least=1,
        most=10,
    )

    def fetched(self) -> Detection:
        """The same with the path of the model, fetched and tried in this process."""
        opencv.load()  # before a download that would be of no use
        path = os.path.abspath(detector_model(self.detector_model))
        found = replace(self, detector_model=path)
        found.detector()
        return found

    def detector(self, refine: bool = False) -> FaceDetector:
        """The detector; `refine` for landmarks as exact as can be."""
        path = detector_model(self.detector_model)
        return FaceDetector(path, self.detector_size, self.threshold, refine)
