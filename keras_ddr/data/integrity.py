"""Whether a store is what was written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from keras_ddr import checksums
from keras_ddr.data.format import FILES, HEADER_SIZE
from keras_ddr.data.store import FrameStore
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from keras_ddr.typing import Progress, StrPath

__all__ = ["verify_store"]

_REMEDY = "make the store again"


def verify_store(path: StrPath, progress: Progress | None = None) -> checksums.Findings:
    """Read all files of a store and compare them with the checksums in meta.json.

    Args:
        path: store, or folder of stores.
        progress: called as progress(done, total) with megabytes.

    Returns:
        `checksums.Findings`.

    Raises:
        InputError: there is no store.
    """
    path = Path(path)
    folders = [path]
    if not any((path / name).exists() for name in ("meta.json", "frames.npy")):
        # Says what is wrong with a place that holds no stores.
        FrameStore.open(path)
        folders = sorted(file.parent for file in path.glob("[!.]*/meta.json"))
    frames = [folder / "frames.npy" for folder in folders]
    report = checksums.megabytes(progress, frames)
    findings = checksums.Findings()
    for folder in folders:
        found = checksums.Findings()
        try:
            _compare(folder, found, report)
            if not found.problems:
                _read_labels(FrameStore.open(folder))
        except InputError as error:
            found.problems.append(str(error))
        except OSError as error:
            found.problems.append(f"{error.filename}: {error.strerror}; {_REMEDY}")
        findings.problems += found.problems
        findings.notes += found.notes
    return findings


def _compare(
    folder: Path, found: checksums.Findings, report: Callable[[int], None]
) -> None:
    file = folder / "meta.json"
    for name in FILES:
        if not (folder / name).is_file():
            found.problems.append(f"{folder / name}: is missing; {_REMEDY}")
    if found.problems:
        return
    if os.path.getsize(file) > 64 << 20:
        raise InputError(f"{file}: is larger than any that was written; {_REMEDY}")
    whole = checksums.check_json(file)
    found.add(file, whole, _REMEDY)
    if whole is False:
        found.notes.append(
            f"{folder}: its other files could not be compared, since their checksums "
            "are in meta.json"
        )
        return
    # Says what is wrong with one that holds no checksum.
    try:
        meta = json.loads(file.read_text(encoding="utf-8"))
        known, pixels = meta.get("checksums", {}), meta["sha256"]
        header = known.get("frames.npy header")
    except (ValueError, KeyError, AttributeError, RecursionError):
        raise InputError(
            f"{file}: does not describe a frame store; {_REMEDY}"
        ) from None
    frames = folder / "frames.npy"
    start = HEADER_SIZE if header else FrameStore.open(folder).frames_offset
    if checksums.digest(frames, start, report=report) != pixels or (
        header and checksums.digest(frames, 0, HEADER_SIZE) != header
    ):
        found.problems.append(
            f"{frames}: the frames differ from those written (sha256 in meta.json); "
            f"{_REMEDY}"
        )
    for name in ("sequences.csv", "labels.npz"):
        if name in known:
            whole = checksums.digest(folder / name) == known[name]
        else:
            whole = None
        found.add(folder / name, whole, _REMEDY)


def _read_labels(store: FrameStore) -> None:
    # Of older stores, whose archive has sums of its own.
    for sequence in store.sequences[:1]:
        store.frame_labels(sequence.index)
