"""A judge of clips: it names the attributes and the action that a clip shows."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops
from scipy.special import softmax

from keras_ddr.errors import InputError
from keras_ddr.evaluation.clip_cutting import clip_length
from keras_ddr.evaluation.judge_targets import Target, check_targets
from keras_ddr.layers import DCGANEncoder
from keras_ddr.model_files import load_file

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.typing import ImageShape, StrPath, Tensor

__all__ = ["ClipJudge", "load_clip_judge"]

_CHUNK = 32  # clips


@keras.saving.register_keras_serializable(package="keras_ddr")
class ClipJudge(keras.Model):
    """A classifier of clips with one output for each target, the last the action.

    A DCGAN encoder for each frame; a bidirectional LSTM over them, of which the state
    after the last frame and, backwards, after the first are taken; for each target a
    dense layer with ReLU and another one. Everything is float32.

    Args:
        image_shape: `(H, W, C)` of a frame.
        frames: Frames of a clip, T.
        targets: Each a `Target`, or the dict of its fields.
        filters: Channels of the first convolution, of four.
        code_dim: Values for each frame.
        units: Of the LSTM in each direction, and of the dense layers.
        **kwargs: As for `keras.Model`.

    Call arguments:
        clips: Intensities in [0, 1], `(B, T, H, W, C)`.

    Call returns:
        List of logits `(B, classes)`.

    References:
        The network of the Sprites judge of Bai et al., "Contrastively Disentangled
        Sequential Variational Autoencoder", 2021, at its default sizes.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        frames: int,
        targets: Iterable[Target | Mapping[str, Any]],
        filters: int = 64,
        code_dim: int = 128,
        units: int = 256,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        height, width, channels = image_shape
        self.image_shape, self.frames = (height, width, channels), frames
        self.targets = [
            target
            if isinstance(target, Target)
            else Target(tuple(target["labels"]), target["scope"], target["classes"])
            for target in targets
        ]
        self.filters, self.code_dim, self.units = filters, code_dim, units
        layers = keras.layers
        plain: dict[str, Any] = {"dtype": "float32"}
        self.encoder = DCGANEncoder(code_dim, filters, **plain)
        cell = layers.LSTM(units, unit_forget_bias=False, **plain)
        self.recurrent = layers.Bidirectional(cell, **plain)
        self.hidden = [
            layers.Dense(units, activation="relu", **plain) for _ in self.targets
        ]
        self.heads = [layers.Dense(len(t.classes), **plain) for t in self.targets]
        self.build((None, frames, *self.image_shape))

    def build(self, input_shape: Any) -> None:
        """Create all weights."""
        self.encoder.build((None, *self.image_shape))
        self.recurrent.build((None, self.frames, self.code_dim))
        for hidden, head in zip(self.hidden, self.heads, strict=True):
            hidden.build((None, 2 * self.units))
            head.build((None, self.units))
        self.built = True

    def call(self, clips: Tensor, training: bool = False) -> list[Tensor]:
        """Return the logits of all targets."""
        frames = ops.reshape(clips, (-1, *self.image_shape))
        codes = self.encoder(frames, training=training)
        codes = ops.reshape(codes, (-1, self.frames, self.code_dim))
        states = self.recurrent(codes, training=training)
        pairs = zip(self.hidden, self.heads, strict=True)
        return [head(hidden(states)) for hidden, head in pairs]

    def probabilities(self, clips: ArrayLike) -> dict[str, NDArray[np.float64]]:
        """Dict target → probabilities `(n, classes)` of clips `(n, T, H, W, C)`."""
        clips = np.asarray(clips, "float32")
        logits = self.predict(clips, batch_size=_CHUNK, verbose=0)
        # Keras drops the list of a single output.
        logits = logits if isinstance(logits, list) else [logits]
        return {
            target.name: softmax(np.asarray(part, "float64"), axis=1)
            for target, part in zip(self.targets, logits, strict=True)
        }

    def judge(
        self,
        number: int,
        images: Callable[[NDArray[np.integer]], NDArray[np.float32]],
        progress: Callable[[int], object] = lambda done: None,
    ) -> dict[str, NDArray[np.float64]]:
        """As `probabilities`, of so many clips, which are made a part at a time.

        Args:
            number: Number of clips, n.
            images: Function from some of 0 … n − 1 to clips `(len, T, H, W, C)`.
            progress: Called with the number of clips of each part.
        """
        parts = []
        for start in range(0, number, _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, number))
            parts.append(self.probabilities(images(rows)))
            progress(len(rows))
        return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}

    def check(self, store: FrameStore, sequences: list[Sequence]) -> None:
        """Refuse clips of another size, and labels or classes that it lacks."""
        check_targets(self.image_shape, self.targets, store, sequences)
        length = clip_length(store, sequences)
        if length != self.frames:
            raise InputError(
                f"judge: it was trained on clips of {self.frames} frames, but those of "
                f"{store.path} have {length}; train one on this store"
            )

    def get_config(self) -> dict[str, Any]:
        """As in Keras."""
        targets = [
            {"labels": list(t.labels), "scope": t.scope, "classes": list(t.classes)}
            for t in self.targets
        ]
        own = {
            "image_shape": list(self.image_shape),
            "frames": self.frames,
            "targets": targets,
            "filters": self.filters,
            "code_dim": self.code_dim,
            "units": self.units,
        }
        return {**super().get_config(), **own}


def load_clip_judge(path: StrPath) -> ClipJudge:
    """Load the judge that `ddr judge` or `ClipJudge.save` wrote.

    Raises:
        InputError: The file is missing or damaged, or holds something else.
    """
    if not pathlib.Path(path).is_file():
        raise InputError(
            f"{path} is no file; give a judge of clips, which ddr judge makes"
        )
    return load_file(path, ClipJudge, "a judge of clips, which ddr judge makes")
