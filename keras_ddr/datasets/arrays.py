"""Stacks of pictures in TIFF, HDF5, Zarr, .npy and .npz: a file is a sequence."""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.data.place import check_target
from keras_ddr.datasets.folders import files_in, find_files, several
from keras_ddr.datasets.masks import mask_for, open_masks
from keras_ddr.datasets.option_fields import Offer, Options, option
from keras_ddr.datasets.parts import Outcome, Source, Spool, fingerprint
from keras_ddr.datasets.pipeline import build
from keras_ddr.datasets.reading import Cropping, Lengths, Plan
from keras_ddr.datasets.scales import Looked, limits_of, look_at_all, settled
from keras_ddr.datasets.splits import Splits
from keras_ddr.datasets.videos import cut_tracks
from keras_ddr.datasets.work import Work
from keras_ddr.errors import InputError, reason_of
from keras_ddr.media.axes import Layout, check_axes, layout_of, parse_pick
from keras_ddr.media.scaling import as_8_bits, widest
from keras_ddr.media.stacks import FOLDERS, SUFFIXES, kind_of, open_stacks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.datasets.parts import Clip, Crop
    from keras_ddr.media.blocks import Stack
    from keras_ddr.media.scaling import Limits
    from keras_ddr.typing import StrPath

__all__ = ["Stacks", "prepare"]

OFFER = Offer(
    "arrays",
    unused=("people", "align", "margin", "fps", "cuts", "max_gap"),
    defaults={
        "crop": "none",
        "min_length": 3,
        "max_length": None,
        "shares": (0.8, 0.1, 0.1),
    },
    key="arrays",
    what="file",
    licence="The arrays given; their rights and the privacy of those shown are the "
    "user's to respect.",
)


@dataclass(frozen=True)
class Stacks(Options):
    """Which array of a file is read, and what its axes are."""

    key: str = option(
        "",
        "Name of the array in HDF5, Zarr and .npz; with * all that fit, each of them a "
        "sequence.",
        unset="the only one",
        metavar="NAME",
    )
    axes: str = option(
        "",
        "A letter for each axis: N sequences, T times, Z depths, C channels, Y, X, S "
        "colours.",
        unset="as the file says",
        metavar="TYX|TYXC|NTYX|…",
        check=check_axes,
    )
    pick: str = option(
        "",
        "Depth and channels that are taken: Z=5, Z=max or Z=mean, C=0, or C=0+2+1 for "
        "red, green, blue; with a comma between.",
        unset="all channels",
        metavar="Z=max,C=0",
        check=parse_pick,
    )

    masks: StrPath | None = option(
        None,
        "Label images (T, Y, X or Y, X), 0 where nothing is: each number is an object, "
        "cut out by a square around it, and a sequence. A file, or a folder with files "
        "named as those of the stacks.",
        unset="whole frames",
        metavar="FILE|FOLDER",
    )
    background: str = option(
        "keep",
        "With masks: keep what is around an object, or make it black.",
        choices=("keep", "black"),
    )


@dataclass(frozen=True)
class StackPlan(Plan):
    """How stacks are read."""

    stacks: Stacks = Stacks()

    @property
    def options(self) -> list[Options]:
        """All options in use."""
        return [*super().options, self.stacks]


@dataclass(frozen=True)
class _Place:
    """A sequence in a file."""

    key: str
    number: int  # along N
    scaled: bool  # whether the limits of its file are for it
    interval: float  # seconds between its frames, or NaN
    limits: Limits | None = None
    mask: str = ""  # the file of its label images


