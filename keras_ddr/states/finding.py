"""States: clusters of z̃, and how many of them there are."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_ddr.arguments import check_choice, check_seed, check_whole
from keras_ddr.errors import InputError
from keras_ddr.evaluation.intervals import group_sums
from keras_ddr.mixture import GaussianMixture
from keras_ddr.states.markov import HiddenMarkov
from keras_ddr.states.runs import checked, person_of, runs_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.codes import Codes
    from keras_ddr.data.store import FrameStore
    from keras_ddr.data.store import Sequence as StoredSequence
    from keras_ddr.typing import Progress

__all__ = ["States", "Trial", "find_states"]

METHODS = ("mixture", "hmm")
STABLE = 0.8  # adjusted Rand index of fits that agree
_NUMBERS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20)
_SEEDS = 5
_POINTS = 4000  # frames that states are fitted to
_SCORED = 10000  # frames that fits are compared on
_PER_STATE = 5  # frames, at least
_LENGTH = 100  # most frames of a run that is fitted to or scored as one
_FLOOR = 1e-3  # smallest variance, as a share of the mean one


@dataclasses.dataclass(frozen=True)
class Trial:
    """A number of states that was tried.

    Attributes:
        number: States.
        score: Log-density of a frame of val in nats, the mean of its persons; without
            val that of the frames of the fit, less the penalty of the BIC.
        stability: Mean adjusted Rand index of the states of val, or of the frames of
            the fit, in pairs of five fits from other seeds and frames.
        persons: Score of each person `(P,)`; without val of all together, `(1,)`.
        behind: How far the score is behind the best one that was allowed.
        error: Standard error of `behind` over persons; 0 where it is not known.
        allowed: Whether it may be chosen: it is stable, or the nearest to it.
    """

    number: int
    score: float
    stability: float
    persons: NDArray[np.float64]
    behind: float = 0.0
    error: float = 0.0
    allowed: bool = True


@dataclasses.dataclass(frozen=True)
class States:
    """States of frames, clusters of z̃; see `find_states`.

    Attributes:
        model: `GaussianMixture`, or the `HiddenMarkov` of a hidden Markov model.
        trials: List of `Trial` by number, of all that were tried.
    """

    model: GaussianMixture | HiddenMarkov
    trials: list[Trial]

    @property
    def gaussians(self) -> GaussianMixture:
        """Densities of z̃ in the states, in their order."""
        return _gaussians(self.model)

    @property
    def names(self) -> list[str]:
        """Names of the states: "state 1" is the one with most frames."""
        return [f"state {k + 1}" for k in range(len(self.gaussians.weights))]

    @property
    def chosen(self) -> Trial:
        """The `Trial` with this number of states."""
        return next(t for t in self.trials if t.number == len(self.names))

    def predict(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probabilities of the states of frames.

        Args:
            scores: z̃ `(T, D)`; for a hidden Markov model of frames in order.

        Returns:
            `(T, K)`, rows that sum to 1.
        """
        return _predict(self.model, [np.asarray(scores, "float64")])


