"""Moving pictures in files: MP4 and WebM for players, GIF and WebP for pages."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from keras_ddr.errors import InputError
from keras_ddr.files import replacing
from keras_ddr.media import opencv

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath

SUFFIXES = (".mp4", ".webm", ".gif", ".webp")

# Numbers of frames to the frames, `(H, W, 3)` bytes with even H and W.
Pictures: TypeAlias = Callable[[Iterable[int]], "Iterator[NDArray[np.uint8]]"]

# Encoders of PyAV, the codecs as people call them, and options: how much may be lost.
_ENCODERS = {
    ".mp4": ("libx264", "H.264", {"crf": "16"}),
    ".webm": ("libvpx-vp9", "VP9", {"crf": "20", "b": "0", "cpu-used": "4"}),
}
_BT709 = 1  # number of the colours of HD in FFmpeg
# Steps of time in a second.
_TICKS = {".gif": 100, ".webp": 1000}
_MOST_RATE = 50  # frames a second; browsers show GIFs with more of them slowly
_MOST_PIXELS = 250_000_000  # of all frames of a GIF or WebP, which Pillow collects
_SAMPLES = 8  # frames whose colours are those of a GIF


def write_moving(
    path: StrPath, pictures: Pictures, count: int, fps: float, lossless: bool = False
) -> str:
    """Write frames 0 to `count` - 1, whole or not at all; the codec, as text.

    An MP4 is H.264 where PyAV is installed, and else VP9; for both, one frame is in
    memory at a time. GIF and WebP repeat for ever.

    Args:
        path: File ending in one of `SUFFIXES`.
        pictures: Gives frames by their numbers; it is called more than once.
        count: Frames.
        fps: Frames a second.
        lossless: Whether a WebP holds every pixel as it is.

    Raises:
        InputError: There is no encoder, or frames are too many for a GIF or WebP.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in _TICKS:
        return _write_animation(path, pictures, count, fps, lossless)
    encoder, codec, options = _ENCODERS[suffix]
    av = _pyav(encoder)
    if av is None and suffix == ".webm":
        raise InputError(
            f"{path}: nothing here encodes .webm; pip install av, or take .mp4, .webp "
            "or .gif"
        )
    with replacing(path) as temporary:
        # Absolute: FFmpeg takes a relative a:b.mp4 for an address.
        place = os.path.abspath(temporary)
        if av is not None:
            _write_with_pyav(av, place, pictures(range(count)), fps, encoder, options)
            return codec
        _write_with_opencv(path, place, pictures(range(count)), fps)
    return "VP9 (browsers play it; for other players pip install av, for H.264)"


def _pyav(encoder: str) -> ModuleType | None:
    """PyAV, if it is there and has this encoder."""
    try:
        import av

        av.Codec(encoder, "w")
    except (ImportError, ValueError):
        return None
    return av


def _write_with_pyav(
    av: ModuleType,
    place: str,
    pictures: Iterator[NDArray[np.uint8]],
    fps: float,
    encoder: str,
    options: dict[str, str],
) -> None:
    first = next(pictures)
    whole = {"movflags": "+faststart"} if encoder == "libx264" else {}
    with av.open(place, "w", options=whole) as container:
        rate = Fraction(fps).limit_denominator(1001)
        stream = container.add_stream(encoder, rate, options=options)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"  # the only one that all players know
        for name in ("colorspace", "color_primaries", "color_trc", "color_range"):
            setattr(stream.codec_context, name, _BT709)
        for picture in itertools.chain([first], pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _write_with_opencv(
    path: Path, place: str, pictures: Iterator[NDArray[np.uint8]], fps: float
) -> None:
    cv2 = opencv.load()
    first = next(pictures)
    height, width = first.shape[:2]
    fourcc = cv2.VideoWriter.fourcc(*"vp09")
    with opencv.quietly():
        writer = cv2.VideoWriter(place, cv2.CAP_FFMPEG, fourcc, fps, (width, height))
    if not writer.isOpened():
        raise InputError(
            f"{path}: nothing here encodes .mp4; pip install av, or take .webp or .gif"
        )
    number = 0
    for picture in itertools.chain([first], pictures):
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        number += 1
    writer.release()
    # OpenCV says nothing of a disk that is full.
    with opencv.quietly():
        capture = cv2.VideoCapture(place, cv2.CAP_FFMPEG)
        read = sum(1 for _ in iter(capture.grab, False))
        capture.release()
    if read != number:
        raise InputError(
            f"{path}: {read} of {number} frames could be written, as if there were no "
            "space left on the disk; free some, or choose another place"
        )


def _write_animation(
    path: Path, pictures: Pictures, count: int, fps: float, lossless: bool
) -> str:
    suffix = path.suffix.lower()
    step = math.ceil(fps / _MOST_RATE)
    shown = range(0, count, step)
    height, width = next(pictures([0])).shape[:2]
    if len(shown) * height * width > _MOST_PIXELS:
        most = _MOST_PIXELS // (height * width)
        raise InputError(
            f"{path}: {len(shown)} frames of {width}×{height} pixels are too many for "
            f"a {suffix} file, at most {most} fit; take fewer, smaller ones, or .mp4"
        )
    # Rounded together: rounding each would make a film too fast or too slow.
    ends = np.round(_TICKS[suffix] * np.arange(len(shown) + 1) * step / fps)
    durations = np.diff(ends) * (1000 // _TICKS[suffix])
    # How good, or how hard to try.
    quality = 50 if lossless else 80
    options: dict[str, Any] = {"lossless": lossless, "quality": quality, "method": 3}
    convert = Image.fromarray
    if suffix == ".gif":
        options, convert = {"optimize": False}, _in_few_colours(pictures, shown)
    first, *others = map(convert, pictures(shown))
    with replacing(path) as temporary:
        first.save(
            temporary,
            save_all=True,
            append_images=others,
            duration=durations.astype(int).tolist(),
            loop=0,
            **options,
        )
    thinned = f" (one frame of {step}, as browsers show no more)" if step > 1 else ""
    return ("GIF" if suffix == ".gif" else "WebP") + thinned


def _in_few_colours(
    pictures: Pictures, shown: range
) -> Callable[[NDArray[np.uint8]], Image.Image]:
    """A function to pictures of the same 256 colours: with others they flicker."""
    places = np.linspace(0, len(shown) - 1, min(_SAMPLES, len(shown))).astype(int)
    sample = np.concatenate(list(pictures([shown[place] for place in places])))
    palette = Image.fromarray(sample).quantize(256)

    def convert(picture: NDArray[np.uint8]) -> Image.Image:
        return Image.fromarray(picture).quantize(
            palette=palette, dither=Image.Dither.NONE
        )

    return convert
