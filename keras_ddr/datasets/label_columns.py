"""Columns of a table of labels: whose they are, when, and what.

Tables of users name them as the documentation does. BORIS (events, tabular and
aggregated) and ELAN (tab-delimited text, a column for each tier) have names of their
own, by which their exports are known.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keras_ddr.data.labels import is_missing
from keras_ddr.datasets.label_times import seconds
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from keras_ddr.datasets.tables import Table

# Names of a column, compared in small letters; the first one that is there is taken.
_NAMES = {
    "source": ("source", "media file name", "media file", "media file path")
    + ("file name", "file", "file path"),
    "frame": ("frame",),
    "time": ("time",),
    "start": ("start", "start (s)", "begin time - ss.msec")
    + ("begin time - hh:mm:ss.ms", "begin time - msec"),
    "end": ("end", "stop", "stop (s)", "end time - ss.msec")
    + ("end time - hh:mm:ss.ms", "end time - msec"),
    "person": ("person",),
    "split": ("split",),
}
_BY_NAME = {name: role for role, names in _NAMES.items() for name in names}
# Times as ELAN heads them, whatever its language.
_OF_ELAN = re.compile(r" - (hh:mm:ss|ss\.msec|msec)")
_NO_SUBJECT = ("", "no focal subject")
KINDS = ("categorical", "continuous", "each")


@dataclass(slots=True)
class Row:
    """One row: what it labels, when, and the texts in its columns of labels."""

    line: int
    source: str
    frame: str = ""
    # Start and end in seconds, the same for a moment.
    span: tuple[float, float] | None = None
    person: str = ""
    split: str = ""
    texts: dict[str, str] = field(default_factory=dict)


def is_known(name: str) -> bool:
    """Whether a column of this name says whose or when its row is."""
    return name.lower() in _BY_NAME


def columns_of(table: Table) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """Columns by what they say, and name and kind (or "") of those with labels."""
    roles = _roles(table.header)
    for one, other in (("start", "end"), ("end", "start")):
        if one in roles and other not in roles:
            raise InputError(
                f"{table.path}: has a column {roles[one]!r}, but none for the {other} "
                "of intervals; add `start` and `end` (for moments: `time`)"
            )
    labels, taken = {}, set()
    for column in _label_columns(table.header, roles):
        name, _, kind = column.partition(":")
        if kind not in ("", *KINDS):
            raise InputError(
                f"{table.path}: column {column!r} asks for the kind {kind!r}; use "
                "NAME:categorical, NAME:continuous or NAME:each"
            )
        own = name.lower() in _NAMES or name in ("", "file")
        if own or name in taken or "/" in name:
            raise InputError(
                f"{table.path}: column {column!r} cannot be a label: its name is empty "
                "or taken, or holds a slash; rename it"
            )
        taken.add(name)
        labels[column] = name, kind
    return roles, labels


def rows_of(table: Table, roles: dict[str, str], labels: Iterable[str]) -> list[Row]:
    """The rows, with times in seconds; starts and stops of BORIS become intervals."""
    place = {name: k for k, name in enumerate(table.header)}
    said = {role: place[column] for role, column in roles.items()}
    own = {column: place[column] for column in labels}
    rows = [_row(table, said, own, line, cells) for line, cells in table.rows]
    state = _of_boris(table.header)
    if state:
        _check_subjects(table, rows)
    if state and "start" not in roles:
        rows = _paired(table, rows, table.column(state))
    return rows


def _roles(header: list[str]) -> dict[str, str]:
    """Columns by the role that they have."""
    lower = {name.lower(): name for name in header}
    lower.update({name: name for name in header if name in _BY_NAME})
    found = {
        role: next((lower[name] for name in names if name in lower), "")
        for role, names in _NAMES.items()
    }
    if _of_boris(header) and found["source"] == "Source":
        # BORIS lists all files of an observation there.
        others = (lower[name] for name in _NAMES["source"][1:] if name in lower)
        found["source"] = next(others, found["source"])
    return {role: column for role, column in found.items() if column}


def _of_boris(header: list[str]) -> str:
    """The column in which BORIS says START, STOP, STATE or POINT, or ""."""
    lower = {name.lower(): name for name in header}
    if not any(name.partition(":")[0] == "behavior" for name in lower):
        return ""
    return lower.get("behavior type") or lower.get("status", "")


def _label_columns(header: list[str], roles: dict[str, str]) -> list[str]:
    left = [name for name in header if name not in roles.values()]
    if _of_boris(header):
        names = [(name, name.lower().partition(":")[0]) for name in left]
        return [n for n, x in names if x == "behavior" or x.startswith("modifier")]
    left = [name for name in left if not _OF_ELAN.search(name)]
    if any(map(_OF_ELAN.search, header)):
        return [x for x in left if x.lower() not in ("file name", "file path")]
    return left


def _row(
    table: Table,
    roles: dict[str, int],
    labels: dict[str, int],
    line: int,
    cells: list[str],
) -> Row:
    """A row, with the places of its columns."""
    said = {role: cells[place] for role, place in roles.items()}
    # Only a source may be called NA.
    said = {r: t for r, t in said.items() if t and (r == "source" or not is_missing(t))}
    if "source" in roles and "source" not in said:
        raise table.refuse(line, "names no source; fill its cell in")
    times = [role for role in ("time", "start", "end") if role in said]
    if times and "frame" in said:
        raise table.refuse(line, "has a frame and a time; leave one of them blank")
    if len(times) > 1 and "time" in times:
        raise table.refuse(line, "has a time and an interval; leave one of them blank")
    if len(times) == 1 and "time" not in times:
        raise table.refuse(line, "has only one end of an interval; give both")
    span = None
    if times:
        columns = [table.header[roles[role]] for role in times]
        ends = [
            _seconds(table, line, column, said[role])
            for role, column in zip(times, columns, strict=True)
        ]
        span = ends[0], ends[-1]
    if span and span[1] < span[0]:
        raise table.refuse(
            line, f"ends at {span[1]:g} s, before its start at {span[0]:g} s"
        )
    return Row(
        line,
        said.get("source", ""),
        said.get("frame", ""),
        span,
        said.get("person", ""),
        said.get("split", ""),
        {c: cells[k] for c, k in labels.items() if not is_missing(cells[k])},
    )


def _seconds(table: Table, line: int, column: str, text: str) -> float:
    value = seconds(text, table.decimal_comma)
    if value is None:
        below = text.lstrip().startswith(("-", "−"))
        raise table.refuse(
            line,
            f"has {text[:40]!r} for {column}; "
            + ("times count from 0, the beginning" if below else "")
            + ("" if below else "give seconds, or hh:mm:ss.fff"),
        )
    return value / 1000 if column.lower().endswith("- msec") else value


def _paired(table: Table, rows: list[Row], states: list[str]) -> list[Row]:
    """Rows of BORIS's tabular events: a START and its STOP become one."""
    begun: dict[tuple[object, ...], Row] = {}
    result = []
    subjects = _subjects(table)
    for row, state, subject in zip(rows, states, subjects, strict=True):
        key = row.source, subject, *sorted(row.texts.items())
        if state.upper() == "START" and key not in begun:
            begun[key] = row
        elif state.upper() == "STOP" and key in begun:
            first = begun.pop(key)
            if first.span and row.span:
                first.span = first.span[0], row.span[1]
            result.append(first)
        elif state.upper() == "POINT":
            result.append(row)
        else:
            raise table.refuse(
                row.line, f"is a {state!r} without its other end; give both"
            )
    for row in begun.values():
        raise table.refuse(row.line, "is a START that has no STOP; add it")
    return result


def _subjects(table: Table) -> list[str]:
    column = next((name for name in table.header if name.lower() == "subject"), "")
    return table.column(column) if column else [""] * len(table.rows)


def _check_subjects(table: Table, rows: list[Row]) -> None:
    """Refuse labels of several subjects of a video that would become one's."""
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for row, subject in zip(rows, _subjects(table), strict=True):
        if subject.lower() not in _NO_SUBJECT:
            seen[row.source].add(subject)
        if len(seen[row.source]) > 1:
            first, second = sorted(seen[row.source])
            raise table.refuse(
                row.line,
                f"and others are about {first!r} and {second!r} in {row.source!r}; "
                "name them in a column `source` as the contact sheet does "
                "(VIDEO#person2), or keep one of them",
            )