def find_states(
    store: FrameStore,
    encoded: Iterable[tuple[StoredSequence, Codes]],
    *,
    states: int | None = None,
    method: str = "mixture",
    seed: int = 0,
    progress: Progress | None = None,
) -> States:
    """Find states: parts of the space of z̃ in which frames come to lie.

    They are fitted to frames of train, or of all sequences where none is of train. The
    number of states is the smallest one that explains val as well as the best one does,
    within one standard error over persons, among those that five fits from other seeds
    find again (an adjusted Rand index of .8), or the one they agree on most where none
    is; without val it is the one with the best BIC among these.

    Motion is continuous. Where z̃ has no clusters, states share out a continuum: they
    are a convention, as steps of a scale are.

    Args:
        store: `FrameStore` of the sequences.
        encoded: Pairs (`Sequence`, `Codes`), as `encode_sequences` yields them.
        states: Number of states, at least 2; chosen where `None`.
        method: "mixture" for a mixture of Gaussians, which sees each frame by itself,
            or "hmm" for a hidden Markov model of the same Gaussians, by which a frame
            heeds its neighbours: states flicker less. It needs frames in order.
        seed: Of the choice of frames, and of the fits.
        progress: Called with (numbers tried, all).

    Returns:
        `States`, sorted by their share of the frames.

    Raises:
        InputError: An argument cannot be used, frames are too few or in no order, or z
            is not finite.
    """
    check_method(store, method)
    check_seed(seed=seed)
    if states is not None:
        check_whole(2, states=states)
    train, scored, every = _material(store, encoded, seed)
    number = sum(map(len, train))
    tried = [k for k in _NUMBERS if k * _PER_STATE <= number] or [2]
    tried = tried if states is None else [states]
    if tried[0] * _PER_STATE > number:
        raise InputError(
            f"states={tried[0]}: needs {_PER_STATE} frames a state, and there are "
            f"{number} to fit to; give fewer states, or more frames"
        )
    trials, models = [], {}
    for done, k in enumerate(tried, start=1):
        models[k], trial = _try(_fits(train, k, "mixture", seed), scored)
        trials.append(trial)
        if progress is not None:
            progress(done, len(tried))
    trials = _compared(trials)
    chosen = next(t for t in trials if t.allowed and t.behind <= t.error)
    best, k = models[chosen.number], chosen.number
    if method == "hmm":
        best, trial = _try(_fits(train, k, method, seed), scored)
        stable = dataclasses.replace(chosen, stability=trial.stability)
        trials = [stable if t is chosen else t for t in trials]
    found = _predict(best, every).argmax(axis=1)
    use = np.bincount(found, minlength=chosen.number)
    return States(best.ordered(np.argsort(-use).tolist()), trials)


def check_method(store: FrameStore, method: str) -> None:
    """Refuse a method that is none, or that frames in no order have no use for."""
    check_choice(METHODS, method=method)
    if method == "hmm" and not store.ordered:
        raise InputError(
            f"{store.path}: its frames are in no order in time, which a hidden Markov "
            "model needs; use method='mixture' (--method mixture)"
        )


class _Scored(NamedTuple):
    """Pieces of runs that fits are scored on, and the persons of their frames."""

    pieces: list[NDArray[np.float64]]
    owner: NDArray[Any]
    held_out: bool


def _material(
    store: FrameStore,
    encoded: Iterable[tuple[StoredSequence, Codes]],
    seed: int,
) -> tuple[list[NDArray[np.float64]], _Scored, list[NDArray[np.float64]]]:
    """Pieces of runs to fit to, those to score on (of val, or of the same), and all."""
    pieces: dict[str, list[NDArray[np.float64]]] = {"train": [], "val": [], "all": []}
    persons: dict[str, list[str]] = {split: [] for split in pieces}
    for sequence, scores in checked(encoded):
        for positions in runs_of(store, sequence):
            cuts = range(_LENGTH, len(positions), _LENGTH)
            parts = np.split(scores[positions], cuts)
            for split in {sequence.split, "all"} & set(pieces):
                pieces[split] += parts
                persons[split] += [person_of(sequence)] * len(parts)
    fitted = "train" if pieces["train"] else "all"
    split = "val" if pieces["val"] else fitted
    drawn = _draw(pieces[split], _SCORED, np.random.default_rng(seed))
    shown = [pieces[split][i] for i in drawn]
    names = [persons[split][i] for i in drawn]
    owner = np.repeat(names, [len(piece) for piece in shown])
    return pieces[fitted], _Scored(shown, owner, split != fitted), pieces["all"]


def _draw(
    pieces: Sequence[NDArray[Any]], most: int, generator: np.random.Generator
) -> NDArray[np.integer]:
    """Pieces by chance, until they have so many frames."""
    order = generator.permutation(len(pieces))
    count = np.cumsum([len(pieces[i]) for i in order])
    return order[: 1 + int(np.searchsorted(count, most))]


