"""Draws of f from the fitted density: likely, and not copies of those of train."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.evaluation.measure import Measure, aligned, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.evaluation.measure import Material

__all__ = ["Draws", "DrawsScore"]


@dataclasses.dataclass(frozen=True)
class DrawsScore:
    """Distances are Euclidean, of f, and medians.

    Attributes:
        drawn: From a draw of the fitted density to the nearest f of train.
        held_out: From f of a sequence to score on to the nearest of train: draws that
            are copies are far nearer, and draws that are nobody are farther.
        among: From an f of train to the nearest other one.
        prior: From a draw of p(f) to the nearest of train.
        log_density: Mean log-density of f of the sequences to score on under the fitted
            density, in nats.
        log_prior: The same under p(f), if that is a standard normal.
        components: Number of Gaussians of the fitted density of f.
        draws: Number of draws.
    """

    drawn: float
    held_out: float
    among: float
    prior: float
    log_density: float
    log_prior: float
    components: int
    draws: int


@dataclasses.dataclass(frozen=True)
class Draws(Measure):
    """Compare draws of f with the f of sequences.

    Attributes:
        draws: Number of draws.
    """

    draws: int = 1000

    name = "draws"
    about = "f drawn from the fitted density beside f of sequences"
    needs = frozenset({"codes", "fit", "fit codes"})

    def run(self, material: Material) -> DrawsScore:
        """See `Measure`."""
        model = material.model
        if model.densities is None:
            raise InputError("the model has no densities (ddr fit --resume fits them)")
        generator = np.random.default_rng([material.seed, 6])
        density = model.densities.static
        train, test = material.fit.sequence_codes, material.test.sequence_codes
        if len(train) < 2:
            raise InputError("there is only one sequence to fit on")
        normal = -0.5 * (
            np.square(test).sum(axis=1) + test.shape[1] * np.log(2 * np.pi)
        )
        return DrawsScore(
            drawn=_nearest(density.sample(self.draws, generator), train),
            held_out=_nearest(test, train),
            among=_nearest(train, train, itself=True),
            prior=_nearest(model.draw_static(self.draws, generator), train),
            log_density=float(density.log_prob(test).mean()),
            log_prior=float(normal.mean()),
            components=density.components,
            draws=self.draws,
        )

    def lines(self, score: DrawsScore) -> list[str]:
        """See `Measure`."""
        rows = [
            ["draws of the fitted density", number(score.drawn)],
            ["sequences that are scored", number(score.held_out)],
            ["sequences of the fit, to another one", number(score.among)],
            ["draws of p(f)", number(score.prior)],
        ]
        return [
            "Draws of f: median distance to the nearest f of the sequences of the fit",
            *aligned(["f", "distance"], rows),
            f"Log-density of f of the scored sequences: {score.log_density:.1f} nats "
            f"fitted ({score.components} Gaussians),",
            f"{score.log_prior:.1f} under N(0, I).",
        ]


def _nearest(
    codes: NDArray[np.float32], others: NDArray[np.float32], itself: bool = False
) -> float:
    """Median distance to the nearest of others, but for a code that is among them."""
    from scipy.spatial import KDTree

    distances, _ = KDTree(others).query(codes, k=[2 if itself else 1])
    return float(np.median(distances))
