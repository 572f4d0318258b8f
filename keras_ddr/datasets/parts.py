"""Parts: the frames of one source, in a folder of its own until all parts are there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias, TypeVar

import numpy as np

from keras_ddr.data.labels import CROP_LABELS, HEAD_LABELS
from keras_ddr.errors import InputError, reason_of
from keras_ddr.files import NO_SPACE, locked
from keras_ddr.version import __version__

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.datasets.reading import Plan
    from keras_ddr.faces.boxes import Face
    from keras_ddr.media.video import Video
    from keras_ddr.typing import LabelValue, StrPath

    Reader: TypeAlias = "Callable[[Source, Any, Spool], Outcome]"

FRAMES, READ = "frames.bin", "read.txt"  # files of a part
_PAUSE = 0.5  # seconds between notes of how many frames were read
_T = TypeVar("_T")


@dataclass(frozen=True)
class Source:
    """Something that sequences are cut from; its reader knows the details."""

    name: str  # unique; it stays with the sequences as their `source`
    path: str
    stamp: str = ""  # changes when the source does, see `fingerprint`
    group: str = ""  # sources of one group go to one split
    person: str = ""
    frames: tuple[str, ...] = ()  # names of files
    details: Any = None
    labels: dict[str, LabelValue] = field(default_factory=dict)  # of its sequences


class Crop(NamedTuple):
    """A frame in the spool, and where in its source it is from."""

    row: int  # in the spool
    number: int  # of the frame in its source, from 0
    time: float  # seconds from the beginning of the source, or NaN
    face: Face | None


@dataclass
class Clip:
    """A sequence found in a source; `name` tells people of one source apart."""

    rows: NDArray[np.integer]  # in the spool
    frame_labels: dict[str, NDArray[Any]]  # (T,) each
    name: str = ""
    person: str = ""  # where it is known better than from the source

    @classmethod
    def of_crops(cls, crops: Iterable[Crop], name: str = "") -> Self:
        """The sequence of some crops, with the labels that say where they are from."""
        places, numbers, times, faces = zip(*crops, strict=True)
        labels: dict[str, NDArray[Any]] = {
            "source_frame": np.array(numbers, np.int64),
            "time": np.array(times, np.float64),
        }
        if faces[0] is not None:
            rows = [[*face.numbers, *face.pose] for face in faces]
            names = (*CROP_LABELS, *HEAD_LABELS)
            labels.update(zip(names, np.array(rows, np.float32).T, strict=True))
        return cls(np.array(places, np.int64), labels, name)


@dataclass
class Outcome:
    """Outcome of a source."""

    clips: list[Clip] = field(default_factory=list)
    frames_read: int = 0
    frames_found: int = 0  # of them, frames that show what was looked for
    skipped: str = ""  # why there is no sequence
    notes: str = ""
    frames_declared: int | None = None  # by the header
    frames_broken: int = 0
    last_time: float = np.inf  # seconds of the last frame, where it has a time
    # Set by the pipeline: whether the next run tries it again, and of each clip the
    # length, the name and the person.
    failed: bool = False
    lengths: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    persons: list[str] = field(default_factory=list)
    # All that the neighbours of a segment have to know, see `long_videos`.
    segment: dict[str, Any] | None = None

    @classmethod
    def of_video(cls, video: Video, clips: list[Clip], found: int, why: str) -> Self:
        """That of a video that was read to its end; why there would be no clips."""
        return cls(
            clips=clips,
            frames_read=video.read,
            frames_found=found,
            skipped="" if clips else why,
            notes=video.summary(),
            frames_declared=video.declared,
            frames_broken=video.broken,
            last_time=video.time,
        )


class Spool:
    """Frames on their way to the disk, so that a source may be longer than memory.

    `tick` is called when the file `READ` in the folder has another number of frames.
    """

    def __init__(self, folder: Path, tick: Callable[[], object] | None = None) -> None:
        self.failed = False
        self._folder = folder
        self._tick = tick
        self._told = time.monotonic()
        self._file = open(folder / FRAMES, "wb")
        self._shape: tuple[int, ...] = (1, 1, 1)
        self._count = 0

    def add(
        self,
        image: NDArray[np.uint8],
        number: int,
        time: float = np.nan,
        face: Face | None = None,
    ) -> Crop:
        """Write one frame, uint8 (H, W, C), of one shape within a source."""
        try:
            self._file.write(np.ascontiguousarray(image).data)
        except OSError:
            self.failed = True
            raise
        self._shape = image.shape
        self._count += 1
        return Crop(self._count - 1, number, time, face)

    def counted(self, frames: Iterable[_T]) -> Iterator[_T]:
        """Pass on the frames of the source, and note now and then how many came."""
        for number, frame in enumerate(frames, start=1):
            yield frame
            if time.monotonic() - self._told > _PAUSE:
                self._told = time.monotonic()
                (self._folder / READ).write_text(str(number))
                if self._tick is not None:
                    self._tick()

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, H, W, C) of the frames that were written."""
        return (self._count, *self._shape)

    def close(self) -> None:
        """End the file."""
        self._file.close()


