"""The folder of a run and what lies in it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import keras

from keras_ddr import checksums, configs
from keras_ddr.data import FrameSets
from keras_ddr.errors import InputError
from keras_ddr.files import check_expanded, locked, read_json, replacing, this_process
from keras_ddr.runs import history, origin, settings
from keras_ddr.runs.checkpoints import Checkpoints, Progress, is_leftover, place
from keras_ddr.runs.models import load_file

if TYPE_CHECKING:
    from keras_ddr.data import FrameStore
    from keras_ddr.model import DDR
    from keras_ddr.runs.history import Row
    from keras_ddr.typing import StrPath

__all__ = ["Run"]

_VALIDATION_STEPS, _VALIDATION_BATCH = 4, 64


class Run:
    """A run folder.

    Use `Run.create` for a new one and `Run.open` for one that exists.

    Attributes:
        path: `pathlib.Path` of the folder.
        config: Dict as in config.json: "config" (its name), "model" (arguments of
            `DDR`), "training" ("batch_size", "learning_rate", "schedule",
            "clipnorm", "accumulate", "steps", "save_every", "seed"), "store",
            "backend", "versions".
    """

    def __init__(self, path: StrPath, config: dict[str, Any]) -> None:
        self.path = pathlib.Path(path)
        self.config = config
        self.checkpoints = Checkpoints(self.path / "checkpoint")

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @classmethod
    def create(
        cls,
        path: StrPath,
        store: FrameStore | StrPath,
        config: str = "small",
        *,
        model: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        seed: int = 0,
        overwrite: bool = False,
    ) -> Self:
        """Make a run folder, ready for `fit`; its model is made with random weights.

        Initial weights come from Keras's global random state: for the same ones again
        call `keras.utils.set_random_seed` first, as `ddr fit` does.

        Args:
            path: Folder to make; an empty one may exist.
            store: `FrameStore` or its path; it sets the image shape.
            config: Name of a configuration, see `keras_ddr.configs`.
            model: Dict of arguments of `DDR` that replace those of the configuration.
            training: Dict that replaces values of the configuration: "batch_size"
                (sequences), "learning_rate", "schedule" ("constant" or "cosine" decay
                to 0), "clipnorm" (largest norm of the gradient of all weights, 0 for
                any), "accumulate" (steps whose gradients are averaged before the
                weights change; default 1), "steps", "save_every" (steps; default 500).
            seed: Of the weights' random draws in training and of the frame sets.
            overwrite: Replace an older run at `path`.

        Returns:
            `Run`.

        Raises:
            InputError: The folder exists, or an argument cannot be used. Nothing is
                written then.
        """
        check_expanded(path)
        path = pathlib.Path(path)
        _check_free(path, overwrite)
        store = origin.open_store(store)
        training = settings.training_settings(
            configs.get(config)["training"], training, seed
        )
        arguments = {
            **configs.get(config)["model"],
            "image_shape": store.frame_shape,
            **settings.given(model),
            "seed": training["seed"],
        }
        network = settings.new_model(arguments, training)
        run = cls(
            path,
            {
                "format": settings.FORMAT,
                "config": config,
                "model": settings.plain_arguments(network, arguments),
                "training": training,
                "store": origin.describe(store),
                "backend": keras.backend.backend(),
                "versions": settings.versions(),
            },
        )
        # Refuses what would only fail in training before anything is written.
        if tuple(network.image_shape) != tuple(store.frame_shape):
            raise InputError(
                f"image_shape={tuple(network.image_shape)}, but the frames of "
                f"{store.path} are {tuple(store.frame_shape)}; leave it out"
            )
        run.sets(store, steps=1)
        run.validation_sets(store)
        existed = path.exists()
        path.mkdir(parents=True, exist_ok=True)
        with run.alone():
            _check_free(path, overwrite)  # another process may have been faster
            try:
                run._begin(network)
            except BaseException:
                if not existed:
                    shutil.rmtree(path, ignore_errors=True)
                raise
        return run

    def _begin(self, model: DDR) -> None:
        """Put the first checkpoint and config.json in the place of an older run."""
        Checkpoints(self.path).remove_leftovers()  # of one that was killed
        beside = self.path / f".new.tmp-{this_process()}"
        beside.mkdir()
        new = Run(beside, self.config)
        try:
            checkpoint = Checkpoints(beside).save(model, Progress())
            new.write_config()
            # All is on the disk now; what follows needs no more space.
            _remove(self.path)
            self.checkpoints.folder.mkdir()
            os.replace(checkpoint, self.checkpoints.folder / checkpoint.name)
            # Last: it makes the folder a run.
            os.replace(beside / "config.json", self.path / "config.json")
        except InputError as error:
            raise InputError(str(error).replace(str(beside), str(self.path))) from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    @classmethod
    def open(cls, path: StrPath) -> Self:
        """Open a run folder that exists.

        Args:
            path: Folder made by `ddr fit --out` or `Run.create`.

        Returns:
            `Run`.

        Raises:
            InputError: It is not a run folder.
        """
        path = pathlib.Path(path)
        if not path.is_dir():
            raise InputError(
                f"{path} is not a folder; give a run made by ddr fit --out"
            )
        file = path / "config.json"
        if not file.is_file():
            raise InputError(
                f"{path} is not a run folder: it has no config.json; give the folder "
                "made by ddr fit --out"
            )
        return cls(path, settings.read_config(file))

    # --- what is in it --------------------------------------------------------------

    def model(self, which: str = "best") -> DDR:
        """Load a model of this run.

        Args:
            which: "best" (on val; the last one where there is no val) or "last" (the
                newest checkpoint).

        Returns:
            `DDR`.

        Raises:
            InputError: There is none yet, or the file is damaged.
        """
        if which not in ("best", "last"):
            raise InputError(f"which={which!r}; use 'best' or 'last'")
        while True:
            path = self.path / "model.keras" if which == "best" else self.checkpoint()
            if not self.history() or path is None:
                raise InputError(
                    f"{self.path} has no trained model yet; train it with "
                    f"ddr fit --resume {self.path}"
                )
            try:
                return load_file(path)
            except InputError:
                # A training may have put a newer one in its place since.
                if path.exists() or path == self.checkpoint() or which == "best":
                    raise

    def checkpoint(self) -> pathlib.Path | None:
        """Path of the newest checkpoint, or `None`."""
        return self.checkpoints.newest()

    def history(self) -> list[Row]:
        """Rows of history.csv.

        Returns:
            List of dicts with the keys `COLUMNS`; "epoch" and "step" are integers, the
            others floats, or `None` where there was no validation.
        """
        return history.read_history(self.path / "history.csv")

    def best(self) -> Row | None:
        """Row of the epoch with the smallest `val_loss`, or `None`."""
        return history.best_row(self.history())

    def step(self) -> int:
        """Number of the last step that is saved, 0 at the beginning."""
        checkpoint = self.checkpoint()
        epoch, batch = (checkpoint and place(checkpoint)) or (0, 0)
        return self._step_at(epoch, batch, self.history())

    def within_epoch(self) -> bool:
        """Whether the newest checkpoint is one in the middle of an epoch."""
        checkpoint = self.checkpoint()
        _, batch = (checkpoint and place(checkpoint)) or (0, 0)
        return batch > 0

    @staticmethod
    def _step_at(epoch: int, batch: int, rows: list[Row]) -> int:
        before = [row["step"] for row in rows if row["epoch"] == epoch]
        return (before[0] if before else 0) + batch

    # --- what `fit` does with it ----------------------------------------------------

    def write_config(self) -> None:
        """Write config.json, with its checksum."""
        with replacing(self.path / "config.json") as temporary:
            text = checksums.json_text(self.config)
            temporary.write_text(text, encoding="utf-8", newline="\n")

    def write_history(self, rows: list[Row]) -> None:
        """Replace history.csv."""
        history.write_history(self.path / "history.csv", rows)

    def alone(self) -> contextlib.AbstractContextManager[bool]:
        """Let one process at a time write into the run; a context manager."""
        return locked(
            self.path / ".lock",
            f"{self.path} is being trained by another process now; wait for it, or "
            "choose another folder",
        )

    def sets(
        self, store: FrameStore, steps: int, split: str = "train", **arguments: Any
    ) -> FrameSets:
        """Frame sets with the settings of this run.

        Args:
            store: `FrameStore`.
            steps: Batches of an epoch.
            split: As for `FrameSets`.
            **arguments: As for `FrameSets`, in place of the settings.

        Returns:
            `FrameSets`.
        """
        training = self.config["training"]
        arguments = {"batch_size": training["batch_size"], **arguments}
        return FrameSets(
            store,
            frames_per_set=settings.set_size(self.config["model"]),
            split=split,
            seed=training["seed"],
            steps=steps,
            **arguments,
        )

    def validation_sets(self, store: FrameStore) -> FrameSets | None:
        """The fixed sets on which every epoch is judged, or `None` without val."""
        number = settings.set_size(self.config["model"])
        if not store.select(split="val", min_length=number):
            return None
        return self.sets(
            store,
            _VALIDATION_STEPS,
            split="val",
            fixed=True,
            batch_size=_VALIDATION_BATCH,
        )

    def publish_if_best(self, rows: list[Row], checkpoint: StrPath) -> None:
        """The checkpoint becomes model.keras where its epoch, the last, is the best."""
        best = history.best_row(rows)
        if best is not None and best["epoch"] != rows[-1]["epoch"]:
            return
        with replacing(self.path / "model.keras") as temporary:
            shutil.copyfile(checkpoint, temporary)

    def restore(self) -> tuple[DDR, Progress, int]:
        """What to go on from; history and model.keras are brought in line with it.

        Returns:
            Tuple of the `DDR`, its `Progress` and its last step.

        Raises:
            InputError: Something is missing or damaged.
        """
        for folder in (self.path, self.path / "checkpoint", self.path / "samples"):
            folder.mkdir(exist_ok=True)
            Checkpoints(folder).remove_leftovers()
        checkpoint = self.checkpoint()
        if checkpoint is None:
            raise InputError(
                f"{self.path} has no checkpoint to go on from; start again with "
                "--overwrite"
            )
        # First, since a damaged checkpoint must not replace a model that is whole.
        model = load_file(checkpoint)
        progress = self.checkpoints.progress(checkpoint)
        epoch = progress.epoch
        rows = [row for row in self.history() if row["epoch"] <= epoch]
        if [row["epoch"] for row in rows] != list(range(1, epoch + 1)):
            raise InputError(
                f"{self.path / 'history.csv'} lacks epochs before {checkpoint.name}; "
                "restore it, or start a new run"
            )
        number = settings.set_size(self.config["model"])
        if model.set_size != number:
            raise InputError(
                f"{self.path / 'config.json'} says sets of {number} frames, but the "
                f"model takes {model.set_size}; restore it"
            )
        values = len(model.metrics_variables) if progress.batch else 0
        if len(progress.metrics) != values:
            raise InputError(
                f"{checkpoint}: its progress.json is of another model; restore it"
            )
        self.write_history(rows)
        # In the middle of an epoch this was done at the end of the one before.
        if epoch and not progress.batch:
            self.publish_if_best(rows, checkpoint)
        return model, progress, self._step_at(epoch, progress.batch, rows)


def _check_free(path: pathlib.Path, overwrite: bool) -> None:
    if not path.exists() or (path.is_dir() and _unfinished(path)):
        return
    if not path.is_dir():
        raise InputError(f"{path} exists and is a file; choose another folder")
    if not _is_run(path):
        raise InputError(f"{path} exists and is not a run; choose another folder")
    if not overwrite:
        raise InputError(
            f"{path} exists; go on with --resume, replace it with --overwrite, or "
            "choose another folder"
        )


def _is_run(path: pathlib.Path) -> bool:
    """Whether its config.json is that of a run: other software has such files, too."""
    try:
        config = read_json(path / "config.json")
    except InputError:
        return False
    return isinstance(config, dict) and {"format", "model", "training"} <= set(config)


def _unfinished(path: pathlib.Path) -> bool:
    """Whether a folder is empty but for what `create` leaves when it is killed."""
    known = {".lock", "checkpoint", "samples", "checkpoint/epoch-000000.keras"}
    found = [file.relative_to(path) for file in path.rglob("*")]
    return all(
        file.as_posix() in known or any(map(is_leftover, file.parts)) for file in found
    )


def _remove(path: pathlib.Path) -> None:
    """Remove what a run writes, and nothing else that may lie there."""
    for folder in ("checkpoint", "samples"):
        if (path / folder).is_dir():
            shutil.rmtree(path / folder)
    for file in ("model.keras", "history.csv", "config.json"):
        (path / file).unlink(missing_ok=True)
