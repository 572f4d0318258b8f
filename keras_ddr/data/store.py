"""Frame stores: sequences of video frames in a folder, read where they stand in it."""

from __future__ import annotations

import csv
import json
import math
import os
import time
import warnings
import weakref
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, TypedDict

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.files import bounded_lines, natural_key, read_text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import ImageShape, LabelInfo, LabelValue, Progress, StrPath

__all__ = ["FORMAT", "FORMAT_VERSION", "SPLITS", "FrameStore", "Sequence"]

FORMAT = "keras_ddr frame store"
"""What meta.json calls a frame store."""
FORMAT_VERSION = 1
"""Version of the format that is written here."""
SPLITS = ("train", "val", "test")
"""Names of the splits."""
HEADER_SIZE = 192
"""Bytes before the pixels in a frames.npy that is written here."""

COLUMNS = ("name", "start", "length", "split", "person", "source")
LABEL_PREFIX = "label:"
SCOPES = ("sequence", "frame")
KINDS = ("categorical", "continuous", "periodic")
# Every frame has these two; a dataset that knows no times leaves NaN.
FRAME_LABELS: dict[str, LabelInfo] = {
    "source_frame": {
        "scope": "frame",
        "kind": "continuous",
        "classes": None,
        "unit": "frames",
        "missing": -1,
    },
    "time": {
        "scope": "frame",
        "kind": "continuous",
        "classes": None,
        "unit": "s",
        "missing": None,
    },
}

# Where in its source a frame was cut out, where that is known: the box of the face,
# landmarks (as the person has them) and the detector's score.
CROP_LABELS = (
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "right_eye_x",
    "right_eye_y",
    "left_eye_x",
    "left_eye_y",
    "nose_x",
    "nose_y",
    "mouth_right_x",
    "mouth_right_y",
    "mouth_left_x",
    "mouth_left_y",
    "detector_score",
)

_open_stores: weakref.WeakSet[FrameStore] = weakref.WeakSet()


@dataclass(frozen=True)
class Sequence:
    """One sequence of a store.

    Attributes:
        index: position in `store.sequences`, what `store.frames` takes.
        name: unique within the store.
        start: number of frames of the store before this sequence.
        length: number of frames T.
        split: "train", "val" or "test".
        person: who is shown, or "" where the dataset does not know.
        source: the file or video it was cut from, or "".
        labels: value of every sequence label: class name (str) for categorical
            labels, float for the others, None where missing.
    """

    index: int
    name: str
    start: int
    length: int
    split: str
    person: str = ""
    source: str = ""
    labels: dict[str, LabelValue] = field(default_factory=dict)


