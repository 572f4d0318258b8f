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
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.data.labels import Label
from keras_ddr.data.place import check_target
from keras_ddr.datasets.affwild_files import KINDS, find_sources
from keras_ddr.datasets.annotations import align, read_annotation
from keras_ddr.datasets.folders import numbered_files
from keras_ddr.datasets.option_fields import Offer
from keras_ddr.datasets.parts import Crop, Outcome, Source, Spool
from keras_ddr.datasets.people import on_side, one_at_a_time
from keras_ddr.datasets.pipeline import build
from keras_ddr.datasets.reading import FACE_LABELS, Cropping, Detection, Lengths, Plan
from keras_ddr.datasets.splits import Splits
from keras_ddr.datasets.videos import crop_tracks, cut_tracks, sightings
from keras_ddr.datasets.work import Work, decoding_threads
from keras_ddr.errors import InputError
from keras_ddr.faces.boxes import Face, box_of_points, is_usable, read_pts
from keras_ddr.media.shots import find_shots
from keras_ddr.media.video import Video

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.typing import StrPath

__all__ = ["PAPER_SEQUENCES", "prepare"]

OFFER = Offer(
    "Aff-Wild",
    unused=(
        *("crop", "people", "align", "scale", "scale_of", "fps", "cuts"),
        "frame_rate",
        *("persons", "labels"),
    ),
    defaults={"min_length": 20, "max_length": 450, "shares": (0.8, 0.1, 0.1)},
    key="affwild",
    what="video",
    licence="Aff-Wild, given on request and for research only. The frames show "
    "persons: do not pass them on.",
)
PAPER_SEQUENCES = 252
"""Sequences that the paper has of this data set (section 4). How it cut them from the
videos is not known, so another number is no error."""


def prepare(
    store_path: StrPath,
    root: StrPath,
    *,
    cropping: Cropping = Cropping(),
    lengths: Lengths = Lengths(),
    detection: Detection = Detection(),
    splits: Splits = Splits(),
    work: Work = Work(),
    overwrite: bool = False,
) -> FrameStore:
    """Make a frame store of Aff-Wild.

    Faces are cut out by the boxes that come with the data set: a square around the box
    and a margin, whose border is repeated where it leaves the picture. They count the
    pixels as they are stored; frames and labels are as a player shows them. Boxes are
    not smoothed, cuts not looked for; frames without a usable box are left out, and
    more than `max_gap` of them end the sequence. In videos without boxes the faces are
    found as in `videos.prepare`: the largest one at any time, or that of the person on
    the left or right of the picture where the id says so. Both people of a video are in
    one split; who is who is not known otherwise.

    Frame labels: those of `videos.prepare`, the landmarks and the score NaN where boxes
    were given, and `valence` and `arousal` (-1 to 1, NaN where there is none).

    Args:
        store_path: Folder to make; beside it the table `NAME.report.csv`.
        root: Folder of the data set: videos, boxes and annotations are found at any
            depth in it.
        cropping: Margin, size and channels of the frames.
        lengths: Lengths of the sequences, by default 20 to 450 frames, and `max_gap`.
        detection: How faces are found in videos without boxes.
        splits: Shares of train, val and test.
        work: Where the work is done; its progress counts people in videos.
        overwrite: Whether to replace a store that exists.

    Raises:
        InputError: An argument cannot be used, or no video gives a sequence.

    Warns:
        UserWarning: Once for every video that is skipped, read in part or whose
            annotation is not one line a frame; once for all files without a video,
            once for all videos without boxes, and without annotations unless they are
            in a folder `test`.
    """
    cropping, lengths = OFFER.settle(cropping), OFFER.settle(lengths)
    splits = OFFER.settle(splits)
    check_target(store_path, overwrite)
    sources, remarks = find_sources(work.path_for_workers(root))
    bare = [s for s in sources if not (s.details["boxes"] or s.details["problem"])]
    found = detection.fetched() if bare else None
    # Noted with the videos that need it, so that the others are not read again where
    # it changes.
    for source in bare:
        source.details["detection"] = found
    for remark in remarks:
        warnings.warn(remark, stacklevel=2)
    return build(
        store_path,
        sources,
        read_video,
        Plan(cropping, lengths),
        OFFER,
        labels={**FACE_LABELS, **dict.fromkeys(KINDS, Label("frame", "continuous"))},
        arguments={"root": str(root), **(OFFER.noted(found) if found else {})},
        splits=splits,
        work=work,
        overwrite=overwrite,
    )


