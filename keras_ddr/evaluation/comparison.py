"""Models side by side, on the same sequences of one store."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from keras_ddr.errors import InputError
from keras_ddr.evaluation.measure import aligned, number
from keras_ddr.evaluation.report import evaluate

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.evaluation.measure import Headline
    from keras_ddr.evaluation.report import EvaluationReport
    from keras_ddr.sequence_model import SequenceModel

__all__ = ["Comparison", "compare"]

_WIDTH = 100  # characters of a table


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Result of `compare`.

    Attributes:
        reports: Dict name of a model → its `EvaluationReport`.
        headlines: Dict name of a measure → dict name of a model → `Headline`, for the
            models of which it could be measured.
    """

    reports: dict[str, EvaluationReport]
    headlines: dict[str, dict[str, Headline]]

    def table(self) -> str:
        """The headlines as plain text: a row a measure, a column a model."""
        details = next(iter(self.reports.values())).details
        lines = [
            f"Measured on {details['sequences']} sequences of {details['split']} "
            f"({details['frames']} frames). * marks the best of a row, ± half of the",
            "95 % interval; + and - say whether more or less is better.",
        ]
        for names in self._groups():
            rows = [
                [f"{_sign(found)} {text}", *(self._cell(text, name) for name in names)]
                for text, found in self.headlines.items()
            ]
            lines += ["", *aligned(["", *(f"{name} " for name in names)], rows)]
        skipped = [
            f"  {name}: {item.what}: {item.reason}"
            for name, report in self.reports.items()
            for item in report.skipped
        ]
        if skipped:
            lines += ["", "Not measured:", *skipped]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Everything as nested dicts of plain values, ready for JSON."""
        return {
            "headlines": {
                text: {name: dataclasses.asdict(part) for name, part in found.items()}
                for text, found in self.headlines.items()
            },
            "reports": {name: part.to_dict() for name, part in self.reports.items()},
        }

    def best(self, text: str) -> set[str]:
        """Names of the models that are best in a measure; of one model none."""
        found = self.headlines[text]
        scores = {name: part.better * part.value for name, part in found.items()}
        most = max(scores.values())
        best = {name for name, score in scores.items() if score == most}
        return best if len(scores) > 1 else set()

    def _cell(self, text: str, name: str) -> str:
        part = self.headlines[text].get(name)
        if part is None:
            return "- "
        value = number(part.value, part.interval, part.digits)
        return value + ("*" if name in self.best(text) else " ")

    def _groups(self) -> Iterator[list[str]]:
        """Names of the models, as many together as fit the width of a page."""
        left = _WIDTH - max(map(len, self.headlines), default=0) - 5
        group: list[str] = []
        room = left
        for name in self.reports:
            cells = [self._cell(text, name) for text in self.headlines]
            width = 2 + max(map(len, [name, *cells]))
            if group and width > room:
                yield group
                group, room = [], left
            group.append(name)
            room -= width
        yield group


def _sign(found: Mapping[str, Headline]) -> str:
    return "+" if next(iter(found.values())).better > 0 else "-"


def compare(
    models: Mapping[str, SequenceModel],
    store: FrameStore,
    progress: Callable[[str, str, int, int], object] | None = None,
    **options: Any,
) -> Comparison:
    """Measure several models on the same sequences, with the same seeds.

    Args:
        models: Dict from a name to a trained `SequenceModel`; all take frames of the
            same size.
        store: `FrameStore`.
        progress: Called with the name of the model, then as by `evaluate`.
        **options: As for `evaluate`, such as `split`, `metrics` and `sequences`.

    Raises:
        InputError: There are no models, or as for `evaluate`.
    """
    if not models:
        raise InputError("models is empty; give one at least")
    reports = {}
    for name, model in models.items():
        told = progress and functools.partial(progress, name)
        reports[name] = evaluate(model, store, progress=told, **options)
    headlines: dict[str, dict[str, Headline]] = {}
    for name, report in reports.items():
        for measure, score in report.scores.items():
            for text, part in report.measures[measure].headlines(score).items():
                headlines.setdefault(text, {})[name] = part
    return Comparison(reports, headlines)
