"""Scores of a judge: accuracies, entropies and the MSD score."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from keras_ddr.typing import Interval

__all__ = [
    "Entropies",
    "JudgeScore",
    "MSDScore",
    "TargetScore",
    "entropies",
    "msd_score",
]


@dataclasses.dataclass(frozen=True)
class Entropies:
    """Entropies of a judge's probabilities p(y | x), in nats.

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
    """Success of the judge with one target.

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
class MSDScore:
    """Scores in [0, 1]; 1 is perfect.

    Attributes:
        static: With f kept and z drawn.
        dynamic: With z̃ kept and f drawn.
        dynamic_raw: With raw z kept and f drawn.
        mean: Mean of `static` and `dynamic`.
    """

    static: float
    dynamic: float
    dynamic_raw: float
    mean: float


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
        ceiling: Largest held-out accuracy of the action that is possible where some
            poses look the same, or `None` where that is not known.
        steps: Training steps of the judge, or `None`.
        msd: `MSDScore` that follows from the accuracies.
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
    msd: MSDScore


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
    from scipy.special import entr

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


def msd_score(kept: ArrayLike, others: ArrayLike, chances: ArrayLike) -> float:
    """1 − (on + off) / 2: does the judge see what was kept, and the rest by chance?

    Args:
        kept: Accuracies in [0, 1] of the factors that were kept; `on` is the mean of
            abs(accuracy − 1).
        others: Accuracies of those that were drawn anew; `off` is the mean of
            abs(accuracy − chance).
        chances: Chance of each of these.

    Returns:
        A number in [0, 1].

    Example:
        >>> msd_score([1.0], [0.25], [0.25])
        1.0

    References:
        The static and dynamic form of the score of MSD-Benchmark.
    """
    on = np.abs(np.asarray(kept, float) - 1.0).mean()
    off = np.abs(np.asarray(others, float) - np.asarray(chances, float)).mean()
    return float(1.0 - (on + off) / 2)
