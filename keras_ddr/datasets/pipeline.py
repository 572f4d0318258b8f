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
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
from keras_ddr.datasets.user_labels import Extent, read_labels
from keras_ddr.datasets.work import Work
from keras_ddr.errors import InputError
from keras_ddr.files import NO_SPACE, replacing, write_table
from keras_ddr.media import stacks, video

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.datasets.parts import LongReader, Reader
    from keras_ddr.datasets.user_labels import UserLabels
    from keras_ddr.typing import StrPath

    _Parts = list[tuple[Source, Outcome]]

_SUFFIXES = video.SUFFIXES | stacks.SUFFIXES | stacks.FOLDERS
_ANY = "|".join(map(re.escape, _SUFFIXES))
# One sequence of several in a file has "#" and its name after that of the file.
_ENDS = re.compile(rf"(\.ome)?({_ANY})(?=$|#[^#]*$)", re.IGNORECASE)
_ONE_OF = re.compile(r"\.\w+#[^#]*$")
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
        used = [
            (source, outcome)
            for source, outcome in parts
            if not all(
                user_labels.leaves_out(source.name, part)
                for part in _part_names(outcome)
            )
        ]
        if not used:
            raise InputError(f"{user_labels.path}: leaves every sequence out; keep one")
        user_labels.warn_of_unused({s.name: _extent(outcome) for s, outcome in used})
        with replacing(report) as temporary:
            # Report first: if it does not fit, publish nothing.
            _write_report(temporary, parts)
            store = write_store(
                store_path,
                _records(used, reading.paths, user_labels, splits),
                dataset=offer.key,
                frame_shape=plan.frame_shape,
                labels={**labels, **user_labels.info},
                arguments={**arguments, **offer.noted(splits, *plan.options)},
                seed=splits.seed,
                licence=offer.licence,
                ordered=offer.ordered,
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
    """Warn of every source that was skipped, and once of notes that are alike."""
    alike = Counter(outcome.notes for _, outcome in parts)
    for source, outcome in parts:
        lines = []
        if outcome.skipped:
            lines.append(f"skipped: {_named(source, outcome.skipped)}")
        times = alike.pop(outcome.notes, 0)
        if outcome.notes and times:
            more = f" (and so {times - 1} more)" if times > 1 else ""
            lines.append(f"{_named(source, outcome.notes)}{more}")
        for line in lines:
            # Names may hold line ends.
            warnings.warn(_cut(" ".join(line.split())), stacklevel=4)


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
    used: _Parts,
    paths: Mapping[str, Path],
    user_labels: UserLabels,
    splits: Splits,
) -> Iterator[SequenceRecord]:
    """The sequences of the parts, one at a time."""
    sources = [source for source, _ in used]
    split_of = _split_of(sources, user_labels, splits)
    titles = _titles([source.name for source in sources])
    for source, outcome in used:
        title = titles[source.name] + ("-" if _ONE_OF.search(source.name) else "#")
        parts = _part_names(outcome)
        for part, (clip, frames) in zip(
            parts, clips_of(paths[source.name]), strict=True
        ):
            if user_labels.leaves_out(source.name, part):
                continue
            labels, more = user_labels.of(source.name, part, clip.frame_labels)
            person = user_labels.person(source.name, part)
            yield SequenceRecord(
                name=f"{title}{part}",
                frames=frames,
                split=split_of[source.name],
                person=person or clip.person or source.person,
                source=source.name,
                labels={**source.labels, **labels},
                frame_labels={**clip.frame_labels, **more},
            )


def _split_of(
    sources: Sequence[Source], user_labels: UserLabels, splits: Splits
) -> dict[str, str]:
    """The split of each source: that of the table for its group, else dealt out."""
    # A source has a row for each of its people.
    people = [
        (source, person)
        for source in sources
        for person in user_labels.people(source.name, source.person)
    ]
    groups = joined_groups(
        [source.name for source, _ in people],
        [person for _, person in people],
        [source.group for source, _ in people],
    )
    group_of = {s.name: group for (s, _), group in zip(people, groups, strict=True)}
    fixed = {source.name: user_labels.splits.get(source.name, "") for source in sources}
    known = {group_of[name]: split for name, split in fixed.items() if split}
    free = [group for group in group_of.values() if group not in known]
    dealt = assign_splits(free, splits.shares, splits.seed)
    known.update(zip(free, dealt, strict=True))
    return {name: split or known[group_of[name]] for name, split in fixed.items()}


def _extent(outcome: Outcome) -> Extent:
    frames = outcome.frames_read + outcome.frames_broken
    return Extent(frames, outcome.last_time, _part_names(outcome))


def _part_names(outcome: Outcome) -> list[str]:
    """Names of the sequences of a source, behind the "#"."""
    counts: Counter[str] = Counter()
    names = []
    for name in outcome.names:
        counts[name] += 1
        names.append(f"{name}{counts[name]}")
    return names


def _titles(names: list[str]) -> dict[str, str]:
    """Names without a file's suffix, where they stay different."""
    short = {name: _ENDS.sub("", name) for name in names}
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
