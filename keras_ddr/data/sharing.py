"""Stores that have their frames in common with another one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from keras_ddr.data.writer import SequenceRecord, StoreWriter

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.typing import StrPath


class SharingWriter(StoreWriter):
    """Writes a store with the frames of another one, and tables of its own.

    Both have one file of frames (a hard link) where the file system allows that, since
    no store is ever changed; elsewhere it is copied. All sequences of the other store
    have to be appended, in the order of their frames, unless it is not `whole`: then
    frames are written anew.
    """

    def __init__(
        self, path: StrPath, store: FrameStore, *, whole: bool, **options: Any
    ) -> None:
        super().__init__(
            path, frame_shape=store.frame_shape, ordered=store.ordered, **options
        )
        self._whole = whole
        self._source = store.path / "frames.npy"
        self._pixels = np.load(self._source, mmap_mode="r")
        self._sha256: str = store.meta["sha256"]

    def append_row(
        self, row: Sequence, frame_labels: Mapping[str, NDArray[Any]]
    ) -> None:
        """Append a sequence of the other store, maybe with another split or person."""
        self.append(
            SequenceRecord(
                row.name,
                self._pixels[row.start : row.start + row.length],
                row.split,
                row.person,
                row.source,
                row.labels,
                frame_labels,
            )
        )

    def _begin(self, path: Path) -> BinaryIO:
        if not self._whole:
            return super()._begin(path)
        try:
            os.link(self._source, path)
        except OSError:
            shutil.copyfile(self._source, path)
        return open(path, "rb")

    def _put(self, file: BinaryIO, frames: NDArray[np.uint8]) -> None:
        if not self._whole:
            super()._put(file, frames)

    def _end(self, file: BinaryIO, shape: tuple[int, ...]) -> str:
        if not self._whole:
            return super()._end(file, shape)
        file.close()
        return self._sha256
