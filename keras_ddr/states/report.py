"""How persons use states: shares, bouts, dwell times, transitions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.evaluation.intervals import mean_interval
from keras_ddr.evaluation.measure import aligned, number
from keras_ddr.states.bouts import Bout, find_bouts
from keras_ddr.states.finding import STABLE
from keras_ddr.states.groups import GroupTest, compare_groups, groups_of
from keras_ddr.states.runs import checked, person_of, runs_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.codes import Codes
    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.states.finding import States
    from keras_ddr.typing import Interval

__all__ = ["StateReport", "describe_states"]

_SURE = 0.9  # mean probability of the named state where states lie apart
_MOST = 12  # states whose transitions fit into the table


@dataclasses.dataclass(frozen=True)
class StateReport:
    """How P persons use K states; NaN where a person gives no value.

    Attributes:
        states: `States` that are described.
        sequences: List of `Sequence`.
        probabilities: Of the states of each frame, a list of arrays `(T, K)`.
        bouts: List of `Bout` by sequence and time; empty where frames have no order.
        persons: Names of the persons; of the source, or the sequence, where no person
            is known.
        use: Share of the frames `(P, K)`.
        number_of_bouts: `(P, K)`.
        median_dwell: Median length of a bout `(P, K)`.
        mean_dwell: Mean length of a bout `(P, K)`.
        transitions: Shares of the next state (last axis) after a bout, `(P, K, K)`.
        unit: Of the lengths: "s", or "frames" where times are not known; "" where
            frames have no order, and there is use alone.
        certainty: Mean probability of the likeliest state of a frame by itself; 1 where
            states lie apart.
        groups: `GroupTest`, or `None`.
    """

    states: States
    sequences: list[Sequence]
    probabilities: list[NDArray[np.float64]]
    bouts: list[Bout]
    persons: list[str]
    use: NDArray[np.float64]
    number_of_bouts: NDArray[np.float64]
    median_dwell: NDArray[np.float64]
    mean_dwell: NDArray[np.float64]
    transitions: NDArray[np.float64]
    unit: str
    certainty: float
    groups: GroupTest | None = None

    def table(self) -> str:
        """Everything in short, as plain text."""
        parts = [self._about(), [""], self._usage()]
        if self.unit and len(self.states.names) <= _MOST:
            parts += [[""], self._changes()]
        if self.groups is not None:
            parts += [[""], self._differences(self.groups)]
        return "\n".join(line for part in parts for line in part)

    def _about(self) -> list[str]:
        trials, chosen = self.states.trials, self.states.chosen
        agree = f"(adjusted Rand index {chosen.stability:.2f})"
        said = f"stable: fits from other seeds find them again {agree}"
        if chosen.stability < STABLE:
            said = f"not stable: fits from other seeds find others {agree}; try fewer"
        lines = [f"{chosen.number} states, as given"]
        if len(trials) > 1:
            numbers = f"{trials[0].number} to {trials[-1].number}"
            lines = [f"{chosen.number} states, chosen from {numbers}"]
        lines[0] += f"; {said}"
        certain = (
            f"A single frame shows its state with probability {self.certainty:.2f} on "
            "average"
        )
        if self.certainty < _SURE:
            lines.append(
                f"{certain}: states overlap, and share out a continuum, as cold and "
                "warm do."
            )
        else:
            lines.append(f"{certain}: states lie apart.")
        if not self.unit:
            lines.append(
                "The frames are in no order in time: no bouts, dwell times or "
                "transitions."
            )
        return lines

    def _usage(self) -> list[str]:
        header = ["", "use"]
        columns = [self.use]
        if self.unit:
            unit = self.unit
            header += ["bouts", f"median dwell ({unit})", f"mean dwell ({unit})"]
            columns += [self.number_of_bouts, self.median_dwell, self.mean_dwell]
        rows = []
        for k, name in enumerate(self.states.names):
            cells = [name]
            for column, values in enumerate(columns):
                digits = (3, 1, 2, 2)[column]
                cells.append(number(*mean_over_persons(values[:, k]), digits))
            rows.append(cells)
        said = [
            f"Means over {len(self.persons)} persons, ± half of the 95 % interval over "
            "them."
        ]
        if any("±" not in cell for row in rows for cell in row[1:]):
            said.append(
                "A number without ± is of a single person, an empty cell of none."
            )
        return [*aligned(header, rows), *said]

    def _changes(self) -> list[str]:
        names = self.states.names
        short = [name.removeprefix("state ") for name in names]
        rows = [
            [
                name,
                *(
                    ""
                    if j == k
                    else number(
                        mean_over_persons(self.transitions[:, k, j])[0], None, 2
                    )
                    for j in range(len(names))
                ),
            ]
            for k, name in enumerate(names)
        ]
        return [*aligned(["next state:", *short], rows)]

    def _differences(self, found: GroupTest) -> list[str]:
        header = ["use by group", *found.persons, "p", "p (Holm)"]
        rows = [
            [
                name,
                *(number(float(mean[k])) for mean in found.means.values()),
                f"{found.p[k]:.4f}",
                f"{found.corrected[k]:.4f}",
            ]
            for k, name in enumerate(self.states.names)
        ]
        sizes = ", ".join(f"{name} ({n})" for name, n in found.persons.items())
        lines = [
            *aligned(header, rows),
            f"Persons by {found.label}: {sizes}. p by permutations of persons.",
        ]
        if found.smallest > 0.05:
            lines.append(
                f"With so few persons no p can be below {found.smallest:.2g}: more are "
                "needed to show a difference."
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Everything but frames and bouts, as plain values ready for JSON."""
        names = self.states.names
        of_persons = {"use": self.use}
        if self.unit:
            of_persons |= {
                "bouts": self.number_of_bouts,
                "median_dwell": self.median_dwell,
                "mean_dwell": self.mean_dwell,
            }
        trials = [dataclasses.asdict(trial) for trial in self.states.trials]
        content: dict[str, Any] = {
            "states": names,
            "stability": self.states.chosen.stability,
            "certainty": self.certainty,
            "unit_of_dwell": self.unit or None,
            "centres": self.states.gaussians.means.tolist(),
            "tried": [{k: v for k, v in t.items() if k != "persons"} for t in trials],
            "mean": {
                name: [_summary(values[:, k]) for k in range(len(names))]
                for name, values in of_persons.items()
            },
            "persons": {
                person: {name: _plain(v[i]) for name, v in of_persons.items()}
                for i, person in enumerate(self.persons)
            },
        }
        if self.unit:
            content["mean"]["transitions"] = [
                [_summary(self.transitions[:, k, j]) for j in range(len(names))]
                for k in range(len(names))
            ]
            for i, person in enumerate(self.persons):
                rows = [_plain(row) for row in self.transitions[i]]
                content["persons"][person]["transitions"] = rows
        if self.groups is not None:
            content["groups"] = dataclasses.asdict(self.groups)
        return content


