"""OpenCV where it is missing, broken or of another version."""

import builtins
import os
import sys
import types

import pytest

from keras_ddr import InputError
from keras_ddr.media import opencv
from keras_ddr.media.shots import find_shots


@pytest.fixture
def failing(monkeypatch):
    """A function that lets `import cv2` fail."""

    def fail(error):
        real = builtins.__import__

        def imported(name, *arguments, **more):
            if name.partition(".")[0] == "cv2":
                raise error
            return real(name, *arguments, **more)

        monkeypatch.delitem(sys.modules, "cv2", raising=False)
        monkeypatch.setattr(builtins, "__import__", imported)

    return fail


@pytest.mark.parametrize(
    "library", ["libGL.so.1", "libgthread-2.0.so.0", "libxcb.so.1"]
)
def test_a_system_library_is_missing(failing, library):
    failing(
        ImportError(f"{library}: cannot open shared object file: No such file\nor so")
    )
    with pytest.raises(InputError) as error:
        opencv.load()
    message = str(error.value)
    assert library in message and "\n" not in message
    assert "pip uninstall opencv-python" in message
    assert "pip install opencv-python-headless" in message


def test_opencv_is_missing(failing):
    failing(ModuleNotFoundError("No module named 'cv2'", name="cv2"))
    for use in (opencv.load, lambda: list(find_shots([]))):
        with pytest.raises(InputError) as error:
            use()
        message = str(error.value)
        assert "No module named 'cv2'" in message and "\n" not in message
        assert "pip install opencv-python" in message and "headless" in message


def test_a_module_that_is_blocked(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match="headless"):
        opencv.load()


class _Levels:
    def __init__(self):
        self.level, self.seen = 3, []

    def getLogLevel(self):  # noqa: N802
        return self.level

    def setLogLevel(self, level):  # noqa: N802
        self.level = level


@pytest.mark.parametrize("older", [False, True])
def test_other_versions_are_kept_quiet_too(monkeypatch, older):
    levels = _Levels()
    module = types.SimpleNamespace(utils=types.SimpleNamespace())
    if older:
        # Up to 4.12.
        module.getLogLevel, module.setLogLevel = levels.getLogLevel, levels.setLogLevel
    else:
        module.utils.logging = levels
    monkeypatch.setitem(sys.modules, "cv2", module)
    with opencv.quietly():
        assert levels.level == 0
    assert levels.level == 3
    with pytest.raises(KeyError), opencv.quietly():
        raise KeyError
    assert levels.level == 3


def test_the_level_of_this_version_is_put_back():
    cv2 = opencv.load()
    logging = getattr(cv2.utils, "logging", cv2)
    before = logging.getLogLevel()
    with opencv.quietly():
        assert logging.getLogLevel() == 0
    assert logging.getLogLevel() == before


def test_what_the_user_asks_ffmpeg_to_say_is_respected(monkeypatch):
    monkeypatch.setenv("OPENCV_FFMPEG_LOGLEVEL", "32")
    opencv.load()
    assert os.environ["OPENCV_FFMPEG_LOGLEVEL"] == "32"
    monkeypatch.delenv("OPENCV_FFMPEG_LOGLEVEL")
    opencv.load()
    assert os.environ["OPENCV_FFMPEG_LOGLEVEL"] == "-8"
