"""How sources are read: which frames, which part of them, and how faces are found."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sized
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.arguments import check_choice, check_size
from keras_ddr.data.labels import ANIMAL_LABELS, CROP_LABELS, HEAD_LABELS, Label
from keras_ddr.datasets.option_fields import Options, option
from keras_ddr.errors import InputError
from keras_ddr.faces.cropping import crop_aligned, crop_square, crop_whole
from keras_ddr.faces.detector import FaceDetector, detector_model
from keras_ddr.media import opencv
from keras_ddr.media.scaling import parse_scale
from keras_ddr.tracks.track import Points

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.faces.boxes import Face
    from keras_ddr.typing import ImageShape, StrPath


def _checked_size(name: str, value: Any) -> int:
    check_size(**{name: value})
    return int(value)


def _checked_crop(name: str, value: Any) -> str:
    if value != "tracks":  # which follows from the option of that name
        check_choice(("face", "center", "none"), **{name: value})
    return str(value)


def _checked_side(name: str, value: Any) -> str | float:
    if value in ("animal", "frame"):
        return str(value)
    try:
        side = float(value)
    except (TypeError, ValueError):
        side = math.nan
    if not 2 <= side <= 10_000:
        raise InputError(
            f"{name}={value!r}; give animal, frame, or a number of pixels from 2 to "
            "10000"
        )
    return side


def _checked_scale(name: str, value: Any) -> str:
    if not isinstance(value, str):
        value = ":".join(map(repr, map(float, value)))
    parse_scale(value)
    return value


@dataclass(frozen=True)
class Cropping(Options):
    """How frames are cut out of pictures.

    `crop` is "face" where it is not given, of folders of pictures "none", and "tracks"
    where `tracks` are given.
    """

    crop: str = option(
        "",
        "Cut out faces, the largest square in the middle, or take all of each picture.",
        choices=("face", "center", "none"),
        check=_checked_crop,
    )
    people: str = option(
        "largest",
        "One person at any time (whose face fills most of the video), or everyone.",
        choices=("largest", "all"),
        crops=("face",),
    )
    align: str = option(
        "box",
        "Cut a square around the face, or also turn and scale it by eyes, nose and "
        "mouth, so that the place of the head does not fill z.",
        choices=("box", "eyes"),
        crops=("face",),
    )
    margin: float = option(
        0.2,
        "Added on every side of a face, as share of its longer side, or of an animal, "
        "as share of its length.",
        kind=float,
        least=-0.4,
        most=2,
        open="(",
        crops=("face", "tracks"),
    )
    tracks: StrPath | None = option(
        None,
        "Cut out animals by their tracks, of DeepLabCut (.csv, .h5), SLEAP (analysis "
        ".h5, .csv) or your own (.csv): a file, or a folder with one for each video.",
        unset="none",
        metavar="FILE_OR_FOLDER",
        crops=("tracks",),
    )
    front: str | None = option(
        None,
        "Body part in front, such as nose (several: a,b); frames are turned so that "
        "animals look to the right.",
        unset="not turned; the angle of your own tracks",
        metavar="PARTS",
        crops=("tracks",),
    )
    back: str | None = option(
        None,
        "Body part at the back, such as tailbase (several: a,b).",
        unset="none",
        metavar="PARTS",
        crops=("tracks",),
    )
    side: str | float = option(
        "animal",
        "Side of the square around an animal: its usual length, its length in each "
        "frame (both with the margin), or so many pixels of the video.",
        metavar="animal|frame|PIXELS",
        check=_checked_side,
        crops=("tracks",),
    )
    min_likelihood: float | None = option(
        None,
        "Points that are less likely are missing.",
        kind=float,
        least=0,
        most=1,
        unset="0.6 for DeepLabCut, 0 for others",
        crops=("tracks",),
    )
    size: int = option(
        64,
        "Height and width of the frames, a multiple of 16.",
        kind=int,
        least=16,
        check=_checked_size,
    )
    channels: int = option(3, "3 for colour, 1 for grey.", kind=int, choices=(1, 3))
    scale: str | None = option(
        None,
        "Values that become black and white, of more than 8 bits and floats: LOW:HIGH, "
        "either a percentile where it ends in %; percentile is 0.01%:99.99%, range "
        "that of the type (floats 0 to 1).",
        unset="percentile, and 8 bits as they are",
        metavar="LOW:HIGH",
        check=_checked_scale,
    )
    scale_of: str = option(
        "file",
        "One scale for each file or folder of pictures, or the widest of them for all.",
        choices=("file", "all"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tracks is not None and self.crop == "":
            object.__setattr__(self, "crop", "tracks")
        if (self.tracks is None) == (self.crop == "tracks"):
            raise InputError(
                f"crop={self.crop!r}, tracks={self.tracks!r}: tracks have a crop of "
                "their own; give tracks and no crop, or leave tracks out"
            )
        fields = ("front", "back", "side", "min_likelihood")
        given = [name for name in fields if not self.is_default(name)]
        if given and self.tracks is None:
            raise InputError(
                f"{', '.join(given)}: changes nothing without tracks; give these, too"
            )
        if (self.front is None) != (self.back is None):
            raise InputError(
                f"front={self.front!r}, back={self.back!r}: it takes both to know "
                "which way an animal looks; give both or none"
            )
        if not self.is_default("side") and not isinstance(self.side, str):
            if not self.is_default("margin"):
                raise InputError(
                    "margin: changes nothing with a side in pixels; leave one out"
                )

    @property
    def points(self) -> Points:
        """How body parts place an animal."""
        front, back = (
            tuple(name.strip() for name in (names or "").split(",") if name.strip())
            for names in (self.front, self.back)
        )
        return Points(front, back, self.min_likelihood)

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
        return self.coloured(image)

    def coloured(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture (H, W, 3) with the channels of the frames."""
        return image if self.channels == 3 else _grey(image)


