"""Do f and z̃ give away how a sequence was recorded: its session, camera or batch?"""

from __future__ import annotations

import dataclasses
import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.arguments import check_number, check_seed, check_whole
from keras_ddr.encoding import check_encoding
from keras_ddr.errors import InputError
from keras_ddr.evaluation.encoded import EncodedSplit
from keras_ddr.evaluation.equal_error_rate import persons_of
from keras_ddr.evaluation.held_out import Leak, balanced, deal_out, held_out, short
from keras_ddr.evaluation.measure import aligned
from keras_ddr.evaluation.probes import CODES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.sequence_model import SequenceModel
    from keras_ddr.typing import Progress

__all__ = ["Confound", "confounds"]

_WIDTH = 96  # characters of a line


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
            found.append(f"Left out, since only one person has it: {names}.")
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
        chance = short(self.leaks["f"].chance)
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
        """A sentence on f."""
        leak, label = self.leaks["f"], self.label
        chance = f"chance {short(leak.chance)}"
        if leak.found:
            return (
                f"f gives the {label} away ({leak}; {chance}), so compare people "
                f"within one {label} only"
            )
        if leak.unclear:
            return f"It stays open whether f knows the {label} ({leak}; {chance})"
        return f"f shows no sign of the {label} ({leak}; {chance})"

    def _of_motion(self) -> str:
        """A sentence on z̃, and whether noise helps."""
        leak, label = self.leaks["z~"], self.label
        within = f"compare motion within one {label} only"
        if not leak.found:
            if leak.unclear:
                too = ", too" if self.leaks["f"].unclear else ""
                return f"whether z~ does stays open{too} ({leak})"
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
    folds = deal_out(names, persons, seed)
    part = EncodedSplit(store, chosen, max_frames, generator)
    found: list[dict[str, Leak]] = []
    for number, encoding in enumerate(settings):
        done = _counted(progress, number * len(chosen), len(settings) * len(chosen))
        part.encode(model, seed, done, encoding)
        found.append(_leaks(part, (names, persons, folds), seed))
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
        # Noise is on z alone.
        noisy={code: found[1][code] for code in ("z", "z~")} if noise else {},
    )


def _leaks(
    part: EncodedSplit,
    known: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    seed: int,
) -> dict[str, Leak]:
    """The score of each code; `known` are class, person and part of each sequence."""
    names, persons, folds = known
    found = {}
    for code, estimator in CODES.items():
        codes, owner = part.frame_codes[code], part.owner
        if code == "f":
            codes, owner = part.sequence_codes, np.arange(len(names))
        shares = held_out(codes, owner, names, folds, estimator)
        found[code] = balanced(shares, names, persons, int(folds.max()) + 1, seed)
    return found


def _check_label(store: FrameStore, label: str) -> None:
    """Refuse a label that is not of sequences, or has no classes."""
    if label not in store.labels:
        fits = [
            name
            for name, about in store.labels.items()
            if (about.scope, about.kind) == ("sequence", "categorical")
        ]
        known = ", ".join(fits) or "none of sequences; give it some by ddr label"
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
        said = f"is {only!r}" if people else "is missing"
        raise InputError(
            f"label {label!r} {said} in all {len(chosen)} sequences of {store.path}; "
            "give a label with two classes or more"
        )
    if len(several) < 2:
        where = "one person each" if not several else "one person but for one"
        raise InputError(
            f"classes of label {label!r} have {where}, so {label} and person cannot be "
            f"told apart; record several people with each {label}"
        )
    kept = [s for s in chosen if str(s.labels[label]) in several]
    return kept, sorted(set(people) - set(several))


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
