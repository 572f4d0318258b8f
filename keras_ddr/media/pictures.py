"""Pictures as 8-bit colour, whatever is in the file."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from keras_ddr.errors import InputError

__all__ = ["SUFFIXES", "read_picture"]

SUFFIXES = frozenset(
    ".bmp .gif .jp2 .jpeg .jpg .pbm .pgm .png .pnm .ppm .tif .tiff .webp".split()
)
"""What is taken for a picture in a folder."""


def read_picture(path, background=0):
    """Read a picture as it is meant to be seen.

    EXIF rotation is applied, palettes and CMYK are turned into colours, 16 bits are
    scaled to 8, and what is transparent shows the background.

    Args:
        path: file; of an animation the first picture is taken.
        background: grey level behind transparent pixels, 0 to 255.

    Returns:
        uint8 array (H, W, 3): red, green, blue.

    Raises:
        InputError: it cannot be read; the message names it.
    """
    path = Path(path)
    try:
        # By its bytes: some systems' file functions fail on names outside ASCII.
        data = path.read_bytes()
        with warnings.catch_warnings():
            # What is wrong with it is said once, by us; a picture that could fill the
            # memory is refused and not only warned of.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                return _as_rgb(ImageOps.exif_transpose(image), background)
    except OSError as error:
        if isinstance(error, UnidentifiedImageError):
            reason = "empty" if not data else "not a picture"
        else:
            reason = error.strerror or " ".join(str(error).split())
    # A decoder may raise anything on a broken file.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
    raise InputError(f"{path}: cannot be read ({reason}); replace or remove it")


def _as_rgb(image, background):
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image).astype(np.float64)
        if image.mode == "F":
            # Floats have no range of their own: 0 to 1, or 0 to 255 where above.
            top = 1.0 if np.nanmax(values, initial=0.0) <= 1 else 255.0
        else:
            # Pillow gives 16-bit grey as 32 bits at times.
            top = 65535.0
        grey = np.rint(np.clip(np.nan_to_num(values) / top, 0, 1) * 255)
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (background,) * 3 + (255,))
        ground.alpha_composite(image)
        image = ground
    return np.asarray(image.convert("RGB"))
