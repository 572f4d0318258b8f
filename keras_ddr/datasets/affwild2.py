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
import re
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from keras_ddr.datasets import clips, execution, options, parts, pipeline
from keras_ddr.datasets.annotations import bad_lines, mark
from keras_ddr.datasets.layouts import (
    files_in,
    frame_number,
    id_of,
    only_one,
    same_content,
    same_files,
    several,
    split_side,
    text_lines,
    walk_folders,
)
from keras_ddr.errors import InputError
from keras_ddr.faces.cropping import crop_whole
from keras_ddr.files import natural_key
from keras_ddr.media.pictures import SUFFIXES, read_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.typing import Progress, StrPath

# Kind -> name -> path and columns of the annotations of that name.
_Annotations: TypeAlias = dict[str, dict[str, list[tuple[str, list[str]]]]]

__all__ = [
    "LICENCE",
    "find_annotations",
    "find_people",
    "prepare",
    "read_annotation",
    "read_faces",
    "read_header",
]

LICENCE = (
    "Aff-Wild2, given on request and for research only. The frames show persons: do "
    "not pass them on."
)
"""Note in the stores."""
_VALENCE_AROUSAL = ["valence", "arousal"]
_EXPRESSIONS = frozenset(
    "neutral anger disgust fear happiness sadness surprise other contempt".split()
)
_MISSING = -1


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
    columns, chosen, more = _matched(people, found)
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
        labels=_label_info(columns),
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


def _label_info(columns: Mapping[str, list[str]]) -> dict[str, dict[str, Any]]:
    info = {}
    for kind, names in columns.items():
        if kind == "expression":
            info[kind] = {"scope": "frame", "kind": "categorical", "classes": names}
            continue
        for name in names:
            info[name] = {"scope": "frame", "kind": "continuous"}
            if kind == "au":
                info[name] = {
                    "scope": "frame",
                    "kind": "categorical",
                    "classes": ["0", "1"],
                }
    return info


# Finding


