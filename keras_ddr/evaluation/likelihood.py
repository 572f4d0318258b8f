"""The ELBO and its parts, and the importance-sampled log-likelihood."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from keras import ops

from keras_ddr.arguments import check_whole
from keras_ddr.errors import InputError
from keras_ddr.evaluation import intervals
from keras_ddr.gaussian import DiagonalGaussian

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.model import DDR
    from keras_ddr.typing import Interval, Progress, Tensor

__all__ = ["LikelihoodScore", "choose_sets", "elbo_of_sets", "measure_likelihood"]

_BATCH = 16  # sets a call


@dataclasses.dataclass(frozen=True)
class LikelihoodScore:
    """All in nats a frame; N is the number of frames of a set.

    Values of models with different likelihoods must not be compared.

    Attributes:
        elbo: E[log p(x | f, z)] − KL z − KL f, each divided by N; with the factor 1 on
            both KL terms, whatever the model was trained with.
        log_prob: E[log p(x | f, z)] with one draw of f and z.
        kl_dynamic: KL(q(z | f, x) ‖ p(z | f)).
        kl_static: KL(q(f | x_S) ‖ p(f)), divided by N.
        interval: 95 % interval `(low, high)` of `elbo` from resampled sequences, or
            `None`.
        sets: Number of sets, one of each sequence.
        frames_per_set: N.
        log_likelihood: Importance-sampled log p(x), of some of the sets.
        log_likelihood_interval: Its interval.
        effective_sample_size: Mean over these sets, between 1 and `samples`; near 1
            means that `log_likelihood` is too low.
        sampled_elbo: ELBO of the same sets.
        sampled_sets: Their number.
        samples: Number of draws of f.
    """

    elbo: float
    log_prob: float
    kl_dynamic: float
    kl_static: float
    interval: Interval | None
    sets: int
    frames_per_set: int
    log_likelihood: float
    log_likelihood_interval: Interval | None
    effective_sample_size: float
    sampled_elbo: float
    sampled_sets: int
    samples: int


def measure_likelihood(
    model: DDR,
    store: FrameStore,
    sequences: list[Sequence],
    *,
    sampled: int = 32,
    samples: int = 64,
    seed: int = 0,
    done: Progress | None = None,
) -> LikelihoodScore:
    """ELBO of one random set of each sequence, and log-likelihood of some of them.

    Args:
        model: `DDR`.
        store: `FrameStore`.
        sequences: List of `Sequence` with at least N frames.
        sampled: Largest number of sequences for the log-likelihood, which takes
            `samples` times as long as the ELBO.
        samples: Draws of f for the log-likelihood.
        seed: Of the sets and of all draws, which are made by NumPy, so that they are
            the same on every backend.
        done: Called with (sets done, all sets) now and then, or `None`.

    Returns:
        `LikelihoodScore`.
    """
    if not hasattr(model, "sampled_elbo"):
        raise InputError("a likelihood takes a DDR; this model has no sampled_elbo")
    check_whole(sequences=len(sequences), sampled=sampled, samples=samples)
    number = model.frames_per_set
    positions = choose_sets(sequences, number, seed)
    generator = np.random.default_rng([seed, 1])
    parts = []
    for start in range(0, len(sequences), _BATCH):
        batch = slice(start, start + _BATCH)
        indices = [sequence.index for sequence in sequences[batch]]
        frames = store.gather(indices, positions[batch])
        parts.append(model.sampled_elbo(frames, generator) / number)
    parts = np.concatenate(parts)
    elbo = parts[:, 0] - parts[:, 1] - parts[:, 2]
    chosen = np.sort(generator.permutation(len(sequences))[:sampled])
    values, sizes = [], []
    for count, i in enumerate(chosen, start=1):
        frames = store.frames(sequences[i].index, positions[i])
        found = model.log_likelihood(frames, samples=samples, seed=seed)
        values.append(found.value)
        sizes.append(found.effective_sample_size)
        if done is not None:
            done(count, len(chosen))
    log_prob, kl_dynamic, kl_static = parts.mean(axis=0).tolist()
    return LikelihoodScore(
        elbo=float(elbo.mean()),
        log_prob=log_prob,
        kl_dynamic=kl_dynamic,
        kl_static=kl_static,
        interval=intervals.mean_interval(elbo, seed=seed),
        sets=len(sequences),
        frames_per_set=number,
        log_likelihood=float(np.mean(values)),
        log_likelihood_interval=intervals.mean_interval(values, seed=seed),
        effective_sample_size=float(np.mean(sizes)),
        sampled_elbo=float(elbo[chosen].mean()),
        sampled_sets=len(chosen),
        samples=samples,
    )


def choose_sets(
    sequences: list[Sequence], number: int, seed: int = 0
) -> NDArray[np.integer]:
    """Positions of `number` distinct random frames of each sequence.

    Args:
        sequences: List of `Sequence`.
        number: N, at most the length of the shortest sequence.
        seed: Of the choice.

    Returns:
        Integers `(sequences, N)`.
    """
    generator = np.random.default_rng([seed, 0])
    return np.stack([generator.permutation(s.length)[:number] for s in sequences])
