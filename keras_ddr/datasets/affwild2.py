"""Aff-Wild2: cropped and aligned faces, with valence, arousal, expressions and AUs.

The data set is given to researchers on request and is not part of this package. It is
read as it is distributed:

    cropped_aligned/<video>[_left|_right]/00001.jpg    faces, frames from 1, with gaps
    <any folder>/<video>[_left|_right].txt             a header, then one row a frame
    <any folder>/training_set_annotations.txt          or a row a picture, of all videos

The header of a text file names its columns: `valence,arousal`, the names of the
expressions, or `AU1,AU2,…`; that of a list of the multi-task challenge is
`image,valence,arousal,expression,AU1,…`. Everything is matched by name, never by order.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.data.labels import Label
from keras_ddr.data.place import check_target
from keras_ddr.datasets.affwild2_files import (
    MISSING,
    columns_of,
    find_annotations,
    find_people,
    match,
    read_annotation,
)
from keras_ddr.datasets.affwild2_list import add_lists, find_lists, read_list
from keras_ddr.datasets.folders import (
    files_in,
    numbered_files,
    only_one,
    same_files,
    several,
    split_side,
)
from keras_ddr.datasets.option_fields import Offer
from keras_ddr.datasets.parts import Outcome, Source, Spool, fingerprint
from keras_ddr.datasets.pipeline import build
from keras_ddr.datasets.reading import Cropping, Lengths, Plan
from keras_ddr.datasets.splits import Splits
from keras_ddr.datasets.videos import cut_tracks
from keras_ddr.datasets.work import Work
from keras_ddr.errors import InputError
from keras_ddr.media.pictures import SUFFIXES, read_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.typing import StrPath

__all__ = ["prepare"]

OFFER = Offer(
    "Aff-Wild2",
    unused=(
        *("crop", "people", "align", "margin", "scale", "scale_of", "fps", "cuts"),
        "frame_rate",
        *("persons", "labels"),
    ),
    defaults={"min_length": 20, "max_length": 450, "shares": (0.8, 0.1, 0.1)},
    key="affwild2",
    what="folder of pictures",
    licence="Aff-Wild2, given on request and for research only. The frames show "
    "persons: do not pass them on.",
)


def prepare(
    store_path: StrPath,
    root: StrPath,
    *,
    cropping: Cropping = Cropping(),
    lengths: Lengths = Lengths(),
    splits: Splits = Splits(),
    work: Work = Work(),
    overwrite: bool = False,
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
        store_path: Folder to make; beside it the table `NAME.report.csv`.
        root: Folder of the data set: `cropped_aligned` and annotations are found at any
            depth in it.
        cropping: Size and channels of the frames.
        lengths: Lengths of the sequences, by default 20 to 450 frames, and `max_gap`.
        splits: Shares of train, val and test.
        work: Where the work is done; its progress counts people.
        overwrite: Whether to replace a store that exists.

    Raises:
        InputError: An argument cannot be used, two headers name other classes, or no
            folder gives a sequence.

    Warns:
        UserWarning: Once for every person that is skipped or read in part; once for
            all annotations without pictures, and for all pictures without annotations;
            for every annotation that is left out.
    """
    cropping, lengths = OFFER.settle(cropping), OFFER.settle(lengths)
    splits = OFFER.settle(splits)
    check_target(store_path, overwrite)
    folder = Path(work.path_for_workers(root))
    people = find_people(folder)
    annotations, broken = find_annotations(folder, people)
    columns, chosen, told = match(people, annotations)
    lists = find_lists(folder)
    told = [*broken, *told, *add_lists(lists, columns, people)]
    listed = {key: [x.path for x in lists if key in x.videos] for key in people}
    if not columns:
        told.append(
            f"{folder}: no annotations were found for the pictures (.txt files with a "
            "header), so there are no labels"
        )
    elif bare := [key for key in people if not chosen[key] and not listed[key]]:
        told.append(f"{several(bare)}: no annotations, so labels are missing")
    for remark in told:
        warnings.warn(remark, stacklevel=2)
    sources = []
    for key, folders in people.items():
        path, problem = only_one(folders, "folders of pictures", same_files)
        name = os.path.relpath(path, folder).replace(os.sep, "/")
        details = {
            "marks": chosen[key],
            "lists": {"paths": listed[key], "video": key},
            "columns": columns,
            "problem": problem,
        }
        stamp = fingerprint([*files_in(path), *chosen[key].values(), *listed[key]])
        name, group = key if name == "." else name, split_side(key)[0]
        sources.append(Source(name, path, stamp, group, details=details))
    return build(
        store_path,
        sources,
        read_faces,
        Plan(cropping, lengths),
        OFFER,
        labels=_described(columns),
        arguments={"root": str(root), "columns": columns},
        splits=splits,
        work=work,
        overwrite=overwrite,
    )


