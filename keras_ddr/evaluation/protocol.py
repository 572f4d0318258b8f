"""The judge protocol: what a judge sees in frames with one code kept, one drawn anew.

A single-frame form of the protocol of C-DSVAE and others, which judges sequences of 8
ordered frames: numbers of the two are not comparable one by one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import entr

from keras_ddr.errors import InputError
from keras_ddr.evaluation import intervals
from keras_ddr.evaluation.judge import STEPS, train_judge
from keras_ddr.evaluation.targets import choose_targets, look_alike_ceiling

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.evaluation.encoded import EncodedSplit
    from keras_ddr.evaluation.judge import Judge
    from keras_ddr.evaluation.targets import Target
    from keras_ddr.model import DDR
    from keras_ddr.typing import Interval, Progress

__all__ = [
    "Entropies",
    "JudgeScore",
    "TargetScore",
    "entropies",
    "judge_codes",
    "judge_model",
]

_CHUNK = 256


@dataclasses.dataclass(frozen=True)
class Entropies:
    """Of a judge's probabilities p(y | x), in nats.

    Attributes:
        conditional: H(y | x), the mean entropy; low where the judge is sure.
        marginal: H(y), the entropy of the mean; at most log(classes).
        inception_score: exp(H(y) − H(y | x)), from 1 to the number of classes.
    """

    conditional: float
    marginal: float
    inception_score: float


@dataclasses.dataclass(frozen=True)
class TargetScore:
    """What the judge said of one target.

    Attributes:
        accuracy: Share of frames in which it named the class of the original.
        chance: 1 / number of classes.
        interval: 95 % interval `(low, high)` of `accuracy` from resampled sequences,
            or `None`.
        entropies: `Entropies` of its probabilities.
        classes: Number of classes.
        frames: Number of frames, those that have the label.
    """

    accuracy: float
    chance: float
    interval: Interval | None
    entropies: Entropies
    classes: int
    frames: int


@dataclasses.dataclass(frozen=True)
class JudgeScore:
    """What a judge sees; in each setting a dict name of a target → `TargetScore`.

    Attributes:
        action: Name of the target of frames.
        attributes: Names of the targets of sequences.
        held_out: Of real frames that the judge was not trained on: read this first,
            since no other number can be trusted beyond it.
        reconstructed: f and z kept: what blur alone costs.
        fixed_dynamics: z~ kept, f ~ p(f): the action should stay, and attributes fall
            to chance.
        fixed_dynamics_raw: The same with raw z kept.
        fixed_content: f kept, z ~ p(z | f): attributes should stay, and the action
            fall to chance.
        swapped: z~ kept, f of another sequence: as `fixed_dynamics`, with an f that is
            known to be somebody. Where this is good and `fixed_dynamics` is not, p(f)
            has places at which the decoder has learned nothing. `None` with one
            sequence.
        ceiling: Largest held-out accuracy of the action that is possible where some
            poses look the same, or `None` where that is not known.
        steps: Training steps of the judge, or `None`.
    """

    action: str
    attributes: tuple[str, ...]
    held_out: dict[str, TargetScore]
    reconstructed: dict[str, TargetScore]
    fixed_dynamics: dict[str, TargetScore]
    fixed_dynamics_raw: dict[str, TargetScore]
    fixed_content: dict[str, TargetScore]
    swapped: dict[str, TargetScore] | None
    ceiling: float | None
    steps: int | None


def judge_model(
    model: DDR,
    fit: EncodedSplit,
    test: EncodedSplit,
    *,
    attributes: Collection[str] | None = None,
    action: Collection[str] | None = None,
    judge: Judge | None = None,
    steps: int = STEPS,
    frames: int = 2000,
    seed: int = 0,
    done: Progress | None = None,
) -> JudgeScore:
    """Train a judge, unless there is one, and let it judge.

    Args:
        model: `DDR`.
        fit: `EncodedSplit` that the judge learns from; need not be encoded.
        test: `EncodedSplit` to judge, encoded.
        attributes: As for `targets.choose_targets`.
        action: As for `targets.choose_targets`.
        judge: `Judge` that was trained before; `attributes`, `action` and `steps` are
            not used then.
        steps: Training steps.
        frames: Largest number of frames that are judged in each setting.
        seed: Of every choice.
        done: Called with (steps done, all steps), or `None`.

    Returns:
        `JudgeScore`.

    Raises:
        InputError: There are no labels to judge by.
    """
    if judge is None:
        attributes, action = choose_targets(
            fit.store, fit.sequences, test.sequences, attributes, action
        )
        targets = [*attributes, action]
        # Refuses test frames without labels before the judge is trained.
        _choose_frames(test, targets, frames, seed)
        judge = train_judge(
            fit.store, fit.sequences, targets, steps=steps, seed=seed, done=done
        )
    return judge_codes(judge, model, test, frames=frames, seed=seed)


def judge_codes(
    judge: Judge, model: DDR, test: EncodedSplit, *, frames: int = 2000, seed: int = 0
) -> JudgeScore:
    """Let a judge see real frames, and frames with one code kept, one drawn anew.

    Args:
        judge: `Judge`, or anything with its `targets` and `predict`. The last target
            is the action, the others attributes.
        model: `DDR`.
        test: `EncodedSplit`, encoded.
        frames: Largest number of frames.
        seed: Of the choice of frames and of the draws.

    Returns:
        `JudgeScore`.

    Raises:
        InputError: No frame has one of the labels.
    """
    rows, truth = _choose_frames(test, judge.targets, frames, seed)
    generator = np.random.default_rng([seed, 4])
    f, z = test.frame_codes["f"][rows], test.frame_codes["z"][rows]
    new_f = generator.standard_normal(f.shape, "float32")
    kept = model.prior_of(new_f).sample(test.frame_codes["z~"][rows])
    new_z = model.prior_of(f).sample(generator.standard_normal(z.shape, "float32"))
    owner = test.owner[rows]
    indices = np.array([sequence.index for sequence in test.sequences])[owner]
    positions = test.position[rows]

    def real(part: slice) -> NDArray[np.float32]:
        frames = test.store.gather(indices[part], positions[part][:, None])[:, 0]
        return frames.astype(np.float32) / np.float32(255)

    def scores(
        images: Callable[[slice], NDArray[np.float32]],
    ) -> dict[str, TargetScore]:
        parts = [
            judge.predict(images(slice(start, start + _CHUNK)))
            for start in range(0, len(rows), _CHUNK)
        ]
        return {
            target.name: _score(
                np.concatenate([part[target.name] for part in parts]),
                truth[target.name],
                owner,
                seed,
            )
            for target in judge.targets
        }

    swapped = None
    if len(test.sequences) > 1:
        shift = generator.integers(1, len(test.sequences), size=len(rows))
        other_f = test.sequence_codes[(owner + shift) % len(test.sequences)]
        other_kept = model.prior_of(other_f).sample(test.frame_codes["z~"][rows])
        swapped = scores(lambda part: model.decode(other_f[part], other_kept[part]))
    *attributes, action = judge.targets
    return JudgeScore(
        action=action.name,
        attributes=tuple(target.name for target in attributes),
        held_out=scores(real),
        reconstructed=scores(lambda part: model.decode(f[part], z[part])),
        fixed_dynamics=scores(lambda part: model.decode(new_f[part], kept[part])),
        fixed_dynamics_raw=scores(lambda part: model.decode(new_f[part], z[part])),
        fixed_content=scores(lambda part: model.decode(f[part], new_z[part])),
        swapped=swapped,
        ceiling=look_alike_ceiling(test.store, test.sequences, action),
        steps=getattr(judge, "steps", None),
    )


def entropies(probabilities: ArrayLike) -> Entropies:
    """H(y | x), H(y) and the inception score.

    Args:
        probabilities: p(y | x), `(n, classes)` with n ≥ 1; rows sum to 1. Exact 0 and
            1, few rows and classes that never occur are fine.

    Returns:
        `Entropies`.

    Raises:
        InputError: There is no row, or rows are no probabilities.

    Example:
        >>> import numpy as np
        >>> entropies(np.eye(4)).inception_score
        4.0
    """
    p = np.asarray(probabilities, "float64")
    if p.ndim != 2 or not p.size:
        raise InputError(f"probabilities of shape {p.shape}; give (frames, classes)")
    if not np.isfinite(p).all() or (p < 0).any() or not (p.sum(axis=1) > 0).all():
        raise InputError("probabilities must be finite, at least 0 and not all 0")
    p = p / p.sum(axis=1, keepdims=True)
    conditional = entr(p).sum(axis=1).mean()
    marginal = entr(p.mean(axis=0)).sum()
    return Entropies(
        float(conditional), float(marginal), float(np.exp(marginal - conditional))
    )


def _choose_frames(
    test: EncodedSplit, targets: list[Target], frames: int, seed: int
) -> tuple[NDArray[np.integer], dict[str, NDArray[np.integer]]]:
    """Rows of frames, and their class numbers (−1 for none) for each target."""
    truth = {}
    for target in targets:
        classes = [target.of_sequence(test.store, s) for s in test.sequences]
        truth[target.name] = np.array(
            [
                classes[owner][position]
                for owner, position in zip(test.owner, test.position, strict=True)
            ]
        )
    rows = np.flatnonzero(np.any([part >= 0 for part in truth.values()], axis=0))
    order = np.random.default_rng([seed, 3]).permutation(len(rows))[:frames]
    rows = rows[np.sort(order)]
    for name, part in truth.items():
        if not (part[rows] >= 0).any():
            raise InputError(f"no frame to judge has the label {name}")
    return rows, {name: part[rows] for name, part in truth.items()}


def _score(
    probabilities: NDArray[np.float64],
    truth: NDArray[np.integer],
    owner: NDArray[np.integer],
    seed: int,
) -> TargetScore:
    known = truth >= 0
    probabilities, truth, owner = probabilities[known], truth[known], owner[known]
    right = probabilities.argmax(axis=1) == truth
    classes = probabilities.shape[1]
    return TargetScore(
        accuracy=float(right.mean()),
        chance=1.0 / classes,
        interval=intervals.mean_interval(right, owner, seed),
        entropies=entropies(probabilities),
        classes=classes,
        frames=len(truth),
    )
