"""Videos of the user: whole frames, their middle, or the faces in them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from keras_ddr.datasets import clips, execution, layouts, options, parts, pipeline
from keras_ddr.datasets.user_labels import read_labels
from keras_ddr.errors import InputError
from keras_ddr.faces.cropping import crop_aligned, crop_square, crop_whole
from keras_ddr.faces.detector import COLUMNS
from keras_ddr.faces.sparse import detect_faces
from keras_ddr.faces.tracking import follow, one_at_a_time
from keras_ddr.files import read_text
from keras_ddr.media.shots import find_shots
from keras_ddr.media.video import SUFFIXES, Video

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.media.shots import ShotFrame
    from keras_ddr.media.video import Frame
    from keras_ddr.typing import Progress, StrPath, Track

    # As a `Track`, or of frames without faces.
    _Places: TypeAlias = Sequence[tuple[int, int, float, NDArray[np.float64] | None]]

__all__ = ["find_videos", "prepare", "read_faces", "read_video"]


def prepare(
    store_path: StrPath,
    source: StrPath | Sequence[StrPath],
    *,
    crop: str = "face",
    people: str = "largest",
    align: str = "box",
    margin: float = 0.2,
    size: int = 64,
    channels: int = 3,
    fps: float | None = None,
    cuts: bool = True,
    min_length: int = 20,
    max_length: int | None = 450,
    long: str = "split",
    max_gap: int = 5,
    detector_model: StrPath | None = None,
    detector_size: int = 320,
    detect_every: int = 4,
    threshold: float = 0.7,
    labels: StrPath | None = None,
    persons: str = "source",
    splits: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    overwrite: bool = False,
    workers: int = 0,
    dask: str | None = None,
    progress: Progress | None = None,
) -> FrameStore:
    """Make a frame store of videos.

    Cuts and blank frames end a sequence. With `crop="face"` so do the absence of the
    face for more than `max_gap` frames and a jump of the face by half its width;
    frames without the face are left out, and `source_frame` says which frame of the
    video each one is. Splits go by person where `persons` or `labels` says who it is,
    else by video.

    Frame labels: `source_frame` (from 0), `time` (seconds, by the time stamps), and
    with `crop="face"` the box (`face_x`, `face_y`, `face_width`, `face_height`), five
    landmarks (`right_eye_x`, …), all in pixels of the video, and `detector_score` (NaN
    on frames whose box is interpolated).

    Args:
        store_path: folder to make; beside it the table `NAME.report.csv`.
        source: a video, a folder that is searched with all its subfolders, a .txt file
            with one path a line ("#" begins a remark), or a list of paths.
        crop: "face", "center" (the largest square in the middle) or "none" (the whole
            frame, with black bars where it is not square).
        people: "largest" keeps one person at any time, the one whose face fills most
            of the video; "all" makes sequences of everyone.
        align: "box" cuts a square around the face; "eyes" also turns and scales the
            picture so that the landmarks come to lie at the same places.
        margin: added on every side of the face, as share of its longer side.
        size: height and width of the frames, a multiple of 16.
        channels: 3, or 1 for grey.
        fps: keep so many frames a second, chosen by their time stamps; default all.
        cuts: whether to look for cuts.
        min_length: sequences of fewer frames are left out.
        max_length: most frames of a sequence, or None.
        long: what to do with longer ones: "split", "first" or "thin".
        max_gap: most frames in a row without the face within a sequence.
        detector_model: YuNet's ONNX file; default: it is downloaded once.
        detector_size: longest side of the pictures that are searched, in pixels.
        detect_every: distance of frames that are searched while all is calm.
        threshold: least score of a face, 0 to 1.
        labels: CSV file, see `user_labels.read_labels`.
        persons: "folder" where every folder right below the source holds the videos
            of one person, whose name it has: splits go by them, and the equal error
            rate compares them. `labels` may say otherwise.
        splits: shares of train, val and test.
        seed: of the split.
        overwrite: replace a store that exists.
        workers: processes, or 0 to work in this one; see `pipeline.build`.
        dask: address of a Dask scheduler to work on instead.
        progress: called as progress(done, total) with numbers of videos.

    Returns:
        The `FrameStore`.

    Raises:
        InputError: an argument cannot be used, or no video gives a sequence.

    Warns:
        UserWarning: once for every video that is skipped or read in part.
    """
    options.check(
        crop=crop, people=people, align=align, channels=channels, persons=persons
    )
    options.check_numbers(size=size, margin=margin, fps=fps)
    pipeline.check_new(store_path, overwrite, splits)
    clips.check_lengths(min_length, max_length, long, max_gap)
    videos = find_videos(source)
    if persons == "folder" and not any("/" in name for name, _ in videos):
        raise InputError(
            "persons='folder': no video lies in a folder below the one that is read; "
            "give the folder that holds a folder for each person"
        )
    user_labels = None
    if labels is not None:
        user_labels = read_labels(labels, [name for name, _ in videos])
    reading = {
        "crop": crop,
        "align": align,
        "people": people,
        "margin": float(margin),
        "size": int(size),
        "channels": int(channels),
        "fps": fps,
        "cuts": bool(cuts),
        "min_length": min_length,
        "max_length": max_length,
        "long": long,
        "max_gap": max_gap,
    }
    info = {}
    if crop == "face":
        reading["detector"] = options.detector(
            detector_model,
            detector_size,
            detect_every,
            threshold,
            refine=align == "eyes",
        )
        info = options.face_labels()
    return pipeline.build(
        store_path,
        [
            parts.Source(
                name,
                execution.place_for(dask, path),
                parts.fingerprint([path]),
                person=layouts.person_of(name, persons),
            )
            for name, path in videos
        ],
        read_video,
        reading,
        dataset="videos",
        frame_shape=(int(size), int(size), int(channels)),
        labels=info,
        what="video",
        arguments={
            **reading,
            "source": _described(source),
            "persons": persons,
            "splits": list(splits),
        },
        user_labels=user_labels,
        licence="Frames of the videos given; their rights and the privacy of those "
        "shown are the user's to respect.",
        seed=seed,
        splits=splits,
        overwrite=overwrite,
        workers=workers,
        dask=dask,
        progress=progress,
    )


def find_videos(source: StrPath | Sequence[StrPath]) -> list[tuple[str, str]]:
    """List the videos that are meant.

    Args:
        source: see `prepare`.

    Returns:
        List of (name, path): names are paths below the folder, with "/", in natural
        order.

    Raises:
        InputError: there is none.

    Warns:
        UserWarning: of pictures and other media in a folder, which are left out.
    """
    if not isinstance(source, str | os.PathLike):
        return _named([os.fspath(path) for path in source])
    if not os.fspath(source):
        raise InputError("source: is empty; give a video, a folder or a list")
    root = Path(source)
    if root.is_dir():
        return layouts.find_files(
            root, SUFFIXES, "video", "give a folder with videos, or name the files"
        )
    if not root.exists():
        raise InputError(f"{root}: no such file or folder")
    if root.suffix.lower() == ".txt":
        try:
            lines = read_text(root, encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{root}: cannot be read as a list ({error})") from None
        lines = [line.strip() for line in lines]
        paths = [os.path.expanduser(line) for line in lines if line and line[0] != "#"]
        if not paths:
            raise InputError(f"{root}: lists no video; give one path a line")
        paths = [os.path.join(root.parent, path) for path in paths]
        if not any(map(os.path.lexists, paths)):
            raise InputError(
                f"{root}: is read as a list of videos, and none of the {len(paths)} "
                f"paths in it is there ({paths[0][:200]!r} is first); give one path a "
                "line, from the list's folder or from the root"
            )
        return _named(paths)
    return [(root.name, str(root))]


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
        except ValueError:  # drives have nothing in common
            names = whole
    return [(n.replace(os.sep, "/"), p) for n, p in zip(names, paths, strict=True)]


def _described(source: StrPath | Sequence[StrPath]) -> str | list[str]:
    if isinstance(source, str | os.PathLike):
        return str(source)
    return [str(path) for path in source]


def read_video(
    source: parts.Source, reading: Mapping[str, Any], spool: parts.Spool
) -> parts.Reading:
    """Read one video into clips.

    Args:
        source: `parts.Source`.
        reading: dict of options, see `prepare`.
        spool: `parts.Spool` for the crops.

    Returns:
        `parts.Reading`.
    """
    video = Video(source.path, reading["fps"], options.threads())
    tracks: Mapping[int, _Places]
    chosen: Iterable[_Places]
    if reading["crop"] == "face":
        faces, found = read_faces(video, reading, spool)
        tracks, chosen = faces, faces.values()
        if reading["people"] == "largest":
            chosen = one_at_a_time(faces, reading["min_length"])
        several = reading["people"] == "all"
        missing = "no face was found"
    else:
        tracks, found = _read_frames(video, reading, spool)
        chosen, several, missing = tracks.values(), False, "all frames are blank"
    result = parts.Reading(
        frames_declared=video.declared,
        frames_read=video.read,
        frames_broken=video.broken,
        frames_found=found,
        notes=video.summary(),
    )
    result.clips = cut_tracks(chosen, reading, several)
    if not result.clips:
        longest = max((len(track) for track in tracks.values()), default=0)
        hint = " (crop none takes whole frames)" if reading["crop"] == "face" else ""
        result.skipped = (
            f"{missing} in {video.read} frames{hint}"
            if not found
            else f"the longest sequence has {longest} frames, fewer than min_length "
            f"{reading['min_length']}"
            + (f" (counted at fps {reading['fps']:g})" if reading["fps"] else "")
        )
    return result


def read_faces(
    video: Iterable[Frame], reading: Mapping[str, Any], spool: parts.Spool
) -> tuple[dict[int, Track], int]:
    """Find, follow and crop everyone in a video.

    Args:
        video: iterable of `Frame`.
        reading: dict of options.
        spool: `parts.Spool` for the crops.

    Returns:
        Dict person -> list of (row of the spool, frame number, time, face (15,)), and
        the number of frames with a face.
    """
    about = reading["detector"]
    detector = options.make_detector(about)
    shots = find_shots(video, reading["cuts"])
    tracks: dict[int, Track] = {}
    found = 0

    def counted() -> Iterator[tuple[ShotFrame, NDArray[np.float64]]]:
        nonlocal found
        for shot, faces in detect_faces(shots, detector, about["every"]):
            found += int(len(faces) > 0)
            yield shot, faces

    for sighting in follow(counted(), reading["max_gap"]):
        frame, face = sighting.frame, sighting.face
        if not frame.kept:
            continue
        if reading["align"] == "eyes":
            landmarks = face[4:14].reshape(5, 2)
            image = crop_aligned(
                frame.image, landmarks, reading["size"], reading["margin"]
            )
        else:
            image = crop_square(
                frame.image, face[:4], reading["size"], reading["margin"]
            )
        row = spool.add(options.coloured(image, reading["channels"]))
        track = tracks.setdefault(sighting.person, [])
        track.append((row, frame.number, frame.time, face))
    return tracks, found


def _read_frames(
    video: Iterable[Frame], reading: Mapping[str, Any], spool: parts.Spool
) -> tuple[dict[int, list[tuple[int, int, float, None]]], int]:
    tracks: dict[int, list[tuple[int, int, float, None]]] = {}
    shot_number = 0
    for shot in find_shots(video, reading["cuts"]):
        if shot.first:
            shot_number += 1
        if not shot.blank and shot.frame.kept:
            frame = shot.frame
            image = crop_whole(frame.image, reading["size"], reading["crop"])
            row = spool.add(options.coloured(image, reading["channels"]))
            track = tracks.setdefault(shot_number, [])
            track.append((row, frame.number, frame.time, None))
    return tracks, sum(len(track) for track in tracks.values())


def cut_tracks(
    tracks: Iterable[_Places], reading: Mapping[str, Any], several: bool = False
) -> list[parts.Clip]:
    """Cut tracks into clips of the lengths that are asked for.

    Args:
        tracks: tracks as of `read_faces`, in order of time.
        reading: dict of options.
        several: whether the clips' names say which person it is.

    Returns:
        List of `parts.Clip`.
    """
    made = []
    for number, track in enumerate(tracks, start=1):
        for part in clips.pieces(
            len(track), reading["min_length"], reading["max_length"], reading["long"]
        ):
            rows, numbers, times, faces = zip(*(track[k] for k in part), strict=True)
            labels = {
                "source_frame": np.array(numbers, np.int64),
                "time": np.array(times, np.float64),
            }
            if faces[0] is not None:
                for name, values in zip(COLUMNS, np.array(faces).T, strict=True):
                    labels[name] = values.astype(np.float32)
            name = f"person{number}-" if several else ""
            made.append(parts.Clip(np.array(rows), labels, name))
    return made
