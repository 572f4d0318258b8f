"""Videos: sequences of faces, or of whole frames."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from keras_ddr.data.place import check_target
from keras_ddr.datasets.folders import find_files
from keras_ddr.datasets.long_videos import Ends, divide, joined, outcome_of_segment
from keras_ddr.datasets.option_fields import Offer
from keras_ddr.datasets.parts import (
    Clip,
    Crop,
    LongReader,
    Outcome,
    Source,
    Spool,
    fingerprint,
)
from keras_ddr.datasets.people import one_at_a_time
from keras_ddr.datasets.pipeline import build
from keras_ddr.datasets.reading import Cropping, Detection, Lengths, Plan
from keras_ddr.datasets.splits import Splits
from keras_ddr.datasets.tracked import read_tracked
from keras_ddr.datasets.tracked_files import find_tracks
from keras_ddr.datasets.work import Work, decoding_threads
from keras_ddr.errors import InputError
from keras_ddr.faces.sparse import detect_faces
from keras_ddr.faces.tracking import Sighting, follow
from keras_ddr.files import read_text
from keras_ddr.media.segment import Segment
from keras_ddr.media.shots import find_shots
from keras_ddr.media.video import SUFFIXES, Video

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.datasets.parts import Reader
    from keras_ddr.media.video import Frame
    from keras_ddr.typing import StrPath

__all__ = ["prepare"]

OFFER = Offer(
    "videos",
    unused=("scale", "scale_of", "frame_rate"),
    defaults={
        "crop": "face",
        "min_length": 20,
        "max_length": 450,
        "shares": (0.8, 0.1, 0.1),
    },
    crops=("face", "center", "none", "tracks"),
    key="videos",
    what="video",
    licence="Frames of the videos given; their rights and the privacy of those shown "
    "are the user's to respect.",
)


def prepare(
    store_path: StrPath,
    source: StrPath | Sequence[StrPath],
    *,
    cropping: Cropping = Cropping(),
    lengths: Lengths = Lengths(),
    detection: Detection = Detection(),
    splits: Splits = Splits(),
    work: Work = Work(),
    overwrite: bool = False,
) -> FrameStore:
    """Make a frame store of videos.

    Cuts, blank frames and another size of the picture end a sequence. With
    `Cropping(crop="face")` so do the absence of the face for more than `max_gap` frames
    and a jump of the face by half its width; frames without the face are left out, and
    `source_frame` says which frame of the video each one is. Splits go by person where
    `splits` says who it is, else by video.

    Frame labels: `source_frame` (from 0), `time` (seconds, by the time stamps), and
    with `Cropping(crop="face")` the box (`face_x`, `face_y`, `face_width`,
    `face_height`), five landmarks (`right_eye_x`, …), all in pixels of the picture as a
    player shows it (turned, and wider or higher where pixels are not square),
    `detector_score` (NaN on frames whose box is interpolated), and what the landmarks
    tell roughly: `head_yaw`, `head_pitch`, `head_roll` and `mouth_width`.

    With `Cropping(tracks=…)` every animal of the tracks is a sequence, or several where
    it is missing for more than `max_gap` frames. Frame labels then hold where it was
    cut out (`animal_x`, `animal_y`, `crop_side`, `animal_length`, in pixels of the
    video, `animal_angle` in degrees). Animals of one video are persons of their own,
    all in one split.

    Args:
        store_path: Folder to make; beside it the table `NAME.report.csv`.
        source: A video, a folder that is searched with all its subfolders, a .txt file
            with one path a line ("#" begins a remark), or a list of paths.
        cropping: How frames are cut out; by default faces are.
        lengths: Lengths of the sequences, by default 20 to 450 frames.
        detection: How faces are found.
        splits: Shares of train, val and test, and who is who.
        work: Where the work is done; its progress counts videos and their frames.
        overwrite: Whether to replace a store that exists.

    Raises:
        InputError: An argument cannot be used, or no video gives a sequence.

    Warns:
        UserWarning: Once for every video that is skipped, read in part or odd, and once
            for several that are odd in the same way.

    Example:
        >>> from keras_ddr.datasets import Cropping, Work, videos
        >>> videos.prepare(  # doctest: +SKIP
        ...     "STORE", "VIDEOS", cropping=Cropping(crop="none"), work=Work(workers=4)
        ... )
    """
    cropping, lengths = OFFER.settle(cropping), OFFER.settle(lengths)
    splits = OFFER.settle(splits)
    check_target(store_path, overwrite)
    found = find_videos(source, beside=() if cropping.tracks is None else (".h5",))
    _check_persons(splits, found)
    plan = Plan(cropping, lengths, detection.fetched() if cropping.of_faces else None)
    tracks = find_tracks(found, cropping.tracks, work.path_for_workers)
    given = [source] if isinstance(source, str | os.PathLike) else source
    reader: Reader | LongReader = read_tracked
    if cropping.tracks is None:
        reader = LongReader(read_video, divide, read_segment, join_segments)
    return build(
        store_path,
        [
            Source(
                name,
                work.path_for_workers(path),
                fingerprint([path, *tracks[name].files]),
                person=splits.person_of(name),
                details=tracks[name],
            )
            for name, path in found
        ],
        reader,
        plan,
        OFFER,
        labels={**plan.face_labels, **plan.animal_labels},
        arguments={"source": [str(path) for path in given]},
        splits=splits,
        work=work,
        overwrite=overwrite,
    )


def _check_persons(splits: Splits, found: list[tuple[str, str]]) -> None:
    if splits.persons == "folder" and not any("/" in name for name, _ in found):
        raise InputError(
            "persons='folder': no video lies in a folder below the one that is read; "
            "give the folder that holds a folder for each person"
        )


def find_videos(
    source: StrPath | Sequence[StrPath], beside: Collection[str] = ()
) -> list[tuple[str, str]]:
    """The videos of a source: (path below it with "/", path), natural order.

    Other files are told of, but for those of the suffixes `beside`.
    """
    if not isinstance(source, str | os.PathLike):
        return _named([os.fspath(path) for path in source])
    if not os.fspath(source):
        raise InputError("source: is empty; give a video, a folder or a list")
    root = Path(source)
    if root.is_dir():
        advice = "give a folder with videos, or name the files"
        return find_files(root, SUFFIXES, "video", advice, beside=beside)
    if not root.exists():
        raise InputError(f"{root}: no such file or folder")
    if root.suffix.lower() == ".txt":
        return _named(_listed(root))
    return [(root.name, str(root))]


def _listed(file: Path) -> list[str]:
    """The paths in a list, from its folder."""
    try:
        lines = read_text(file, encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read as a list ({error})") from None
    lines = [line.strip() for line in lines]
    paths = [os.path.expanduser(line) for line in lines if line and line[0] != "#"]
    if not paths:
        raise InputError(f"{file}: lists no video; give one path a line")
    paths = [os.path.join(file.parent, path) for path in paths]
    if not any(map(os.path.lexists, paths)):
        raise InputError(
            f"{file}: is read as a list of videos, and none of the {len(paths)} paths "
            f"in it is there ({paths[0][:200]!r} is first); give one path a line, from "
            "the list's folder or from the root"
        )
    return paths


def _named(paths: list[str]) -> list[tuple[str, str]]:
    if not paths:
        raise InputError("source: lists no video; give at least one path")
    # The same file may be named from here and from the root.
    known = {os.path.abspath(path): os.path.normpath(path) for path in paths}
    paths = list(known.values())
    names = [os.path.basename(path) for path in paths]
    if len(set(names)) < len(names):
        whole = [os.path.abspath(path) for path in paths]
        try:
            top = os.path.commonpath([os.path.dirname(path) for path in whole])
            names = [os.path.relpath(path, top) for path in whole]
        except ValueError:  # drives of Windows have nothing in common
            names = whole
    return [(n.replace(os.sep, "/"), p) for n, p in zip(names, paths, strict=True)]


def read_video(source: Source, plan: Plan, spool: Spool) -> Outcome:
    """Read one video into clips."""
    video = Video(source.path, plan.lengths.fps, decoding_threads())
    shots = spool.counted(find_shots(video, plan.lengths.cuts))
    tracks, found = crop_tracks(sightings(shots, plan), plan.cropping, spool)
    return outcome_of_tracks(video, tracks, found, plan)


def read_segment(source: Source, plan: Plan, spool: Spool) -> Outcome:
    """Read a segment of a long video into tracks."""
    video = Video(source.path, plan.lengths.fps, decoding_threads())
    segment, ends = Segment(video, *source.details), Ends()
    shots = spool.counted(find_shots(segment, plan.lengths.cuts))
    seen = ends.with_people(sightings(ends.with_cuts(shots), plan))
    tracks, found = crop_tracks(seen, plan.cropping, spool)
    return outcome_of_segment(segment, ends, tracks, found)


def join_segments(source: Source, plan: Plan, parts: list[Path]) -> Outcome | None:
    """The clips of a long video, None where its segments do not fit together."""
    whole = joined(source.path, parts, plan.lengths.max_gap)
    if whole is None:
        return None
    outcome = outcome_of_tracks(whole.video, whole.tracks, whole.found, plan)
    return replace(outcome, clips=[whole.clip(clip) for clip in outcome.clips])


def outcome_of_tracks(
    video: Video, tracks: dict[int, list[Crop]], found: int, plan: Plan
) -> Outcome:
    """Choose among the people, or shots, of a video, and cut clips."""
    cropping, lengths = plan.cropping, plan.lengths
    chosen = list(tracks.values())
    if cropping.of_faces and cropping.people == "largest":
        chosen = one_at_a_time(tracks, lengths.min_length)
    several = cropping.of_faces and cropping.people == "all"
    missing = f"all frames are blank in {video.read} frames"
    if cropping.of_faces:
        missing = (
            f"no face was found in {video.read} frames (crop none takes whole frames)"
        )
    why = lengths.too_short(tracks.values()) if found else missing
    return Outcome.of_video(video, cut_tracks(chosen, lengths, several), found, why)


def sightings(shots: Iterable[Frame], plan: Plan) -> Iterator[Sighting]:
    """Who is where in the frames of `find_shots`.

    Where no faces are cropped, every shot counts as a person who fills the picture.
    """
    if plan.detection is not None:
        detector = plan.detection.detector(refine=plan.cropping.align == "eyes")
        found = detect_faces(shots, detector, plan.detection.detect_every)
        yield from follow(found, plan.lengths.max_gap)
        return
    shot = 0
    for frame in shots:
        shot += frame.first
        if not frame.blank:
            yield Sighting(shot, frame, None)


def crop_tracks(
    seen: Iterable[Sighting], cropping: Cropping, spool: Spool
) -> tuple[dict[int, list[Crop]], int]:
    """Crop everyone: person -> crops, and the number of frames that show someone."""
    tracks: dict[int, list[Crop]] = {}
    found = set()
    for person, frame, face in seen:
        if frame.kept:
            image = cropping.frame(frame.image, face)
            crop = spool.add(image, frame.number, frame.time, face)
            tracks.setdefault(person, []).append(crop)
        if frame.kept or face is not None:
            found.add(frame.number)
    return tracks, len(found)


def cut_tracks(
    tracks: Iterable[Sequence[Crop]], lengths: Lengths, several: bool = False
) -> list[Clip]:
    """Cut tracks into clips; `several` has their names say which person it is."""
    return [
        Clip.of_crops([track[k] for k in piece], f"person{number}-" if several else "")
        for number, track in enumerate(tracks, start=1)
        for piece in lengths.pieces(len(track))
    ]
