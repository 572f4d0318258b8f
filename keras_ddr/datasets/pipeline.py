"""From many files to one store: in parallel, and again where it was interrupted.

Every source (a video, a folder of pictures) is read on its own, by any worker, into a
part: a folder with its crops and their labels beside the store in the making. A part
appears when it is whole and is found again by whoever runs the same work anew. When all
parts are there they are joined to the store, in the order of the sources, so that the
result does not depend on who read what and when.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.data.labels import FRAME_LABELS, Label
from keras_ddr.data.place import check_target
from keras_ddr.data.splits import assign_splits, joined_groups
from keras_ddr.data.writer import SequenceRecord, write_store
from keras_ddr.datasets import execution
from keras_ddr.datasets.parts import (
    Reading,
    Source,
    Summary,
    clips_of,
    key_of,
    parts_folder,
    pixels_of,
    remove_begun,
    remove_parts,
    work,
)
from keras_ddr.errors import InputError
from keras_ddr.files import NO_SPACE, replacing, write_table
from keras_ddr.media.video import SUFFIXES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.datasets.parts import Read
    from keras_ddr.datasets.user_labels import UserLabels
    from keras_ddr.typing import ImageShape, LabelValue, Progress, StrPath


__all__ = [
    "build",
    "check_new",
    "report_path",
]

_TRIES = 50  # of a fifth of a second each
_REPORT = (
    "source",
    "frames_declared",
    "frames_read",
    "frames_broken",
    "frames_found",
    "sequences",
    "frames_kept",
    "skipped",
    "notes",
)


def report_path(store_path: StrPath) -> Path:
    """Where the table of sources of a store is: beside it."""
    store_path = Path(store_path)
    return store_path.with_name(f"{store_path.name}.report.csv")


def check_new(store_path: StrPath, overwrite: bool, splits: Sequence[float]) -> None:
    """Refuse what cannot become a store, before anything is read or downloaded.

    Args:
        store_path: folder to make.
        overwrite: replace a store that exists.
        splits: shares of train, val and test.

    Raises:
        InputError: the folder exists, or the shares are none.
    """
    check_target(Path(store_path), overwrite)
    assign_splits(["a"], splits)


def build(
    store_path: StrPath,
    sources: Sequence[Source],
    read: Read,
    options: Mapping[str, Any],
    *,
    dataset: str,
    frame_shape: ImageShape,
    labels: Mapping[str, Label],
    what: str = "source",
    arguments: Mapping[str, Any] | None = None,
    user_labels: UserLabels | None = None,
    licence: str = "",
    seed: int = 0,
    splits: Sequence[float] = (0.8, 0.1, 0.1),
    overwrite: bool = False,
    workers: int = 0,
    dask: str | None = None,
    progress: Progress | None = None,
) -> FrameStore:
    """Read all sources and join what they give to a store.

    Args:
        store_path: folder to make. Beside it `NAME.report.csv` is written, one row a
            source, and while it is being made a hidden folder holds the parts.
        sources: list of `Source`.
        read: function (source, options, spool) -> `Reading`, importable by workers.
            What it raises costs its source only.
        options: plain dict that `read` gets; parts of other options are not reused.
        dataset: name of the data set.
        frame_shape: (H, W, C).
        labels: label name -> `Label`.
        what: what a source is called in messages.
        arguments: noted in the store; default `options`.
        user_labels: `user_labels.UserLabels` or None.
        licence: noted in the store.
        seed: of the split.
        splits: shares of train, val and test, dealt out by groups and persons.
        overwrite: replace a store that exists.
        workers: number of processes, or 0 to work in this one. A script that asks for
            processes needs the guard `if __name__ == "__main__":`.
        dask: address of a Dask scheduler to work on instead. Its workers must see the
            same paths.
        progress: called as progress(done, total) with numbers of sources.

    Returns:
        The `FrameStore`.

    Raises:
        InputError: there is nothing to read, no source gives a sequence, or the store
            cannot be written. Parts that are done stay for the next run.

    Warns:
        UserWarning: once for every source that is skipped or has a note.
    """
    store_path = Path(store_path)
    check_new(store_path, overwrite, splits)
    if user_labels is not None:
        for name in user_labels.info:
            if name in labels or name in FRAME_LABELS:
                raise InputError(
                    f"labels: the column {name!r} has the name of a label that is made "
                    "here; rename it"
                )
    report = _checked_report_path(store_path)
    with parts_folder(store_path) as folder:
        # Another run may have made it just now.
        check_target(store_path, overwrite)
        keys = {s.name: key_of(s, read, options, frame_shape) for s in sources}
        if len(keys) < len(sources):
            raise ValueError("sources need different names")
        with _one_line(store_path):
            parts = _read_all(
                sources, keys, folder, read, options, workers, dask, progress
            )
        _tell(parts)
        if not any(part.lengths for _, part in parts):
            if os.path.lexists(store_path):
                # The report of the older store stays with it.
                report = report.with_name(f"{store_path.name}.failed.report.csv")
            with _one_line(store_path), replacing(report) as temporary:
                _write_report(temporary, parts)
            remove_parts(folder)
            raise InputError(
                f"{store_path}: no {what} gave a sequence, so no store was made; "
                f"{_reasons(parts)}; see {report}"
            )
        info, records = _records(parts, folder, keys, labels, user_labels, splits, seed)
        with _one_line(store_path), replacing(report) as temporary:
            # First, so that a disk that has no space for it gets no store, either.
            _write_report(temporary, parts)
            store = write_store(
                store_path,
                records,
                dataset=dataset,
                frame_shape=frame_shape,
                labels=info,
                arguments=options if arguments is None else arguments,
                seed=seed,
                licence=licence,
                overwrite=overwrite,
            )
        remove_parts(folder)
    return store


def _read_all(
    sources: Sequence[Source],
    keys: Mapping[str, str],
    folder: Path,
    read: Read,
    options: Mapping[str, Any],
    workers: int,
    dask: str | None,
    progress: Progress | None,
) -> list[tuple[Source, Summary]]:
    """Read what is not read yet; returns (source, summary) for all."""
    skipped = {}
    todo = [s for s in sources if not (folder / keys[s.name]).is_dir()]
    done = len(sources) - len(todo)
    if done and progress is not None:
        progress(done, len(sources))

    def finished(name: str, reading: Reading | None, problem: str | None) -> None:
        nonlocal done
        done += 1
        if problem is not None:
            reading = Reading(skipped=problem)
        elif reading is None and not _appears(folder / keys[name]):
            raise InputError(
                f"dask: its workers wrote no part into {folder}, so they do not see "
                "the folder of the store; give the store a place that all share"
            )
        if reading is not None:
            skipped[name] = reading
        if progress is not None:
            progress(done, len(sources))

    def begun(names: Iterable[str]) -> list[str]:
        found = remove_begun(folder)
        return [name for name in names if keys[name] in found]

    place = Path(execution.place_for(dask, folder))
    tasks = {s.name: (read, s, options, str(place / keys[s.name])) for s in todo}
    execution.run(work, tasks, finished, begun, workers, dask)
    return [
        (s, Summary.of(folder / keys[s.name], skipped.get(s.name))) for s in sources
    ]


def _appears(part: Path) -> bool:
    """Whether a part is there, or comes: shared disks show it seconds later."""
    for _ in range(_TRIES):
        if part.is_dir():
            return True
        os.listdir(part.parent)  # makes some of them look again
        time.sleep(0.2)
    return False


def _checked_report_path(store_path: Path) -> Path:
    """Refuse to write the report over something that is none."""
    path = report_path(store_path)
    if len(os.fsencode(store_path.name)) > 200:
        raise InputError(f"{store_path}: the name is too long; choose a shorter one")
    if os.path.lexists(path):
        try:
            known = path.read_bytes()[:7] == b"source,"
        except OSError:
            known = False
        if not known:
            raise InputError(
                f"{path}: is in the way of the report on the sources; move it away, or "
                "choose another name for the store"
            )
    return path


def _write_report(path: Path, parts: list[tuple[Source, Summary]]) -> None:
    rows = (
        [
            source.name,
            part.frames_declared,
            part.frames_read,
            part.frames_broken,
            part.frames_found,
            len(part.lengths),
            sum(part.lengths),
            part.skipped,
            part.notes,
        ]
        for source, part in parts
    )
    write_table(path, itertools.chain([_REPORT], rows))


def _tell(parts: list[tuple[Source, Summary]]) -> None:
    for source, part in parts:
        for text, verb in ((part.skipped, "skipped: "), (part.notes, "")):
            if text:
                named = "" if text.startswith(source.path) else f"{source.name}: "
                # Names may hold line ends.
                line = " ".join(f"{verb}{named}{text}".split())
                warnings.warn(_cut(line), stacklevel=4)


def _cut(line: str) -> str:
    """The line without what is in the middle of a very long one."""
    return line if len(line) <= 1000 else f"{line[:700]} … {line[-250:]}"


def _reasons(parts: list[tuple[Source, Summary]]) -> str:
    reasons = [
        p.skipped if p.skipped.startswith(s.path) else f"{s.name}: {p.skipped}"
        for s, p in parts
        if p.skipped
    ]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"{_cut(reasons[0])}{more}" if reasons else "there is none"


def _records(
    parts: list[tuple[Source, Summary]],
    folder: Path,
    keys: Mapping[str, str],
    labels: Mapping[str, Label],
    user_labels: UserLabels | None,
    splits: Sequence[float],
    seed: int,
) -> tuple[dict[str, Label], Iterator[SequenceRecord]]:
    """Descriptions of all labels, and the sequences one at a time."""
    used = [(source, part) for source, part in parts if part.lengths]
    names = [source.name for source, _ in used]
    persons = [source.person for source, _ in used]
    fixed = [""] * len(used)
    info = dict(labels)
    if user_labels is not None:
        info.update(user_labels.info)
        persons = [
            user_labels.person(name) or person
            for name, person in zip(names, persons, strict=True)
        ]
        fixed = [user_labels.split(name) for name in names]
    groups = joined_groups(names, persons, [source.group for source, _ in used])
    free = [group for group, split in zip(groups, fixed, strict=True) if not split]
    known = {g: split for g, split in zip(groups, fixed, strict=True) if split}
    free = [group for group in free if group not in known]
    dealt = dict(zip(free, assign_splits(free, splits, seed), strict=True))
    titles = _titles(names)
    if user_labels is not None:
        _warn_of_frames(user_labels, used)

    def records() -> Iterator[SequenceRecord]:
        for (source, part), person, group, split in zip(
            used, persons, groups, fixed, strict=True
        ):
            place = folder / keys[source.name]
            pixels = pixels_of(place)
            counts: Counter[str] = Counter()
            for clip in clips_of(place, part.names):
                counts[clip.name] += 1
                frame_labels = dict(clip.frame_labels)
                sequence_labels: dict[str, LabelValue] = {}
                if user_labels is not None:
                    sequence_labels, more = user_labels.of(
                        source.name, frame_labels["source_frame"]
                    )
                    frame_labels.update(more)
                yield SequenceRecord(
                    name=f"{titles[source.name]}#{clip.name}{counts[clip.name]}",
                    frames=_taken(pixels, clip.rows),
                    split=split or known.get(group) or dealt[group],
                    person=person,
                    source=source.name,
                    labels=sequence_labels,
                    frame_labels=frame_labels,
                )

    return info, records()


def _warn_of_frames(
    user_labels: UserLabels, used: list[tuple[Source, Summary]]
) -> None:
    """Say which labels are for frames that their source has not."""
    beyond = [
        f"{source.name!r} has {total} frames and a label for frame {last}"
        for source, part in used
        if (total := part.frames_read + part.frames_broken)
        <= (last := user_labels.last_frame(source.name))
    ]
    if beyond:
        more = f" (and {len(beyond) - 1} more sources)" if len(beyond) > 1 else ""
        warnings.warn(
            f"labels: {beyond[0]}{more}; frames count from 0, and these labels are not "
            "used",
            stacklevel=4,
        )


def _taken(pixels: NDArray[np.uint8], rows: NDArray[np.integer]) -> NDArray[np.uint8]:
    if len(rows) == rows[-1] - rows[0] + 1:
        return pixels[rows[0] : rows[-1] + 1]
    return pixels[rows]


def _titles(names: list[str]) -> dict[str, str]:
    """Names without a video's suffix, where they stay different."""
    suffixes = tuple(SUFFIXES)
    short = {
        name: os.path.splitext(name)[0] if name.lower().endswith(suffixes) else name
        for name in names
    }
    counts = Counter(short.values())
    titles = {name: s if counts[s] == 1 else name for name, s in short.items()}
    # A name may be what another one is without its suffix.
    return titles if len(set(titles.values())) == len(names) else {n: n for n in names}


@contextlib.contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Turn what the system says of our own files into one line."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise InputError(
                f"{path}: no space left on the disk; free some, or choose another "
                "place, and run the same again to go on"
            ) from error
        name = error.filename or path
        raise InputError(f"{name}: {error.strerror or error}") from error
