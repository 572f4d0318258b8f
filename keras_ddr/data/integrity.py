"""Comparison of a store with its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from keras_ddr import manifest
from keras_ddr.data.format import FILES, REMEDY
from keras_ddr.data.store import FrameStore
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from keras_ddr.typing import Progress, StrPath

__all__ = ["verify_store"]


def verify_store(path: StrPath, progress: Progress | None = None) -> manifest.Findings:
    """Read all files of a store, compare them with its manifest, and open it.

    Args:
        path: Store, or folder of stores; an `InputError` says that there is none.
        progress: Called as progress(done, total) with megabytes.
    """
    path = Path(path)
    folders = [path]
    if not any((path / name).exists() for name in FILES):
        # Opening says what is wrong with a folder that holds no stores.
        FrameStore.open(path)
        folders = sorted(file.parent for file in path.glob("[!.]*/meta.json"))
    files = [folder / name for folder in folders for name in FILES]
    report = manifest.megabytes(progress, files)
    findings = manifest.Findings()
    for folder in folders:
        problems = manifest.verify(folder, FILES, REMEDY, report).problems
        if not problems:
            try:
                FrameStore.open(folder).frame_labels(0)
            except InputError as error:
                problems = [str(error)]
        findings.problems += problems
    return findings
