"""Pictures as 8-bit colour, whatever is in the file."""

from __future__ import annotations

import contextlib
import os
import struct
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from keras_ddr.errors import InputError, reason_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath

SUFFIXES = frozenset(
    ".bmp .gif .jfif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tif .tiff "
    ".webp".split()
)

# Pillow tries all that it knows, whatever the suffix; PostScript runs a program.
FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")

_ROWS = 256  # rows of a deep picture converted at a time


def read_picture(path: StrPath, background: int = 0) -> NDArray[np.uint8]:
    """A picture as it is meant to be seen, uint8 (H, W, 3): red, green, blue.

    EXIF rotation is applied, palettes and CMYK are turned into colours, 16 bits are
    scaled to 8, transparent pixels show the background (grey level, 0 to 255), and of
    an animation the first picture is taken.
    """
    with opened(path) as image:
        if _has_exif(image):
            ImageOps.exif_transpose(image, in_place=True)
        return _as_rgb(image, background)


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
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        # Pillow gives 16-bit grey as 32 bits at times.
        top = 65535.0
        if image.mode == "F":
            # Floats have no range of their own: 0 to 1, or 0 to 255 where above.
            top = 1.0 if np.nanmax(values, initial=0.0) <= 1 else 255.0
        result = np.empty((*values.shape, 3), np.uint8)
        for start in range(0, len(values), _ROWS):
            part = np.nan_to_num(values[start : start + _ROWS].astype(np.float64))
            grey = np.rint(np.clip(part / top, 0, 1) * 255)
            result[start : start + _ROWS] = grey[..., None]
        return result
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (background,) * 3 + (255,))
        ground.alpha_composite(image)
        image = ground
    return np.asarray(image.convert("RGB"))