@dataclass(frozen=True)
class LongReader:
    """How sources are read that may be long: whole, or in segments that are joined.

    `divide` gives the frames that a source seems to have (0: not known), and segments
    of it with theirs. `join` gives None where the segments do not fit together.
    """

    read: Reader
    divide: Callable[[Source], tuple[int, list[tuple[Source, int]]]]
    read_segment: Reader
    join: Callable[[Source, Any, list[Path]], Outcome | None]


def fingerprint(paths: Iterable[StrPath]) -> str:
    """Sizes and times of change of files as hexadecimal digits; missing ones count."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            about = os.stat(path)
            line = f"{path!s}|{about.st_size}|{about.st_mtime_ns}"
        # A ValueError: the name holds a NUL.
        except (OSError, ValueError):
            line = f"{path!s}|missing"
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()


@contextlib.contextmanager
def parts_folder(store_path: Path) -> Iterator[Path]:
    """The folder of the parts, for one run at a time."""
    folder = store_path.with_name(f".{store_path.name}.parts")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{store_path}: cannot be made there ({error.strerror}); choose another "
            "place"
        ) from error
    busy = (
        f"{store_path}: is being made by another process now; wait for it, or choose "
        "another name"
    )
    with locked(folder / "lock", busy):
        try:
            yield folder
        finally:
            with contextlib.suppress(OSError):
                if [path.name for path in folder.iterdir()] == ["lock"]:
                    (folder / "lock").unlink()
                folder.rmdir()


def key_of(source: Source, reader: Reader, plan: Any) -> str:
    """Name of a part: other for another source, another plan or another version."""
    about = [__version__, f"{reader.__module__}.{reader.__qualname__}", plan, source]
    text = json.dumps(about, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) else str(value)  # type: ignore[arg-type]


def write_part(
    reader: Reader,
    source: Source,
    plan: Any,
    folder: StrPath,
    tick: Callable[[], object] | None = None,
) -> Outcome | None:
    """Read one source into a part; gives the outcome of one to be tried again."""
    with _appearing(Path(folder)) as temporary:
        with contextlib.closing(Spool(temporary, tick)) as spool:
            outcome = _read(reader, source, plan, spool)
        if outcome.failed:
            return outcome
        _save(temporary, outcome, {".": spool.shape})
    return None


def join_parts(folder: Path, outcome: Outcome, parts: Iterable[Path]) -> None:
    """Make a part whose frames are those of others beside it, one after the other."""
    spools = {part.name: _about(part)["spools"]["."] for part in parts}
    with _appearing(folder) as temporary:
        _save(temporary, outcome, {f"../{name}": spools[name] for name in spools})


@contextlib.contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A folder to write in, which appears when it is whole; empty ones are removed."""
    temporary = folder.with_name(f"{folder.name}.tmp-{uuid.uuid4().hex[:8]}")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if not (temporary / "part.json").exists():
            return
        for path in temporary.iterdir():
            # Later runs trust a part unseen, also after a power cut.
            with open(path, "rb+") as written:
                os.fsync(written.fileno())
        try:
            os.rename(temporary, folder)
        except OSError:
            # Another worker that was taken for lost was faster.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _save(
    folder: Path, outcome: Outcome, spools: Mapping[str, tuple[int, ...]]
) -> None:
    clips = outcome.clips
    labels = clips[0].frame_labels if clips else {}
    arrays: dict[str, Any] = {
        f"label/{name}": np.concatenate([c.frame_labels[name] for c in clips])
        for name in labels
    }
    arrays["rows"] = np.concatenate([[], *(c.rows for c in clips)]).astype(np.int64)
    np.savez(folder / "clips.npz", **arrays)
    notes = " ".join(outcome.notes.split())  # names may hold line ends
    about = asdict(replace(outcome, clips=[], notes=notes))
    about["lengths"] = [len(clip.rows) for clip in clips]
    about["names"] = [clip.name for clip in clips]
    about["persons"] = [clip.person for clip in clips]
    about["spools"] = spools
    (folder / "part.json").write_text(json.dumps(about), encoding="utf-8")


