"""Stores made of arrays in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.data.labels import Label
from keras_ddr.data.splits import assign_splits, joined_groups
from keras_ddr.data.writer import SequenceRecord, write_store
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.typing import LabelValue, StrPath

__all__ = ["write_arrays"]


def write_arrays(
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
    """Write a frame store of arrays in memory.

    Args:
        path: Folder to make.
        sequences: List of S arrays (T, H, W, C), or one array (S, T, H, W, C);
            integers 0 to 255, truth values (black and white), or floats in [0, 1],
            which are rounded to 8 bits. H and W are multiples of 16, and equal for
            all sequences.
        names: S unique names; default "sequence-0", ….
        splits: S of "train", "val", "test"; or fractions, such as
            {"train": .8, "val": .1, "test": .1}, by which persons (else sources,
            else sequences) are dealt out at random. Default: all "train".
        labels: Label name -> S values (a sequence label) or S arrays of T values
            each (a frame label). Strings are classes, and so are integers of a
            frame label; integers of a sequence label are numbers. Floats are
            continuous. NaN, `None` and "" are missing. A dict from the names of
            sequences may stand for S values, as for the next two.
        persons: S names of the person shown.
        sources: S names of the source video.
        seed: Seed of the random split.
        dataset: Name noted in the store.
        overwrite: Replace a store that exists at `path`.

    Returns:
        The `FrameStore` at `path`; arrays that do not fit are an `InputError`.
    """
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
    persons = _listed("persons", blank if persons is None else persons, count, names)
    sources = _listed("sources", blank if sources is None else sources, count, names)
    if splits is None:
        splits = ["train"] * count
    elif isinstance(splits, Mapping):
        # Sequences of one person stay together, and so do those of one source.
        splits = assign_splits(joined_groups(names, persons, sources), splits, seed)
    sides = _listed("splits", splits, count)
    described: dict[str, Label] = {}
    columns: dict[str, list[Any]] = {}
    for name, given in (labels or {}).items():
        values = _listed(f"labels: {name}", given, count, names, None)
        described[name], columns[name] = _described(values)

    def values_of(scope: str, number: int) -> dict[str, Any]:
        return {
            name: columns[name][number]
            for name, label in described.items()
            if label.scope == scope
        }

    records = (
        SequenceRecord(
            name=str(names[k]),
            frames=_as_uint8(frames, names[k]),
            split=str(sides[k]),
            person=str(persons[k]),
            source=str(sources[k]),
            labels=values_of("sequence", k),
            frame_labels=values_of("frame", k),
        )
        for k, frames in enumerate(sequences)
    )
    return write_store(
        path, records, dataset=dataset, labels=described, seed=seed, overwrite=overwrite
    )


def _described(values: list[Any]) -> tuple[Label, list[Any]]:
    """The label of S values, or of S arrays of T values, and what is stored of them."""
    if all(np.ndim(value) == 0 for value in values):
        known = [_scalar(value) for value in values]
        if not any(isinstance(value, str) for value in known):
            return Label("sequence", "continuous"), known
        texts = [None if value is None else str(value) for value in known]
        return Label("sequence", "categorical"), texts
    arrays = [np.asarray(value) for value in values]
    if any(_holds_text(array) for array in arrays):
        return _with_classes(arrays)
    # Numbers of which some are None.
    arrays = [a.astype(float) if a.dtype.kind == "O" else a for a in arrays]
    whole = all(array.dtype.kind in "iub" for array in arrays)
    return Label("frame", "categorical" if whole else "continuous"), arrays


def _holds_text(array: NDArray[Any]) -> bool:
    objects = array.dtype.kind == "O"
    some = objects and any(isinstance(value, str) for value in array.ravel())
    return array.dtype.kind in "US" or some


def _with_classes(arrays: list[NDArray[Any]]) -> tuple[Label, list[Any]]:
    """The label of texts of frames, and their class numbers."""
    texts = [
        [
            None if v is None or v == "" or v != v or v == "nan" else str(v)
            for v in array.ravel().tolist()
        ]
        for array in arrays
    ]
    classes = sorted({text for part in texts for text in part if text is not None})
    label = Label("frame", "categorical", classes)
    return label, [label.encode(part) for part in texts]


def _listed(
    argument: str,
    values: Iterable[Any],
    count: int,
    names: list[str] | None = None,
    missing: Any = "",
) -> list[Any]:
    if isinstance(values, Mapping):
        if names is None:
            raise InputError(f"{argument}: is a dict; give a list, one a sequence")
        unknown = [key for key in values if key not in names]
        if unknown:
            raise InputError(
                f"{argument}: there is no sequence named {unknown[0]!r}; give a list, "
                "or a dict from the names of sequences"
            )
        return [values.get(name, missing) for name in names]
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
    if frames.dtype.kind in "iu" and frames.dtype != np.uint8:
        if frames.size and (frames.min() < 0 or frames.max() > 255):
            raise InputError(
                f"sequence {str(name)!r}: integers must be in 0 to 255, but are "
                f"{frames.min()} to {frames.max()}; scale them"
            )
        return frames.astype(np.uint8)
    if frames.dtype == bool:
        return np.where(frames, np.uint8(255), np.uint8(0))
    if frames.dtype.kind != "f":
        return frames
    if frames.size and not (frames.min() >= 0 and frames.max() <= 1):
        raise InputError(
            f"sequence {str(name)!r}: floats must be in [0, 1], but are not (or not "
            "finite); scale them, or give uint8"
        )
    return np.rint(frames * 255).astype(np.uint8)
