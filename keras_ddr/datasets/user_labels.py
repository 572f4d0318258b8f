"""Labels that users bring along in a table."""

from __future__ import annotations

import csv
import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from keras_ddr.arguments import check_choice
from keras_ddr.data.format import SPLITS
from keras_ddr.data.labels import Label
from keras_ddr.datasets.folders import id_of
from keras_ddr.errors import InputError
from keras_ddr.files import bounded_lines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import LabelValue, StrPath

    # Line of the file, source, frame (None for all), and what stands there.
    _Cell: TypeAlias = tuple[int, str, int | None, str]

_RESERVED = ("source", "frame", "person", "split")
# Words of programs for a missing number.
_MISSING = ("", "nan", "NaN", "NAN")
# Further ones, which may also be names of classes.
_MISSING_NUMBERS = {"na", "n/a", "#n/a", "null", "none", "-"}


@dataclass
class UserLabels:
    """Content of a table of labels."""

    info: dict[str, Label] = field(default_factory=dict)
    persons: dict[str, str] = field(default_factory=dict)  # by source
    splits: dict[str, str] = field(default_factory=dict)  # by source
    # Source -> label -> frame number, None for the whole source -> value.
    values: dict[str, dict[str, dict[int | None, LabelValue]]] = field(
        default_factory=dict
    )

    def last_frame(self, source: str) -> int:
        """The highest frame number that has a label, or -1."""
        labels = self.values.get(source, {}).values()
        numbers = (n for known in labels for n in known if n is not None)
        return max(numbers, default=-1)

    def of(
        self, source: str, numbers: NDArray[np.integer]
    ) -> tuple[dict[str, LabelValue], dict[str, NDArray[Any]]]:
        """Labels of a sequence of a source, and of its frames with these numbers."""
        of_sequence, of_frames = {}, {}
        for name, label in self.info.items():
            known = self.values.get(source, {}).get(name, {})
            whole = known.get(None)
            if label.scope == "sequence":
                of_sequence[name] = whole
            else:
                values = [known.get(int(number), whole) for number in numbers]
                of_frames[name] = label.encode(values)
        return of_sequence, of_frames


def read_labels(
    path: StrPath | None, sources: Mapping[str, Sequence[str]]
) -> UserLabels:
    """Read a table of labels, a CSV file in UTF-8 with a header; without one, none.

    Its column `source` is the path of a video or a folder below the root, or only its
    name, or its name without suffix, where that is clear. It may have `frame` (number
    of the frame in its source, from 0, or a picture's file name, which `sources` has;
    blank for a label of the whole source), `person` and `split`. Any other column is a
    label: continuous if it holds numbers, else, or where it is named
    `NAME:categorical`, categorical. Blank cells and NaN are missing values.
    """
    result = UserLabels()
    if path is None:
        return result
    path = Path(path)
    header, rows = _rows(path)
    columns = _columns(path, header)
    find = _finder(path, sources)
    unknown = []
    cells: dict[str, list[_Cell]] = {column: [] for column in columns}
    numbers = {
        source: {id_of(name): number for number, name in enumerate(names)}
        for source, names in sources.items()
    }
    for line, row in rows:
        source = find(row["source"], line)
        if source is None:
            unknown.append(row["source"])
            continue
        _add_person_and_split(result, path, line, source, row)
        frame = _frame(row.get("frame", ""), numbers[source], path, line)
        for column in columns:
            if row[column] not in _MISSING:
                cells[column].append((line, source, frame, row[column]))
    sides: dict[str, str] = {}
    for source, person in result.persons.items():
        split = result.splits.get(source)
        if split and sides.setdefault(person, split) != split:
            raise InputError(
                f"{path}: gives {person!r} the splits {sides[person]} and {split}; "
                "a person must be in one"
            )
    for column, (name, kind) in columns.items():
        _add(result, path, name, kind, cells[column])
    if rows and len(unknown) == len(rows):
        raise InputError(
            f"{path}: no row is for a source that is there ({unknown[0]!r} is first, "
            f"sources are named as {next(iter(sources), '')!r} is); give paths below "
            "the folder that is read"
        )
    if unknown:
        warnings.warn(
            f"{path}: {len(unknown)} rows are for sources that are not there "
            f"({unknown[0]!r} first); their labels are not used",
            stacklevel=2,
        )
    return result


def _add_person_and_split(
    result: UserLabels, path: Path, line: int, source: str, row: Mapping[str, str]
) -> None:
    for known, column in ((result.persons, "person"), (result.splits, "split")):
        value = row.get(column, "")
        if value and known.setdefault(source, value) != value:
            raise InputError(
                f"{path}: line {line} gives {source!r} the {column} {value!r}, "
                f"an earlier one {known[source]!r}; give it one"
            )
        if value and column == "split":
            check_choice(SPLITS, **{f"{path}: line {line}, split": value})


