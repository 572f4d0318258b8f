"""One folder of a store: its tables, checked, and its arrays, read when needed."""

from __future__ import annotations

import errno
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
    REMEDY,
    SPLITS,
    Sequence,
)
from keras_ddr.data.labels import FRAME_LABELS, Label
from keras_ddr.errors import InputError, reason_of
from keras_ddr.files import read_json, read_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import ImageShape, LabelValue, StrPath


class Shard:
    """One store folder: its checked tables and lazily opened arrays."""

    def __init__(self, path: StrPath) -> None:
        self.path = Path(path)
        self._pixels: NDArray[np.uint8] | None = None
        self._file: _File | None = None
        self._frame_labels: dict[str, NDArray[Any]] | None = None
        for name in FILES:
            if not (self.path / name).is_file():
                said = "is missing, so the store is damaged or unfinished"
                raise self._damaged(name, said)
        self.meta = self._read_meta()
        self.labels = self._read_labels()
        self._classes = {
            name: frozenset(label.classes)
            for name, label in self.labels.items()
            if label.classes is not None
        }
        self.num_frames, height, width, channels = self.pixels().shape
        self.frame_shape: ImageShape = height, width, channels
        self.sequences = self._read_sequences()
        self._check_ranges()
        # Only the headers: labels of a large store are read when first asked for.
        self._read_frame_labels(values=False)

    def pixels(self) -> NDArray[np.uint8]:
        """All frames `(T, H, W, C)`, as a memory map."""
        if self._pixels is None:
            file = self.path / "frames.npy"
            pixels = self._mapped(file)
            self._begin = pixels.offset
            self._pixels = pixels.view(np.ndarray)
            self._file = _File(file) if hasattr(os, "preadv") else None
        return self._pixels

    def gather(self, rows: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Copy frames `(*rows.shape, H, W, C)`, ascending for the disk's sake."""
        # A memory map brings megabytes around each page that it lacks: a store larger
        # than memory drops them before they are needed. Files are read instead.
        pixels, flat = self.pixels(), rows.reshape(-1)
        result = np.empty((len(flat), *pixels.shape[1:]), np.uint8)
        order = np.argsort(flat, kind="stable")
        if self._file is not None:
            size, content = pixels[0].size, result.reshape(-1).data
            for k in order.tolist():
                begin = self._begin + int(flat[k]) * size
                self._file.read(content[k * size : (k + 1) * size], begin)
        else:
            for k in order:
                result[k] = pixels[flat[k]]
        return result.reshape(*rows.shape, *pixels.shape[1:])

    def frame_labels(self) -> dict[str, NDArray[Any]]:
        """The labels of all frames: name → `(T,)`, which cannot be written to."""
        if self._frame_labels is None:
            self._frame_labels = self._read_frame_labels(values=True)
        return self._frame_labels

    def close(self) -> None:
        """Close the file of frames; it is opened again when it is needed."""
        self._pixels = self._file = None

    def __getstate__(self) -> dict[str, Any]:
        # A memory map must not travel to another process as an array.
        return {**self.__dict__, "_pixels": None, "_file": None, "_frame_labels": None}

    def _damaged(self, name: str, said: str) -> InputError:
        return InputError(f"{self.path / name}: {said}; {REMEDY}")

    def _read_meta(self) -> dict[str, Any]:
        name = "meta.json"
        meta = read_json(self.path / name, REMEDY)
        if not isinstance(meta, dict) or meta.get("format") != FORMAT:
            raise self._damaged(name, "does not describe a frame store")
        version = meta.get("version")
        if type(version) is not int or version != FORMAT_VERSION:
            raise self._damaged(
                name,
                f"format version {str(version)[:40]} is not the one of this keras_ddr "
                f"({FORMAT_VERSION})",
            )
        for key in ("dataset", "licence"):
            if not isinstance(meta.get(key, ""), str):
                said = f"{key} is {str(meta[key])[:40]!r} and no text"
                raise self._damaged(name, said)
        if not isinstance(meta.get("ordered", True), bool):
            said = f"ordered is {str(meta['ordered'])[:40]!r}, neither true nor false"
            raise self._damaged(name, said)
        return meta

    def _read_labels(self) -> dict[str, Label]:
        described = self.meta.get("labels")
        if not isinstance(described, dict):
            raise self._damaged("meta.json", "has no `labels`")
        labels = {}
        for name, content in described.items():
            try:
                labels[name] = Label.from_json(content)
            except InputError as error:
                raise self._damaged("meta.json", f"label {name!r} {error}") from None
        for name in FRAME_LABELS:
            if name not in labels or labels[name].scope != "frame":
                said = f"does not list the frame label {name!r}"
                raise self._damaged("meta.json", said)
        return labels

    def _mapped(self, file: Path) -> np.memmap[Any, np.dtype[Any]]:
        """The memory map of frames.npy."""
        try:
            with np.errstate(over="raise"):  # a shape of more bytes than there can be
                pixels = np.lib.format.open_memmap(file, "r")
            size, wanted = file.stat().st_size, pixels.offset + pixels.nbytes
            if size != wanted:
                raise ValueError(f"{size} bytes, {wanted} by its header")
        # NumPy's parser may raise anything on a broken header.
        except Exception as error:
            if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE):
                raise InputError(
                    f"{file}: too many files are open for so many stores in one "
                    "folder; raise the limit (ulimit -n), or join them"
                ) from error
            said = f"is not a whole NumPy file of frames ({reason_of(error)})"
            raise self._damaged(file.name, said) from error
        shape, in_order = pixels.shape, pixels.flags.c_contiguous
        whole = pixels.dtype == np.uint8 and len(shape) == 4 and 0 not in shape
        if not whole or not in_order or shape[1] % 16 or shape[2] % 16:
            raise self._damaged(
                file.name,
                f"holds {str(pixels.dtype)[:40]} {str(shape)[:80]}"
                f"{' in Fortran order' * (not in_order)}, but frames are uint8 "
                "(T, H, W, C), H and W multiples of 16",
            )
        return pixels

    def _read_sequences(self) -> list[Sequence]:
        rows: dict[str, Sequence] = {}
        wanted = [n for n, x in self.labels.items() if x.scope == "sequence"]
        columns = [*COLUMNS, *(LABEL_PREFIX + name for name in wanted)]
        file = self.path / "sequences.csv"
        for place, cells in read_table(file, columns, REMEDY):
            try:
                row = self._sequence(len(rows), cells, wanted)
            except ValueError as error:
                raise InputError(f"{place} {error}; {REMEDY}") from None
            if row.name in rows:
                said = f"sequence {row.name!r} is listed twice"
                raise self._damaged(file.name, said)
            rows[row.name] = row
        if not rows:
            raise self._damaged(file.name, "lists no sequence")
        return list(rows.values())

    def _sequence(
        self, index: int, cells: Mapping[str, str], labels: list[str]
    ) -> Sequence:
        """One row; a `ValueError` says what its line has."""
        name, start, length, split, person, source = (cells[c] for c in COLUMNS)
        if not name:
            raise ValueError("has no name")
        try:
            numbers = _whole(start), _whole(length)
        except ValueError:
            raise ValueError("has no whole numbers for start and length") from None
        if split not in SPLITS:
            raise ValueError(f"has the unknown split {split[:40]!r}")
        values = {n: self._value(n, cells[LABEL_PREFIX + n]) for n in labels}
        return Sequence(index, name, *numbers, split, person, source, values)

    def _value(self, name: str, text: str) -> LabelValue:
        if text == "":
            return None
        if self.labels[name].kind == "categorical":
            if text not in self._classes[name]:
                raise ValueError(
                    f"has {text!r} for {name}, which is not among the classes in "
                    "meta.json"
                )
            return text
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"has {text!r} for {name}, which is no number") from None

    def _check_ranges(self) -> None:
        """Sequences cover all frames, and share none."""
        end = 0
        for row in sorted(self.sequences, key=lambda row: row.start):
            if row.start != end or row.length < 1:
                raise self._damaged(
                    "sequences.csv",
                    f"sequence {row.name!r} starts at frame {row.start} with length "
                    f"{row.length}, but those before it end at {end}",
                )
            end += row.length
        if end != self.num_frames:
            said = f"lists {end} frames, but frames.npy holds {self.num_frames}"
            raise self._damaged("sequences.csv", said)

    def _read_frame_labels(self, values: bool) -> dict[str, NDArray[Any]]:
        """Check the labels that meta.json lists, and read them if `values`."""
        file, result = self.path / "labels.npz", {}
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.namelist()
                if len(set(members)) < len(members):
                    raise ValueError("a label is there twice")
                for name, label in self.labels.items():
                    if label.scope != "frame":
                        continue
                    if f"{name}.npy" not in members:
                        raise ValueError(f"no label {name!r}, which meta.json lists")
                    with archive.open(f"{name}.npy") as member:
                        dtype = self._frame_label_type(name, label, member)
                        if values:
                            result[name] = self._values(name, label, member, dtype)
        # zipfile and NumPy raise many types on damage.
        except Exception as error:
            said = f"cannot be read ({reason_of(error)})"
            raise self._damaged(file.name, said) from error
        return result

    def _frame_label_type(
        self, name: str, label: Label, member: IO[bytes]
    ) -> np.dtype[Any]:
        version = np.lib.format.read_magic(member)
        if version != (1, 0):
            raise ValueError(f"npy version {version}")
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        whole = label.kind == "categorical" or name == "source_frame"
        if dtype.kind not in ("iub" if whole else "iufb"):
            kind = "whole numbers" if whole else "numbers"
            raise ValueError(f"label {name!r} holds {str(dtype)[:40]} and no {kind}")
        if shape != (self.num_frames,):
            raise ValueError(
                f"label {name!r} has shape {str(shape)[:80]}, but there are "
                f"{self.num_frames} frames"
            )
        return dtype

    def _values(
        self, name: str, label: Label, member: IO[bytes], dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        size = self.num_frames * dtype.itemsize
        # Read one more byte: at the end of a member zipfile compares its checksum.
        content = member.read(size + 1)
        if len(content) != size:
            raise ValueError(f"label {name!r} has more or fewer bytes than its header")
        values = np.frombuffer(content, dtype)
        if label.kind == "categorical" and (
            values.min() < label.missing or values.max() >= len(label.classes or ())
        ):
            raise ValueError(
                f"label {name!r} has class numbers from {values.min()} to "
                f"{values.max()}, but {len(label.classes or ())} classes"
            )
        return values


class _File:
    """A file that several threads may read from any byte."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._number = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._number)

    def read(self, content: memoryview, begin: int) -> None:
        """Fill the memory with the bytes from `begin` on."""
        while len(content):
            count = os.preadv(self._number, [content], begin)
            if not count:
                raise InputError(
                    f"{self.path}: has become shorter since it was opened; {REMEDY}"
                )
            content, begin = content[count:], begin + count


def _whole(text: str) -> int:
    # Numbers of thousands of digits cannot even be printed.
    if len(text) > 18:
        raise ValueError(text)
    return int(text)
