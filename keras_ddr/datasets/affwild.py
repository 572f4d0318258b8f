"""Aff-Wild (2018): faces in the wild, with valence and arousal.

The data set is given to researchers on request and is not part of this package. It is
read as it is distributed, the doubled folders and misspellings of its copies included:

    videos/{train,test}/<id>.{mp4,avi}
    annotations/train/{valence,arousal}/<id>.txt    one number a line, in [-1, 1]
    bboxes/train/<id>/<frame>.pts                   corners of the face, frames from 1

Everything is matched by name, never by order. An id is that of a video, or of one of
the two people in it: `<video>_left` and `<video>_right`.
"""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.data.labels import Label
from keras_ddr.datasets import clips, execution, options, parts, pipeline, videos
from keras_ddr.datasets.affwild_files import KINDS, find_sources
from keras_ddr.datasets.annotations import align, read_annotation
from keras_ddr.datasets.layouts import (
    files_in,
    frame_number,
)
from keras_ddr.errors import InputError
from keras_ddr.faces.boxes import box_of_points, is_usable, read_pts
from keras_ddr.faces.cropping import crop_square
from keras_ddr.faces.detector import COLUMNS
from keras_ddr.faces.tracking import one_at_a_time
from keras_ddr.files import natural_key
from keras_ddr.media.video import Video

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.media.video import Frame
    from keras_ddr.typing import Progress, StrPath, Track

__all__ = [
    "LICENCE",
    "PAPER_SEQUENCES",
    "prepare",
    "read_boxes",
    "read_video",
]

PAPER_SEQUENCES = 252
"""Sequences that the paper has of this data set (section 4). How it cut them from the
videos is not known, so another number is no error."""
LICENCE = (
    "Aff-Wild, given on request and for research only. The frames show persons: do not "
    "pass them on."
)
"""Note in the stores."""
# Share of the larger face's area up to which another is no partner: a third as wide.
_BACKGROUND = 1 / 9


def prepare(
    store_path: StrPath,
    root: StrPath,
    *,
    margin: float = 0.2,
    size: int = 64,
    channels: int = 3,
    min_length: int = 20,
    max_length: int | None = 450,
    long: str = "split",
    max_gap: int = 5,
    detector_model: StrPath | None = None,
    detector_size: int = 320,
    detect_every: int = 4,
    threshold: float = 0.7,
    splits: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    overwrite: bool = False,
    workers: int = 0,
    dask: str | None = None,
    progress: Progress | None = None,
) -> FrameStore:
    """Make a frame store of Aff-Wild.

    Faces are cut out by the boxes that come with the data set: a square around the box
    and a margin, whose border is repeated where it leaves the picture. Boxes are not
    smoothed, cuts not looked for; frames without a box that can be used are left out,
    and more than `max_gap` of them end the sequence. There is no choice of `align`,
    since boxes say where a face is and not how it is turned. Of videos without boxes
    the faces are found as in `videos.prepare`: the largest one at any time, or that of
    the person on the left or right of the picture where the id says so.

    Both people of a video are in one split; who is who is not known otherwise.

    Frame labels: `source_frame` (from 0), `time` (seconds), `valence` and `arousal`
    (-1 to 1, NaN where there is none; see `align`), the box (`face_x`, `face_y`,
    `face_width`, `face_height`), and, NaN where boxes were given, the five landmarks
    and `detector_score`.

    The number of sequences is worth comparing with `PAPER_SEQUENCES`.

    Args:
        store_path: folder to make; beside it the table `NAME.report.csv`.
        root: folder of the data set: videos, boxes and annotations are found at any
            depth in it.
        margin: added on every side of the face, as share of its longer side.
        size: height and width of the frames, a multiple of 16.
        channels: 3, or 1 for grey.
        min_length: sequences of fewer frames are left out.
        max_length: most frames of a sequence, or None.
        long: what to do with longer ones: "split", "first" or "thin".
        max_gap: most frames in a row without the face within a sequence.
        detector_model: YuNet's ONNX file, for videos without boxes; default: it is
            downloaded once where there are such videos.
        detector_size: longest side of the pictures that are searched, in pixels.
        detect_every: distance of frames that are searched while all is calm.
        threshold: least score of a face, 0 to 1.
        splits: shares of train, val and test.
        seed: of the split.
        overwrite: replace a store that exists.
        workers: processes, or 0 to work in this one; see `pipeline.build`.
        dask: address of a Dask scheduler to work on instead.
        progress: called as progress(done, total) with numbers of videos (twice that of
            two people).

    Returns:
        The `FrameStore`.

    Raises:
        InputError: an argument cannot be used, or no video gives a sequence.

    Warns:
        UserWarning: once for every video that is skipped, read in part or whose
            annotation is not one line a frame; once for all files without a video,
            once for all videos without boxes, and without annotations unless they are
            in a folder `test`.
    """
    options.check(channels=channels)
    options.check_numbers(size=size, margin=margin)
    pipeline.check_new(store_path, overwrite, splits)
    clips.check_lengths(min_length, max_length, long, max_gap)
    sources, remarks = find_sources(execution.place_for(dask, root))
    detector = None
    for place, source in enumerate(sources):
        if source.details["boxes"] or source.details["problem"]:
            continue
        if detector is None:
            detector = options.detector(
                detector_model, detector_size, detect_every, threshold
            )
        # Noted with the videos that need it, so that the others are not read again
        # where it changes.
        details = {**source.details, "detector": detector}
        sources[place] = replace(source, details=details)
    for remark in remarks:
        warnings.warn(remark, stacklevel=2)
    reading = {
        "margin": float(margin),
        "size": int(size),
        "channels": int(channels),
        "min_length": min_length,
        "max_length": max_length,
        "long": long,
        "max_gap": max_gap,
    }
    info = options.face_labels()
    for kind in KINDS:
        info[kind] = Label("frame", "continuous")
    return pipeline.build(
        store_path,
        sources,
        read_video,
        reading,
        dataset="affwild",
        frame_shape=(int(size), int(size), int(channels)),
        labels=info,
        what="video",
        arguments={
            **reading,
            "detector": detector,
            "root": str(root),
            "splits": list(splits),
        },
        licence=LICENCE,
        seed=seed,
        splits=splits,
        overwrite=overwrite,
        workers=workers,
        dask=dask,
        progress=progress,
    )


