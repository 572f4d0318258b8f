"""Loading models from runs and files."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import keras

from keras_ddr.errors import InputError, reason_of
from keras_ddr.model_files import check_model_file

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.model import DDR
    from keras_ddr.typing import StrPath

__all__ = ["check_fits", "load_file", "load_model"]


def load_model(path: StrPath) -> DDR:
    """Load the best model of a run folder, or a saved `DDR`.

    Only load files that you trust: Keras's safe mode stays on, but a model file is a
    program in part.

    Args:
        path: Run folder, or a file ending in .keras.

    Returns:
        `DDR`.

    Raises:
        InputError: There is no such model.
    """
    from keras_ddr.runs.folder import Run

    path = pathlib.Path(path)
    if path.suffix == ".keras" and not path.is_dir():
        return load_file(path)
    if path.is_file():
        raise InputError(
            f"{path} is no .keras file, and other formats are not read; give a run "
            "folder or a .keras file"
        )
    return Run.open(path).model()


def load_file(path: pathlib.Path) -> DDR:
    """Load a .keras file after a look at what it asks for.

    Args:
        path: `pathlib.Path`.

    Returns:
        `DDR`.

    Raises:
        InputError: It is not there, damaged, or no `DDR`.
    """
    if not path.is_file():
        raise InputError(
            f"{path} does not exist as a file; give a run folder or a .keras file, or "
            "go on with ddr fit --resume"
        )
    check_model_file(path)
    try:
        return keras.models.load_model(path, safe_mode=True)
    # Keras and its backends may raise anything on a broken file.
    except Exception as error:
        raise InputError(
            f"{path} cannot be loaded as a model: {reason_of(error)}; restore it"
        ) from error


def check_fits(model: DDR, store: FrameStore) -> None:
    """Refuse a store whose frames a model cannot take.

    Args:
        model: `DDR`.
        store: `FrameStore`.

    Raises:
        InputError: The frames have another shape.
    """
    if tuple(store.frame_shape) != tuple(model.image_shape):
        raise InputError(
            f"{store.path} holds frames of shape {tuple(store.frame_shape)}, but the "
            f"model takes {tuple(model.image_shape)}; give the store it was trained on "
            "or one of the same shape"
        )
