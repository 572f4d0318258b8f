"""Labels that users bring along in a table."""

import csv
import math
import os
import warnings
from pathlib import Path

import numpy as np

from keras_ddr.data.store import SPLITS
from keras_ddr.datasets.layouts import id_of
from keras_ddr.errors import InputError
from keras_ddr.files import bounded_lines

__all__ = ["UserLabels", "read_labels"]

_RESERVED = ("source", "frame", "person", "split")
# What programs write for a number that is missing.
_MISSING = ("", "nan", "NaN", "NAN")


class UserLabels:
    """What a table says of sources and their frames.

    Attributes:
        info: label name -> description, as `write_store` takes it.
    """

    def __init__(self):
        self.info = {}
        self._persons = {}
        self._splits = {}
        self._sequence = {}  # source -> {column: value}
        self._frames = {}  # source -> {column: {frame number: value}}

    def person(self, source):
        """Who is shown in a source, or ""."""
        return self._persons.get(source, "")

    def split(self, source):
        """Split that the table asks for, or ""."""
        return self._splits.get(source, "")

    def last_frame(self, source):
        """The highest frame number that has a label, or -1."""
        frames = self._frames.get(source, {}).values()
        return max((max(known) for known in frames), default=-1)

    def of(self, source, numbers):
        """Labels of a sequence.

        Args:
            source: name of the source.
            numbers: (T,) frame numbers within it.

        Returns:
            Dict of sequence labels, and dict of frame labels (T,).
        """
        whole = self._sequence.get(source, {})
        frames = self._frames.get(source, {})
        of_sequence, of_frames = {}, {}
        for name, info in self.info.items():
            if info["scope"] == "sequence":
                of_sequence[name] = whole.get(name)
                continue
            known = frames.get(name, {})
            values = [known.get(int(n), whole.get(name)) for n in numbers]
            if info["kind"] == "categorical":
                place = {value: k for k, value in enumerate(info["classes"])}
                of_frames[name] = np.array([place.get(v, -1) for v in values], np.int32)
            else:
                of_frames[name] = np.array(
                    [math.nan if v is None else v for v in values], np.float32
                )
        return of_sequence, of_frames


def read_labels(path, sources, frame_names=None):
    """Read a table of labels.

    The table has the column `source` (the path of a video or a folder below the root,
    or only its name, or its name without suffix, where that is clear), may have `frame`
    (number of the frame in its source, from 0, or a picture's file name; blank for a
    label of the whole source), `person` and `split`, and has any columns more, one
    label each. A column of numbers is a continuous label; any other one is categorical,
    and so is one named `NAME:categorical`. Blank cells and NaN are missing values.

    Args:
        path: CSV file with a header, in UTF-8.
        sources: names of the sources.
        frame_names: source -> dict file name -> frame number, for pictures.

    Returns:
        `UserLabels`.

    Raises:
        InputError: naming file and line.

    Warns:
        UserWarning: once for all rows whose source is not there.
    """
    path = Path(path)
    header, rows = _rows(path)
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
    result = UserLabels()
    find = _finder(sources)
    unknown, cells = [], {column: [] for column in columns}
    plain_names = {
        source: {id_of(name): place for name, place in names.items()}
        for source, names in (frame_names or {}).items()
    }
    for line, row in rows:
        source = find(row["source"], path, line)
        if source is None:
            unknown.append(row["source"])
            continue
        for known, column in ((result._persons, "person"), (result._splits, "split")):
            value = row.get(column, "")
            if value and known.setdefault(source, value) != value:
                raise InputError(
                    f"{path}: line {line} gives {source!r} the {column} {value!r}, "
                    f"an earlier one {known[source]!r}; give it one"
                )
            if value and column == "split" and value not in SPLITS:
                raise InputError(
                    f"{path}: line {line} has the split {value!r}; use one of "
                    f"{', '.join(SPLITS)}"
                )
        frame = _frame(row.get("frame", ""), plain_names.get(source, {}), path, line)
        for column in columns:
            value = row[column]
            if value not in _MISSING:
                cells[column].append((line, source, frame, value))
    sides = {}
    for source, person in result._persons.items():
        split = result._splits.get(source)
        if split and sides.setdefault(person, split) != split:
            raise InputError(
                f"{path}: gives {person!r} the splits {sides[person]} and {split}; a "
                "person must be in one"
            )
    for column, (name, kind) in columns.items():
        _add(result, path, name, kind, cells[column])
    if unknown:
        warnings.warn(
            f"{path}: {len(unknown)} rows are for sources that are not there "
            f"({unknown[0]!r} first); their labels are not used",
            stacklevel=2,
        )
    return result


def _rows(path):
    """The header, and (line, column -> cell) for every row that is not blank."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(bounded_lines(file, path))
            header = [name.strip() for name in next(reader, [])]
            if "source" not in header:
                raise InputError(
                    f"{path}: has no column `source` (found: "
                    f"{', '.join(header) or 'nothing'}); add one with the path of each "
                    "video or folder"
                )
            if len(set(header)) < len(header) or "" in header:
                raise InputError(
                    f"{path}: the header names a column twice or not at all; give "
                    "each its own name"
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


def _finder(sources):
    """Find sources by path, or by less of it where that is clear."""
    places = {}
    for source in sources:
        name = source.rsplit("/", 1)[-1]
        for key in {
            source,
            os.path.splitext(source)[0],
            name,
            os.path.splitext(name)[0],
        }:
            places.setdefault(id_of(key), []).append(source)
    known = {id_of(source): source for source in sources}

    def find(text, path, line):
        text = id_of(text.replace("\\", "/").removeprefix("./").rstrip("/"))
        if text in known:
            return known[text]
        found = places.get(text, [])
        if len(found) > 1:
            raise InputError(
                f"{path}: line {line} says {text!r}, which could be {found[0]!r} or "
                f"{found[1]!r}; write the whole path"
            )
        return found[0] if found else None

    return find


def _frame(text, names, path, line):
    if not text:
        return None
    if id_of(text) in names:
        return names[id_of(text)]
    try:
        number = float(text)
        if number == int(number) and 0 <= number < 1e9:
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise InputError(
        f"{path}: line {line} has the frame {text[:40]!r}; give its number, from 0"
        + (", or the name of a picture that is there" if names else "")
    )


def _add(result, path, name, kind, cells):
    def number(text):
        try:
            # Python reads 1_2 as twelve, tables do not.
            return None if "_" in text else float(text)
        except ValueError:
            return None

    numbers = [number(value) for *_, value in cells]
    if not kind:
        kind = "categorical" if None in numbers else "continuous"
    if kind == "continuous":
        values = numbers
        if None in numbers:
            line, _, _, value = cells[numbers.index(None)]
            raise InputError(
                f"{path}: line {line} has {value!r} for {name}, which is not a number"
            )
        values = [None if math.isnan(v) or math.isinf(v) else v for v in numbers]
    else:
        values = [value for *_, value in cells]
    of_frames = any(frame is not None for _, _, frame, _ in cells)
    info = {"scope": "frame" if of_frames else "sequence", "kind": kind}
    if kind == "categorical":
        info["classes"] = sorted(set(values))
    result.info[name] = info
    for (line, source, frame, _), value in zip(cells, values, strict=True):
        if frame is None:
            place = result._sequence.setdefault(source, {})
            key = name
        else:
            place = result._frames.setdefault(source, {}).setdefault(name, {})
            key = frame
        if place.setdefault(key, value) != value:
            raise InputError(
                f"{path}: line {line} gives {name} of {source!r} a second value; give "
                "it one"
            )
