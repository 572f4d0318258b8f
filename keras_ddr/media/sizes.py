"""Changes of a video's size on the way, which OpenCV hides by stretching."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_ddr.typing import StrPath

# What stands before the size in the data of a key frame, by the codec's name.
_SIGNS = {
    "h264": (b"\0\0\1\x67", b"\0\0\1\x27", b"\0\0\1\x47"),
    "hevc": (b"\0\0\1\x42\1",),
    "mpg2": (b"\0\0\1\xb3",),
    "VP80": (b"\x9d\1\x2a",),
    "VP90": (b"\x49\x83\x42",),
}
_HEAD = 512  # bytes of a packet in which it stands
_TOLD = 24  # bytes after the sign that tell of another size


def size_changes(cv2: ModuleType, path: StrPath) -> dict[int, tuple[int, int]]:
    """Number of the frame -> width and height from there on, where proportions change.

    Streams and recordings of them change their size, MP4 files do not. Frames are
    counted by their packets, which are read and not decoded.
    """
    changes: dict[int, tuple[int, int]] = {}
    last: tuple[bytes, int, int] | None = None
    for number, codec, packet in _packets(cv2, path):
        head = _head(codec, packet)
        if not head or (last and last[0] == head):
            continue
        size = _size(cv2, codec, packet)
        if size is None:
            continue
        if last and abs(size[0] * last[2] / (size[1] * last[1]) - 1) > 0.01:
            changes[number] = size
        last = head, *size
    return changes


def _packets(cv2: ModuleType, path: StrPath) -> Iterator[tuple[int, str, bytes]]:
    """The packets of a video: number, codec, data."""
    with open(path, "rb") as file:
        if file.read(8)[4:] == b"ftyp":
            return
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        code = int(capture.get(cv2.CAP_PROP_FOURCC))
        codec = struct.pack("<i", code).decode("latin-1")
        if codec not in _SIGNS or not capture.set(cv2.CAP_PROP_FORMAT, -1):
            return
        number = 0
        while capture.grab():
            read, packet = capture.retrieve()
            yield number, codec, packet.tobytes() if read else b""
            number += 1
    finally:
        capture.release()


def _head(codec: str, packet: bytes) -> bytes:
    for sign in _SIGNS[codec]:
        place = packet.find(sign, 0, _HEAD)
        if place >= 0:
            return packet[place : place + _TOLD]
    return b""


def _size(cv2: ModuleType, codec: str, packet: bytes) -> tuple[int, int] | None:
    """Width and height by the decoder, which is given a key frame alone."""
    if codec.startswith("VP"):  # in the simplest of containers
        times = struct.pack("<IIIHHIIII", 0, 0, 0, 0, 0, 25, 1, 1, 0)
        begin = b"DKIF" + struct.pack("<HH", 0, 32) + codec.encode() + times[12:]
        packet = begin.ljust(32, b"\0") + struct.pack("<IQ", len(packet), 0) + packet
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "frame")
        file.write_bytes(packet)
        capture = cv2.VideoCapture(str(file), cv2.CAP_FFMPEG)
        names = cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT
        width, height = (int(capture.get(name)) for name in names)
        capture.release()
    return (width, height) if width > 0 and height > 0 else None
