"""The parts of a model, compiled for one fixed chunk size each.

Encoding and decoding run over any number of frames. Padding the last chunk means that
each part is compiled once, whatever the length.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.model import DDR

__all__ = ["CHUNK", "Programs"]

CHUNK = 64  # frames or images a call
"""Frames that are computed at a time."""
_SETS = 16  # sets a call: each is N frames


class Programs:
    """NumPy in, NumPy out, for each part of a `DDR`.

    Args:
        model: A built `DDR`; its current weights are used at every call.
    """

    def __init__(self, model: DDR) -> None:
        self._model = model
        self._programs: dict[tuple[Any, ...], keras.Model] = {}

    def features(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Maps h `(T, h, w, filters)` of frames `(T, H, W, C)`, floats in [0, 1]."""
        return self._run("features", self._model.frame_encoder, [frames])

    def static(
        self, features: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and log-variance of q(f | x_S); features `(S, N, h, w, filters)`."""
        return self._run("static", self._model.static_encoder, [features], _SETS)

    def dynamic(
        self, static: NDArray[np.float32], features: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and log-variance of q(z | f, x).

        Args:
            static: f, `(T, static_dim)`, one for each frame.
            features: `(T, h, w, filters)`.

        Returns:
            Two arrays `(T, dynamic_dim)`.
        """
        outputs = self._run(
            "dynamic", self._model.dynamic_encoder, [static, features[:, None]]
        )
        return tuple(part[:, 0] for part in outputs)

    def prior(
        self, static: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and log-variance of p(z | f); static `(S, static_dim)`."""
        return self._run("prior", self._model.prior, [static])

    def outputs(
        self, static: NDArray[np.float32], dynamic: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Decoder outputs (logits) `(T, H, W, C)` float32 of T pairs of f and z."""
        decoder = self._model.frame_decoder
        outputs = self._run("decoder", decoder, [static, dynamic[:, None]])
        return outputs[:, 0].astype("float32", copy=False)

    def _run(
        self,
        name: str,
        layer: keras.layers.Layer,
        inputs: list[NDArray[np.float32]],
        size: int = CHUNK,
    ) -> Any:
        number = len(inputs[0])
        program = self._program(name, layer, inputs)
        chunks = []
        for start in range(0, number, size):
            chunk = [_pad_to(part[start : start + size], size) for part in inputs]
            with _no_retracing_warning():
                chunks.append(program.predict_on_batch(chunk))
        if isinstance(chunks[0], list | tuple):
            parts = zip(*chunks, strict=True)
            return tuple(np.concatenate(part)[:number] for part in parts)
        return np.concatenate(chunks)[:number]

    def _program(
        self, name: str, layer: keras.layers.Layer, inputs: list[NDArray[np.float32]]
    ) -> keras.Model:
        key = (name, *(part.shape[1:] for part in inputs))
        if key not in self._programs:
            symbols = [keras.Input(part.shape[1:], dtype="float32") for part in inputs]
            self._programs[key] = keras.Model(symbols, layer(*symbols))
        return self._programs[key]


@contextlib.contextmanager
def _no_retracing_warning() -> Iterator[None]:
    """Drop a false alarm of TensorFlow.

    It counts the first calls of different programs as one program that is traced again
    and again.
    """

    def keep(record: logging.LogRecord) -> bool:
        return "tf.function retracing" not in record.getMessage()

    logger = logging.getLogger("tensorflow")
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)


def _pad_to(part: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    part = np.asarray(part, dtype="float32")
    missing = length - len(part)
    if missing:
        part = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
    return part