def find_people(root: StrPath) -> dict[str, list[str]]:
    """List the folders of pictures.

    Args:
        root: see `prepare`.

    Returns:
        Dict name of the folder -> its paths (more than one where copies are nested),
        in natural order.

    Raises:
        InputError: there is none.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the one with cropped_aligned")
    inside, anywhere = defaultdict(list), defaultdict(list)
    for folder, files in walk_folders(root):
        if any(frame_number(name, SUFFIXES) is not None for name in files):
            key = id_of(os.path.basename(os.path.abspath(folder)))
            anywhere[key].append(folder)
            if any(map(_is_cropped, Path(folder).relative_to(root).parts)):
                inside[key].append(folder)
    # The root may be the folder itself, under whatever name.
    people = inside or anywhere
    if not people:
        raise InputError(
            f"{root}: holds no folder cropped_aligned with folders of pictures "
            "(VIDEO/00001.jpg); give the folder that does"
        )
    return {key: people[key] for key in sorted(people, key=natural_key)}


def _is_cropped(name: str) -> bool:
    letters = re.sub(r"[^a-z]", "", name.lower())
    return letters.startswith(("croppedalign", "cropalign"))


def find_annotations(
    root: StrPath, people: Mapping[str, list[str]]
) -> tuple[_Annotations, list[str]]:
    """List the annotations by what they hold.

    Args:
        root: see `prepare`.
        people: dict of `find_people`.

    Returns:
        Dict kind ("va", "expression", "au") -> dict name -> list of (path, columns);
        and a list of remarks on files of someone's name that hold none of these.
    """
    found: _Annotations = {}
    remarks = []
    known = {*people, *(split_side(key)[0] for key in people)}
    pictures = {os.path.abspath(path) for paths in people.values() for path in paths}
    for folder, files in walk_folders(root, _is_cropped):
        if os.path.abspath(folder) in pictures:
            continue
        for name in files:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() != ".txt":
                continue
            path, key = os.path.join(folder, name), id_of(stem)
            try:
                kind, columns = read_header(path)
            except InputError as error:
                if key in known:
                    remarks.append(f"{error}; it is left out")
                continue
            found.setdefault(kind, defaultdict(list))[key].append((path, columns))
    return found, remarks


def read_header(path: StrPath) -> tuple[str, list[str]]:
    """Read what an annotation holds.

    Args:
        path: text file.

    Returns:
        kind ("va", "expression", "au"), and the names of its columns or, of
        expressions, classes.

    Raises:
        InputError: it holds none of these.
    """
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            line = file.readline(4096).strip()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    names = [name for name in line.replace(",", " ").split() if name]
    lower = [name.lower() for name in names]
    if sorted(lower) == sorted(_VALENCE_AROUSAL):
        return "va", lower
    if len(set(lower)) == len(lower) > 0:
        if all(re.fullmatch(r"au\d+", name) for name in lower):
            return "au", [name.upper() for name in names]
        if len(lower) > 1 and _EXPRESSIONS.issuperset(lower):
            return "expression", names
    if not line and not os.path.getsize(path):
        raise InputError(f"{path}: is empty (0 bytes)")
    raise InputError(
        f"{path}: line 1 holds {line[:40]!r}, which is not the header of valence and "
        "arousal, expressions or AUs"
    )


def _matched(
    people: Mapping[str, list[str]], found: _Annotations
) -> tuple[dict[str, list[str]], dict[str, dict[str, str]], list[str]]:
    """Give people their annotations.

    Returns:
        Dict kind -> columns; dict person -> dict kind -> path; and remarks.
    """
    columns: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    chosen: dict[str, dict[str, str]] = {key: {} for key in people}
    alone = defaultdict(list)
    for key in people:
        alone[split_side(key)[0]].append(key)
    orphans: list[str] = []
    unclear: list[str] = []
    twice: list[str] = []
    for kind, files in found.items():
        for key, candidates in files.items():
            owner = key
            if key not in people:
                others = alone.get(key, [])
                # What the mere name means is clear where there is one person only.
                if len(others) != 1 or others[0] in files:
                    (unclear if others else orphans).append(candidates[0][0])
                    continue
                owner = others[0]
            path, problem = only_one(
                [path for path, _ in candidates], "annotations", same_content
            )
            if problem:
                twice.append(f"{problem}; their labels are left out")
                continue
            names = candidates[0][1]
            kind_columns = columns.setdefault(kind, _canonical(kind, names))
            first.setdefault(kind, path)
            if not _agree(kind, names, kind_columns):
                raise InputError(
                    f"{path}: its header names {', '.join(names)}, but that of "
                    f"{first[kind]} {', '.join(kind_columns)}; give files with the "
                    "same classes"
                )
            chosen[owner][kind] = path
    remarks = twice
    if orphans:
        remarks.append(
            f"{several(orphans)}: there are no pictures of this name, so this is left "
            "out"
        )
    if unclear:
        remarks.append(
            f"{several(unclear)}: could be of the left or the right person of the "
            "video, so this is left out"
        )
    return columns, chosen, remarks


def _canonical(kind: str, names: list[str]) -> list[str]:
    return list(_VALENCE_AROUSAL) if kind == "va" else list(names)


def _agree(kind: str, names: list[str], others: list[str]) -> bool:
    # Classes are numbered by their order; columns have their names.
    if kind == "expression":
        return [n.lower() for n in names] == [n.lower() for n in others]
    return sorted(names) == sorted(others)


# Reading


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
    table = np.empty((0, _width(kind, names)))
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
    values = np.where(np.isnan(values), _MISSING, values).astype(np.int32)
    labels = [kind] if kind == "expression" else names
    return dict(zip(labels, values.T, strict=True))


def _width(kind: str, names: list[str]) -> int:
    return 1 if kind == "expression" else len(names)


def read_annotation(
    path: StrPath, kind: str, names: list[str]
) -> tuple[NDArray[np.float64], str]:
    """Read an annotation.

    Commas with or without blanks, Windows line ends, a byte order mark and blank lines
    at the end are all taken.

    Args:
        path: text file with a header.
        kind: "va", "expression" or "au".
        names: the columns that are wanted; of expressions, the classes.

    Returns:
        (rows, columns) float64, in the order of `names`; row k is frame k + 1 of the
        files. NaN where missing. And what is wrong, naming file and line, or "".

    Raises:
        InputError: it cannot be read, or is of another kind.
    """
    found, header = read_header(path)
    lines = text_lines(path)[1:]
    width = _width(kind, names)
    if found != kind or _width(kind, header) != width:
        raise InputError(f"{path}: has changed while it was read; run again")
    order = [0] if kind == "expression" else [header.index(name) for name in names]
    top = len(names) if kind == "expression" else 2
    table, bad = np.full((len(lines), width), np.nan), []
    for row, line in enumerate(lines):
        try:
            values = [float(text) for text in line.replace(",", " ").split()]
            if len(values) != width:
                raise ValueError(line)
            read = mark if kind == "va" else lambda value: _class(value, top)
            table[row] = [read(values[place]) for place in order]
        except (ValueError, OverflowError):
            bad.append((row + 2, line))
    if not lines:
        return table, f"{path}: holds no row, so its labels are missing"
    return table, bad_lines(path, bad)


def _class(value: float, top: int) -> float:
    if value == _MISSING:
        return np.nan
    if value != int(value) or not 0 <= value < top:
        raise ValueError(value)
    return value
