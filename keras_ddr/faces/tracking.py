"""Following people from frame to frame."""

from dataclasses import dataclass

import numpy as np

from keras_ddr.faces.boxes import match
from keras_ddr.media.video import Frame

__all__ = ["Sighting", "follow", "main_people"]

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
    face: np.ndarray


class _Track:
    """The sightings of one person that are still needed."""

    def __init__(self, number):
        self.number = number
        self.frames, self.faces = [], []
        self.first = 0  # sightings before these lists
        self.given = 0  # sightings handed out
        self.missed = 0

    def add(self, frame, face):
        self.frames.append(frame)
        self.faces.append(face)
        self.missed = 0

    def ready(self, ended=False):
        """Hand out sightings whose neighbours are known."""
        wide = len(_WEIGHTS) - 1
        count = self.first + len(self.faces)
        while self.given < count - (0 if ended else wide):
            place = self.given
            # The window is symmetric at the ends too, so that smoothing never shifts
            # a face in motion.
            reach = min(wide, place, count - 1 - place)
            total, weights = 0.0, 0
            for offset in range(-reach, reach + 1):
                weight = _WEIGHTS[abs(offset)]
                total = total + weight * self.faces[place + offset - self.first]
                weights += weight
            face = total / weights
            face[_SCORE] = self.faces[place - self.first][_SCORE]
            yield Sighting(self.number, self.frames[place - self.first], face)
            self.given += 1
            while self.first < self.given - wide:
                del self.frames[0], self.faces[0]
                self.first += 1
            # Pictures are large; only boxes are needed of those handed out.
            self.frames[place - self.first] = None


def follow(detections, max_gap=5):
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
    tracks, number = [], 0
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
            yield from track.ready(ended)
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


def main_people(people):
    """Choose one person at any time: whose face fills most of the video.

    Args:
        people: dict person -> (first frame number, last frame number, area of the
            face summed over its frames).

    Returns:
        Sorted list of persons that are not seen at the same time, chosen by area.
    """
    chosen = []
    for person in sorted(people, key=lambda p: (-people[p][2], p)):
        first, last, _ = people[person]
        if all(last < people[p][0] or first > people[p][1] for p in chosen):
            chosen.append(person)
    return sorted(chosen)
