"""Tables of states, for other programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.files import check_output_folder, replacing, write_json, write_table
from keras_ddr.states.bouts import Bout
from keras_ddr.states.runs import person_of

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.states.report import StateReport
    from keras_ddr.typing import StrPath

__all__ = ["write_states"]


def write_states(
    folder: StrPath, store: FrameStore, report: StateReport, *, overwrite: bool = False
) -> list[Path]:
    """Write states.csv, bouts.csv and summary.json, each whole or not at all.

    states.csv has a row a frame: sequence, split, person, position (from 0),
    source_frame, time, state, and probability, that of the state. bouts.csv has a row
    a `Bout`; it is written where frames have an order.

    Args:
        folder: A new or empty folder, in one that exists.
        store: `FrameStore` that the report is of.
        report: `StateReport`.
        overwrite: Whether the folder may hold files; those of these names are replaced.

    Returns:
        Paths of the files.

    Raises:
        InputError: The folder cannot be used.
    """
    folder = check_output_folder(folder, overwrite)
    folder.mkdir(exist_ok=True)
    paths = [folder / "states.csv"]
    with replacing(paths[0]) as temporary:
        write_table(temporary, _frames(store, report))
    if report.unit:
        paths.append(folder / "bouts.csv")
        with replacing(paths[-1]) as temporary:
            write_table(temporary, _bouts(report))
    paths.append(folder / "summary.json")
    write_json(paths[-1], report.to_dict())
    return paths


def _frames(store: FrameStore, report: StateReport) -> Iterator[Sequence[object]]:
    yield "sequence split person position source_frame time state probability".split()
    names = report.states.names
    for sequence, found in zip(report.sequences, report.probabilities, strict=True):
        labels = store.frame_labels(sequence.index)
        about = [sequence.name, sequence.split, person_of(sequence)]
        for position, row in enumerate(found):
            time, state = float(labels["time"][position]), int(row.argmax())
            yield [
                *about,
                position,
                int(labels["source_frame"][position]),
                _seconds(time),
                names[state],
                f"{row[state]:.4f}",
            ]


def _bouts(report: StateReport) -> Iterator[list[object]]:
    header: list[object] = [field.name for field in dataclasses.fields(Bout)]
    yield header
    for bout in report.bouts:
        cells = dataclasses.asdict(bout)
        yield list(
            (cells | {n: _seconds(cells[n]) for n in ("start", "stop")}).values()
        )


def _seconds(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"
