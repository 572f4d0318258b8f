"""Checks of frames on the host, before they reach a device."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_ddr.arguments import check_image_shape as check_image_shape
from keras_ddr.errors import InputError
from keras_ddr.host import as_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import ImageShape, Tensor

_ROWS = 256  # rows checked at a time, so that large arrays need no copy


def check_channels_last(parts: dict[str, keras.layers.Layer]) -> None:
    """Refuse layers made under channels_first in Keras's configuration."""
    for name, part in parts.items():
        for layer in part._flatten_layers():
            if getattr(layer, "data_format", None) == "channels_first":
                raise InputError(
                    f"{name}: its layer {layer.name} takes channels first, and frames "
                    'have them last; give it data_format="channels_last"'
                )


def check_values(array: NDArray[Any], argument: str) -> None:
    """Refuse all but integers in 0 to 255 and floats in [0, 1]."""
    integers = np.issubdtype(array.dtype, np.integer)
    if not integers and not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"{argument} has dtype {array.dtype}; give uint8, or floats in [0, 1]"
        )
    if array.dtype == np.uint8:
        return
    highest = 255 if integers else 1
    for start in range(0, len(array), _ROWS):
        part = array[start : start + _ROWS]
        if not integers and not np.isfinite(part).all():
            raise InputError(f"{argument} holds NaN or infinity; remove such frames")
        if part.size and (part.min() < 0 or part.max() > highest):
            wanted = "floats must lie in [0, 1] (divide by 255, or give uint8)"
            raise InputError(
                f"{argument} has values from {part.min():g} to {part.max():g}; "
                + ("integers must lie in 0 to 255" if integers else wanted)
            )


def check_sets(
    x: Any, image_shape: ImageShape, number: int | None, argument: str, least: int = 2
) -> Any:
    """Training data, checked: an array whole, an iterator by its first batch."""
    # A generator comes back as another one, which yields the same batches.
    if x is None:
        raise InputError(f"{argument} is missing; give sets of frames")
    if isinstance(x, list):
        if len({np.shape(part) for part in x}) > 1:
            raise InputError(
                f"{argument} is a list of arrays of several shapes; make a store of "
                "sequences (keras_ddr.data.write_arrays) and give a FrameSets of it"
            )
        x = np.asarray(x)
    if isinstance(x, dict):
        raise InputError(f"{argument} is a dict; give the sets of frames alone")
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        _check_batch(x, image_shape, number, argument, least)
        return x
    if isinstance(x, keras.utils.PyDataset):
        first = x[0]
    elif hasattr(x, "__next__"):
        first = next(x, None)
        x = itertools.chain([first], x)
        # Keras tells generators by their type, and takes batches in tuples.
        x = (batch if isinstance(batch, tuple) else (batch,) for batch in x)
    else:
        first = next(iter(x), None)
    loader = type(x).__module__.startswith("torch.utils.data")
    of_torch = type(first).__module__.startswith("torch")
    if of_torch and loader and keras.backend.backend() != "torch":
        raise InputError(
            f"{argument} yields tensors of PyTorch, which Keras takes in tuples only "
            "here; put the frames into a torch.utils.data.TensorDataset"
        )
    if isinstance(first, dict):
        raise InputError(f"{argument} yields dicts; let it yield the frames alone")
    if first is None:
        raise InputError(f"{argument} yields no batch; give sets of frames")
    frames, _, _ = keras.utils.unpack_x_y_sample_weight(first)
    argument = f"the first batch of {argument}"
    _check_batch(frames, image_shape, number, argument, least)
    return x


def _check_batch(
    frames: Tensor,
    image_shape: ImageShape,
    number: int | None,
    argument: str,
    least: int,
) -> None:
    shape = tuple(frames.shape)
    wanted = ("sets", number or "N", *image_shape)
    expected = f"({', '.join(str(size) for size in wanted)})"
    if len(shape) != 5 or shape[2:] != tuple(image_shape):
        raise InputError(
            f"{argument} has shape {shape}; this model takes sets of frames {expected}"
        )
    if shape[1] < least or (number is not None and shape[1] != number):
        raise InputError(
            f"{argument} holds sets of {shape[1]} frames; this model takes {expected}"
        )
    if shape[0] == 0:
        raise InputError(f"{argument} is empty; give at least one set of frames")
    check_values(as_array(frames), argument)


def check_sequence(
    frames: ArrayLike, image_shape: ImageShape, number: int, least: int | None = None
) -> NDArray[Any]:
    """Check at least `number` frames of a sequence; with another N `least` would do."""
    frames = as_array(frames)
    if frames.ndim != 4 or frames.shape[1:] != tuple(image_shape):
        raise InputError(
            f"frames has shape {frames.shape}; this model takes one sequence "
            f"(T, {', '.join(map(str, image_shape))})"
        )
    if len(frames) < number:
        may = least is not None and least <= len(frames)
        other = f", or give frames_per_set={len(frames)}" * may
        raise InputError(
            f"frames holds {len(frames)} frames; this model compares {number}, so a "
            f"sequence needs at least {number}{other}"
        )
    check_values(frames, "frames")
    return frames


def intensities(frames: NDArray[Any]) -> NDArray[np.float32]:
    """Checked frames as float32 in [0, 1], same shape."""
    scale = 255.0 if np.issubdtype(frames.dtype, np.integer) else 1.0
    floats = frames.astype(np.float32)
    floats /= np.float32(scale)
    return floats
