"""How much of what moves in a sequence z explains; needs no label."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.evaluation.measure import Headline, Measure, aligned

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike

    from keras_ddr.codes import Codes
    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.evaluation.measure import Material
    from keras_ddr.sequence_model import SequenceModel

__all__ = [
    "LITTLE",
    "Motion",
    "MotionScore",
    "SequenceMotion",
    "median_explained",
    "motion_explained",
    "principal_motion",
]

LITTLE = 0.3
"""Share of the motion of a sequence below which z is said to explain little."""
_STILL = 1e-6  # variance of intensities that is noise of rounding at most
_NAMED = 5  # sequences that the table names
_ENOUGH, _FEWEST = 10_000, 32  # frames of all sequences, and of each at least


@dataclasses.dataclass(frozen=True)
class SequenceMotion:
    """Motion of one sequence.

    Attributes:
        name: Name of the sequence.
        explained: Share of its motion that z explains, at most 1; below 0 where the
            pictures that z gives move otherwise. NaN where nothing moves.
        principal: The same of as many principal components as z has dimensions, fitted
            to these frames: the best that is linear in the pixels.
        mse: Mean squared error of the reconstructions.
        still_mse: Mean squared error of the mean picture in place of each frame.
        frames: Number of frames.
    """

    name: str
    explained: float
    principal: float
    mse: float
    still_mse: float
    frames: int


@dataclasses.dataclass(frozen=True)
class MotionScore:
    """Motion of all sequences.

    Attributes:
        explained: Median of the sequences that move.
        principal: Median of the principal components.
        mse: Mean over the sequences.
        still_mse: Mean over the sequences.
        dimensions: Dimensions of z, and number of principal components.
        sequences: List of `SequenceMotion`.
    """

    explained: float
    principal: float
    mse: float
    still_mse: float
    dimensions: int
    sequences: list[SequenceMotion]


@dataclasses.dataclass(frozen=True)
class Motion(Measure):
    """Share of the motion of each sequence that z explains, see `motion_explained`.

    A sequence whose share is low holds changes that z does not follow, whatever the
    mean squared error says: one picture for all frames can be close to each of them.

    Attributes:
        frames: Largest number of random frames of each sequence. Where sequences are
            many it falls to 32, so that they have about 10,000 together.
    """

    frames: int = 128

    name = "motion"
    about = "share of what moves that z explains"

    def run(self, material: Material) -> MotionScore:
        """See `Measure`."""
        test, model = material.test, material.model
        share = _ENOUGH // max(len(test.sequences), 1)
        frames = min(self.frames, max(share, _FEWEST))
        found = [
            sequence_motion(model, test.store, s, codes, frames, material.seed)
            for s, codes in zip(test.sequences, test.codes, strict=True)
        ]
        moving = [m for m in found if not np.isnan(m.explained)]
        if not moving:
            raise InputError("nothing moves in the sequences")
        return MotionScore(
            explained=median_explained(m.explained for m in moving),
            principal=float(np.median([m.principal for m in moving])),
            mse=float(np.mean([m.mse for m in found])),
            still_mse=float(np.mean([m.still_mse for m in found])),
            dimensions=model.dynamic_dim,
            sequences=found,
        )

    def lines(self, score: MotionScore) -> list[str]:
        """See `Measure`."""
        count = len(score.sequences)
        components = f"{score.dimensions} PCs"
        ranked = sorted(score.sequences, key=lambda motion: motion.explained)
        rows: list[tuple[str, MotionScore | SequenceMotion]]
        rows = [("median, mean mse", score), *((m.name, m) for m in ranked[:_NAMED])]
        lines = [
            f"Motion within {count} sequence{'' if count == 1 else 's'}: share that z "
            "explains; least first",
            *aligned(
                ["sequence", "z", components, "mse", "mse of its mean picture"],
                [
                    [
                        name if len(name) <= 40 else f"…{name[-39:]}",
                        f"{row.explained:.3f}",
                        f"{row.principal:.3f}",
                        f"{row.mse:.5f}",
                        f"{row.still_mse:.5f}",
                    ]
                    for name, row in rows
                ],
            ),
        ]
        little = sum(motion.explained < LITTLE for motion in score.sequences)
        if little:
            lines.append(
                f"z explains less than {LITTLE:g} of the motion of {little} of them; "
                "metrics.json lists all."
            )
        return lines

    def headlines(self, score: MotionScore) -> dict[str, Headline]:
        """See `Measure`."""
        return {"motion explained by z": Headline(score.explained)}


def sequence_motion(
    model: SequenceModel,
    store: FrameStore,
    sequence: Sequence,
    codes: Codes,
    frames: int = 128,
    seed: int = 0,
) -> SequenceMotion:
    """Motion of a sequence with these codes, of at most `frames` random frames."""
    generator = np.random.default_rng([seed, sequence.index])
    chosen = np.sort(generator.permutation(sequence.length)[:frames])
    truth = store.frames(sequence.index, chosen).astype("float32") / 255.0
    images = model.decode(codes.static.mean, codes.dynamic.mean[chosen])
    return SequenceMotion(
        name=sequence.name,
        explained=motion_explained(images, truth),
        principal=principal_motion(truth, model.dynamic_dim),
        mse=float(np.square(images - truth).mean()),
        still_mse=float(truth.var(axis=0).mean()),
        frames=len(chosen),
    )


def motion_explained(predicted: ArrayLike, truth: ArrayLike) -> float:
    """Share of the motion of a sequence that pictures made of z explain.

    1 − Σ‖(x − x̄) − (x̂ − x̂̄)‖² / Σ‖x − x̄‖² over the frames, with x̄ and x̂̄ the mean
    pictures: an error that all frames share, as of a person's looks, does not count.

    Args:
        predicted: `(T, H, W, C)` in [0, 1], x̂.
        truth: Same shape, x.

    Returns:
        A number, at most 1; NaN where the frames are all alike.

    Raises:
        InputError: The shapes differ.
    """
    predicted, truth = np.asarray(predicted, "float32"), np.asarray(truth, "float32")
    if predicted.shape != truth.shape:
        raise InputError(f"images of shapes {predicted.shape} and {truth.shape} differ")
    still = truth.var(axis=0, dtype="float64").mean()
    if still < _STILL:
        return float("nan")
    return float(1 - (truth - predicted).var(axis=0, dtype="float64").mean() / still)


def median_explained(shares: Iterable[float]) -> float:
    """Median of the shares of sequences that move, `motion_explained`; NaN of none."""
    moving = [share for share in shares if not np.isnan(share)]
    return float(np.median(moving)) if moving else float("nan")


def principal_motion(truth: ArrayLike, components: int) -> float:
    """Share of the motion that the first principal components of a sequence explain.

    Args:
        truth: `(T, H, W, C)`.
        components: Number of components.

    Returns:
        A number in [0, 1]; NaN where the frames are all alike.
    """
    frames = np.asarray(truth, "float32").reshape(len(np.asarray(truth)), -1)
    frames = frames - frames.mean(axis=0)
    if np.square(frames).mean() < _STILL:
        return float("nan")
    variances = np.linalg.eigvalsh(frames @ frames.T)[::-1]
    return float(variances[:components].sum() / variances.sum())
