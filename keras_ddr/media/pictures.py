"""Pictures as 8-bit colour, whatever is in the file."""

from __future__ import annotations

import contextlib
import os
import re
import struct
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from keras_ddr.errors import InputError, reason_of
from keras_ddr.media import opencv
from keras_ddr.media.scaling import as_8_bits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.media.scaling import Limits
    from keras_ddr.typing import StrPath

SUFFIXES = frozenset(
    ".bmp .gif .jfif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tif .tiff "
    ".webp".split()
)

# Pillow tries all that it knows, whatever the suffix; PostScript runs a program.
FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")

# Suffixes of those that may have more than 8 bits.
DEEP = frozenset(".jp2 .pgm .png .pnm .ppm .tif .tiff".split())

_TURNS = {  # tag of the rotation -> how the stored picture is turned
    2: lambda values: values[:, ::-1],
    3: lambda values: values[::-1, ::-1],
    4: lambda values: values[::-1],
    5: lambda values: values.swapaxes(0, 1),
    6: lambda values: np.rot90(values, -1),
    7: lambda values: values.swapaxes(0, 1)[::-1, ::-1],
    8: lambda values: np.rot90(values),
}


def read_picture(
    path: StrPath,
    background: int = 0,
    limits: Limits | None = None,
    any_depth: bool = False,
) -> NDArray[np.uint8]:
    """A picture as it is meant to be seen, uint8 (H, W, 3): red, green, blue.

    EXIF rotation is applied, palettes and CMYK are turned into colours, and transparent
    pixels show the background (grey level, 0 to 255). Of more than 8 bits, or floats,
    the values between `limits` become 0 to 255; without, all of the 16 bits, of floats
    0 to 1. `any_depth` has limits used for 8 bits as well. A
    file of several pictures is refused, since only one of them would be seen.
    """
    with opened(path) as image:
        _refuse_several(path, image)
        values = _deep_values(path, image)
        if values is not None:
            if limits is None and values.dtype.kind in "iu":
                limits = ((0, 65535),)
            seen = as_8_bits(values, limits)
            return seen if seen.ndim == 3 else np.repeat(seen[..., None], 3, axis=2)
        if _has_exif(image):
            ImageOps.exif_transpose(image, in_place=True)
        seen = _as_rgb(image, background)
        return as_8_bits(seen, limits) if any_depth else seen


def deep_values(path: StrPath) -> NDArray[Any] | None:
    """The values (H, W) or (H, W, 3) of a picture of more than 8 bits, else None."""
    with opened(path) as image:
        _refuse_several(path, image)
        return _deep_values(path, image)


def is_deep(path: StrPath) -> bool:
    """Whether a picture has more than 8 bits; only its header is read."""
    with opened(path) as image:
        return _is_deep(image)


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F" or _deep_colours(image)


def _deep_colours(image: Image.Image) -> bool:
    """Whether Pillow would keep 8 of 16 bits of colours."""
    tiles = getattr(image, "tile", None)
    raw = str(tiles[0][3]) if tiles else ""
    return image.mode == "RGB" and ";16" in raw


def _deep_values(path: StrPath, image: Image.Image) -> NDArray[Any] | None:
    if not _is_deep(image):
        return None
    colours = _deep_colours(image)  # before its pixels are loaded
    turn = image.getexif().get(0x0112, 1) if _has_exif(image) else 1
    if not colours:
        values = np.asarray(image)
    else:
        image.load()  # which judges it
        cv2 = opencv.load()
        content = np.fromfile(path, np.uint8)
        with opencv.quietly():
            values = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
        if values is None or values.ndim != 3:
            raise ValueError("its colours of 16 bits cannot be decoded")
        values = values[..., 2::-1]
    return _TURNS.get(turn, lambda values: values)(values)


def _refuse_several(path: StrPath, image: Image.Image) -> None:
    """Refuse a file of which one picture would be taken and others lost."""
    if image.format == "TIFF":
        if _is_stack(image):
            raise InputError(
                f"{path}: is a stack of pictures; `ddr preprocess arrays` reads all of "
                "them"
            )
    elif getattr(image, "is_animated", False):
        gif = image.format == "GIF"
        raise InputError(
            f"{path}: is an animation; "
            + ("" if gif else "convert it to GIF or MP4, and ")
            + "`ddr preprocess videos` reads all of it"
        )


def _is_stack(image: Image.Image) -> bool:
    """Whether a TIFF has several pictures; reduced copies of one do not count."""
    about = image.tag_v2.get(270, "")  # type: ignore[attr-defined]
    # ImageJ writes one page for all where a file has more than 4 GB.
    found = re.match(r"ImageJ=[^\n]*\nimages=(\d+)", str(about))
    if found and int(found[1]) > 1:
        return True
    if not getattr(image, "is_animated", False):
        return False
    image.seek(1)
    reduced = image.tag_v2.get(254, 0)  # type: ignore[attr-defined]
    image.seek(0)
    return not reduced & 1


@contextlib.contextmanager
def opened(path: StrPath) -> Iterator[Image.Image]:
    """A picture to be decoded; whatever is wrong with it becomes one line."""
    size = 1
    try:
        # Opened here: Windows' C functions fail on names outside ASCII.
        with open(path, "rb") as file, warnings.catch_warnings():
            size = os.fstat(file.fileno()).st_size
            # Refuse a picture that could fill the memory; Pillow only warns of it.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=FORMATS) as image:
                yield image
            return
    except InputError:
        raise
    except UnidentifiedImageError:
        reason = "not a picture" if size else "empty"
    # A decoder may raise anything on a broken file.
    except Exception as error:
        reason = getattr(error, "strerror", None) or reason_of(error)
    raise InputError(f"{path}: cannot be read ({reason}); replace or remove it")


def _has_exif(image: Image.Image) -> bool:
    """Whether the EXIF block can be read; some programs blank it."""
    try:
        image.getexif()
    except (SyntaxError, ValueError, struct.error):
        return False
    return True


def _as_rgb(image: Image.Image, background: int) -> NDArray[np.uint8]:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (background,) * 3 + (255,))
        ground.alpha_composite(image)
        image = ground
    return np.asarray(image.convert("RGB"))
