"""history.csv: one row an epoch."""

import csv
import math
import pathlib
from collections.abc import Mapping
from typing import Any, TypeAlias

from keras_ddr import manifest
from keras_ddr.errors import InputError
from keras_ddr.files import read_table

Row: TypeAlias = dict[str, Any]
"""Numbers of an epoch by name, or `None` for those that were not measured."""

_FIRST = ("epoch", "step")
_REMEDY = "restore or remove it"


def columns(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Columns of history.csv, with `SequenceModel.history_keys` in the middle."""
    # Losses are means over the epoch; those with val_ are empty where there is no val.
    val = tuple(f"val_{part}" for part in parts)
    return (*_FIRST, *parts, *val, "learning_rate", "seconds")


def read_history(file: pathlib.Path) -> list[Row]:
    """Rows of a history.csv, none where it is absent; damage is an `InputError`."""
    if not file.exists():
        return []
    rows: list[Row] = []
    for place, cells in read_table(file, (*_FIRST, "loss"), _REMEDY):
        try:
            rows.append(_parse(cells, len(rows) + 1))
        except (ValueError, OverflowError) as error:
            raise InputError(f"{place} is damaged ({error}); {_REMEDY}") from None
    return rows


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


def _parse(row: Mapping[str, str], epoch: int) -> Row:
    parsed = {name: float(row[name]) if row[name] else None for name in row}
    first = {name: int(row[name]) for name in _FIRST}
    if parsed["loss"] is None or first["epoch"] != epoch:
        raise ValueError("an epoch or its loss is missing")
    return {**parsed, **first}
