"""Do f and z̃ give away how a sequence was recorded: its session, camera or batch?"""

from __future__ import annotations

import dataclasses
import textwrap
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.arguments import check_number, check_seed, check_whole
from keras_ddr.encoding import check_encoding
from keras_ddr.errors import InputError
from keras_ddr.evaluation import intervals
from keras_ddr.evaluation.encoded import EncodedSplit
from keras_ddr.evaluation.equal_error_rate import persons_of
from keras_ddr.evaluation.fixed_probes import pipeline
from keras_ddr.evaluation.measure import aligned
from keras_ddr.evaluation.probes import CODES

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.sequence_model import SequenceModel
    from keras_ddr.typing import Interval, Progress

__all__ = ["Confound", "Leak", "confounds"]

_FOLDS = 5
_WIDTH = 96  # characters of a line
# Fewer, and five people of each of two classes have eight, can be right by luck.
_FREEDOM = 6.0


@dataclasses.dataclass(frozen=True)
class Leak:
    """How often a class is read from one code.

    Attributes:
        value: Share of frames whose class is named right, in [0, 1]: the mean over
            sequences, and of that the mean over classes, so that chance is 1 / classes
            however many sequences each has.
        chance: 1 / number of classes.
        interval: Its 95 % interval over people, or `None` where these are too few.
    """

    value: float
    chance: float
    interval: Interval | None

    @property
    def found(self) -> bool:
        """Whether the whole interval lies above chance."""
        return self.interval is not None and self.interval[0] > self.chance

    @property
    def unclear(self) -> bool:
        """Whether chance is possible, and more than half way to perfect is, too."""
        if self.interval is None:
            return True
        return not self.found and self.interval[1] > (1 + self.chance) / 2

    def __str__(self) -> str:
        if self.interval is None:
            return _short(self.value)
        low, high = self.interval
        return f"{_short(self.value)}, {_short(low)} to {_short(high)}"


