"""Frames of a video file, one at a time, as a player would show them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.errors import InputError, reason_of
from keras_ddr.media import opencv
from keras_ddr.media.display import Display
from keras_ddr.media.sizes import size_changes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath

SUFFIXES = frozenset(
    ".264 .265 .3g2 .3gp .3gpp .asf .avi .divx .dv .f4v .flv .gif .h264 .h265 .hevc "
    ".insv .ivf .m1v .m2ts .m2v .m4v .mjpeg .mjpg .mkv .mov .mp4 .mpe .mpeg .mpg .mpv "
    ".mts .mxf .nut .ogm .ogv .qt .rm .rmvb .ts .vob .webm .wmv .wtv .y4m".split()
)
_ARRAYS = (
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),  # TIFF, and that of more than 4 GB
    *(b"\x89HDF\r\n\x1a\n", b"\x93NUMPY"),
)
# A file that is named is tried whatever its suffix.

# Failed reads in a row at the end of a file: more than are damaged at a time, and few
# enough to take milliseconds.
_MOST_FAILURES = 1000
_FEWEST_MOVING = 10  # frames that are not all the same by chance
# Seconds before a time at which frames are sought that are followed by this time: what
# is judged from the frames before needs some, and a decoder needs a key frame.
_BEFORE = (2, 8, 32, 128)
# Begins of lists of files, which a decoder would open, on the network too.
_LISTS = (b"#EXTM3U", b"ffconcat", b"[playlist]", b"<?xml", b"<MPD")
_JPEG = b"\xff\xd8\xff"
_PICTURES = (
    *(_JPEG, b"\x89PNG", b"BM", b"\0\0\0\x0cjP  "),
    *(b"P%d%c" % (kind, end) for kind in range(1, 7) for end in b" \n\r"),
)


@dataclass
class Frame:
    """One frame of a video."""

    number: int  # from 0, counting frames that could not be decoded
    time: float  # seconds since the beginning by the time stamps, or NaN
    image: NDArray[np.uint8]  # (H, W, 3): red, green, blue
    kept: bool = True  # False where a lower frame rate leaves it out
    first: bool = False  # whether another shot begins here, by `find_shots`
    blank: bool = False  # whether nothing is to be seen, by `find_shots`
    beside: bool = False  # whether it only helps to judge those that are meant


class Video:
    """A video file, read from its beginning to its end.

    Frames come in the order of decoding and are not sought: frame counts in headers and
    seeking are both unreliable, and `Segment` has to prove its frames. Frames that a
    lower rate `fps` leaves out come along unmarked as kept, since cuts and motion can
    only be judged from one frame to the next.

    Time begins with the recording as a player does. Sound may begin before the first
    frame, which is known where PyAV is installed; else time begins with that frame.
    """

    def __init__(
        self, path: StrPath, fps: float | None = None, threads: int = 1
    ) -> None:
        self.path = Path(path)
        self.fps = fps
        self.threads = threads
        self.width = 0  # of the last frame, pixels
        # Its size as it is shown by that as it is stored: across, down.
        self.stretch = 1.0, 1.0
        self.read = 0  # frames decoded so far
        self.broken = 0  # frames between them that could not be decoded
        self.declared: int | None = None  # frames by the header, which may be wrong
        self.length: float | None = None  # seconds by the header
        self.time = 0.0  # of the last frame, seconds
        self.oddities: list[str] = []
        self.still = True  # whether all frames so far are one and the same
        self._rate: float | None = None  # frames a second by the header
        self._late = 0.0  # seconds from the beginning of all to that of the pictures
        self._check()

    def __iter__(self) -> Iterator[Frame]:
        return self.starting(0)

    def starting(self, seconds: float) -> Iterator[Frame]:
        """The frames from somewhere before a time on, none where it is not reached.

        Numbers then count from somewhere, and frames before this time are not kept.
        """
        cv2 = opencv.load()
        capture = self._open(cv2)
        self._read_header(cv2, capture)
        self.read = self.broken = 0
        self.time = 0.0
        self._late = _seconds_late(self.path)
        try:
            if not seconds:
                yield from self._frames(cv2, capture)
            elif (begin := self._seek(cv2, capture, seconds)) is not None:
                yield from self._frames(cv2, capture, begin, seconds)
        finally:
            capture.release()

    def look(self) -> None:
        """Read the header alone: `declared` and `length`."""
        cv2 = opencv.load()
        capture = self._open(cv2)
        self._read_header(cv2, capture)
        capture.release()

    def summary(self) -> str:
        """Oddities, and frames that were lost or are missing, in words, or ""."""
        notes = list(self.oddities)
        if self.read == 1:
            notes.append(
                "its first track has one picture, perhaps a cover; ffmpeg -i FILE -map "
                "0:v:1 -c copy NEW takes the film behind it"
            )
        if self.broken:
            notes.append(f"{self.broken} frames could not be decoded and were skipped")
        if self.declared is not None and self.read + self.broken < self.declared * 0.9:
            note = (
                f"the header promises {self.declared} frames, {self.read} could be read"
            )
            # Some headers have a length only, and the count is taken from it.
            if self.length and self.time > self.length * 0.9:
                note += (
                    " (its frame rate varies, or frames are lost between others and "
                    "the numbers of later ones too low)"
                )
            notes.append(note)
        return "; ".join(notes)

    def _check(self) -> None:
        try:
            str(self.path).encode()  # OpenCV crashes on a name that is no text
            with open(self.path, "rb") as file:
                start = file.read(64)
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror}") from None
        except ValueError:
            raise InputError(
                f"{self.path}: cannot be opened, since its name is not valid "
                "text; rename it"
            ) from None
        if not start:
            raise InputError(f"{self.path}: is empty (0 bytes); fetch it again")
        if start.lstrip(b"\xef\xbb\xbf \r\n").startswith(_LISTS):
            raise InputError(
                f"{self.path}: is a list of other files, which is not followed; give "
                "the videos themselves"
            )
        if start.startswith(_ARRAYS):
            raise InputError(
                f"{self.path}: is a picture or a stack of them, and no video; `ddr "
                "preprocess arrays` reads stacks, `ddr preprocess images` folders of "
                "pictures"
            )
        webp = start.startswith(b"RIFF") and start[8:12] == b"WEBP"
        # A stream of JPEGs begins as a JPEG does.
        stream = self.path.suffix.lower() in (".mjpeg", ".mjpg")
        if webp or (start.startswith(_PICTURES) and not stream):
            raise InputError(
                f"{self.path}: is a picture; put pictures in a folder and use "
                "`ddr preprocess images`"
            )

    def _open(self, cv2: ModuleType) -> Any:
        # Absolute: FFmpeg takes a relative a:b.mp4 for an address.
        path = os.path.abspath(self.path)
        backends = cv2.videoio_registry.getStreamBackends()
        api = cv2.CAP_FFMPEG if cv2.CAP_FFMPEG in backends else cv2.CAP_ANY
        options = []
        if api == cv2.CAP_FFMPEG:
            options = [cv2.CAP_PROP_N_THREADS, int(self.threads)]
        try:
            with opencv.quietly():
                capture = cv2.VideoCapture(path, api, options)
        except (cv2.error, TypeError, SystemError) as error:
            raise InputError(
                f"{self.path}: cannot be opened ({reason_of(error)}); give it a plain "
                "name"
            ) from error
        if not capture.isOpened():
            capture.release()
            raise InputError(
                f"{self.path}: cannot be read as a video (truncated, without pictures, "
                "or not a video); fetch it again, or convert it"
            )
        return capture

    def _read_header(self, cv2: ModuleType, capture: Any) -> None:
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.declared = int(count) if 0 < count < 1e9 else None
        rate = capture.get(cv2.CAP_PROP_FPS)
        self._rate = rate if math.isfinite(rate) and 0 < rate < 1000 else None
        if self.declared and self._rate:
            self.length = self.declared / self._rate

    def _seek(self, cv2: ModuleType, capture: Any, seconds: float) -> float | None:
        """Go before a time; returns the stamp at which time is 0."""
        failures = 0
        while not capture.grab():
            failures += 1
            if failures == _MOST_FAILURES:
                return None
        begin = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 - self._late
        begin -= failures / self._rate if self._rate else 0.0
        for before in _BEFORE:
            sought = max(0.0, begin + seconds - before)
            capture.set(cv2.CAP_PROP_POS_MSEC, 1000 * sought)
            if capture.grab():
                stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                if stamp - begin <= seconds:
                    return begin
        return None

    def _frames(
        self,
        cv2: ModuleType,
        capture: Any,
        begin: float | None = None,
        due: float = 0.0,
    ) -> Iterator[Frame]:
        """All further frames; `begin` is time 0, and none is kept before `due`."""
        rate = self._rate
        sought = due > 0
        # Numbers of frames are known from the beginning only.
        changes = {} if sought else size_changes(cv2, self.path)
        display = Display(cv2, capture, self.path, changes)
        number, failures = -1, 0
        known = None  # the last time stamp that was above those before
        try:
            while failures < _MOST_FAILURES:
                if not capture.grab():
                    failures += 1
                    continue
                # A broken frame keeps its number, so labels stay with their frames.
                position = number + 1 + failures
                stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                if known is None or stamp > known[0]:
                    known = stamp, position
                else:
                    # The stamp is missing, stands still or jumps back: by the rate.
                    since = (position - known[1]) / rate if rate else math.nan
                    stamp = known[0] + since
                if begin is None:
                    begin = stamp - self._late - (position / rate if rate else 0.0)
                time = stamp - begin
                kept = not self.fps or math.isnan(time) or time + 1e-3 >= due
                decoded, image = capture.retrieve()
                if not decoded or image is None:
                    failures += 1
                    continue
                self.broken += failures
                self.read += 1
                self.time = time
                number, failures = position, 0
                if kept and self.fps and not math.isnan(time):
                    # After a gap the count of time starts anew.
                    due = (due if time < due + 1 / self.fps else time) + 1 / self.fps
                image = display.show(image, number)
                self.width, self.stretch = image.shape[1], display.stretch
                yield Frame(number, time, image, kept)
        finally:  # a segment ends early
            self.oddities, self.still = display.notes(), display.still
        if not sought:
            self._refuse_unread(cv2)

    def _refuse_unread(self, cv2: ModuleType) -> None:
        """Refuse a file without a frame, and one that OpenCV could not decode."""
        if not self.read:
            raise InputError(
                f"{self.path}: no frame could be decoded (truncated or damaged); fetch "
                "it again, or convert it"
            )
        # Since FFmpeg 8, OpenCV gives what happens to lie in memory for each frame that
        # is marked as interlaced, and says nothing.
        if self.read >= _FEWEST_MOVING and self.still:
            raise InputError(
                f"{self.path}: all {self.read} frames are the same picture; if they "
                f"move in a player, they are interlaced, and OpenCV {cv2.__version__} "
                "cannot read them: deinterlace them first, with ffmpeg -i FILE -vf "
                "bwdif=mode=send_frame NEW.mp4"
            )


def _seconds_late(path: Path) -> float:
    """Seconds from the beginning of all, such as sound, to that of the pictures.

    OpenCV counts from the first picture, and does not know when others begin.
    """
    try:
        import av
    except ImportError:
        return 0.0
    try:
        with av.open(os.path.abspath(path), metadata_errors="replace") as container:
            pictures, begin = container.streams.video[0], container.start_time
            first, tick = pictures.start_time, pictures.time_base
    except (av.error.FFmpegError, IndexError, ValueError):
        return 0.0  # what cannot be read is reported by who reads it
    if first is None or tick is None or begin is None:
        return 0.0
    # Players leave out all before 0, such as the run-up of a codec.
    return max(0.0, float(first * tick) - max(begin, 0) / 1e6)
