"""Tables of numbers as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_ddr.typing import Interval

__all__ = ["aligned", "number", "numbers"]


def number(
    value: float | None, interval: Interval | None = None, digits: int = 3
) -> str:
    """A number with half of its 95 % interval, as in "0.812 ±.031"; "" for `None`."""
    if value is None:
        return ""
    text = f"{value:.{digits}f}"
    if interval is None:
        return text
    half = f"{(interval[1] - interval[0]) / 2:.{digits}f}"
    return f"{text} ±{half.removeprefix('0')}"


def numbers(values: Iterable[float | None]) -> list[str]:
    """Several numbers without intervals."""
    return [number(value) for value in values]


def aligned(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table.

    Args:
        header: Names of the columns. The first one holds text, and so does the second
            if it is named "measure"; numbers stand at the right of theirs.
        rows: Cells, as many as there are columns.

    Returns:
        List of lines, with a rule below the header.
    """
    table = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    texts = 2 if header[1] == "measure" else 1
    lines = []
    for row in table:
        cells = [
            cell.ljust(width) if i < texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return lines
