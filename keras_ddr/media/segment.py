"""Segments of a long video, read by seeking, and what proves that none is wrong."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from keras_ddr.media.video import Frame, Video

# Frames on either side of a border that both neighbours must have alike; `find_shots`
# judges by up to three that follow.
_AROUND = 4


class Border(NamedTuple):
    """The frames that were seen right before a border and right behind it."""

    before: list[str]
    behind: list[str]

    def fits(self, other: Border) -> bool:
        """Whether the neighbour, who sought this border, saw the same frames."""
        if not self.behind or not other.behind:
            return self.behind == other.behind  # the end of the video
        common = min(len(self.before), len(other.before))
        same = self.before[-common:] == other.before[-common:]
        return bool(common) and same and self.behind == other.behind


class Segment:
    """The frames of a video from one time up to another, in seconds.

    Some frames before and behind come along, marked as `beside`. Numbers count from the
    first frame that is meant; those of the first segment are those of the video.
    """

    def __init__(self, video: Video, begin: float, end: float | None) -> None:
        self.video = video
        self.begin = begin
        self.end = end
        self.count = 0  # of numbers, also those of frames that could not be decoded
        self.read = 0  # frames decoded
        self.time = 0.0  # of the last one, seconds since the beginning of the video
        self.first = Border([], [])
        self.last = Border([], [])

    def __iter__(self) -> Iterator[Frame]:
        self.count = self.read = 0
        start = None if self.begin else 0
        inside = start is not None
        recent: deque[str] = deque(maxlen=_AROUND)
        for frame in self.video.starting(self.begin):
            seen = _digest(frame)
            if start is None and frame.time >= self.begin:
                start, inside = frame.number, True
                self.first = Border([*recent], [])
            ends = self.end is not None and frame.time >= self.end
            if start is not None and inside and ends:
                inside = False
                self.count = frame.number - start
                self.last = Border([*recent], [])
            recent.append(seen)
            if inside:
                self.read += 1
                self.count = frame.number - (start or 0) + 1
                self.time = frame.time
                if len(self.first.behind) < _AROUND:
                    self.first.behind.append(seen)
            elif start is not None:
                self.last.behind.append(seen)
            yield replace(frame, number=frame.number - (start or 0), beside=not inside)
            if len(self.last.behind) == _AROUND:
                break


def _digest(frame: Frame) -> str:
    """Time and content of a frame; every block of a codec has a pixel in it."""
    some = np.ascontiguousarray(frame.image[::8, ::8])
    return f"{frame.time!r} {zlib.crc32(some.data)}"
