"""Which file of tracks belongs to which video."""

from __future__ import annotations

import glob
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keras_ddr.datasets.folders import id_of, several, walk_folders
from keras_ddr.errors import InputError
from keras_ddr.tracks.files import SUFFIXES, sources_in

if TYPE_CHECKING:
    from keras_ddr.typing import StrPath

# DeepLabCut and its forerunner write these words behind the name of the video.
_PROGRAMS = ("DLC", "DeepCut")
# SLEAP writes the name of its project before that of the video.
_ANALYSIS = ".analysis"


@dataclass(frozen=True)
class Found:
    """The tracks of a video; `problem` says why there are none."""

    path: str = ""
    names: tuple[str, ...] | None = None  # of the video in a column source
    problem: str = ""
    remark: str = ""

    @property
    def files(self) -> list[str]:
        """The files that it takes beside the video."""
        return [self.path] if self.path else []


def find_tracks(
    videos: Sequence[tuple[str, str]],
    tracks: StrPath | None,
    absolute: Callable[[str], str],
) -> dict[str, Found]:
    """The tracks of each video (name, path), by its name.

    One file is that of one video, or has a column source with their names. Of several
    files, and for several videos, names decide: VIDEO.csv, VIDEODLC….h5,
    VIDEO.analysis.h5, PROJECT.000_VIDEO.analysis.h5; files of the same folder below the
    root come first, and a .h5 before a .csv that has the same name.
    """
    if tracks is None:
        return {name: Found() for name, _ in videos}
    given = os.fspath(tracks)
    files = _files(given)
    if files == [("", given)]:
        cells = sources_in(given)
        if cells is not None:
            return _by_column(videos, absolute(given), cells)
        if len(videos) == 1:
            return {videos[0][0]: _given(videos[0][0], absolute(given))}
    owned = defaultdict(list)
    stems = {_stem(name) for name, _ in videos}
    for below, path in files:
        if stem := _video_of(os.path.basename(path), stems):
            owned[stem].append((below, path))
    return {
        name: _only(name, owned[_stem(name)], given, absolute) for name, _ in videos
    }


def _given(name: str, path: str) -> Found:
    """The file of tracks that was given for one video, whatever its name."""
    file = os.path.basename(path)
    program = any(word in file for word in (*_PROGRAMS, _ANALYSIS))
    if program and not _video_of(file, [_stem(name)]):
        return Found(
            path, remark=f"{path}: is by its name of another video than {name}"
        )
    return Found(path)


def _files(given: str) -> list[tuple[str, str]]:
    """Files of tracks: the folder below the one given, and the path."""
    if os.path.isdir(given):
        found = [
            (os.path.relpath(folder, given).replace(os.sep, "/"), name, folder)
            for folder, names in walk_folders(given)
            for name in names
            if os.path.splitext(name)[1].lower() in SUFFIXES
        ]
        files = [
            ("" if below == "." else below, os.path.join(folder, name))
            for below, name, folder in found
        ]
        if not files:
            raise InputError(
                f"{given}: holds no file of tracks (looked for "
                f"{', '.join(sorted(SUFFIXES))}); give the folder that does"
            )
        return files
    if os.path.exists(given):
        return [("", given)]
    files = [("", path) for path in sorted(glob.glob(given, recursive=True))]
    if not files:
        raise InputError(f"{given}: no such file or folder (--tracks)")
    return files


def _stem(name: str) -> str:
    return id_of(os.path.splitext(os.path.basename(name))[0])


def _video_of(file: str, stems: Iterable[str]) -> str:
    """The video that a file is named after, or ""."""
    name = id_of(os.path.splitext(file)[0])
    if name.endswith("_skeleton"):  # lengths of bones
        return ""
    project = name.removesuffix(_ANALYSIS) if name.endswith(_ANALYSIS) else ""
    fits = [
        stem
        for stem in stems
        if name == stem
        or name.startswith(tuple(stem + word for word in (*_PROGRAMS, ".")))
        or project.endswith((f"_{stem}", f".{stem}"))
    ]
    return max(fits, key=len, default="")


def _only(
    name: str,
    files: list[tuple[str, str]],
    given: str,
    absolute: Callable[[str], str],
) -> Found:
    """The one of the files that are named after a video."""
    near = [file for file in files if file[0] == os.path.dirname(name)]
    best: dict[str, str] = {}
    for _, path in sorted(near or files):  # .csv comes before .h5
        best[os.path.splitext(path)[0]] = path
    paths = list(best.values())
    if len(paths) == 1:
        return Found(absolute(paths[0]))
    if paths:
        return Found(
            problem=f"{several(paths, 2)} could all be the tracks of {name}; keep one "
            "of them, or choose by a pattern, such as --tracks "
            f"'{os.path.dirname(paths[0]) or '.'}/*_filtered.h5'"
        )
    stem = os.path.splitext(os.path.basename(name))[0]
    return Found(
        problem=f"{given}: has by name no tracks of {name} (looked for {stem}DLC….h5, "
        f"{stem}.analysis.h5, {stem}.csv and the like); name the file after its video, "
        "or give one file for one video"
    )


def _by_column(
    videos: Sequence[tuple[str, str]], path: str, cells: set[str]
) -> dict[str, Found]:
    """The tracks in one table whose column source names the videos."""
    called = defaultdict(list)
    for name, _ in videos:
        base = os.path.basename(name)
        short = os.path.splitext(name)[0], os.path.splitext(base)[0]
        for text in {name, base, *short}:
            called[text].append(name)
    exact = {name for name, _ in videos}
    found: dict[str, list[str]] = defaultdict(list)
    for cell in sorted(cells):
        names = [cell] if cell in exact else called.get(cell, [])
        if len(names) > 1:
            raise InputError(
                f"{path}: its column source says {cell!r}, which could be {names[0]!r} "
                f"or {names[1]!r}; write the whole path"
            )
        if names:
            found[names[0]].append(cell)
    if not found:
        raise InputError(
            f"{path}: no row is for a video that is there (its column source says "
            f"{min(cells, default='')!r}, videos are named as {videos[0][0]!r} is)"
        )
    missing = f"{path} has no row of this video in its column source"
    return {
        name: Found(path, tuple(found[name]))
        if name in found
        else Found(problem=missing)
        for name, _ in videos
    }