def prepare(
    store_path: StrPath,
    source: StrPath,
    *,
    stacks: Stacks = Stacks(),
    cropping: Cropping = Cropping(),
    lengths: Lengths = Lengths(),
    splits: Splits = Splits(),
    work: Work = Work(),
    overwrite: bool = False,
) -> FrameStore:
    """Make a frame store of files that hold stacks of pictures.

    A file is a sequence, or as many as its axis N has, as there are positions in an
    OME file, or arrays that `Stacks(key=…)` names. Values of more than 8 bits, and
    floats, are scaled by one pair of limits for all frames of a file
    (`Cropping(scale=…, scale_of=…)`); channels before Y and X have limits of their own.
    The store notes them as `scaled_from` in its arguments. Files are read a few frames
    at a time.

    Frame labels: `source_frame` (from 0) and `time` (seconds, where ImageJ, OME
    or `Lengths(frame_rate=…)` say how many are between frames, else NaN).

    Args:
        store_path: Folder to make; beside it the table `NAME.report.csv`.
        source: A file (TIFF, HDF5, Zarr, .npy, .npz), or a folder that is searched with
            all its subfolders.
        stacks: Which array of a file, its axes, and what is picked of them.
        cropping: How frames are cut out and scaled; by default all of them is taken.
        lengths: By default one sequence, of at least 3 frames.
        splits: Shares of train, val and test, and who is who.
        work: Where the work is done; its progress counts sequences.
        overwrite: Whether to replace a store that exists.

    Raises:
        InputError: An argument cannot be used, or no file gives a sequence.

    Warns:
        UserWarning: Once for every file that is skipped or read in part, and once for
            what was guessed: axes, scale.
    """
    cropping, lengths = OFFER.settle(cropping), OFFER.settle(lengths)
    splits, stacks = OFFER.settle(splits), OFFER.settle(stacks)
    if cropping.of_faces:
        raise InputError(
            "crop='face': faces are found in videos and pictures only; use center or "
            "none"
        )
    check_target(store_path, overwrite)
    files = dict(find_stacks(work.path_for_workers(source)))
    plan = StackPlan(cropping, lengths, stacks=stacks)
    looked = look_at_all(
        look_at, {name: (path, plan) for name, path in files.items()}, work
    )
    masks = _masks(files, looked, stacks)
    limits, noted = settled(looked, cropping, "file")
    _tell_guesses(looked)
    return build(
        store_path,
        [
            each
            for name, path in files.items()
            for each in _sources(name, path, looked[name], limits[name], splits, masks)
        ],
        read_stack,
        plan,
        OFFER,
        labels={},
        arguments={"source": str(source), **noted},
        splits=splits,
        work=work,
        overwrite=overwrite,
    )


def find_stacks(source: StrPath) -> list[tuple[str, str]]:
    """The files of a source: (path below it with "/", path), natural order."""
    root = Path(source)
    if not root.exists():
        raise InputError(f"{root}: no such file or folder")
    if root.is_file() or root.suffix.lower() in FOLDERS or kind_of(root):
        return [(Path(os.path.abspath(root)).name, str(root))]
    advice = "give a folder with stacks, or name the file"
    found = find_files(root, SUFFIXES, "array", advice, FOLDERS)
    # A store made there before is no source.
    return [each for each in found if not _is_store(Path(each[1]).parent)]


def _is_store(folder: Path) -> bool:
    return (folder / "meta.json").exists() and (folder / "frames.npy").exists()


def look_at(path: str, plan: StackPlan) -> Looked:
    """The sequences of a file, and the limits of its values."""
    try:
        with open_stacks(path, plan.stacks.key) as stacks:
            parts = [(stack, _layout(path, stack, plan)) for stack in stacks]
            limits = [_limits(*part, plan.cropping.scale) for part in parts]
    except InputError as error:
        return Looked(problem=str(error))
    used = [each for each in limits if each is not None]
    places, frames = [], 0
    guesses: dict[str, tuple[int, tuple[int, ...]]] = {}
    for (stack, layout), found in zip(parts, limits, strict=True):
        scaled = found is not None
        step = plan.lengths.interval(stack.interval)
        places += [_Place(stack.key, n, scaled, step) for n in range(layout.sequences)]
        number = layout.sequences * layout.frames
        frames += number * scaled
        known = guesses.get(layout.guess, (0, layout.shape))
        guesses[layout.guess] = known[0] + number, known[1]
    return Looked(widest(used) if used else None, frames, (places, guesses))


