"""The folder of a run and the files in it."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import json
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import keras
import numpy as np

from keras_ddr import manifest
from keras_ddr.arguments import check_choice
from keras_ddr.checkpoints import Checkpoints, Progress, position
from keras_ddr.data.sets import FrameSets, table_rows
from keras_ddr.errors import InputError
from keras_ddr.files import check_expanded, locked, this_process
from keras_ddr.model import DDR
from keras_ddr.model_files import load_model_file
from keras_ddr.presets import find_preset
from keras_ddr.runs import history, place, settings, stores
from keras_ddr.runs.settings import Training, given
from keras_ddr.sequence_model import SequenceModel

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.runs.history import Row
    from keras_ddr.typing import StrPath

__all__ = ["Run"]

_VALIDATION_STEPS, _VALIDATION_BATCH = 4, 64
_OF_OPTIMIZER = (
    *("optimizer", "learning_rate", "beta_1", "beta_2"),
    *("schedule", "clipnorm", "accumulate"),
)


class Run:
    """A run folder: `Run.create` makes one, `Run.open` opens one that exists.

    Attributes:
        path: `pathlib.Path` of the folder.
        config: Dict as in config.json: "preset" (its name), "model" (as
            `keras.saving.serialize_keras_object` writes a compiled model), "training"
            (of `settings.Training`), "store", "backend", "versions".
    """

    def __init__(self, path: StrPath, config: dict[str, Any]) -> None:
        self.path = pathlib.Path(path)
        self.config = config
        self.checkpoints = Checkpoints(self.path / "checkpoint", self.path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def training(self) -> Training:
        """Settings of the training."""
        return Training.of(self.config["training"])

    @property
    def weights(self) -> int:
        """Number of the weights that training changes."""
        return int(self.config["weights"])

    @classmethod
    def create(
        cls,
        path: StrPath,
        store: FrameStore | StrPath,
        preset: str = "small",
        *,
        model_class: type[SequenceModel] = DDR,
        model: Mapping[str, Any] | SequenceModel | None = None,
        init: SequenceModel | None = None,
        objective: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        seed: int = 0,
        overwrite: bool = False,
    ) -> Self:
        """Make a run folder, ready for `fit`.

        Initial weights come from Keras's global random state: for the same ones again
        call `keras.utils.set_random_seed` first, as `ddr fit` does.

        Args:
            path: Folder to make; an empty one may exist.
            store: `FrameStore` or its path; it sets the image shape.
            preset: Key of `model_class.presets`.
            model_class: `DDR` or another `SequenceModel`.
            model: Dict of arguments of the class that replace those of the preset; or
                a compiled model, which the run trains as it is.
            init: Trained model, such as `load_model` gives, that the run trains further
                with an optimizer and an objective of its own.
            objective: Dict of arguments of the class's objective, such as `ELBO`, that
                replace those of the preset.
            training: Dict of values of `settings.Training` that replace those of the
                preset. Where `model` is a model, its optimizer has its own.
            seed: Of the weights' random draws in training and of the frame sets.
            overwrite: Replace an older run at `path`.

        Returns:
            `Run`; where an argument cannot be used, nothing is written.
        """
        check_expanded(path)
        path = pathlib.Path(path)
        place.check_free(path, overwrite)
        store = stores.open_store(store)
        network: Any = None
        if isinstance(model, SequenceModel):
            _check_compiled(model, objective, training)
            network, model_class, model = model, type(model), None
        defaults = find_preset(model_class.presets, preset)
        settled = Training.of({**defaults.training, **given(training), "seed": seed})
        if network is None:
            if init is not None:
                network = _begun(init, model_class, preset, given(model))
            else:
                network = _new(model_class, preset, store, given(model), seed)
            network.compile(settled.make_optimizer(), **_objective(network, objective))
        if tuple(network.image_shape) != tuple(store.frame_shape):
            raise InputError(
                f"image_shape={tuple(network.image_shape)}, but the frames of "
                f"{store.path} are {tuple(store.frame_shape)}; "
                + ("prepare them in that size" if init is not None else "leave it out")
            )
        _build(network)
        run = cls(
            path,
            {
                "format": settings.FORMAT,
                "preset": preset,
                "model": keras.saving.serialize_keras_object(network),
                "weights": sum(
                    int(np.prod(w.shape)) for w in network.trainable_weights
                ),
                "training": dataclasses.asdict(settled),
                "store": stores.describe(store),
                "backend": keras.backend.backend(),
                "versions": settings.versions(),
            },
        )
        # Refuses at once, not first in training.
        run.sets(network, store, steps=1)
        run.validation_sets(network, store)
        existed = path.exists()
        path.mkdir(parents=True, exist_ok=True)
        with run.alone():
            place.check_free(path, overwrite)  # another process may have been faster
            try:
                run._begin(network)
            except BaseException:
                if not existed:
                    shutil.rmtree(path, ignore_errors=True)
                raise
        return run

    def _begin(self, model: SequenceModel) -> None:
        """Put the first checkpoint and config.json in the place of an older run."""
        Checkpoints(self.path).remove_leftovers()  # of one that was killed
        beside = self.path / f".new.tmp-{this_process()}"
        beside.mkdir()
        try:
            checkpoint = Checkpoints(beside).save(model, Progress())
            Run(beside, self.config).write_config()
            sums = {
                "config.json": manifest.digest(beside / "config.json"),
                f"checkpoint/{checkpoint.name}": manifest.digest(checkpoint),
            }
            manifest.write(beside, sums, known=sums)
            # All is on the disk now; the rest needs no more space.
            place.remove(self.path)
            self.checkpoints.folder.mkdir()
            os.replace(checkpoint, self.checkpoints.folder / checkpoint.name)
            # config.json last: it makes the folder a run.
            for name in (manifest.NAME, "config.json"):
                os.replace(beside / name, self.path / name)
        except InputError as error:
            raise InputError(str(error).replace(str(beside), str(self.path))) from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    @classmethod
    def open(cls, path: StrPath) -> Self:
        """Open a folder made by `ddr fit --out` or `Run.create`."""
        path = pathlib.Path(path)
        file = path / "config.json"
        if not file.is_file():
            why = "it has no config.json" if path.is_dir() else "it is not a folder"
            raise InputError(
                f"{path} is not a run folder: {why}; give one made by ddr fit --out"
            )
        return cls(path, settings.read_config(file))

    # --- its files ------------------------------------------------------------------

    def model(self, which: str = "best") -> SequenceModel:
        """Load a model of this run; where there is none yet it is an `InputError`.

        Args:
            which: "best" (on val; the last one where there is no val) or "last" (the
                newest checkpoint).
        """
        check_choice(("best", "last"), which=which)
        while True:
            path = self.path / "model.keras" if which == "best" else self.checkpoint()
            if not self.history() or path is None:
                raise InputError(
                    f"{self.path} has no trained model yet; train it with "
                    f"ddr fit --resume {self.path}"
                )
            try:
                return load_model_file(path)
            except InputError:
                # A training may have put a newer one in its place since.
                if path.exists() or path == self.checkpoint() or which == "best":
                    raise

    def checkpoint(self) -> pathlib.Path | None:
        """Path of the newest checkpoint, or `None`."""
        return self.checkpoints.newest()

    def history(self) -> list[Row]:
        """Rows of history.csv: whole numbers "epoch" and "step", floats or `None`."""
        return history.read_history(self.path / "history.csv")

    def best(self) -> Row | None:
        """Row of the epoch with the smallest `val_loss`, or `None`."""
        return history.best_row(self.history())

    def step(self) -> int:
        """Number of the last step that is saved, 0 at the beginning."""
        checkpoint = self.checkpoint()
        epoch, batch = (checkpoint and position(checkpoint)) or (0, 0)
        before = [row["step"] for row in self.history() if row["epoch"] == epoch]
        return (before[0] if before else 0) + batch

    def within_epoch(self) -> bool:
        """Whether the newest checkpoint is one in the middle of an epoch."""
        checkpoint = self.checkpoint()
        return bool(checkpoint and (position(checkpoint) or (0, 0))[1])

    # --- `fit` ----------------------------------------------------------------------

    def write_config(self) -> None:
        """Write config.json."""
        with manifest.replacing(self.path, "config.json") as temporary:
            text = json.dumps(self.config, indent=2) + "\n"
            temporary.write_text(text, encoding="utf-8", newline="\n")

    def alone(self) -> contextlib.AbstractContextManager[bool]:
        """Let one process at a time write into the run."""
        return locked(
            self.path / ".lock",
            f"{self.path} is being trained by another process now; wait for it, or "
            "choose another folder",
        )

    def sets(
        self,
        model: SequenceModel,
        store: FrameStore,
        steps: int,
        split: str = "train",
        **arguments: Any,
    ) -> FrameSets:
        """Frame sets for the model of this run; `arguments` replace its settings."""
        arguments = {"batch_size": self.training.batch_size, **arguments}
        return FrameSets(
            store,
            frames_per_set=model.set_size,
            order=model.frame_order,
            stride=model.frame_stride,
            table=model.table,
            table_size=model.table_size,
            split=split,
            seed=self.training.seed,
            steps=steps,
            **arguments,
        )

    def validation_sets(
        self, model: SequenceModel, store: FrameStore
    ) -> FrameSets | None:
        """The fixed sets on which every epoch is judged, or `None` without val.

        There are none either where the loss says nothing of which model is better.
        """
        if not model.comparable_loss:
            return None
        span = (model.set_size - 1) * model.frame_stride + 1
        if not store.select(split="val", min_length=span):
            return None
        steps, size = _VALIDATION_STEPS, _VALIDATION_BATCH
        return self.sets(model, store, steps, "val", fixed=True, batch_size=size)

    def publish(
        self, model: SequenceModel, rows: list[Row], checkpoint: pathlib.Path
    ) -> None:
        """Write history.csv, and model.keras where the last epoch is the best."""
        names = history.columns(model.history_keys)
        history.write_history(self.path, rows, names)
        best = history.best_row(rows)
        if not rows or (best is not None and best["epoch"] != rows[-1]["epoch"]):
            return
        with manifest.replacing(self.path, "model.keras") as temporary:
            shutil.copyfile(checkpoint, temporary)

    def restore(self) -> tuple[SequenceModel, Progress]:
        """Model to go on with, and its progress; the other files follow them."""
        for folder in (self.path, self.path / "checkpoint", self.path / "samples"):
            folder.mkdir(exist_ok=True)
            Checkpoints(folder).remove_leftovers()
        checkpoint = self.checkpoint()
        if checkpoint is None:
            said = f"{self.path} has no checkpoint to go on from"
            raise InputError(f"{said}; start again with --overwrite")
        # First, since a damaged checkpoint must not replace a model that is whole.
        model = load_model_file(checkpoint)
        progress = self.checkpoints.progress(checkpoint)
        values = len(model.metrics_variables) if progress.batch else 0
        if len(progress.metrics) != values:
            raise InputError(
                f"{checkpoint}: its progress.json is of another model; restore it"
            )
        if not progress.batch:  # else this was done at the end of the epoch before
            self.publish(model, progress.history, checkpoint)
        return model, progress


def _check_compiled(
    model: SequenceModel, objective: Any, training: Mapping[str, Any] | None
) -> None:
    """Refuse settings that a compiled model brings with it."""
    if not model.compiled:
        raise InputError("model is not compiled; call its compile first")
    names = [name for name in _OF_OPTIMIZER if name in given(training)]
    names += ["objective"] if objective else []
    if names:
        raise InputError(
            f"{', '.join(names)}: a compiled model brings its own; leave them out"
        )


def _begun(
    model: SequenceModel,
    model_class: type[SequenceModel],
    preset: str,
    arguments: Mapping[str, Any],
) -> SequenceModel:
    """A trained model, with the objective of the preset, or what is made out of it."""
    if model_class.begun_with is not None and not isinstance(model, model_class):
        begun: SequenceModel = model_class.begun_with(model, preset, **arguments)
        return begun
    if arguments:
        raise InputError(
            f"{', '.join(arguments)}: a run that begins with a trained model has its "
            "sizes; leave them out"
        )
    if not isinstance(model, model_class):
        raise InputError(
            f"init: is a {type(model).__name__}, and the run trains a "
            f"{model_class.__name__}; give the class of the model"
        )
    if model.objective_class is not None:
        objective = find_preset(model.presets, preset).objective
        model.objective = model.objective_class(**objective)
    return model


def _new(
    model_class: type[SequenceModel],
    preset: str,
    store: FrameStore,
    arguments: Mapping[str, Any],
    seed: int,
) -> SequenceModel:
    """A model with random weights, for the sequences of a store."""
    parameters = inspect.signature(model_class).parameters
    found: dict[str, Any] = {"image_shape": store.frame_shape, **arguments}
    if "seed" in parameters:
        found["seed"] = seed
    if {"table", "table_size"} <= set(parameters):
        if "table_size" in arguments:
            raise InputError("table_size: the store says how large it is; leave it out")
        defaults = {"table": parameters["table"].default}
        defaults |= find_preset(model_class.presets, preset).model
        table = {**defaults, **arguments}["table"]
        found["table_size"] = len(table_rows(store, table))
    return model_class.from_preset(preset, weights=False, **found)


def _objective(
    model: SequenceModel, overrides: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Argument `objective` of `compile`, where settings of the preset are replaced."""
    overrides = given(overrides)
    if not overrides:
        return {}
    if model.objective_class is None:
        raise InputError(
            f"{', '.join(overrides)}: {type(model).__name__} has no such settings of "
            "its objective; leave them out"
        )
    return {"objective": dataclasses.replace(model.objective, **overrides)}


def _build(model: SequenceModel) -> None:
    """Make the weights of a model and of its optimizer, so that they are saved."""
    if not model.built:
        model(np.zeros((1, model.set_size, *model.image_shape), "uint8"))
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
