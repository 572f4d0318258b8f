"""One folder of a store: its tables, checked, and its arrays, read when needed."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import weakref
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from keras_ddr.data.format import (
    COLUMNS,
    FILES,
    FORMAT,
    FORMAT_VERSION,
    LABEL_PREFIX,
    SPLITS,
    Sequence,
)
from keras_ddr.data.labels import FRAME_LABELS, Label
from keras_ddr.errors import InputError, reason_of
from keras_ddr.files import bounded_lines, read_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import ImageShape, LabelValue, StrPath

__all__ = ["Shard"]


class Shard:
    """One store folder: its checked tables and lazily opened arrays.

    Args:
        path: Of the folder.

    Attributes:
        path: `pathlib.Path`.
        meta: Dict of meta.json.
        labels: As in `FrameStore`.
        sequences: List of `Sequence`, in the order of sequences.csv.
        num_frames: T.
        frame_shape: `(H, W, C)`.
        pixels_offset: Bytes before the pixels in frames.npy.

    Raises:
        InputError: A file is missing or malformed; the message names it.
    """

    def __init__(self, path: StrPath) -> None:
        self.path = Path(path)
        self._pixels: NDArray[np.uint8] | None = None
        self._file: _File | None = None
        self._labels: dict[str, NDArray[Any]] | None = None
        for name in FILES:
            if not (self.path / name).is_file():
                raise InputError(
                    f"{self.path / name}: is missing, so the store is damaged or "
                    "unfinished; make the store again"
                )
        self.meta = self._read_meta()
        self.labels = self._read_labels()
        self._classes = {
            name: frozenset(label.classes)
            for name, label in self.labels.items()
            if label.classes is not None
        }
        pixels = self.pixels()
        self.num_frames, height, width, channels = pixels.shape
        self.frame_shape: ImageShape = height, width, channels
        self.sequences = self._read_sequences()
        self._check_ranges()
        # Only the headers: labels of a large store are read when first asked for.
        self._read_frame_labels(values=False)

    def _read_meta(self) -> dict[str, Any]:
        file = self.path / "meta.json"
        try:
            meta = json.loads(read_text(file))
        except InputError:
            raise
        # The parser calls itself for what is nested.
        except (ValueError, OSError, RecursionError) as error:
            raise InputError(
                f"{file}: cannot be read ({reason_of(error)}); make the store again"
            ) from error
        if not isinstance(meta, dict) or meta.get("format") != FORMAT:
            raise InputError(
                f"{file}: does not describe a frame store; make the store again"
            )
        version = meta.get("version")
        if type(version) is not int or version != FORMAT_VERSION:
            raise InputError(
                f"{file}: format version {str(version)[:40]} is not the one of this "
                f"keras_ddr ({FORMAT_VERSION}); make the store again"
            )
        for name in ("dataset", "licence"):
            if not isinstance(meta.get(name, ""), str):
                raise InputError(
                    f"{file}: {name} is {str(meta[name])[:40]!r} and no text; make the "
                    "store again"
                )
        return meta

    def _read_labels(self) -> dict[str, Label]:
        file = self.path / "meta.json"
        described = self.meta.get("labels")
        if not isinstance(described, dict):
            raise InputError(f"{file}: has no `labels`; make the store again")
        result = {}
        for name, content in described.items():
            try:
                result[name] = Label.from_json(content)
            except InputError as error:
                raise InputError(
                    f"{file}: label {name!r} {error}; make the store again"
                ) from None
        for name in FRAME_LABELS:
            if name not in result or result[name].scope != "frame":
                raise InputError(
                    f"{file}: does not list the frame label {name!r}; make the store "
                    "again"
                )
        return result

    def pixels(self) -> NDArray[np.uint8]:
        """All frames `(T, H, W, C)`, as a memory map."""
        if self._pixels is None:
            file = self.path / "frames.npy"
            try:
                with open(file, "rb") as content:
                    shape, order, dtype = _npy_header(content)
                    begin = content.tell()
                    size = os.fstat(content.fileno()).st_size
                if dtype.hasobject:
                    raise ValueError("it holds Python objects")
            # NumPy's parser may raise anything on a broken header.
            except Exception as error:
                if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE):
                    raise InputError(
                        f"{file}: too many files are open for so many stores in one "
                        "folder; raise the limit (ulimit -n), or join them"
                    ) from error
                raise InputError(
                    f"{file}: is not a whole NumPy file of frames "
                    f"({reason_of(error)}); make the store again"
                ) from error
            whole = len(shape) == 4 and all(n > 0 for n in shape) and not order
            if dtype != np.uint8 or not whole or shape[1] % 16 or shape[2] % 16:
                raise InputError(
                    f"{file}: holds {str(dtype)[:40]} {str(shape)[:80]}"
                    f"{' in Fortran order' * order}, but frames are uint8 "
                    "(T, H, W, C), H and W multiples of 16; make the store again"
                )
            # The header may say anything.
            promised = math.prod(shape)
            if size != begin + promised:
                raise InputError(
                    f"{file}: is not a whole NumPy file of frames ({size - begin} "
                    f"bytes of pixels, {promised} by its header); make the store again"
                )
            pixels = np.memmap(file, np.uint8, "r", begin, shape)
            self._pixels, self.pixels_offset = pixels.view(np.ndarray), begin
            self._file = _File(file) if hasattr(os, "preadv") else None
        return self._pixels

    def gather(self, rows: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Copy frames from anywhere, in ascending order for the sake of the disk.

        Read, where the system can, and not copied from the memory map: a page that a
        map lacks brings megabytes around it, which a store larger than memory drops
        again before they are needed.

        Args:
            rows: Frame numbers in [0, T), of any shape.

        Returns:
            uint8 `(*rows.shape, H, W, C)`.
        """
        pixels, flat = self.pixels(), rows.reshape(-1)
        result = np.empty((len(flat), *pixels.shape[1:]), np.uint8)
        order = np.argsort(flat, kind="stable")
        if self._file is not None:
            size, content = pixels[0].size, result.reshape(-1).data
            for place in order.tolist():
                begin = self.pixels_offset + int(flat[place]) * size
                self._file.read(content[place * size : (place + 1) * size], begin)
        else:
            for place in order:
                result[place] = pixels[flat[place]]
        return result.reshape(*rows.shape, *pixels.shape[1:])

    def frame_labels(self) -> dict[str, NDArray[Any]]:
        """The labels of all frames: name → `(T,)`, which cannot be written to."""
        if self._labels is None:
            self._labels = self._read_frame_labels(values=True)
        return self._labels

    def close(self) -> None:
        """Let go of the file of frames; it is opened again when it is needed."""
        self._pixels = self._file = None

    def _read_sequences(self) -> list[Sequence]:
        file = self.path / "sequences.csv"
        rows: list[Sequence] = []
        try:
            with open(
                file, newline="", encoding="utf-8", errors="surrogateescape"
            ) as lines:
                reader = csv.DictReader(bounded_lines(lines, file))
                header = reader.fieldnames or []
                wanted = [*COLUMNS, *self._label_columns()]
                missing = [column for column in wanted if column not in header]
                if len(set(header)) < len(header):
                    raise InputError(
                        f"{file}: has a column twice; make the store again"
                    )
                if missing:
                    raise InputError(
                        f"{file}: has no column {missing[0]!r}; make the store again"
                    )
                for cells in reader:
                    rows.append(self._read_row(len(rows), file, reader.line_num, cells))
        except (OSError, csv.Error) as error:
            raise InputError(
                f"{file}: cannot be read ({reason_of(error)}); make the store again"
            ) from error
        if not rows:
            raise InputError(f"{file}: lists no sequence; make the store again")
        seen = set()
        for row in rows:
            if row.name in seen:
                raise InputError(
                    f"{file}: sequence {row.name!r} is listed twice; make the "
                    "store again"
                )
            seen.add(row.name)
        return rows

    def _label_columns(self) -> list[str]:
        return [
            LABEL_PREFIX + name
            for name, label in self.labels.items()
            if label.scope == "sequence"
        ]

    def _read_row(
        self, index: int, file: Path, line: int, row: Mapping[str, str]
    ) -> Sequence:
        if None in row or None in row.values() or not row["name"]:
            raise InputError(
                f"{file}: line {line} has no name, or more or fewer cells than the "
                "header; make the store again"
            )
        try:
            start, length = _whole(row["start"]), _whole(row["length"])
        except ValueError:
            raise InputError(
                f"{file}: line {line} has no whole numbers for start and length; make "
                "the store again"
            ) from None
        if row["split"] not in SPLITS:
            raise InputError(
                f"{file}: line {line} has the unknown split {row['split'][:40]!r}; use "
                f"one of {', '.join(SPLITS)}"
            )
        labels = {
            name: self._label_value(file, line, name, row[LABEL_PREFIX + name])
            for name, label in self.labels.items()
            if label.scope == "sequence"
        }
        person, source = row["person"], row["source"]
        return Sequence(
            index, row["name"], start, length, row["split"], person, source, labels
        )

    def _label_value(self, file: Path, line: int, name: str, text: str) -> LabelValue:
        if text == "":
            return None
        if self.labels[name].kind == "categorical":
            if text not in self._classes[name]:
                raise InputError(
                    f"{file}: line {line} has {text!r} for {name}, which is not "
                    "among the classes in meta.json; make the store again"
                )
            return text
        try:
            return float(text)
        except ValueError:
            raise InputError(
                f"{file}: line {line} has {text!r} for {name}, which is not a "
                "number; make the store again"
            ) from None

    def _check_ranges(self) -> None:
        file = self.path / "sequences.csv"
        end = 0
        last = None
        for row in sorted(self.sequences, key=lambda row: row.start):
            if row.start < 0 or row.length < 1:
                raise InputError(
                    f"{file}: sequence {row.name!r} starts at {row.start} with "
                    f"length {row.length}; make the store again"
                )
            if row.start < end:
                raise InputError(
                    f"{file}: sequences {last!r} and {row.name!r} share frames; "
                    "make the store again"
                )
            end = row.start + row.length
            last = row.name
            if end > self.num_frames:
                raise InputError(
                    f"{file}: sequence {last!r} ends at frame {end}, but frames.npy "
                    f"holds {self.num_frames} frames; make the store again"
                )
        total = sum(row.length for row in self.sequences)
        if total != self.num_frames:
            raise InputError(
                f"{file}: lists {total} frames, but frames.npy holds "
                f"{self.num_frames}; make the store again"
            )

    def _read_frame_labels(self, values: bool) -> dict[str, NDArray[Any]]:
        """Check the labels that meta.json lists, and read them if `values`.

        Whatever else the archive holds is left alone.
        """
        file = self.path / "labels.npz"
        result = {}
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.namelist()
                known = set(members)
                if len(known) < len(members):
                    raise InputError(
                        f"{file}: holds a label twice; make the store again"
                    )
                for name, label in self.labels.items():
                    if label.scope != "frame":
                        continue
                    if name + ".npy" not in known:
                        raise InputError(
                            f"{file}: has no label {name!r}, which meta.json lists; "
                            "make the store again"
                        )
                    with archive.open(name + ".npy") as member:
                        dtype = self._check_frame_label(file, name, label, member)
                        if values:
                            result[name] = self._label_values(
                                file, name, label, member, dtype
                            )
        except InputError:
            raise
        # So many ways has an archive to be broken.
        except Exception as error:
            raise InputError(
                f"{file}: cannot be read ({reason_of(error)}); make the store again"
            ) from error
        return result

    def _check_frame_label(
        self, file: Path, name: str, label: Label, member: IO[bytes]
    ) -> np.dtype[Any]:
        shape, _, dtype = _npy_header(member)
        if dtype.hasobject:
            raise InputError(
                f"{file}: label {name!r} holds Python objects, which are not read; "
                "make the store again"
            )
        if shape != (self.num_frames,):
            raise InputError(
                f"{file}: label {name!r} has shape {str(shape)[:80]}, but there are "
                f"{self.num_frames} frames; make the store again"
            )
        whole = label.kind == "categorical" or name == "source_frame"
        if dtype.kind not in ("iub" if whole else "iufb"):
            raise InputError(
                f"{file}: label {name!r} holds {str(dtype)[:40]} and no "
                f"{'whole ' * whole}numbers; make the store again"
            )
        return dtype

    def _label_values(
        self,
        file: Path,
        name: str,
        label: Label,
        member: IO[bytes],
        dtype: np.dtype[Any],
    ) -> NDArray[Any]:
        size = self.num_frames * dtype.itemsize
        # One more, so that the end is seen and the checksum compared there.
        content = member.read(size + 1)
        if len(content) != size:
            raise ValueError(f"label {name!r} has more or fewer bytes than its header")
        values = np.frombuffer(content, dtype)
        classes = label.classes or ()
        if label.kind == "categorical" and (
            values.min() < label.missing or values.max() >= len(classes)
        ):
            raise InputError(
                f"{file}: label {name!r} has class numbers from {values.min()} to "
                f"{values.max()}, but {len(classes)} classes; make the store "
                "again"
            )
        return values

    def __getstate__(self) -> dict[str, Any]:
        # A memory map must not travel to another process as an array.
        return {**self.__dict__, "_pixels": None, "_file": None, "_labels": None}


class _File:
    """A file that is read from any place, by several threads if need be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._number = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._number)

    def read(self, content: memoryview, begin: int) -> None:
        """Fill the memory with what begins at this byte."""
        while len(content):
            count = os.preadv(self._number, [content], begin)
            if not count:
                raise InputError(
                    f"{self.path}: has become shorter since it was opened; make the "
                    "store again"
                )
            content, begin = content[count:], begin + count


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran order, and dtype of the array that begins here."""
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"npy version {version}")
    shape, order, dtype = read(file)
    if not all(type(size) is int for size in shape):
        raise ValueError(f"a shape of {str(shape)[:80]}")
    return shape, order, dtype


def _whole(text: str) -> int:
    # Numbers of thousands of digits cannot even be printed.
    if len(text) > 18:
        raise ValueError(text)
    return int(text)
