"""history.csv: one row an epoch."""

import csv
import math
import pathlib
from collections.abc import Mapping
from typing import Any, TypeAlias

from keras_ddr.errors import InputError
from keras_ddr.files import bounded_lines, replacing

__all__ = ["COLUMNS", "best_row", "read_history", "write_history"]

# Of each name in COLUMNS a number, or `None`.
Row: TypeAlias = dict[str, Any]

_PARTS = ("loss", "reconstruction_loss", "kl_static", "kl_dynamic")
COLUMNS = (
    "epoch",
    "step",
    *_PARTS,
    *(f"val_{part}" for part in _PARTS),
    "learning_rate",
    "seconds",
)
"""Columns of history.csv: epochs and steps count from 1; losses in nats a set of N
frames, means over the epoch; `val_` columns are empty where there is no val; seconds of
the epoch with its validation."""


def read_history(file: pathlib.Path) -> list[Row]:
    """Rows of a history.csv.

    Args:
        file: `pathlib.Path`; it may be absent.

    Returns:
        List of dicts with the keys `COLUMNS`; "epoch" and "step" are integers, the
        others floats, or `None` where there was no validation.

    Raises:
        InputError: It is damaged.
    """
    if not file.is_file():
        return []
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            rows = csv.DictReader(bounded_lines(lines, file))
            return [_parse(row) for row in rows]
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, OverflowError, csv.Error) as error:
        raise InputError(f"{file} is damaged ({error}); restore or remove it") from None


def write_history(file: pathlib.Path, rows: list[Row]) -> None:
    """Write rows as `read_history` returns them, whole or not at all."""
    with replacing(file) as temporary:
        with temporary.open("w", newline="", encoding="utf-8") as lines:
            writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def best_row(rows: list[Row]) -> Row | None:
    """The row with the smallest `val_loss`, or `None` where there is none."""
    rows = [row for row in rows if math.isfinite(row["val_loss"] or math.nan)]
    return min(rows, key=lambda row: row["val_loss"], default=None)


def _parse(row: Mapping[str, str]) -> Row:
    if None in row or None in row.values():
        raise ValueError("a row has more or fewer cells than the header")
    parsed = {name: float(row[name]) if row[name] else None for name in COLUMNS}
    if parsed["loss"] is None:
        raise ValueError("an epoch without a loss")
    return {**parsed, "epoch": int(row["epoch"]), "step": int(row["step"])}
