"""Probes: which labels a simple estimator reads from f, from z and from z̃."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from keras_ddr.errors import InputError
from keras_ddr.evaluation.fixed_probes import NEIGHBOURS, period_of, probe
from keras_ddr.evaluation.measure import Headline, Measure, Skipped, aligned, number

if TYPE_CHECKING:
    from keras_ddr.data.labels import Label
    from keras_ddr.evaluation.fixed_probes import ProbeScore
    from keras_ddr.evaluation.measure import Material

__all__ = ["ProbedLabel", "Probes"]

# The estimator that reads each code.
CODES = {"f": "linear", "z": "neighbours", "z~": "neighbours"}


class ProbedLabel(dict[str, "ProbeScore"]):
    """Dict code → `ProbeScore` of one label; its `scope` is "sequence" or "frame"."""

    def __init__(self, scope: str, scores: Mapping[str, ProbeScore]) -> None:
        super().__init__(scores)
        self.scope = scope


@dataclasses.dataclass(frozen=True)
class Probes(Measure):
    """Read each label from all three codes: a dict label → `ProbedLabel`.

    f should know labels of sequences and not those of frames, z the reverse.

    Attributes:
        linear_frames: Largest number of frames that a frame label is read from f of.
            f is the same for all frames of a sequence, so that more of them add time (a
            linear probe of 178 poses takes many minutes) and no knowledge.
    """

    linear_frames: int = 4000

    name = "probes"
    about = "each label read from f, z and z~, beside chance"
    needs = frozenset({"codes", "fit", "fit codes"})

    def run(self, material: Material) -> dict[str, ProbedLabel]:
        """See `Measure`."""
        found = {}
        labels = material.store.content_labels
        for name, label in labels.items():
            try:
                scores = self._read(material, name, label)
                found[name] = ProbedLabel(label.scope, scores)
            except InputError as error:
                material.skipped.append(Skipped(name, str(error)))
        if not labels:
            material.skipped.append(Skipped("probes", "the store has no labels"))
        return found

    def _read(
        self, material: Material, name: str, label: Label
    ) -> dict[str, ProbeScore]:
        """Scores of one label."""
        period = period_of(label.unit if label.kind == "periodic" else None)
        scores = {}
        for code, estimator in CODES.items():
            most = self.linear_frames if code == "f" else None
            fit_codes, fit_values, _ = material.fit.items(name, label, code, most)
            codes, values, owner = material.test.items(name, label, code, most)
            scores[code] = probe(
                fit_codes,
                fit_values,
                codes,
                values,
                label.kind,
                estimator,
                classes=len(label.classes) if label.classes else None,
                period=period,
                groups=owner,
                seed=material.seed,
            )
        return scores

    def lines(self, score: Mapping[str, ProbedLabel]) -> list[str]:
        """See `Measure`."""
        if not score:
            return []
        rows = []
        for name, scores in score.items():
            first = scores["f"]
            kind = {"accuracy": "accuracy", "r2": "R²"}[first.metric]
            kind += f" of {first.classes}" if first.classes else ""
            values = [number(s.value, s.interval) for s in scores.values()]
            share = number(first.majority)
            rows.append([name, kind, number(first.chance), share, *values])
            if first.concordance is not None:
                values = [
                    number(s.concordance, s.concordance_interval)
                    for s in scores.values()
                ]
                rows.append(["", "CCC", "0.000", "", *values])
        return [
            "Probes: what is read from the codes. f: linear; z and z~: "
            f"{NEIGHBOURS} nearest neighbours.",
            "chance: 1 / classes, or 0 for R² and CCC; majority: always naming the "
            "most frequent class.",
            *aligned(["label", "measure", "chance", "majority", *CODES], rows),
        ]

    def to_dict(self, score: Mapping[str, ProbedLabel]) -> dict[str, Any]:
        """See `Measure`."""
        return {
            name: {"scope": scores.scope, **super(Probes, self).to_dict(dict(scores))}
            for name, scores in score.items()
        }

    def headlines(self, score: Mapping[str, ProbedLabel]) -> dict[str, Headline]:
        """See `Measure`."""
        found = {}
        for name, scores in score.items():
            for code in ("f", "z~"):
                # A label that stays belongs into f, one that changes into z.
                wanted = (scores.scope == "sequence") == (code == "f")
                read = scores[code]
                better = 1 if wanted else -1
                headline = Headline(read.value, read.interval, better)
                found[f"{name} from {code}"] = headline
        return found
