"""Hidden Markov models whose states are Gaussians: forward-backward, Baum-Welch.

The Gaussians are those of a mixture: the states stay the same, and each frame heeds
its neighbours. (hmmlearn would do more, but is in limited maintenance.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from keras_ddr.mixture import GaussianMixture

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STAY = 0.9  # first guess of the probability that a state goes on
_PRIOR = 0.1  # changes that count as seen before any was
_ITERATIONS = 50
_TOLERANCE = 1e-4  # nats a frame


class Smoothed(NamedTuple):
    """Results of `smooth`; B runs of at most T frames, K states.

    Attributes:
        probabilities: Of the states given the whole run, `(B, T, K)`.
        changes: Expected number of steps from state to state `(K, K)`.
        log_prob: Log-density of each frame, given those before it, in nats `(B, T)`;
            0 where there is none.
    """

    probabilities: NDArray[np.float64]
    changes: NDArray[np.float64]
    log_prob: NDArray[np.float64]


def smooth(
    log_density: NDArray[np.float64],
    start: NDArray[np.float64],
    transitions: NDArray[np.float64],
    known: NDArray[np.bool_] | None = None,
) -> Smoothed:
    """States of runs of frames, by the forward-backward algorithm.

    Args:
        log_density: Of each frame under each state, `(B, T, K)`.
        start: Probabilities of the first state `(K,)`.
        transitions: Probability of the next state (columns) given one, `(K, K)`.
        known: `(B, T)`, false from where a run has ended; all true where `None`.
    """
    if known is None:
        known = np.ones(log_density.shape[:2], bool)
    # A frame that is not there says nothing.
    log_density = np.where(known[..., None], log_density, 0.0)
    peak = log_density.max(axis=-1, keepdims=True)
    # Time first, so that each step has its numbers together.
    density = np.exp(log_density - peak).swapaxes(0, 1)
    forward, scale = np.empty_like(density), np.empty((*density.shape[:2], 1))
    predicted = np.broadcast_to(start, density.shape[1:])
    for t in range(len(density)):
        forward[t] = predicted * density[t]
        scale[t] = forward[t].sum(axis=-1, keepdims=True)
        forward[t] /= scale[t]
        predicted = forward[t] @ transitions
    ahead = density / scale  # becomes what is seen from t on, given the state at t
    backward = np.ones_like(density)
    for t in reversed(range(len(density) - 1)):
        ahead[t + 1] *= backward[t + 1]
        backward[t] = ahead[t + 1] @ transitions.T
    counted = ahead[1:] * known.T[1:, :, None]
    changes = transitions * np.einsum("tbi,tbj->ij", forward[:-1], counted)
    log_prob = np.log(scale[..., 0]).T + peak[..., 0]
    return Smoothed((forward * backward).swapaxes(0, 1), changes, log_prob)


@dataclasses.dataclass(frozen=True)
class HiddenMarkov:
    """Gaussian states that follow each other.

    Attributes:
        gaussians: `GaussianMixture`; its weights are those of the first frame.
        transitions: Probability of the next state (columns) given one, `(K, K)`.
    """

    gaussians: GaussianMixture
    transitions: NDArray[np.float64]

    @classmethod
    def fit(
        cls, gaussians: GaussianMixture, runs: Sequence[NDArray[np.float64]]
    ) -> Self:
        """Learn how states follow each other, by Baum and Welch; Gaussians stay.

        Args:
            gaussians: The states.
            runs: Frames in order `(T, D)`, at least one run; of about the same length,
                or memory is wasted.

        Returns:
            `HiddenMarkov`.
        """
        number = len(gaussians.weights)
        leave = (1 - _STAY) / (number - 1)
        guess = np.full((number, number), leave)
        np.fill_diagonal(guess, _STAY)
        even = np.full(number, 1 / number)
        found, before = cls(gaussians.weighted(even), guess), -np.inf
        for _ in range(_ITERATIONS):
            smoothed, known = found._smooth(runs)
            total = smoothed.log_prob.sum()
            if total < before + _TOLERANCE * known.sum():
                break
            before = total
            # A run may begin with any state, also one that none began with so far.
            start = smoothed.probabilities[:, 0].sum(axis=0) + _PRIOR
            changes = smoothed.changes + _PRIOR
            found = cls(
                gaussians.weighted(start / start.sum()),
                changes / changes.sum(axis=1, keepdims=True),
            )
        return found

    def _smooth(
        self, runs: Sequence[NDArray[np.float64]]
    ) -> tuple[Smoothed, NDArray[np.bool_]]:
        """Runs side by side, and which of their frames are there."""
        lengths = np.array([len(run) for run in runs])
        known = np.arange(lengths.max()) < lengths[:, None]
        density = np.zeros((*known.shape, len(self.transitions)))
        density[known] = self.gaussians.component_log_prob(np.concatenate(runs))
        start = self.gaussians.weights
        return smooth(density, start, self.transitions, known), known

    def responsibilities(
        self, runs: Sequence[NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """Probabilities of the states, given all frames of a run.

        Args:
            runs: Frames in order, a list of `(T, D)`.

        Returns:
            Probabilities `(n, K)` of the frames of all runs, one after the other.
        """
        smoothed, known = self._smooth(runs)
        return smoothed.probabilities[known]

    def log_prob(self, runs: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Log-density of each frame, given those before it in its run.

        Args:
            runs: Frames in order, a list of `(T, D)`.

        Returns:
            Nats `(n,)` of the frames of all runs, one after the other.
        """
        smoothed, known = self._smooth(runs)
        return smoothed.log_prob[known]

    def ordered(self, order: Sequence[int]) -> Self:
        """The same model with its states in this order."""
        return type(self)(
            self.gaussians.ordered(order), self.transitions[np.ix_(order, order)]
        )
