"""Tracks that DeepLabCut writes: tables of points, as .csv and as pandas' .h5."""

from __future__ import annotations

import csv
import io
import math
import operator
import pickle
from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.files import bounded_lines
from keras_ddr.tracks.track import Points, Track, check_number, rows_of_points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    # Names above a column: (individual,) body part, coordinate.
    _Header = Sequence[tuple[str, ...]]

USUAL_LIKELIHOOD = 0.6  # DeepLabCut's own pcutoff
_LEVELS = ("scorer", "individuals", "bodyparts", "coords")
# The body parts that belong to no animal, such as corners of the arena.
_NOBODY = "single"
_SLAB = 1 << 14  # rows that are read at once
_ADVICE = "write it as .csv (pandas: read_hdf, then to_csv)"


class _Columns:
    """Where in a table the points are that are needed."""

    def __init__(self, path: str, header: _Header, how: Points) -> None:
        self.path, self.how = path, how
        places: dict[tuple[str, ...], int] = {}
        for number, names in enumerate(header):
            if names in places:
                raise InputError(
                    f"{path}: has the column {' '.join(names)} twice; keep one scorer"
                )
            places[names] = number
        if any(names[-1] == "z" for names in places):
            raise InputError(
                f"{path}: has points in space (x, y, z); give the points in the "
                "picture of one camera"
            )
        animals = list(dict.fromkeys(names[:-2] for names in places))
        if len(animals) > 1:
            animals = [animal for animal in animals if animal != (_NOBODY,)]
        of_animals = [names for names in places if names[:-2] in animals]
        parts = list(dict.fromkeys(names[-2] for names in of_animals))
        self.parts = how.chosen(path, parts)
        self.animals = animals
        self.found = np.array(
            [
                [
                    [places.get((*animal, part, c), -1) for c in ("x", "y")]
                    + [places.get((*animal, part, "likelihood"), -1)]
                    for part in self.parts
                ]
                for animal in animals
            ]
        )
        if not (self.found[..., :2] >= 0).all(axis=2).any():
            raise InputError(f"{path}: has no columns x and y; {_ADVICE}")
        self.used = np.unique(self.found[self.found >= 0])

    def tracks(
        self, numbers: NDArray[np.int64], values: NDArray[np.float32]
    ) -> list[Track]:
        """The tracks of rows of the used columns (N, used)."""
        one = np.ones((len(values), 1), np.float32)
        values = np.hstack([values, one * np.nan, one])
        tracks = []
        for animal, found in zip(self.animals, self.found, strict=True):
            columns = np.searchsorted(self.used, found)
            columns[found < 0] = len(self.used)
            # Where nothing says how likely a point is, it counts.
            columns[:, 2][found[:, 2] < 0] = len(self.used) + 1
            points = self.how.seen(values[:, columns], USUAL_LIKELIHOOD)
            rows = rows_of_points(points, self.parts, self.how)
            name = animal[0] if animal else ""
            tracks.append(Track.of_rows(self.path, name, numbers, rows, False))
        return tracks


def read_csv(path: str, file: TextIO, how: Points) -> list[Track]:
    """The tracks of a table with three or four lines of header."""
    table = csv.reader(bounded_lines(file, path, 1 << 22))
    columns, width = _csv_columns(path, table, how)
    pick = operator.itemgetter(*columns.used + 1)
    numbers, values = array("q"), array("f")
    for cells in table:
        if not cells:
            continue
        if len(cells) != width:
            raise InputError(
                f"{path}: line {table.line_num} has {len(cells)} cells, but the header "
                f"{width}; the file is cut off or was edited: export it again"
            )
        try:
            numbers.append(_frame_number(cells[0]))
            values.extend([float(cell) if cell else math.nan for cell in pick(cells)])
        except ValueError as error:
            raise InputError(
                f"{path}: line {table.line_num} begins with {cells[0][:40]!r} and "
                f"holds what is no number ({error}); a line is a frame of a video, its "
                "number first"
            ) from None
        check_number(path, len(values))
    taken = np.frombuffer(values, np.float32).reshape(len(numbers), -1)
    return columns.tracks(np.frombuffer(numbers, np.int64), taken)


