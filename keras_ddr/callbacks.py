"""Keras callbacks for training with `model.fit`."""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
import warnings
from typing import TYPE_CHECKING, Any

import keras

from keras_ddr.arguments import check_whole
from keras_ddr.checkpoints import Checkpoints, Progress
from keras_ddr.errors import InputError, reason_of
from keras_ddr.files import locked
from keras_ddr.model_files import check_model_file
from keras_ddr.signals import Stopped, StopRequest
from keras_ddr.training.callbacks import check_weights

if TYPE_CHECKING:
    from keras_ddr.typing import StrPath

__all__ = ["SaveAndResume"]


class SaveAndResume(keras.callbacks.Callback):
    """Saves after every epoch, and goes on from there when the script runs again.

    Whatever ends the process, also in the middle of saving: the same script started
    again ends with the same weights and the same history as one that was never
    disturbed, on the same backend and machine. An epoch that was not complete is done
    again. This takes data that depend on the number of the epoch alone, as those of
    `FrameSets` do (Keras's shuffling of arrays does not: pass `shuffle=False`), and a
    model that is made with the same arguments. Other callbacks, such as
    `EarlyStopping`, begin anew where the script is started again. A learning rate that
    is no schedule is that of the checkpoint.

    `keras.callbacks.BackupAndRestore` does the same, but for a process that dies while
    it saves, for the history, and for files that were damaged.

    Args:
        folder: Folder of the checkpoint; it is made where it is not there. One
            training at a time may use it.
        every: Epochs between checkpoints.

    Attributes:
        history: Dict as `History.history`, of all epochs since the first start.

    Raises:
        InputError: The checkpoint is damaged or of another model, or another process
            uses the folder.
        LossNotFinite: A weight became NaN or infinite; the checkpoint before it stays.

    Example::

        model = DDR.from_preset("small")
        model.compile(keras.optimizers.Adam(1e-3))
        resume = SaveAndResume("training")
        model.fit(FrameSets(store, steps=500), epochs=60, callbacks=[resume])
    """

    def __init__(self, folder: StrPath, every: int = 1) -> None:
        super().__init__()
        check_whole(every=every)
        self.checkpoints = Checkpoints(pathlib.Path(os.fspath(folder)))
        self.request = StopRequest()  # runs have theirs listen to signals
        self.progress = Progress()
        self.step = self.began = 0  # steps of this epoch, now and when it began
        self._every = every
        self._lock: contextlib.AbstractContextManager[bool] | None = None

    @property
    def history(self) -> dict[str, list[float]]:
        """Values of all epochs by name."""
        rows = self.progress.history
        names = dict.fromkeys(name for row in rows for name in row)
        return {n: [row[n] for row in rows if n in row] for n in names}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Load the newest checkpoint, where there is one."""
        self.model._initial_epoch = 0  # of a training that was interrupted
        self.checkpoints.folder.mkdir(parents=True, exist_ok=True)
        self._lock = lock = locked(
            self.checkpoints.folder / ".lock",
            f"{self.checkpoints.folder} is used by another training now; wait for it, "
            "or choose another folder",
            again=True,  # one that was interrupted in a notebook holds it still
        )
        lock.__enter__()
        self.checkpoints.remove_leftovers()
        newest = self.checkpoints.newest()
        if newest is None:
            return
        check_model_file(newest)
        progress = self.checkpoints.progress(newest)
        if progress.batch or any("step" in row for row in progress.history):
            raise InputError(
                f"{newest} is not of this callback (ddr fit --resume goes on with a "
                "run); choose another folder"
            )
        _load(self.model, newest)
        self.progress = progress
        # Where Keras's own BackupAndRestore leaves it for `fit`, too.
        self.model._initial_epoch = progress.epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Go on with the means of an epoch that was stopped in its middle."""
        variables, values = self.model.metrics_variables, self.progress.metrics
        for variable, value in zip(variables, values, strict=False):
            variable.assign(value)  # Keras has just set them to zero
        self.step = self.began = self.progress.batch
        self._began = time.perf_counter() - self.progress.seconds
        self.progress = Progress(epoch, history=self.progress.history)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Count, and stop where a signal asked for it."""
        self.step = self.began + batch + 1
        # After its last step the epoch ends with a checkpoint anyway.
        if self.request.signal is not None and batch + 1 < self.params["steps"]:
            check_weights(self.model, self.progress.epoch + 1, batch + 1)
            now = self.progress.history, self.step, time.perf_counter() - self._began
            self.checkpoints.save(self.model, Progress.within(self.model, *now))
            raise Stopped(self.request.signal, self.steps_done())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the row of the epoch and save."""
        # Rows of epochs that `initial_epoch` left out are empty.
        before = self.progress.history[:epoch]
        before += [{}] * (epoch - len(before))
        rows = [*before, self.row(epoch + 1, logs or {})]
        self.progress = Progress(epoch + 1, history=rows)
        if (epoch + 1) % self._every == 0 or epoch + 1 == self.params["epochs"]:
            self.saved(self.checkpoints.save(self.model, self.progress))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Let others use the folder."""
        self.model._initial_epoch = 0
        if self._lock is not None:
            self._lock.__exit__(None, None, None)

    def row(self, epoch: int, logs: dict[str, Any]) -> dict[str, Any]:
        """Values of an epoch that the history keeps."""
        return {name: float(value) for name, value in logs.items()}

    def saved(self, checkpoint: pathlib.Path) -> None:
        """Called after a checkpoint of a complete epoch."""

    def steps_done(self) -> int:
        """Steps of the whole training, those of this epoch included."""
        return self.step


def _load(model: keras.Model, file: pathlib.Path) -> None:
    """Give a model and its optimizer the state in a checkpoint."""
    rate = _learning_rate(model)
    try:
        with warnings.catch_warnings():
            # Keras says so where it leaves out the state of another optimizer.
            warnings.filterwarnings("error", message="Skipping variable loading")
            model.load_weights(file)
    # Keras and h5py may raise anything where weights do not fit.
    except Exception as error:
        raise InputError(
            f"{file} does not fit this model and its optimizer ({reason_of(error)}); "
            "make them as before, or choose another folder"
        ) from error
    if rate != _learning_rate(model):
        warnings.warn(
            f"{file} goes on with its learning rate of {_learning_rate(model):g}, not "
            f"with {rate:g}; choose another folder for a training of its own",
            stacklevel=3,
        )


def _learning_rate(model: keras.Model) -> float | None:
    """Learning rate, or `None` for a schedule, which is not part of a checkpoint."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    rate = optimizer._learning_rate
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return None
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
