"""Rotation and mirroring that MP4 and MOV files ask a player for."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath

# Kinds of boxes that such files begin with.
_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_MOST_BOXES = 100_000  # read within one; a stream in fragments has thousands


class Turn(NamedTuple):
    """Swap of x and y, then mirroring, that a player does to a decoded frame."""

    swap: bool
    across: bool
    down: bool

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn a frame (H, W, C)."""
        image = image.swapaxes(0, 1) if self.swap else image
        image = image[::-1] if self.down else image
        return np.ascontiguousarray(image[:, ::-1] if self.across else image)


def read_turn(path: StrPath) -> Turn | None:
    """The turn that an MP4 or MOV file asks for; None for none, or another file."""
    # The decoder judges broken files.
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
                turn = Turn(swap, *(signs.sum(axis=0) < 0).tolist())
                return turn if any(turn) else None
    return None


def _matrices(file: BinaryIO) -> Iterator[NDArray[np.float64]]:
    """The display matrix of every video track, without its shift."""
    for kind, *inside in _boxes(file, 0, file.seek(0, os.SEEK_END)):
        if kind != b"moov":
            continue
        whole = np.eye(2)
        for kind, *span in _boxes(file, *inside):
            if kind == b"mvhd":
                whole = _matrix(file, span[0], 36)
            elif kind == b"trak":
                track = {kind: span for kind, *span in _boxes(file, *span)}
                media = {kind: span for kind, *span in _boxes(file, *track[b"mdia"])}
                file.seek(media[b"hdlr"][0] + 8)
                if file.read(4) == b"vide":
                    yield _matrix(file, track[b"tkhd"][0], 40) @ whole


def _matrix(file: BinaryIO, start: int, offset: int) -> NDArray[np.float64]:
    file.seek(start)
    # Version 1 has three longer numbers before it.
    file.seek(start + offset + (12 if file.read(1) == b"\1" else 0))
    numbers = struct.unpack(">9i", file.read(36))
    return np.array([numbers[0:2], numbers[3:5]], np.float64) / 65536


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Boxes between two offsets of a file: kind, begin and end of the content."""
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
