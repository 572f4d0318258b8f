"""Which part of a picture becomes a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.arguments import check_size
from keras_ddr.datasets.option_fields import Options, option
from keras_ddr.faces.cropping import crop_aligned, crop_square, crop_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.faces.boxes import Face
    from keras_ddr.typing import ImageShape


def _checked_size(name: str, value: Any) -> int:
    check_size(**{name: value})
    return int(value)


@dataclass(frozen=True)
class Cropping(Options):
    """How frames are cut out of pictures.

    `crop` is "face" where it is not given, of folders of pictures "none".
    """

    crop: str = option(
        "",
        "Cut out faces, the largest square in the middle, or take all of each picture.",
        choices=("face", "center", "none"),
    )
    people: str = option(
        "largest",
        "One person at any time (whose face fills most of the video), or everyone.",
        choices=("largest", "all"),
        of_faces=True,
    )
    align: str = option(
        "box",
        "Cut a square around the face, or also turn and scale it by eyes, nose and "
        "mouth, so that the place of the head does not fill z.",
        choices=("box", "eyes"),
        of_faces=True,
    )
    margin: float = option(
        0.2,
        "Added on every side of a face, as share of its longer side.",
        kind=float,
        least=-0.4,
        most=2,
        open="(",
        of_faces=True,
    )
    size: int = option(
        64,
        "Height and width of the frames, a multiple of 16.",
        kind=int,
        least=16,
        check=_checked_size,
    )
    channels: int = option(3, "3 for colour, 1 for grey.", kind=int, choices=(1, 3))

    @property
    def frame_shape(self) -> ImageShape:
        """(H, W, C) of the frames."""
        return self.size, self.size, self.channels

    @property
    def of_faces(self) -> bool:
        """Whether faces are cut out."""
        return self.crop == "face"

    def frame(self, image: NDArray[np.uint8], face: Face | None) -> NDArray[np.uint8]:
        """Cut a frame out of a picture (H, W, 3), around a face where there is one."""
        if face is None:
            crop = "center" if self.crop == "center" else "none"
            image = crop_whole(image, self.size, crop)
        elif self.align == "eyes":
            image = crop_aligned(image, face.landmarks, self.size, self.margin)
        else:
            image = crop_square(image, face.box, self.size, self.margin)
        return image if self.channels == 3 else _grey(image)


def _grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma of ITU-R BT.601, as OpenCV and Pillow have it, (H, W, 1)."""
    # Summed from blue to red: another order rounds some pixels otherwise.
    grey = image[..., ::-1] @ np.array([0.114, 0.587, 0.299], np.float32)
    return np.rint(grey).astype(np.uint8)[..., None]
