"""Models of run folders and files, and the stores that fit them."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from keras_ddr.errors import InputError
from keras_ddr.model_files import load_model_file
from keras_ddr.runs.folder import Run

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.sequence_model import SequenceModel
    from keras_ddr.typing import StrPath

__all__ = ["check_fits", "load_model"]


def load_model(path: StrPath) -> SequenceModel:
    """Load the best model of a run folder, or a model file.

    Load only files that you trust: Keras's safe mode stays on, but a model file is a
    program in part.

    Args:
        path: Run folder, or a file ending in .keras.

    Returns:
        `DDR`, or the `SequenceModel` that was saved; its class must be imported.

    Raises:
        InputError: There is no such model.
    """
    path = pathlib.Path(path)
    if path.suffix == ".keras" and not path.is_dir():
        return load_model_file(path)
    if path.is_file():
        raise InputError(
            f"{path} is no .keras file, and other formats are not read; give a run "
            "folder or a .keras file"
        )
    return Run.open(path).model()


def check_fits(model: SequenceModel, store: FrameStore) -> None:
    """Refuse a store whose frames a model cannot take.

    Args:
        model: `SequenceModel`.
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