def read_video(source: Source, plan: Plan, spool: Spool) -> Outcome:
    """Read one person of one video, a source of `find_sources`, into clips."""
    about, lengths = source.details, plan.lengths
    if about["problem"]:
        raise InputError(about["problem"])
    video = Video(source.path, threads=decoding_threads())
    notes = list(about["notes"])
    boxed: tuple[list[int], list[int]] = [], []
    if about["boxes"]:
        track, boxed = _read_boxed(video, about["boxes"], plan.cropping, spool, notes)
        runs = lengths.runs([crop.number for crop in track])
        tracks = every = [track[run] for run in runs]
        found, missing = len(track), "no box could be used"
    else:
        how = replace(plan, detection=about["detection"])
        shots = spool.counted(find_shots(video, lengths.cuts))
        people, found = crop_tracks(sightings(shots, how), how.cropping, spool)
        if about["side"]:
            people = on_side(people, about["side"], video.width)
            found = len({crop.number for track in people.values() for crop in track})
        every, tracks = list(people.values()), one_at_a_time(people, lengths.min_length)
        missing = "no face was found"
    why = lengths.too_short(every) if found else f"{missing} in {video.read} frames"
    outcome = Outcome.of_video(video, cut_tracks(tracks, lengths), found, why)
    marks = _annotations(about["marks"], video.read + video.broken, boxed, notes)
    for clip in outcome.clips:
        for kind, values in marks.items():
            clip.frame_labels[kind] = values[clip.frame_labels["source_frame"]]
    notes = [outcome.notes, *notes] if outcome.notes else notes
    outcome.notes = "; ".join(notes)
    return outcome


def _read_boxed(
    video: Video, folder: str, cropping: Cropping, spool: Spool, notes: list[str]
) -> tuple[list[Crop], tuple[list[int], list[int]]]:
    """Crop the boxed frames; also the frame numbers with a file, and with a box."""
    boxes, numbers, problems = _read_boxes(folder)
    track, last = [], -1
    for frame in spool.counted(video):
        last = frame.number
        box = boxes.get(frame.number)
        if box is None:
            continue
        # Boxes are in pixels as they are stored, which may be wider on a screen.
        shape = np.array(frame.image.shape[1::-1])
        width, height = np.rint(shape / video.stretch).astype(int)
        if not is_usable(box, height, width):
            values = ", ".join(f"{value:g}" for value in box)
            problems[frame.number] = (
                f"{os.path.join(folder, f'{frame.number + 1}.pts')}: the box ({values})"
                f" is not in the picture of {width}x{height}"
            )
            continue
        face = Face(box * np.tile(video.stretch, 2), np.full((5, 2), np.nan))
        image = cropping.frame(frame.image, face)
        track.append(spool.add(image, frame.number, frame.time, face))
    if problems:
        notes.append(
            f"{len(problems)} of {len(numbers)} box files give no box; the first: "
            f"{problems[min(problems)]}"
        )
    late = sum(number > last for number in boxes)
    if late:
        notes.append(f"{late} boxes are of frames after the last one, {last + 1}")
    return track, (numbers, sorted(boxes))


def _read_boxes(
    folder: StrPath,
) -> tuple[dict[int, NDArray[np.float64]], list[int], dict[int, str]]:
    """Boxes by frame number from 0, all numbers with a file, and problems by number."""
    paths, strange = numbered_files(folder, {".pts"})
    boxes = {}
    problems = {
        number: f"{path}: frames are counted from 1, once"
        for number, path in enumerate(strange, start=-len(strange))
    }
    for number, path in paths.items():
        try:
            points = read_pts(path)
        except InputError as error:
            problems[number] = str(error)
            continue
        box = box_of_points(points) if len(points) else np.zeros(4)
        if box[2] > 0 and box[3] > 0:
            boxes[number] = box
        else:
            problems[number] = f"{path}: {len(points)} points without an area"
    return boxes, list(paths), problems


def _annotations(
    files: Mapping[str, str],
    frames: int,
    boxed: tuple[list[int], list[int]],
    notes: list[str],
) -> dict[str, NDArray[np.float32]]:
    """Valence and arousal of all frames of a video, (frames,) each."""
    result: dict[str, NDArray[np.float32]] = {}
    said = defaultdict(list)
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
        numbers, rule = align(len(values), frames, *boxed)
        if rule:
            said[len(values), rule].append(kind)
        if numbers is not None:
            inside = (numbers >= 0) & (numbers < frames)
            result[kind][numbers[inside]] = values[inside]
    for (count, rule), kinds in said.items():
        boxes = f" and {len(boxed[0])} boxes" if boxed[0] else ""
        notes.append(
            f"{' and '.join(kinds)} of {count} lines for {frames} frames{boxes}, {rule}"
        )
    return result
