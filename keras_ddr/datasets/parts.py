"""Parts: what was read from one source, in a folder of its own until all are there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TypeAlias

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.files import NO_SPACE, locked
from keras_ddr.version import __version__

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import ImageShape, StrPath

    Read: TypeAlias = "Callable[[Source, Mapping[str, Any], Spool], Reading]"

__all__ = ["Clip", "Reading", "Source", "Spool", "fingerprint"]


@dataclass(frozen=True)
class Source:
    """Something that sequences are cut from.

    Attributes:
        name: unique; it stays with the sequences as their `source`.
        path: file or folder.
        stamp: what changes when the source does; see `fingerprint`.
        group: sources of one group go to one split; default each its own.
        person: who is shown, or "".
        details: whatever else the reading needs; plain values.
    """

    name: str
    path: str
    stamp: str = ""
    group: str = ""
    person: str = ""
    details: Any = None


@dataclass
class Clip:
    """A sequence found in a source.

    Attributes:
        rows: (T,) the frames, as `Spool.add` numbered them.
        frame_labels: label name -> array (T,).
        name: added to the name of the source where it gives several people.
    """

    rows: NDArray[np.integer]
    frame_labels: dict[str, NDArray[Any]]
    name: str = ""


@dataclass
class Reading:
    """What came of reading a source.

    Attributes:
        clips: list of `Clip`.
        frames_read: frames that were looked at.
        frames_found: of them, frames that show what was looked for.
        skipped: why there is no sequence, or "".
        notes: what else its owner should know, or "".
        frames_declared: frames that its header promises, or None.
        frames_broken: frames that could not be decoded.
        failed: whether it could not be read to its end, so that another run tries it
            again; set by the pipeline.
    """

    clips: list[Clip] = field(default_factory=list)
    frames_read: int = 0
    frames_found: int = 0
    skipped: str = ""
    notes: str = ""
    frames_declared: int | None = None
    frames_broken: int = 0
    failed: bool = False


class Spool:
    """Crops on their way to the disk, so that a source may be longer than memory."""

    def __init__(self, file: BinaryIO) -> None:
        self.failed = False
        self._file = file
        self._shape: tuple[int, ...] | None = None
        self._count = 0

    def add(self, image: NDArray[np.uint8]) -> int:
        """Write one frame.

        Args:
            image: uint8 (H, W, C), of one shape within a source.

        Returns:
            Its number, from 0.
        """
        try:
            self._file.write(np.ascontiguousarray(image).data)
        except OSError:
            self.failed = True
            raise
        self._shape = image.shape
        self._count += 1
        return self._count - 1

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, H, W, C) of what was written."""
        return (self._count, *(self._shape or (1, 1, 1)))


def fingerprint(paths: Iterable[StrPath]) -> str:
    """Sizes and times of change of files, as a short text.

    Args:
        paths: iterable of files; those that are missing count as such.

    Returns:
        Hexadecimal digits.
    """
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


def key_of(
    source: Source, read: Read, options: Mapping[str, Any], frame_shape: ImageShape
) -> str:
    """Name of a part: other for another source, other options or another version."""
    about = [
        __version__,
        f"{read.__module__}.{read.__qualname__}",
        options,
        list(frame_shape),
        asdict(source),
    ]
    text = json.dumps(about, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def work(
    read: Read, source: Source, options: Mapping[str, Any], folder: StrPath
) -> Reading | None:
    """Read one source into a part, in whatever process.

    Returns:
        None, or a `Reading` where nothing was kept because the source is broken: it is
        tried again the next time.
    """
    folder = Path(folder)
    temporary = folder.with_name(f"{folder.name}.tmp-{uuid.uuid4().hex[:8]}")
    try:
        temporary.mkdir(parents=True)
        with open(temporary / "frames.bin", "wb") as file:
            spool = Spool(file)
            reading = _try(read, source, options, spool)
        if reading.failed:
            return reading
        arrays: dict[str, Any] = {}
        for number, clip in enumerate(reading.clips):
            arrays[f"{number}/rows"] = np.asarray(clip.rows, np.int64)
            for label, values in clip.frame_labels.items():
                arrays[f"{number}/label/{label}"] = np.asarray(values)
        np.savez(temporary / "clips.npz", **arrays)
        about = {
            "shape": spool.shape,
            "names": [clip.name for clip in reading.clips],
            "lengths": [len(clip.rows) for clip in reading.clips],
            **{
                name: getattr(reading, name)
                for name in Summary.__dataclass_fields__
                if name not in ("names", "lengths")
            },
        }
        (temporary / "part.json").write_text(json.dumps(about), encoding="utf-8")
        for path in temporary.iterdir():
            # A part that is there is not looked into again: also after a power cut.
            with open(path, "rb+") as written:
                os.fsync(written.fileno())
        try:
            os.rename(temporary, folder)
        except OSError:
            # Another worker that was taken for lost was faster.
            if not folder.is_dir():
                raise
        return None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _try(
    read: Read, source: Source, options: Mapping[str, Any], spool: Spool
) -> Reading:
    """Read a source; what is wrong with it becomes the reason to skip it."""
    try:
        return read(source, options, spool)
    except OSError as error:
        # Of our own files, which concern all sources.
        if error.errno in NO_SPACE or spool.failed:
            raise
        reason = f"{error.filename or source.path}: {error.strerror}"
    except InputError as error:
        reason = str(error)
    except MemoryError:
        reason = f"{source.path}: needs more memory than there is"
    # A decoder may raise anything on a broken file, which must not cost the others.
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        reason = f"{source.path}: cannot be read ({text[:300]})"
    return Reading(skipped=reason, failed=True)


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
    """Remove what unfinished readings left in the folder of the parts.

    Returns:
        Names of the parts that they were to become.
    """
    found = set()
    for path in list(folder.iterdir()):
        name, mark, _ = path.name.partition(".tmp-")
        if mark:
            shutil.rmtree(path, ignore_errors=True)
            found.add(name)
    return found


@dataclass
class Summary:
    """What must be known of all parts at once; see `Reading`."""

    lengths: list[int]
    names: list[str]
    frames_declared: int | None
    frames_read: int
    frames_broken: int
    frames_found: int
    skipped: str
    notes: str

    @classmethod
    def of(cls, folder: Path, skipped: Reading | None) -> Self:
        """That of a part, or of a reading that gave none."""
        if skipped is not None:
            about = {**asdict(skipped), "lengths": [], "names": []}
        else:
            about = json.loads((folder / "part.json").read_text(encoding="utf-8"))
        return cls(**{name: about[name] for name in cls.__dataclass_fields__})


def clips_of(folder: Path, names: list[str]) -> Iterator[Clip]:
    """The clips of a part."""
    with np.load(folder / "clips.npz", allow_pickle=False) as arrays:
        members: dict[str, list[str]] = {}
        for key in arrays.files:
            number, _, label = key.partition("/label/")
            if label:
                members.setdefault(number, []).append(label)
        for position, name in enumerate(names):
            labels = {
                label: arrays[f"{position}/label/{label}"]
                for label in members.get(str(position), [])
            }
            yield Clip(arrays[f"{position}/rows"], labels, name)


def pixels_of(folder: Path) -> NDArray[np.uint8]:
    """The frames of a part `(T, H, W, C)`, as a memory map."""
    shape = json.loads((folder / "part.json").read_text(encoding="utf-8"))["shape"]
    return np.memmap(folder / "frames.bin", np.uint8, "r", shape=tuple(shape))
