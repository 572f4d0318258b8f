"""Aff-Wild2: cropped and aligned faces, with valence, arousal, expressions and AUs.

The data set is given to researchers on request and is not part of this package. It is
read as it is distributed:

    cropped_aligned/<video>[_left|_right]/00001.jpg    faces, frames from 1, with gaps
    <any folder>/<video>[_left|_right].txt             a header, then one row a frame

What a text file holds is told by its header: `valence,arousal`, the names of the
expressions, or `AU1,AU2,…`. Everything is matched by name, never by order.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.data.labels import Label
from keras_ddr.datasets import clips, execution, options, parts, pipeline
from keras_ddr.datasets.affwild2_files import (
    MISSING,
    columns_of,
    find_annotations,
    find_people,
    match,
    read_annotation,
)
from keras_ddr.datasets.layouts import (
    files_in,
    frame_number,
    only_one,
    same_files,
    several,
    split_side,
)
from keras_ddr.errors import InputError
from keras_ddr.faces.cropping import crop_whole
from keras_ddr.files import natural_key
from keras_ddr.media.pictures import SUFFIXES, read_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.typing import Progress, StrPath

__all__ = [
    "LICENCE",
    "prepare",
    "read_faces",
]

LICENCE = (
    "Aff-Wild2, given on request and for research only. The frames show persons: do "
    "not pass them on."
)
"""Note in the stores."""


def prepare(
    store_path: StrPath,
    root: StrPath,
    *,
    size: int = 64,
    channels: int = 3,
    min_length: int = 20,
    max_length: int | None = 450,
    long: str = "split",
    max_gap: int = 5,
    splits: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    overwrite: bool = False,
    workers: int = 0,
    dask: str | None = None,
    progress: Progress | None = None,
) -> FrameStore:
    """Make a frame store of Aff-Wild2, from its cropped and aligned faces.

    Every folder of pictures is one person. Two people of a video are kept apart, and in
    one split; an annotation of the mere video is used for a folder with a side only
    where there is no other person of that video.

    Frame labels: `source_frame` (from 0), `time` (NaN), and of those that the
    annotations have: `valence` and `arousal` (-1 to 1, NaN where missing),
    `expression` (classes as in the header), `AU1`, … (classes "0" and "1"). Missing
    are the rows that say so (-5, or -1 for classes), rows that cannot be read, and
    those after the last one.

    Args:
        store_path: folder to make; beside it the table `NAME.report.csv`.
        root: folder of the data set: `cropped_aligned` and annotations are found at any
            depth in it.
        size: height and width of the frames, a multiple of 16.
        channels: 3, or 1 for grey.
        min_length: sequences of fewer frames are left out.
        max_length: most frames of a sequence, or None.
        long: what to do with longer ones: "split", "first" or "thin".
        max_gap: most frames in a row without a picture within a sequence.
        splits: shares of train, val and test.
        seed: of the split.
        overwrite: replace a store that exists.
        workers: processes, or 0 to work in this one; see `pipeline.build`.
        dask: address of a Dask scheduler to work on instead.
        progress: called as progress(done, total) with numbers of people.

    Returns:
        The `FrameStore`.

    Raises:
        InputError: an argument cannot be used, two headers name other classes, or no
            folder gives a sequence.

    Warns:
        UserWarning: once for every person that is skipped or read in part; once for
            all annotations without pictures, and for all pictures without annotations;
            for every annotation that is left out.
    """
    options.check(channels=channels)
    options.check_numbers(size=size, margin=0)
    pipeline.check_new(store_path, overwrite, splits)
    clips.check_lengths(min_length, max_length, long, max_gap)
    given = root
    root = Path(execution.place_for(dask, root))
    people = find_people(root)
    found, remarks = find_annotations(root, people)
    columns, chosen, more = match(people, found)
    remarks += more
    if not columns:
        remarks.append(
            f"{root}: no annotations were found for the pictures (.txt files with a "
            "header), so there are no labels"
        )
    else:
        bare = [key for key in people if not chosen[key]]
        if bare:
            remarks.append(f"{several(bare)}: no annotations, so labels are missing")
    sources = []
    for key, folders in people.items():
        folder, problem = only_one(folders, "folders of pictures", same_files)
        base, _ = split_side(key)
        name = os.path.relpath(folder, root).replace(os.sep, "/")
        sources.append(
            parts.Source(
                name if name != "." else key,
                folder,
                parts.fingerprint([*files_in(folder), *chosen[key].values()]),
                base,
                details={"marks": chosen[key], "problem": problem},
            )
        )
    for remark in remarks:
        warnings.warn(remark, stacklevel=2)
    reading = {
        "size": int(size),
        "channels": int(channels),
        "min_length": min_length,
        "max_length": max_length,
        "long": long,
        "max_gap": max_gap,
        "columns": columns,
    }
    return pipeline.build(
        store_path,
        sources,
        read_faces,
        reading,
        dataset="affwild2",
        frame_shape=(int(size), int(size), int(channels)),
        labels=_described(columns),
        what="folder of pictures",
        arguments={**reading, "root": str(given), "splits": list(splits)},
        licence=LICENCE,
        seed=seed,
        splits=splits,
        overwrite=overwrite,
        workers=workers,
        dask=dask,
        progress=progress,
    )


def _described(columns: Mapping[str, list[str]]) -> dict[str, Label]:
    labels = {}
    for kind, names in columns.items():
        if kind == "expression":
            labels[kind] = Label("frame", "categorical", names)
            continue
        for name in names:
            labels[name] = Label("frame", "continuous")
            if kind == "au":
                labels[name] = Label("frame", "categorical", ["0", "1"])
    return labels


def read_faces(
    source: parts.Source, reading: Mapping[str, Any], spool: parts.Spool
) -> parts.Reading:
    """Read the pictures of one person into clips.

    Args:
        source: `parts.Source`: a folder, with "marks" (kind -> annotation) and
            "problem" in its details.
        reading: dict of options, see `prepare`.
        spool: `parts.Spool` for the frames.

    Returns:
        `parts.Reading`.
    """
    if source.details["problem"]:
        raise InputError(source.details["problem"])
    paths, strange = _pictures(source.path)
    notes: list[str] = []
    stored, known, broken = [], [], []
    for number, path in paths.items():
        try:
            image = read_picture(path)
        except InputError as error:
            broken.append(str(error))
            continue
        image = crop_whole(image, reading["size"], "none")
        # From red, green, blue to what `coloured` takes.
        crop = options.coloured(image[..., ::-1], reading["channels"])
        stored.append(spool.add(crop))
        known.append(number)
    if broken:
        notes.append(
            f"{len(broken)} of {len(paths)} pictures are left out; the first: "
            f"{broken[0]}"
        )
    if strange:
        notes.append(f"{several(strange)}: left out (frames are counted from 1, once)")
    rows, numbers = np.array(stored, np.int64), np.array(known, np.int64)
    labels: dict[str, NDArray[Any]] = {
        "source_frame": numbers,
        "time": np.full(len(numbers), np.nan),
    }
    for kind, names in reading["columns"].items():
        path = source.details["marks"].get(kind)
        labels.update(_labels(path, kind, names, numbers, notes))
    runs = clips.runs(numbers, reading["max_gap"])
    result = parts.Reading(
        frames_read=len(paths) - len(broken),
        frames_broken=len(broken),
        frames_found=len(numbers),
        notes=" ".join("; ".join(notes).split()),
    )
    for run in runs:
        for part in clips.pieces(
            run.stop - run.start,
            reading["min_length"],
            reading["max_length"],
            reading["long"],
        ):
            part = part + run.start
            result.clips.append(
                parts.Clip(
                    rows[part],
                    {name: values[part] for name, values in labels.items()},
                )
            )
    if not result.clips:
        longest = max((run.stop - run.start for run in runs), default=0)
        result.skipped = (
            f"no picture could be read of {len(paths)}"
            if not longest
            else f"the longest sequence has {longest} frames, fewer than min_length "
            f"{reading['min_length']}"
        )
    return result


def _pictures(folder: StrPath) -> tuple[dict[int, str], list[str]]:
    """Pictures by frame number (from 0), in order, and those that have none."""
    paths, strange = {}, []
    for path in sorted(files_in(folder), key=natural_key):
        number = frame_number(os.path.basename(path), SUFFIXES)
        if number is None:
            continue
        if number == 0 or number - 1 in paths:
            strange.append(path)
        else:
            paths[number - 1] = path
    return {number: paths[number] for number in sorted(paths)}, strange


def _labels(
    path: str | None,
    kind: str,
    names: list[str],
    numbers: NDArray[np.integer],
    notes: list[str],
) -> dict[str, NDArray[Any]]:
    """Labels of the frames with the given numbers."""
    table = np.empty((0, columns_of(kind, names)))
    if path is not None:
        try:
            table, problem = read_annotation(path, kind, names)
            if problem:
                notes.append(problem)
            short = int((numbers >= len(table)).sum())
            if short and len(table):
                notes.append(
                    f"{path}: {short} frames come after its last row, {len(table)}"
                )
        except InputError as error:
            notes.append(str(error))
    values = np.full((len(numbers), table.shape[1]), np.nan)
    known = numbers < len(table)
    values[known] = table[numbers[known]]
    if kind == "va":
        return dict(zip(names, values.T.astype(np.float32), strict=True))
    values = np.where(np.isnan(values), MISSING, values).astype(np.int32)
    labels = [kind] if kind == "expression" else names
    return dict(zip(labels, values.T, strict=True))
