"""Models of run folders and files: loaded, and compared with stores and checksums."""

from __future__ import annotations

import pathlib
import zipfile
from typing import TYPE_CHECKING

from keras_ddr import manifest
from keras_ddr.errors import InputError
from keras_ddr.model import DDR
from keras_ddr.model_files import load_model_file
from keras_ddr.runs.folder import Run

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.sequence_model import SequenceModel
    from keras_ddr.typing import Progress, StrPath

__all__ = ["check_fits", "load_model", "verify"]

_REMEDY = "restore it, or go on from the other model with ddr fit --resume"


def load_model(path: StrPath) -> SequenceModel:
    """Load the best model of a run folder, a model file, or a preset with weights.

    Load only files that you trust: Keras's safe mode stays on, but a model file is a
    program in part.

    Args:
        path: Run folder, or a file ending in .keras; or, where neither is there, the
            name of a preset that comes with weights.

    Returns:
        `DDR`, or the `SequenceModel` that was saved; its class must be imported.
    """
    path = pathlib.Path(path)
    preset = DDR.presets.get(str(path))
    if preset is not None and preset.weights and not path.exists():
        return DDR.from_preset(str(path))
    if path.suffix == ".keras" and not path.is_dir():
        return load_model_file(path)
    if path.is_file():
        raise InputError(
            f"{path} is no .keras file, and other formats are not read; give a run "
            "folder or a .keras file"
        )
    return Run.open(path).model()


def check_fits(model: SequenceModel, store: FrameStore) -> None:
    """Refuse a store whose frames have another shape than a model takes."""
    if tuple(store.frame_shape) != tuple(model.image_shape):
        raise InputError(
            f"{store.path} holds frames of shape {tuple(store.frame_shape)}, but the "
            f"model takes {tuple(model.image_shape)}; give the store it was trained on "
            "or one of the same shape"
        )


def verify(path: StrPath, progress: Progress | None = None) -> list[str]:
    """Read all files of a run and compare them with its manifest.

    Args:
        path: Run folder; or a .keras file, which carries a CRC-32 of each part.
        progress: Called as progress(done, total) with megabytes.

    Returns:
        One line for each damaged or missing file.
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