def _layout(path: str, stack: Stack, plan: StackPlan) -> Layout:
    name = f"{path}: {stack.key}" if stack.key else path
    if stack.dtype.kind not in "biuf":
        raise InputError(
            f"{name}: has values of the type {stack.dtype}; give real numbers"
        )
    channels = plan.cropping.channels
    stacks = plan.stacks
    try:
        return layout_of(stack.shape, stack.axes, stacks.axes, stacks.pick, channels)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None


def _limits(stack: Stack, layout: Layout, scale: str | None) -> Limits | None:
    def frames(numbers: Sequence[int]) -> Iterator[NDArray[Any]]:
        for number in numbers:
            # Broken frames are told when all are read.
            with contextlib.suppress(Exception):
                place = layout.place(*divmod(number, layout.frames), 1)
                yield layout.arranged(stack.read(place))[0]

    count = layout.sequences * layout.frames
    return limits_of(frames, count, stack.dtype, scale, layout.apart)


def _masks(
    files: dict[str, str], looked: dict[str, Looked], stacks: Stacks
) -> dict[str, str]:
    """The file of masks of each file; a file without them has that problem."""
    if not stacks.masks:
        return {}
    given = dict(find_stacks(stacks.masks))
    alone = len(files) == len(given) == 1
    found = {name: mask_for(name, given, alone) for name in files}
    for name, mask in found.items():
        problem = "" if mask else f"has no masks of its name in {stacks.masks}"
        if mask and os.path.samefile(mask, files[name]):
            problem = "is its own file of masks; give masks a folder of their own"
        if problem:
            looked[name] = Looked(problem=f"{files[name]}: {problem}")
    return found


def _tell_guesses(looked: dict[str, Looked]) -> None:
    """Say once how axes were guessed, with the number of frames that it concerns."""
    guessed: dict[str, dict[str, Any]] = {}
    for name, found in looked.items():
        for guess, about in found.about[1].items() if found.about else ():
            if guess:
                guessed.setdefault(guess, {})[name] = about
    for guess, files in guessed.items():
        frames = sum(number for number, _ in files.values())
        shape = "×".join(map(str, next(iter(files.values()))[1]))
        warnings.warn(
            f"axes: {several(list(files))}: {frames} frames {guess} ({shape} is the "
            "shape of the first); --axes says it otherwise",
            stacklevel=3,
        )


def _sources(
    name: str,
    path: str,
    looked: Looked,
    limits: Limits | None,
    splits: Splits,
    masks: dict[str, str],
) -> Iterator[Source]:
    """The sequences of a file as sources; one without any gives its problem."""
    mask = masks.get(name, "")
    about = [path, *files_in(path)] if os.path.isdir(path) else [path]
    about += [mask] if mask else []
    given = Source(name, path, fingerprint(about), person=splits.person_of(name))
    if looked.about is None:
        yield replace(given, details=looked.problem)
        return
    places = looked.about[0]
    for number, place in enumerate(places, start=1):
        place = replace(place, limits=limits if place.scaled else None, mask=mask)
        if len(places) == 1:
            yield replace(given, details=place)
        else:
            which = place.key if len({p.number for p in places}) == 1 else ""
            which = which if which and not which.isdecimal() else str(number)
            yield replace(given, name=f"{name}#{which}", details=place)


def read_stack(source: Source, plan: StackPlan, spool: Spool) -> Outcome:
    """Read one sequence of a file into clips."""
    place = source.details
    if isinstance(place, str):
        raise InputError(place)
    with open_stacks(source.path, plan.stacks.key) as stacks:
        (stack,) = [stack for stack in stacks if stack.key == place.key]
        layout = _layout(source.path, stack, plan)
        taken = _Taken(stack, layout, place)
        if place.mask:
            clips, tracks = _object_clips(taken, plan, spool)
        else:
            track = [
                spool.add(plan.cropping.frame(image, None), number, time)
                for number, time, image in taken
            ]
            clips, tracks = cut_tracks([track], plan.lengths), [track]
    if not taken.read:
        raise InputError(f"{source.path}: cannot be read ({taken.problem})")
    broken, problem = layout.frames - taken.read, taken.problem
    short = plan.lengths.too_short(tracks)
    outcome = Outcome(
        clips,
        frames_declared=layout.frames,
        frames_read=taken.read,
        frames_found=len({crop.number for track in tracks for crop in track}),
        frames_broken=broken,
    )
    notes = [stack.note] if stack.note else []
    if broken:
        notes.append(f"{broken} of {layout.frames} frames cannot be read ({problem})")
    outcome.notes = "; ".join(notes)
    if not outcome.clips:
        outcome.skipped, outcome.notes = "; ".join([short, *notes]), ""
    return outcome


