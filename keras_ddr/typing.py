"""Names of types that several rooms share; nothing here is needed to run.

Keras has no complete type stubs, and a tensor is a class of whatever backend runs, so
type checkers take tensors for `Any`.
"""

import os
from collections.abc import Callable
from typing import Any, TypeAlias

__all__ = [
    "ImageShape",
    "Interval",
    "LabelValue",
    "Progress",
    "Shape",
    "StrPath",
    "Tensor",
]

StrPath: TypeAlias = str | os.PathLike[str]
"""A path of a file or folder."""

Tensor: TypeAlias = Any
"""A tensor of the backend, symbolic ones included."""

Shape: TypeAlias = tuple[Any, ...]
"""Shape of a tensor: numbers, and `None` for a size that is not known yet."""

ImageShape: TypeAlias = tuple[int, int, int]
"""Height, width and channels of a frame."""

Progress: TypeAlias = Callable[[int, int], object]
"""Called with what is done and what there is in all."""

Interval: TypeAlias = tuple[float, float]
"""The ends of a confidence interval."""

LabelValue: TypeAlias = str | float | None
"""A label of a sequence: a class name, a number, or `None` where missing."""
