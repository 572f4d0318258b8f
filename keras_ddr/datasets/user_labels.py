"""Labels that users bring along in a table."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from keras_ddr.arguments import check_choice
from keras_ddr.data.format import SPLITS
from keras_ddr.data.labels import Label
from keras_ddr.datasets.folders import several
from keras_ddr.datasets.label_columns import Row, columns_of, is_known, rows_of
from keras_ddr.datasets.label_sources import Finder, targets_of, written
from keras_ddr.datasets.label_times import Span, joined, places
from keras_ddr.datasets.label_values import values_of
from keras_ddr.datasets.tables import Table, read_table
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.datasets.label_sources import Target
    from keras_ddr.typing import LabelValue, StrPath

    _Cell: TypeAlias = tuple[Row, Target, int | None]

_Key = TypeVar("_Key")

# Seconds by which a span may end after the last frame: clocks of other programs differ.
_LATE = 1.0
_NONE = "none"  # the split of what is left out


@dataclass
class Values:
    """Values of one label of one target."""

    frames: dict[int | None, LabelValue] = field(default_factory=dict)  # None: of all
    spans: list[Span] = field(default_factory=list)

    def fill(
        self,
        values: list[LabelValue],
        numbers: NDArray[np.integer],
        times: NDArray[np.floating],
    ) -> None:
        """Put in the values that are known here."""
        if None in self.frames:
            values[:] = [self.frames[None]] * len(values)
        for place, value in places(self.spans, numbers, times).items():
            values[place] = value
        for place, frame in enumerate(numbers.tolist()):
            values[place] = self.frames.get(int(frame), values[place])


@dataclass(frozen=True)
class Extent:
    """How far a source reaches."""

    frames: int
    end: float  # seconds
    parts: Sequence[str]  # names of its sequences, behind the "#"


@dataclass
class UserLabels:
    """Content of a table of labels."""

    info: dict[str, Label] = field(default_factory=dict)
    persons: dict[Target, str] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)  # by source
    left_out: set[Target] = field(default_factory=set)
    values: dict[Target, dict[str, Values]] = field(default_factory=dict)
    targets: dict[Target, int] = field(default_factory=dict)  # the first line of each
    path: StrPath = "labels"  # of the table, for messages

    def person(self, source: str, part: str) -> str:
        """Name of the person of a sequence, or ""."""
        known = [self.persons.get(target, "") for target in targets_of(source, part)]
        return next((name for name in reversed(known) if name), "")

    def leaves_out(self, source: str, part: str) -> bool:
        """Whether the split of a sequence, its person or its source is "none"."""
        return not self.left_out.isdisjoint(targets_of(source, part))

    def people(self, source: str, default: str = "") -> list[str]:
        """Names of all people of a source, with that of those who have no own."""
        named = {part: n for (s, part), n in self.persons.items() if s == source}
        return sorted({default, *named.values()} if "" not in named else named.values())

    def of(
        self, source: str, part: str, frame_labels: Mapping[str, NDArray[Any]]
    ) -> tuple[dict[str, LabelValue], dict[str, NDArray[Any]]]:
        """Labels of a sequence of a source, and of its frames.

        `part` is the name of the sequence after "#"; `frame_labels` holds
        `source_frame` and `time`.
        """
        numbers, times = frame_labels["source_frame"], frame_labels["time"]
        layers = [self.values.get(target, {}) for target in targets_of(source, part)]
        if len(times) and np.isnan(times).any():
            timed = [v for layer in layers for v in layer.values() if v.spans]
            if timed:
                raise InputError(
                    f"{self.path}: line {timed[0].spans[0].line} gives a time, but the "
                    f"frames of {source!r} have none; give their numbers in a column "
                    "`frame`"
                )
        of_sequence: dict[str, LabelValue] = {}
        of_frames = {}
        for name, label in self.info.items():
            values: list[LabelValue] = [None] * len(numbers)
            of_sequence[name] = None
            for layer in layers:
                known = layer.get(name, Values())
                if label.scope == "frame":
                    known.fill(values, numbers, times)
                else:
                    of_sequence[name] = known.frames.get(None, of_sequence[name])
            if label.scope == "frame":
                del of_sequence[name]
                of_frames[name] = label.encode(values)
        return of_sequence, of_frames

    def _beyond(self, source: str, extent: Extent) -> str:
        """A label for what comes after the last frame, in words, or ""."""
        found = [
            values
            for (known, _), labels in self.values.items()
            if known == source
            for values in labels.values()
        ]
        last = max((n for v in found for n in v.frames if n is not None), default=-1)
        if last >= extent.frames:
            return (
                f"{source!r} ends at frame {extent.frames - 1} and has a label for "
                f"frame {last}"
            )
        spans = [span for values in found for span in values.spans]
        late = [
            span
            for span in spans
            if span.start > extent.end or span.end > extent.end + _LATE
        ]
        if not late:
            return ""
        span = min(late, key=lambda span: span.line)
        return (
            f"{source!r} ends at {extent.end:.2f} s and has a label from "
            f"{span.start:g} to {span.end:g} s (line {span.line})"
        )

    def warn_of_unused(self, there: Mapping[str, Extent]) -> None:
        """Say which labels are for frames, times and people that are not there."""
        beyond = [self._beyond(source, extent) for source, extent in there.items()]
        beyond = [said for said in beyond if said]
        if beyond:
            more = f" (and {len(beyond) - 1} more sources)" if len(beyond) > 1 else ""
            warnings.warn(
                f"{self.path}: {beyond[0]}{more}; frames and seconds count from 0, and "
                "what lies behind the end is not used",
                stacklevel=4,
            )
        known = {
            target
            for source, extent in there.items()
            for part in extent.parts
            for target in targets_of(source, part)
        }
        of_sources = [target for target in self.targets if target[0] in there]
        missed = [written(t) for t in of_sources if t[1] and t not in known]
        if missed:
            warnings.warn(
                f"{self.path}: {several(missed)}: there is no such person or sequence, "
                "so these labels are not used",
                stacklevel=4,
            )


def read_labels(
    path: StrPath | None,
    sources: Mapping[str, Sequence[str]],
    sequences: Mapping[str, Target] | None = None,
) -> UserLabels:
    """Read a table of labels, a CSV file with a header; without one, none.

    Its column `source` is the path of a video or a folder below the root, or only its
    name, or its name without suffix, where that is clear; `#person2` behind it means
    one of the people, `#1` or `#person2-1` one sequence. It may have `frame` (number of
    the frame in its source, from 0, or a picture's file name, which `sources` has;
    blank for a label of the whole source), or `time`, or `start` and `end`; `person`
    and `split`, "none" for what is left out. Any other column is a label: continuous if
    it holds numbers, categorical if it holds text. `sequences` has targets by names of
    their own.
    """
    result = UserLabels()
    if path is None:
        return result
    table = read_table(Path(path), is_known)
    result.path = table.path
    roles, columns = columns_of(table)
    finder = Finder(table, sources, sequences or {})
    if "source" not in roles and len(sources) != 1:
        raise InputError(
            f"{table.path}: has no column `source` (found: {', '.join(table.header)}); "
            "add one with the path of each video or folder"
        )
    cells: dict[str, list[tuple[Row, Target, int | None]]] = {c: [] for c in columns}
    unknown = []
    rows = rows_of(table, roles, columns)
    for row in rows:
        targets = finder.find(row.source, row.line) if "source" in roles else None
        if "source" not in roles:
            targets = [(next(iter(sources)), "")]
        if not targets:
            unknown.append(row.source)
        for target in targets or ():
            result.targets.setdefault(target, row.line)
            _add_person_and_split(result, table, row, target)
            frame = finder.frame(row.frame, target[0], row.line)
            for column in row.texts:
                cells[column].append((row, target, frame))
    _check_splits(result, table)
    for column, (name, kind) in columns.items():
        _add(result, table, (column, name, kind), cells[column])
    _tell_unknown(table, unknown, len(rows), next(iter(sources), ""))
    return result


def _tell_unknown(table: Table, unknown: list[str], rows: int, first: str) -> None:
    if rows and len(unknown) == rows:
        raise InputError(
            f"{table.path}: no row is for a source that is there ({unknown[0]!r} is "
            f"first, sources are named as {first!r} is); give paths below the folder "
            "that is read"
        )
    if unknown:
        warnings.warn(
            f"{table.path}: {len(unknown)} rows are for sources that are not there "
            f"({unknown[0]!r} first); their labels are not used",
            stacklevel=3,
        )


def _add_person_and_split(
    result: UserLabels, table: Table, row: Row, target: Target
) -> None:
    name = written(target)
    _once(result.persons, target, row.person, f"{name} the person", table, row)
    if row.split == _NONE:
        result.left_out.add(target)
        return
    _once(result.splits, target[0], row.split, f"{name} the split", table, row)
    if row.split:
        said = f"{table.path}: line {row.line}, split"
        check_choice((*SPLITS, _NONE), **{said: row.split})


def _once(
    known: dict[_Key, str], key: _Key, value: str, what: str, table: Table, row: Row
) -> None:
    """Note a value; a second one is refused."""
    if value and known.setdefault(key, value) != value:
        raise table.refuse(
            row.line,
            f"gives {what} {value!r}, an earlier one {known[key]!r}; give it one",
        )


def _check_splits(result: UserLabels, table: Table) -> None:
    sides: dict[str, str] = {}
    for (source, _), person in result.persons.items():
        split = result.splits.get(source)
        if split and sides.setdefault(person, split) != split:
            raise InputError(
                f"{table.path}: gives {person!r} the splits {sides[person]} and "
                f"{split}; a person must be in one"
            )


def _add(
    result: UserLabels, table: Table, about: tuple[str, str, str], cells: list[_Cell]
) -> None:
    """Add the label of a column (column, name, kind), or of each of its values."""
    column, name, kind = about
    texts = [row.texts[column] for row, _, _ in cells]
    if kind == "each":
        for value in sorted(set(texts)):
            own = [c for c, text in zip(cells, texts, strict=True) if text == value]
            _add_one_of_each(result, table, value, own)
        return
    found, values, odd = values_of(texts, kind, table.decimal_comma)
    if odd is not None:
        advice = f", or name the column {name}:categorical if these are classes"
        raise table.refuse(
            cells[odd][0].line,
            f"has {texts[odd][:40]!r} for {name}, which is not a number like 0.5; "
            "correct it" + ("" if kind else advice),
        )
    classes = sorted(set(texts)) if found == "categorical" else None
    of_frames = _put(result, table, name, cells, values)
    result.info[name] = Label("frame" if of_frames else "sequence", found, classes)


def _add_one_of_each(
    result: UserLabels, table: Table, value: str, cells: list[_Cell]
) -> None:
    """Add the label that says whether one value of a column is given."""
    if value in result.info or "/" in value or is_known(value) or value == "file":
        raise InputError(
            f"{table.path}: line {cells[0][0].line} has {value!r}, which cannot be the "
            "name of a label of its own; rename it"
        )
    _put(result, table, value, cells, ["yes"] * len(cells))
    for source, part in result.targets:
        if not part or (source, "") not in result.targets:
            known = result.values.setdefault((source, part), {})
            known.setdefault(value, Values()).frames.setdefault(None, "no")
    result.info[value] = Label("frame", "categorical", ["no", "yes"])


def _put(
    result: UserLabels,
    table: Table,
    name: str,
    cells: list[_Cell],
    values: Sequence[LabelValue],
) -> bool:
    """Put values where they belong; whether some are of frames."""
    spans: defaultdict[Target, list[Span]] = defaultdict(list)
    of_frames = False
    for (row, target, frame), value in zip(cells, values, strict=True):
        if value is None:
            continue
        of_frames = of_frames or frame is not None or row.span is not None
        known = result.values.setdefault(target, {}).setdefault(name, Values())
        if row.span is not None:
            spans[target].append(Span(*row.span, value, row.line))
        elif known.frames.setdefault(frame, value) != value:
            raise table.refuse(
                row.line,
                f"gives {name} of {written(target)} a second value; give it one",
            )
    for target, of_target in spans.items():
        result.values[target][name].spans, clash = joined(of_target)
        if clash:
            before, span = clash
            raise table.refuse(
                span.line,
                f"has {span.value!r} for {name} of {written(target)} from "
                f"{span.start:g} s, while {before.value!r} of line {before.line} lasts "
                f"until {before.end:g} s; give them columns of their own, or name the "
                f"column {name}:each",
            )
    return of_frames
