"""Folders of pictures: one folder, one sequence."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.datasets import clips, execution, layouts, options, parts, pipeline
from keras_ddr.datasets.user_labels import read_labels
from keras_ddr.datasets.videos import cut_tracks
from keras_ddr.errors import InputError
from keras_ddr.faces.boxes import match
from keras_ddr.faces.cropping import crop_aligned, crop_square, crop_whole
from keras_ddr.media.pictures import SUFFIXES, read_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.typing import Progress, StrPath

__all__ = ["find_folders", "prepare", "read_folder"]

# A face this many widths from the last one is still preferred to a larger one.
_NEAR = 1.0
# So many pictures that cannot be read are named in a warning.
_NAMED = 5


def prepare(
    store_path: StrPath,
    root: StrPath,
    *,
    crop: str = "none",
    align: str = "box",
    margin: float = 0.2,
    size: int = 64,
    channels: int = 3,
    min_length: int = 3,
    max_length: int | None = None,
    long: str = "split",
    detector_model: StrPath | None = None,
    detector_size: int = 320,
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
    """Make a frame store of folders with pictures.

    Every folder that holds pictures is a sequence, in the natural order of their names
    (2.png before 10.png). Pictures may differ in size, depth and mode. With
    `crop="face"` every picture is searched; of several faces the one near that of the
    picture before is taken, else the largest, and pictures without a face are left out.
    Splits go by person where `persons` or `labels` says who it is, else by folder.

    Frame labels: `source_frame` (place of the picture in its folder, from 0), `time`
    (NaN), and with `crop="face"` those of `videos.prepare`.

    Args:
        store_path: folder to make; beside it the table `NAME.report.csv`.
        root: folder; all folders in it are searched.
        crop: "face", "center" (the largest square in the middle) or "none" (all of it,
            with black bars where it is not square).
        align: "box" or "eyes", see `videos.prepare`.
        margin: added on every side of the face, as share of its longer side.
        size: height and width of the frames, a multiple of 16.
        channels: 3, or 1 for grey.
        min_length: folders with fewer usable pictures are left out.
        max_length: most frames of a sequence, or None.
        long: what to do with longer ones: "split", "first" or "thin".
        detector_model: YuNet's ONNX file; default: it is downloaded once.
        detector_size: longest side of the pictures that are searched, in pixels.
        threshold: least score of a face, 0 to 1.
        labels: CSV file, see `user_labels.read_labels`; `source` is a folder below the
            root, `frame` may be a picture's file name.
        persons: "folder" where every folder right below the root holds the folders
            of one person, whose name it has: splits go by them, and the equal error
            rate compares them. `labels` may say otherwise.
        splits: shares of train, val and test.
        seed: of the split.
        overwrite: replace a store that exists.
        workers: processes, or 0 to work in this one; see `pipeline.build`.
        dask: address of a Dask scheduler to work on instead.
        progress: called as progress(done, total) with numbers of folders.

    Returns:
        The `FrameStore`.

    Raises:
        InputError: an argument cannot be used, or no folder gives a sequence.

    Warns:
        UserWarning: once for every folder that is skipped or has pictures that cannot
            be read.
    """
    options.check(crop=crop, align=align, channels=channels, persons=persons)
    options.check_numbers(size=size, margin=margin)
    pipeline.check_new(store_path, overwrite, splits)
    clips.check_lengths(min_length, max_length, long, 0)
    folders = find_folders(execution.place_for(dask, root))
    user_labels = None
    if labels is not None:
        places = {
            name: {file: place for place, file in enumerate(files)}
            for name, _, files in folders
        }
        user_labels = read_labels(labels, list(places), places)
    reading = {
        "crop": crop,
        "align": align,
        "margin": float(margin),
        "size": int(size),
        "channels": int(channels),
        "min_length": min_length,
        "max_length": max_length,
        "long": long,
    }
    info = {}
    if crop == "face":
        reading["detector"] = options.detector(
            detector_model, detector_size, 1, threshold, refine=align == "eyes"
        )
        info = options.face_labels()
    return pipeline.build(
        store_path,
        [
            parts.Source(
                name,
                path,
                parts.fingerprint(os.path.join(path, file) for file in files),
                person=layouts.person_of(f"{name}/", persons),
                details=files,
            )
            for name, path, files in folders
        ],
        read_folder,
        reading,
        dataset="images",
        frame_shape=(int(size), int(size), int(channels)),
        labels=info,
        what="folder",
        arguments={
            **reading,
            "root": str(root),
            "persons": persons,
            "splits": list(splits),
        },
        user_labels=user_labels,
        licence="The pictures given; their rights and the privacy of those shown are "
        "the user's to respect.",
        seed=seed,
        splits=splits,
        overwrite=overwrite,
        workers=workers,
        dask=dask,
        progress=progress,
    )


def find_folders(root: StrPath) -> list[tuple[str, str, list[str]]]:
    """List the folders that hold pictures.

    Args:
        root: folder.

    Returns:
        List of (name, path, file names), in natural order; the name is the path below
        the root with "/", or the root's own name ("." where a folder in it has that).

    Raises:
        InputError: there is no picture.

    Warns:
        UserWarning: of videos and other media, which are left out.
    """
    root = Path(root)
    advice = "give the folder that holds a folder of pictures for each sequence"
    if not root.is_dir():
        raise InputError(f"{root}: is not a folder; {advice}")
    folders: dict[str, tuple[str, list[str]]] = {}
    for name, path in layouts.find_files(root, SUFFIXES, "picture", advice):
        below = os.path.dirname(name)
        entry = folders.setdefault(below, (os.path.dirname(path), []))
        entry[1].append(os.path.basename(path))
    own = Path(os.path.abspath(root)).name or "pictures"
    if own in folders:
        own = "."
    return [(name or own, path, files) for name, (path, files) in folders.items()]


def read_folder(
    source: parts.Source, reading: Mapping[str, Any], spool: parts.Spool
) -> parts.Reading:
    """Read one folder of pictures into clips.

    Args:
        source: `parts.Source`, its details the file names in order.
        reading: dict of options, see `prepare`.
        spool: `parts.Spool` for the crops.

    Returns:
        `parts.Reading`.
    """
    cut = _FaceCutter(reading) if reading["crop"] == "face" else None
    track, problems, read = [], [], 0
    for number, file in enumerate(source.details):
        try:
            image = read_picture(os.path.join(source.path, file))[..., ::-1]
        except InputError as error:
            problems.append(str(error))
            continue
        read += 1
        if cut is None:
            crop, face = crop_whole(image, reading["size"], reading["crop"]), None
        elif (found := cut(np.ascontiguousarray(image))) is not None:
            crop, face = found
        else:
            continue
        row = spool.add(options.coloured(crop, reading["channels"]))
        track.append((row, number, np.nan, face))
    result = parts.Reading(
        cut_tracks([track], reading), read, len(track), frames_broken=len(problems)
    )
    notes = []
    if not result.clips:
        what = "pictures with a face" if cut else "pictures that can be read"
        notes.append(
            f"has {len(track)} {what}, fewer than min_length {reading['min_length']}"
        )
    notes += problems[:_NAMED]
    if len(problems) > _NAMED:
        notes.append(f"and {len(problems) - _NAMED} more that cannot be read")
    if result.clips:
        result.notes = "; ".join(notes)
    else:
        result.skipped = "; ".join(notes)
    return result


class _FaceCutter:
    """Cuts the face that is meant out of one picture after the other."""

    def __init__(self, reading: Mapping[str, Any]) -> None:
        about = reading["detector"]
        self._reading = reading
        self._detector = options.make_detector(about)
        # Size of the picture, and the face in it.
        self._last: tuple[tuple[int, ...], NDArray[np.float64]] | None = None

    def __call__(
        self, image: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]] | None:
        shape = image.shape[:2]
        faces = self._detector.detect(image)
        if not len(faces):
            return None
        chosen = 0
        if self._last is not None and self._last[0] == shape:
            pairs = match([self._last[1]], faces, _NEAR)
            chosen = pairs[0][1] if pairs else 0
        face = faces[chosen]
        self._last = shape, face
        size, margin = self._reading["size"], self._reading["margin"]
        if self._reading["align"] == "eyes":
            return crop_aligned(image, face[4:14].reshape(5, 2), size, margin), face
        return crop_square(image, face[:4], size, margin), face
