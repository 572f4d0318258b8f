"""How the frames of MP4 and MOV files are to be turned."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from keras_ddr.media import opencv

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath

__all__ = ["apply", "read"]

# What such files begin with.
_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")

_MOST_BOXES = 100_000  # looked at within one; a stream in fragments has thousands


def apply(
    image: NDArray[np.uint8], turn: tuple[bool, bool, bool] | None
) -> NDArray[np.uint8]:
    """Turn and mirror a frame.

    Args:
        image: uint8 (H, W, C).
        turn: what `read` returns.

    Returns:
        uint8 array, (W, H, C) where x and y are swapped.
    """
    if turn is None:
        return image
    cv2 = opencv.load()
    swap, across, down = turn
    if swap:
        image = cv2.transpose(image)
    if across:
        image = cv2.flip(image, 1)
    return cv2.flip(image, 0) if down else image


def read(path: StrPath) -> tuple[bool, bool, bool] | None:
    """How the frames of an MP4 or MOV file are to be shown.

    Returns:
        Whether to swap x and y, then to mirror x, and to mirror y; or None where that
        is not known or nothing is to be done.
    """
    # A file that is no good here is judged by the decoder.
    with contextlib.suppress(OSError, KeyError, ValueError, struct.error):
        with open(path, "rb") as file:
            if file.read(8)[4:] not in _BOXES:
                return None
            found = list(_matrices(file))
        if len({matrix.tobytes() for matrix in found}) == 1:
            # A pixel at (x, y) is shown at (x, y) @ matrix, but for a shift.
            matrix = found[0]
            signs = np.sign(matrix) * (np.abs(matrix) > 0.01 * np.abs(matrix).max())
            swap = bool(signs[0, 0] == 0)
            if (np.abs(signs) == np.eye(2)[:: -1 if swap else 1]).all():
                across, down = (signs.sum(axis=0) < 0).tolist()
                return (swap, across, down) if swap or across or down else None
    return None


def _matrices(file: BinaryIO) -> Iterator[NDArray[np.float64]]:
    """The display matrix, but for its shift, of every video track."""
    for kind, *inside in _boxes(file, 0, file.seek(0, os.SEEK_END)):
        if kind != b"moov":
            continue
        whole = np.eye(2)
        for kind, *place in _boxes(file, *inside):
            if kind == b"mvhd":
                whole = _matrix(file, place[0], 36)
            elif kind == b"trak":
                parts = {kind: place for kind, *place in _boxes(file, *place)}
                media = {kind: place for kind, *place in _boxes(file, *parts[b"mdia"])}
                file.seek(media[b"hdlr"][0] + 8)
                if file.read(4) == b"vide":
                    yield _matrix(file, parts[b"tkhd"][0], 40) @ whole


def _matrix(file: BinaryIO, start: int, offset: int) -> NDArray[np.float64]:
    file.seek(start)
    # Version 1 has three longer numbers before it.
    file.seek(start + offset + (12 if file.read(1) == b"\1" else 0))
    numbers = struct.unpack(">9i", file.read(36))
    return np.array([numbers[0:2], numbers[3:5]], np.float64) / 65536


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Boxes between two places of a file: kind, and begin and end of what is in it."""
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            size, head = int.from_bytes(file.read(8), "big"), 16
        elif size == 0:
            size = end - start
        if size < head:
            return
        yield kind, start + head, min(start + size, end)
        start += size
