"""Following people from frame to frame."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.faces.boxes import match
from keras_ddr.media.video import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.media.shots import ShotFrame
    from keras_ddr.typing import Track

__all__ = ["Sighting", "follow", "one_at_a_time"]

# A face that moved by more than this share of its width since it was last seen is
# someone else.
_REACH = 0.45
# Light smoothing over two sightings on either side: detection jitters by less than a
# percent of the width, quick motion must not lag.
_WEIGHTS = (3, 2, 1)
_SCORE = 14


@dataclass
class Sighting:
    """A person in a frame.

    Attributes:
        person: number of the person within the video. Someone who was lost and found
            again gets another number.
        frame: the `Frame`.
        face: (15,), see `detector.COLUMNS`; box and landmarks are smoothed.
    """

    person: int
    frame: Frame
    face: NDArray[np.float64]


class _Track:
    """The sightings of one person that are still needed."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.frames: dict[int, Frame] = {}  # of sightings that were not handed out
        self.faces: list[NDArray[np.float64]] = []
        self.numbers: list[int] = []
        self.first = 0  # sightings before these two lists
        self.given = 0  # sightings handed out
        self.missed = 0

    def add(self, frame: Frame, face: NDArray[np.float64]) -> None:
        self.frames[self.first + len(self.faces)] = frame
        self.faces.append(face)
        self.numbers.append(frame.number)
        self.missed = 0

    def ready(self, ended: bool = False) -> Iterator[Sighting]:
        """Hand out sightings whose neighbours are known."""
        wide = len(_WEIGHTS) - 1
        count = self.first + len(self.faces)
        while self.given < count - (0 if ended else wide):
            place = self.given
            reach = self._reach(place, count)
            total, weights = np.zeros(len(self.faces[0])), 0
            for offset in range(-reach, reach + 1):
                weight = _WEIGHTS[abs(offset)]
                total = total + weight * self.faces[place + offset - self.first]
                weights += weight
            face = total / weights
            face[_SCORE] = self.faces[place - self.first][_SCORE]
            yield Sighting(self.number, self.frames.pop(place), face)
            self.given += 1
            while self.first < self.given - wide:
                del self.faces[0], self.numbers[0]
                self.first += 1

    def _reach(self, place: int, count: int) -> int:
        """How far the window reaches on both sides.

        It is symmetric at the ends and beside gaps too, so that smoothing does not
        shift a face in steady motion.
        """
        reach, middle = 0, place - self.first
        for wide in range(1, len(_WEIGHTS)):
            if place - wide < 0 or place + wide >= count:
                break
            span = self.numbers[middle + wide] - self.numbers[middle - wide]
            if span != 2 * wide:
                break
            reach = wide
        return reach


def follow(
    detections: Iterable[tuple[ShotFrame, NDArray[np.float64]]], max_gap: int = 5
) -> Iterator[Sighting]:
    """Follow every person through a stream of frames with their faces.

    A face is joined to the nearest one before it. A person's track ends at a cut or a
    blank frame, after more than `max_gap` frames without the face, and where the face
    would jump.

    Args:
        detections: iterable of (ShotFrame, faces), as of `detect_faces`.
        max_gap: most frames in a row in which a person may go unseen.

    Yields:
        `Sighting` in the order of frames for every person, two sightings late.
    """
    tracks: list[_Track] = []
    number = 0
    for shot, faces in detections:
        if shot.first:
            for track in tracks:
                yield from track.ready(ended=True)
            tracks = []
        pairs = match([track.faces[-1] for track in tracks], faces, _REACH)
        for i, j in pairs:
            tracks[i].add(shot.frame, faces[j])
        seen, found = {i for i, _ in pairs}, {j for _, j in pairs}
        kept = []
        for i, track in enumerate(tracks):
            if i not in seen:
                track.missed += 1
            ended = track.missed > max_gap
            # Beside a gap smoothing ends, so that nothing is waited for in it.
            yield from track.ready(ended=track.missed > 0)
            if not ended:
                kept.append(track)
        tracks = kept
        for j in range(len(faces)):
            if j not in found:
                track = _Track(number)
                number += 1
                track.add(shot.frame, faces[j])
                tracks.append(track)
    for track in tracks:
        yield from track.ready(ended=True)


def one_at_a_time(tracks: Mapping[int, Track], min_length: int = 1) -> list[Track]:
    """Choose one person at any time: whose face fills most of the video.

    Tracks are taken by the area of the face summed over its frames. Of a track that
    overlaps with one that was taken before, the frames outside it stay.

    Args:
        tracks: dict person -> list of (row, frame number, time, face), in order.
        min_length: shorter tracks, and shorter rests of tracks, are not taken: they
            would only stand in the way of others.

    Returns:
        List of tracks in order of time, no two of which share a frame number.
    """

    def area(person: int) -> float:
        return sum(float(face[2] * face[3]) for *_, face in tracks[person])

    def within(number: int) -> bool:
        place = bisect.bisect_right(starts, number)
        return place > 0 and number <= ends[place - 1]

    chosen: list[Track] = []
    starts: list[int] = []
    ends: list[int] = []  # the last frame of all tracks that begin no later
    for person in sorted(tracks, key=lambda person: (-area(person), person)):
        run: Track = []
        for entry in [*tracks[person], None]:
            if entry is not None and not within(entry[1]):
                run.append(entry)
                continue
            if len(run) >= min_length:
                chosen.append(run)
            run = []
        spans = sorted((track[0][1], track[-1][1]) for track in chosen)
        starts = [first for first, _ in spans]
        ends = list(itertools.accumulate((last for _, last in spans), max))
    return sorted(chosen, key=lambda track: track[0][1])
