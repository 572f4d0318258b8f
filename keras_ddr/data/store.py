"""Frame stores: sequences of video frames in a folder, read where they stand in it."""

from __future__ import annotations

import hashlib
import os
import time
import warnings
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from keras_ddr import manifest
from keras_ddr.arguments import check_choice
from keras_ddr.data.format import FILES, REMEDY, SPLITS, Sequence, shape_text
from keras_ddr.data.labels import ANIMAL_LABELS, CROP_LABELS, FRAME_LABELS, Label
from keras_ddr.data.place import recover
from keras_ddr.data.shard import Shard
from keras_ddr.errors import InputError
from keras_ddr.files import natural_key

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import Progress, StrPath

__all__ = ["FrameStore", "Sequence"]

_open_stores: weakref.WeakSet[FrameStore] = weakref.WeakSet()


class FrameStore:
    """Sequences of uint8 frames with their splits and labels.

    A store is a folder with `frames.npy` (uint8, (T_total, H, W, C)),
    `sequences.csv`, `labels.npz` and `meta.json`, and may be larger than memory.
    `FrameStore.open` opens a folder that exists; `keras_ddr.data.write_arrays` and
    `write_store` make one. A store is never changed after it was written.

    Attributes:
        path: `pathlib.Path` of the folder.
        meta: Content of `meta.json`; of a folder of stores that of the first one, with
            a sha256 of those of all.
        dataset: Name of the dataset, `meta["dataset"]`.
        frame_shape: (H, W, C).
        num_frames: Frames of all sequences together.
        ordered: Whether the frames of its sequences follow each other in time, as far
            as is known: pictures and poses of a grid do not.
        sequences: List of `Sequence`.
        labels: Label name -> `Label`.

    Example:
    >>> import tempfile
    >>> import numpy as np
    >>> from keras_ddr.data import write_arrays
    >>> frames = np.zeros((2, 5, 16, 16, 3), "uint8")
    >>> folder = tempfile.mkdtemp() + "/store"
    >>> store = write_arrays(folder, frames)
    >>> store.frames(0).shape
    (5, 16, 16, 3)
    """

    def __init__(self, path: StrPath, shards: list[Shard]) -> None:
        self.path = Path(path)
        self._shards = shards
        self._stale = False
        self.frame_shape = shards[0].frame_shape
        self.meta = dict(shards[0].meta)
        self.labels = _merged_labels(shards)
        if len(shards) > 1:
            sums = "\n".join(str(shard.meta.get("sha256")) for shard in shards)
            self.meta["sha256"] = hashlib.sha256(sums.encode()).hexdigest()
        self.dataset = self.meta.get("dataset", "")
        # Not said in stores of older versions.
        self.ordered = all(shard.meta.get("ordered", True) for shard in shards)
        self.sequences: list[Sequence] = []
        # Number of the shard of each sequence, and its first frame there.
        self._places: list[tuple[int, int]] = []
        names = [row.name for shard in shards for row in shard.sequences]
        prefix = len(set(names)) < len(names)
        of_sequences = [n for n, x in self.labels.items() if x.scope == "sequence"]
        offset = 0
        for number, shard in enumerate(shards):
            for row in shard.sequences:
                self.sequences.append(
                    replace(
                        row,
                        index=len(self.sequences),
                        name=f"{shard.path.name}/{row.name}" if prefix else row.name,
                        start=offset + row.start,
                        labels={name: row.labels.get(name) for name in of_sequences},
                    )
                )
                self._places.append((number, row.start))
            offset += shard.num_frames
        self.num_frames = offset
        self._by_name = {sequence.name: sequence for sequence in self.sequences}
        if len(shards) > 1:
            _warn_of_leaks(self)
        _open_stores.add(self)

    @classmethod
    def open(cls, path: StrPath) -> Self:
        """Open a store, or a folder of stores with frames of one shape as one store.

        Where two of them hold a sequence of the same name, every name gets its store's
        folder name in front. A folder that is missing, unfinished or damaged is an
        `InputError`; `verify` compares the frames with their checksums.
        """
        path = Path(path)
        # A store that is replaced has no name for a moment.
        end = time.monotonic() + 1
        while not path.exists() and recover(path) and time.monotonic() < end:
            time.sleep(0.01)
        said = ""
        if path.name.startswith(".") and ".tmp-" in path.name:
            said = f"is an unfinished store left by an interrupted run; {REMEDY}"
        elif not path.exists():
            said = (
                "no such frame store; make one with `ddr preprocess` or "
                "keras_ddr.data.write_arrays"
            )
        elif not path.is_dir():
            said = "is a file, but a frame store is a folder"
        if said:
            raise InputError(f"{path}: {said}")
        if (path / "meta.json").exists() or (path / "frames.npy").exists():
            return cls(path, [Shard(path)])
        shards = [Shard(file.parent) for file in path.glob("[!.]*/meta.json")]
        if not shards and (path / "config.json").exists():
            raise InputError(
                f"{path}: is a run, not a frame store; give a store (where a command "
                "takes both, the run comes first)"
            )
        if not shards:
            raise InputError(
                f"{path}: holds no meta.json and no frames.npy, so it is not a frame "
                "store; make one with `ddr preprocess`"
            )
        shards.sort(key=lambda shard: natural_key(os.fsdecode(shard.path.name)))
        first = shards[0]
        for shard in shards:
            if shard.frame_shape != first.frame_shape:
                raise InputError(
                    f"{shard.path}: frames are {shape_text(shard.frame_shape)}, but "
                    f"those of {first.path} are {shape_text(first.frame_shape)}; "
                    "stores shown as one need equal frames"
                )
        return cls(path, shards)

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.sequences)

    def __repr__(self) -> str:
        return (
            f"FrameStore({str(self.path)!r}: {len(self)} sequences, "
            f"{self.num_frames} frames of {shape_text(self.frame_shape)})"
        )

    def _sequence(self, i: int | str) -> Sequence:
        """The sequence with that index or name."""
        if not isinstance(i, str):
            return self.sequences[i]
        if i not in self._by_name:
            raise InputError(
                f"{self.path} has no sequence named {i!r}; its first is named "
                f"{self.sequences[0].name!r}"
            )
        return self._by_name[i]

    def frames(
        self, i: int | str, indices: ArrayLike | None = None
    ) -> NDArray[np.uint8]:
        """Read frames of one sequence.

        Args:
            i: Sequence index, 0 ≤ i < len(store), or its name.
            indices: Integers in [0, length); default all frames in order.

        Returns:
            uint8 array (T, H, W, C), or (len(indices), H, W, C) in the order of
            `indices`: a copy.
        """
        sequence = self._sequence(i)
        number, start = self._places[sequence.index]
        pixels = self._pixels(number)
        if indices is None:
            return np.array(pixels[start : start + sequence.length])
        return self._shards[number].gather(start + _checked(indices, sequence))

    def gather(self, sequences: ArrayLike, indices: ArrayLike) -> NDArray[np.uint8]:
        """Read frames (B, N) of B sequences by their indices: uint8 (B, N, H, W, C)."""
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

    def frame_labels(self, i: int | str) -> dict[str, NDArray[Any]]:
        """Read the frame labels of one sequence, given as for `frames`.

        Returns:
            Dict label name -> array (T,), always with `source_frame` (number of the
            frame in its source) and `time` (seconds, NaN where unknown).
        """
        frame = [name for name, label in self.labels.items() if label.scope == "frame"]
        return {name: self.label_values(i, name) for name in frame}

    def label_values(
        self, i: int | str, label: str, indices: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Read one label of the frames of a sequence.

        Args:
            i: As for `frames`.
            label: Name of a label; the value of a sequence label is repeated.
            indices: As for `frames`.

        Returns:
            Array (T,) of stored values, which `store.labels[label]` decodes.
        """
        sequence = self._sequence(i)
        if self.labels[label].scope == "sequence":
            values = np.full(sequence.length, sequence.labels[label], object)
        else:
            self._pixels(0)
            number, start = self._places[sequence.index]
            arrays = self._shards[number].frame_labels()
            if label in arrays:
                values = np.array(arrays[label][start : start + sequence.length])
            else:
                values = self.labels[label].blank(sequence.length)
        return values if indices is None else values[np.asarray(indices)]

    @property
    def content_labels(self) -> dict[str, Label]:
        """Labels of what is shown, and not of where in its source a frame came from."""
        origin = {*FRAME_LABELS, *CROP_LABELS, *ANIMAL_LABELS}
        return {k: v for k, v in self.labels.items() if k not in origin}

    def select(self, split: str | None = None, min_length: int = 1) -> list[Sequence]:
        """Sequences of "train", "val", "test" or "all" with at least so many frames."""
        if split is not None:
            check_choice((*SPLITS, "all"), split=split)
        return [
            sequence
            for sequence in self.sequences
            if split in (None, "all", sequence.split) and sequence.length >= min_length
        ]

    def require(self, split: str | None = None, min_length: int = 1) -> list[Sequence]:
        """As `select`; that there is none is an `InputError`."""
        if not (found := self.select(split, min_length)):
            splits = sorted({sequence.split for sequence in self.sequences})
            where = f" in the split {split!r}" if split not in (None, "all") else ""
            raise InputError(
                f"{self.path} has no sequence of at least {min_length} frames{where}; "
                f"its splits are {', '.join(splits)}: choose one of them, or make the "
                "store with other shares (--splits)"
            )
        return found

    def verify(self, progress: Progress | None = None) -> None:
        """Compare all files with their checksums; an `InputError` names a changed one.

        `progress` is called as progress(done, total) with megabytes.
        """
        self._pixels(0)
        for problem in verify_store(self.path, progress):
            raise InputError(problem)

    def _pixels(self, number: int) -> NDArray[np.uint8]:
        if self._stale:
            said = f"{self.path}: the store was replaced after it was opened"
            raise InputError(f"{said}; open it again with FrameStore.open")
        return self._shards[number].pixels()

    def _release(self) -> None:
        self._stale = True
        for shard in self._shards:
            shard.close()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        _open_stores.add(self)


def verify_store(path: StrPath, progress: Progress | None = None) -> list[str]:
    """Problems of a store's or a folder of stores' files, one a line."""
    path = Path(path)
    folders = [path]
    if not any((path / name).exists() for name in FILES):
        # Opening says what is wrong with a folder that holds no stores.
        FrameStore.open(path)
        folders = sorted(file.parent for file in path.glob("[!.]*/meta.json"))
    files = [folder / name for folder in folders for name in FILES]
    report = manifest.megabytes(progress, files)
    problems = []
    for folder in folders:
        found = manifest.verify(folder, FILES, REMEDY, report)
        try:
            if not found:
                FrameStore.open(folder).frame_labels(0)
        except InputError as error:
            found = [str(error)]
        problems += found
    return problems


def release(path: StrPath) -> None:
    """Close the memory maps of this process on a store that is to be replaced."""
    # Windows renames no folder with an open file. Stores opened before refuse to be
    # read from then on, on every system.
    path = Path(path).resolve()
    for store in list(_open_stores):
        shards = [shard.path.resolve() for shard in store._shards]
        if any(path == shard or path in shard.parents for shard in shards):
            store._release()


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
    # int8 indices would overflow once `start` is added.
    return indices.astype(np.int64)


def _merged_labels(shards: list[Shard]) -> dict[str, Label]:
    merged: dict[str, Label] = {}
    for shard in shards:
        for name, label in shard.labels.items():
            try:
                merged[name] = merged.get(name, label).merge(label)
            except InputError:
                raise InputError(
                    f"{shard.path}: label {name!r} is described otherwise than in "
                    f"{shards[0].path}; stores shown as one need equal labels"
                ) from None
    return merged


def _warn_of_leaks(store: FrameStore) -> None:
    for kind in ("person", "source"):
        sides: dict[str, set[str]] = {}
        for sequence in store.sequences:
            sides.setdefault(getattr(sequence, kind), set()).add(sequence.split)
        leaks = [group for group, splits in sides.items() if group and len(splits) > 1]
        if leaks:
            warnings.warn(
                f"{store.path}: {len(leaks)} {kind}s (such as {leaks[0]!r}) are in "
                "more than one split, since the stores in it were split apart from "
                "each other; results on val and test will look too good",
                stacklevel=3,
            )