def _described(columns: Mapping[str, list[str]]) -> dict[str, Label]:
    labels = {}
    for kind, names in columns.items():
        if kind == "expression":
            labels[kind] = Label("frame", "categorical", names)
        else:
            label = Label("frame", "categorical", ["0", "1"])
            if kind == "va":
                label = Label("frame", "continuous")
            labels.update(dict.fromkeys(names, label))
    return labels


def read_faces(source: Source, plan: Plan, spool: Spool) -> Outcome:
    """Read the pictures of one person, a source of `prepare`, into clips."""
    about = source.details
    if about["problem"]:
        raise InputError(about["problem"])
    paths, strange = numbered_files(source.path, SUFFIXES)
    notes: list[str] = []
    crops, broken = [], []
    for number, path in paths.items():
        try:
            image = read_picture(path)
        except InputError as error:
            broken.append(str(error))
            continue
        crops.append(spool.add(plan.cropping.frame(image, None), number))
    if broken:
        notes.append(
            f"{len(broken)} of {len(paths)} pictures are left out; the first: "
            f"{broken[0]}"
        )
    if strange:
        notes.append(f"{several(strange)}: left out (frames are counted from 1, once)")
    numbers = np.array([crop.number for crop in crops], np.int64)
    labels: dict[str, NDArray[Any]] = {}
    listed = _listed(about["lists"], about["columns"], notes)
    for kind, names in about["columns"].items():
        table = listed.get(kind, np.empty((0, columns_of(kind, names))))
        if kind in about["marks"]:
            path = about["marks"][kind]
            table = _table(path, kind, names, numbers, notes)
        labels.update(_labels(table, kind, names, numbers))
    runs = [crops[run] for run in plan.lengths.runs(numbers)]
    clips, why = cut_tracks(runs, plan.lengths), plan.lengths.too_short(runs)
    for clip in clips:
        # Every picture was cropped, so rows of the spool are those of the labels.
        clip.frame_labels.update({name: v[clip.rows] for name, v in labels.items()})
    if not crops:
        why = f"no picture could be read of {len(paths)}"
    return Outcome(
        clips,
        frames_read=len(crops),
        frames_found=len(crops),
        frames_broken=len(broken),
        skipped="" if clips else why,
        notes="; ".join(notes),
    )


def _listed(
    lists: Mapping[str, Any], columns: dict[str, list[str]], notes: list[str]
) -> dict[str, NDArray[np.float64]]:
    """Tables by kind, of the first list that has the video."""
    tables: dict[str, NDArray[np.float64]] = {}
    for path in lists["paths"]:
        found, problem = read_list(path, lists["video"], columns)
        tables = {**found, **tables}
        if problem:
            notes.append(problem)
    return tables


def _table(
    path: str,
    kind: str,
    names: list[str],
    numbers: NDArray[np.integer],
    notes: list[str],
) -> NDArray[np.float64]:
    """The annotation of one kind, a row a frame."""
    try:
        table, problem = read_annotation(path, kind, names)
    except InputError as error:
        notes.append(str(error))
        return np.empty((0, columns_of(kind, names)))
    if problem:
        notes.append(problem)
    short = int((numbers >= len(table)).sum())
    if short and len(table):
        notes.append(f"{path}: {short} frames come after its last row, {len(table)}")
    return table


def _labels(
    table: NDArray[np.float64],
    kind: str,
    names: list[str],
    numbers: NDArray[np.integer],
) -> dict[str, NDArray[Any]]:
    """Labels of the frames with the given numbers."""
    values = np.full((len(numbers), table.shape[1]), np.nan)
    known = numbers < len(table)
    values[known] = table[numbers[known]]
    if kind == "va":
        return dict(zip(names, values.T.astype(np.float32), strict=True))
    values = np.where(np.isnan(values), MISSING, values).astype(np.int32)
    labels = [kind] if kind == "expression" else names
    return dict(zip(labels, values.T, strict=True))
