"""Many files become one store: in parallel, and again where it was interrupted.

Every source (a video, a folder of pictures) is read on its own, by any worker, into a
part: a folder with its frames and their labels beside the store in the making. A part
appears when it is whole, and the same work done again finds it. When all parts are
there they are joined to the store in the order of the sources, so that the result does
not depend on who read what and when.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from keras_ddr.data.labels import FRAME_LABELS, Label
from keras_ddr.data.place import check_target
from keras_ddr.data.splits import assign_splits, joined_groups
from keras_ddr.data.writer import SequenceRecord, write_store
from keras_ddr.datasets.option_fields import Offer
from keras_ddr.datasets.parts import (
    Outcome,
    Source,
    clips_of,
    parts_folder,
    remove_parts,
)
from keras_ddr.datasets.source_reading import Reading
from keras_ddr.datasets.splits import Splits
from keras_ddr.datasets.user_labels import read_labels
from keras_ddr.datasets.work import Work
from keras_ddr.errors import InputError
from keras_ddr.files import NO_SPACE, replacing, write_table
from keras_ddr.media.video import SUFFIXES

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.datasets.parts import LongReader, Reader
    from keras_ddr.datasets.user_labels import UserLabels
    from keras_ddr.typing import StrPath

    _Parts = list[tuple[Source, Outcome]]

_FRAMES = ("frames_declared", "frames_read", "frames_broken", "frames_found")
_REPORT = ("source", *_FRAMES, "sequences", "frames_kept", "skipped", "notes")


def report_path(store_path: StrPath) -> Path:
    """The table of sources of a store: beside it."""
    store_path = Path(store_path)
    return store_path.with_name(f"{store_path.name}.report.csv")


def build(
    store_path: StrPath,
    sources: Sequence[Source],
    reader: Reader | LongReader,
    plan: Any,
    offer: Offer,
    *,
    labels: Mapping[str, Label],
    arguments: Mapping[str, Any] = MappingProxyType({}),
    splits: Splits = Splits((0.8, 0.1, 0.1)),
    work: Work = Work(),
    overwrite: bool = False,
) -> FrameStore:
    """Read all sources and join their parts to a store.

    `reader` (source, plan, spool) -> `Outcome` can be imported by workers; what it
    raises costs its source only. A `LongReader` reads long sources in segments. A plan
    has a `frame_shape` and `options` to note. Parts that were made by another plan are
    not used again; parts that are done stay for the next run where this one fails.
    `labels` and `arguments` are those of the store, without the user's labels and the
    options.
    """
    store_path = Path(store_path)
    user_labels = read_labels(splits.labels, {s.name: s.frames for s in sources})
    for name in user_labels.info:
        if name in labels or name in FRAME_LABELS:
            raise InputError(
                f"labels: the column {name!r} has the name of a label that is made "
                "here; rename it"
            )
    report = _checked_report_path(store_path)
    with parts_folder(store_path) as folder, _one_line(store_path):
        check_target(store_path, overwrite)
        reading = Reading(folder, sources, reader, plan, work)
        parts = reading.run()
        _tell(parts)
        if not any(outcome.lengths for _, outcome in parts):
            if os.path.lexists(store_path):
                # The report of the older store stays with it.
                report = report.with_name(f"{store_path.name}.failed.report.csv")
            with replacing(report) as temporary:
                _write_report(temporary, parts)
            remove_parts(folder)
            raise InputError(
                f"{store_path}: no {offer.what} gave a sequence, so no store was made; "
                f"{_reasons(parts)}; see {report}"
            )
        persons = user_labels.persons
        used = [
            (replace(source, person=persons.get(source.name, source.person)), outcome)
            for source, outcome in parts
            if outcome.lengths
        ]
        _warn_of_frames(user_labels, used)
        with replacing(report) as temporary:
            # Report first: if it does not fit, publish nothing.
            _write_report(temporary, parts)
            store = write_store(
                store_path,
                _records(
                    [source for source, _ in used], reading.paths, user_labels, splits
                ),
                dataset=offer.key,
                frame_shape=plan.frame_shape,
                labels={**labels, **user_labels.info},
                arguments={**arguments, **offer.noted(splits, *plan.options)},
                seed=splits.seed,
                licence=offer.licence,
                overwrite=overwrite,
            )
        remove_parts(folder)
    return store


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


def _write_report(path: Path, parts: _Parts) -> None:
    rows = (
        [
            source.name,
            *(getattr(outcome, name) for name in _FRAMES),
            *(len(outcome.lengths), sum(outcome.lengths)),
            *(outcome.skipped, outcome.notes),
        ]
        for source, outcome in parts
    )
    write_table(path, itertools.chain([_REPORT], rows))


def _tell(parts: _Parts) -> None:
    for source, outcome in parts:
        for text, verb in ((outcome.skipped, "skipped: "), (outcome.notes, "")):
            if text:
                # Names may hold line ends.
                line = " ".join(f"{verb}{_named(source, text)}".split())
                warnings.warn(_cut(line), stacklevel=4)


def _named(source: Source, text: str) -> str:
    return text if text.startswith(source.path) else f"{source.name}: {text}"


def _cut(line: str) -> str:
    """The line without the middle of a very long one."""
    return line if len(line) <= 1000 else f"{line[:700]} … {line[-250:]}"


def _reasons(parts: _Parts) -> str:
    reasons = [_cut(_named(s, part.skipped)) for s, part in parts if part.skipped]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"{reasons[0]}{more}" if reasons else "there is none"


def _records(
    sources: Sequence[Source],
    paths: Mapping[str, Path],
    user_labels: UserLabels,
    splits: Splits,
) -> Iterator[SequenceRecord]:
    """The sequences of the parts, one at a time."""
    split_of = _split_of(sources, user_labels, splits)
    titles = _titles([source.name for source in sources])
    for source in sources:
        counts: Counter[str] = Counter()
        for clip, frames in clips_of(paths[source.name]):
            counts[clip.name] += 1
            labels, more = user_labels.of(
                source.name, clip.frame_labels["source_frame"]
            )
            yield SequenceRecord(
                name=f"{titles[source.name]}#{clip.name}{counts[clip.name]}",
                frames=frames,
                split=split_of[source.name],
                person=source.person,
                source=source.name,
                labels={**source.labels, **labels},
                frame_labels={**clip.frame_labels, **more},
            )


def _split_of(
    sources: Sequence[Source], user_labels: UserLabels, splits: Splits
) -> dict[str, str]:
    """The split of each source: that of the table for its group, else dealt out."""
    names = [source.name for source in sources]
    persons, groups = [s.person for s in sources], [s.group for s in sources]
    groups = joined_groups(names, persons, groups)
    fixed = [user_labels.splits.get(name, "") for name in names]
    known = {g: split for g, split in zip(groups, fixed, strict=True) if split}
    free = [group for group in groups if group not in known]
    dealt = assign_splits(free, splits.shares, splits.seed)
    known.update(zip(free, dealt, strict=True))
    return {
        name: split or known[group]
        for name, group, split in zip(names, groups, fixed, strict=True)
    }


def _warn_of_frames(user_labels: UserLabels, used: _Parts) -> None:
    """Say which labels are for frames that their source has not."""
    beyond = [
        f"{source.name!r} has {total} frames and a label for frame {last}"
        for source, outcome in used
        if (total := outcome.frames_read + outcome.frames_broken)
        <= (last := user_labels.last_frame(source.name))
    ]
    if beyond:
        more = f" (and {len(beyond) - 1} more sources)" if len(beyond) > 1 else ""
        warnings.warn(
            f"labels: {beyond[0]}{more}; frames count from 0, and these labels are not "
            "used",
            stacklevel=3,
        )


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
    """Turn errors about our own files into one line."""
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
