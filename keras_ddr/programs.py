"""Layers compiled for chunks of few sizes.

Encoding and decoding run over any number of frames. The last chunk is padded to a power
of two, so that each layer is compiled a few times, whatever the length.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 64  # frames that are computed at a time
_LEAST = 8  # rows that take about as long as one


class Programs:
    """Layers, each compiled when it first runs; they follow the layers' weights."""

    def __init__(self) -> None:
        self._programs: dict[tuple[Any, ...], keras.Model] = {}

    def __call__(
        self,
        name: str,
        layer: Callable[..., Any],
        inputs: list[NDArray[np.float32]],
        size: int = CHUNK,
    ) -> Any:
        """Run a layer, or a function of symbolic tensors, over arrays of one length."""
        number = len(inputs[0])
        key = (name, *(part.shape[1:] for part in inputs))
        if key not in self._programs:
            symbols = [keras.Input(part.shape[1:], dtype="float32") for part in inputs]
            self._programs[key] = keras.Model(symbols, layer(*symbols))
        program = self._programs[key]
        chunks = []
        for start in range(0, number, size):
            length = min(size, _at_least(number - start))
            chunk = [_pad_to(part[start : start + size], length) for part in inputs]
            with _no_retracing_warning():
                chunks.append(program.predict_on_batch(chunk))
        if isinstance(chunks[0], list | tuple):
            parts = zip(*chunks, strict=True)
            return tuple(np.concatenate(part)[:number] for part in parts)
        return np.concatenate(chunks)[:number]


@contextlib.contextmanager
def _no_retracing_warning() -> Iterator[None]:
    """Drop a false alarm: TensorFlow counts several programs as one traced again."""

    def keep(record: logging.LogRecord) -> bool:
        return "tf.function retracing" not in record.getMessage()

    logger = logging.getLogger("tensorflow")
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)


def _at_least(number: int) -> int:
    """The power of two that holds a number, from `_LEAST` on."""
    return max(_LEAST, 1 << (number - 1).bit_length())


def _pad_to(part: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    part = np.asarray(part, dtype="float32")
    missing = length - len(part)
    if missing:
        part = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
    return part
