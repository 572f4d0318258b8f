"""All sources are read into their parts: whole or in segments, here or by workers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_ddr.datasets.parts import (
    FRAMES,
    READ,
    LongReader,
    Outcome,
    join_parts,
    key_of,
    outcome_of,
    remove_begun,
    write_part,
)
from keras_ddr.errors import InputError
from keras_ddr.media import opencv

if TYPE_CHECKING:
    from keras_ddr.datasets.parts import Reader, Source
    from keras_ddr.datasets.work import Work

_TRIES = 50  # of a fifth of a second each
_LOOKS = 8  # headers that are read at a time


@dataclass
class _Task:
    """A source, or a segment of one, that becomes a part."""

    source: Source
    reader: Reader
    path: Path
    frames: int  # expected, and in the end read; 0 while not known
    read: int = 0
    tried: bool = False
    whole: str = ""  # name of the source that it is a segment of


class Reading:
    """Reads the sources that have no part yet; `paths` are those of the parts."""

    def __init__(
        self,
        folder: Path,
        sources: Sequence[Source],
        reader: Reader | LongReader,
        plan: Any,
        work: Work,
    ) -> None:
        self._long = reader if isinstance(reader, LongReader) else None
        self._reader = reader.read if isinstance(reader, LongReader) else reader
        self._folder, self._sources = folder, sources
        self._plan, self._work = plan, work
        self.paths = {s.name: folder / key_of(s, self._reader, plan) for s in sources}
        self._skipped: dict[str, Outcome] = {}
        self._segments: dict[str, list[_Task]] = {}  # of sources that are divided
        self._tasks: dict[str, _Task] = {}  # by the names of their folders
        self._done = 0

    def run(self) -> list[tuple[Source, Outcome]]:
        """Returns (source, outcome) for all."""
        todo = [s for s in self._sources if not self.paths[s.name].is_dir()]
        self._done = len(self._sources) - len(todo)
        if self._done:
            self._tell()
        remove_begun(self._folder)
        self._plan_tasks(todo)
        for name in list(self._segments):
            self._join(name)
        self._read()
        # Where segments do not fit together, the source is read whole.
        for source in [s for s in todo if s.name in self._segments]:
            segments = self._segments.pop(source.name)
            self._add_whole(source, sum(task.frames for task in segments))
            whole = all(task.path.is_dir() for task in segments)
            for task in segments:
                del self._tasks[task.path.name]
                if whole:  # and known not to fit: what proves it is enough
                    (task.path / FRAMES).unlink(missing_ok=True)
        self._read()
        return [
            (s, self._skipped.get(s.name) or outcome_of(self.paths[s.name]))
            for s in self._sources
        ]

    def _plan_tasks(self, todo: Sequence[Source]) -> None:
        looks: Iterable[tuple[int, list[tuple[Source, int]]]] = ((0, []) for _ in todo)
        if self._long is not None and todo:
            with opencv.quietly(), ThreadPoolExecutor(_LOOKS) as executor:
                looks = list(executor.map(self._long.divide, todo))
        for source, (frames, segments) in zip(todo, looks, strict=True):
            if not segments or self._long is None:
                self._add_whole(source, frames)
                continue
            path = self.paths[source.name]
            tasks = [
                _Task(
                    segment,
                    self._long.read_segment,
                    path.with_name(f"{path.name}.{number}"),
                    expected,
                    whole=source.name,
                )
                for number, (segment, expected) in enumerate(segments)
            ]
            self._segments[source.name] = tasks
            for task in tasks:
                self._tasks[task.path.name] = task
                if task.path.is_dir():
                    self._count(task)

    def _add_whole(self, source: Source, frames: int) -> None:
        path = self.paths[source.name]
        self._tasks[path.name] = _Task(source, self._reader, path, frames)

    def _read(self) -> None:
        """Do all tasks that were not tried."""
        tasks = {}
        for name, task in self._tasks.items():
            if not (task.tried or task.path.is_dir()):
                task.tried = True
                path = self._work.path_for_workers(task.path)
                tasks[name] = task.reader, task.source, self._plan, path
        self._work.run(write_part, tasks, self._finished, self._begun, self._tick)

    def _begun(self, names: Iterable[str]) -> list[str]:
        names = list(names)
        found = remove_begun(self._folder) if names else set()
        return [name for name in names if name in found]

    def _finished(
        self, name: str, outcome: Outcome | None, problem: str | None
    ) -> None:
        task = self._tasks[name]
        if problem is not None:
            outcome = Outcome(skipped=problem)
        elif outcome is None and not _appears(task.path):
            raise InputError(
                f"dask: its workers wrote no part into {self._folder}, so they do not "
                "see the folder of the store; give the store a place that all share"
            )
        if outcome is None:
            self._count(task)
        if task.whole:
            if outcome is None:
                self._join(task.whole)
            return
        if outcome is not None:
            self._skipped[task.source.name] = outcome
            task.frames = 0
        self._done += 1
        self._tell()

    def _count(self, task: _Task) -> None:
        """Take the frames of a part that is there."""
        outcome = outcome_of(task.path)
        task.read = task.frames = outcome.frames_read + outcome.frames_broken

    def _join(self, name: str) -> None:
        """Make the part of a source from its segments, once all are there."""
        tasks = self._segments[name]
        if self._long is None or not all(task.path.is_dir() for task in tasks):
            return
        source = next(s for s in self._sources if s.name == name)
        paths = [task.path for task in tasks]
        outcome = self._long.join(source, self._plan, paths)
        if outcome is not None:
            join_parts(self.paths[name], outcome, paths)
            del self._segments[name]
            self._done += 1
            self._tell()

    def _tell(self) -> None:
        if self._work.progress is not None:
            self._work.progress(self._done, len(self._sources))

    def _tick(self) -> None:
        """Say how many frames of how many have been read."""
        if self._work.frames is None:
            return
        tasks = self._tasks
        for note in self._folder.glob(f"*.tmp-*/{READ}"):
            task = tasks.get(note.parent.name.partition(".tmp-")[0])
            try:
                if task is not None:
                    task.read = int(note.read_text())
            except (OSError, ValueError):  # it is being written, or removed
                continue
        read = sum(task.read for task in tasks.values())
        known = [task.frames for task in tasks.values() if task.frames]
        # A source of unknown length counts as long as the others.
        usual = sum(known) // len(known) if known else 0
        total = sum(max(t.frames or usual, t.read) for t in tasks.values())
        if read:
            self._work.frames(read, total if known else 0)


def _appears(part: Path) -> bool:
    """Whether a part is there, or comes: NFS shows it seconds later."""
    for _ in range(_TRIES):
        if part.is_dir():
            return True
        os.listdir(part.parent)  # makes NFS look again
        time.sleep(0.2)
    return False
