"""A judge: a classifier that learns from real frames, and is then frozen.

Keras and SciPy are imported by what needs them: names of measures do not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.evaluation.judge_targets import check_targets

if TYPE_CHECKING:
    import keras
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.evaluation.judge_targets import Target
    from keras_ddr.typing import ImageShape, Progress, Tensor

__all__ = ["TrainedJudge", "train_judge"]

_BATCH = 64
_RATE = 2e-3
_FILTERS = (32, 64, 96, 128)
_UNITS = 192


@dataclasses.dataclass(eq=False)  # hashable
class TrainedJudge:
    """A trained classifier with one output for each target, the last the action."""

    targets: list[Target]
    network: keras.Model
    steps: int

    def predict(self, images: ArrayLike) -> dict[str, NDArray[np.float64]]:
        """Dict target → probabilities `(n, classes)` of images `(n, H, W, C)`."""
        from scipy.special import softmax

        logits = self.network.predict(
            np.asarray(images, "float32"), batch_size=4 * _BATCH, verbose=0
        )
        # Keras drops the list of a single output.
        logits = logits if isinstance(logits, list) else [logits]
        return {
            target.name: softmax(np.asarray(part, "float64"), axis=1)
            for target, part in zip(self.targets, logits, strict=True)
        }

    def check(self, store: FrameStore, sequences: list[Sequence]) -> None:
        """Refuse frames of another size and labels or classes that it does not know."""
        shape = tuple(self.network.input_shape[1:])
        check_targets(shape, self.targets, store, sequences)


def train_judge(
    store: FrameStore,
    sequences: list[Sequence],
    targets: list[Target],
    *,
    steps: int = 1000,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> TrainedJudge:
    """Train a small convolutional network to name the targets of real frames.

    Keras's global random state is not used: weights and batches follow from `seed`.

    Args:
        store: `FrameStore`.
        sequences: List of `Sequence` to learn from.
        targets: As of `choose_targets`; frames without one count for the others.
        steps: Training steps of 64 random frames.
        seed: Non-negative integer.
        progress: Called with (steps done, all steps).

    Raises:
        InputError: No frame has a target.
    """
    import keras

    labels = np.transpose(
        [
            np.concatenate([target.of_sequence(store, s) for s in sequences])
            for target in targets
        ]
    )
    usable = np.flatnonzero((labels >= 0).any(axis=1))
    if not len(usable):
        raise InputError("no frame to train the judge on has a label")
    network = _network(store.frame_shape, targets, seed)
    rate = keras.optimizers.schedules.CosineDecay(_RATE, steps)
    network.compile(keras.optimizers.Adam(rate), loss=[cross_entropy] * len(targets))
    counter = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: progress(batch + 1, steps)
    )
    drawn = np.random.default_rng([seed, 1]).choice(usable, size=(steps, _BATCH))
    batches = _batches(store, sequences, labels, drawn)
    options = {"steps_per_epoch": steps, "shuffle": False, "verbose": 0}
    network.fit(batches, callbacks=[counter], **options)
    network.trainable = False
    return TrainedJudge(targets, network, steps)


def _network(image_shape: ImageShape, targets: list[Target], seed: int) -> keras.Model:
    """The network with random weights, in float32 whatever the global policy."""
    import keras

    seeds = iter(np.random.default_rng(seed).integers(2**31, size=64).tolist())

    def layer(name: str, *sizes: int, **options: Any) -> keras.layers.Layer:
        if sizes:  # it has weights
            initializer = keras.initializers.HeNormal(seed=next(seeds))
            options["kernel_initializer"] = initializer
        return getattr(keras.layers, name)(*sizes, dtype="float32", **options)

    inputs = x = keras.Input(image_shape, dtype="float32")
    for filters in _FILTERS:
        convolution = {"strides": 2, "padding": "same", "use_bias": False}
        x = layer("Conv2D", filters, 3, **convolution)(x)
        x = layer("BatchNormalization", momentum=0.9)(x)
        x = layer("ReLU")(x)
    x = layer("Dense", _UNITS, activation="relu")(layer("Flatten")(x))
    return keras.Model(inputs, [layer("Dense", len(t.classes))(x) for t in targets])


def cross_entropy(truth: Tensor, logits: Tensor) -> Tensor:
    """Cross-entropy of each frame, 0 where the truth is −1."""
    import keras
    from keras import ops

    truth = ops.reshape(ops.cast(truth, "int32"), (-1,))
    known = ops.cast(truth >= 0, "float32")
    losses = keras.losses.sparse_categorical_crossentropy(
        ops.maximum(truth, 0), logits, from_logits=True
    )
    return losses * known


def _batches(
    store: FrameStore,
    sequences: list[Sequence],
    labels: NDArray[np.integer],
    drawn: NDArray[np.integer],
) -> Iterator[tuple[NDArray[np.float32], tuple[NDArray[np.integer], ...]]]:
    """Frames and labels of drawn rows, read when they are asked for."""
    index = np.repeat([s.index for s in sequences], [s.length for s in sequences])
    position = np.concatenate([np.arange(s.length) for s in sequences])
    for rows in drawn:
        frames = store.gather(index[rows], position[rows][:, None])[:, 0]
        yield frames.astype(np.float32) / np.float32(255), tuple(labels[rows].T)
