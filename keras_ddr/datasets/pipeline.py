"""From many files to one store: in parallel, and again where it was interrupted.

Every source (a video, a folder of pictures) is read on its own, by any worker, into a
part: a folder with its crops and their labels beside the store in the making. A part
appears when it is whole and is found again by whoever runs the same work anew. When all
parts are there they are joined to the store, in the order of the sources, so that the
result does not depend on who read what and when.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import shutil
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TypeAlias

import numpy as np

from keras_ddr.data.format import FRAME_LABELS
from keras_ddr.data.place import check_target
from keras_ddr.data.splits import assign_splits, joined_groups
from keras_ddr.data.writer import SequenceRecord, write_store
from keras_ddr.datasets import execution
from keras_ddr.errors import InputError
from keras_ddr.files import NO_SPACE, locked, replacing
from keras_ddr.media.video import SUFFIXES
from keras_ddr.version import __version__

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.datasets.user_labels import UserLabels
    from keras_ddr.typing import ImageShape, LabelValue, Progress, StrPath

    _Read: TypeAlias = "Callable[[Source, Mapping[str, Any], Spool], Reading]"

__all__ = [
    "Clip",
    "Reading",
    "Source",
    "Spool",
    "build",
    "check_new",
    "fingerprint",
    "report_path",
]

_REPORT = (
    "source",
    "frames_declared",
    "frames_read",
    "frames_broken",
    "frames_found",
    "sequences",
    "frames_kept",
    "skipped",
    "notes",
)


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


def report_path(store_path: StrPath) -> Path:
    """Where the table of sources of a store is: beside it."""
    store_path = Path(store_path)
    return store_path.with_name(f"{store_path.name}.report.csv")


def check_new(store_path: StrPath, overwrite: bool, splits: Sequence[float]) -> None:
    """Refuse what cannot become a store, before anything is read or downloaded.

    Args:
        store_path: folder to make.
        overwrite: replace a store that exists.
        splits: shares of train, val and test.

    Raises:
        InputError: the folder exists, or the shares are none.
    """
    check_target(Path(store_path), overwrite)
    assign_splits(["a"], splits)


def build(
    store_path: StrPath,
    sources: Sequence[Source],
    read: _Read,
    options: Mapping[str, Any],
    *,
    dataset: str,
    frame_shape: ImageShape,
    labels: Mapping[str, Mapping[str, Any]],
    what: str = "source",
    arguments: Mapping[str, Any] | None = None,
    user_labels: UserLabels | None = None,
    licence: str = "",
    seed: int = 0,
    splits: Sequence[float] = (0.8, 0.1, 0.1),
    overwrite: bool = False,
    workers: int = 0,
    dask: str | None = None,
    progress: Progress | None = None,
) -> FrameStore:
    """Read all sources and join what they give to a store.

    Args:
        store_path: folder to make. Beside it `NAME.report.csv` is written, one row a
            source, and while it is being made a hidden folder holds the parts.
        sources: list of `Source`.
        read: function (source, options, spool) -> `Reading`, importable by workers.
            What it raises costs its source only.
        options: plain dict that `read` gets; parts of other options are not reused.
        dataset: name of the data set.
        frame_shape: (H, W, C).
        labels: label name -> description, see `write_store`.
        what: what a source is called in messages.
        arguments: noted in the store; default `options`.
        user_labels: `user_labels.UserLabels` or None.
        licence: noted in the store.
        seed: of the split.
        splits: shares of train, val and test, dealt out by groups and persons.
        overwrite: replace a store that exists.
        workers: number of processes, or 0 to work in this one. A script that asks for
            processes needs the guard `if __name__ == "__main__":`.
        dask: address of a Dask scheduler to work on instead. Its workers must see the
            same paths.
        progress: called as progress(done, total) with numbers of sources.

    Returns:
        The `FrameStore`.

    Raises:
        InputError: there is nothing to read, no source gives a sequence, or the store
            cannot be written. Parts that are done stay for the next run.

    Warns:
        UserWarning: once for every source that is skipped or has a note.
    """
    store_path = Path(store_path)
    check_new(store_path, overwrite, splits)
    if user_labels is not None:
        for name in user_labels.info:
            if name in labels or name in FRAME_LABELS:
                raise InputError(
                    f"labels: the column {name!r} has the name of a label that is made "
                    "here; rename it"
                )
    report = _checked_report_path(store_path)
    with _parts_folder(store_path) as folder:
        # Another run may have made it just now.
        check_target(store_path, overwrite)
        keys = {s.name: _key(s, read, options, frame_shape) for s in sources}
        if len(keys) < len(sources):
            raise ValueError("sources need different names")
        with _one_line(store_path):
            parts = _read_all(
                sources, keys, folder, read, options, workers, dask, progress
            )
        _tell(parts)
        if not any(part.lengths for _, part in parts):
            if os.path.lexists(store_path):
                # The report of the older store stays with it.
                report = report.with_name(f"{store_path.name}.failed.report.csv")
            with _one_line(store_path), replacing(report) as temporary:
                _write_report(temporary, parts)
            _remove_parts(folder)
            raise InputError(
                f"{store_path}: no {what} gave a sequence, so no store was made; "
                f"{_reasons(parts)}; see {report}"
            )
        info, records = _records(parts, folder, keys, labels, user_labels, splits, seed)
        with _one_line(store_path), replacing(report) as temporary:
            # First, so that a disk that has no space for it gets no store, either.
            _write_report(temporary, parts)
            store = write_store(
                store_path,
                records,
                dataset=dataset,
                frame_shape=frame_shape,
                labels=info,
                arguments=options if arguments is None else arguments,
                seed=seed,
                licence=licence,
                overwrite=overwrite,
            )
        _remove_parts(folder)
    return store


@contextlib.contextmanager
def _parts_folder(store_path: Path) -> Iterator[Path]:
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


def _read_all(
    sources: Sequence[Source],
    keys: Mapping[str, str],
    folder: Path,
    read: _Read,
    options: Mapping[str, Any],
    workers: int,
    dask: str | None,
    progress: Progress | None,
) -> list[tuple[Source, _Summary]]:
    """Read what is not read yet; returns (source, summary) for all."""
    skipped = {}
    todo = [s for s in sources if not (folder / keys[s.name]).is_dir()]
    done = len(sources) - len(todo)
    if done and progress is not None:
        progress(done, len(sources))

    def finished(name: str, reading: Reading | None, problem: str | None) -> None:
        nonlocal done
        done += 1
        if problem is not None:
            reading = Reading(skipped=problem)
        if reading is not None:
            skipped[name] = reading
        if progress is not None:
            progress(done, len(sources))

    def begun(name: str) -> bool:
        return _remove_begun(folder / keys[name])

    place = Path(execution.place_for(dask, folder))
    tasks = {s.name: (read, s, options, str(place / keys[s.name])) for s in todo}
    execution.run(_work, tasks, finished, begun, workers, dask)
    return [
        (s, _Summary.of(folder / keys[s.name], skipped.get(s.name))) for s in sources
    ]


def _checked_report_path(store_path: Path) -> Path:
    """Refuse to write the report over something that is none."""
    path = report_path(store_path)
    if len(os.fsencode(store_path.name)) > 200:
        raise InputError(f"{store_path}: the name is too long; choose a shorter one")
    if os.path.lexists(path):
        try:
            known = path.read_bytes()[:7] == b"source,"
        except OSError:
            known = False
        if not known:
            raise InputError(
                f"{path}: is in the way of the report on the sources; move it away, or "
                "choose another name for the store"
            )
    return path


def _key(
    source: Source, read: _Read, options: Mapping[str, Any], frame_shape: ImageShape
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


def _work(
    read: _Read, source: Source, options: Mapping[str, Any], folder: StrPath
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
                for name in _Summary.__dataclass_fields__
                if name not in ("names", "lengths")
            },
        }
        (temporary / "part.json").write_text(json.dumps(about), encoding="utf-8")
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
    read: _Read, source: Source, options: Mapping[str, Any], spool: Spool
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


def _remove_parts(folder: Path) -> None:
    """Remove all parts; half of one must never be taken for a part."""
    with contextlib.suppress(OSError):
        for part in list(folder.iterdir()):
            if part.is_dir() and ".tmp-" not in part.name:
                os.rename(
                    part, part.with_name(f"{part.name}.tmp-{uuid.uuid4().hex[:8]}")
                )
    shutil.rmtree(folder, ignore_errors=True)


def _remove_begun(folder: Path) -> bool:
    """Remove what an unfinished reading left, and say whether there was any."""
    begun = list(folder.parent.glob(f"{folder.name}.tmp-*"))
    for path in begun:
        shutil.rmtree(path, ignore_errors=True)
    return bool(begun)


@dataclass
class _Summary:
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
        if skipped is not None:
            about = {**asdict(skipped), "lengths": [], "names": []}
        else:
            about = json.loads((folder / "part.json").read_text(encoding="utf-8"))
        return cls(**{name: about[name] for name in cls.__dataclass_fields__})


def _clips(folder: Path, names: list[str]) -> Iterator[Clip]:
    """The clips of a part."""
    with np.load(folder / "clips.npz", allow_pickle=False) as arrays:
        for number, name in enumerate(names):
            prefix = f"{number}/label/"
            labels = {
                key[len(prefix) :]: arrays[key]
                for key in arrays.files
                if key.startswith(prefix)
            }
            yield Clip(arrays[f"{number}/rows"], labels, name)


def _pixels(folder: Path) -> NDArray[np.uint8]:
    shape = json.loads((folder / "part.json").read_text(encoding="utf-8"))["shape"]
    return np.memmap(folder / "frames.bin", np.uint8, "r", shape=tuple(shape))


def _write_report(path: Path, parts: list[tuple[Source, _Summary]]) -> None:
    with open(
        path, "w", newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:
        table = csv.writer(file)
        table.writerow(_REPORT)
        for source, part in parts:
            table.writerow(
                [
                    source.name,
                    part.frames_declared,
                    part.frames_read,
                    part.frames_broken,
                    part.frames_found,
                    len(part.lengths),
                    sum(part.lengths),
                    part.skipped,
                    part.notes,
                ]
            )


def _tell(parts: list[tuple[Source, _Summary]]) -> None:
    for source, part in parts:
        for text, verb in ((part.skipped, "skipped: "), (part.notes, "")):
            if text:
                named = "" if text.startswith(source.path) else f"{source.name}: "
                # Names may hold line ends.
                line = " ".join(f"{verb}{named}{text}".split())
                warnings.warn(_cut(line), stacklevel=4)


def _cut(line: str) -> str:
    """The line without what is in the middle of a very long one."""
    return line if len(line) <= 1000 else f"{line[:700]} … {line[-250:]}"


def _reasons(parts: list[tuple[Source, _Summary]]) -> str:
    reasons = [
        p.skipped if p.skipped.startswith(s.path) else f"{s.name}: {p.skipped}"
        for s, p in parts
        if p.skipped
    ]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"{_cut(reasons[0])}{more}" if reasons else "there is none"


def _records(
    parts: list[tuple[Source, _Summary]],
    folder: Path,
    keys: Mapping[str, str],
    labels: Mapping[str, Mapping[str, Any]],
    user_labels: UserLabels | None,
    splits: Sequence[float],
    seed: int,
) -> tuple[dict[str, Mapping[str, Any]], Iterator[SequenceRecord]]:
    """Descriptions of all labels, and the sequences one at a time."""
    used = [(source, part) for source, part in parts if part.lengths]
    names = [source.name for source, _ in used]
    persons = [source.person for source, _ in used]
    fixed = [""] * len(used)
    info = dict(labels)
    if user_labels is not None:
        info.update(user_labels.info)
        persons = [
            user_labels.person(name) or person
            for name, person in zip(names, persons, strict=True)
        ]
        fixed = [user_labels.split(name) for name in names]
    groups = joined_groups(names, persons, [source.group for source, _ in used])
    free = [group for group, split in zip(groups, fixed, strict=True) if not split]
    known = {g: split for g, split in zip(groups, fixed, strict=True) if split}
    free = [group for group in free if group not in known]
    dealt = dict(zip(free, assign_splits(free, splits, seed), strict=True))
    titles = _titles(names)
    if user_labels is not None:
        _warn_of_frames(user_labels, used)

    def records() -> Iterator[SequenceRecord]:
        for (source, part), person, group, split in zip(
            used, persons, groups, fixed, strict=True
        ):
            place = folder / keys[source.name]
            pixels = _pixels(place)
            counts: Counter[str] = Counter()
            for clip in _clips(place, part.names):
                counts[clip.name] += 1
                frame_labels = dict(clip.frame_labels)
                sequence_labels: dict[str, LabelValue] = {}
                if user_labels is not None:
                    sequence_labels, more = user_labels.of(
                        source.name, frame_labels["source_frame"]
                    )
                    frame_labels.update(more)
                yield SequenceRecord(
                    name=f"{titles[source.name]}#{clip.name}{counts[clip.name]}",
                    frames=_taken(pixels, clip.rows),
                    split=split or known.get(group) or dealt[group],
                    person=person,
                    source=source.name,
                    labels=sequence_labels,
                    frame_labels=frame_labels,
                )

    return info, records()


def _warn_of_frames(
    user_labels: UserLabels, used: list[tuple[Source, _Summary]]
) -> None:
    """Say which labels are for frames that their source has not."""
    beyond = [
        f"{source.name!r} has {total} frames and a label for frame {last}"
        for source, part in used
        if (total := part.frames_read + part.frames_broken)
        <= (last := user_labels.last_frame(source.name))
    ]
    if beyond:
        more = f" (and {len(beyond) - 1} more sources)" if len(beyond) > 1 else ""
        warnings.warn(
            f"labels: {beyond[0]}{more}; frames count from 0, and these labels are not "
            "used",
            stacklevel=4,
        )


def _taken(pixels: NDArray[np.uint8], rows: NDArray[np.integer]) -> NDArray[np.uint8]:
    if len(rows) == rows[-1] - rows[0] + 1:
        return pixels[rows[0] : rows[-1] + 1]
    return pixels[rows]


def _titles(names: list[str]) -> dict[str, str]:
    """Names without a video's suffix, where they stay different."""
    suffixes = tuple(SUFFIXES)
    short = {
        name: os.path.splitext(name)[0] if name.lower().endswith(suffixes) else name
        for name in names
    }
    counts = Counter(short.values())
    return {name: s if counts[s] == 1 else name for name, s in short.items()}


@contextlib.contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Turn what the system says of our own files into one line."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise InputError(
                f"{path}: no space left on the disk; free some, or choose another "
                "place, and run the same again to go on"
            ) from error
        name = error.filename or path
        raise InputError(f"{name}: {error.strerror or error}") from error
