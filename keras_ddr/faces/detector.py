"""Face detection with YuNet, through OpenCV."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.errors import InputError, reason_of
from keras_ddr.faces.boxes import Face, is_usable
from keras_ddr.faces.cropping import crop_square, square
from keras_ddr.media import opencv

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath

_NAME = "face_detection_yunet_2023mar.onnx"
# The authors' file at a fixed commit, and the same one in OpenCV's collection.
_ADDRESSES = (
    "https://github.com/ShiqiYu/libfacedetection.train/raw/"
    "02246e79b1e976c83d1e135a85e0628120c93769/onnx/yunet_s_640_640.onnx",
    "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/"
    + _NAME,
)
_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
# YuNet halves a picture five times. OpenCV 4 computes maps that are one pixel high from
# memory that nobody wrote, and finds faces there; so each side has two of them.
_MULTIPLE, _LEAST = 32, 64
# Size and margin of the crops on which landmarks are found once more.
_CLOSE, _CLOSE_MARGIN = 320, 0.2


def detector_model(
    path: StrPath | None = None,
    addresses: Iterable[str] = _ADDRESSES,
    cache_dir: StrPath | None = None,
) -> Path:
    """The detector's file; without a path it is fetched once into Keras's cache."""
    if path is not None:
        path = Path(path)
        if not path.is_file():
            raise InputError(
                f"{path}: no such file; give the path of {_NAME} (--detector-model)"
            )
        return path
    import keras

    if cache_dir is not None:
        # Keras writes elsewhere if this folder is missing.
        Path(cache_dir).mkdir(parents=True, exist_ok=True)
    for address in addresses:
        try:
            return Path(
                keras.utils.get_file(
                    _NAME,
                    address,
                    file_hash=_SHA256,
                    hash_algorithm="sha256",
                    cache_subdir="keras_ddr",
                    cache_dir=cache_dir,
                )
            )
        # Keras promises no type for a failed download.
        except Exception as error:
            reason = reason_of(error)
    raise InputError(
        f"the face detector (230 kB) cannot be downloaded ({reason}); fetch {_NAME} by "
        "other means and give its path (--detector-model)"
    )


class FaceDetector:
    """Finds faces in pictures of any size, uint8 (H, W, 3), the largest first.

    Pictures are reduced to the longest side `size`; faces of less than about a
    thirtieth of it are not found then. `refine` finds the landmarks once more on an
    enlarged crop of each face: YuNet takes small tilted faces for more upright than
    they are; a tilt of 20 degrees is then measured as 12 to 20 and not as 3 to 20.
    """

    def __init__(
        self,
        model: StrPath,
        size: int = 320,
        threshold: float = 0.7,
        refine: bool = False,
    ) -> None:
        self.size = int(size)
        self.refine = refine
        self._cv2 = opencv.load()
        try:
            # From bytes, so that any name will do.
            data = np.frombuffer(Path(model).read_bytes(), np.uint8)
            with opencv.quietly():
                self._net = self._cv2.FaceDetectorYN.create(
                    "onnx",
                    data,
                    np.zeros(0, np.uint8),
                    (_LEAST, _LEAST),
                    float(threshold),
                )
                self.detect(np.zeros((_LEAST, _LEAST, 3), np.uint8))
        except (OSError, ValueError, self._cv2.error) as error:
            raise InputError(
                f"{model}: cannot be used as a face detector; give {_NAME} "
                "(--detector-model)"
            ) from error

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """The faces in a picture, in its pixels."""
        faces = self._find(image, self.size)
        return [self._refined(image, face) for face in faces] if self.refine else faces

    def _refined(self, image: NDArray[np.uint8], face: Face) -> Face:
        """The face with the landmarks that are found on its crop."""
        crop = crop_square(image, face.box, _CLOSE, _CLOSE_MARGIN)
        found = self._find(crop, _CLOSE)
        if not found:
            return face

        left, top, side = square(face.box, _CLOSE_MARGIN)
        centres = [f.box[:2] + f.box[2:] / 2 - _CLOSE / 2 for f in found]
        nearest = found[int(np.argmin([np.hypot(*centre) for centre in centres]))]
        return replace(face, landmarks=nearest.landmarks * side / _CLOSE + (left, top))

    def _find(self, image: NDArray[np.uint8], size: int) -> list[Face]:
        cv2 = self._cv2
        height, width = image.shape[:2]
        scale = min(1.0, size / max(height, width))
        if scale < 1:
            reduced = max(1, round(width * scale)), max(1, round(height * scale))
            image = cv2.resize(image, reduced, interpolation=cv2.INTER_AREA)
        scale_x, scale_y = image.shape[1] / width, image.shape[0] / height
        below, beside = (
            max(_LEAST, side + -side % _MULTIPLE) - side for side in image.shape[:2]
        )
        if below or beside:
            image = cv2.copyMakeBorder(image, 0, below, 0, beside, cv2.BORDER_CONSTANT)
        self._net.setInputSize((image.shape[1], image.shape[0]))
        rows = self._net.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
        faces = []
        # YuNet's rows: box, landmarks, score.
        for row in [] if rows is None else rows.astype(np.float64):
            points = row[:14].reshape(7, 2) / (scale_x, scale_y)
            face = Face(points[:2].ravel(), points[2:], float(row[14]))
            # OpenCV 4.8 finds boxes without size far outside very flat pictures.
            if np.isfinite(row).all() and is_usable(face.box, height, width):
                faces.append(face)
        return sorted(faces, key=lambda face: -face.area)
