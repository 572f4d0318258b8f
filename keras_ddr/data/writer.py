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

_MOST_CLASSES = 100_000  # of a frame label of numbers; their names stand in meta.json


@dataclass
class SequenceRecord:
    """One sequence on its way into a store.

    Attributes:
        name: unique within the store.
        frames: uint8 array (T, H, W, C), T ≥ 1.
        split: "train", "val" or "test".
        person: who is shown, or "".
        source: file or video it was cut from, or "".
        labels: sequence label name -> class name (str), float, or None.
        frame_labels: frame label name -> array (T,); class numbers for categorical
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
    path: StrPath,
    sequences: Iterable[SequenceRecord],
    *,
    dataset: str = "arrays",
    frame_shape: ImageShape | None = None,
    labels: Mapping[str, Label] | None = None,
    arguments: Mapping[str, Any] | None = None,
    seed: int | None = None,
    licence: str = "",
    overwrite: bool = False,
) -> FrameStore:
    """Write a frame store.

    Args:
        path: folder to make; its parent folder is made where missing.
        sequences: iterable of `SequenceRecord`, taken one at a time, so that memory
            holds one sequence and never all of them.
        dataset: name of the dataset.
        frame_shape: (H, W, C), H and W multiples of 16; default that of the first
            sequence.
        labels: label name -> `Label`. Labels that are not described are described
            by their first value.
        arguments: dict noted in the store: what it was made with.
        seed: noted in the store.
        licence: note on what may be done with the frames.
        overwrite: replace a store that exists, once the new one is whole.

    Returns:
        The `FrameStore` at `path`.

    Raises:
        InputError: if `path` exists, another process is writing it, a sequence does
            not fit, there is none at all, the disk is full or the folder read-only.
            Nothing is left behind then, and an older store at `path` is as it was.
    """
    with StoreWriter(
        path,
        dataset=dataset,
        frame_shape=frame_shape,
        labels=labels,
        arguments=arguments,
        seed=seed,
        licence=licence,
        overwrite=overwrite,
    ) as writer:
        for record in sequences:
            writer.append(record)
    return writer.store


class StoreWriter:
    """Context manager that appends sequences to a store in the making.

    The store grows in a hidden folder beside `path`, which takes the name `path`
    when the block ends, or is removed when the block raises (Ctrl-C included). What
    a killed process left is removed by the next writer of the same store; while one
    lives, others are refused.
    Arguments and errors are those of `write_store`.
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
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self.dataset = dataset
        self.frame_shape: ImageShape | None = None
        if frame_shape is not None:
            self.frame_shape = _checked_shape(frame_shape, "frame_shape")
        self.labels: dict[str, Label] = {**FRAME_LABELS, **(labels or {})}
        for name in self.labels:
            _check_label_name(name)
        self.arguments = arguments
        self.seed = seed
        self.licence = licence
        self.overwrite = overwrite
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
            self._file = open(self._place.folder / "frames.npy", "wb")
            self._file.write(b" " * HEADER_SIZE)
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
        """Append one sequence.

        Args:
            record: a `SequenceRecord`.

        Raises:
            InputError: if it does not fit the store; the message names it.
        """
        frames = self._checked_frames(record)
        row = self._checked_row(record, len(frames))
        frame_labels = self._checked_frame_labels(record, len(frames))
        try:
            self._pixels().write(frames.data.cast("B"))
        except OSError as error:
            self._refuse_full_disk(error)
            raise
        self._rows.append(row)
        self._frame_labels.append(frame_labels)
        self.num_frames += len(frames)

    def _pixels(self) -> BinaryIO:
        if self._file is None:
            raise ValueError("a StoreWriter is used in a with block")
        return self._file

    def _checked_frames(self, record: SequenceRecord) -> NDArray[np.uint8]:
        frames = np.asarray(record.frames)
        if frames.dtype != np.uint8 or frames.ndim != 4 or len(frames) == 0:
            grey = frames.dtype == np.uint8 and frames.ndim == 3
            raise InputError(
                f"sequence {record.name!r}: frames are {frames.dtype} {frames.shape}, "
                "but uint8 (T, H, W, C) with T of at least 1 is needed"
                + ("; give grey ones as frames[..., None]" if grey else "")
            )
        if self.frame_shape is None:
            self.frame_shape = _checked_shape(
                frames.shape[1:], f"sequence {record.name!r}"
            )
        if frames.shape[1:] != self.frame_shape:
            raise InputError(
                f"sequence {record.name!r}: frames are {shape_text(frames.shape[1:])}, "
                f"but those of the store are {shape_text(self.frame_shape)}; bring all "
                "to one size"
            )
        return np.ascontiguousarray(frames)

    def _checked_row(self, record: SequenceRecord, length: int) -> Sequence:
        name = str(record.name)
        if not name or name in self._names:
            raise InputError(
                f"sequence {name!r}: the name is empty or used twice; give every "
                "sequence its own"
            )
        if record.split not in SPLITS:
            raise InputError(
                f"sequence {name!r}: split {record.split!r} is none of "
                f"{', '.join(SPLITS)}; use one"
            )
        for what in ("person", "source"):
            group = getattr(record, what)
            side = self._sides.setdefault((what, group), record.split) if group else ""
            if group and side != record.split:
                raise InputError(
                    f"sequence {name!r}: {what} {group!r} is in {side} and in "
                    f"{record.split}; a {what} must be in one split only"
                )
        for label, value in record.labels.items():
            if label not in self.labels:
                _check_label_name(label)
                kind = "categorical" if isinstance(value, str) else "continuous"
                self.labels[label] = Label("sequence", kind)
            self._check_value(name, label, value)
        self._names.add(name)
        return Sequence(
            len(self._rows),
            name,
            self.num_frames,
            length,
            record.split,
            record.person or "",
            record.source or "",
            dict(record.labels),
        )

    def _check_value(self, name: str, label: str, value: object) -> None:
        known = self.labels[label]
        if known.scope != "sequence":
            raise InputError(
                f"sequence {name!r}: {label!r} is a frame label; give one value a frame"
            )
        if value is None:
            return
        if known.kind == "categorical":
            classes = known.classes
            if not isinstance(value, str) or (
                classes is not None and value not in classes
            ):
                raise InputError(
                    f"sequence {name!r}: {value!r} is not a class of label {label!r}; "
                    "use one of its class names"
                )
        elif not isinstance(value, (int, float, np.number, np.bool_)):
            raise InputError(
                f"sequence {name!r}: {value!r} is not a number, but label {label!r} "
                f"is {known.kind}"
            )

    def _checked_frame_labels(
        self, record: SequenceRecord, length: int
    ) -> dict[str, NDArray[Any]]:
        given = dict(record.frame_labels)
        given.setdefault("source_frame", np.arange(length, dtype=np.int64))
        given.setdefault("time", np.full(length, np.nan))
        result = {}
        for label, values in given.items():
            values = np.asarray(values)
            if values.shape != (length,) or values.dtype.kind not in "iufb":
                raise InputError(
                    f"sequence {record.name!r}: label {label!r} has {values.dtype} "
                    f"{values.shape}, but {length} numbers are needed, one a frame"
                )
            if label not in self.labels:
                _check_label_name(label)
                whole = values.dtype.kind in "iub"
                kind = "categorical" if whole else "continuous"
                self.labels[label] = Label("frame", kind)
            known = self.labels[label]
            if known.scope != "frame":
                raise InputError(
                    f"sequence {record.name!r}: {label!r} is a sequence label; give "
                    "one value"
                )
            if known.kind == "categorical":
                top = len(known.classes) if known.classes is not None else None
                missing = known.missing
                if (
                    values.dtype.kind not in "iub"
                    or not isinstance(missing, int | float)
                    or (values < missing).any()
                    or (top is not None and (values >= top).any())
                ):
                    raise InputError(
                        f"sequence {record.name!r}: label {label!r} must hold class "
                        f"numbers from 0 to {'…' if top is None else top - 1}, or "
                        f"{missing} where missing"
                    )
                if top is None and values.size and values.max() >= _MOST_CLASSES:
                    raise InputError(
                        f"sequence {record.name!r}: label {label!r} holds "
                        f"{values.max()}, which would make as many classes; give "
                        "floats for what is a number"
                    )
                values = values.astype(np.int32)
            elif label == "source_frame":
                values = values.astype(np.int64)
            elif label == "time":
                values = values.astype(np.float64)
            else:
                values = values.astype(np.float32)
            result[label] = values
        return result

    def _finish(self) -> None:
        if not self._rows or self.frame_shape is None:
            raise InputError(
                f"{self.path}: there is no sequence to write, so no store was made"
            )
        self._describe_classes()
        shape = (self.num_frames, *self.frame_shape)
        header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
        body = header.encode("latin1").ljust(HEADER_SIZE - 11) + b"\n"
        size = len(body).to_bytes(2, "little")
        file = self._pixels()
        file.seek(0)
        file.write(np.lib.format.magic(1, 0) + size + body)
        _sync(file)
        file.close()
        self._write_frame_labels()
        self._write_sequences()
        pixels = manifest.digest(file.name)
        self._write_meta(self.frame_shape, pixels)
        manifest.write(self._place.folder, FILES, {"frames.npy": pixels})
        # Re-read the new store before it replaces the old one.
        self._shard = Shard(self._place.folder)
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

    def _write_frame_labels(self) -> None:
        arrays = {}
        for name, label in self.labels.items():
            if label.scope == "frame":
                arrays[name] = np.concatenate(
                    [
                        values[name] if name in values else label.blank(row.length)
                        for row, values in zip(
                            self._rows, self._frame_labels, strict=True
                        )
                    ]
                )
        with open(self._place.folder / "labels.npz", "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            _sync(file)

    def _write_sequences(self) -> None:
        names = [n for n, x in self.labels.items() if x.scope == "sequence"]
        path = self._place.folder / "sequences.csv"
        header = [*COLUMNS, *(LABEL_PREFIX + name for name in names)]
        rows = (_cells(row, names) for row in self._rows)
        write_table(path, itertools.chain([header], rows))
        with open(path, "rb+") as file:
            _sync(file)

    def _write_meta(self, frame_shape: ImageShape, sha256: str) -> None:
        counts = {"sequences": len(self._rows), "frames": self.num_frames}
        for split in SPLITS:
            counts[split] = sum(row.split == split for row in self._rows)
        for what in ("person", "source"):
            counts[what + "s"] = len({getattr(row, what) for row in self._rows} - {""})
        meta = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "keras_ddr": __version__,
            "dataset": self.dataset,
            "arguments": self.arguments or {},
            "seed": self.seed,
            "licence": self.licence,
            "frame_shape": list(frame_shape),
            "counts": counts,
            "sha256": sha256,
            "labels": {k: label.to_json() for k, label in self.labels.items()},
        }
        write_json(self._place.folder / "meta.json", meta)

    def _close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        self._place.close()

    def _refuse_full_disk(self, error: BaseException) -> None:
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            raise InputError(
                f"{self.path}: no space left on the disk after {self.num_frames} "
                "frames, so no store was made; free some space or choose another "
                "place"
            ) from error


def _cells(row: Sequence, names: list[str]) -> list[object]:
    """A line of sequences.csv; what is missing or NaN is blank."""
    values = [row.labels.get(name) for name in names]
    # Python writes True, which is no number to a reader.
    values = [float(v) if isinstance(v, bool | np.bool_) else v for v in values]
    values = ["" if v is None or v != v else v for v in values]
    return [*(getattr(row, column) for column in COLUMNS), *values]


def _checked_shape(shape: Iterable[int], what: str) -> ImageShape:
    shape = tuple(int(size) for size in shape)
    if len(shape) != 3 or min(shape) < 1 or shape[0] % 16 or shape[1] % 16:
        raise InputError(
            f"{what}: frames of {shape_text(shape)} cannot be stored; height and width "
            "must be multiples of 16, channels last"
        )
    return shape


def _check_label_name(name: str) -> None:
    if not name or name == "file" or "/" in name:
        raise InputError(f"labels: {name!r} cannot be a label's name; choose another")


def _sync(file: IO[bytes] | IO[str]) -> None:
    file.flush()
    os.fsync(file.fileno())
