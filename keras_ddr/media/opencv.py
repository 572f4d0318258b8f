"""OpenCV, or one line on how to get it."""

import contextlib
import os
from collections.abc import Iterator
from types import ModuleType

from keras_ddr.errors import InputError, reason_of


def load() -> ModuleType:
    """The module `cv2`."""
    # FFmpeg reads this when it opens its first file. Our own errors name the file.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2
    except ImportError as error:
        reason = reason_of(error)
        if "libGL" in reason or ".so" in reason:
            raise InputError(
                f"OpenCV cannot be loaded ({reason}); on a machine without a screen: "
                "pip uninstall opencv-python && pip install opencv-python-headless "
                "(or install the library, on Debian: apt install libgl1)"
            ) from error
        raise InputError(
            f"OpenCV cannot be loaded ({reason}); pip install opencv-python, or "
            "opencv-python-headless on a machine without a screen"
        ) from error
    return cv2


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep OpenCV from writing on the terminal."""
    cv2 = load()
    # OpenCV 4 and 5 keep the level in different places.
    logging = getattr(cv2.utils, "logging", cv2)
    level = logging.getLogLevel()
    logging.setLogLevel(0)
    try:
        yield
    finally:
        logging.setLogLevel(level)
