"""Scores of a judge: of one target, of all settings, and MSD-Benchmark's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.evaluation import intervals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import Interval


@dataclasses.dataclass(frozen=True)
class TargetScore:
    """Success of the judge with one target, on the frames that have its label.

    Attributes:
        accuracy: Share of frames in which it named the class of the original.
        chance: 1 / `classes`.
        interval: That of `accuracy`.
        entropies: Of its probabilities p(y | x), in nats: "conditional", the mean of
            H(y | x), is low where the judge is sure; "marginal" is H(y) of the mean;
            "inception_score" is exp(H(y) − H(y | x)), from 1 to `classes`;
            "confidence" is the mean of the largest probability.
    """

    accuracy: float
    chance: float
    interval: Interval | None
    entropies: dict[str, float]
    classes: int
    frames: int


@dataclasses.dataclass(frozen=True)
class JudgeScore:
    """Scores in several settings, each a dict name of a target → `TargetScore`.

    Attributes:
        action: Name of the target of frames.
        attributes: Names of the targets of sequences.
        held_out: Real frames that the judge was not trained on: read this first,
            since no other number can be trusted beyond it.
        reconstructed: f and z kept: what blur alone costs.
        fixed_dynamics: z̃ kept, f ~ p(f): the action should stay, and attributes fall
            to chance.
        fixed_dynamics_raw: The same with raw z kept.
        fixed_content: f kept, z ~ p(z | f): attributes should stay, and the action
            fall to chance.
        swapped: z̃ kept, f of another sequence: as `fixed_dynamics`, with an f that is
            known to be somebody. Where this is good and `fixed_dynamics` is not, p(f)
            has places at which the decoder has learned nothing. `None` with one
            sequence.
        fixed_dynamics_fitted: z̃ kept, f drawn from the model's fitted density; `None`
            where it has none.
        worst_cell: Least confidence in a cell of the 9 × 9 grid that `plot_manifold`
            draws, as a share of that in real frames: the mean of all targets and of 20
            sequences; `None` likewise.
        new_combinations: Share of these draws whose attributes together, as the judge
            names them, are those of no sequence of train; `None` likewise.
        ceiling: Largest held-out accuracy of the action that is possible where some
            poses look the same, or `None` where that is not known.
        steps: Training steps of the judge, or `None`.
        msd: Scores of MSD-Benchmark in their static and dynamic form, 1 is perfect:
            "static" with f kept and z drawn, "dynamic" with z̃ kept and f drawn,
            "dynamic_raw" with raw z kept, and the "mean" of the first two.
    """

    action: str
    attributes: tuple[str, ...]
    held_out: dict[str, TargetScore]
    reconstructed: dict[str, TargetScore]
    fixed_dynamics: dict[str, TargetScore]
    fixed_dynamics_raw: dict[str, TargetScore]
    fixed_content: dict[str, TargetScore]
    swapped: dict[str, TargetScore] | None
    fixed_dynamics_fitted: dict[str, TargetScore] | None
    worst_cell: float | None
    new_combinations: float | None
    ceiling: float | None
    steps: int | None
    msd: dict[str, float]


def entropies(probabilities: NDArray[np.floating]) -> dict[str, float]:
    """H(y | x), H(y), inception score and confidence of p(y | x), `(n, classes)`."""
    from scipy.special import entr

    conditional = entr(probabilities).sum(axis=1).mean()
    marginal = entr(probabilities.mean(axis=0)).sum()
    return {
        "conditional": float(conditional),
        "marginal": float(marginal),
        "inception_score": float(np.exp(marginal - conditional)),
        "confidence": float(probabilities.max(axis=1).mean()),
    }


def msd_score(
    found: Mapping[str, TargetScore], kept: list[str], others: list[str]
) -> float:
    """1 − (on + off) / 2: does the judge see what was kept, and the rest by chance?"""
    on = np.mean([abs(found[name].accuracy - 1.0) for name in kept])
    off = np.mean([abs(found[name].accuracy - found[name].chance) for name in others])
    return float(1.0 - (on + off) / 2)


def target_score(
    probabilities: NDArray[np.float64],
    truth: NDArray[np.integer],
    owner: NDArray[np.integer],
    seed: int,
) -> TargetScore:
    """Score of one target; −1 in `truth` is no label."""
    known = truth >= 0
    probabilities, truth, owner = probabilities[known], truth[known], owner[known]
    right = probabilities.argmax(axis=1) == truth
    return TargetScore(
        accuracy=float(right.mean()),
        chance=1.0 / probabilities.shape[1],
        interval=intervals.mean_interval(right, owner, seed),
        entropies=entropies(probabilities),
        classes=probabilities.shape[1],
        frames=len(truth),
    )
