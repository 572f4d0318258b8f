"""Labels: which values they have, which are missing, and how they are stored."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import LabelValue

__all__ = ["Label"]

SCOPES = ("sequence", "frame")
KINDS = ("categorical", "continuous", "periodic")

MISSING_TEXTS = frozenset(
    ["", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "None", "NULL"]
    + ["null", "NaT"]
)
"""Texts that stand for a missing value wherever labels are taken."""


def is_missing(value: Any) -> bool:
    """Whether a value is none: also NaN, and NA and NaT of pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, str):
        return value in MISSING_TEXTS
    return bool(value != value)


@dataclasses.dataclass(frozen=True)
class Label:
    """Meaning of the values of a label.

    A sequence label holds class names (str) or floats, `None` where missing. A frame
    label holds numbers, one a frame; of a categorical one they are indices into
    `classes`.

    Attributes:
        scope: "sequence" or "frame".
        kind: "categorical", "continuous" or "periodic".
        classes: Names of the classes, no two equal; `None` of numbers, or, while a
            store is written, for the classes that occur.
        unit: Unit of the values, such as "degrees", or `None`.
        missing: Value that stands for none beside NaN, `None` and "". A whole number
            for categorical frame labels, by default -1.

    Raises:
        InputError: A value is not of these; the message does not name the label.
    """

    scope: str
    kind: str
    classes: Sequence[str] | None = None
    unit: str | None = None
    missing: str | float | None = None

    def __post_init__(self) -> None:
        if self.scope not in SCOPES or self.kind not in KINDS:
            raise InputError(
                f"needs a scope ({', '.join(SCOPES)}) and a kind ({', '.join(KINDS)})"
            )
        of_frames, categorical = self.scope == "frame", self.kind == "categorical"
        if self.classes is not None:
            classes = tuple(self.classes)
            if isinstance(self.classes, str) or not all(
                isinstance(name, str) for name in classes
            ):
                raise InputError("has classes that are no texts")
            if len(set(classes)) < len(classes):
                raise InputError("names a class twice")
            object.__setattr__(self, "classes", classes)
        if of_frames and categorical and self.missing is None:
            object.__setattr__(self, "missing", -1)
        whole = type(self.missing) is int
        if of_frames:
            fits = whole or (not categorical and isinstance(self.missing, float | None))
        else:
            fits = isinstance(self.missing, str | int | float | None)
        if not fits or not isinstance(self.unit, str | None):
            raise InputError("has a unit or a value for missing that cannot be")

    @classmethod
    def from_json(cls, content: object) -> Self:
        """The label that `to_json` gave; anything else is an `InputError`."""
        if not isinstance(content, dict):
            raise InputError("is not described")
        names = [field.name for field in dataclasses.fields(cls)]
        known: dict[str, Any] = {name: content.get(name) for name in names}
        if not isinstance(known["classes"], list | None):
            raise InputError("has classes that are no list")
        label = cls(**known)
        if label.kind == "categorical" and label.classes is None:
            raise InputError("is categorical and has no classes")
        return label

    def to_json(self) -> dict[str, Any]:
        """The label as a dict for a JSON file."""
        return dataclasses.asdict(self)

    def merge(self, other: Label) -> Label:
        """The label of two stores shown as one, with the classes of both."""
        same = [(x.scope, x.kind, x.unit) for x in (self, other)]
        if self.scope == "frame":
            same = [self, other]
        if same[0] != same[1]:
            raise InputError("means something else")
        if self.classes is None or other.classes is None:
            return self
        classes = tuple(dict.fromkeys([*self.classes, *other.classes]))
        return dataclasses.replace(self, classes=classes)

    def present(self, values: ArrayLike | Sequence[LabelValue]) -> NDArray[np.bool_]:
        """Which stored values `(T,)` are not missing."""
        values = np.asarray(values)
        if values.dtype.kind not in "iufb":
            absent = (None, "") if self.missing is None else (None, "", self.missing)
            known = [value not in absent and value == value for value in values]
            return np.array(known, bool)
        known = ~np.isnan(values)
        # Compare in the type of the values: no float32 is 0.1.
        return known if self.missing is None else known & (values != self.missing)

    def names(self, values: ArrayLike) -> list[str | None]:
        """Names of the classes of stored values `(T,)`, `None` where missing."""
        values = np.asarray(values)
        known = self.present(values)
        if self.scope == "sequence":
            return [str(v) if k else None for v, k in zip(values, known, strict=True)]
        classes = self.classes or ()
        known &= (values >= 0) & (values < len(classes))
        return [
            classes[int(value)] if there else None
            for value, there in zip(values, known, strict=True)
        ]

    def numbers(self, values: ArrayLike) -> NDArray[np.float64]:
        """Stored values `(T,)` as float64, classes by their position, NaN for none."""
        values = np.asarray(values)
        known = self.present(values)
        if self.scope == "sequence" and self.classes is not None:
            position = {name: k for k, name in enumerate(self.classes)}
            values = [position.get(value, np.nan) for value in values]
        result = np.full(len(known), np.nan)
        result[known] = np.asarray(values)[known]
        return result

    def texts(self, values: ArrayLike) -> list[str]:
        """Stored values `(T,)` as names of classes or shortest numbers, "" for none."""
        if self.kind == "categorical":
            return [name or "" for name in self.names(values)]
        values = np.asarray(values)
        known = self.present(values)
        return [str(v) if k else "" for v, k in zip(values, known, strict=True)]

    def encode(self, values: Sequence[LabelValue]) -> NDArray[Any]:
        """Names of classes or numbers (`None`: missing), as a store holds them."""
        if self.kind != "categorical":
            return np.array([np.nan if v is None else v for v in values], np.float32)
        position: dict[Any, int] = {n: k for k, n in enumerate(self.classes or ())}
        return np.array([position.get(v, self.missing) for v in values], np.int32)

    def blank(self, length: int) -> NDArray[Any]:
        """Stored values `(length,)` of a frame label that is missing everywhere."""
        if self.kind == "categorical":
            return np.full(length, self.missing, np.int32)
        missing = np.nan if self.missing is None else self.missing
        return np.full(length, missing, np.float32)


FRAME_LABELS = {
    "source_frame": Label("frame", "continuous", unit="frames", missing=-1),
    "time": Label("frame", "continuous", unit="s"),
}
"""Labels that every frame has; the time is NaN where a dataset knows none."""

_LANDMARKS = ("right_eye", "left_eye", "nose", "mouth_right", "mouth_left")
CROP_LABELS = (
    *("face_x", "face_y", "face_width", "face_height"),
    *(f"{landmark}_{axis}" for landmark in _LANDMARKS for axis in "xy"),
    "detector_score",
)
"""Frame labels that say where in its source a face was cut out, in pixels there: its
box, its landmarks (left and right as the person has them), the detector's score."""

ANIMAL_LABELS = {
    "animal_x": Label("frame", "continuous", unit="px"),
    "animal_y": Label("frame", "continuous", unit="px"),
    "animal_angle": Label("frame", "periodic", unit="degrees"),
    "crop_side": Label("frame", "continuous", unit="px"),
}
"""Frame labels that say where in its source an animal was cut out, turned by how much
(from x to y, NaN where nothing says it), and the side of the square there."""

HEAD_LABELS = {
    "head_yaw": "eye distances",
    "head_pitch": None,
    "head_roll": "degrees",
    "mouth_width": "eye distances",
}
"""Frame labels that landmarks give roughly, with their units: what they know of the
pose of a head is good enough to be looked for in z."""
