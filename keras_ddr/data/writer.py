"""Writing of frame stores: as a stream, and whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np

from keras_ddr import checksums
from keras_ddr.data.store import (
    COLUMNS,
    FORMAT,
    FORMAT_VERSION,
    FRAME_LABELS,
    HEADER_SIZE,
    KINDS,
    LABEL_PREFIX,
    SCOPES,
    SPLITS,
    FrameStore,
    release,
)
from keras_ddr.errors import InputError
from keras_ddr.files import NO_SPACE, cannot_write, lives, locked, this_process
from keras_ddr.version import __version__

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.data.store import _Row
    from keras_ddr.typing import ImageShape, LabelInfo, LabelValue, StrPath

__all__ = ["SequenceRecord", "StoreWriter", "assign_splits", "write_store"]

_MOST_CLASSES = 100_000  # of a frame label of numbers; their names stand in meta.json
_FILES = {"frames.npy", "sequences.csv", "labels.npz", "meta.json"}
# Temporary folders of this process that are being written now.
_active: set[str] = set()


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
    labels: Mapping[str, Mapping[str, Any]] | None = None,
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
        labels: label name -> dict with `scope`, `kind` and where they apply
            `classes`, `unit`, `missing` (see `FrameStore.label_info`). Labels that
            are not described are described by their first value.
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
    return FrameStore.open(path)


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
        labels: Mapping[str, Mapping[str, Any]] | None = None,
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
        self.labels: dict[str, LabelInfo] = {}
        for name, info in (labels or {}).items():
            self.labels[name] = _checked_label(name, info)
        for name, info in FRAME_LABELS.items():
            self.labels.setdefault(name, info.copy())
        self.arguments = arguments
        self.seed = seed
        self.licence = licence
        self.overwrite = overwrite
        self.num_frames = 0
        self._rows: list[_Row] = []
        self._names: set[str] = set()
        self._sides: dict[tuple[str, str], str] = {}
        self._frame_labels: list[dict[str, NDArray[Any]]] = []
        self._digest = hashlib.sha256()
        self._file: BinaryIO | None = None
        self._folder = self.path.parent / (
            f".{self.path.name}.tmp-{this_process()}-{uuid.uuid4().hex[:8]}"
        )
        self._lock = contextlib.ExitStack()

    def __enter__(self) -> Self:
        check_target(self.path, self.overwrite)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.enter_context(_alone(self.path))
            _active.add(self._folder.name)
            self._folder.mkdir()
            self._file = open(self._folder / "frames.npy", "wb")
            self._file.write(b" " * HEADER_SIZE)
        except BaseException as error:
            self._discard()
            self._translate(error)
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
            if error is None:
                self._finish()
        except BaseException as problem:
            self._discard()
            self._translate(problem)
            raise
        if error is not None:
            self._discard()
            self._translate(error)
        _active.discard(self._folder.name)
        self._lock.close()

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
            self._translate(error)
            raise
        self._digest.update(frames.data.cast("B"))
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
            raise InputError(
                f"sequence {record.name!r}: frames are {frames.dtype} {frames.shape}, "
                "but uint8 (T, H, W, C) with T of at least 1 is needed"
            )
        if self.frame_shape is None:
            self.frame_shape = _checked_shape(
                frames.shape[1:], f"sequence {record.name!r}"
            )
        if frames.shape[1:] != self.frame_shape:
            raise InputError(
                f"sequence {record.name!r}: frames are {_shape(frames.shape[1:])}, "
                f"but those of the store are {_shape(self.frame_shape)}; bring all "
                "to one size"
            )
        return np.ascontiguousarray(frames)

    def _checked_row(self, record: SequenceRecord, length: int) -> _Row:
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
                categorical = isinstance(value, str)
                self.labels[label] = _checked_label(
                    label,
                    {
                        "scope": "sequence",
                        "kind": "categorical" if categorical else "continuous",
                    },
                )
            self._check_value(name, label, value)
        self._names.add(name)
        return {
            "name": name,
            "start": self.num_frames,
            "length": length,
            "split": record.split,
            "person": record.person or "",
            "source": record.source or "",
            "labels": dict(record.labels),
        }

    def _check_value(self, name: str, label: str, value: object) -> None:
        info = self.labels[label]
        if info["scope"] != "sequence":
            raise InputError(
                f"sequence {name!r}: {label!r} is a frame label; give one value a frame"
            )
        if value is None:
            return
        if info["kind"] == "categorical":
            classes = info["classes"]
            if not isinstance(value, str) or (
                classes is not None and value not in classes
            ):
                raise InputError(
                    f"sequence {name!r}: {value!r} is not a class of label {label!r}; "
                    "use one of its class names"
                )
        elif not isinstance(value, (int, float, np.integer, np.floating)):
            raise InputError(
                f"sequence {name!r}: {value!r} is not a number, but label {label!r} "
                f"is {info['kind']}"
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
                categorical = values.dtype.kind in "iub"
                self.labels[label] = _checked_label(
                    label,
                    {
                        "scope": "frame",
                        "kind": "categorical" if categorical else "continuous",
                    },
                )
            info = self.labels[label]
            if info["scope"] != "frame":
                raise InputError(
                    f"sequence {record.name!r}: {label!r} is a sequence label; give "
                    "one value"
                )
            if info["kind"] == "categorical":
                top = len(info["classes"]) if info["classes"] is not None else None
                missing = info["missing"]
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
        self._write_meta(self.frame_shape)
        self._publish()

    def _describe_classes(self) -> None:
        for label, info in self.labels.items():
            if info["kind"] != "categorical" or info["classes"] is not None:
                continue
            if info["scope"] == "sequence":
                values = {row["labels"].get(label) for row in self._rows}
                info["classes"] = sorted(v for v in values if isinstance(v, str))
            else:
                top = max(
                    (
                        int(labels[label].max())
                        for labels in self._frame_labels
                        if label in labels
                    ),
                    default=-1,
                )
                info["classes"] = [str(number) for number in range(top + 1)]

    def _write_frame_labels(self) -> None:
        arrays = {}
        for label, info in self.labels.items():
            if info["scope"] != "frame":
                continue
            parts = []
            for row, labels in zip(self._rows, self._frame_labels, strict=True):
                part = labels.get(label)
                if part is None:
                    missing = info["missing"]
                    part = np.full(
                        row["length"],
                        np.nan if missing is None else missing,
                        np.int32 if info["kind"] == "categorical" else np.float32,
                    )
                parts.append(part)
            arrays[label] = np.concatenate(parts)
        with open(self._folder / "labels.npz", "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            _sync(file)

    def _write_sequences(self) -> None:
        names = [n for n, i in self.labels.items() if i["scope"] == "sequence"]
        with open(
            self._folder / "sequences.csv",
            "w",
            newline="",
            encoding="utf-8",
            errors="surrogateescape",
        ) as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow([*COLUMNS, *(LABEL_PREFIX + name for name in names)])
            for row in self._rows:
                values = [row["labels"].get(name) for name in names]
                # NaN is missing, too.
                values = ["" if v is None or v != v else v for v in values]
                cells = dict(row)
                table.writerow([*(cells[column] for column in COLUMNS), *values])
            _sync(file)

    def _write_meta(self, frame_shape: ImageShape) -> None:
        counts = {"sequences": len(self._rows), "frames": self.num_frames}
        for split in SPLITS:
            counts[split] = sum(row["split"] == split for row in self._rows)
        for what in ("person", "source"):
            counts[what + "s"] = len({row[what] for row in self._rows} - {""})
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
            "sha256": self._digest.hexdigest(),
            "checksums": {
                "frames.npy header": checksums.digest(
                    self._folder / "frames.npy", 0, HEADER_SIZE
                ),
                **{
                    name: checksums.digest(self._folder / name)
                    for name in ("sequences.csv", "labels.npz")
                },
            },
            "labels": self.labels,
        }
        with open(self._folder / "meta.json", "w", encoding="utf-8") as file:
            file.write(checksums.json_text(meta))
            _sync(file)

    def _publish(self) -> None:
        check_target(self.path, self.overwrite)
        if not self.path.exists():
            os.rename(self._folder, self.path)
            return
        release(self.path)
        name = f".{self.path.name}.old-{this_process()}-{uuid.uuid4().hex[:8]}"
        old = self.path.parent / name
        _active.add(name)
        try:
            os.rename(self.path, old)
            os.rename(self._folder, self.path)
        except BaseException:
            if old.exists() and not self.path.exists():
                os.rename(old, self.path)
            raise
        finally:
            _active.discard(name)
        shutil.rmtree(old, ignore_errors=True)

    def _discard(self) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                pass
        if self._folder.name in _active:
            shutil.rmtree(self._folder, ignore_errors=True)
            _active.discard(self._folder.name)
        self._lock.close()

    def _translate(self, error: BaseException) -> None:
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            raise InputError(
                f"{self.path}: no space left on the disk after {self.num_frames} "
                "frames, so no store was made; free some space or choose another "
                "place"
            ) from error


def _alone(path: Path) -> contextlib.AbstractContextManager[None]:
    """One process at a time writes a store."""
    return locked(
        path.with_name(f".{path.name}.lock"),
        f"{path}: is being made by another process now; wait for it, or choose "
        "another name",
        keep=False,
    )


def check_target(path: StrPath, overwrite: bool = False) -> None:
    """Refuse a place where a store cannot be written.

    Args:
        path: where the store is to be.
        overwrite: whether an older store may be replaced.

    Raises:
        InputError: something is there that is not to be replaced, or is no store.
    """
    path = Path(path)
    if not path.name:
        raise InputError(f"{path}: is not a name for a store; choose another")
    recover(path)
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise InputError(
            f"{path}: exists already; choose another name or overwrite it with "
            "--overwrite (in Python overwrite=True)"
        )
    if path.is_symlink() or not path.is_dir():
        raise InputError(
            f"{path}: is not a folder and is not overwritten; choose another name"
        )
    strange = _strange_entry(path)
    if strange is not None:
        raise InputError(
            f"{path}: holds {strange!r}, which is no part of a frame store, so it is "
            "not overwritten; move it away or choose another name"
        )


def recover(path: StrPath) -> bool:
    """Clear up what killed writers of `path` left behind.

    Unfinished folders go. A whole store that was just being replaced comes back if
    `path` has no store now. Folders of living writers are left alone.

    Returns:
        Whether a living writer is just replacing it.
    """
    path = Path(path)
    replaced = False
    for kind in ("old", "tmp"):
        prefix = f".{path.name}.{kind}-"
        try:
            found = [f for f in path.parent.iterdir() if f.name.startswith(prefix)]
        except OSError:
            return False
        for folder in found:
            if _alive(folder.name, folder.name[len(prefix) :]):
                replaced = replaced or kind == "old"
            elif kind == "old" and not os.path.lexists(path):
                os.rename(folder, path)
            else:
                shutil.rmtree(folder, ignore_errors=True)
    return replaced


def _strange_entry(folder: Path) -> str | None:
    """Name something in a folder that overwriting a store must not delete."""
    for entry in sorted(folder.iterdir()):
        hidden, is_folder = entry.name.startswith("."), entry.is_dir()
        if entry.name in _FILES or (hidden and not is_folder):
            continue
        # A hidden folder is that of a program which keeps something, such as .git.
        if not is_folder or hidden or entry.is_symlink() or _strange_entry(entry):
            return entry.name
    return None


def _alive(name: str, owner: str) -> bool:
    if owner.startswith(f"{this_process()}-"):
        return name in _active
    return lives(owner)


def checked_shares(splits: Mapping[str, float] | ArrayLike) -> NDArray[np.float64]:
    """Shares of train, val and test as numbers.

    Args:
        splits: dict split -> share, or three shares in that order.

    Returns:
        `(3,)`, in [0, 1].

    Raises:
        InputError: if they are not three shares that sum to 1.
    """
    given = splits
    if isinstance(splits, Mapping):
        known = set(splits) <= set(SPLITS)
        given = [splits.get(split, 0.0) for split in SPLITS] if known else []
    try:
        shares = np.asarray(given, "float64")
    except (TypeError, ValueError):
        shares = np.empty(0)
    if (
        shares.shape != (3,)
        or not (shares >= 0).all()
        or not np.isclose(shares.sum(), 1)
    ):
        if isinstance(splits, Mapping):
            said = ", ".join(f"{name} {share}" for name, share in splits.items())
        else:
            said = " ".join(map(str, np.ravel(np.asarray(splits, object))))
        raise InputError(
            f"splits: {said} are not three shares (train, val, test) that sum to 1"
        )
    return shares


def assign_splits(
    groups: Iterable[str],
    fractions: Mapping[str, float] | Iterable[float],
    seed: int = 0,
) -> list[str]:
    """Deal groups out to train, val and test at random.

    Args:
        groups: list of group names, one for each sequence (its person, else its
            source, else its name). Equal names stay together.
        fractions: dict split -> share of the groups, such as
            {"train": .8, "val": .1, "test": .1}, or the three shares in that order.
            They sum to 1.
        seed: the same seed and set of groups give the same splits.

    Returns:
        List of split names, one for each entry of `groups`. Every split with a share
        above 0 gets a group where there are enough.

    Raises:
        InputError: if the fractions are not shares that sum to 1.
    """
    if not isinstance(fractions, Mapping):
        fractions = list(fractions)
    shares = checked_shares(fractions)
    unique = sorted(set(groups))
    counts = split_counts(len(unique), shares)
    order = np.random.default_rng([int(seed), 0, 2]).permutation(len(unique))
    sides = np.repeat(SPLITS, counts)
    side_of = {
        unique[place]: str(side) for place, side in zip(order, sides, strict=True)
    }
    return [side_of[group] for group in groups]


def split_counts(number: int, shares: ArrayLike) -> list[int]:
    """Round shares of `number` to whole counts, none of them 0 where avoidable.

    Args:
        number: how many there are to deal out.
        shares: three shares that sum to 1 (any positive scale will do).

    Returns:
        List of three counts that sum to `number`.
    """
    shares = np.asarray(shares, float)
    exact = number * shares / shares.sum()
    counts = np.floor(exact).astype(int)
    for place in np.argsort(counts - exact, kind="stable")[: number - counts.sum()]:
        counts[place] += 1
    for place in np.flatnonzero((counts == 0) & (shares > 0)):
        if counts.max() > 1:
            counts[counts.argmax()] -= 1
            counts[place] += 1
    return [int(count) for count in counts]


def records_from_arrays(
    sequences: Iterable[ArrayLike],
    names: Iterable[str] | None,
    splits: Iterable[str] | Mapping[str, float] | None,
    labels: Mapping[str, Iterable[Any]] | None,
    persons: Iterable[str] | None,
    sources: Iterable[str] | None,
    seed: int,
) -> tuple[Iterator[SequenceRecord], dict[str, dict[str, Any]]]:
    """Turn the arguments of `FrameStore.from_arrays` into records and label info."""
    if isinstance(sequences, np.ndarray) and sequences.ndim != 5:
        raise InputError(
            f"sequences: one array must be (S, T, H, W, C), not {sequences.shape}; "
            "give a list for sequences of different lengths"
        )
    sequences = list(sequences)
    count = len(sequences)
    if names is None:
        names = [f"sequence-{number}" for number in range(count)]
    names = _listed("names", names, count)
    blank = [""] * count
    persons = _listed("persons", blank if persons is None else persons, count)
    sources = _listed("sources", blank if sources is None else sources, count)
    if splits is None:
        splits = ["train"] * count
    elif isinstance(splits, Mapping):
        # Sequences of one person stay together, and so do those of one source.
        groups = joined_groups(names, persons, sources)
        splits = assign_splits(groups, splits, seed)
    sides = _listed("splits", splits, count)
    info: dict[str, dict[str, Any]] = {}
    sequence_labels: dict[str, list[LabelValue]] = {}
    frame_labels: dict[str, list[NDArray[Any]]] = {}
    for label, given in (labels or {}).items():
        values = _listed(f"labels: {label}", given, count)
        if all(np.ndim(value) == 0 for value in values):
            known: list[LabelValue] = [_scalar(value) for value in values]
            text = any(isinstance(value, str) for value in known)
            if text:
                known = [None if value is None else str(value) for value in known]
            sequence_labels[label] = known
            info[label] = {
                "scope": "sequence",
                "kind": "categorical" if text else "continuous",
            }
        else:
            arrays = [np.asarray(value) for value in values]
            classes = None
            if any(array.dtype.kind in "US" for array in arrays):
                classes = sorted({str(v) for array in arrays for v in array.ravel()})
                arrays = [
                    np.array([classes.index(str(v)) for v in array], np.int32)
                    for array in arrays
                ]
            whole = all(array.dtype.kind in "iub" for array in arrays)
            frame_labels[label] = arrays
            info[label] = {
                "scope": "frame",
                "kind": "categorical" if whole else "continuous",
                "classes": classes,
            }

    def records() -> Iterator[SequenceRecord]:
        each = zip(sequences, names, sides, persons, sources, strict=True)
        for number, (frames, name, split, person, source) in enumerate(each):
            yield SequenceRecord(
                name=str(name),
                frames=_as_uint8(frames, name),
                split=str(split),
                person=str(person),
                source=str(source),
                labels={k: v[number] for k, v in sequence_labels.items()},
                frame_labels={k: v[number] for k, v in frame_labels.items()},
            )

    return records(), info


def joined_groups(
    names: Iterable[str], persons: Iterable[str], sources: Iterable[str]
) -> list[str]:
    """Join what must be in one split.

    Args:
        names: S different names.
        persons: S persons, or "" where not known.
        sources: S sources, or "".

    Returns:
        List of S group names: equal for those that share a person or a source with
        each other, directly or through others.
    """
    group_of = {}
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def find(key: tuple[str, str]) -> tuple[str, str]:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    for name, person, source in zip(names, persons, sources, strict=True):
        keys = [("name", str(name))]
        keys += [("person", str(person))] if person else []
        keys += [("source", str(source))] if source else []
        for key in keys[1:]:
            parent[find(key)] = find(keys[0])
    for name in names:
        group_of[name] = "{} {}".format(*find(("name", str(name))))
    return [group_of[name] for name in names]


def _listed(argument: str, values: Iterable[Any], count: int) -> list[Any]:
    values = list(values)
    if len(values) != count:
        raise InputError(
            f"{argument}: {len(values)} values for {count} sequences; give one each"
        )
    return values


def _scalar(value: Any) -> LabelValue:
    value = value.item() if isinstance(value, (np.generic, np.ndarray)) else value
    if value is None or value == "" or value != value:
        return None
    return value if isinstance(value, str) else float(value)


def _as_uint8(frames: ArrayLike, name: str) -> NDArray[Any]:
    frames = np.asarray(frames)
    if frames.dtype.kind != "f":
        return frames
    if frames.size and not (frames.min() >= 0 and frames.max() <= 1):
        raise InputError(
            f"sequence {str(name)!r}: floats must be in [0, 1], but are not (or not "
            "finite); scale them, or give uint8"
        )
    return np.rint(frames * 255).astype(np.uint8)


def _checked_shape(shape: Iterable[int], what: str) -> ImageShape:
    shape = tuple(int(size) for size in shape)
    if len(shape) != 3 or min(shape) < 1 or shape[0] % 16 or shape[1] % 16:
        raise InputError(
            f"{what}: frames of {_shape(shape)} cannot be stored; height and width "
            "must be multiples of 16, channels last"
        )
    return shape


def _checked_label(name: str, info: Mapping[str, Any]) -> LabelInfo:
    info = dict(info)
    if info.get("scope") not in SCOPES or info.get("kind") not in KINDS:
        raise InputError(
            f"labels: {name!r} needs a scope ({', '.join(SCOPES)}) and a kind "
            f"({', '.join(KINDS)})"
        )
    if not name or name == "file" or "/" in name:
        raise InputError(f"labels: {name!r} cannot be a label's name; choose another")
    classes = info.get("classes")
    if classes is not None:
        classes = [str(value) for value in classes]
        if len(set(classes)) < len(classes):
            raise InputError(f"labels: {name!r} names a class twice")
    missing = info.get("missing")
    if info["scope"] == "frame" and info["kind"] == "categorical" and missing is None:
        missing = -1
    return {
        "scope": info["scope"],
        "kind": info["kind"],
        "classes": classes,
        "unit": info.get("unit"),
        "missing": missing,
    }


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape)


def _sync(file: IO[bytes] | IO[str]) -> None:
    file.flush()
    os.fsync(file.fileno())
