"""Tracks in tables with a row for each frame and animal: your own, and SLEAP's .csv."""

from __future__ import annotations

import csv
import math
from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from typing import TextIO

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.files import bounded_lines
from keras_ddr.tracks.track import Points, Track, check_number, rows_of_points

_ADVICE = (
    "give a table of DeepLabCut (its first line begins with scorer), of SLEAP "
    "(track, frame_idx, …) or one with the columns frame (or time), x and y"
)
# Angles of whole recordings that stay within this are those of radians.
_TURN = 2 * math.pi + 0.01


def sources(path: str, file: TextIO) -> set[str] | None:
    """What stands in the column source of a table, or None where there is none."""
    table = csv.reader(bounded_lines(file, path))
    header = _header(table)
    if "source" not in header or header[:1] == ["scorer"]:
        return None
    place = header.index("source")
    return {cells[place].strip() for cells in table if len(cells) > place}


def read_csv(
    path: str, file: TextIO, how: Points, of: Collection[str] | None
) -> tuple[list[Track], str]:
    """The tracks of a table, of one video where `of` has its names; and a remark."""
    table = csv.reader(bounded_lines(file, path))
    header = _header(table)
    twice = {name for name in header if name and header.count(name) > 1}
    if twice:
        raise InputError(f"{path}: has the column {min(twice)!r} twice; keep one")
    if {"track", "frame_idx"} <= set(header):
        return _sleap(path, table, header, how), ""
    return _plain(path, table, header, how, of)


def _header(table: Iterator[list[str]]) -> list[str]:
    return [name.strip() for name in next(table, [])]


def _sleap(
    path: str, table: Iterator[list[str]], header: list[str], how: Points
) -> list[Track]:
    nodes = [name[:-2] for name in header if name.endswith(".x")]
    parts = how.chosen(path, [node for node in nodes if f"{node}.y" in header])
    columns = [f"{part}.{field}" for part in parts for field in ("x", "y", "score")]
    known = [name if name in header else "" for name in columns]
    rows = _rows(path, table, header, "track", "frame_idx", known)
    tracks = []
    for name, (keys, values) in rows.items():
        points = values.reshape(-1, len(parts), 3)
        points[..., 2][np.isnan(points[..., 2])] = 1
        of_points = rows_of_points(how.seen(points, 0), parts, how)
        tracks.append(Track.of_rows(path, name, keys, of_points, False))
    return tracks


def _plain(
    path: str,
    table: Iterator[list[str]],
    header: list[str],
    how: Points,
    of: Collection[str] | None,
) -> tuple[list[Track], str]:
    key = next((name for name in ("frame", "time") if name in header), "")
    if not key or not {"x", "y"} <= set(header):
        found = ", ".join(header)[:200] or "nothing"
        raise InputError(f"{path}: is no table of tracks (found: {found}); {_ADVICE}")
    if how.front:
        raise InputError(
            f"{path}: has no body parts, so front and back change nothing; its column "
            "angle says which way an animal looks"
        )
    angle = next((name for name in ("angle", "angle_rad") if name in header), "")
    length = "length" if "length" in header else ""
    likely = "likelihood" if "likelihood" in header else ""
    names = ["x", "y", angle, length, likely]
    wanted = (lambda source: source in of) if of is not None else None
    rows = _rows(path, table, header, "animal", key, names, wanted)
    tracks, widest, spread = [], 0.0, 0.0
    for name, (keys, values) in rows.items():
        if likely and how.min_likelihood is not None:
            values[~(values[:, 4] >= how.min_likelihood), :2] = np.nan
        if angle == "angle_rad":
            values[:, 2] = np.degrees(values[:, 2])
        elif angle:
            # Rows whose angle is not known cannot be turned like the others.
            known = values[np.isfinite(values[:, 2]), 2]
            widest = max(widest, float(np.abs(known).max(initial=0)))
            spread = max(spread, float(np.ptp(known)) if len(known) else 0.0)
        if angle:
            values[~np.isfinite(values[:, 2]), :2] = np.nan
        track = Track.of_rows(path, name, keys, values[:, :4], key == "time")
        tracks.append(track)
    remark = ""
    if angle == "angle" and widest <= _TURN and spread > 1:
        remark = (
            f"{path}: its column angle stays within ±{widest:.3g} and is taken for "
            "degrees; name it angle_rad if these are radians"
        )
    return tracks, remark


def _rows(
    path: str,
    table: Iterator[list[str]],
    header: list[str],
    animal: str,
    key: str,
    columns: list[str],
    wanted: Callable[[str], bool] | None = None,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Keys (N,) and values (N, columns), NaN for a column "", of each animal."""
    places = [header.index(name) if name else -1 for name in columns]
    of, at = header.index(key), header.index(animal) if animal in header else -1
    source = header.index("source") if wanted else -1
    keys: dict[str, array[float]] = defaultdict(lambda: array("d"))
    values: dict[str, array[float]] = defaultdict(lambda: array("d"))
    total = 0
    for line, cells in enumerate(table, start=2):
        if not any(cells):
            continue
        if len(cells) != len(header):
            raise InputError(
                f"{path}: line {line} has {len(cells)} cells, but the header "
                f"{len(header)}; the file is cut off or was edited: export it again"
            )
        if wanted and not wanted(cells[source].strip()):
            continue
        name = " ".join(cells[at].split()) if at >= 0 else ""
        number = _number(path, line, key, cells[of])
        whole = key == "time" or number == math.floor(number)
        if not 0 <= number < 1e9 or not whole:
            raise InputError(
                f"{path}: line {line} has the {key} {cells[of]!r}; frames are counted "
                "0, 1, 2, …, and times are seconds from the beginning of the video"
            )
        keys[name].append(number)
        values[name].extend(
            _number(path, line, columns[k], cells[place]) if place >= 0 else math.nan
            for k, place in enumerate(places)
        )
        total += len(places)
        check_number(path, total)
    return {
        name: (np.array(keys[name]), np.array(values[name]).reshape(-1, len(places)))
        for name in keys
    }


def _number(path: str, line: int, column: str, cell: str) -> float:
    try:
        return float(cell) if cell.strip() else math.nan
    except ValueError:
        raise InputError(
            f"{path}: line {line} has {cell[:40]!r} for {column}, which is not a "
            "number; write numbers with a point, and leave cells blank where there is "
            "none"
        ) from None
