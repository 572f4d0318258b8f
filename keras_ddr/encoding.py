"""The codes of a whole store in one file, for other programs."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import math
import tempfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.data.labels import FRAME_LABELS
from keras_ddr.errors import InputError
from keras_ddr.exports.intervals import Timeline
from keras_ddr.exports.nwb import pynwb_for, write_codes_nwb
from keras_ddr.exports.parquet import pyarrow_for, write_parquet
from keras_ddr.exports.writing import check_times, named_apart
from keras_ddr.files import check_output_path, replacing, this_process, write_table

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.codes import Codes
    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.sequence_model import SequenceModel
    from keras_ddr.typing import Progress, StrPath

__all__ = ["encode_sequences", "write_codes", "write_codes_by_recording"]

_TABLES = (".npz", ".csv", ".parquet")
BY_RECORDING = ".nwb"
SUFFIXES = (*_TABLES, BY_RECORDING)


def check_encoding(model: SequenceModel, options: Mapping[str, Any]) -> None:
    """Refuse options that `encode` of a model does not take."""
    try:
        inspect.signature(model.encode).bind(None, **options)
    except TypeError as error:
        raise InputError(f"encoding of {type(model).__name__}: {error}") from None


def encode_frames(
    model: SequenceModel,
    store: FrameStore,
    parts: Iterable[tuple[Sequence, ArrayLike | None]],
    progress: Progress | None = None,
    **options: Any,
) -> Iterator[tuple[NDArray[np.uint8], Codes]]:
    """Frames and codes of parts: a `Sequence` and positions in it, `None` for all."""
    parts = list(parts)
    check_encoding(model, options)
    for done, (sequence, positions) in enumerate(parts, start=1):
        frames = store.frames(sequence.index, positions)
        yield frames, model.encode(frames, **options)
        if progress is not None:
            progress(done, len(parts))


def encode_sequences(
    model: SequenceModel,
    store: FrameStore,
    split: str | None = None,
    *,
    sequences: list[Sequence] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Iterator[tuple[Sequence, Codes]]:
    """Encode the sequences of a store, one at a time.

    Args:
        model: A trained `SequenceModel`.
        store: `FrameStore` with frames of the model's image shape.
        split: "train", "val", "test"; "all" or `None` for every sequence.
        sequences: List of `Sequence` to encode in place of a split.
        progress: Called with (sequences done, all sequences), or `None`.
        **options: Arguments of `model.encode`, such as `seed` and `noise`.

    Yields:
        (`Sequence`, `Codes`), in the order of the store or of `sequences`.

    Raises:
        InputError: No sequence is long enough.

    Warns:
        UserWarning: Sequences are left out because they are too short.
    """
    chosen = _chosen(model, store, split) if sequences is None else sequences
    parts = [(sequence, None) for sequence in chosen]
    encoded = encode_frames(model, store, parts, progress, **options)
    for sequence, (_, codes) in zip(chosen, encoded, strict=True):
        yield sequence, codes


def write_codes(
    path: StrPath,
    model: SequenceModel,
    store: FrameStore,
    split: str | None = None,
    *,
    overwrite: bool = True,
    progress: Progress | None = None,
    **options: Any,
) -> Path:
    """Write f and z of every sequence and frame, with their variances and labels.

    A .csv file has a row a frame: sequence, split, person, source, position (from 0),
    source_frame, time, z_1 …, z_1_variance …, z_1_standardized …, f_1 …, f_1_variance …
    and label:NAME for each label of the store, class names for categorical ones. Empty
    cells stand for missing values. A .parquet file has the same columns with their
    types, numbers and texts (factors in R); it needs PyArrow.

    A .npz file (read it with `numpy.load`) has, for S sequences and T frames in all:
    names, split, person, source (S,); static_mean, static_variance (S, static_dim);
    prior_mean, prior_variance (S, dynamic_dim); sequence (T,), the number of its
    sequence for each frame, position, source_frame, time (T,); dynamic_mean,
    dynamic_variance, dynamic_standardized (T, dynamic_dim); label:NAME, (S,) or (T,),
    and classes:NAME where it is categorical: frame labels are then numbers of classes,
    sequence labels their names.

    One sequence is in memory at a time.

    Args:
        path: File ending in .npz, .csv or .parquet, in a folder that exists; it is
            written whole or not at all.
        model: See `encode_sequences`, as for all that follows.
        store: Likewise.
        split: Likewise.
        overwrite: Whether a file that exists is replaced.
        progress: See `encode_sequences`.
        **options: Likewise.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        InputError: The path cannot be used, no sequence is long enough, or PyArrow is
            not installed.
    """
    path = check_output_path(path, _TABLES, overwrite)
    if path.suffix.lower() == ".parquet":
        pyarrow_for(path)
    chosen = _chosen(model, store, split)
    encoded = encode_sequences(
        model, store, sequences=chosen, progress=progress, **options
    )
    if path.suffix.lower() == ".csv":
        _write_csv(path, model, store, encoded)
    elif path.suffix.lower() == ".parquet":
        with replacing(path) as temporary:
            write_parquet(temporary, (_columns(store, *each) for each in encoded))
    else:
        _write_npz(path, model, store, chosen, encoded)
    return path


def write_codes_by_recording(
    path: StrPath,
    model: SequenceModel,
    store: FrameStore,
    split: str | None = None,
    *,
    overwrite: bool = True,
    progress: Progress | None = None,
    **options: Any,
) -> list[Path]:
    """Write f, z and z̃ as Neurodata Without Borders, a file for each recording.

    In the processing module "behavior" each sequence has a `TimeSeries` "NAME z" and
    one "NAME z_standardized", (T, dynamic_dim), with the times of its frames; a table
    "f" in "analysis" has a row a sequence: sequence, subject, mean and variance.

    Args:
        path: File ending in .nwb; where sequences are from several recordings, each
            gets a file `PATH-RECORDING.nwb`.
        model: See `encode_sequences`, as for all that follows.
        store: Likewise.
        split: Likewise.
        overwrite: Whether files that exist are replaced.
        progress: See `encode_sequences`.
        **options: Likewise.

    Returns:
        List of `pathlib.Path` of the files.

    Raises:
        InputError: A path cannot be used, times of frames are not known, or PyNWB is
            not installed.
    """
    check_output_path(path, (BY_RECORDING,))
    pynwb_for(path)
    chosen = _chosen(model, store, split)
    timelines = {s.index: Timeline(s, store.frame_labels(s.index)) for s in chosen}
    check_times(path, timelines.values())
    by_recording: dict[str, list[Sequence]] = {}
    for sequence in chosen:
        name = timelines[sequence.index].recording
        by_recording.setdefault(name, []).append(sequence)
    paths = named_apart(path, list(by_recording))
    for file in paths.values():
        check_output_path(file, (BY_RECORDING,), overwrite)
    ordered = [sequence for group in by_recording.values() for sequence in group]
    encoded = encode_sequences(
        model, store, sequences=ordered, progress=progress, **options
    )
    for name, group in by_recording.items():
        parts = [
            (timelines[s.index], c) for s, c in itertools.islice(encoded, len(group))
        ]
        with replacing(paths[name]) as temporary:
            write_codes_nwb(temporary, name, parts)
    return list(paths.values())


def _chosen(
    model: SequenceModel, store: FrameStore, split: str | None
) -> list[Sequence]:
    """Sequences of a split that are long enough."""
    number = model.frames_per_set
    every, chosen = store.select(split), store.require(split, number)
    if len(chosen) < len(every):
        short = next(s for s in every if s.length < number)
        warnings.warn(
            f"{store.path}: {len(every) - len(chosen)} of {len(every)} sequences have "
            f"fewer than {number} frames and are left out ({short.name!r} first)",
            stacklevel=3,
        )
    return chosen


def _write_csv(
    path: Path,
    model: SequenceModel,
    store: FrameStore,
    encoded: Iterable[tuple[Sequence, Codes]],
) -> None:
    z = [f"z_{k + 1}" for k in range(model.dynamic_dim)]
    f = [f"f_{k + 1}" for k in range(model.static_dim)]
    labels = [name for name in store.labels if name not in FRAME_LABELS]
    header = ["sequence", "split", "person", "source", "position", "source_frame"]
    header += ["time", *z, *(f"{n}_variance" for n in z)]
    header += [*(f"{n}_standardized" for n in z), *f, *(f"{n}_variance" for n in f)]
    header += [f"label:{name}" for name in labels]
    rows = (row for each in encoded for row in _rows(store, *each, labels))
    with replacing(path) as temporary:
        write_table(temporary, itertools.chain([header], rows))


def _rows(
    store: FrameStore, sequence: Sequence, codes: Codes, labels: list[str]
) -> Iterator[list[object]]:
    """A row of the table for each frame of a sequence."""
    frame_labels = store.frame_labels(sequence.index)
    about = [sequence.name, sequence.split, sequence.person, sequence.source]
    times = _texts(frame_labels["time"])
    static = [*_texts(codes.static.mean), *_texts(codes.static.variance)]
    of_labels = [
        store.labels[name].texts(store.label_values(sequence.index, name))
        for name in labels
    ]
    # Each is computed of all frames.
    parts = (codes.dynamic.mean, codes.dynamic.variance, codes.standardized)
    for position in range(sequence.length):
        yield [
            *about,
            position,
            int(frame_labels["source_frame"][position]),
            times[position],
            *(text for part in parts for text in _texts(part[position])),
            *static,
            *(texts[position] for texts in of_labels),
        ]


def _columns(
    store: FrameStore, sequence: Sequence, codes: Codes
) -> dict[str, list[str] | NDArray[Any]]:
    """The rows of a sequence as `_write_csv` has them, a column at a time."""
    known, length = store.frame_labels(sequence.index), sequence.length
    columns: dict[str, list[str] | NDArray[Any]] = {
        "sequence": [sequence.name] * length,
        "split": [sequence.split] * length,
        "person": [sequence.person] * length,
        "source": [sequence.source] * length,
        "position": np.arange(length),
        "source_frame": known["source_frame"].astype(np.int64),
        "time": known["time"].astype(np.float64),
    }
    for name, values in (
        ("z_{}", codes.dynamic.mean),
        ("z_{}_variance", codes.dynamic.variance),
        ("z_{}_standardized", codes.standardized),
        ("f_{}", np.tile(codes.static.mean, (length, 1))),
        ("f_{}_variance", np.tile(codes.static.variance, (length, 1))),
    ):
        for k, column in enumerate(np.asarray(values).T):
            columns[name.format(k + 1)] = column
    for name, label in store.labels.items():
        if name not in FRAME_LABELS:
            values = store.label_values(sequence.index, name)
            found = label.texts if label.kind == "categorical" else label.numbers
            columns[f"label:{name}"] = found(values)
    return columns


def label_texts(
    store: FrameStore, sequence: Sequence, positions: Iterable[int]
) -> list[dict[str, str]]:
    """Content labels of frames as text, a dict for each position."""
    positions = np.array(list(positions), int)
    columns = {
        name: label.texts(store.label_values(sequence.index, name, positions))
        for name, label in store.content_labels.items()
    }
    return [{n: c[k] for n, c in columns.items()} for k in range(len(positions))]


def _texts(values: Iterable[float]) -> list[str]:
    """The shortest texts that are read back as the same numbers."""
    return ["" if math.isnan(value) else str(value) for value in values]


def _write_npz(
    path: Path,
    model: SequenceModel,
    store: FrameStore,
    chosen: list[Sequence],
    encoded: Iterable[tuple[Sequence, Codes]],
) -> None:
    count, frames = len(chosen), sum(sequence.length for sequence in chosen)
    of_parts = {
        "static": (count, model.static_dim),
        "prior": (count, model.dynamic_dim),
        "dynamic": (frames, model.dynamic_dim),
    }
    shapes = {
        f"{part}_{moment}": shape
        for part, shape in of_parts.items()
        for moment in ("mean", "variance")
    }
    shapes["dynamic_standardized"] = of_parts["dynamic"]
    beside = f".{path.stem}.tmp-{this_process()}-"
    with (
        replacing(path) as temporary,
        tempfile.TemporaryDirectory(prefix=beside, dir=path.parent) as folder,
    ):
        # A zip file takes one member after the other, and these grow side by side.
        # They are plain files: a memory map on a full disk kills the process.
        with contextlib.ExitStack() as files:
            members = {}
            for name, shape in shapes.items():
                members[name] = files.enter_context(open(Path(folder, name), "wb"))
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(members[name], header)
            for _, codes in encoded:
                for name, member in members.items():
                    part, moment = name.split("_")
                    of = codes if moment == "standardized" else getattr(codes, part)
                    array = np.ascontiguousarray(getattr(of, moment), "<f4")
                    member.write(array.data)
        with zipfile.ZipFile(temporary, "w", allowZip64=True) as archive:
            for name in shapes:
                archive.write(Path(folder, name), f"{name}.npy")
                Path(folder, name).unlink()
            for name, array in _facts(store, chosen):
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, array, allow_pickle=False)


def _facts(
    store: FrameStore, chosen: list[Sequence]
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Names, places and labels, as arrays without objects."""
    yield "names", np.array([s.name for s in chosen], str)
    for name in ("split", "person", "source"):
        yield name, np.array([getattr(s, name) for s in chosen], str)
    lengths = [s.length for s in chosen]
    yield "sequence", np.repeat(np.arange(len(chosen)), lengths)
    yield "position", np.concatenate([np.arange(length) for length in lengths])
    for name, label in store.labels.items():
        if label.scope == "frame":
            values = np.concatenate([store.frame_labels(s.index)[name] for s in chosen])
        else:
            gap = "" if label.kind == "categorical" else math.nan
            found = [s.labels[name] for s in chosen]
            values = np.array([gap if value is None else value for value in found])
        yield name if name in FRAME_LABELS else f"label:{name}", values
        if label.kind == "categorical":
            yield f"classes:{name}", np.array(label.classes or [], str)