def _csv_columns(
    path: str, table: Iterator[list[str]], how: Points
) -> tuple[_Columns, int]:
    """The columns of a csv by its header lines, and their number with the first."""
    lines: dict[str, list[str]] = {}
    for cells in table:
        level = cells[0].strip() if cells else ""
        if level not in _LEVELS or level in lines:
            raise InputError(
                f"{path}: a line of the header begins with {level[:40]!r}; a table of "
                "DeepLabCut has the lines scorer, (individuals,) bodyparts and coords"
            )
        lines[level] = cells[1:]
        if level == "coords":
            break
    if not {"bodyparts", "coords"} <= set(lines):
        raise InputError(
            f"{path}: ends in its header, which should have the lines scorer, "
            "(individuals,) bodyparts and coords; export it again"
        )
    levels = [lines[level] for level in _LEVELS[1:] if level in lines]
    if len(set(map(len, levels))) > 1:
        raise InputError(
            f"{path}: the lines of the header have different numbers of cells; export "
            "it again"
        )
    return _Columns(path, list(zip(*levels, strict=True)), how), 1 + len(levels[0])


def _frame_number(text: str) -> int:
    number = float(text)
    if number != int(number) or not 0 <= number < 1e9:
        raise ValueError(f"frame {text}")
    return int(number)


def read_h5(path: str, file: Any, how: Points) -> list[Track]:
    """The tracks of a table that pandas wrote, of either of its two layouts."""
    kinds = {"frame": _fixed, "frame_table": _table}
    for group in file.values():
        kind = group.attrs.get("pandas_type", b"")
        kind = kind.decode() if isinstance(kind, bytes) else str(kind)
        if kind in kinds:
            numbers, blocks = kinds[kind](path, group)
            return _of_blocks(path, numbers, blocks, how)
    raise InputError(
        f"{path}: holds no tracks (found {', '.join(file) or 'nothing'}); give a file "
        "of DeepLabCut (VIDEODLC….h5) or SLEAP (analysis.h5)"
    )


class _Block:
    """Some columns of a table: their names, and their rows when asked for."""

    def __init__(self, header: Any, data: Any, field: str | None = None) -> None:
        self.header = [tuple(map(str, names)) for names in header]
        self.data, self.field = data, field

    def rows(self, part: slice) -> NDArray[Any]:
        rows = self.data[part]
        return rows if self.field is None else rows[self.field].reshape(len(rows), -1)


def _table(path: str, group: Any) -> tuple[NDArray[Any], list[_Block]]:
    table = group["table"]
    check_number(path, len(table))
    blocks = [
        _Block(_unpickled(table.attrs[f"{field}_kind"]), table, field)
        for field in table.dtype.names
        if field.startswith("values_block_")
    ]
    return table["index"], blocks


def _fixed(path: str, group: Any) -> tuple[NDArray[Any], list[_Block]]:
    blocks = []
    for data in group.values():
        if data.ndim == 1:  # names, their order and the numbers of the rows
            check_number(path, len(data))
    for k in range(int(group.attrs["nblocks"])):
        name = f"block{k}_items"
        levels = []
        for level in range(int(group.attrs[f"{name}_nlevels"])):
            names = [text.decode() for text in group[f"{name}_level{level}"][:]]
            labels = group[f"{name}_label{level}"][:]
            levels.append([names[label] for label in labels])
        blocks.append(_Block(zip(*levels, strict=True), group[f"block{k}_values"]))
    return group["axis1"][:], blocks


def _of_blocks(
    path: str, numbers: NDArray[Any], blocks: list[_Block], how: Points
) -> list[Track]:
    # A scorer stands above all columns.
    header = [names[1:] for block in blocks for names in block.header]
    if any(len(names) not in (2, 3) for names in header) or not header:
        raise InputError(
            f"{path}: its columns have no body parts and coordinates above them; give "
            "the file that DeepLabCut wrote"
        )
    if numbers.dtype.kind not in "iu" or (len(numbers) and numbers.min() < 0):
        raise InputError(
            f"{path}: its rows have no frame numbers, so it is no table of a video; "
            "give the file that DeepLabCut wrote for the video"
        )
    columns = _Columns(path, header, how)
    check_number(path, len(numbers) * len(columns.used))
    values = np.empty((len(numbers), len(columns.used)), np.float32)
    first = 0
    for block in blocks:
        last = first + len(block.header)
        mine = np.flatnonzero((columns.used >= first) & (columns.used < last))
        for start in range(0, len(numbers) if len(mine) else 0, _SLAB):
            part = slice(start, start + _SLAB)
            values[part, mine] = block.rows(part)[:, columns.used[mine] - first]
        first = last
    return columns.tracks(numbers.astype(np.int64), values)


class _Plain(pickle.Unpickler):
    """Reads lists, tuples, texts and numbers, and nothing that could be called."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name}")


def _unpickled(text: Any) -> Any:
    return _Plain(io.BytesIO(bytes(text))).load()
