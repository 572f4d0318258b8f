"""Which of the people in a video are meant."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping
from typing import TypeAlias

from keras_ddr.datasets.parts import Crop

# One person in a video, in order of time.
_Track: TypeAlias = list[Crop]

# Share of the larger face's area up to which another is no partner: a third as wide.
_BACKGROUND = 1 / 9


def one_at_a_time(tracks: Mapping[int, _Track], min_length: int = 1) -> list[_Track]:
    """Choose one person at any time: whose face fills most of the video.

    Tracks are taken by the area of the face summed over its frames. Of a track that
    overlaps with one taken before, the frames outside it stay, if `min_length` of them.
    """

    def area(person: int) -> float:
        return sum(crop.face.area for crop in tracks[person] if crop.face)

    chosen: list[_Track] = []
    taken: set[int] = set()
    for person in sorted(tracks, key=lambda person: (-area(person), person)):
        outside = itertools.groupby(tracks[person], lambda crop: crop.number in taken)
        runs = [list(run) for covered, run in outside if not covered]
        for run in runs:
            if len(run) >= min_length:
                chosen.append(run)
                taken.update(range(run[0].number, run[-1].number + 1))
    return sorted(chosen, key=lambda track: track[0].number)


def on_side(tracks: Mapping[int, _Track], side: str, width: int) -> dict[int, _Track]:
    """Choose the tracks of the person on one side, "left" or "right".

    The two largest faces of a frame are the left and the right one, unless the second
    is so small as to be in the background. A face alone counts by its half of the
    picture, and only for those who are never seen beside another.
    """
    frames = defaultdict(list)
    for person, track in tracks.items():
        for crop in track:
            if crop.face is not None:
                centre = crop.face.box[0] + crop.face.box[2] / 2
                frames[crop.number].append((crop.face.area, centre, person))
    together: defaultdict[int, int] = defaultdict(int)
    alone: defaultdict[int, int] = defaultdict(int)
    for faces in frames.values():
        faces = sorted(faces, reverse=True)[:2]
        if faces[-1][0] < _BACKGROUND * faces[0][0]:
            faces.pop()
        if len(faces) == 1:
            _, centre, person = faces[0]
            alone[person] += 1 if (centre < width / 2) == (side == "left") else -1
            continue
        left, right = sorted(faces, key=lambda face: face[1])
        chosen, other = (left, right) if side == "left" else (right, left)
        together[chosen[2]] += 1
        together[other[2]] -= 1
    return {
        person: track
        for person, track in tracks.items()
        if (together[person] or alone[person]) > 0
    }
