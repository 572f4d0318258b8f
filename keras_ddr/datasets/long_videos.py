"""Long videos: read in segments, on their own and in any order, and then joined.

Where a segment begins is said by the file alone, and people are followed anew in each:
the result depends neither on the number of workers nor on interruptions. Segments are
found by seeking, which some files do not support. Neighbours therefore compare the
frames around their border; where these differ, the video is read from its beginning.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.datasets.parts import Clip, Crop, Outcome, found_in, outcome_of
from keras_ddr.errors import InputError
from keras_ddr.faces.boxes import Face, match
from keras_ddr.faces.tracking import REACH
from keras_ddr.media import opencv
from keras_ddr.media.segment import Border, Segment
from keras_ddr.media.sizes import size_changes
from keras_ddr.media.video import Video

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.datasets.parts import Source
    from keras_ddr.faces.tracking import Sighting
    from keras_ddr.media.video import Frame

    _Ends = dict[int, list[float]]

# A video of `_LONG` seconds is divided. A segment costs a few hundred frames that are
# decoded before it, a kill at most a segment of each worker. Headers may promise years.
_SECONDS, _LONG, _MOST = 120.0, 300.0, 300
_NOWHERE = np.full((5, 2), np.nan)


def divide(source: Source) -> tuple[int, list[tuple[Source, int]]]:
    """The frames of a video by its header, and its segments, each with its frames.

    No segments where it is not long, and no frames where the header does not say.
    """
    try:
        video = Video(source.path)
        video.look()
    except InputError:  # said when it is read
        return 0, []
    frames, length = video.declared or 0, video.length or 0.0
    if length < _LONG or size_changes(opencv.load(), source.path):
        return frames, []
    seconds = max(_SECONDS, length / _MOST)
    begins = [seconds * k for k in range(int(length / seconds))]
    ends = [*begins[1:], None]
    return frames, [
        (
            replace(source, details=(begin, end)),
            round(frames * ((end or length) - begin) / length),
        )
        for begin, end in zip(begins, ends, strict=True)
    ]


class Ends:
    """Where people are first and last seen in a segment, and its first and last cut."""

    def __init__(self) -> None:
        self.first: _Ends = {}  # person -> number of the frame, and box
        self.last: _Ends = {}
        self.cuts: list[int] = []

    def with_cuts(self, shots: Iterable[Frame]) -> Iterator[Frame]:
        """Pass on frames of `find_shots`."""
        for frame in shots:
            if frame.first:
                self.cuts = [*self.cuts[:1], frame.number]
            yield frame

    def with_people(self, seen: Iterable[Sighting]) -> Iterator[Sighting]:
        """Pass on sightings."""
        for sighting in seen:
            person, frame, face = sighting
            box = [0.0, 0.0, 1.0, 1.0] if face is None else face.box.tolist()
            self.last[person] = [frame.number, *box]
            self.first.setdefault(person, self.last[person])
            yield sighting


def outcome_of_segment(
    segment: Segment, ends: Ends, tracks: dict[int, list[Crop]], found: int
) -> Outcome:
    """The tracks of a segment as clips, and what its neighbours have to know."""
    video = segment.video
    video.broken, video.declared = 0, None  # are counted of the whole video
    return Outcome(
        clips=[Clip.of_crops(track, str(person)) for person, track in tracks.items()],
        frames_read=segment.read,
        frames_broken=segment.count - segment.read,
        frames_found=found,
        segment={
            "time": segment.time,
            "still": video.still,
            "oddities": video.oddities,
            "borders": [segment.first, segment.last],
            "cuts": ends.cuts,
            "first": ends.first,
            "last": ends.last,
        },
    )


@dataclass
class Joined:
    """The tracks of a whole video, from those of its segments."""

    video: Video  # with the counts of all
    found: int
    tracks: dict[int, list[Crop]]  # rows in the following
    rows: NDArray[np.integer]  # in the spools of all segments
    labels: dict[str, NDArray[Any]]

    def clip(self, clip: Clip) -> Clip:
        """A clip of these tracks with its rows in the spools, and all labels."""
        labels = {name: values[clip.rows] for name, values in self.labels.items()}
        return Clip(self.rows[clip.rows], labels, clip.name)


def joined(path: str, parts: Sequence[Path], max_gap: int) -> Joined | None:
    """Join the segments of a video; None where neighbours saw different frames."""
    outcomes = [outcome_of(part) for part in parts]
    abouts = [outcome.segment or {} for outcome in outcomes]
    for before, behind in itertools.pairwise(abouts):
        if not Border(*before["borders"][1]).fits(Border(*behind["borders"][0])):
            return None
    if all(about["still"] for about in abouts):
        return None  # refused where it is read whole
    video = Video(path)
    video.look()
    video.read = sum(outcome.frames_read for outcome in outcomes)
    video.broken = sum(outcome.frames_broken for outcome in outcomes)
    video.time = max(about["time"] for about in abouts)
    told = [note for about in abouts for note in about["oddities"]]
    video.oddities = list(dict.fromkeys(told))
    counts = [outcome.frames_read + outcome.frames_broken for outcome in outcomes]
    tracks: dict[int, list[Crop]] = {}
    rows: list[NDArray[np.integer]] = [np.zeros(0, np.int64)]
    labels: list[dict[str, NDArray[Any]]] = []
    row = first_row = first_number = 0
    people = _people(abouts, counts, max_gap)
    for part, count, numbers in zip(parts, counts, people, strict=True):
        clips, spooled = found_in(part)
        for clip in clips:
            clip.frame_labels["source_frame"] += first_number
            rows.append(clip.rows + first_row)
            labels.append(clip.frame_labels)
            tracks.setdefault(numbers[clip.name], []).extend(_crops(clip, row))
            row += len(clip.rows)
        first_row += spooled
        first_number += count
    names = labels[0] if labels else ()
    return Joined(
        video,
        sum(outcome.frames_found for outcome in outcomes),
        dict(sorted(tracks.items())),
        np.concatenate(rows),
        {name: np.concatenate([each[name] for each in labels]) for name in names},
    )


def _crops(clip: Clip, row: int) -> Iterator[Crop]:
    """Crops with the box alone, by which people are chosen."""
    labels = clip.frame_labels
    boxes: Iterable[Any] = itertools.repeat(None)
    if "face_x" in labels:
        names = ("face_x", "face_y", "face_width", "face_height")
        boxes = np.array([labels[name] for name in names], np.float64).T
    places = zip(labels["source_frame"], labels["time"], boxes, strict=False)
    for place, (number, time, box) in enumerate(places, start=row):
        face = None if box is None else Face(box, _NOWHERE)
        yield Crop(place, int(number), float(time), face)


def _people(
    abouts: Sequence[dict[str, Any]], counts: Sequence[int], max_gap: int
) -> list[dict[str, int]]:
    """One number for everyone who is there on both sides of a border, by segment."""
    people: list[dict[str, int]] = []
    new = itertools.count()
    for k, about in enumerate(abouts):
        known = _same(abouts[k - 1], about, counts[k - 1], max_gap) if k else {}
        people.append(
            {
                person: people[k - 1][known[person]] if person in known else next(new)
                for person in about["first"]
            }
        )
    return people


def _same(
    before: dict[str, Any], behind: dict[str, Any], count: int, max_gap: int
) -> dict[str, str]:
    """Who goes on over a border, by the rules of `follow`: behind -> before."""
    last_cut = max(before["cuts"], default=0)
    first_cut = min(behind["cuts"], default=np.inf)
    going = [
        (person, number - count, box)
        for person, (number, *box) in before["last"].items()
        if number >= last_cut
    ]
    coming = [
        (person, number, box)
        for person, (number, *box) in behind["first"].items()
        if number < first_cut
    ]
    pairs = match([box for *_, box in going], [box for *_, box in coming], REACH)
    return {
        coming[j][0]: going[i][0]
        for i, j in pairs
        if coming[j][1] - going[i][1] - 1 <= max_gap
    }