def read_video(
    source: parts.Source, reading: Mapping[str, Any], spool: parts.Spool
) -> parts.Reading:
    """Read one person of one video into clips.

    Args:
        source: `parts.Source` of `find_sources`; "detector" in its details says how
            faces are found where there are no boxes.
        reading: dict of options, see `prepare`.
        spool: `parts.Spool` for the crops.

    Returns:
        `parts.Reading`.
    """
    about = source.details
    if about["problem"]:
        raise InputError(about["problem"])
    video = Video(source.path, threads=options.threads())
    notes = list(about["notes"])
    boxed: tuple[list[int], list[int]] = [], []
    if about["boxes"]:
        track, boxed = _read_boxed(video, about["boxes"], reading, spool, notes)
        runs = clips.runs([number for _, number, *_ in track], reading["max_gap"])
        tracks = every = [track[run] for run in runs]
        found, missing = len(track), "no box could be used"
    else:
        every, found = _read_searched(video, about, reading, spool)
        tracks = one_at_a_time(dict(enumerate(every)), reading["min_length"])
        missing = "no face was found"
    if video.summary():
        notes.insert(0, video.summary())
    result = parts.Reading(
        clips=videos.cut_tracks(tracks, reading),
        frames_declared=video.declared,
        frames_read=video.read,
        frames_broken=video.broken,
        frames_found=found,
    )
    frames = video.read + video.broken
    marks = _annotations(about["marks"], frames, *boxed, notes)
    for clip in result.clips:
        for kind, values in marks.items():
            clip.frame_labels[kind] = values[clip.frame_labels["source_frame"]]
    if not result.clips:
        longest = max(map(len, every), default=0)
        result.skipped = (
            f"{missing} in {video.read} frames"
            if not found
            else f"the longest sequence has {longest} frames, fewer than min_length "
            f"{reading['min_length']}"
        )
    result.notes = " ".join("; ".join(notes).split())
    return result


def _read_boxed(
    video: Video,
    folder: str,
    reading: Mapping[str, Any],
    spool: parts.Spool,
    notes: list[str],
) -> tuple[Track, tuple[list[int], list[int]]]:
    """Crop the boxed frames of a video.

    Returns:
        List of (row of the spool, frame number, time, face (15,)) as of
        `videos.read_faces`, and the numbers of frames (from 0) with a file and with a
        box.
    """
    boxes, numbers, problems = read_boxes(folder)
    track, last = [], -1
    for frame in video:
        last = frame.number
        box = boxes.get(frame.number)
        if box is None:
            continue
        height, width = frame.image.shape[:2]
        if not is_usable(box, height, width):
            place = ", ".join(f"{value:g}" for value in box)
            problems[frame.number] = (
                f"{os.path.join(folder, f'{frame.number + 1}.pts')}: the box ({place}) "
                f"is not in the picture of {width}x{height}"
            )
            continue
        image = crop_square(frame.image, box, reading["size"], reading["margin"])
        row = spool.add(options.coloured(image, reading["channels"]))
        face = np.full(len(COLUMNS), np.nan)
        face[:4] = box
        track.append((row, frame.number, frame.time, face))
    if problems:
        notes.append(
            f"{len(problems)} of {len(numbers)} box files give no box; the first: "
            f"{problems[min(problems)]}"
        )
    late = sum(number > last for number in boxes)
    if late:
        notes.append(f"{late} boxes are of frames after the last one, {last + 1}")
    return track, (numbers, sorted(boxes))


