"""Evaluation of a trained model on persons that it was not trained on."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.arguments import check_seed, check_whole
from keras_ddr.encoding import check_encoding
from keras_ddr.errors import InputError
from keras_ddr.evaluation.encoded import EncodedSplit, choose_sequences, first_split
from keras_ddr.evaluation.equal_error_rate import persons_of
from keras_ddr.evaluation.measure import Material, Skipped
from keras_ddr.evaluation.measures import METRICS, choose_measures

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.evaluation.measure import Measure
    from keras_ddr.sequence_model import SequenceModel

__all__ = ["EvaluationReport", "evaluate"]

_FITTED = {"fit", "fit codes"}
_CODES = {"codes", "fit codes"}
_ENOUGH = 5  # people of a split
_FIT_FRAMES = 32  # of a sequence that probes are fitted on


@dataclasses.dataclass(frozen=True)
class EvaluationReport:
    """Scores that `evaluate` found.

    Scores are attributes named after their measures, such as `report.swap.pairs`;
    `None` is a score that was not asked for or could not be measured.

    Attributes:
        scores: Dict name of a measure → its score.
        skipped: List of `Skipped`.
        details: Dict of the split, the numbers of sequences and frames, the seed, and
            how f was found.
        measures: Dict name → `Measure`, those that were asked for.
    """

    scores: dict[str, Any]
    skipped: list[Skipped]
    details: dict[str, Any]
    measures: dict[str, Measure]

    def __getattr__(self, name: str) -> Any:
        """Score of a measure."""
        if name in METRICS:
            return self.scores.get(name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def to_dict(self) -> dict[str, Any]:
        """Everything as nested dicts of plain values, ready for JSON."""
        scores = dict.fromkeys([*METRICS, *self.scores])
        for name, score in self.scores.items():
            scores[name] = self.measures[name].to_dict(score)
        skipped = [dataclasses.asdict(item) for item in self.skipped]
        return {"details": self.details, **scores, "skipped": skipped}

    def __str__(self) -> str:
        return self.table()

    def table(self) -> str:
        """The metrics as plain text, each beside what guessing gives."""
        details = self.details
        fitted, count = details["fit_sequences"], details["sequences"]
        aligned = details["aligned"]
        lines = [
            f"Measured on {count} sequence{'' if count == 1 else 's'} of "
            f"{details['split']} ({details['frames']} frames)"
            + (f"; fitted on {fitted} of {details['fit_split']}." if fitted else "."),
            *_few(details),
            f"z~: standard score of z under p(z|f){', aligned' if aligned else ''}. "
            "±: half of the 95 % interval, from resampled sequences.",
        ]
        for name, score in self.scores.items():
            section = self.measures[name].lines(score)
            if section:
                lines += ["", *section]
        if self.skipped:
            lines += ["", "Not measured:"]
            lines += [f"  {item.what}: {item.reason}" for item in self.skipped]
        return "\n".join(lines)


def evaluate(
    model: SequenceModel,
    store: FrameStore,
    split: str | None = None,
    fit_split: str = "train",
    sequences: int | None = None,
    seed: int = 0,
    *,
    metrics: str | Measure | Iterable[str | Measure] = ("probes", "swap"),
    max_frames: int = 20_000,
    encoding: Mapping[str, Any] | None = None,
    progress: Callable[[str, int, int], object] | None = None,
) -> EvaluationReport:
    """Measure what f and z know, and what the model does with them.

    Codes are posterior means. No number depends on which others are asked for.

    Args:
        model: A trained `SequenceModel`.
        store: `FrameStore`.
        split: Split to score on, or `None` for the first of test, val and train that
            has sequences.
        fit_split: Split that probes, forests and the judge are fitted on. Where it is
            `split` or has no sequence they are skipped, and the mean image is that of
            `split`.
        sequences: Most sequences of each split, at random; `None` for all.
        seed: Seed of every random choice.
        metrics: "all" (but for `Clips`, which takes a judge), or names out of `METRICS`
            and `Measure` objects, which have options of their own: `["probes",
            Judge(steps=500)]`.
        max_frames: Largest number of frames of a split whose codes are looked at (a
            random choice). Of a sequence of `fit_split` 32 frames are encoded at most.
        encoding: Dict of arguments of `model.encode`, such as `noise`, where f and z
            are to be found in another way than by default. "likelihood" does not
            depend on it.
        progress: Called with (stage, done, all), (stage, 0, 0) as it begins; `stage` is
            "encoding" or the name of a measure.

    Returns:
        `EvaluationReport`; whatever a store has no labels for is listed as skipped.

    Raises:
        InputError: `split` holds no sequence that is long enough, nor does `fit_split`,
            or is `split`, where everything asked for is fitted on it; an argument
            cannot be used, or the store lacks labels that a measure names.
    """
    measures = choose_measures(metrics)
    encoding = dict(encoding or {})
    check_encoding(model, encoding)
    check_whole(sequences=1 if sequences is None else sequences, max_frames=max_frames)
    check_seed(seed=seed)
    least = max(model.frames_per_set, encoding.get("frames_per_set") or 0)
    split = split or first_split(store, least) or "test"
    unfitted = _unfitted(measures, store, split, fit_split, least)
    fitting = unfitted is None
    names = list(dict.fromkeys([fit_split, split] if fitting else [split]))
    generator = np.random.default_rng(seed)
    chosen = [choose_sequences(store, n, least, sequences, generator) for n in names]
    most = max(_FIT_FRAMES, least)
    splits = [EncodedSplit(store, c, max_frames, generator, most) for c in chosen[:-1]]
    splits.append(EncodedSplit(store, chosen[-1], max_frames, generator))
    test, fit, skipped = splits[-1], splits[0], list[Skipped]()
    progress = progress or (lambda stage, done, total: None)
    encoded = functools.partial(progress, "encoding")
    material = Material(model, store, test, fit, seed, skipped, encoded)
    possible = _possible(measures, material, unfitted)
    _encode(material, possible, encoding)
    scores = {}
    for measure in possible:
        measured = functools.partial(progress, measure.name)
        measured(0, 0)
        try:
            found = measure.run(dataclasses.replace(material, progress=measured))
            scores[measure.name] = found
        except InputError as error:
            skipped.append(Skipped(measure.name, str(error)))
    details = {
        **{"split": split, "fit_split": fit_split},
        "sequences": len(test.sequences),
        "fit_sequences": len(fit.sequences) if fitting else 0,
        "people": len(set(persons_of(test.sequences))),
        "frames": len(test.owner),
        "fit_frames": len(fit.owner) if fitting else 0,
        "max_frames": max_frames,
        "seed": seed,
        "encoding": encoding,
        "aligned": model.alignment is not None,
        "metrics": [measure.name for measure in measures],
    }
    return EvaluationReport(scores, skipped, details, {m.name: m for m in measures})


def _few(details: Mapping[str, Any]) -> list[str]:
    """A line where there are too few people for their measures to hold for others."""
    people, split = details["people"], details["split"]
    if people >= _ENOUGH:
        return []
    people = "1 person" if people == 1 else f"{people} people"
    return [f"{split} holds {people}: too few to say how it is with others."]


def _unfitted(
    measures: list[Measure], store: FrameStore, split: str, fit_split: str, least: int
) -> str | None:
    """Why nothing can be fitted, if so; refused where all measures need that."""
    fitted = [measure.name for measure in measures if measure.needs & _FITTED]
    everything = len(fitted) == len(measures)
    if split == fit_split and everything:
        raise InputError(
            f"split={split!r} is also fit_split, so that {', '.join(fitted)} would be "
            "scored on what they were fitted on; give another one, or other metrics"
        )
    if split == fit_split:
        return f"it would be scored on the sequences of {split} it was fitted on"
    if store.select(fit_split, least) or everything:
        return None  # a split that is needed and empty is refused later
    return f"there is no sequence in the split {fit_split!r} to fit on"


def _possible(
    measures: list[Measure], material: Material, unfitted: str | None
) -> list[Measure]:
    """Measures that can be run; `unfitted` says why none can be fitted."""
    possible = []
    for measure in measures:
        missing = [m for m in measure.methods if not hasattr(material.model, m)]
        if missing:
            reason = f"{type(material.model).__name__} has no {missing[0]}"
        elif material.model.lacks_codes and measure.needs & _CODES:
            model = material.model
            reason = f"{type(model).__name__} {model.lacks_codes}"
        elif unfitted is not None and measure.needs & _FITTED:
            reason = unfitted
        else:
            # Options that name missing labels are refused at once, not skipped later.
            measure.check(material)
            possible.append(measure)
            continue
        material.skipped.append(Skipped(measure.name, reason))
    return possible


def _encode(
    material: Material, measures: list[Measure], encoding: Mapping[str, Any]
) -> None:
    """Encode the splits whose codes the measures need, counted together."""
    needs = frozenset().union(*(measure.needs for measure in measures))
    if not material.model.lacks_codes:
        needs = needs.union(*(measure.wants for measure in measures))
    splits = {"fit codes": material.fit, "codes": material.test}
    parts = [split for need, split in splits.items() if need in needs]
    total = sum(len(part.sequences) for part in parts)
    counter = itertools.count(1)
    if parts:
        material.progress(0, 0)

    def done() -> None:
        material.progress(next(counter), total)

    for part in parts:
        part.encode(material.model, material.seed, done, encoding)
