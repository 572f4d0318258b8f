"""Videos with tracks: sequences of animals."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.datasets.parts import Clip, Crop, Outcome, Source, Spool
from keras_ddr.datasets.reading import Plan
from keras_ddr.datasets.work import decoding_threads
from keras_ddr.errors import InputError
from keras_ddr.faces.cropping import crop_turned
from keras_ddr.media.shots import find_shots
from keras_ddr.media.video import Video
from keras_ddr.tracks.files import read_tracks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.datasets.tracked_files import Found
    from keras_ddr.media.video import Frame
    from keras_ddr.tracks.track import Track

# Tracks of less of a video may be those of another one.
_WHOLE = 0.9
# A square so many times as long as the picture shows little of anything.
_LARGEST = 4


@dataclass
class _Animal:
    """One animal while its video is read."""

    track: Track
    sides: NDArray[np.floating]  # (N,), of the square around it, pixels
    # Frames that belong together: each with its row in the track.
    runs: list[list[tuple[Crop, int]]] = field(default_factory=list)
    last: int = -1  # frame where it was seen last
    shot: int = -1  # and the shot of that frame


def read_tracked(source: Source, plan: Plan, spool: Spool) -> Outcome:
    """Read one video and its tracks, the details of the source, into clips."""
    found: Found = source.details
    if found.problem:
        raise InputError(found.problem)
    cropping, lengths = plan.cropping, plan.lengths
    tracks, remark = read_tracks(found.path, cropping.points, found.names)
    animals = [_Animal(track, _sides(found.path, track, plan)) for track in tracks]
    video = Video(source.path, lengths.fps, decoding_threads())
    counts = _crop_animals(video, animals, plan, spool)
    _check(found.path, source, video, animals, counts)
    runs = [run for animal in animals for run in animal.runs]
    seen = {crop.number for run in runs for crop, _ in run}
    why = lengths.too_short(runs) if seen else "no animal is in its frames"
    outcome = Outcome.of_video(video, _clips(source, animals, plan), len(seen), why)
    notes = [outcome.notes, found.remark, remark]
    if counts["outside"]:
        notes.append(
            f"{counts['outside']} of {counts['places']} places of animals in "
            f"{found.path} are outside the picture, or the square around them is "
            "too large or small; taken as missing"
        )
    last = max(seen, default=video.read)
    if last + 1 < _WHOLE * (video.read + video.broken):
        notes.append(f"{found.path} has no animal after frame {last} of {video.read}")
    outcome.notes = "; ".join(note for note in notes if note)
    return outcome


def _sides(path: str, track: Track, plan: Plan) -> NDArray[np.floating]:
    """Sides (N,) of the squares around an animal, pixels."""
    side, lengths = plan.cropping.side, track.length
    if not isinstance(side, str):
        return np.full(len(lengths), float(side))
    known = lengths[np.isfinite(lengths)]
    usual = float(np.median(known)) if len(known) else 0.0
    if not usual > 0:
        raise InputError(
            f"{path}: does not say how long {track.name or 'the animal'} is; give the "
            "side of the square in pixels (--side 120), a column length, or two body "
            "parts (--front, --back)"
        )
    lengths = lengths if side == "frame" else np.full(len(lengths), usual)
    return lengths * (1 + 2 * plan.cropping.margin)


def _crop_animals(
    video: Video, animals: list[_Animal], plan: Plan, spool: Spool
) -> dict[str, float]:
    """Crop all animals in the frames of a video; counts of places, and its end."""
    counts: dict[str, float] = defaultdict(int)
    shot = 0
    for frame in spool.counted(find_shots(video, plan.lengths.cuts)):
        if not counts and video.stretch != (1.0, 1.0):
            for animal in animals:
                animal.track = animal.track.stretched(*video.stretch)
                animal.sides = _sides(str(video.path), animal.track, plan)
        shot += frame.first
        counts["width"], counts["height"] = frame.image.shape[1::-1]
        counts["end"] = frame.time
        if frame.blank:
            continue
        for animal in animals:
            row = animal.track.row(frame.number, frame.time)
            if row is None:
                continue
            counts["places"] += 1
            if _is_usable(animal, row, frame):
                _add(animal, row, frame, shot, plan, spool)
            else:
                counts["outside"] += 1
    return counts


def _is_usable(animal: _Animal, row: int, frame: Frame) -> bool:
    """Whether the animal is in the picture, and its square of a size that shows it."""
    height, width = frame.image.shape[:2]
    x, y = animal.track.centre[row]
    inside = -0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5
    return bool(inside and 2 <= animal.sides[row] <= _LARGEST * max(height, width))


def _add(
    animal: _Animal, row: int, frame: Frame, shot: int, plan: Plan, spool: Spool
) -> None:
    """Crop an animal; a cut, or a gap that is too long, begins another run."""
    missed = frame.number - animal.last - 1
    if shot != animal.shot or missed > plan.lengths.max_gap or not animal.runs:
        animal.runs.append([])
    animal.last, animal.shot = frame.number, shot
    if frame.kept:
        track, cropping = animal.track, plan.cropping
        angle = float(track.angle[row])
        image = crop_turned(
            frame.image,
            track.centre[row],
            0.0 if math.isnan(angle) else angle,
            float(animal.sides[row]),
            cropping.size,
        )
        crop = spool.add(cropping.coloured(image), frame.number, frame.time)
        animal.runs[-1].append((crop, row))


def _check(
    path: str,
    source: Source,
    video: Video,
    animals: list[_Animal],
    counts: dict[str, float],
) -> None:
    """Refuse the tracks of another video."""
    last = max(float(animal.track.keys[-1]) for animal in animals)
    frames = video.read + video.broken
    said = ""
    if animals[0].track.reach is not None:
        if last > counts["end"] + 1:
            said = f"goes on to {last:.2f} s, but {source.path} ends at "
            said += f"{counts['end']:.2f} s"
    elif last >= max(frames, video.declared or 0):
        said = f"has an animal in frame {last:.0f} (from 0), but {source.path} has "
        said += f"{frames} frames"
    if not said and counts["places"] and counts["outside"] == counts["places"]:
        said = f"has all places of animals outside the picture of {source.path} "
        said += f"({counts['width']}x{counts['height']})"
    if said:
        raise InputError(
            f"{path}: {said}; these are tracks of another video: give its own"
        )


def _clips(source: Source, animals: list[_Animal], plan: Plan) -> list[Clip]:
    """The sequences of all animals, with where they were cut out."""
    several = len(animals) > 1
    clips = []
    for animal in animals:
        name = f"{animal.track.name}-" if several else ""
        person = f"{source.name}#{animal.track.name}" if several else ""
        for run in animal.runs:
            for piece in plan.lengths.pieces(len(run)):
                crops, rows = zip(*(run[k] for k in piece), strict=True)
                clip = Clip.of_crops(crops, name)
                clip.person = person
                where = list(rows)
                track = animal.track
                values = (
                    *track.centre[where].T,
                    *(track.angle[where], animal.sides[where], track.length[where]),
                )
                for label, numbers in zip(plan.animal_labels, values, strict=True):
                    clip.frame_labels[label] = numbers.astype(np.float32)
                clips.append(clip)
    return clips
