"""Checkpoints: everything that a training needs to go on exactly, in one file."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import keras

from keras_ddr import checksums
from keras_ddr.errors import InputError
from keras_ddr.files import replacing

if TYPE_CHECKING:
    from keras_ddr.model import DDR

__all__ = ["Checkpoints", "MetricsRestorer", "Progress", "is_leftover", "place"]

_NAME = re.compile(r"epoch-([0-9]{6,9})(?:-step-([0-9]{6,9}))?\.keras")
# What is written under a temporary name in the folders of runs and checkpoints.
_LEFTOVER = re.compile(
    r"\.(epoch-[0-9]+(-step-[0-9]+)?|step-[0-9]+|config|history|model|new)\.tmp-.*"
)
_MEMBER = "progress.json"
_MOST_TEXT = 16 << 20  # bytes of it


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        epoch: Epochs that are complete.
        batch: Steps of the next epoch that are done.
        seconds: What these took.
        metrics: Values of `metrics_variables` after them, from which the means of the
            epoch go on; empty where `batch` is 0.
        history: One dict for each complete epoch, where nothing else keeps them.
    """

    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    metrics: list[float] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def within(cls, model: DDR, epoch: int, batch: int, seconds: float) -> Self:
        """The progress in the middle of an epoch."""
        values = [keras.ops.convert_to_numpy(v) for v in model.metrics_variables]
        # Python's floats hold those of float32 exactly, and JSON holds Python's.
        return cls(epoch, batch, seconds, [float(value) for value in values])


class Checkpoints:
    """A folder of checkpoints, of which the newest is kept.

    `epoch-000003.keras` was saved after 3 epochs, `epoch-000003-step-000120.keras`
    after 120 more steps.

    Args:
        folder: `pathlib.Path`; it exists when one is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def newest(self) -> Path | None:
        """Path of the newest one, or `None`."""
        return max(self.files(), key=lambda path: place(path) or (), default=None)

    def files(self) -> list[Path]:
        """Paths of all that are there: more than one where a process was killed."""
        return sorted(path for path in self.folder.glob("*.keras") if place(path))

    def save(self, model: DDR, progress: Progress) -> Path:
        """Save a model, and then remove the older ones.

        Args:
            model: Compiled `DDR`.
            progress: `Progress`.

        Returns:
            Path of the file.
        """
        name = f"epoch-{progress.epoch:06d}"
        if progress.batch:
            name += f"-step-{progress.batch:06d}"
        path = self.folder / f"{name}.keras"
        with replacing(path) as temporary:
            model.save(temporary)
            if progress.batch or progress.history:
                with zipfile.ZipFile(temporary, "a") as archive:
                    archive.writestr(_MEMBER, json.dumps(asdict(progress)))
            checksums.add_to_archive(temporary)
        for older in self.files():
            if older != path:
                older.unlink()
        return path

    def remove_leftovers(self) -> None:
        """Remove what a process left that was killed while it saved."""
        for file in self.folder.iterdir():
            if is_leftover(file.name):
                shutil.rmtree(file) if file.is_dir() else file.unlink()

    @staticmethod
    def progress(path: Path) -> Progress:
        """How far the training of a checkpoint had come.

        Args:
            path: As `newest` returns it; the file was checked.

        Returns:
            `Progress`.

        Raises:
            InputError: It does not say.
        """
        epoch, batch = place(path) or (0, 0)
        try:
            with zipfile.ZipFile(path) as archive:
                if _MEMBER not in archive.namelist() and not batch:
                    return Progress(epoch)
                with archive.open(_MEMBER) as file:
                    text = file.read(_MOST_TEXT + 1)
            if len(text) > _MOST_TEXT:
                raise ValueError(f"more than {_MOST_TEXT >> 20} MB")
            progress = Progress(**json.loads(text))
            if (progress.epoch, progress.batch) != (epoch, batch):
                raise ValueError("another place than its name says")
            progress.seconds = float(progress.seconds)
            progress.metrics = [float(value) for value in progress.metrics]
            progress.history = [
                {str(name): float(value) for name, value in row.items()}
                for row in progress.history
            ]
        # An archive and what is in it can be broken in any way.
        except Exception as error:
            raise InputError(
                f"{path}: its {_MEMBER} is damaged ({error}); restore it"
            ) from None
        return progress


def is_leftover(name: str) -> bool:
    """Whether a file or folder is what a run leaves that is killed while it writes."""
    return _LEFTOVER.fullmatch(name) is not None


def place(path: Path) -> tuple[int, int] | None:
    """Epochs, and steps after them, by the name of a checkpoint; `None` for others."""
    match = _NAME.fullmatch(path.name)
    return match and (int(match[1]), int(match[2] or 0))


class MetricsRestorer(keras.callbacks.Callback):
    """Goes on with the means of an epoch in whose middle a training stopped.

    Args:
        values: `Progress.metrics`.
    """

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self._values = values

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Once; Keras has just set them to zero."""
        values, self._values = self._values, []
        if values:
            variables = self.model.metrics_variables
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
