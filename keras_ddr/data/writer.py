"""Writing of frame stores: as a stream, and whole or not at all."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np

from keras_ddr import manifest
from keras_ddr.arguments import check_choice, check_image_shape
from keras_ddr.data.format import (
    COLUMNS,
    FILES,
    FORMAT,
    FORMAT_VERSION,
    HEADER_SIZE,
    LABEL_PREFIX,
    SPLITS,
    Sequence,
    shape_text,
)
from keras_ddr.data.labels import FRAME_LABELS, Label
from keras_ddr.data.place import Place
from keras_ddr.data.shard import Shard
from keras_ddr.data.store import FrameStore, release
from keras_ddr.errors import InputError
from keras_ddr.files import NO_SPACE, cannot_write, write_json, write_table
from keras_ddr.version import __version__

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import ImageShape, LabelValue, StrPath

__all__ = ["SequenceRecord", "StoreWriter", "write_store"]

# Most classes of a frame label of numbers: meta.json holds their names.
_MOST_CLASSES = 100_000
_DTYPES = {"source_frame": np.int64, "time": np.float64}


@dataclass
class SequenceRecord:
    """One sequence on its way into a store.

    Attributes:
        name: Unique within the store.
        frames: uint8 array (T, H, W, C), T ≥ 1.
        split: "train", "val" or "test".
        person: Person shown, or "".
        source: File or video it was cut from, or "".
        labels: Sequence label name -> class name (str), float, or None.
        frame_labels: Frame label name -> array (T,); class numbers for categorical
            labels. `source_frame` defaults to 0 … T - 1 and `time` to NaN.
    """

    name: str
    frames: NDArray[np.uint8]
    split: str = "train"
    person: str = ""
    source: str = ""
    labels: Mapping[str, LabelValue] = field(default_factory=dict)
    frame_labels: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def write_store(
    path: StrPath, sequences: Iterable[SequenceRecord], **options: Any
) -> FrameStore:
    """Write a frame store.

    Args:
        path: Folder to make.
        sequences: Iterable of `SequenceRecord`, taken one at a time.
        **options: As for `StoreWriter`.

    Returns:
        The `FrameStore` at `path`. After an error nothing is left behind, and an older
        store at `path` is as it was.
    """
    with StoreWriter(path, **options) as writer:
        for record in sequences:
            writer.append(record)
    return writer.store


class StoreWriter:
    """Context manager that appends sequences to a store in the making.

    The store grows in a hidden folder beside `path`, which takes its name when the
    block ends, or is removed when the block raises (Ctrl-C included). One process at a
    time writes a store.

    Args:
        path: Folder to make; its parent folder is made where missing.
        dataset: Name of the dataset.
        frame_shape: (H, W, C), H and W multiples of 16; default that of the first
            sequence.
        labels: Label name -> `Label`. Labels that are not described are described
            by their first value.
        arguments: Dict noted in the store: what it was made with.
        seed: Noted in the store.
        licence: Note on what may be done with the frames.
        ordered: Whether the frames of a sequence follow each other in time, which
            models of ordered frames need; noted in the store.
        overwrite: Replace a store that exists, once the new one is whole.

    Attributes:
        store: `FrameStore`, after the block has ended.

    Raises:
        InputError: `path` exists, another process is writing it, a sequence does not
            fit, there is none at all, the disk is full or the folder read-only.
    """

    def __init__(
        self,
        path: StrPath,
        *,
        dataset: str = "arrays",
        frame_shape: ImageShape | None = None,
        labels: Mapping[str, Label] | None = None,
        arguments: Mapping[str, Any] | None = None,
        seed: int | None = None,
        licence: str = "",
        ordered: bool = True,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self.dataset = dataset
        self.frame_shape: ImageShape | None = None
        if frame_shape is not None:
            self.frame_shape = check_image_shape(frame_shape, "frame_shape")
        self.labels: dict[str, Label] = dict(labels or {})
        for name in self.labels:
            _check_label_name(name)
        for name, label in FRAME_LABELS.items():
            self.labels.setdefault(name, label)
        self.arguments = arguments
        self.seed = seed
        self.licence = licence
        self.ordered = ordered
        self.num_frames = 0
        self._rows: list[Sequence] = []
        self._names: set[str] = set()
        self._sides: dict[tuple[str, str], str] = {}
        self._frame_labels: list[dict[str, NDArray[Any]]] = []
        self._shard: Shard | None = None
        self._file: BinaryIO | None = None
        self._place = Place(self.path, overwrite)

    def __enter__(self) -> Self:
        try:
            self._place.make()
            self._file = self._begin(self._place.folder / "frames.npy")
        except BaseException as error:
            self._close()
            if refusal := cannot_write(self.path, error):
                raise refusal from error
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is not None:
                self._refuse_full_disk(error)
            else:
                self._finish()
        except BaseException as problem:
            self._refuse_full_disk(problem)
            raise
        finally:
            self._close()

    @property
    def store(self) -> FrameStore:
        """The store, after the block has ended."""
        if self._shard is None:
            raise ValueError("a StoreWriter has a store when its block has ended")
        return FrameStore(self.path, [self._shard])

    def append(self, record: SequenceRecord) -> None:
        """Append one sequence; an `InputError` names one that does not fit."""
        if self._file is None:
            raise ValueError("a StoreWriter is used in a with block")
        try:
            frames = self._checked_frames(record)
            row = self._checked_row(record, len(frames))
            frame_labels = self._checked_frame_labels(record, len(frames))
        except InputError as error:
            raise InputError(f"sequence {str(record.name)!r}: {error}") from None
        try:
            self._put(self._file, frames)
        except OSError as error:
            self._refuse_full_disk(error)
            raise
        self._names.add(row.name)
        self._rows.append(row)
        self._frame_labels.append(frame_labels)
        self.num_frames += len(frames)

    def _begin(self, path: Path) -> BinaryIO:
        """Open the file of frames, with room for its header."""
        file = open(path, "wb")
        file.write(b" " * HEADER_SIZE)
        return file

    def _put(self, file: BinaryIO, frames: NDArray[np.uint8]) -> None:
        """Write the frames of a sequence."""
        file.write(frames.data.cast("B"))

    def _end(self, file: BinaryIO, shape: tuple[int, ...]) -> str:
        """Write the header, close the file and give its sha256."""
        header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
        body = header.encode("latin1").ljust(HEADER_SIZE - 11) + b"\n"
        file.seek(0)
        file.write(np.lib.format.magic(1, 0))
        file.write(len(body).to_bytes(2, "little") + body)
        _sync(file)
        file.close()
        return manifest.digest(self._place.folder / "frames.npy")

    def _checked_frames(self, record: SequenceRecord) -> NDArray[np.uint8]:
        frames = np.asarray(record.frames)
        if frames.dtype != np.uint8 or frames.ndim != 4 or len(frames) == 0:
            grey = frames.dtype == np.uint8 and frames.ndim == 3
            raise InputError(
                f"frames are {frames.dtype} {frames.shape}, but uint8 (T, H, W, C) "
                "with T of at least 1 is needed"
                + "; give grey ones as frames[..., None]"
                * grey
            )
        if self.frame_shape is None:
            self.frame_shape = check_image_shape(frames.shape[1:], "frame_shape")
        if frames.shape[1:] != self.frame_shape:
            raise InputError(
                f"frames are {shape_text(frames.shape[1:])}, but those of the store "
                f"are {shape_text(self.frame_shape)}; bring all to one size"
            )
        return np.ascontiguousarray(frames)

    def _checked_row(self, record: SequenceRecord, length: int) -> Sequence:
        name = str(record.name)
        if not name or name in self._names:
            said = "the name is empty or used twice"
            raise InputError(f"{said}; give every sequence its own")
        check_choice(SPLITS, split=record.split)
        for kind in ("person", "source"):
            group = getattr(record, kind)
            side = self._sides.setdefault((kind, group), record.split)
            if group and side != record.split:
                raise InputError(
                    f"{kind} {group!r} is in {side} and in {record.split}; a {kind} "
                    "must be in one split only"
                )
        for label, value in record.labels.items():
            categorical = isinstance(value, str)
            known = self._described(label, "sequence", categorical)
            if value is None:
                continue
            if known.kind == "categorical":
                if not categorical or value not in (known.classes or (value,)):
                    raise InputError(
                        f"{value!r} is not a class of label {label!r}; use one of its "
                        "class names"
                    )
            elif not isinstance(value, (int, float, np.number, np.bool_)):
                raise InputError(
                    f"{value!r} is not a number, but label {label!r} is {known.kind}"
                )
        person, source = record.person or "", record.source or ""
        place = len(self._rows), name, self.num_frames, length
        return Sequence(*place, record.split, person, source, dict(record.labels))

    def _described(self, name: str, scope: str, categorical: bool) -> Label:
        """The label of that name; the first value describes a new one."""
        if name not in self.labels:
            _check_label_name(name)
            kind = "categorical" if categorical else "continuous"
            self.labels[name] = Label(scope, kind)
        label = self.labels[name]
        if label.scope != scope:
            raise InputError(
                f"{name!r} is a {label.scope} label; give one value"
                + " a frame" * (label.scope == "frame")
            )
        return label

    def _checked_frame_labels(
        self, record: SequenceRecord, length: int
    ) -> dict[str, NDArray[Any]]:
        given = {"source_frame": np.arange(length), "time": np.full(length, np.nan)}
        result = {}
        for name, values in {**given, **record.frame_labels}.items():
            values = np.asarray(values)
            if values.shape != (length,) or values.dtype.kind not in "iufb":
                raise InputError(
                    f"label {name!r} has {values.dtype} {values.shape}, but {length} "
                    "numbers are needed, one a frame"
                )
            label = self._described(name, "frame", values.dtype.kind in "iub")
            if label.kind == "categorical":
                _check_class_numbers(name, label, values)
                result[name] = values.astype(np.int32)
            else:
                result[name] = values.astype(_DTYPES.get(name, np.float32))
        return result

    def _finish(self) -> None:
        if self._file is None or not self._rows or self.frame_shape is None:
            said = "there is no sequence to write, so no store was made"
            raise InputError(f"{self.path}: {said}")
        self._describe_classes()
        folder = self._place.folder
        pixels = self._end(self._file, (self.num_frames, *self.frame_shape))
        self._write_frame_labels(folder / "labels.npz")
        self._write_sequences(folder / "sequences.csv")
        write_json(folder / "meta.json", self._meta(pixels))
        manifest.write(folder, FILES, {"frames.npy": pixels})
        # Re-read the new store before it replaces the old one.
        self._shard = Shard(folder)
        self._shard.close()
        release(self.path)
        self._place.publish()
        self._shard.path = self.path

    def _describe_classes(self) -> None:
        for name, label in self.labels.items():
            if label.kind != "categorical" or label.classes is not None:
                continue
            if label.scope == "sequence":
                values = {row.labels.get(name) for row in self._rows}
                classes = sorted(v for v in values if isinstance(v, str))
            else:
                tops = [int(x[name].max()) for x in self._frame_labels if name in x]
                classes = [str(number) for number in range(max(tops, default=-1) + 1)]
            self.labels[name] = replace(label, classes=classes)

    def _write_frame_labels(self, path: Path) -> None:
        each = list(zip(self._rows, self._frame_labels, strict=True))
        arrays = {
            name: np.concatenate(
                [v[name] if name in v else label.blank(row.length) for row, v in each]
            )
            for name, label in self.labels.items()
            if label.scope == "frame"
        }
        with open(path, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            _sync(file)

    def _write_sequences(self, path: Path) -> None:
        names = [n for n, x in self.labels.items() if x.scope == "sequence"]
        header = [*COLUMNS, *(LABEL_PREFIX + name for name in names)]
        rows = (_cells(row, names) for row in self._rows)
        write_table(path, itertools.chain([header], rows))
        with open(path, "rb+") as file:
            _sync(file)

    def _meta(self, sha256: str) -> dict[str, Any]:
        counts = {"sequences": len(self._rows), "frames": self.num_frames}
        for split in SPLITS:
            counts[split] = sum(row.split == split for row in self._rows)
        for kind in ("person", "source"):
            counts[f"{kind}s"] = len({getattr(row, kind) for row in self._rows} - {""})
        return {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "keras_ddr": __version__,
            "dataset": self.dataset,
            "arguments": self.arguments or {},
            "seed": self.seed,
            "licence": self.licence,
            "ordered": self.ordered,
            "frame_shape": self.frame_shape,
            "counts": counts,
            "sha256": sha256,
            "labels": {k: label.to_json() for k, label in self.labels.items()},
        }

    def _close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        self._place.close()

    def _refuse_full_disk(self, error: BaseException) -> None:
        cause = error.__cause__ if isinstance(error, InputError) else error
        if isinstance(cause, OSError) and cause.errno in NO_SPACE:
            said = f"no space left on the disk after {self.num_frames} frames"
            remedy = "so no store was made; free some space or choose another place"
            raise InputError(f"{self.path}: {said}, {remedy}") from error


def _check_class_numbers(name: str, label: Label, values: NDArray[Any]) -> None:
    top = None if label.classes is None else len(label.classes)
    missing = label.missing
    if (
        values.dtype.kind not in "iub"
        or not isinstance(missing, int | float)
        or (values < missing).any()
        or (top is not None and (values >= top).any())
    ):
        raise InputError(
            f"label {name!r} must hold class numbers from 0 to "
            f"{'…' if top is None else top - 1}, or {missing} where missing"
        )
    if top is None and values.max() >= _MOST_CLASSES:
        said = f"label {name!r} holds {values.max()}, which would make as many classes"
        raise InputError(f"{said}; give floats for numbers")


def _cells(row: Sequence, names: list[str]) -> list[object]:
    """A line of sequences.csv; missing values and NaN are blank."""
    values = [row.labels.get(name) for name in names]
    # Python writes True, which readers do not take for a number.
    values = [float(v) if isinstance(v, bool | np.bool_) else v for v in values]
    values = ["" if v is None or v != v else v for v in values]
    return [*(getattr(row, column) for column in COLUMNS), *values]


def _check_label_name(name: str) -> None:
    if not name or name == "file" or "/" in name:
        raise InputError(f"labels: {name!r} cannot be a label's name; choose another")


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