class FrameStore:
    """Sequences of uint8 frames with their splits and labels.

    A store is a folder with `frames.npy` (uint8, (T_total, H, W, C)),
    `sequences.csv`, `labels.npz` and `meta.json`. Frames are read through a memory
    map, so a store may be larger than memory. Use `FrameStore.open` for a folder
    that exists, and `FrameStore.from_arrays` or `keras_ddr.data.write_store` to make
    one. A store is never changed after it was written.

    Attributes:
        path: `pathlib.Path` of the folder.
        meta: what `meta.json` holds; for a folder of stores, that of the first one
            with the labels of all.
        dataset: name of the dataset, `meta["dataset"]`.
        frame_shape: (H, W, C).
        num_frames: frames of all sequences together.
        sequences: list of `Sequence`.
        label_info: label name -> dict with `scope` ("sequence" or "frame"), `kind`
            ("categorical", "continuous" or "periodic"), `classes` (list of class
            names, or None), `unit` and `missing`. A frame label of kind categorical
            holds indices into `classes` and -1 where missing; in other frame labels
            `missing` None stands for NaN.

    Example:
    >>> import tempfile
    >>> import numpy as np
    >>> frames = np.zeros((2, 5, 16, 16, 3), "uint8")
    >>> folder = tempfile.mkdtemp() + "/store"
    >>> store = FrameStore.from_arrays(folder, frames)
    >>> store.frames(0).shape
    (5, 16, 16, 3)
    """

    def __init__(self, path: StrPath, shards: list[_Shard]) -> None:
        self.path = Path(path)
        self._shards = shards
        self._stale = False
        self.frame_shape = shards[0].frame_shape
        self.meta = dict(shards[0].meta)
        self.label_info = _merge_label_info(shards)
        self.meta["labels"] = self.label_info
        self.dataset = self.meta.get("dataset", "")
        self.sequences: list[Sequence] = []
        self._places: list[tuple[int, int]] = []
        names = [row["name"] for shard in shards for row in shard.rows]
        prefix = len(set(names)) < len(names)
        offset = 0
        for number, shard in enumerate(shards):
            for row in shard.rows:
                labels = {
                    name: row["labels"].get(name)
                    for name, info in self.label_info.items()
                    if info["scope"] == "sequence"
                }
                name = f"{shard.path.name}/{row['name']}" if prefix else row["name"]
                self.sequences.append(
                    Sequence(
                        len(self.sequences),
                        name,
                        offset + row["start"],
                        row["length"],
                        row["split"],
                        row["person"],
                        row["source"],
                        labels,
                    )
                )
                self._places.append((number, row["start"]))
            offset += shard.num_frames
        self.num_frames = offset
        if len(shards) > 1:
            _warn_of_leaks(self)
        _open_stores.add(self)

    @classmethod
    def open(cls, path: StrPath) -> Self:
        """Open a store, or a folder of stores (shards) as one store.

        Shards must have equal frame shapes. Where two of them hold a sequence of the
        same name, every name gets its shard's folder name in front.

        Args:
            path: folder, str or path-like.

        Returns:
            A `FrameStore`. Its frames are not read yet and their checksum is not
            compared: `verify` does that.

        Raises:
            InputError: if the folder is missing, unfinished or damaged.
        """
        path = Path(path)
        if ".tmp-" in path.name and path.name.startswith("."):
            raise InputError(
                f"{path}: is an unfinished store left by an interrupted run; make the "
                "store again"
            )
        if not path.exists():
            from keras_ddr.data.writer import recover

            # A store that is replaced has no name for a moment.
            end = time.monotonic() + 1
            while recover(path) and not path.exists() and time.monotonic() < end:
                time.sleep(0.01)
        if not path.exists():
            raise InputError(
                f"{path}: no such frame store; make one with `ddr preprocess` or "
                "FrameStore.from_arrays"
            )
        if not path.is_dir():
            raise InputError(f"{path}: is a file, but a frame store is a folder")
        if (path / "meta.json").exists() or (path / "frames.npy").exists():
            return cls(path, [_Shard(path)])
        folders = sorted(
            (
                folder
                for folder in path.iterdir()
                if folder.is_dir()
                and not folder.name.startswith(".")
                and (folder / "meta.json").exists()
            ),
            key=lambda folder: natural_key(os.fsdecode(folder.name)),
        )
        if not folders and (path / "config.json").exists():
            raise InputError(
                f"{path}: is a run, not a frame store; give a store (where a command "
                "takes both, the run comes first)"
            )
        if not folders:
            raise InputError(
                f"{path}: holds no meta.json and no frames.npy, so it is not a frame "
                "store; make one with `ddr preprocess`"
            )
        shards = [_Shard(folder) for folder in folders]
        for shard in shards:
            if shard.frame_shape != shards[0].frame_shape:
                raise InputError(
                    f"{shard.path}: frames are {_shape(shard.frame_shape)}, but those "
                    f"of {shards[0].path} are {_shape(shards[0].frame_shape)}; "
                    "stores shown as one need equal frames"
                )
        return cls(path, shards)

    @classmethod
    def from_arrays(
        cls,
        path: StrPath,
        sequences: Iterable[ArrayLike],
        *,
        names: Iterable[str] | None = None,
        splits: Iterable[str] | Mapping[str, float] | None = None,
        labels: Mapping[str, Iterable[Any]] | None = None,
        persons: Iterable[str] | None = None,
        sources: Iterable[str] | None = None,
        seed: int = 0,
        dataset: str = "arrays",
        overwrite: bool = False,
    ) -> FrameStore:
        """Make a store from arrays in memory.

        Args:
            path: folder to make.
            sequences: list of S arrays (T, H, W, C), or one array (S, T, H, W, C);
                uint8, or floats in [0, 1], which are rounded to 8 bits. H and W are
                multiples of 16, and equal for all sequences.
            names: S unique names; default "sequence-0", ….
            splits: S of "train", "val", "test"; or fractions, such as
                {"train": .8, "val": .1, "test": .1}, by which persons (else sources,
                else sequences) are dealt out at random. Default: all "train".
            labels: label name -> S values (a sequence label) or S arrays of T values
                each (a frame label). Strings are classes; integers of a frame label
                are class numbers; floats are continuous and NaN is missing.
            persons: S names of the person shown.
            sources: S names of the source video.
            seed: of the random split.
            dataset: name noted in the store.
            overwrite: replace a store that exists at `path`.

        Returns:
            The `FrameStore` at `path`.

        Raises:
            InputError: if the arrays do not fit together, or `path` exists.
        """
        from keras_ddr.data.writer import records_from_arrays, write_store

        records, label_info = records_from_arrays(
            sequences, names, splits, labels, persons, sources, seed
        )
        return write_store(
            path,
            records,
            dataset=dataset,
            labels=label_info,
            seed=seed,
            overwrite=overwrite,
        )

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.sequences)

    def __repr__(self) -> str:
        return (
            f"FrameStore({str(self.path)!r}: {len(self)} sequences, "
            f"{self.num_frames} frames of {_shape(self.frame_shape)})"
        )

    def frames(self, i: int, indices: ArrayLike | None = None) -> NDArray[np.uint8]:
        """Read frames of one sequence.

        Args:
            i: sequence index, 0 ≤ i < len(store).
            indices: integers in [0, length); default all frames in order.

        Returns:
            uint8 array (T, H, W, C), or (len(indices), H, W, C) in the order of
            `indices`: a copy.
        """
        sequence = self.sequences[i]
        number, start = self._places[sequence.index]
        pixels = self._pixels(number)
        if indices is None:
            return np.array(pixels[start : start + sequence.length])
        return self._shards[number].gather(start + _checked(indices, sequence))

    def gather(self, sequences: ArrayLike, indices: ArrayLike) -> NDArray[np.uint8]:
        """Read the same number of frames of several sequences.

        Args:
            sequences: B sequence indices.
            indices: integers (B, N); row b counts frames of sequence b.

        Returns:
            uint8 array (B, N, H, W, C).
        """
        sequences = np.asarray(sequences)
        indices = np.asarray(indices)
        rows = np.empty(indices.shape, np.int64)
        numbers = np.empty(len(sequences), np.int64)
        for b, i in enumerate(sequences):
            sequence = self.sequences[i]
            numbers[b], start = self._places[sequence.index]
            rows[b] = start + _checked(indices[b], sequence)
        self._pixels(0)
        if len(self._shards) == 1:
            return self._shards[0].gather(rows)
        batch = np.empty((*indices.shape, *self.frame_shape), np.uint8)
        for number in np.unique(numbers):
            chosen = numbers == number
            batch[chosen] = self._shards[number].gather(rows[chosen])
        return batch

    def frame_labels(self, i: int) -> dict[str, NDArray[Any]]:
        """Read the frame labels of one sequence.

        Args:
            i: sequence index.

        Returns:
            Dict label name -> array (T,), always with `source_frame` (number of the
            frame in its source) and `time` (seconds, NaN where unknown).
        """
        sequence = self.sequences[i]
        self._pixels(0)
        number, start = self._places[sequence.index]
        arrays = self._shards[number].frame_labels()
        chosen = slice(start, start + sequence.length)
        result = {}
        for name, info in self.label_info.items():
            if info["scope"] != "frame":
                continue
            if name in arrays:
                result[name] = np.array(arrays[name][chosen])
            elif info["missing"] is None:
                result[name] = np.full(sequence.length, np.nan, np.float32)
            else:
                result[name] = np.full(sequence.length, info["missing"])
        return result

    def select(self, split: str | None = None, min_length: int = 1) -> list[Sequence]:
        """List the sequences of a split.

        Args:
            split: "train", "val", "test", or "all" or None for every sequence.
            min_length: leave out sequences with fewer frames.

        Returns:
            List of `Sequence`, in the order of the store.

        Raises:
            InputError: if there is no such split name.
        """
        if split not in (*SPLITS, "all", None):
            raise InputError(
                f"split: {split!r} is none of {', '.join(SPLITS)} and all; use one"
            )
        return [
            sequence
            for sequence in self.sequences
            if split in (None, "all", sequence.split) and sequence.length >= min_length
        ]

    @property
    def frames_offset(self) -> int:
        """Bytes of the header of the first store's frames.npy."""
        return self._shards[0].pixels_offset

    def verify(self, progress: Progress | None = None) -> None:
        """Read all files and compare them with the checksums noted on writing.

        Args:
            progress: called as progress(done, total) with megabytes.

        Raises:
            InputError: naming the first file that has changed since.
        """
        from keras_ddr.data.integrity import verify_store

        self._pixels(0)
        for shard in self._shards:
            problems = verify_store(shard.path, progress).problems
            if problems:
                raise InputError(problems[0])

    def _pixels(self, number: int) -> NDArray[np.uint8]:
        if self._stale:
            raise InputError(
                f"{self.path}: the store was replaced after it was opened; open it "
                "again with FrameStore.open"
            )
        return self._shards[number].pixels()

    def _release(self) -> None:
        self._stale = True
        for shard in self._shards:
            shard.close()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        _open_stores.add(self)


