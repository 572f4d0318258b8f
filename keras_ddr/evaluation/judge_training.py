"""A judge: a classifier that learns from real frames, and is then frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops
from scipy.special import softmax

from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.evaluation.judge_targets import Target
    from keras_ddr.typing import ImageShape, Progress, Tensor

__all__ = ["TrainedJudge", "train_judge"]

_BATCH = 64
_RATE = 2e-3
_FILTERS = (32, 64, 96, 128)
_UNITS = 192


class TrainedJudge:
    """A trained classifier with one output for each target.

    Attributes:
        targets: List of `judge_targets.Target`; the last one is the action.
        network: `keras.Model` from images `(B, H, W, C)` in [0, 1] to a list of
            logits `(B, classes)`.
        steps: Number of training steps.
    """

    def __init__(self, targets: list[Target], network: keras.Model, steps: int) -> None:
        self.targets = targets
        self.network = network
        self.steps = steps

    def predict(self, images: ArrayLike) -> dict[str, NDArray[np.float64]]:
        """Class probabilities of images.

        Args:
            images: `(n, H, W, C)`, floats in [0, 1], any number of them.

        Returns:
            Dict name of a target → float64 `(n, classes)`; rows sum to 1.
        """
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
        """Refuse frames that it cannot name.

        Args:
            store: `FrameStore`.
            sequences: List of `Sequence` to be judged.

        Raises:
            InputError: Frames have another size, labels are missing, or there are
                classes that it does not know.
        """
        shape = tuple(self.network.input_shape[1:])
        if shape != store.frame_shape:
            raise InputError(
                f"judge: it was trained on frames {shape}, but those of {store.path} "
                f"are {store.frame_shape}; train one on this store"
            )
        for target in self.targets:
            for name in target.labels:
                label = store.labels.get(name)
                if label is None or label.scope != target.scope:
                    raise InputError(
                        f"judge: it names {name!r}, but {store.path} has no such label "
                        f"of a {target.scope}; train one on this store"
                    )
            unknown = target.classes_in(store, sequences) - set(target.classes)
            if unknown:
                raise InputError(
                    f"judge: it does not know {target.name} {sorted(unknown)[0]!r}; "
                    "choose its targets for all sequences that it is to judge"
                )


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
        targets: List of `Target`; frames without one of them count for the others.
        steps: Training steps of 64 random frames.
        seed: Non-negative integer.
        progress: Called with (steps done, all steps).

    Returns:
        `TrainedJudge`.

    Raises:
        InputError: No frame has a target.
    """
    labels = np.stack(
        [
            np.concatenate([target.of_sequence(store, s) for s in sequences])
            for target in targets
        ],
        axis=1,
    )
    usable = np.flatnonzero((labels >= 0).any(axis=1))
    if not len(usable):
        raise InputError("no frame to train the judge on has a label")
    network = _network(store.frame_shape, targets, seed)
    network.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(_RATE, steps)
        ),
        loss=[_cross_entropy] * len(targets),
    )
    network.fit(
        _Batches(store, sequences, labels, usable, steps, seed),
        epochs=1,
        shuffle=False,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: progress(batch + 1, steps)
            )
        ],
    )
    network.trainable = False
    return TrainedJudge(targets, network, steps)


def _network(image_shape: ImageShape, targets: list[Target], seed: int) -> keras.Model:
    """The network with random weights, in float32 whatever the global policy."""
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


def _cross_entropy(truth: Tensor, logits: Tensor) -> Tensor:
    """Cross-entropy of each frame, 0 where the truth is −1."""
    truth = ops.reshape(ops.cast(truth, "int32"), (-1,))
    known = ops.cast(truth >= 0, "float32")
    losses = keras.losses.sparse_categorical_crossentropy(
        ops.maximum(truth, 0), logits, from_logits=True
    )
    return losses * known


class _Batches(keras.utils.PyDataset):
    """Random frames, read when they are asked for; each batch follows from the seed."""

    def __init__(
        self,
        store: FrameStore,
        sequences: list[Sequence],
        labels: NDArray[np.integer],
        usable: NDArray[np.integer],
        steps: int,
        seed: int,
    ) -> None:
        super().__init__(workers=1)
        self._store = store
        lengths = [sequence.length for sequence in sequences]
        self._index = np.repeat([sequence.index for sequence in sequences], lengths)
        self._position = np.concatenate([np.arange(length) for length in lengths])
        self._labels = labels
        generator = np.random.default_rng([seed, 1])
        self._rows = generator.choice(usable, size=(steps, _BATCH))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(
        self, i: int
    ) -> tuple[NDArray[np.float32], tuple[NDArray[np.integer], ...]]:
        rows = self._rows[i]
        frames = self._store.gather(self._index[rows], self._position[rows][:, None])
        labels = self._labels[rows].T
        return frames[:, 0].astype(np.float32) / np.float32(255), tuple(labels)
