"""Tables as spreadsheets and coding programs save them."""

from __future__ import annotations

import codecs
import csv
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from keras_ddr.errors import InputError
from keras_ddr.files import bounded_lines

_DELIMITERS = ",;\t"
# Lines that BORIS writes above the header at most.
_MOST_ABOVE = 200


@dataclass(frozen=True)
class Table:
    """Cells of a table, without blank rows and blank columns at its end."""

    path: Path
    header: list[str]
    rows: list[tuple[int, list[str]]]  # line of the file, cells
    decimal_comma: bool  # whether a comma may stand for a decimal point

    def column(self, name: str) -> list[str]:
        """Cells of a column."""
        place = self.header.index(name)
        return [cells[place] for _, cells in self.rows]

    def refuse(self, line: int, said: str) -> InputError:
        """The error about a line."""
        return InputError(f"{self.path}: line {line} {said}")


def read_table(path: Path, known: Callable[[str], bool]) -> Table:
    """Read a table with commas, semicolons or tabs between its columns.

    UTF-8 and, with a byte order mark, UTF-16; `sep=;` above the header, remarks ("#")
    and what BORIS writes there are passed over. The header is the row with a column
    that is `known`.
    """
    try:
        with open(path, newline="", encoding=_encoding(path)) as file:
            return _read(path, file, known)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeError as error:
        reason = getattr(error, "reason", error)
        raise InputError(
            f"{path}: is not UTF-8 text ({reason}); save it as CSV UTF-8"
        ) from None
    except (OSError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read as a table ({reason})") from None


def _encoding(path: Path) -> str:
    with open(path, "rb") as file:
        start = file.read(2)
    utf16 = start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return "utf-16" if utf16 else "utf-8-sig"


def _read(path: Path, file: TextIO, known: Callable[[str], bool]) -> Table:
    lines = bounded_lines(file, path)
    above, header, delimiter = _header(lines, known)
    while header and not header[-1]:
        header.pop()
    if not any(map(known, header)):
        raise InputError(
            f"{path}: has no column `source` (found: {', '.join(header) or 'nothing'}"
            "); add one with the path of each video or folder"
        )
    if len(set(header)) < len(header) or "" in header:
        raise InputError(
            f"{path}: the header names a column twice or not at all; give each its "
            "own name (pandas: to_csv(index=False))"
        )
    table = Table(path, header, [], delimiter != ",")
    reader = csv.reader(lines, delimiter=delimiter)
    for row in reader:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        line = above + reader.line_num
        while len(cells) > len(header) and not cells[-1]:
            cells.pop()
        if len(cells) != len(header):
            raise table.refuse(
                line,
                f"has {len(cells)} cells, but the header {len(header)}; quote cells "
                "that hold commas",
            )
        table.rows.append((line, cells))
    return table


def _header(
    lines: Iterator[str], known: Callable[[str], bool]
) -> tuple[int, list[str], str]:
    """Lines read, cells of the header, and the delimiter."""
    delimiters, best, of_boris = _DELIMITERS, [""], False
    number = 0
    for number, line in enumerate(itertools.islice(lines, _MOST_ABOVE), start=1):
        text = line.strip()
        if number == 1 and text.lower().startswith("sep=") and len(text) in (4, 5):
            delimiters = text[4:] or "\t"
            continue
        if not text.strip("\",;'") or text.lstrip('"').startswith("#"):
            continue
        rows = [(_cells(line, delimiter), delimiter) for delimiter in delimiters]
        found = [(cells, sign) for cells, sign in rows if any(map(known, cells))]
        if found:
            return number, *max(found, key=lambda entry: len(entry[0]))
        best = best if of_boris else max((cells for cells, _ in rows), key=len)
        of_boris = of_boris or best[0].lower() == "observation id"
        if not of_boris:
            break
    return number, best, ","


def _cells(line: str, delimiter: str) -> list[str]:
    row: Iterable[str] = next(csv.reader([line], delimiter=delimiter), [])
    return [cell.strip() for cell in row]
