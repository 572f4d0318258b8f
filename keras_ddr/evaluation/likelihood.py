"""The ELBO and its parts, and the importance-sampled log-likelihood."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.evaluation import intervals
from keras_ddr.evaluation.measure import Headline, Measure, aligned, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import Sequence
    from keras_ddr.evaluation.measure import Material
    from keras_ddr.sequence_model import SequenceModel
    from keras_ddr.typing import Interval

__all__ = ["Likelihood", "LikelihoodScore"]

_BATCH = 16  # sets a call


@dataclasses.dataclass(frozen=True)
class LikelihoodScore:
    """All in nats a frame; N is the number of frames of a set.

    Values of models with different likelihoods must not be compared.

    Attributes:
        elbo: E[log p(x | f, z)] − KL z − KL f, each divided by N; both KL terms have
            the factor 1, whatever the model was trained with.
        log_prob: E[log p(x | f, z)] with one draw of f and z.
        kl_dynamic: KL(q(z | f, x) ‖ p(z | f)).
        kl_static: KL(q(f | x_S) ‖ p(f)), divided by N.
        interval: That of `elbo`.
        sets: Number of sets, one of each sequence.
        log_likelihood: Importance-sampled log p(x), of `sampled_sets` of them, whose
            ELBO is `sampled_elbo`, with `samples` draws of f.
        effective_sample_size: Mean over these sets, between 1 and `samples`; near 1
            means that `log_likelihood` is too low.
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


@dataclasses.dataclass(frozen=True)
class Likelihood(Measure):
    """ELBO of one random set of each sequence, and log p(x) of some of these sets.

    NumPy makes the sets and all draws, so that they are the same on every backend.

    Attributes:
        sampled: Largest number of sets for log p(x), which takes `samples` times as
            long as the ELBO.
        samples: Draws of f for log p(x).
    """

    sampled: int = 32
    samples: int = 64

    name = "likelihood"
    about = "ELBO and its parts, importance-sampled log p(x)"
    counted = "log-likelihoods found"
    needs = frozenset()  # sets are encoded here, each on its own
    methods = ("sampled_elbo", "log_likelihood")

    def run(self, material: Material) -> LikelihoodScore:
        """See `Measure`."""
        model, store, seed = material.model, material.store, material.seed
        length = model.set_size
        sequences = [s for s in material.test.sequences if s.length >= length]
        positions = choose_sets(sequences, model, seed)
        generator = np.random.default_rng([seed, 1])
        indices = np.array([sequence.index for sequence in sequences])
        parts = []
        for start in range(0, len(sequences), _BATCH):
            batch = slice(start, start + _BATCH)
            frames = store.gather(indices[batch], positions[batch])
            parts.append(model.sampled_elbo(frames, generator) / length)
        parts = np.concatenate(parts)
        elbo = parts[:, 0] - parts[:, 1] - parts[:, 2]
        chosen = np.sort(generator.permutation(len(sequences))[: self.sampled])
        values, sizes = [], []
        for count, i in enumerate(chosen, start=1):
            frames = store.frames(sequences[i].index, positions[i])
            found = model.log_likelihood(frames, samples=self.samples, seed=seed)
            values.append(found.value)
            sizes.append(found.effective_sample_size)
            material.progress(count, len(chosen))
        log_prob, kl_dynamic, kl_static = parts.mean(axis=0).tolist()
        return LikelihoodScore(
            elbo=float(elbo.mean()),
            log_prob=log_prob,
            kl_dynamic=kl_dynamic,
            kl_static=kl_static,
            interval=intervals.mean_interval(elbo, seed=seed),
            sets=len(sequences),
            frames_per_set=length,
            log_likelihood=float(np.mean(values)),
            log_likelihood_interval=intervals.mean_interval(values, seed=seed),
            effective_sample_size=float(np.mean(sizes)),
            sampled_elbo=float(elbo[chosen].mean()),
            sampled_sets=len(chosen),
            samples=self.samples,
        )

    def lines(self, score: LikelihoodScore) -> list[str]:
        """See `Measure`."""
        s = score
        log_likelihood = s.log_likelihood, s.log_likelihood_interval
        size = number(s.effective_sample_size, digits=1)
        rows = [
            ["ELBO", number(s.elbo, s.interval, 2)],
            ["  log p(x|f,z)", number(s.log_prob, digits=2)],
            ["  KL of z", number(s.kl_dynamic, digits=2)],
            ["  KL of f, divided by the frames", number(s.kl_static, digits=2)],
            [f"log p(x) of {s.sampled_sets} sets", number(*log_likelihood, 2)],
            ["  ELBO of these", number(s.sampled_elbo, digits=2)],
            [f"  effective of {s.samples} draws", size],
        ]
        head = f"Likelihood of {s.sets} sets of {s.frames_per_set} frames, nats a frame"
        return [head, *aligned(["measure", "value"], rows)]

    def headlines(self, score: LikelihoodScore) -> dict[str, Headline]:
        """See `Measure`."""
        elbo = Headline(score.elbo, score.interval, digits=1)
        return {"ELBO, nats a frame": elbo}


def choose_sets(
    sequences: list[Sequence], model: SequenceModel, seed: int = 0
) -> NDArray[np.integer]:
    """Positions `(sequences, set_size)` of a random set of frames, or window, each."""
    size, stride = model.set_size, model.frame_stride
    if model.frame_order == "random":
        stride = 1
    span = (size - 1) * stride + 1
    if not sequences or min(s.length for s in sequences) < span:
        raise InputError(f"a set spans {span} frames, and no sequence is that long")
    generator = np.random.default_rng([seed, 0])
    if model.frame_order == "random":
        return np.stack([generator.permutation(s.length)[:size] for s in sequences])
    starts = [generator.integers(s.length - span + 1) for s in sequences]
    return np.array(starts)[:, None] + stride * np.arange(size)