def read_boxes(
    folder: StrPath,
) -> tuple[dict[int, NDArray[np.float64]], list[int], dict[int, str]]:
    """Read the boxes of a person.

    Args:
        folder: holds a file <frame>.pts for every boxed frame, counted from 1. Other
            files are ignored.

    Returns:
        Dict frame number from 0 -> box (x, y, width, height); sorted list of all frame
        numbers that have a file; dict frame number -> what is wrong with its file.
    """
    paths, boxes, problems = {}, {}, {}
    for path in sorted(files_in(folder), key=natural_key):
        number = frame_number(os.path.basename(path), {".pts"})
        if number is None:
            continue
        if number - 1 in paths:
            problems[number - 1] = f"{path}: is the second box of frame {number}"
            continue
        paths[number - 1] = path
        if number == 0:
            problems[-1] = f"{path}: frames are counted from 1"
            continue
        try:
            points = read_pts(path)
        except InputError as error:
            problems[number - 1] = str(error)
            continue
        box = box_of_points(points) if len(points) else np.zeros(4)
        if box[2] > 0 and box[3] > 0:
            boxes[number - 1] = box
        else:
            problems[number - 1] = f"{path}: {len(points)} points without an area"
    return boxes, sorted(paths), problems


def _read_searched(
    video: Video,
    about: Mapping[str, Any],
    reading: Mapping[str, Any],
    spool: parts.Spool,
) -> tuple[list[Track], int]:
    """Find the face of a person of whom there are no boxes."""
    width = 1

    def frames() -> Iterator[Frame]:
        nonlocal width
        for frame in video:
            width = frame.image.shape[1]
            yield frame

    how = {**reading, "detector": about["detector"], "align": "box", "cuts": True}
    tracks, found = videos.read_faces(frames(), how, spool)
    if about["side"]:
        tracks = _on_side(tracks, about["side"], width)
        found = len({entry[1] for track in tracks.values() for entry in track})
    return list(tracks.values()), found


def _on_side(tracks: dict[int, Track], side: str, width: int) -> dict[int, Track]:
    """Choose the tracks of the person on one side.

    The two largest faces of a frame are the left and the right one, unless the second
    is so small as to be in the background. Where there is but one it counts by its half
    of the picture, and only for those who are never seen beside another.
    """
    frames = defaultdict(list)
    for person, track in tracks.items():
        for _, number, _, face in track:
            centre = face[0] + face[2] / 2
            frames[number].append((face[2] * face[3], centre, person))
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
        left, right = sorted(faces, key=lambda entry: entry[1])
        chosen, other = (left, right) if side == "left" else (right, left)
        together[chosen[2]] += 1
        together[other[2]] -= 1
    return {
        person: track
        for person, track in tracks.items()
        if (together[person] or alone[person]) > 0
    }


def _annotations(
    files: Mapping[str, str],
    frames: int,
    with_file: list[int],
    with_box: list[int],
    notes: list[str],
) -> dict[str, NDArray[np.float32]]:
    """Valence and arousal of all frames of a video, (frames,) each."""
    result, said = {}, defaultdict(list)
    for kind in KINDS:
        result[kind] = np.full(frames, np.nan, np.float32)
        if kind not in files:
            continue
        try:
            values, problem = read_annotation(files[kind])
        except InputError as error:
            notes.append(f"{error}; {kind} is left out (NaN)")
            continue
        if problem:
            notes.append(problem)
        numbers, rule = align(len(values), frames, with_file, with_box)
        if rule:
            said[len(values), rule].append(kind)
        if numbers is not None:
            inside = (numbers >= 0) & (numbers < frames)
            result[kind][numbers[inside]] = values[inside]
    for (count, rule), kinds in said.items():
        boxed = f" and {len(with_file)} boxes" if len(with_file) else ""
        notes.append(
            f"{' and '.join(kinds)} of {count} lines for {frames} frames{boxed}, {rule}"
        )
    return result