@dataclasses.dataclass(frozen=True)
class Confound:
    """Result of `confounds`.

    Attributes:
        label: Name of the label.
        people: Dict class → number of people.
        left_out: Classes of one person only, which nothing can be said of.
        crossed: Number of people with several classes.
        sequences: Number of sequences, and `frames` of frames that were read.
        folds: Number of parts that people were divided into.
        noise: Standard deviations of the posterior that were added to z, 0 for none.
        leaks: Dict "f", "z", "z~" → `Leak` of codes without noise.
        noisy: Dict "z", "z~" → `Leak` of codes with noise; empty for none.
    """

    label: str
    people: dict[str, int]
    left_out: list[str]
    crossed: int
    sequences: int
    frames: int
    folds: int
    noise: float
    leaks: dict[str, Leak]
    noisy: dict[str, Leak]

    def advice(self) -> str:
        """One sentence: what the codes give away, and what to do."""
        return f"{self._of_f()}; {self._of_motion()}."

    def notes(self) -> list[str]:
        """Sentences on what limits the conclusion."""
        found = []
        if self.left_out:
            names = ", ".join(self.left_out)
            found.append(f"Left out, for one person is there only: {names}.")
        if self._few():
            found.append(
                "Too few people: about five of each class are needed to tell a habit "
                "of the code from luck."
            )
        leaks = [*self.leaks.values(), *self.noisy.values()]
        if not self.crossed and any(leak.found for leak in leaks):
            found.append(
                f"Nobody has more than one {self.label}, so it may also be the people "
                "that differ."
            )
        return found

    def table(self) -> str:
        """The scores as plain text, with the advice and its limits."""
        groups = ", ".join(f"{k} ({n} people)" for k, n in self.people.items())
        chance = _short(self.leaks["f"].chance)
        header = ["code", "as it is"]
        header += [f"with --noise {self.noise:g}"] if self.noisy else []
        rows = []
        for code, leak in self.leaks.items():
            row = [code, _cell(leak)]
            if self.noisy:
                row.append(_cell(self.noisy[code]) if code in self.noisy else "")
            rows.append(row)

        def wrapped(*texts: str) -> list[str]:
            return [line for text in texts for line in textwrap.wrap(text, _WIDTH)]

        return "\n".join(
            [
                *wrapped(f"{self.label}: {groups}"),
                f"Read from {self.sequences} sequences ({self.frames} frames) by "
                f"probes that were fitted on other people ({self.folds} parts).",
                f"Share named right, beside a chance of {chance}, and its 95 % "
                "interval over people:",
                "",
                *aligned(header, rows),
                "",
                *textwrap.wrap(self.advice(), _WIDTH),
                *(
                    line
                    for note in self.notes()
                    for line in textwrap.wrap(note, _WIDTH)
                ),
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON."""
        said = {"advice": self.advice(), "notes": self.notes()}
        return {**dataclasses.asdict(self), **said}

    def _few(self) -> bool:
        return self.leaks["f"].interval is None

    def _of_f(self) -> str:
        """What f gives away."""
        leak, label = self.leaks["f"], self.label
        chance = f"chance {_short(leak.chance)}"
        if leak.found:
            return (
                f"f gives the {label} away ({leak}; {chance}), so compare people "
                f"within one {label} only"
            )
        if leak.unclear:
            return f"it stays open whether f knows the {label} ({leak}; {chance})"
        return f"f shows no sign of the {label} ({leak}; {chance})"

    def _of_motion(self) -> str:
        """What z̃ gives away, and whether noise helps."""
        leak, label = self.leaks["z~"], self.label
        within = f"compare motion within one {label} only"
        if not leak.found:
            if leak.unclear:
                return f"whether z~ does stays open, too ({leak})"
            return (
                f"z~ shows no sign of it ({leak}), so motion may be compared between "
                f"one {label} and another"
            )
        text = f"z~ gives it away{', too' if self.leaks['f'].found else ''} ({leak})"
        if "z~" not in self.noisy:
            return f"{text}, so {within}"
        noisy, how = self.noisy["z~"], f"--noise {self.noise:g}"
        if noisy.found:
            return f"{text}, and still does with {how} ({noisy}), so {within}"
        if noisy.unclear:
            return f"{text}, and whether {how} helps stays open ({noisy}), so {within}"
        return (
            f"{text}, but with {how} shows no sign ({noisy}), so compare motion by the "
            f"codes of ddr encode {how}"
        )


def confounds(
    model: SequenceModel,
    store: FrameStore,
    label: str,
    split: str | None = None,
    sequences: int | None = None,
    seed: int = 0,
    *,
    noise: float = 1.0,
    max_frames: int = 20_000,
    progress: Progress | None = None,
) -> Confound:
    """Find out whether codes give away a label such as session, camera or batch.

    The fixed probes read the label from f, z and z̃ of people that they were not fitted
    on: people are dealt out to parts, each read by a probe fitted on the others. A
    person that the store does not name is the source, or else the sequence.

    Args:
        model: A trained `SequenceModel`.
        store: `FrameStore` with frames of the model's image shape.
        label: Name of a categorical label of sequences.
        split: Split to look at; `None` for all.
        sequences: Largest number of sequences, chosen at random; `None` for all.
        seed: Seed of every random choice.
        noise: z is also read with that many standard deviations of its posterior as
            noise, as of `ddr encode --noise`; 0 leaves this out.
        max_frames: Largest number of frames whose codes are read, a random choice.
        progress: Called with (sequences encoded, all), or `None`.

    Returns:
        `Confound`.

    Raises:
        InputError: The label is not there, is one of frames or numbers, or has too few
            classes or people for anything to be said.
    """
    check_number(noise=noise)
    check_seed(seed=seed)
    check_whole(sequences=1 if sequences is None else sequences, max_frames=max_frames)
    settings: list[dict[str, float]] = [{}, {"noise": noise}] if noise else [{}]
    for encoding in settings:
        check_encoding(model, encoding)
    _check_label(store, label)
    generator = np.random.default_rng(seed)
    known = store.labels[label]
    chosen = [
        s
        for s in store.require(split, model.frames_per_set)
        if known.present([s.labels[label]])[0]
    ]
    if sequences is not None and sequences < len(chosen):
        places = generator.choice(len(chosen), size=sequences, replace=False)
        chosen = [chosen[i] for i in np.sort(places)]
    chosen, left_out = _several_people(store, label, chosen)
    names = np.array([str(s.labels[label]) for s in chosen])
    persons = persons_of(chosen)
    folds = _deal_out(names, persons, seed)
    part = EncodedSplit(store, chosen, max_frames, generator)
    found: list[dict[str, Leak]] = []
    for number, encoding in enumerate(settings):
        done = _counted(progress, number * len(chosen), len(settings) * len(chosen))
        part.encode(model, seed, done, encoding)
        codes = {**part.frame_codes, "f": part.sequence_codes}
        owners = {"f": np.arange(len(chosen))}
        found.append(
            {
                code: _leak(
                    codes[code],
                    owners.get(code, part.owner),
                    (names, persons, folds),
                    estimator,
                    seed,
                )
                for code, estimator in CODES.items()
                if code != "f" or not encoding
            }
        )
    classes = {name: len(set(persons[names == name])) for name in np.unique(names)}
    of_each = Counter(who for who, _ in set(zip(persons, names, strict=True)))
    return Confound(
        label=label,
        people={str(name): number for name, number in classes.items()},
        left_out=left_out,
        crossed=sum(number > 1 for number in of_each.values()),
        sequences=len(chosen),
        frames=len(part.owner),
        folds=int(folds.max()) + 1,
        noise=noise,
        leaks=found[0],
        noisy=found[1] if noise else {},
    )


def held_out(
    codes: ArrayLike,
    owner: ArrayLike,
    names: ArrayLike,
    folds: ArrayLike,
    estimator: str,
) -> NDArray[np.float64]:
    """Share of the items of each sequence whose class is named right, `(S,)`.

    Args:
        codes: Codes `(n, dim)`.
        owner: Sequence of each, `(n,)`, integers from 0 to S − 1.
        names: Class of each sequence, `(S,)`.
        folds: Part of each sequence, `(S,)`, read by a probe fitted on the others.
        estimator: As of `probe`.

    Returns:
        float64; NaN of a sequence without items.
    """
    codes, owner = np.asarray(codes, "float64"), np.asarray(owner)
    names, folds = np.asarray(names), np.asarray(folds)
    right = np.zeros(len(codes))
    truth = names[owner]
    for fold in np.unique(folds):
        held = folds[owner] == fold
        if not held.any() or len(np.unique(truth[~held])) < 2:
            continue  # what was never seen counts as wrong
        model = pipeline(estimator, int(np.sum(~held)), classify=True)
        model.fit(codes[~held], truth[~held])
        classes, counts = np.unique(truth[~held], return_counts=True)
        # Beside how often classes occur: else the most frequent one is named for all.
        odds = model.predict_proba(codes[held]) / counts
        right[held] = classes[odds.argmax(axis=1)] == truth[held]
    number = np.bincount(owner, minlength=len(names)).astype("float64")
    number[number == 0] = np.nan
    return np.bincount(owner, right, minlength=len(names)) / number


def balanced(
    shares: ArrayLike,
    names: ArrayLike,
    persons: ArrayLike,
    folds: int = _FOLDS,
    seed: int = 0,
) -> Leak:
    """Mean over classes of the mean share `(S,)`, with an interval over people.

    Resampled people are the usual interval. It is stretched for people who are few, as
    Student's t is, and for probes of different folds being fitted on people whom they
    have in common (Nadeau and Bengio, 2003): without, chance would be left too often.
    """
    shares, names, persons = map(np.asarray, (shares, names, persons))
    read = np.isfinite(shares)
    shares, names, persons = shares[read], names[read], persons[read]
    classes, numbers = np.unique(names, return_inverse=True)
    member = np.eye(len(classes))[numbers]
    rows = np.hstack([member * shares[:, None], member])
    sums = intervals.group_sums(rows, persons)

    def mean(totals: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore"):  # a draw without one of the classes
            right, count = np.split(totals, 2, axis=1)
            return (right / count).mean(axis=1)

    value = float(mean(sums.sum(axis=0, keepdims=True))[0])
    people = (sums[:, len(classes) :] > 0).sum(axis=0).astype("float64")
    found, freedom = intervals.resample(sums, mean, seed), _freedom(people)
    if found is None or freedom < _FREEDOM:
        return Leak(value, 1 / len(classes), None)
    factor = _stretch(freedom, folds)
    low, high = (value + factor * (end - value) for end in found)
    return Leak(value, 1 / len(classes), (max(0.0, low), min(1.0, high)))


def _freedom(people: NDArray[np.float64]) -> float:
    """Degrees of freedom of a mean over classes (Welch and Satterthwaite)."""
    if people.min() < 2:
        return 0.0
    return float((1 / people).sum() ** 2 / (1 / (people**2 * (people - 1))).sum())


def _stretch(freedom: float, folds: int) -> float:
    """Factor by which intervals of `balanced` are wider than those of resampling."""
    from scipy.stats import norm, t

    of_few = np.sqrt((freedom + 1) / freedom) * t.ppf(0.975, freedom) / norm.ppf(0.975)
    return float(of_few * np.sqrt(1 + folds / (folds - 1)))


def _leak(
    codes: NDArray[Any],
    owner: NDArray[np.integer],
    known: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    estimator: str,
    seed: int,
) -> Leak:
    """The score of one code; `known` are class, person and part of each sequence."""
    names, persons, folds = known
    shares = held_out(codes, owner, names, folds, estimator)
    return balanced(shares, names, persons, int(folds.max()) + 1, seed)


def _check_label(store: FrameStore, label: str) -> None:
    """Refuse a label that is not of sequences, or has no classes."""
    if label not in store.labels:
        known = ", ".join(store.content_labels) or "none; give it some by ddr label"
        raise InputError(f"label: {store.path} has no label {label!r}; it has {known}")
    about = store.labels[label]
    if about.scope != "sequence":
        raise InputError(
            f"label {label!r} is one of frames; give one that a sequence has as a "
            "whole, such as its session or camera"
        )
    if about.kind != "categorical":
        raise InputError(
            f"label {label!r} has numbers, and classes are needed; group them, or name "
            f"the column {label}:categorical, and give the table to ddr label"
        )


def _several_people(
    store: FrameStore, label: str, chosen: list[Sequence]
) -> tuple[list[Sequence], list[str]]:
    """Sequences of classes that several people are in, and the other classes."""
    persons = persons_of(chosen)
    people: dict[str, set[int]] = {}
    for sequence, person in zip(chosen, persons, strict=True):
        people.setdefault(str(sequence.labels[label]), set()).add(int(person))
    several = [name for name, found in people.items() if len(found) > 1]
    if len(people) < 2:
        only = next(iter(people), None)
        said = f"is {only!r} in all of them" if people else "is missing in all of them"
        raise InputError(
            f"label {label!r} {said}, of {len(chosen)} sequences of {store.path}; two "
            "classes are needed"
        )
    if len(several) < 2:
        where = "one person each" if not several else "one person but for one"
        raise InputError(
            f"classes of label {label!r} have {where}, so {label} and person cannot be "
            f"told apart; record several people with each {label}"
        )
    kept = [s for s in chosen if str(s.labels[label]) in several]
    return kept, sorted(set(people) - set(several))


def _deal_out(
    names: NDArray[Any], persons: NDArray[np.integer], seed: int
) -> NDArray[np.integer]:
    """The part of each sequence, all of a person in one and classes in each alike."""
    from sklearn.model_selection import StratifiedGroupKFold

    least = min(len(set(persons[names == name])) for name in np.unique(names))
    dealer = StratifiedGroupKFold(min(_FOLDS, least), shuffle=True, random_state=seed)
    folds = np.zeros(len(names), int)
    with warnings.catch_warnings():
        # It counts sequences where people count.
        warnings.filterwarnings("ignore", "The least populated class")
        for fold, (_, held) in enumerate(dealer.split(names, names, persons)):
            folds[held] = fold
    return folds


def _counted(progress: Progress | None, before: int, total: int) -> Any:
    """A function that counts on from `before`, once a sequence is encoded."""
    if progress is None:
        return None
    done = iter(range(before + 1, total + 1))
    return lambda: progress(next(done), total)


def _cell(leak: Leak) -> str:
    """A score with its interval, as a cell of the table."""
    if leak.interval is None:
        return f"{leak.value:.3f}"
    low, high = leak.interval
    return f"{leak.value:.3f} ({low:.3f} to {high:.3f})"


def _short(value: float) -> str:
    """A share as in a sentence: .93, 1.00."""
    return f"{value:.2f}".removeprefix("0")
