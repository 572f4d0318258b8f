"""One array of a file, and arrays that are read in blocks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Index: TypeAlias = tuple[int | slice, ...]

_MOST_BYTES = 1 << 28  # of a block
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

    def turned(self) -> Stack:
        """The same with its axes in the opposite order."""

        def read(index: Index) -> NDArray[Any]:
            return self.read(index[::-1]).T

        return replace(
            self, shape=self.shape[::-1], chunks=self.chunks[::-1], read=read
        )

    def at_once(self, axis: int, bytes_each: int) -> int:
        """How many places along an axis are read together."""
        most = max(1, _AT_ONCE // max(1, bytes_each))
        return min(most, self.chunks[axis]) if self.chunks else 1


def raw_stack(
    key: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    begin: int,
    read_bytes: Callable[[int, int], bytes],
    axes: str = "",
) -> Stack:
    """An array whose values lie one after the other from the byte `begin`.

    They are read picture by picture, by `read_bytes` (place, size): a memory map would
    fill the memory with what has been seen.
    """

    def read_block(number: int, size: int) -> NDArray[Any]:
        content = read_bytes(begin + number * size, size)
        if len(content) < size:
            raise ValueError("it is shorter than its header says")
        return np.frombuffer(content, dtype)

    picture = 3 if shape and shape[-1] <= 4 else 2
    return in_blocks(key, shape, dtype, axes, max(0, len(shape) - picture), read_block)


def in_blocks(
    key: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    axes: str,
    depth: int,
    read_block: Callable[[int, int], NDArray[Any]],
) -> Stack:
    """An array that is read in blocks of its last axes.

    Each place of the first `depth` axes is a block, which `read_block` (its number, its
    size in bytes) reads; the last one is kept.
    """
    outer, inner = shape[:depth], shape[depth:]
    size = math.prod(inner) * dtype.itemsize
    last: list[Any] = [None, None]

    def block(number: int) -> NDArray[Any]:
        if last[0] != number:
            if size > _MOST_BYTES:
                raise ValueError(f"one of its pictures has {size} bytes")
            last[:] = number, read_block(number, size).reshape(inner)
        return last[1]

    def read(index: Index) -> NDArray[Any]:
        spans = [
            range(n)[i] if isinstance(i, slice) else range(i, i + 1)
            for i, n in zip(index, outer, strict=False)
        ]
        kept = [
            len(s) for s, i in zip(spans, index, strict=False) if isinstance(i, slice)
        ]
        wanted = itertools.product(*spans)
        numbers = [int(np.ravel_multi_index(at, outer)) if at else 0 for at in wanted]
        found = np.stack([block(number)[index[depth:]] for number in numbers])
        return found.reshape(*kept, *found.shape[1:])

    return Stack(key, shape, dtype, axes, read, (1,) * depth + inner)
