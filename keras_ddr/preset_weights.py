"""Trained weights that come with a preset, in half precision."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops

from keras_ddr.errors import InputError
from keras_ddr.files import check_output_path, replacing

if TYPE_CHECKING:
    import pathlib

    from keras_ddr.sequence_model import SequenceModel
    from keras_ddr.typing import StrPath

FOLDER = resources.files("keras_ddr") / "weights"


def load_weights(model: SequenceModel, name: str, file: str) -> None:
    """Give a model the weights of the preset `name`; other shapes are refused."""
    if not file:
        raise InputError(f"preset {name!r} comes without weights; give weights=False")
    with (
        (FOLDER / file).open("rb") as opened,
        np.load(opened, allow_pickle=False) as arrays,
    ):
        found = [arrays[key].astype("float32") for key in arrays.files]
        shape = tuple(int(size) for size in found.pop(0))
    if tuple(model.image_shape) != shape:
        raise InputError(
            f"preset {name!r} has weights for frames of {shape}, and the model is to "
            f"take {tuple(model.image_shape)}; leave image_shape out, or give "
            "weights=False"
        )
    if [w.shape for w in found] != [tuple(w.shape) for w in model.weights]:
        raise InputError(
            f"preset {name!r} has weights for a model of its own sizes; leave other "
            "sizes out, or give weights=False"
        )
    for weight, values in zip(model.weights, found, strict=True):
        weight.assign(values)


def save_weights(model: SequenceModel, path: StrPath) -> pathlib.Path:
    """Write the weights of a model as `load_weights` reads them, to a .npz file."""
    file = check_output_path(path, [".npz"])
    arrays: dict[str, Any] = {"image_shape": np.array(model.image_shape, np.int32)}
    for number, weight in enumerate(model.weights):
        values = ops.convert_to_numpy(weight).astype(np.float16)
        if not np.isfinite(values).all():
            raise InputError(f"{path}: {weight.path} is too large for half precision")
        arrays[f"{number:03}"] = values
    with replacing(file) as temporary, open(temporary, "wb") as opened:
        np.savez_compressed(opened, **arrays)
    return file
