"""Training on several devices, by what Keras has for it on each backend."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from keras_ddr.arguments import check_choice
from keras_ddr.errors import InputError

__all__ = ["on_devices"]

DISTRIBUTE = ("none", "auto")
# `tf.distribute` refuses this in the middle of a step.
NOT_ACCUMULATED = (
    "Keras cannot average gradients over steps on several devices of TensorFlow"
)

# Encoding and decoding run in chunks of 16 sets and of 64 frames.
_MOST = 16


@contextlib.contextmanager
def on_devices(
    distribute: str,
    batch_size: int,
    report: Callable[[str], object] | None = None,
    accumulate: int = 1,
) -> Iterator[int]:
    """Have models that are made or loaded within use several devices.

    Every device gets an equal part of each batch, and gradients are summed: the result
    is that of one device. Of more than 16 devices, or a number that is no power of two,
    the largest power of two is used.

    Args:
        distribute: "none" or "auto"; with "auto" and one device nothing is done.
        batch_size: Sets of a batch; a multiple of the number of devices.
        report: Called with a line of text, or `None`.
        accumulate: Steps whose gradients are averaged.

    Yields:
        Number of devices.
    """
    devices = choose_devices(distribute, batch_size, accumulate)
    if report is not None and distribute != "none":
        report(f"devices: {', '.join(devices)}")
    if len(devices) < 2:
        yield 1
        return
    _, scope = _SCOPES[keras.backend.backend()]
    with scope(devices):
        yield len(devices)


def choose_devices(distribute: str, batch_size: int, accumulate: int = 1) -> list[str]:
    """Names of the devices that `on_devices` uses; none with "none"."""
    check_choice(DISTRIBUTE, distribute=distribute)
    if distribute == "none":
        return []
    backend = keras.backend.backend()
    if backend not in _SCOPES:
        raise InputError(
            f"distribute={distribute!r}: Keras has no training on several devices for "
            f"{backend}; choose the backend jax or tensorflow, or leave it out"
        )
    devices = _SCOPES[backend][0]()
    count = max(2**k for k in range(5) if 2**k <= min(len(devices), _MOST))
    if batch_size % count:
        raise InputError(
            f"batch_size: {batch_size} sets cannot be shared equally by {count} "
            f"devices; give a multiple of {count}"
        )
    if backend == "tensorflow" and count > 1 and accumulate > 1:
        raise InputError(
            f"accumulate: {NOT_ACCUMULATED}, and there are {count}; choose the backend "
            "jax, or leave one of the two out"
        )
    return devices[:count]


def _jax_scope(devices: Sequence[str]) -> contextlib.AbstractContextManager[Any]:
    return keras.distribution.DataParallel(devices=devices).scope()


def _tensorflow_devices() -> list[str]:
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU")
    devices = devices or tf.config.list_logical_devices("CPU")
    return [device.name.removeprefix("/device:") for device in devices]


def _tensorflow_scope(devices: Sequence[str]) -> contextlib.AbstractContextManager[Any]:
    return _mirrored(tuple(devices)).scope()


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> Any:
    """One strategy a process: sums of a second one would be taken for the first's."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(devices)


_SCOPES = {
    "jax": (keras.distribution.list_devices, _jax_scope),
    "tensorflow": (_tensorflow_devices, _tensorflow_scope),
}
