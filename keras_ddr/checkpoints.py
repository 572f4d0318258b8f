"""Checkpoints: everything that a training needs to go on exactly, in one file."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import keras

from keras_ddr import manifest
from keras_ddr.errors import InputError

_NAME = re.compile(r"epoch-([0-9]{6,9})(?:-step-([0-9]{6,9}))?\.keras")
# Names under which files of runs and checkpoints are written first.
_LEFTOVER = re.compile(
    r"\.(epoch-[0-9]+(-step-[0-9]+)?|step-[0-9]+|config|history|model|SHA256SUMS|new)"
    r"\.tmp-.*"
)
_MEMBER = "progress.json"
_MOST_TEXT = 16 << 20  # bytes of it


@dataclass
class Progress:
    """How far a training has come."""

    epoch: int = 0  # epochs that are complete
    batch: int = 0  # steps of the next epoch that are done
    seconds: float = 0.0  # which these took
    # `metrics_variables` after them, from which the means of the epoch go on.
    metrics: list[float] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)  # of complete epochs

    @classmethod
    def within(
        cls,
        model: keras.Model,
        history: list[dict[str, Any]],
        batch: int,
        seconds: float,
    ) -> Self:
        """The progress in the middle of the epoch after those of `history`."""
        # Python's floats hold those of float32 exactly, and JSON holds Python's.
        variables = model.metrics_variables
        metrics = [float(keras.ops.convert_to_numpy(v)) for v in variables]
        return cls(len(history), batch, seconds, metrics, history)


class Checkpoints:
    """A folder of checkpoints, of which the newest is kept.

    `epoch-000003.keras` was saved after 3 epochs, `epoch-000003-step-000120.keras`
    after 120 more steps. The manifest of `root`, a folder above, lists them.
    """

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        self.folder = folder
        self._root = root or folder

    def newest(self) -> Path | None:
        """Path of the newest one, or `None`."""
        return max(self.files(), key=lambda path: position(path) or (), default=None)

    def files(self) -> list[Path]:
        """Paths of all that are there: more than one where a process was killed."""
        return sorted(path for path in self.folder.glob("*.keras") if position(path))

    def save(self, model: keras.Model, progress: Progress) -> Path:
        """Save a compiled model, and then remove the older ones; the file's path."""
        name = f"epoch-{progress.epoch:06d}"
        if progress.batch:
            name += f"-step-{progress.batch:06d}"
        path = self.folder / f"{name}.keras"
        with manifest.replacing(self._root, self._name(path)) as temporary:
            model.save(temporary)
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.writestr(_MEMBER, json.dumps(asdict(progress)))
        older = [file for file in self.files() if file != path]
        manifest.remove(self._root, map(self._name, older))
        for file in older:
            file.unlink()
        return path

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def remove_leftovers(self) -> None:
        """Remove what a process left that was killed while it saved."""
        for file in self.folder.iterdir():
            if is_leftover(file.name):
                shutil.rmtree(file) if file.is_dir() else file.unlink()

    @staticmethod
    def progress(path: Path) -> Progress:
        """How far the training of a checkpoint had come, whose file was checked."""
        try:
            with zipfile.ZipFile(path) as archive, archive.open(_MEMBER) as file:
                text = file.read(_MOST_TEXT + 1)
            if len(text) > _MOST_TEXT:
                raise ValueError(f"more than {_MOST_TEXT >> 20} MB")
            progress = Progress(**json.loads(text))
            if (progress.epoch, progress.batch) != position(path):
                raise ValueError("it is at another step than its name says")
            if len(progress.history) != progress.epoch:
                raise ValueError("it lacks epochs")
            progress.seconds = float(progress.seconds)
            progress.metrics = [float(value) for value in progress.metrics]
            progress.history = [
                {str(name): value and float(value) for name, value in row.items()}
                for row in progress.history
            ]
        # zipfile and JSON raise many types on damage.
        except Exception as error:
            said = f"{path}: its {_MEMBER} is damaged ({error})"
            raise InputError(f"{said}; restore it") from None
        return progress


def is_leftover(name: str) -> bool:
    """Whether a file or folder is what a run leaves that is killed while it writes."""
    return _LEFTOVER.fullmatch(name) is not None


def position(path: Path) -> tuple[int, int] | None:
    """Epochs, and steps after them, by the name of a checkpoint; `None` for others."""
    match = _NAME.fullmatch(path.name)
    return match and (int(match[1]), int(match[2] or 0))