def _grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma of ITU-R BT.601, as OpenCV and Pillow have it, (H, W, 1)."""
    # Summed from blue to red: another order rounds some pixels otherwise.
    grey = image[..., ::-1] @ np.array([0.114, 0.587, 0.299], np.float32)
    return np.rint(grey).astype(np.uint8)[..., None]


@dataclass(frozen=True)
class Lengths(Options):
    """How the frames of a source are divided into sequences.

    Where it is not said otherwise they have 20 to 450 frames, of folders of pictures at
    least 3. "split" makes parts of `max_length` and leaves out the rest where equal
    parts would be shorter than `min_length`.
    """

    fps: float | None = option(
        None,
        "Keep so many frames a second, by their time stamps.",
        kind=float,
        least=0,
        open="(",
        unset="all frames",
    )
    frame_rate: float | None = option(
        None,
        "Frames a second at which pictures or stacks were taken: gives times. Pictures "
        "have no order in time without.",
        kind=float,
        least=0,
        open="(",
        unset="not known",
    )
    cuts: bool = option(
        True, "End a sequence where the video cuts to another picture.", kind=bool
    )
    min_length: int = option(
        0,
        "Leave out sequences of fewer frames, of those that are kept.",
        kind=int,
        least=1,
    )
    max_length: int | None = option(
        0, "Most frames of a sequence.", kind=int, least=1, unset="any number"
    )
    long: str = option(
        "split",
        "Longer ones: split into equal parts, keep the first frames, or thin out to "
        "frames at equal distances.",
        choices=("split", "first", "thin"),
    )
    max_gap: int = option(
        5,
        "Most frames in a row without the face or animal within a sequence.",
        kind=int,
        least=0,
        crops=("face", "tracks"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_length and self.max_length < self.min_length:
            raise InputError(
                f"min_length: {self.min_length} is above max_length {self.max_length}; "
                "no sequence could be both: change one of them"
            )

    def interval(self, known: float = np.nan) -> float:
        """Seconds between frames: those of the frame rate, else what is known."""
        return 1 / self.frame_rate if self.frame_rate else known

    def runs(self, numbers: ArrayLike) -> list[slice]:
        """Slices of frame numbers, cut where more than `max_gap` are missing."""
        numbers = np.asarray(numbers)
        cuts = np.flatnonzero(np.diff(numbers) > self.max_gap + 1) + 1
        bounds = [0, *cuts.tolist(), len(numbers)]
        return [slice(a, b) for a, b in zip(bounds, bounds[1:], strict=False) if b > a]

    def pieces(self, length: int) -> list[NDArray[np.integer]]:
        """Positions of the frames of each sequence that a run of frames gives."""
        most = self.max_length
        if length < self.min_length:
            return []
        if not most or length <= most:
            return [np.arange(length)]
        if self.long == "first":
            return [np.arange(most)]
        if self.long == "thin":
            return [np.rint(np.linspace(0, length - 1, most)).astype(np.int64)]
        count = math.ceil(length / most)
        if length // count < self.min_length:
            count = length // most
            length = count * most
        return np.array_split(np.arange(length), count)

    def too_short(self, tracks: Iterable[Sized]) -> str:
        """Why a source with these runs of frames gives nothing."""
        longest = max(map(len, tracks), default=0)
        counted = f" (counted at fps {self.fps:g})" if self.fps else ""
        return (
            f"the longest sequence has {longest} frames, fewer than min_length "
            f"{self.min_length}{counted}"
        )


@dataclass(frozen=True)
class Detection(Options):
    """How faces are searched for."""

    detector_model: StrPath | None = option(
        None,
        "YuNet as ONNX file (face_detection_yunet_2023mar.onnx).",
        unset="downloaded once, 230 kB",
        metavar="FILE",
        crops=("face",),
    )
    detector_size: int = option(
        320,
        "Longest side to which frames are reduced for the search; larger finds smaller "
        "faces, and takes longer.",
        kind=int,
        least=32,
        most=10_000,
        crops=("face",),
    )
    threshold: float = option(
        0.7,
        "Least score of a face.",
        kind=float,
        least=0,
        most=1,
        open="()",
        crops=("face",),
    )
    # Further apart a face could come and go unseen.
    detect_every: int = option(
        4,
        "Search every so many frames while faces move little, and interpolate between; "
        "quick motion is searched frame by frame anyway.",
        kind=int,
        least=1,
        most=10,
        crops=("face",),
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


@dataclass(frozen=True)
class Plan:
    """How a source is read; `detection` is None where no faces are searched for."""

    cropping: Cropping
    lengths: Lengths
    detection: Detection | None = None

    @property
    def frame_shape(self) -> ImageShape:
        """(H, W, C) of the frames."""
        return self.cropping.frame_shape

    @property
    def options(self) -> list[Options]:
        """All options in use."""
        used = [self.cropping, self.lengths, self.detection]
        return [options for options in used if options is not None]

    @property
    def face_labels(self) -> dict[str, Label]:
        """Labels of frames that tell of faces, if these are cut out."""
        return FACE_LABELS if self.cropping.of_faces else {}

    @property
    def animal_labels(self) -> dict[str, Label]:
        """Labels of frames that tell of animals, if these are cut out."""
        length = Label("frame", "continuous", unit="px")
        tracked = self.cropping.tracks is not None
        return {**ANIMAL_LABELS, "animal_length": length} if tracked else {}


FACE_LABELS = {
    name: Label("frame", "continuous", unit=unit)
    for name, unit in {
        **dict.fromkeys(CROP_LABELS, "px"),
        "detector_score": None,
        **HEAD_LABELS,
    }.items()
}
