"""Comparing the files of a run with the state in which they were written."""

from __future__ import annotations

import pathlib
import zipfile
from typing import TYPE_CHECKING

from keras_ddr import checksums
from keras_ddr.checkpoints import Checkpoints
from keras_ddr.errors import InputError
from keras_ddr.runs.folder import Run

if TYPE_CHECKING:
    from keras_ddr.typing import Progress, StrPath

__all__ = ["verify"]


def verify(path: StrPath, progress: Progress | None = None) -> checksums.Findings:
    """Read all files of a run and compare them with the checksums in them.

    Args:
        path: Run folder, or a .keras file of one.
        progress: Called as progress(done, total) with megabytes.

    Returns:
        `checksums.Findings`.

    Raises:
        InputError: It is neither.
    """
    path = pathlib.Path(path)
    findings = checksums.Findings()
    again = "restore it, or go on from the other with ddr fit --resume"
    if path.is_file():
        models = [path]
    else:
        models = [path / "model.keras"] if (path / "model.keras").exists() else []
        models += Checkpoints(path / "checkpoint").files()
        try:
            run = Run.open(path)
            if run.history() and not (path / "model.keras").exists():
                findings.problems.append(f"{path / 'model.keras'}: is missing; {again}")
            if run.checkpoint() is None:
                findings.problems.append(f"{path / 'checkpoint'}: is empty; {again}")
        except InputError as error:
            if not (path / "config.json").is_file():
                raise
            findings.problems.append(str(error))
    for file in models:
        try:
            with zipfile.ZipFile(file) as archive:
                whole = archive.testzip() is None
        except FileNotFoundError:
            # A training may have put a newer one in its place since.
            if Checkpoints(file.parent).newest() is None:
                findings.problems.append(f"{file}: is missing; {again}")
            continue
        except Exception:  # zipfile raises many types on damage
            whole = False
        findings.add(file, whole, again)
    return findings
