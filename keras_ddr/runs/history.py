"""history.csv: one row an epoch."""

import csv
import math
import pathlib
from collections.abc import Mapping
from typing import Any, TypeAlias

from keras_ddr import manifest
from keras_ddr.errors import InputError
from keras_ddr.files import bounded_lines

__all__ = ["Row", "best_row", "columns", "read_history", "write_history"]

Row: TypeAlias = dict[str, Any]
"""Numbers of an epoch by name, or `None` for those that were not measured."""

_FIRST = ("epoch", "step")


def columns(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Columns of history.csv.

    Args:
        parts: `SequenceModel.history_keys`.

    Returns:
        Names: epochs and steps count from 1; losses are means over the epoch; those
        with `val_` are empty where there is no val; then the learning rate, and the
        seconds of the epoch with its validation.
    """
    val = tuple(f"val_{part}" for part in parts)
    return (*_FIRST, *parts, *val, "learning_rate", "seconds")


def read_history(file: pathlib.Path) -> list[Row]:
    """Rows of a history.csv.

    Args:
        file: `pathlib.Path`; it may be absent.

    Returns:
        List of dicts with the keys `columns`; "epoch" and "step" are integers, the
        others floats, or `None` where there was no validation.

    Raises:
        InputError: It is damaged.
    """
    if not file.exists():
        return []
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            reader = csv.DictReader(bounded_lines(lines, file))
            if not {*_FIRST, "loss"} <= set(reader.fieldnames or ()):
                raise ValueError("it has no header")
            rows = [_parse(row) for row in reader]
        if [row["epoch"] for row in rows] != list(range(1, len(rows) + 1)):
            raise ValueError("it lacks epochs")
        return rows
    except InputError:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        OverflowError,
        csv.Error,
    ) as error:
        raise InputError(f"{file} is damaged ({error}); restore or remove it") from None


def write_history(run: pathlib.Path, rows: list[Row], names: tuple[str, ...]) -> None:
    """Write history.csv of a run with the columns `names`, whole or not at all."""
    with manifest.replacing(run, "history.csv") as temporary:
        with temporary.open("w", newline="", encoding="utf-8") as lines:
            writer = csv.DictWriter(lines, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(as_numbers(row) for row in rows)


def best_row(rows: list[Row]) -> Row | None:
    """The row with the smallest `val_loss`, or `None` where there is none."""
    rows = [row for row in rows if math.isfinite(row.get("val_loss") or math.nan)]
    return min(rows, key=lambda row: row["val_loss"], default=None)


def as_numbers(row: Row) -> Row:
    """The row with whole epochs and steps, also where JSON made floats of them."""
    return {**row, **{name: int(row[name]) for name in _FIRST}}


def _parse(row: Mapping[str, str]) -> Row:
    if None in row or None in row.values():
        raise ValueError("a row has more or fewer cells than the header")
    parsed = {name: float(row[name]) if row[name] else None for name in row}
    if parsed["loss"] is None:
        raise ValueError("an epoch without a loss")
    return {**parsed, **{name: int(row[name]) for name in _FIRST}}
