"""MSD score: does the judge see what was kept, and chance of what was drawn anew?"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from keras_ddr.evaluation.protocol import JudgeScore, TargetScore

__all__ = ["MSDScore", "msd_score"]


@dataclasses.dataclass(frozen=True)
class MSDScore:
    """Scores in [0, 1]; 1 is perfect.

    Attributes:
        static: With f kept and z drawn.
        dynamic: With z~ kept and f drawn.
        dynamic_raw: With raw z kept and f drawn.
        mean: Of `static` and `dynamic`.
    """

    static: float
    dynamic: float
    dynamic_raw: float
    mean: float

    @classmethod
    def of(cls, judge: JudgeScore) -> Self:
        """The scores that follow from a `protocol.JudgeScore`."""
        attributes = list(judge.attributes)

        def score(
            settings: Mapping[str, TargetScore], kept: list[str], others: list[str]
        ) -> float:
            return msd_score(
                [settings[name].accuracy for name in kept],
                [settings[name].accuracy for name in others],
                [settings[name].chance for name in others],
            )

        static = score(judge.fixed_content, attributes, [judge.action])
        dynamic, raw = (
            score(settings, [judge.action], attributes)
            for settings in (judge.fixed_dynamics, judge.fixed_dynamics_raw)
        )
        return cls(static, dynamic, raw, (static + dynamic) / 2)


def msd_score(kept: ArrayLike, others: ArrayLike, chances: ArrayLike) -> float:
    """1 − (on + off) / 2.

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