def mean_over_persons(
    values: NDArray[np.float64],
) -> tuple[float | None, Interval | None]:
    """Mean of the persons that give a value, and its 95 % interval over them."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None, None
    return float(values.mean()), mean_interval(values)


def _summary(values: NDArray[np.float64]) -> dict[str, Any]:
    value, interval = mean_over_persons(values)
    return {"value": value, "interval": interval}


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def describe_states(
    store: FrameStore,
    encoded: Iterable[tuple[Sequence, Codes]],
    states: States,
    *,
    groups: str | None = None,
    seed: int = 0,
) -> StateReport:
    """Describe how persons use states.

    Args:
        store: `FrameStore` of the sequences.
        encoded: Pairs (`Sequence`, `Codes`), as `encode_sequences` yields them.
        states: `States` that `find_states` gave.
        groups: Name of a categorical label of sequences; the use of each state is
            tested between its groups. Persons without it are left out of the test.
        seed: Of the permutations.

    Raises:
        InputError: The label cannot be used, or z is not finite.
    """
    names = states.names
    sequences, probabilities, bouts, sure = [], [], [], 0.0
    frames: dict[str, NDArray[Any]] = {}
    runs: dict[str, list[list[tuple[int, Bout]]]] = {}
    for sequence, scores in checked(encoded):
        found = np.empty((len(scores), len(names)))
        for run in runs_of(store, sequence):
            found[run] = states.predict(scores[run])
        sure += float(states.gaussians.responsibilities(scores).max(axis=1).sum())
        sequences.append(sequence)
        probabilities.append(found)
        likeliest = found.argmax(axis=1)
        person = person_of(sequence)
        count = np.bincount(likeliest, minlength=len(names))
        frames[person] = frames.get(person, 0.0) + count
        here = []
        if store.ordered:
            here = find_bouts(store, sequence, likeliest, names)
        runs.setdefault(person, []).extend(here)
        bouts += [bout for run in here for _, bout in run]
    timed = all(np.isfinite(bout.stop - bout.start) for bout in bouts)
    parts = [_of_person(each, len(names), timed) for each in runs.values()]
    numbers, medians, means, changes = (
        np.stack(part) for part in zip(*parts, strict=True)
    )
    use = np.stack([count / count.sum() for count in frames.values()])
    test = None
    if groups is not None:
        known = groups_of(store, sequences, groups)
        rows = [i for i, person in enumerate(frames) if person in known]
        of_rows = [known[person] for person in frames if person in known]
        test = compare_groups(use[rows], of_rows, label=groups, seed=seed)
    return StateReport(
        states,
        sequences,
        probabilities,
        bouts,
        list(frames),
        use,
        numbers,
        medians,
        means,
        changes,
        ("s" if timed else "frames") if store.ordered else "",
        sure / sum(map(len, probabilities)),
        test,
    )


def _of_person(
    runs: list[list[tuple[int, Bout]]], number: int, timed: bool
) -> tuple[NDArray[np.float64], ...]:
    """Number of bouts, median and mean dwell time `(K,)`, next states `(K, K)`."""
    lengths: list[list[float]] = [[] for _ in range(number)]
    changes = np.zeros((number, number))
    for run in runs:
        for state, bout in run:
            lengths[state].append(bout.stop - bout.start if timed else bout.frames)
        for (state, _), (after, _) in zip(run, run[1:], strict=False):
            changes[state, after] += 1
    medians = [np.median(each) if each else np.nan for each in lengths]
    means = [np.mean(each) if each else np.nan for each in lengths]
    total = changes.sum(axis=1, keepdims=True)
    shares = np.full_like(changes, np.nan)
    np.divide(changes, total, out=shares, where=total > 0)
    counts = np.array([len(each) for each in lengths], "float64")
    return counts, np.array(medians), np.array(means), shares
