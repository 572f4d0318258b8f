"""Following people from frame to frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from keras_ddr.faces.boxes import Face, match, mean_face
from keras_ddr.media.video import Frame

# A face that moved by more than this share of its width since it was last seen is
# someone else.
REACH = 0.45
# Weights of light smoothing over two sightings on either side: detection jitters by
# less than a percent of the width, quick motion must not lag.
_WEIGHTS = (3, 2, 1)


class Sighting(NamedTuple):
    """A person in a frame, with the face smoothed over the sightings around."""

    person: int  # someone who was lost and found again gets another number
    frame: Frame
    face: Face | None  # None where no faces are looked for


class _Track:
    """The sightings of one person that are still needed."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.sightings: list[tuple[int, Face]] = []  # with the frames' numbers
        self.given = 0  # of them, those handed out
        self.frames: deque[Frame] = deque()  # of those that were not
        self.missed = 0

    def add(self, frame: Frame, face: Face) -> None:
        self.sightings.append((frame.number, face))
        self.frames.append(frame)
        self.missed = 0

    def ready(self, ended: bool = False) -> Iterator[Sighting]:
        """Hand out sightings whose neighbours are known."""
        wide = len(_WEIGHTS) - 1
        while self.given < len(self.sightings) - (0 if ended else wide):
            reach = self._reach(self.given)
            window = self.sightings[self.given - reach : self.given + reach + 1]
            weights = [_WEIGHTS[abs(k)] for k in range(-reach, reach + 1)]
            score = self.sightings[self.given][1].score
            mean = mean_face([face for _, face in window], weights, score)
            yield Sighting(self.number, self.frames.popleft(), mean)
            self.given += 1
            if self.given > wide:
                del self.sightings[0]
                self.given -= 1

    def _reach(self, middle: int) -> int:
        """Reach of the window: symmetric, so that steady motion is not shifted."""
        reach = 0
        for wide in range(1, len(_WEIGHTS)):
            if middle < wide or middle + wide >= len(self.sightings):
                break
            first, last = (self.sightings[middle + k][0] for k in (-wide, wide))
            if last - first != 2 * wide:
                break
            reach = wide
        return reach


def follow(
    detections: Iterable[tuple[Frame, list[Face]]], max_gap: int = 5
) -> Iterator[Sighting]:
    """Follow every person through frames with their faces, two sightings late.

    A face is joined to the nearest one before it. A track ends at a cut or a blank
    frame, after more than `max_gap` frames without the face, and where it would jump.
    """
    tracks: list[_Track] = []
    number = 0
    for frame, faces in detections:
        if frame.first:
            for track in tracks:
                yield from track.ready(ended=True)
            tracks = []
        known = [track.sightings[-1][1].box for track in tracks]
        found = dict(match(known, [face.box for face in faces], REACH))
        kept = []
        for i, track in enumerate(tracks):
            if i in found:
                track.add(frame, faces[found[i]])
            else:
                track.missed += 1
            # Smoothing ends beside a gap, so that nothing is waited for in it.
            yield from track.ready(ended=track.missed > 0)
            if track.missed <= max_gap:
                kept.append(track)
        tracks = kept
        for j, face in enumerate(faces):
            if j not in found.values():
                tracks.append(_Track(number))
                tracks[-1].add(frame, face)
                number += 1
    for track in tracks:
        yield from track.ready(ended=True)
