"""TIFF stacks: plain pages, ImageJ, OME and BigTIFF, in either byte order."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.media.blocks import Stack, in_blocks, raw_stack

if TYPE_CHECKING:
    from numpy.typing import NDArray


_SECONDS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


def tiff_stacks(path: str, closing: contextlib.ExitStack) -> list[Stack]:
    """The series of a TIFF; pictures of one size, one after the other, are one."""
    try:
        import tifffile
    except ImportError:
        raise InputError(
            f"{path}: needs the package tifffile; pip install tifffile"
        ) from None
    said = closing.enter_context(_heard())
    file = closing.enter_context(tifffile.TiffFile(path))
    series = list(file.series)
    parts = {page.parent.filehandle.path for s in series for page in _some(s.pages)}
    first = min(parts | {os.path.abspath(path)})
    if os.path.abspath(path) != first:
        raise InputError(
            f"{path}: is a part of {os.path.basename(first)}, with which it is read"
        )
    single = [s for s in series if len(s.pages) == 1 and s.axes in ("YX", "YXS")]
    alike = {(s.shape, s.dtype) for s in single}
    if len(single) == len(series) > 1 and len(alike) == 1:
        shape = (len(series), *series[0].shape)
        pages = [s.pages[0] for s in series]
        stacks = [_paged("", shape, f"T{series[0].axes}", pages)]
    else:
        keys = map(str, range(len(series))) if len(series) > 1 else [""]
        stacks = [_stack(*each) for each in zip(keys, series, strict=True)]
    cut = any("invalid page offset" in text for text in said)
    note = f"is truncated; {len(file.pages)} pages of it are left" if cut else ""
    interval = _interval(file)
    return [replace(stack, note=note, interval=interval) for stack in stacks]


@contextlib.contextmanager
def _heard() -> Iterator[list[str]]:
    """What the library says meanwhile; else it would write that on the terminal."""
    said: list[str] = []

    def hear(record: logging.LogRecord) -> bool:
        said.append(record.getMessage())
        return False

    logger = logging.getLogger("tifffile")
    logger.addFilter(hear)
    try:
        yield said
    finally:
        logger.removeFilter(hear)


def _interval(file: Any) -> float:
    """Seconds between frames, by ImageJ or OME."""
    found = (file.imagej_metadata or {}).get("finterval")
    unit = "s"
    if file.ome_metadata:
        start = file.ome_metadata[:100_000]
        times = re.search(r'\bTimeIncrement="([\d.eE+-]+)"', start)
        units = re.search(r'\bTimeIncrementUnit="(\w+)"', start)
        found = times[1] if times else None
        unit = units[1] if units else "s"
    try:
        seconds = float(found) * _SECONDS[unit]  # type: ignore[arg-type]
    except (TypeError, ValueError, KeyError):
        return math.nan
    return seconds if 0 < seconds < math.inf else math.nan


def _some(pages: Sequence[Any]) -> list[Any]:
    """The first and the last page of a series: whose files these are."""
    return [page for page in (pages[0], pages[-1]) if page is not None]


def _stack(key: str, series: Any) -> Stack:
    shape, dtype = tuple(series.shape), np.dtype(series.dtype)
    # One page may stand for all, as in ImageJ's files of more than 4 GB.
    whole = series.dataoffset is not None and len(series.pages) == 1
    if whole and math.prod(shape) > math.prod(series.pages[0].shape):
        typed = dtype.newbyteorder(series.pages[0].parent.byteorder)
        file = series.pages[0].parent.filehandle

        def read_bytes(place: int, size: int) -> bytes:
            file.seek(place)
            return file.read(size)

        begin = series.dataoffset
        return raw_stack(key, shape, typed, begin, read_bytes, series.axes)
    return _paged(key, shape, series.axes, series.pages)


def _paged(key: str, shape: tuple[int, ...], axes: str, pages: Sequence[Any]) -> Stack:
    """A stack that is read page by page."""
    dtype = np.dtype(pages[0].dtype)
    depth = len(shape)
    while depth and math.prod(shape[:depth]) != len(pages):
        depth -= 1
    if depth > len(shape) - 2:
        depth = 0

    def read_block(number: int, size: int) -> NDArray[Any]:
        page = pages[number]
        if page is None:
            raise ValueError(f"its page {number} is not there")
        return page.asarray()

    return in_blocks(key, shape, dtype, axes, depth, read_block)