def _columns(path: Path, header: list[str]) -> dict[str, tuple[str, str]]:
    """Name and kind (or "") of the label in each column that holds one."""
    columns, taken = {}, set(_RESERVED)
    for column in header:
        name, _, kind = column.partition(":")
        if kind not in ("", "categorical", "continuous"):
            raise InputError(
                f"{path}: column {column!r} asks for the kind {kind!r}; use "
                "NAME:categorical or NAME:continuous"
            )
        if column in _RESERVED:
            continue
        if name in taken or name in ("", "file") or "/" in name:
            raise InputError(
                f"{path}: column {column!r} cannot be a label: its name is empty or "
                "taken, or holds a slash; rename it"
            )
        taken.add(name)
        columns[column] = name, kind
    return columns


def _rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The header, and (line, column -> cell) for every row that is not blank."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(bounded_lines(file, path))
            header = [name.strip() for name in next(reader, [])]
            if "source" not in header:
                apart = len(header) == 1 and any(sign in header[0] for sign in ";\t")
                raise InputError(
                    f"{path}: has no column `source` (found: "
                    f"{', '.join(header) or 'nothing'}); "
                    + (
                        "put commas between the columns"
                        if apart
                        else "add one with the path of each video or folder"
                    )
                )
            if len(set(header)) < len(header) or "" in header:
                raise InputError(
                    f"{path}: the header names a column twice or not at all; give "
                    "each its own name (pandas: to_csv(index=False))"
                )
            rows = []
            for cells in reader:
                cells = [cell.strip() for cell in cells]
                if not any(cells):
                    continue
                if len(cells) != len(header):
                    raise InputError(
                        f"{path}: line {reader.line_num} has {len(cells)} cells, but "
                        f"the header {len(header)}; quote cells that hold commas"
                    )
                row = dict(zip(header, cells, strict=True))
                if not row["source"]:
                    raise InputError(
                        f"{path}: line {reader.line_num} names no source; fill its "
                        "cell in"
                    )
                rows.append((reader.line_num, row))
            return header, rows
    except FileNotFoundError:
        raise InputError(f"{path}: no such file (--labels)") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: is not UTF-8 text ({error.reason}); save it as CSV UTF-8"
        ) from None
    except (OSError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read as a table ({reason})") from None


def _finder(path: Path, sources: Iterable[str]) -> Callable[[str, int], str | None]:
    """Find sources by path, or by less of it where that is clear."""
    places: dict[str, list[str]] = {}
    for source in sources:
        name = source.rsplit("/", 1)[-1]
        short = os.path.splitext(source)[0], os.path.splitext(name)[0]
        for key in {source, name, *short}:
            places.setdefault(id_of(key), []).append(source)
    known = {id_of(source): source for source in sources}

    def find(text: str, line: int) -> str | None:
        text = id_of(text.replace("\\", "/").removeprefix("./").rstrip("/"))
        found = [known[text]] if text in known else places.get(text, [])
        if len(found) > 1:
            raise InputError(
                f"{path}: line {line} says {text!r}, which could be {found[0]!r} or "
                f"{found[1]!r}; write the whole path"
            )
        return found[0] if found else None

    return find


def _frame(text: str, names: Mapping[str, int], path: Path, line: int) -> int | None:
    if not text:
        return None
    if id_of(text) in names:
        return names[id_of(text)]
    number = _number(text)
    if number is not None and 0 <= number < 1e9 and number == int(number):
        return int(number)
    raise InputError(
        f"{path}: line {line} has the frame {text[:40]!r}; give its number, from 0"
        + (", or the name of a picture that is there" if names else "")
    )


def _number(text: str) -> float | None:
    try:
        # Python reads 1_2 as twelve, tables do not.
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _add(
    result: UserLabels, path: Path, name: str, kind: str, cells: list[_Cell]
) -> None:
    """Add the label of a column."""
    pairs = [(cell, _number(cell[3])) for cell in cells]
    odd = {text.lower() for (*_, text), number in pairs if number is None}
    numbers = [pair for pair in pairs if pair[1] is not None]
    if kind != "categorical" and numbers and odd <= _MISSING_NUMBERS:
        pairs, odd = numbers, set()
    kind = kind or ("categorical" if odd else "continuous")
    of_frames = any(frame is not None for (_, _, frame, _), _ in pairs)
    classes = None
    if kind == "categorical":
        classes = sorted({text for (*_, text), _ in pairs})
    result.info[name] = Label("frame" if of_frames else "sequence", kind, classes)
    for (line, source, frame, text), number in pairs:
        value: LabelValue = text
        if kind == "continuous":
            if number is None:
                raise InputError(
                    f"{path}: line {line} has {text!r} for {name}, which is not a "
                    "number"
                )
            value = number if math.isfinite(number) else None
        known = result.values.setdefault(source, {}).setdefault(name, {})
        if known.setdefault(frame, value) != value:
            raise InputError(
                f"{path}: line {line} gives {name} of {source!r} a second value; give "
                "it one"
            )