class _Taken:
    """The frames of a sequence in 8 bits, and how many of them could be read."""

    def __init__(self, stack: Stack, layout: Layout, place: _Place) -> None:
        self.layout, self.place = layout, place
        self.read, self.problem = 0, ""
        self._stack = stack

    def __iter__(self) -> Iterator[tuple[int, float, NDArray[np.uint8]]]:
        """Number, time in seconds and frame (H, W, 3)."""
        for number, values in _frames(self._stack, self.layout, self.place.number):
            if isinstance(values, Exception):
                self.problem = self.problem or reason_of(values)
                if "imagecodecs" in self.problem:
                    raise values  # which concerns all frames
                continue
            self.read += 1
            image = _rgb(as_8_bits(values, self.place.limits))
            yield number, number * self.place.interval, image


def _object_clips(
    taken: _Taken, plan: StackPlan, spool: Spool
) -> tuple[list[Clip], list[list[Crop]]]:
    """The sequences of all objects that are long enough, and the crops of each."""
    layout, lengths = taken.layout, plan.lengths
    if layout.sequences > 1:
        raise InputError("masks: are for files of one sequence; split the file")
    shape = layout.frames, layout.size("Y"), layout.size("X")
    black = plan.stacks.background == "black"
    with open_masks(taken.place.mask, shape) as masks:
        objects = {
            label: found
            for label, found in masks.objects().items()
            if len(found.centres) >= lengths.min_length
        }
        tracks: dict[int, list[Crop]] = {label: [] for label in objects}
        for number, time, image in taken:
            mask = masks.of_frame(number) if black else None
            for label, found in objects.items():
                if number in found.centres:
                    seen = image
                    if mask is not None:
                        seen = np.where((mask == label)[..., None], image, np.uint8(0))
                    crop = found.crop(seen, number, plan.cropping.size)
                    crop = plan.cropping.frame(crop, None)
                    tracks[label].append(spool.add(crop, number, time))
    clips = []
    for label, track in sorted(tracks.items()):
        for run in lengths.runs([crop.number for crop in track]):
            for clip in cut_tracks([track[run]], lengths):
                clips.append(replace(clip, name=f"object{label}-"))
    return clips, list(tracks.values())


def _frames(
    stack: Stack, layout: Layout, sequence: int
) -> Iterator[tuple[int, NDArray[Any] | Exception]]:
    """Each frame (H, W) or (H, W, C) with its number, or why it cannot be read."""
    each = math.prod(layout.shape) // (layout.sequences * layout.frames)
    step = stack.at_once(layout.axes.index("T"), each * stack.dtype.itemsize)
    for first in range(0, layout.frames, step):
        count = min(step, layout.frames - first)
        try:
            place = layout.place(sequence, first, count)
            block = layout.arranged(stack.read(place))
        # A decoder may raise anything on a broken file.
        except Exception as error:
            for number in range(first, first + count):
                yield number, error
            continue
        yield from enumerate(block, start=first)


def _rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame (H, W) or (H, W, 1 to 4) as (H, W, 3); of two, red and green."""
    if image.ndim == 2:
        image = image[..., None]
    channels = image.shape[-1]
    if channels == 1:
        return np.repeat(image, 3, axis=-1)
    if channels == 2:
        return np.pad(image, ((0, 0), (0, 0), (0, 1)))
    if channels == 4:  # transparency, shown on black
        return np.rint(image[..., :3] * (image[..., 3:] / 255)).astype(np.uint8)
    return np.ascontiguousarray(image)
