"""Intervals in files, by the suffix of their name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.exports.boris import write_project, write_tsv
from keras_ddr.exports.elan import write_eaf
from keras_ddr.exports.intervals import Interval, Recording, Timeline
from keras_ddr.exports.nwb import pynwb_for, write_nwb
from keras_ddr.exports.praat import write_textgrid
from keras_ddr.exports.subtitles import write_srt, write_vtt
from keras_ddr.files import check_output_path, replacing
from keras_ddr.media.video import SUFFIXES as VIDEOS

if TYPE_CHECKING:
    from keras_ddr.typing import StrPath

__all__ = ["write_intervals"]


class _Format(NamedTuple):
    """How recordings are written, and whether a file takes more than one."""

    write: Callable[[Path, list[Recording], Path], None]
    several: bool = False


_FORMATS = {
    ".boris": _Format(write_project, several=True),
    ".tsv": _Format(write_tsv, several=True),
    ".eaf": _Format(write_eaf),
    ".TextGrid": _Format(write_textgrid),
    ".srt": _Format(write_srt),
    ".vtt": _Format(write_vtt),
    ".nwb": _Format(write_nwb),
}
SUFFIXES = tuple(_FORMATS)  # as their programs spell them


def _format_of(path: StrPath) -> _Format:
    """The format of a file, however its suffix is spelled."""
    spelled = {suffix.lower(): each for suffix, each in _FORMATS.items()}
    return spelled[Path(path).suffix.lower()]


def write_intervals(
    path: StrPath,
    intervals: Iterable[Interval],
    timelines: Iterable[Timeline],
    *,
    media: StrPath | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write intervals for a program in which people annotate.

    The suffix says which:

    - .boris, a project of BORIS, and .tsv, a table like its aggregated events: moments
      are point events;
    - .eaf for ELAN: moments are as long as their frame;
    - .TextGrid for Praat: moments are points;
    - .srt and .vtt, subtitles for players of videos: moments are shown for a second;
    - .nwb, Neurodata Without Borders: moments are events, others bouts of ndx-ethogram.

    All but the first two are about one recording: where there are several, each gets a
    file of its own, `PATH-RECORDING.eaf`. A recording without an interval gets one too.

    Args:
        path: File with one of these suffixes, in a folder that exists; it is written
            whole or not at all.
        intervals: Intervals of these timelines.
        timelines: `Timeline` of each sequence that was looked at.
        media: Folder with the videos, by the names of the sources; they are linked.
            Where `None`, links lead to the folder of `path`.
        overwrite: Whether files that exist are replaced.

    Returns:
        List of `pathlib.Path` of the files.

    Raises:
        InputError: The path cannot be used, times of frames are not known, or a video
            is not in `media`.
    """
    timelines, intervals = list(timelines), list(intervals)
    paths = paths_of(path, timelines, media, overwrite)
    beside = _folder(path)
    recordings = [
        Recording(
            name,
            _video(name, media, beside),
            [t for t in timelines if t.recording == name],
            [i for i in intervals if i.recording == name],
        )
        for name in paths
    ]
    write, several = _format_of(path)
    for group in [recordings] if several else [[each] for each in recordings]:
        with replacing(paths[group[0].name]) as temporary:
            write(temporary, group, beside)
    return list(dict.fromkeys(paths.values()))


def paths_of(
    path: StrPath,
    timelines: Iterable[Timeline],
    media: StrPath | None = None,
    overwrite: bool = False,
) -> dict[str, Path]:
    """The file of each recording, if all that `write_intervals` needs is there."""
    path, timelines = Path(path), list(timelines)
    check_output_path(path, SUFFIXES)
    if path.suffix.lower() == ".nwb":
        pynwb_for(path)
    names = list(dict.fromkeys(timeline.recording for timeline in timelines))
    paths = dict.fromkeys(names, path)
    if not _format_of(path).several:
        paths = named_apart(path, names)
    for name, file in paths.items():
        check_output_path(file, SUFFIXES, overwrite)
        _video(name, media, _folder(path))
    check_times(path, timelines)
    return paths


def named_apart(path: StrPath, names: list[str]) -> dict[str, Path]:
    """A file for each of some recordings, of a single one the file itself."""
    path = Path(path)
    if len(names) == 1:
        return {names[0]: path}
    titles = [re.sub(r'[\\/:*?"<>|]', "_", os.path.splitext(n)[0]) for n in names]
    if len(set(titles)) < len(titles):
        titles = [quote(name, safe=" ") for name in names]
    files = [path.with_name(f"{path.stem}-{t}{path.suffix}") for t in titles]
    return dict(zip(names, files, strict=True))


def check_times(path: StrPath, timelines: Iterable[Timeline]) -> None:
    """Refuse a file that counts seconds where frames have no times."""
    for timeline in timelines:
        if not np.isfinite(timeline.starts).all():
            raise InputError(
                f"{path}: {Path(path).suffix} counts seconds, but the store has no "
                f"times of the frames of {timeline.name!r}; prepare it with "
                "--frame-rate (or a label `time`), or write .csv"
            )


def _folder(path: StrPath) -> Path:
    """The folder of a file, from which links lead; a link to the file stays."""
    return Path(os.path.realpath(path)).parent


def _video(name: str, media: StrPath | None, beside: Path) -> Path | None:
    """Where the video of a recording should be, if it is one."""
    if os.path.splitext(name)[1].lower() not in VIDEOS:
        return None
    if media is None:
        return beside / name
    video = Path(os.path.abspath(media)) / name
    if not video.is_file():
        raise InputError(
            f"{video}: no such file; give the folder that the videos were read from "
            "(--media)"
        )
    return video
