"""Comparing the files of a run with its manifest."""

from __future__ import annotations

import pathlib
import zipfile
from typing import TYPE_CHECKING

from keras_ddr import manifest
from keras_ddr.errors import InputError
from keras_ddr.runs.folder import Run

if TYPE_CHECKING:
    from keras_ddr.manifest import Findings
    from keras_ddr.typing import Progress, StrPath

__all__ = ["verify"]

_REMEDY = "restore it, or go on from the other model with ddr fit --resume"


def verify(path: StrPath, progress: Progress | None = None) -> Findings:
    """Read all files of a run and compare them with its manifest.

    Args:
        path: Run folder; or a .keras file, which carries a CRC-32 of each part.
        progress: Called as progress(done, total) with megabytes.

    Returns:
        `keras_ddr.manifest.Findings`.

    Raises:
        InputError: It is neither.
    """
    path = pathlib.Path(path)
    if path.is_file():
        return _archive(path)
    if not (path / "config.json").is_file():
        Run.open(path)  # says what is wrong with it
    models = [path / "model.keras", *(path / "checkpoint").glob("*.keras")]
    report = manifest.megabytes(progress, models)
    findings = manifest.verify(path, ["config.json"], _REMEDY, report)
    if findings.problems:
        return findings
    try:
        run = Run.open(path)
        if run.checkpoint() is None:
            findings.problems.append(f"{path / 'checkpoint'}: is empty; {_REMEDY}")
        if run.history() and not (path / "model.keras").exists():
            findings.problems.append(f"{path / 'model.keras'}: is missing; {_REMEDY}")
    except InputError as error:
        findings.problems.append(str(error))
    return findings


def _archive(file: pathlib.Path) -> Findings:
    findings = manifest.Findings()
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
    # zipfile raises many types on damage.
    except Exception as error:
        damaged = str(error)
    if damaged is not None:
        findings.problems.append(f"{file}: is damaged ({damaged}); restore it")
    return findings