def _read(reader: Reader, source: Source, plan: Plan, spool: Spool) -> Outcome:
    """Read a source; an error of the source becomes the reason to skip it."""
    try:
        return reader(source, plan, spool)
    except OSError as error:
        # A full disk concerns all sources.
        if error.errno in NO_SPACE or spool.failed:
            raise
        reason = f"{error.filename or source.path}: {error.strerror}"
    except InputError as error:
        reason = str(error)
    except MemoryError:
        reason = f"{source.path}: needs more memory than there is"
    # A decoder may raise anything on a broken file, which must not cost the others.
    except Exception as error:
        text = f"{type(error).__name__}: {reason_of(error)}"
        reason = f"{source.path}: cannot be read ({text})"
    return Outcome(skipped=reason, failed=True)


def remove_parts(folder: Path) -> None:
    """Remove all parts; half of one must never be taken for a part."""
    with contextlib.suppress(OSError):
        for part in list(folder.iterdir()):
            if part.is_dir() and ".tmp-" not in part.name:
                os.rename(
                    part, part.with_name(f"{part.name}.tmp-{uuid.uuid4().hex[:8]}")
                )
    shutil.rmtree(folder, ignore_errors=True)


def remove_begun(folder: Path) -> set[str]:
    """Remove unfinished parts; returns the names that they were to have."""
    found = set()
    for path in list(folder.iterdir()):
        name, mark, _ = path.name.partition(".tmp-")
        if mark:
            shutil.rmtree(path, ignore_errors=True)
            found.add(name)
    return found


def outcome_of(folder: Path) -> Outcome:
    """The outcome of a part, its clips left on the disk."""
    about = _about(folder)
    del about["spools"]
    return Outcome(**about)


def found_in(folder: Path) -> tuple[list[Clip], int]:
    """The clips of a part without their frames, and how many frames it has."""
    about = _about(folder)
    with np.load(folder / "clips.npz", allow_pickle=False) as arrays:
        labels = {key[6:]: arrays[key] for key in arrays.files if key != "rows"}
        rows = arrays["rows"]
    ends = np.cumsum(about["lengths"], dtype=np.int64)
    clips = [
        Clip(
            rows[end - length : end],
            {key: values[end - length : end] for key, values in labels.items()},
            name,
            person,
        )
        for name, person, length, end in zip(
            about["names"], about["persons"], about["lengths"], ends, strict=True
        )
    ]
    return clips, sum(count for count, *_ in about["spools"].values())


def clips_of(folder: Path) -> Iterator[tuple[Clip, NDArray[np.uint8]]]:
    """The clips of a part and their frames (T, H, W, C), one after the other."""
    spools = [
        np.memmap(folder / name / FRAMES, np.uint8, "r", shape=(*shape,))
        for name, shape in _about(folder)["spools"].items()
        if shape[0]
    ]
    ends = np.cumsum([len(spool) for spool in spools])
    for clip in found_in(folder)[0]:
        places = np.searchsorted(ends, clip.rows, side="right")
        taken = [
            _taken(spools[k], clip.rows[places == k] - ends[k] + len(spools[k]))
            for k in np.unique(places)
        ]
        yield clip, taken[0] if len(taken) == 1 else np.concatenate(taken)


def _taken(pixels: NDArray[np.uint8], rows: NDArray[Any]) -> NDArray[np.uint8]:
    # A slice of the map, where that is possible, is read from the disk only once.
    whole = len(rows) == rows[-1] - rows[0] + 1
    return pixels[rows[0] : rows[-1] + 1] if whole else pixels[rows]


def _about(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "part.json").read_text(encoding="utf-8"))
