"""Stores made of arrays in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.data.labels import Label, is_missing
from keras_ddr.data.splits import assign_splits, joined_groups
from keras_ddr.data.writer import SequenceRecord, write_store
from keras_ddr.errors import InputError
from keras_ddr.host import as_array

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
    labels: Mapping[str, Iterable[Any]] | Any | None = None,
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
            continuous. NaN, NA, `None`, "" and the words for them ("NA", "nan",
            "None", …) are missing. A dict from the names of sequences may stand for S
            values, as for the next two, and so may a pandas Series with these names as
            index. A DataFrame of pandas or polars with S rows may stand for the dict
            of labels.
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
    for name, given in _columns(labels).items():
        values = _listed(f"labels: {name}", given, count, names, None)
        described[name], columns[name] = _described(f"labels: {name}", values)

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


def _columns(labels: Any) -> Mapping[str, Any]:
    """Label name -> values, also of a table."""
    if labels is None or isinstance(labels, Mapping):
        return labels or {}
    if not hasattr(labels, "columns"):
        raise InputError(
            f"labels: is a {type(labels).__name__}; give a dict from the names of "
            "labels to their values, or a DataFrame"
        )
    return {str(name): labels[name] for name in labels.columns}


def _described(argument: str, values: list[Any]) -> tuple[Label, list[Any]]:
    """The label of S values, or of S arrays of T values, and what is stored of them."""
    if all(np.ndim(value) == 0 for value in values):
        known = [_scalar(argument, value) for value in values]
        if not any(isinstance(value, str) for value in known):
            return Label("sequence", "continuous"), known
        texts = [None if value is None else str(value) for value in known]
        return Label("sequence", "categorical"), texts
    arrays = [as_array(value) for value in values]
    if any(_holds_text(array) for array in arrays):
        return _with_classes(arrays)
    # Numbers of which some are None or NA.
    arrays = [_numbers(argument, a) if a.dtype.kind == "O" else a for a in arrays]
    whole = all(array.dtype.kind in "iub" for array in arrays)
    return Label("frame", "categorical" if whole else "continuous"), arrays


def _numbers(argument: str, array: NDArray[Any]) -> NDArray[np.float64]:
    values = [_scalar(argument, value) for value in array.ravel()]
    return np.array([np.nan if v is None else v for v in values], float)


def _holds_text(array: NDArray[Any]) -> bool:
    objects = array.dtype.kind == "O"
    some = objects and any(isinstance(value, str) for value in array.ravel())
    return array.dtype.kind in "US" or some


def _with_classes(arrays: list[NDArray[Any]]) -> tuple[Label, list[Any]]:
    """The label of texts of frames, and their class numbers."""
    texts = [
        [None if is_missing(v) else str(v) for v in array.ravel().tolist()]
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
    index = getattr(values, "index", None)
    if names is not None and index is not None and not callable(index):
        # A Series of pandas: its rows have names, maybe in another order.
        keys = [str(key) for key in index]
        if sorted(keys) == sorted(map(str, names)):
            by_name = dict(zip(keys, values, strict=True))
            return [by_name[str(name)] for name in names]
    values = list(values)
    if len(values) != count:
        raise InputError(
            f"{argument}: {len(values)} values for {count} sequences; give one each"
        )
    return values


def _scalar(argument: str, value: Any) -> LabelValue:
    if not isinstance(value, str | None):
        value = value.item() if hasattr(value, "item") else value
    if is_missing(value):
        return None
    if isinstance(value, str):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError(
            f"{argument}: holds {value!r:.40}, a {type(value).__name__}; give numbers "
            "or texts"
        ) from None


def _as_uint8(frames: ArrayLike, name: str) -> NDArray[Any]:
    frames = as_array(frames)
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
