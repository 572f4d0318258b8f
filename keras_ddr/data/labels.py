"""What the values of a label mean: which are missing, and what a class is called."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.data.format import CROP_LABELS, FRAME_LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.typing import LabelInfo

__all__ = [
    "class_names",
    "content_labels",
    "is_missing",
    "label_numbers",
    "label_text",
    "present",
]


def content_labels(store: FrameStore) -> dict[str, LabelInfo]:
    """Labels that say what is shown, and not where in its source a frame came from.

    Returns:
        Dict name → what `store.label_info` says of it.
    """
    origin = {*FRAME_LABELS, *CROP_LABELS}
    return {k: v for k, v in store.label_info.items() if k not in origin}


def is_missing(value: object, info: LabelInfo) -> bool:
    """Whether a value stands for none: `None`, NaN, "" or the label's own sign."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    if isinstance(value, str) and not value:
        return True
    return info["missing"] is not None and value == info["missing"]


def present(values: NDArray[Any], info: LabelInfo) -> NDArray[np.bool_]:
    """Which values of frames, as `FrameStore.frame_labels` gives them, are not missing.

    Args:
        values: Numbers `(T,)`.
        info: What `store.label_info` says of the label.

    Returns:
        Truth values `(T,)`.
    """
    missing = info["missing"]
    known = ~np.isnan(values)
    # In the type of the values: no float32 is 0.1.
    return known if missing is None else known & (values != missing)


def class_names(values: NDArray[Any], info: LabelInfo) -> list[str | None]:
    """Names of the classes of frames.

    Args:
        values: Class numbers `(T,)`, as `FrameStore.frame_labels` gives them.
        info: What `store.label_info` says of the label; categorical.

    Returns:
        List of T names, `None` where there is none.
    """
    classes = info["classes"] or []
    known = present(values, info) & (values >= 0) & (values < len(classes))
    return [
        classes[int(value)] if there else None
        for value, there in zip(values.tolist(), known, strict=True)
    ]


def label_numbers(values: NDArray[Any], info: LabelInfo) -> NDArray[np.float64]:
    """Values of a label of frames as numbers, same length; NaN where missing."""
    return np.where(present(values, info), values.astype(np.float64), np.nan)


def label_text(value: Any, info: LabelInfo) -> str:
    """One value as text: the class's name, or the shortest text of the number.

    Args:
        value: Of a frame, as `FrameStore.frame_labels` gives it, or of a sequence, as
            in `Sequence.labels`.
        info: What `store.label_info` says of the label.

    Returns:
        The text; "" where missing.
    """
    if info["scope"] == "sequence":
        return "" if is_missing(value, info) else str(value)
    values = np.array([value])
    if info["kind"] == "categorical":
        return class_names(values, info)[0] or ""
    return str(value) if present(values, info)[0] else ""
