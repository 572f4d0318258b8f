"""One array of a file, and arrays that are read in blocks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Index: TypeAlias = tuple[int | slice, ...]

_MOST_BYTES = 1 << 28  # read at a time where a file cannot be read in parts
_AT_ONCE = 1 << 26  # bytes of frames that are read together


@dataclass(frozen=True)
class Stack:
    """One array of a file.

    Attributes:
        key: its name in the file, "" where the file holds just this.
        shape: of the array.
        dtype: of its values.
        axes: its axes by the file, "" where that does not say.
        read: index -> values; called as long as the file is open.
        chunks: places along each axis that are best read together.
        interval: seconds from frame to frame by the file, NaN where it does not say.
        note: what is wrong with the file, in words.
    """

    key: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: str
    read: Callable[[Index], NDArray[Any]]
    chunks: tuple[int, ...] = ()
    interval: float = math.nan
    note: str = ""

    def at_once(self, axis: int, bytes_each: int) -> int:
        """How many places along an axis are read together."""
        most = max(1, _AT_ONCE // max(1, bytes_each))
        return min(most, self.chunks[axis]) if self.chunks else 1


def in_blocks(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    depth: int,
    read_block: Callable[[int, int], NDArray[Any]],
) -> Callable[[Index], NDArray[Any]]:
    """A function that reads an array by index from blocks of its last axes.

    Each place of the first `depth` axes is a block, which `read_block` (its number, its
    size in bytes) reads; the last one is kept.
    """
    outer, inner = shape[:depth], shape[depth:]
    size = math.prod(inner) * dtype.itemsize
    last: list[Any] = [None, None]

    def block(number: int) -> NDArray[Any]:
        if last[0] != number:
            if size > _MOST_BYTES:
                raise ValueError(
                    f"its parts have {size} bytes each; save it anew as .npy"
                )
            last[:] = number, read_block(number, size).reshape(inner)
        return last[1]

    def read(index: Index) -> NDArray[Any]:
        places = [
            range(n)[i] if isinstance(i, slice) else range(n)[i : i + 1]
            for i, n in zip(index[:depth], outer, strict=True)
        ]
        wanted = [len(p) for p in places]
        blocks = []
        for numbers in np.ndindex(*wanted):
            where = [p[k] for p, k in zip(places, numbers, strict=True)]
            number = int(np.ravel_multi_index(where, outer)) if outer else 0
            blocks.append(block(number)[index[depth:]])
        result = np.stack(blocks) if blocks else np.empty(0, dtype)
        kept = [
            len(p)
            for p, i in zip(places, index[:depth], strict=True)
            if isinstance(i, slice)
        ]
        return result.reshape(*kept, *blocks[0].shape)

    return read