def _predict(
    model: GaussianMixture | HiddenMarkov, runs: list[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Probabilities of the states `(n, K)` of the frames of runs."""
    if isinstance(model, HiddenMarkov):
        return model.responsibilities(runs)
    return model.responsibilities(np.concatenate(runs))


def _log_prob(
    model: GaussianMixture | HiddenMarkov, runs: list[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Log-density of each frame `(n,)` of runs, given those before it if it matters."""
    if isinstance(model, HiddenMarkov):
        return model.log_prob(runs)
    return model.log_prob(np.concatenate(runs))


def _fits(
    train: Sequence[NDArray[np.float64]], number: int, method: str, seed: int
) -> list[GaussianMixture | HiddenMarkov]:
    """Models from several seeds, which choose their frames and first guesses."""
    fits: list[GaussianMixture | HiddenMarkov] = []
    every = np.concatenate(train)
    for each in range(_SEEDS):
        generator = np.random.default_rng([seed, number, each])
        points = every[generator.permutation(len(every))[:_POINTS]]
        floor = _FLOOR * max(float(points.var(axis=0).mean()), 1e-8)
        first = int(generator.integers(2**31))
        mixture = GaussianMixture.of_size(points, number, "full", floor, first)
        if method == "mixture":
            fits.append(mixture)
        else:
            pieces = [train[i] for i in _draw(train, _POINTS, generator)]
            fits.append(HiddenMarkov.fit(mixture, pieces))
    return fits


def _try(
    fits: Sequence[GaussianMixture | HiddenMarkov], scored: _Scored
) -> tuple[GaussianMixture | HiddenMarkov, Trial]:
    """The fit that explains the scored frames best, and its trial."""
    from sklearn.metrics import adjusted_rand_score

    densities = [_log_prob(fit, scored.pieces) for fit in fits]
    best = int(np.argmax([density.mean() for density in densities]))
    found = [_predict(fit, scored.pieces).argmax(axis=1) for fit in fits]
    pairs = itertools.combinations(found, 2)
    stability = float(np.mean([adjusted_rand_score(*pair) for pair in pairs]))
    if scored.held_out:
        rows = np.stack([densities[best], np.ones_like(densities[best])], axis=1)
        sums = group_sums(rows, scored.owner)
        persons = sums[:, 0] / sums[:, 1]
    else:
        frames = len(scored.owner)
        penalty = 0.5 * _free(fits[best]) * np.log(frames) / frames
        persons = densities[best].mean(keepdims=True) - penalty
    number = len(_gaussians(fits[best]).weights)
    return fits[best], Trial(number, float(persons.mean()), stability, persons)


def _gaussians(model: GaussianMixture | HiddenMarkov) -> GaussianMixture:
    return model.gaussians if isinstance(model, HiddenMarkov) else model


def _free(model: GaussianMixture | HiddenMarkov) -> int:
    """Free parameters."""
    number, size = _gaussians(model).means.shape
    of_each = size + size * (size + 1) // 2
    changes = number * (number - 1) if isinstance(model, HiddenMarkov) else 0
    return number * of_each + number - 1 + changes


def _compared(trials: list[Trial]) -> list[Trial]:
    """Trials with their distances to the best one among those that are stable."""
    least = min(STABLE, max(t.stability for t in trials))
    allowed = [t for t in trials if t.stability >= least]
    best = max(allowed, key=lambda t: t.score)
    numbers = {t.number for t in allowed}
    compared = []
    for trial in trials:
        apart = best.persons - trial.persons
        error = apart.std(ddof=1) / len(apart) ** 0.5 if len(apart) > 1 else 0.0
        behind, among = float(apart.mean()), trial.number in numbers
        compared.append(
            dataclasses.replace(trial, behind=behind, error=float(error), allowed=among)
        )
    return compared
