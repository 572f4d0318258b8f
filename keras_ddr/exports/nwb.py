"""Neurodata Without Borders: codes and intervals of a recording in one .nwb file."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.exports.intervals import Recording, Tier, Timeline
from keras_ddr.version import __version__

if TYPE_CHECKING:
    from keras_ddr.codes import Codes
    from keras_ddr.typing import StrPath

# The format demands a date, and nothing here knows one.
_NO_DATE = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def pynwb_for(path: StrPath) -> ModuleType:
    """The package PyNWB, or one line that says how to get it."""
    try:
        import ndx_ethogram
        import pynwb
    except ImportError:
        raise InputError(
            f"{path}: needs the packages pynwb and ndx-ethogram; pip install "
            '"keras_ddr[nwb]"'
        ) from None
    del ndx_ethogram  # its types are known to PyNWB from here on
    return pynwb


def write_nwb(path: Path, recordings: list[Recording], beside: Path) -> None:
    """Write the intervals of one recording: bouts of states, events of moments."""
    pynwb = pynwb_for(path)
    [recording] = recordings
    file, module = _new(pynwb, recording.name)
    for tier in recording.tiers():
        if tier.moments:
            _add_moments(file, tier)
        else:
            module.add(_bouts(tier))
    _write(pynwb, path, file)


def write_codes_nwb(
    path: Path, recording: str, encoded: Iterable[tuple[Timeline, Codes]]
) -> None:
    """Write the codes of the sequences of one recording.

    Each has a series of z and one of z̃ in the processing module "behavior"; f is a
    table in "analysis".
    """
    pynwb = pynwb_for(path)
    file, module = _new(pynwb, recording)
    rows = []
    for timeline, codes in encoded:
        for kind, values, unit, meaning in (
            ("z", codes.dynamic.mean, "a.u.", "Dynamic code z, a component a column"),
            (
                "z_standardized",
                codes.standardized,
                "standard scores",
                "z as a standard score under p(z | f)",
            ),
        ):
            series = pynwb.TimeSeries(
                name=_name(f"{timeline.name} {kind}"),
                description=f"{meaning}, of the sequence {timeline.name}",
                data=np.asarray(values),
                unit=unit,
                timestamps=timeline.starts,
            )
            module.add(series)
        rows.append((timeline, codes.static))
    table = pynwb.core.DynamicTable(
        name="f", description="Static code f, one vector a sequence"
    )
    for name, meaning in (
        ("sequence", "Name of the sequence"),
        ("subject", "Who is seen, where that is known"),
        ("mean", "Mean of f"),
        ("variance", "Variance of f"),
    ):
        table.add_column(name=name, description=meaning)
    for timeline, static in rows:
        table.add_row(
            sequence=timeline.name,
            subject=timeline.subject,
            mean=np.asarray(static.mean),
            variance=np.asarray(static.variance),
        )
    file.add_analysis(table)
    _write(pynwb, path, file)


def _new(pynwb: ModuleType, recording: str) -> tuple[Any, Any]:
    """A file and its module "behavior"."""
    file = pynwb.NWBFile(
        session_description=f"{recording}, by keras_ddr {__version__}. Times count "
        "from the beginning of this recording, whose date is not known.",
        identifier=recording,
        session_start_time=_NO_DATE,
    )
    module = file.create_processing_module(
        "behavior", "Codes of frames, and what was found in them"
    )
    return file, module


def _add_moments(file: Any, tier: Tier) -> None:
    events = file.create_events_table(
        name=_name(tier.name),
        description=f"Moments: {tier.name}",
        source_description=f"keras_ddr {__version__}",
    )
    for interval in tier.intervals:
        events.add_row(timestamp=interval.start, annotation=interval.name)


def _bouts(tier: Tier) -> Any:
    from ndx_ethogram import EthogramBouts

    bouts = EthogramBouts(
        name=_name(tier.name),
        description=f"Intervals: {tier.name}",
        labeling_method="automated",
        source_software=f"keras_ddr {__version__}",
    )
    for interval in tier.intervals:
        bouts.add_row(
            start_time=interval.start, stop_time=interval.stop, label=interval.name
        )
    return bouts


def _write(pynwb: ModuleType, path: Path, file: Any) -> None:
    with pynwb.NWBHDF5IO(path, "w") as output:
        output.write(file)


def _name(text: str) -> str:
    """A name without what separates names in the format."""
    return text.replace("/", "_").replace(":", "_")
