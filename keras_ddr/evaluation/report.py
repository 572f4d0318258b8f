"""Evaluation of a trained model on persons that it was not trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.arguments import check_seed, check_whole
from keras_ddr.errors import InputError
from keras_ddr.evaluation import axis, probes, protocol, swap, verification
from keras_ddr.evaluation.encoded import (
    EncodedSplit,
    choose_sequences,
    select_sequences,
)
from keras_ddr.evaluation.judge import STEPS, check_judge
from keras_ddr.evaluation.likelihood import LikelihoodScore, measure_likelihood
from keras_ddr.evaluation.msd import MSDScore
from keras_ddr.evaluation.reconstruction import (
    ReconstructionScore,
    reconstruction_errors,
)
from keras_ddr.evaluation.table import table
from keras_ddr.evaluation.targets import choose_targets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.labels import Label
    from keras_ddr.data.store import FrameStore
    from keras_ddr.evaluation.axis import AxisScore
    from keras_ddr.evaluation.judge import Judge
    from keras_ddr.evaluation.probes import ProbeScore
    from keras_ddr.evaluation.protocol import JudgeScore
    from keras_ddr.evaluation.swap import SwapScore
    from keras_ddr.evaluation.verification import VerificationScore
    from keras_ddr.model import DDR
    from keras_ddr.typing import Progress

__all__ = ["CODES", "METRICS", "EvaluationReport", "Skipped", "evaluate"]

CODES = {"f": "linear", "z": "neighbours", "z~": "neighbours"}
"""The codes that are probed, and the estimator that reads each."""

METRICS = (
    "likelihood",
    "reconstruction",
    "probes",
    "swap",
    "verification",
    "axis",
    "judge",
)
"""Names of what `evaluate` can measure; "judge" includes the MSD score."""

_ENCODING = ("sets", "combine", "frames_per_set", "noise")
# Parts of a report as a dict, in this order.
_SECTIONS = (
    "details",
    "likelihood",
    "reconstruction",
    "probes",
    "swap",
    "swap_intervals",
    "verification",
    "axis",
    "judge",
    "msd",
    "skipped",
)
_CODED = {"reconstruction", "probes", "swap", "verification", "axis", "judge"}
_CODED_FIT = {"probes", "axis"}  # those that are fitted on codes
_FITTED = {*_CODED_FIT, "judge"}


@dataclasses.dataclass(frozen=True)
class Skipped:
    """Something that could not be measured.

    Attributes:
        what: Name of the label or measure.
        reason: Why, in one line.
    """

    what: str
    reason: str


@dataclasses.dataclass(frozen=True)
class EvaluationReport:
    """What `evaluate` found; `None` is what was not asked for or could not be measured.

    Attributes:
        probes: Dict label name → code ("f", "z", "z~") → `probes.ProbeScore`. z~ is
            the standard score of z under p(z | f).
        scopes: Dict label name → "sequence" or "frame".
        swap: `swap.SwapScore`.
        skipped: List of `Skipped`.
        details: Dict of the split, the numbers of sequences and frames, the seed, and
            how f was found.
        likelihood: `likelihood.LikelihoodScore`.
        reconstruction: `reconstruction.ReconstructionScore`.
        verification: Dict code → `verification.VerificationScore`.
        axis: Dict code ("z", "z~") → `axis.AxisScore`.
        judge: `protocol.JudgeScore`.
        msd: `msd.MSDScore`.
    """

    probes: dict[str, dict[str, ProbeScore]] | None
    scopes: dict[str, str]
    swap: SwapScore | None
    skipped: list[Skipped]
    details: dict[str, Any]
    likelihood: LikelihoodScore | None = None
    reconstruction: ReconstructionScore | None = None
    verification: dict[str, VerificationScore] | None = None
    axis: dict[str, AxisScore] | None = None
    judge: JudgeScore | None = None
    msd: MSDScore | None = None

    def to_dict(self) -> dict[str, Any]:
        """Everything as nested dicts of plain values, ready for JSON."""
        content = dataclasses.asdict(self)
        for label, scores in (content["probes"] or {}).items():
            content["probes"][label] = {"scope": self.scopes[label], **scores}
        swapped = content["swap"]
        content["swap_intervals"] = swapped and swapped.pop("intervals")
        return {name: content[name] for name in _SECTIONS}

    def __str__(self) -> str:
        return self.table()

    def table(self) -> str:
        """The metrics as plain text, each beside what guessing gives."""
        return table(self)


def evaluate(
    model: DDR,
    store: FrameStore,
    split: str = "test",
    fit_split: str = "train",
    sequences: int | None = None,
    seed: int = 0,
    *,
    metrics: str | Iterable[str] = ("probes", "swap"),
    max_frames: int = 20_000,
    pairs: int = 1000,
    samples: int = 64,
    attributes: str | Collection[str] | None = None,
    action: str | Collection[str] | None = None,
    judge_steps: int = STEPS,
    judge: Judge | None = None,
    encoding: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    stage: Callable[[str], object] | None = None,
) -> EvaluationReport:
    """Measure what f and z know, and what the model does with them.

    All codes are posterior means. Each sequence is encoded once. Labels of sequences
    and of frames are each read from all three codes: f should know the first and not
    the second, z the reverse. No number depends on which others are asked for.

    Args:
        model: A trained `DDR`; or any object with `frames_per_set`, `static_dim`,
            `dynamic_dim` and `image_shape`, and with `encode`, `prior_of` and `decode`
            that take and give what those of `DDR` do. Of it there is no likelihood.
        store: `FrameStore`.
        split: Split to score on; its persons are not those of `fit_split`.
        fit_split: Split that probes, forests and the judge are fitted on. Where it
            has no sequence they are skipped, and the mean image is that of `split`.
        sequences: Largest number of sequences of each split (a random choice), or
            `None` for all.
        seed: Of every choice made here.
        metrics: Names out of `METRICS`, or "all".
        max_frames: Largest number of frames that a probe is fitted on, and scored on
            (a random choice); a linear probe of a frame label sees at most 4000.
        pairs: Number of pairs for the swap error.
        samples: Draws of f for the log-likelihood.
        attributes: Names of the sequence labels that the judge names; all categorical
            ones where `None`.
        action: Names of the frame labels that make the judge's action together, or
            one name; "animation" and "direction", or else "pose", where `None`.
        judge_steps: Training steps of the judge.
        judge: `Judge` that `train_judge` has trained on this store, so that several
            models are seen by the same one; `None` trains one. It has its own targets
            (from `targets.choose_targets` with the sequences of both splits), so that
            `attributes`, `action` and `judge_steps` are not used.
        encoding: Dict of `sets`, `combine`, `frames_per_set` and `noise` of
            `DDR.encode`, where f and z are to be found in another way than by default.
            "likelihood" does not depend on it.
        progress: Called with (done, all) as sequences are encoded and, in the stages
            "likelihood" and "judge", as log-likelihoods are found and the judge is
            trained; or `None`.
        stage: Called with "encoding" and with each metric's name as it begins, or
            `None`.

    Returns:
        `EvaluationReport`; what a store has no labels for is listed as skipped.

    Raises:
        InputError: `split` is empty, or holds no sequence that is long enough, and so
            is `fit_split` where all that was asked for is fitted on it; a number is
            below 1, a metric is not known, `encoding` cannot be used, the store has no
            such `attributes` or `action`, `judge` is not of its labels and frames, or
            `split` is `fit_split` and something is fitted.
    """
    metrics = _check_metrics(metrics)
    encoding = _check_encoding(encoding)
    check_whole(
        sequences=1 if sequences is None else sequences,
        max_frames=max_frames,
        pairs=pairs,
        samples=samples,
        judge_steps=judge_steps,
    )
    check_seed(seed=seed)
    both = sorted(metrics & (_FITTED if judge is None else _CODED_FIT))
    if split == fit_split and both:
        raise InputError(
            f"split={split!r} is also fit_split, so that {', '.join(both)} would be "
            "scored on what they were fitted on; give another one, or leave these out "
            "of metrics"
        )
    attributes, action = (
        [names] if isinstance(names, str) else names for names in (attributes, action)
    )
    generator = np.random.default_rng(seed)
    number = max(model.frames_per_set, encoding.get("frames_per_set") or 0)
    # A judge that is given was fitted before.
    fitted = _FITTED if judge is None else _CODED_FIT
    fitting = bool(store.select(fit_split, number)) or metrics <= fitted
    parts = {
        name: choose_sequences(
            select_sequences(store, name, number), sequences, generator
        )
        for name in dict.fromkeys([fit_split, split] if fitting else [split])
    }
    splits = {
        name: EncodedSplit(store, part, max_frames, generator)
        for name, part in parts.items()
    }
    test = splits[split]
    fit = splits.get(fit_split, test)
    stage = stage or (lambda name: None)
    # What was asked for by name is refused at once, not skipped at the end.
    if "judge" in metrics and judge is not None:
        check_judge(judge, store, test.sequences)
    elif "judge" in metrics and (attributes or action) and fitting:
        choose_targets(store, fit.sequences, test.sequences, attributes, action)
    coded = [test] if _CODED & metrics else []
    if _CODED_FIT & metrics:
        coded = list(splits.values())
    if coded:
        stage("encoding")
        _encode(model, coded, seed, progress, encoding)
    measures = {
        "likelihood": lambda notes: measure_likelihood(
            model, store, test.sequences, samples=samples, seed=seed, done=progress
        ),
        "reconstruction": lambda notes: reconstruction_errors(
            model, store, test.sequences, test.codes, seed=seed
        ),
        "probes": lambda notes: _probe(fit, test, seed, notes),
        "swap": lambda notes: swap.swap_error(
            model,
            store,
            test.sequences,
            codes=test.codes,
            fit_sequences=fit.sequences,
            pairs=pairs,
            seed=seed,
        ),
        "verification": lambda notes: verification.verify(model, test, seed=seed),
        "axis": lambda notes: _axis(model, fit, test, seed, notes),
        "judge": lambda notes: protocol.judge_model(
            model,
            fit,
            test,
            attributes=attributes,
            action=action,
            judge=judge,
            steps=judge_steps,
            seed=seed,
            done=progress,
        ),
    }
    found: dict[str, Any] = dict.fromkeys(METRICS)
    skipped: list[Skipped] = []
    for name in METRICS:
        if name not in metrics:
            continue
        if name in fitted and not fitting:
            why = f"there is no sequence in the split {fit_split!r} to fit on"
            skipped.append(Skipped(name, why))
            continue
        stage(name)
        try:
            found[name] = measures[name](skipped)
        except InputError as error:
            what = "swap error" if name == "swap" else name
            skipped.append(Skipped(what, str(error)))
    probed = found.pop("probes")
    judged = found["judge"]
    details = {
        "split": split,
        "fit_split": fit_split,
        "sequences": len(test.sequences),
        "fit_sequences": len(fit.sequences) if fitting else 0,
        "frames": len(test.owner),
        "fit_frames": len(fit.owner) if fitting else 0,
        "max_frames": max_frames,
        "seed": seed,
        "encoding": encoding,
        "metrics": [name for name in METRICS if name in metrics],
    }
    return EvaluationReport(
        probes=probed,
        scopes={label: store.labels[label].scope for label in probed or {}},
        skipped=skipped,
        details=details,
        msd=None if judged is None else MSDScore.of(judged),
        **found,
    )


def _check_metrics(metrics: str | Iterable[str]) -> set[str]:
    metrics = METRICS if metrics == "all" else metrics
    metrics = {metrics} if isinstance(metrics, str) else set(metrics)
    unknown = sorted(map(str, metrics - set(METRICS)))
    if unknown or not metrics:
        raise InputError(
            f"metrics={', '.join(unknown) or 'none'}; choose among {', '.join(METRICS)}"
        )
    return metrics


def _check_encoding(encoding: Mapping[str, Any] | None) -> dict[str, Any]:
    encoding = dict(encoding or {})
    unknown = sorted(map(str, set(encoding) - set(_ENCODING)))
    if unknown:
        raise InputError(
            f"encoding has {', '.join(unknown)}; choose among {', '.join(_ENCODING)}"
        )
    return encoding


def _encode(
    model: DDR,
    parts: list[EncodedSplit],
    seed: int,
    progress: Progress | None,
    encoding: Mapping[str, Any],
) -> None:
    total = sum(len(part.sequences) for part in parts)
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    for part in parts:
        part.encode(model, seed, one_more, encoding)


def _probe(
    fit: EncodedSplit, test: EncodedSplit, seed: int, skipped: list[Skipped]
) -> dict[str, dict[str, ProbeScore]]:
    found = {}
    labels = fit.store.content_labels
    for name, label in labels.items():
        try:
            found[name] = _probe_label(fit, test, name, label, seed)
        except InputError as error:
            skipped.append(Skipped(name, str(error)))
    if not labels:
        skipped.append(Skipped("probes", "the store has no labels"))
    return found


def _probe_label(
    fit: EncodedSplit, test: EncodedSplit, name: str, label: Label, seed: int
) -> dict[str, ProbeScore]:
    period = probes.period_of(label.unit if label.kind == "periodic" else None)
    scores = {}
    for code, estimator in CODES.items():
        fit_codes, fit_values, _ = fit.items(name, label, code)
        test_codes, test_values, owner = test.items(name, label, code)
        scores[code] = probes.probe(
            fit_codes,
            fit_values,
            test_codes,
            test_values,
            label.kind,
            estimator,
            classes=len(label.classes) if label.classes else None,
            period=period,
            groups=owner,
            seed=seed,
        )
    return scores


def _axis(
    model: DDR, fit: EncodedSplit, test: EncodedSplit, seed: int, skipped: list[Skipped]
) -> dict[str, AxisScore]:
    labels = fit.store.content_labels
    names = axis.frame_factors(labels, model.dynamic_dim)
    factors = {
        part: {name: _known(part.frame_values(name), labels[name]) for name in names}
        for part in (fit, test)
    }
    scores = {}
    for code in ("z", "z~"):
        scores[code], constant = axis.score_axes(
            fit.frame_codes[code],
            factors[fit],
            test.frame_codes[code],
            factors[test],
            seed,
        )
    skipped += [Skipped(f"axis of {n}", "the factor does not vary") for n in constant]
    return scores


def _known(values: NDArray[Any], label: Label) -> NDArray[np.float64]:
    """Values with NaN where they stand for none, or are infinite."""
    numbers = label.numbers(values)
    return np.where(np.isfinite(numbers), numbers, np.nan)