def release(path: StrPath) -> None:
    """Close the memory maps of this process on a store that is to be replaced.

    Windows renames no folder with an open file. Stores opened before the replacement
    refuse to be read after it, on every system.
    """
    path = Path(path).resolve()
    for store in list(_open_stores):
        shards = [shard.path.resolve() for shard in store._shards]
        if any(path == shard or path in shard.parents for shard in shards):
            store._release()


class _Row(TypedDict):
    """A row of sequences.csv."""

    name: str
    start: int
    length: int
    split: str
    person: str
    source: str
    labels: dict[str, LabelValue]


class _Shard:
    """One store folder: its checked tables and lazily opened arrays."""

    def __init__(self, path: StrPath) -> None:
        self.path = Path(path)
        self._pixels: NDArray[np.uint8] | None = None
        self._file: _File | None = None
        self._labels: dict[str, NDArray[Any]] | None = None
        for name in ("frames.npy", "sequences.csv", "labels.npz", "meta.json"):
            if not (self.path / name).is_file():
                raise InputError(
                    f"{self.path / name}: is missing, so the store is damaged or "
                    "unfinished; make the store again"
                )
        self.meta = self._read_meta()
        self.label_info = self._read_label_info()
        pixels = self.pixels()
        self.num_frames, height, width, channels = pixels.shape
        self.frame_shape: ImageShape = height, width, channels
        self.rows = self._read_sequences()
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
                f"{file}: cannot be read ({_reason(error)}); make the store again"
            ) from error
        if not isinstance(meta, dict) or meta.get("format") != FORMAT:
            raise InputError(
                f"{file}: does not describe a frame store; make the store again"
            )
        version = meta.get("version")
        if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
            raise InputError(
                f"{file}: format version {version!r} is not known here (newest "
                f"{FORMAT_VERSION}); update keras_ddr or make the store again"
            )
        for name in ("dataset", "licence"):
            if not isinstance(meta.get(name, ""), str):
                raise InputError(
                    f"{file}: {name} is {str(meta[name])[:40]!r} and no text; make the "
                    "store again"
                )
        return meta

    def _read_label_info(self) -> dict[str, LabelInfo]:
        file = self.path / "meta.json"
        described = self.meta.get("labels")
        if not isinstance(described, dict):
            raise InputError(f"{file}: has no `labels`; make the store again")
        result: dict[str, LabelInfo] = {}
        for name, info in described.items():
            if (
                not isinstance(info, dict)
                or info.get("scope") not in SCOPES
                or info.get("kind") not in KINDS
            ):
                raise InputError(
                    f"{file}: label {name!r} has no valid scope and kind; make the "
                    "store again"
                )
            if not _is_described(info):
                raise InputError(
                    f"{file}: label {name!r} has classes, a unit or a value for "
                    "missing that cannot be; make the store again"
                )
            result[name] = {
                "scope": info["scope"],
                "kind": info["kind"],
                "classes": info.get("classes"),
                "unit": info.get("unit"),
                "missing": info.get("missing"),
            }
        for name, info in FRAME_LABELS.items():
            if name not in result or result[name]["scope"] != info["scope"]:
                raise InputError(
                    f"{file}: does not list the frame label {name!r}; make the store "
                    "again"
                )
        return result

    def pixels(self) -> NDArray[np.uint8]:
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
                raise InputError(
                    f"{file}: is not a whole NumPy file of frames "
                    f"({_reason(error)}); make the store again"
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
        if self._labels is None:
            self._labels = self._read_frame_labels(values=True)
        return self._labels

    def close(self) -> None:
        self._pixels = self._file = None

    def _read_sequences(self) -> list[_Row]:
        file = self.path / "sequences.csv"
        rows: list[_Row] = []
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
                    rows.append(self._read_row(file, reader.line_num, cells))
        except (OSError, csv.Error) as error:
            raise InputError(
                f"{file}: cannot be read ({_reason(error)}); make the store again"
            ) from error
        if not rows:
            raise InputError(f"{file}: lists no sequence; make the store again")
        seen = set()
        for row in rows:
            if row["name"] in seen:
                raise InputError(
                    f"{file}: sequence {row['name']!r} is listed twice; make the "
                    "store again"
                )
            seen.add(row["name"])
        return rows

    def _label_columns(self) -> list[str]:
        return [
            LABEL_PREFIX + name
            for name, info in self.label_info.items()
            if info["scope"] == "sequence"
        ]

    def _read_row(self, file: Path, line: int, row: Mapping[str, str]) -> _Row:
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
        labels: dict[str, LabelValue] = {}
        for name, info in self.label_info.items():
            if info["scope"] != "sequence":
                continue
            text = row.get(LABEL_PREFIX + name)
            if text is None or text == "":
                labels[name] = None
            elif info["kind"] == "categorical":
                if info["classes"] is not None and text not in info["classes"]:
                    raise InputError(
                        f"{file}: line {line} has {text!r} for {name}, which is not "
                        "among the classes in meta.json; make the store again"
                    )
                labels[name] = text
            else:
                try:
                    labels[name] = float(text)
                except ValueError:
                    raise InputError(
                        f"{file}: line {line} has {text!r} for {name}, which is not a "
                        "number; make the store again"
                    ) from None
        return {
            "name": row["name"],
            "start": start,
            "length": length,
            "split": row["split"],
            "person": row["person"] or "",
            "source": row["source"] or "",
            "labels": labels,
        }

    def _check_ranges(self) -> None:
        file = self.path / "sequences.csv"
        end = 0
        last = None
        for row in sorted(self.rows, key=lambda row: row["start"]):
            if row["start"] < 0 or row["length"] < 1:
                raise InputError(
                    f"{file}: sequence {row['name']!r} starts at {row['start']} with "
                    f"length {row['length']}; make the store again"
                )
            if row["start"] < end:
                raise InputError(
                    f"{file}: sequences {last!r} and {row['name']!r} share frames; "
                    "make the store again"
                )
            end = row["start"] + row["length"]
            last = row["name"]
            if end > self.num_frames:
                raise InputError(
                    f"{file}: sequence {last!r} ends at frame {end}, but frames.npy "
                    f"holds {self.num_frames} frames; make the store again"
                )
        total = sum(row["length"] for row in self.rows)
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
                for name, info in self.label_info.items():
                    if info["scope"] != "frame":
                        continue
                    if name + ".npy" not in known:
                        raise InputError(
                            f"{file}: has no label {name!r}, which meta.json lists; "
                            "make the store again"
                        )
                    with archive.open(name + ".npy") as member:
                        dtype = self._check_frame_label(file, name, info, member)
                        if values:
                            result[name] = self._label_values(
                                file, name, info, member, dtype
                            )
        except InputError:
            raise
        # So many ways has an archive to be broken.
        except Exception as error:
            raise InputError(
                f"{file}: cannot be read ({_reason(error)}); make the store again"
            ) from error
        return result

    def _check_frame_label(
        self, file: Path, name: str, info: LabelInfo, member: IO[bytes]
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
        whole = info["kind"] == "categorical" or name == "source_frame"
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
        info: LabelInfo,
        member: IO[bytes],
        dtype: np.dtype[Any],
    ) -> NDArray[Any]:
        size = self.num_frames * dtype.itemsize
        # One more, so that the end is seen and the checksum compared there.
        content = member.read(size + 1)
        if len(content) != size:
            raise ValueError(f"label {name!r} has more or fewer bytes than its header")
        values = np.frombuffer(content, dtype)
        classes = info["classes"] or []
        if info["kind"] == "categorical" and (
            values.min() < info["missing"] or values.max() >= len(classes)
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


def _is_described(info: Mapping[str, Any]) -> bool:
    """Whether the description of a label is one that the rest can rely on."""
    classes, unit, missing = (info.get(k) for k in ("classes", "unit", "missing"))
    categorical = info["kind"] == "categorical"
    if classes is None:
        known = not categorical
    else:
        known = isinstance(classes, list) and all(isinstance(c, str) for c in classes)
        known = known and len(set(classes)) == len(classes)
    whole = type(missing) is int
    if info["scope"] == "frame":
        number = whole or (not categorical and isinstance(missing, float | None))
    else:
        number = isinstance(missing, str | int | float | None)
    return known and number and isinstance(unit, str | None)


def _checked(indices: ArrayLike, sequence: Sequence) -> NDArray[np.integer]:
    indices = np.asarray(indices)
    if indices.size == 0:
        return indices.astype(np.int64)
    if indices.dtype.kind not in "iu":
        raise IndexError(f"frame indices must be integers, not {indices.dtype}")
    if indices.min() < 0 or indices.max() >= sequence.length:
        raise IndexError(
            f"sequence {sequence.name!r} has frames 0 to {sequence.length - 1}, but "
            f"{indices.min()} to {indices.max()} were asked for"
        )
    return indices


def _merge_label_info(shards: list[_Shard]) -> dict[str, LabelInfo]:
    merged: dict[str, LabelInfo] = {}
    for shard in shards:
        for name, info in shard.label_info.items():
            if name not in merged:
                merged[name] = info.copy()
                continue
            known = merged[name]
            same = all(known[key] == info[key] for key in ("scope", "kind", "unit"))
            if info["scope"] == "frame":
                same = same and known["classes"] == info["classes"]
                same = same and known["missing"] == info["missing"]
            if not same:
                raise InputError(
                    f"{shard.path}: label {name!r} is described otherwise than in "
                    f"{shards[0].path}; stores shown as one need equal labels"
                )
            if known["classes"] is not None and info["classes"] is not None:
                known["classes"] = list(
                    dict.fromkeys([*known["classes"], *info["classes"]])
                )
    return merged


def _warn_of_leaks(store: FrameStore) -> None:
    for what in ("person", "source"):
        sides: dict[str, set[str]] = {}
        for sequence in store.sequences:
            group = getattr(sequence, what)
            if group:
                sides.setdefault(group, set()).add(sequence.split)
        leaks = [group for group, splits in sides.items() if len(splits) > 1]
        if leaks:
            warnings.warn(
                f"{store.path}: {len(leaks)} {what}s (such as {leaks[0]!r}) are in "
                "more than one split, since the stores in it were split apart from "
                "each other; results on val and test will look too good",
                stacklevel=3,
            )


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape)


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
