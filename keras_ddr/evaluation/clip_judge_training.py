"""Training of a judge of clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_ddr.arguments import check_choice, check_seed, check_whole
from keras_ddr.evaluation.clip_cutting import clip_length, cut_clips
from keras_ddr.evaluation.clip_judge import ClipJudge
from keras_ddr.evaluation.judge_targets import choose_targets
from keras_ddr.evaluation.judge_training import cross_entropy

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.evaluation.clip_cutting import ClipSet
    from keras_ddr.typing import Progress

__all__ = ["SIZES", "ClipJudgeSize", "train_clip_judge"]

_ACTION = ("action",)


@dataclasses.dataclass(frozen=True)
class ClipJudgeSize:
    """Sizes of a `ClipJudge`, and how it is trained.

    Attributes:
        filters: See `ClipJudge`, as for the next two.
        steps: Training steps.
        batch: Clips of a step.
        rate: Learning rate of Adam.
        decay: Whether the rate falls to 0 along a cosine.
    """

    filters: int
    code_dim: int
    units: int
    steps: int
    batch: int
    rate: float
    decay: bool


SIZES = {
    "small": ClipJudgeSize(16, 64, 64, 800, 32, 2e-3, True),
    "published": ClipJudgeSize(64, 128, 256, 7100, 128, 2e-4, False),
}
"""Dict name → `ClipJudgeSize`: one for two CPU cores, and that of published numbers."""


def train_clip_judge(
    store: FrameStore,
    *,
    size: str = "small",
    steps: int | None = None,
    attributes: Collection[str] | None = None,
    action: Collection[str] | None = None,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> ClipJudge:
    """Train a judge to name the attributes and the action of clips of train.

    A clip is a run of frames that the frame label `phase` counts from 0. Keras's global
    random state is not used: weights and batches follow from `seed`.

    Args:
        store: `FrameStore`.
        size: Key of `SIZES`.
        steps: Training steps in place of those of the size.
        attributes: Names of the sequence labels that it names; all categorical ones
            where `None`.
        action: Names of the frame labels that make the action together; "action" where
            `None`.
        seed: Non-negative integer.
        progress: Called with (steps done, all steps).

    Returns:
        `ClipJudge`; `save` keeps it in a .keras file.

    Raises:
        InputError: The store has no clips or no such labels, or an argument cannot be
            used.
    """
    check_choice(SIZES, size=size)
    sizes = SIZES[size]
    steps = sizes.steps if steps is None else steps
    check_whole(steps=steps)
    check_seed(seed=seed)
    learned = store.require("train")
    options = attributes, action or _ACTION
    chosen, acted = choose_targets(store, learned, store.select("all"), *options)
    targets = [*chosen, acted]
    clips = cut_clips(store, learned, targets, clip_length(store, learned))

    shape = sizes.filters, sizes.code_dim, sizes.units
    network = ClipJudge(store.frame_shape, clips.length, targets, *shape)
    _initialize(network, seed)
    rate: Any = sizes.rate
    if sizes.decay:
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    optimizer = keras.optimizers.Adam(rate, epsilon=1e-8)
    network.compile(optimizer, loss=[cross_entropy] * len(targets))
    counter = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: progress(batch + 1, steps)
    )
    generator = np.random.default_rng([seed, 1])
    batches = _batches(clips, steps, sizes.batch, generator)
    options = {"steps_per_epoch": steps, "shuffle": False, "verbose": 0}
    network.fit(batches, callbacks=[counter], **options)
    # Without the optimizer, which would make its file three times as large.
    judge = ClipJudge.from_config(network.get_config())
    judge.set_weights(network.get_weights())
    return judge


def _initialize(judge: ClipJudge, seed: int) -> None:
    """Draw all kernels as PyTorch does, the same on every backend."""
    generator = np.random.default_rng([seed, 0])
    for weight in judge.trainable_weights:
        if len(weight.shape) > 1:
            bound = np.prod(weight.shape[:-1]) ** -0.5
            weight.assign(generator.uniform(-bound, bound, weight.shape))


def _batches(
    clips: ClipSet, steps: int, batch: int, generator: np.random.Generator
) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Clips and labels of drawn rows, read when they are asked for."""
    for _ in range(steps):
        rows = generator.integers(len(clips), size=batch)
        yield clips.images(rows), tuple(part[rows] for part in clips.truth.values())
