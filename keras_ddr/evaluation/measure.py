"""Base class of the measures, the material that one works on, and its tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from keras_ddr.arguments import check_whole

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.evaluation.encoded import EncodedSplit
    from keras_ddr.sequence_model import SequenceModel
    from keras_ddr.typing import Interval, Progress

__all__ = ["Headline", "Material", "Measure", "Skipped"]


@dataclasses.dataclass(frozen=True)
class Skipped:
    """The name of a label or measure that could not be measured, and why."""

    what: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Headline:
    """A number of a score by which models are compared.

    Attributes:
        value: The number.
        interval: Its 95 % interval, or `None`.
        better: 1 where more is better, −1 where less is.
        digits: Decimals to show.
    """

    value: float
    interval: Interval | None = None
    better: int = 1
    digits: int = 3


@dataclasses.dataclass(frozen=True)
class Material:
    """Everything that a measure works on.

    Attributes:
        test: `EncodedSplit` to score on; it has codes if the measure needs "codes".
        fit: `EncodedSplit` to fit on, or `test` where there is none; it has codes if
            the measure needs "fit codes".
        seed: Seed of every random choice.
        skipped: List of `Skipped`, to add to.
        progress: To call with (done, all).
    """

    model: SequenceModel
    store: FrameStore
    test: EncodedSplit
    fit: EncodedSplit
    seed: int
    skipped: list[Skipped]
    progress: Progress


class Measure:
    """One measure of `evaluate`.

    A measure of your own sets `name`, and `needs` where it needs something, and defines
    `run` and `lines`. Options are fields of a dataclass; whole numbers count
    something and are at least 1.

    Attributes:
        name: Name in `metrics`, `ddr evaluate --only`, the report and metrics.json.
        about: A line of help.
        counted: Plural of the things that `run` counts as progress, or "".
        needs: Out of "codes" (of the split to score on), "fit" (a split to fit on) and
            "fit codes" (its codes).
        wants: The same, of what it does without where a model has no codes.
        by_default: Whether "all" has it; `False` where it takes a file.
        methods: Names of the methods that the model must have beyond `SequenceModel`.
    """

    name: ClassVar[str]
    about: ClassVar[str] = ""
    counted: ClassVar[str] = ""
    needs: ClassVar[frozenset[str]] = frozenset({"codes"})
    wants: ClassVar[frozenset[str]] = frozenset()
    by_default: ClassVar[bool] = True
    methods: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Refuse a number below 1 in a field that counts something."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]  # of a subclass
        counts = [field.name for field in fields if type(field.default) is int]
        check_whole(**{name: getattr(self, name) for name in counts})

    def check(self, material: Material) -> None:
        """Refuse options that cannot be used, before anything is encoded.

        Raises:
            InputError: A label that an option names is not in the store.
        """

    def run(self, material: Material) -> Any:
        """The score of a `Material`, a dataclass or a dict of them.

        Raises:
            InputError: It cannot be measured here; the message is the reason in the
                report.
        """
        raise NotImplementedError

    def lines(self, score: Any) -> list[str]:
        """Lines of the score in the report's table, at most 100 characters each."""
        raise NotImplementedError

    def headlines(self, score: Any) -> dict[str, Headline]:
        """Numbers of the score by which models are compared, by what they are."""
        return {}

    def to_dict(self, score: Any) -> Any:
        """The score as plain values for metrics.json."""
        return _plain(score)


def option(
    default: Any, flag: str, text: str, *, several: bool = False, file: bool = False
) -> Any:
    """Field that is also an option of `ddr evaluate`: names, a file, or a number."""
    metadata = {"flag": flag, "help": text, "several": several, "file": file}
    return dataclasses.field(default=default, metadata=metadata)


def _plain(value: Any) -> Any:
    """Nested dataclasses as dicts."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return value


def number(
    value: float | None, interval: Interval | None = None, digits: int = 3
) -> str:
    """A number with half of its 95 % interval, as in "0.812 ±.031"; "" for `None`."""
    if value is None:
        return ""
    text = f"{value:.{digits}f}"
    if interval is None:
        return text
    half = f"{(interval[1] - interval[0]) / 2:.{digits}f}"
    return f"{text} ±{half.removeprefix('0')}"


def numbers(values: Iterable[float | None]) -> list[str]:
    """Several numbers without intervals."""
    return [number(value) for value in values]


def aligned(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table with numbers at the right, names and measures at the left."""
    table = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    texts = 2 if header[1] == "measure" else 1
    lines = []
    for row in table:
        cells = [
            cell.ljust(width) if i < texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return lines
