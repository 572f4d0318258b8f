"""Base class of the published models, and gradients that stop at a layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_ddr.arguments import check_seed, check_whole
from keras_ddr.checks import check_image_shape
from keras_ddr.layers import GaussianSampling
from keras_ddr.loss import LossOfParts
from keras_ddr.programs import Programs
from keras_ddr.training import TrainStep

if TYPE_CHECKING:
    from keras_ddr.typing import ImageShape, Shape, Tensor

__all__ = ["PublishedModel"]


class PublishedModel(TrainStep, LossOfParts):
    """A model of the literature, which descends a weighted sum of named parts.

    A subclass names `loss_parts` and `_arguments`, makes its layers in `__init__`,
    which ends with `_finish()`, and defines `forward_pass`, `parts`, `encode` and
    `decode_pairs`. One Adam trains all of its parts, also those that work against each
    other: Adam treats every weight by itself, so that one is the same as several with
    the same settings. `forward_pass` and `parts` see to it by `ops.stop_gradient` and
    `call_frozen` that each part gets the gradient that is meant for it.

    Args:
        image_shape: `(H, W, C)` of a frame; H and W multiples of 16.
        seed: Non-negative integer that starts the random draws of training.
        sizes: Dict of the other arguments that are whole numbers of at least 1; they
            become attributes.
        **kwargs: As for `keras.Model`.

    Attributes:
        part_weights: Dict from a name of `loss_parts` to its weight in the loss, where
            that is not 1; a weight of 0 shows a part that is not in the loss.
    """

    _arguments: ClassVar[tuple[str, ...]] = ()
    part_weights: Mapping[str, float] = {}

    def __init__(
        self,
        image_shape: ImageShape,
        seed: int,
        sizes: Mapping[str, int],
        **kwargs: Any,
    ) -> None:
        check_image_shape(image_shape)
        check_seed(seed=seed)
        check_whole(**sizes)
        super().__init__(**kwargs)
        height, width, channels = (int(size) for size in image_shape)
        self.image_shape = height, width, channels
        self.seed = int(seed)
        for name, size in sizes.items():
            setattr(self, name, int(size))  # NumPy's are taken as well
        self.sampling = GaussianSampling(self.seed, name="sampling")
        self._programs = Programs()

    def build(self, input_shape: Shape) -> None:
        """Nothing to create: `_finish` has made all weights."""
        self.built = True

    def _finish(self) -> None:
        """Make all weights: at the end of `__init__`."""
        self._make_trackers()
        self._call_once()
        # Building locks it, and a subclass may go on after `super().__init__`.
        self._tracker.unlock()

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the same model again."""
        names = ("image_shape", "seed", *self._arguments)
        return {**super().get_config(), **{n: getattr(self, n) for n in names}}

    # --- the loss -------------------------------------------------------------------

    def call(self, frames: Tensor, training: bool | None = None) -> dict[str, Tensor]:
        """Outputs for sets of frames `(B, N, H, W, C)`, as `forward_pass` gives them.

        Integers 0 to 255 are divided by 255, floats must lie in [0, 1].
        """
        return self.forward_pass(self.intensities(frames), training)

    def forward_pass(self, frames: Tensor, training: bool | None) -> dict[str, Tensor]:
        """Everything that `parts` needs, for frames `(B, N, H, W, C)` in [0, 1]."""
        raise NotImplementedError

    def parts(
        self, frames: Tensor, y: Tensor | None, outputs: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Parts of the loss of each set, `(B,)` float32; `y` as the data gave it."""
        raise NotImplementedError

    def total(self, parts: Mapping[str, Any]) -> Any:
        """The loss of means of its parts."""
        weights = self.part_weights
        return sum(weights.get(name, 1.0) * parts[name] for name in self.loss_parts)

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Any = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """The loss of a batch, a float32 scalar; its parts go into the history."""
        shares, weight = self.shares(x, sample_weight)
        frames = ops.cast(self.intensities(x), "float32")
        found = self.parts(frames, y, y_pred)
        parts = {
            name: ops.sum(ops.cast(found[name], "float32") * shares)
            for name in self.loss_parts
        }
        self._note(parts, weight)
        return self.total(parts)

    def get_metrics_result(self) -> dict[str, Tensor]:
        """Means of the loss and its parts over the batches so far."""
        logs = super().get_metrics_result()
        return {**logs, "loss": self.total(logs)}


def per_frame(layer: Any, frames: Tensor, **kwargs: Any) -> Any:
    """Outputs `(B, N, …)` of a layer of frames, for sets `(B, N, …)`."""
    number = frames.shape[1]
    flat = ops.reshape(frames, (-1, *frames.shape[2:]))
    outputs = layer(flat, **kwargs)
    return keras.tree.map_structure(
        lambda x: ops.reshape(x, (-1, number, *x.shape[1:])), outputs
    )


def call_frozen(
    layer: keras.layers.Layer, *inputs: Tensor, training: bool = False
) -> Any:
    """Outputs of a layer whose weights get no gradient; its inputs get theirs.

    Its other variables, as the means of batch normalisation, stay as they are.
    """
    weights = [ops.stop_gradient(ops.convert_to_tensor(v)) for v in layer.variables]
    places = {id(v): w for v, w in zip(layer.variables, weights, strict=True)}
    outputs, _ = layer.stateless_call(
        [places[id(v)] for v in layer.trainable_variables],
        [places[id(v)] for v in layer.non_trainable_variables],
        *inputs,
        training=training,
    )
    return outputs


def squared_error(frames: Tensor, images: Tensor) -> Tensor:
    """Sum of squared errors of each set, `(B,)`."""
    error = ops.square(frames - ops.cast(images, "float32"))
    return ops.sum(error, axis=tuple(range(1, len(frames.shape))))


def as_numpy(tensor: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A float32 array of a tensor."""
    return np.asarray(ops.convert_to_numpy(tensor), "float32")
