"""Comparing the files of a run with its manifest."""

from __future__ import annotations

import pathlib
import zipfile
from typing import TYPE_CHECKING

from keras_ddr import manifest
from keras_ddr.errors import InputError
from keras_ddr.runs.folder import Run

if TYPE_CHECKING:
    from keras_ddr.typing import Progress, StrPath

__all__ = ["verify"]

_REMEDY = "restore it, or go on from the other model with ddr fit --resume"


def verify(path: StrPath, progress: Progress | None = None) -> list[str]:
    """Read all files of a run and compare them with its manifest.

    Args:
        path: Run folder; or a .keras file, which carries a CRC-32 of each part.
        progress: Called as progress(done, total) with megabytes.

    Returns:
        One line for each damaged or missing file.

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
    problems = manifest.verify(path, ["config.json"], _REMEDY, report)
    if problems:
        return problems
    try:
        run = Run.open(path)
        if run.checkpoint() is None:
            problems.append(f"{path / 'checkpoint'}: is empty; {_REMEDY}")
        if run.history() and not (path / "model.keras").exists():
            problems.append(f"{path / 'model.keras'}: is missing; {_REMEDY}")
    except InputError as error:
        problems.append(str(error))
    return problems


def _archive(file: pathlib.Path) -> list[str]:
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
    # zipfile raises many types on damage.
    except Exception as error:
        damaged = str(error)
    return [] if damaged is None else [f"{file}: is damaged ({damaged}); restore it"]
