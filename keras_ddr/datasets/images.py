"""Folders of pictures: one folder, one sequence."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.data.place import check_target
from keras_ddr.datasets.folders import find_files, several
from keras_ddr.datasets.option_fields import Offer
from keras_ddr.datasets.parts import Outcome, Source, Spool, fingerprint
from keras_ddr.datasets.pipeline import build
from keras_ddr.datasets.reading import Cropping, Detection, Lengths, Plan
from keras_ddr.datasets.scales import Looked, limits_of, look_at_all, settled
from keras_ddr.datasets.splits import Splits
from keras_ddr.datasets.sprites_layout import is_sheet
from keras_ddr.datasets.videos import cut_tracks
from keras_ddr.datasets.work import Work
from keras_ddr.errors import InputError
from keras_ddr.faces.boxes import Face, match
from keras_ddr.media.pictures import (
    DEEP,
    SUFFIXES,
    deep_values,
    is_deep,
    read_picture,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.media.scaling import Limits
    from keras_ddr.typing import StrPath

__all__ = ["prepare"]

OFFER = Offer(
    "folders of pictures",
    unused=("people", "fps", "cuts", "max_gap", "detect_every"),
    defaults={
        "crop": "none",
        "min_length": 3,
        "max_length": None,
        "shares": (0.8, 0.1, 0.1),
    },
    key="images",
    what="folder",
    licence="The pictures given; their rights and the privacy of those shown are the "
    "user's to respect.",
)

# A face this many widths from the last one is still preferred to a larger one.
_NEAR = 1.0


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
    """Make a frame store of folders with pictures.

    Every folder that holds pictures is a sequence, in the natural order of their names
    (2.png before 10.png). Pictures may differ in size and mode. Those of more than 8
    bits, and floats, are scaled by one pair of limits for a folder
    (`Cropping(scale=…)`), which the store notes as `scaled_from` in its arguments. A
    stack or an animation is refused by name. With
    `Cropping(crop="face")` every picture is searched; of several faces the one near
    that of the picture before is taken, else the largest, and pictures without a face
    are left out. Splits go by person where `splits` says who it is, else by folder.

    Frame labels: `source_frame` (place of the picture in its folder, from 0), `time`
    (NaN, but with `Lengths(frame_rate=…)` seconds), and with `Cropping(crop="face")`
    those of `videos.prepare`. A frame rate says that the pictures are in order in time;
    without one no model of ordered frames takes the store.

    Args:
        store_path: Folder to make; beside it the table `NAME.report.csv`.
        root: Folder; all folders in it are searched.
        cropping: How frames are cut out; by default all of each picture is taken.
        lengths: By default one sequence a folder, of at least 3 frames.
        detection: How faces are found.
        splits: Shares of train, val and test, and who is who. In its table `source` is
            a folder below the root, `frame` may be a picture's file name.
        work: Where the work is done; its progress counts folders.
        overwrite: Whether to replace a store that exists.

    Raises:
        InputError: An argument cannot be used, or no folder gives a sequence.

    Warns:
        UserWarning: Once for every folder that is skipped or has pictures that cannot
            be read.
    """
    cropping, lengths = OFFER.settle(cropping), OFFER.settle(lengths)
    # Only whoever has the pictures knows whether they are those of a recording.
    offer = replace(OFFER, ordered=lengths.frame_rate is not None)
    detection = OFFER.settle(detection)
    splits = OFFER.settle(splits)
    check_target(store_path, overwrite)
    folders = find_folders(work.path_for_workers(root))
    plan = Plan(cropping, lengths, detection.fetched() if cropping.of_faces else None)
    limits, noted = _scales(folders, cropping, work)
    return build(
        store_path,
        [
            Source(
                name,
                path,
                fingerprint(os.path.join(path, file) for file in files),
                person=splits.person_of(f"{name}/"),
                frames=tuple(files),
                details=limits.get(name),
            )
            for name, path, files in folders
        ],
        read_folder,
        plan,
        offer,
        labels=plan.face_labels,
        arguments={"root": str(root), **noted},
        splits=splits,
        work=work,
        overwrite=overwrite,
    )


def find_folders(root: StrPath) -> list[tuple[str, str, list[str]]]:
    """Folders with pictures: (name below the root, path, file names), natural order."""
    root = Path(root)
    advice = "give the folder that holds a folder of pictures for each sequence"
    if not root.is_dir():
        raise InputError(f"{root}: is not a folder; {advice}")
    folders: dict[str, tuple[str, list[str]]] = {}
    for name, path in find_files(root, SUFFIXES, "picture", advice):
        below = os.path.dirname(name)
        entry = folders.setdefault(below, (os.path.dirname(path), []))
        entry[1].append(os.path.basename(path))
    own = Path(os.path.abspath(root)).name or "pictures"
    if own in folders:
        own = "."
    return [(name or own, path, files) for name, (path, files) in folders.items()]


def _scales(
    folders: list[tuple[str, str, list[str]]], cropping: Cropping, work: Work
) -> tuple[dict[str, Limits | None], dict[str, Any]]:
    """The limits of folders with pictures of more than 8 bits, and a note of them."""
    tasks = {}
    for name, path, files in folders:
        may = files
        if cropping.scale is None:
            may = [f for f in files if os.path.splitext(f)[1].lower() in DEEP]
        if may and cropping.scale != "range":
            tasks[name] = path, may, cropping.scale
    return settled(look_at_all(look_at, tasks, work), cropping, "folder")


def look_at(folder: str, files: list[str], scale: str | None) -> Looked:
    """The limits of the pictures in a folder; by default those of more than 8 bits."""
    used = []
    for file in files:
        path = os.path.join(folder, file)
        with contextlib.suppress(InputError):  # told when it is read
            if scale is not None or is_deep(path):
                used.append(path)

    def values(numbers: Sequence[int]) -> Iterator[NDArray[Any]]:
        for number in numbers:
            with contextlib.suppress(InputError):
                found = deep_values(used[number])
                yield read_picture(used[number]) if found is None else found

    limits = limits_of(values, len(used), np.uint16, scale) if used else None
    return Looked(limits, len(used))


def read_folder(source: Source, plan: Plan, spool: Spool) -> Outcome:
    """Read one folder of pictures into clips."""
    detector = None
    if plan.detection is not None:
        detector = plan.detection.detector(refine=plan.cropping.align == "eyes")
    track, problems = [], []
    interval = plan.lengths.interval()
    last: Face | None = None
    shape: tuple[int, ...] = ()
    sheets = 0
    for number, file in enumerate(source.frames):
        try:
            path = os.path.join(source.path, file)
            image = read_picture(
                path, limits=source.details, any_depth=plan.cropping.scale is not None
            )
        except InputError as error:
            problems.append(str(error))
            continue
        sheets += is_sheet(os.path.splitext(file)[0], *image.shape[1::-1])
        face = None
        if detector is not None:
            face = _meant(
                detector.detect(image), last if shape == image.shape else None
            )
            if face is None:
                continue
            last, shape = face, image.shape
        frame = plan.cropping.frame(image, face)
        track.append(spool.add(frame, number, number * interval, face))
    outcome = Outcome(
        cut_tracks([track], plan.lengths),
        frames_read=len(source.frames) - len(problems),
        frames_found=len(track),
        frames_broken=len(problems),
    )
    if sheets:
        problems.insert(
            0,
            f"{sheets} pictures look like whole sheets of sprites and are taken as one "
            "frame each; ddr preprocess sprites cuts such sheets into frames",
        )
    notes = several(problems, 5)
    if outcome.clips:
        outcome.notes = notes
    else:
        usable = "pictures with a face" if detector else "pictures that can be read"
        short = f"has {len(track)} {usable}, fewer than min_length"
        outcome.skipped = f"{short} {plan.lengths.min_length}"
        outcome.skipped += f"; {notes}" if notes else ""
    return outcome


def _meant(faces: list[Face], last: Face | None) -> Face | None:
    """The face near the last one, else the largest."""
    pairs = match([last.box], [face.box for face in faces], _NEAR) if last else []
    return faces[pairs[0][1]] if pairs else next(iter(faces), None)
