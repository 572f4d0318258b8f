"""Face detection with YuNet, through OpenCV."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.data.labels import CROP_LABELS
from keras_ddr.errors import InputError
from keras_ddr.faces.boxes import is_usable
from keras_ddr.faces.cropping import crop_square, square
from keras_ddr.media import opencv

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath

__all__ = ["COLUMNS", "FaceDetector", "detector_model"]

COLUMNS = CROP_LABELS
"""What is known of a face, in the order of YuNet's output: pixels, and a score."""

_NAME = "face_detection_yunet_2023mar.onnx"
# The file of its authors at a fixed commit, and the same one in OpenCV's collection.
_ADDRESSES = (
    "https://github.com/ShiqiYu/libfacedetection.train/raw/"
    "02246e79b1e976c83d1e135a85e0628120c93769/onnx/yunet_s_640_640.onnx",
    "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/"
    + _NAME,
)
_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
# YuNet halves a picture five times.
_MULTIPLE = 32
# Size of the crops on which landmarks are found once more, and what is added around.
_CLOSE, _CLOSE_MARGIN = 320, 0.2


def detector_model(
    path: StrPath | None = None,
    addresses: Iterable[str] = _ADDRESSES,
    cache_dir: StrPath | None = None,
) -> Path:
    """Find the file of the detector, and fetch it once where none is given.

    Args:
        path: a local file, or None to download it into Keras's cache, where it is
            compared with its known sha256.
        addresses: where it is downloaded from, the first one that answers.
        cache_dir: folder of the cache, by default Keras's own.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        InputError: there is no such file, or it cannot be downloaded.
    """
    if path is not None:
        path = Path(path)
        if not path.is_file():
            raise InputError(
                f"{path}: no such file; give the path of {_NAME} (--detector-model)"
            )
        return path
    import keras

    if cache_dir is not None:
        # Keras writes to another folder where this one is not there.
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
        # What a failed download raises is nobody's promise.
        except Exception as error:
            reason = " ".join(str(error).split())
    raise InputError(
        f"the face detector (230 kB) cannot be downloaded ({reason}); fetch {_NAME} by "
        "other means and give its path (--detector-model)"
    )


class FaceDetector:
    """Finds faces in pictures of any size.

    Args:
        model: YuNet as an ONNX file; see `detector_model`.
        size: longest side, in pixels, to which pictures are reduced for the search.
            Faces of less than about a thirtieth of the longest side are not found
            then.
        threshold: least score of a face, 0 to 1.
        refine: find the landmarks once more on an enlarged crop of each face. YuNet
            takes small tilted faces for more upright than they are; a face that was
            tilted by 20 degrees is then measured as 12 to 20 and not as 3 to 20.

    Raises:
        InputError: the model cannot be used.
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
                    (_MULTIPLE, _MULTIPLE),
                    float(threshold),
                )
                self.detect(np.zeros((_MULTIPLE, _MULTIPLE, 3), np.uint8))
        except (OSError, ValueError, self._cv2.error) as error:
            raise InputError(
                f"{model}: cannot be used as a face detector; give {_NAME} "
                "(--detector-model)"
            ) from error

    def detect(self, image: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Find the faces in a picture.

        Args:
            image: uint8 (H, W, 3): blue, green, red.

        Returns:
            float64 array (n, 15), see `COLUMNS`, in pixels of `image`; the largest
            face first.
        """
        faces = self._find(image, self.size)
        if self.refine:
            for face in faces:
                self._refine(image, face)
        return faces

    def _refine(self, image: NDArray[np.uint8], face: NDArray[np.float64]) -> None:
        """Replace the landmarks of one face by those found on its crop."""
        left, top, side = square(face, _CLOSE_MARGIN)
        crop = crop_square(image, face, _CLOSE, _CLOSE_MARGIN)
        found = self._find(crop, _CLOSE)
        if len(found):
            centres = found[:, :2] + found[:, 2:4] / 2 - _CLOSE / 2
            nearest = found[np.argmin(np.hypot(centres[:, 0], centres[:, 1]))]
            landmarks = nearest[4:14].reshape(5, 2) * side / _CLOSE + (left, top)
            face[4:14] = landmarks.reshape(-1)

    def _find(self, image: NDArray[np.uint8], size: int) -> NDArray[np.float64]:
        height, width = image.shape[:2]
        scale = min(1.0, size / max(height, width))
        if scale < 1:
            reduced = max(1, round(width * scale)), max(1, round(height * scale))
            image = self._cv2.resize(image, reduced, interpolation=self._cv2.INTER_AREA)
        scale_x, scale_y = image.shape[1] / width, image.shape[0] / height
        below, beside = (-side % _MULTIPLE for side in image.shape[:2])
        if below or beside:
            image = self._cv2.copyMakeBorder(
                image, 0, below, 0, beside, self._cv2.BORDER_CONSTANT
            )
        self._net.setInputSize((image.shape[1], image.shape[0]))
        faces = self._net.detect(image)[1]
        if faces is None:
            return np.empty((0, len(COLUMNS)))
        faces = faces.astype(np.float64)
        faces[:, 0:14:2] /= scale_x
        faces[:, 1:14:2] /= scale_y
        # Some versions find boxes without size far outside very flat pictures.
        usable = [
            np.isfinite(face).all() and is_usable(face[:4], height, width)
            for face in faces
        ]
        faces = faces[np.array(usable, bool)]
        area = faces[:, 2] * faces[:, 3]
        return faces[np.argsort(-area, kind="stable")]
