"""BORIS: a project that it opens, and a table like its aggregated events."""

from __future__ import annotations

import csv
import datetime
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_ddr.exports.intervals import Interval, Recording, Tier
from keras_ddr.files import write_json

# The columns of its tabular export of aggregated events, as of version 8.
COLUMNS = (
    *("Observation id", "Observation date", "Description", "Observation type"),
    *("Source", "Time offset (s)", "Coding duration", "Media duration (s)"),
    *("FPS (frame/s)", "Subject", "Observation duration by subject by observation"),
    *("Behavior", "Behavioral category", "Behavior type", "Start (s)", "Stop (s)"),
    *("Duration (s)", "Media file name", "Image index start", "Image index stop"),
    *("Image file path start", "Image file path stop", "Comment start"),
    "Comment stop",
)
_NOBODY = "No focal subject"
_PLAYERS = 8


def write_tsv(path: Path, recordings: list[Recording], beside: Path) -> None:
    """Write a row an interval, an observation a recording."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        table.writeheader()
        for recording in recordings:
            table.writerows(_rows(recording, beside))


def _rows(recording: Recording, beside: Path) -> Iterator[dict[str, str]]:
    video = recording.media is not None
    place = _place(recording, beside)
    events = [(i, tier) for tier in recording.tiers() for i in tier.intervals]
    coded = f"{recording.end:.3f}"
    about = {
        "Observation id": recording.name,
        "Observation type": "Media file" if video else "Live observation",
        "Source": f"player #1:{place}" if video else "NA",
        "Time offset (s)": "0.0",
        "Coding duration": coded,
        "Media duration (s)": coded if video else "NA",
        "FPS (frame/s)": f"{recording.rate:.3f}" if video else "NA",
        "Observation duration by subject by observation": coded,
        "Behavioral category": "Not defined",
        "Media file name": place if video else "NA",
    }
    for i, tier in sorted(events, key=lambda event: event[0].start):
        yield {
            **about,
            "Subject": i.subject or _NOBODY,
            "Behavior": _behavior(i, tier),
            "Behavior type": "POINT" if i.moment else "STATE",
            "Start (s)": f"{i.start:.3f}",
            "Stop (s)": f"{_stop(i):.3f}",
            "Duration (s)": "NA" if i.moment else _difference(i),
            "Image index start": str(i.first),
            "Image index stop": str(i.last),
            "Comment start": i.note,
        }


def write_project(path: Path, recordings: list[Recording], beside: Path) -> None:
    """Write a project of format 7.0, with an observation for each recording."""
    now = datetime.datetime.now().isoformat(timespec="seconds")
    events = [
        (i, tier) for r in recordings for tier in r.tiers() for i in tier.intervals
    ]
    behaviors = sorted({(_behavior(i, tier), i.moment) for i, tier in events})
    subjects = sorted({i.subject for i, _ in events} - {""})
    project = {
        "time_format": "hh:mm:ss",
        "project_date": now,
        "project_name": path.name,
        "project_description": "Written by keras_ddr",
        "project_format_version": "7.0",
        "subjects_conf": _numbered(
            {"key": "", "name": name, "description": ""} for name in subjects
        ),
        "behaviors_conf": _numbered(
            {
                **dict.fromkeys(("key", "description", "color", "category"), ""),
                **dict.fromkeys(("excluded", "coding map"), ""),
                "type": "Point event" if moment else "State event",
                "code": name,
                "modifiers": {},
            }
            for name, moment in behaviors
        ),
        "observations": {r.name: _observation(r, beside, now) for r in recordings},
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    write_json(path, project)


def _observation(recording: Recording, beside: Path, now: str) -> dict[str, Any]:
    place = _place(recording, beside)
    observation: dict[str, Any] = {
        "file": {str(n + 1): [] for n in range(_PLAYERS)},
        "type": "LIVE",
        "date": now,
        "description": "",
        "time offset": 0.0,
        "events": sorted(_events(recording), key=lambda event: event[0]),
        "observation time interval": [0, 0],
        "independent_variables": {},
        "scan_sampling_time": 0,
        "start_from_current_time": False,
        "start_from_current_epoch_time": False,
    }
    if recording.media is not None:
        observation["type"] = "MEDIA"
        observation["file"]["1"] = [place]
        observation["media_info"] = {
            "length": {place: recording.end},
            "fps": {place: round(recording.rate, 6)},
            "hasVideo": {place: True},
            "hasAudio": {place: False},
            "offset": {"1": 0.0},
        }
        observation.update(
            dict.fromkeys(
                (
                    *("visualize_spectrogram", "visualize_waveform"),
                    *(
                        "media_creation_date_as_offset",
                        "close_behaviors_between_videos",
                    ),
                ),
                False,
            )
        )
        observation.update(media_scan_sampling_duration=0, image_display_duration=1)
    return observation


def _events(recording: Recording) -> Iterator[list[Any]]:
    """Time, subject, behaviour, modifier, comment and frame; two for a state."""
    for tier in recording.tiers():
        for i in tier.intervals:
            what = [i.subject, _behavior(i, tier), "", i.note]
            yield [round(i.start, 3), *what, i.first]
            if not i.moment:
                yield [round(i.stop, 3), *what, i.last]


def _behavior(interval: Interval, tier: Tier) -> str:
    return f"{tier.title} {interval.name}"


def _difference(interval: Interval) -> str:
    """Seconds between start and stop as they are written."""
    return f"{round(interval.stop, 3) - round(interval.start, 3):.3f}"


def _stop(interval: Interval) -> float:
    return interval.start if interval.moment else interval.stop


def _place(recording: Recording, beside: Path) -> str:
    """Its video as seen from the project."""
    if recording.media is None:
        return ""
    return Path(os.path.relpath(recording.media, beside)).as_posix()


def _numbered(entries: Iterator[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {str(number): entry for number, entry in enumerate(entries)}
