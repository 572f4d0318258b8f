"""Names of types that several rooms share; nothing here is needed to run.

Keras has no complete type stubs, and a tensor is a class of whatever backend runs, so
type checkers take tensors for `Any`.
"""

import os
from collections.abc import Callable
from typing import Any, TypeAlias

StrPath: TypeAlias = str | os.PathLike[str]
Tensor: TypeAlias = Any  # of the backend, symbolic ones included
Shape: TypeAlias = tuple[Any, ...]  # of a tensor; `None` is a size not known yet
ImageShape: TypeAlias = tuple[int, int, int]  # height, width and channels
Progress: TypeAlias = Callable[[int, int], object]  # of what is done, and of all
Interval: TypeAlias = tuple[float, float]  # ends of a 95 % interval
LabelValue: TypeAlias = str | float | None  # class name, number, or missing
