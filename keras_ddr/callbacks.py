"""Keras callbacks for training with `model.fit`."""

from __future__ import annotations

import contextlib
import os
import pathlib
import warnings
from typing import TYPE_CHECKING, Any

import keras

from keras_ddr.arguments import check_whole
from keras_ddr.errors import InputError, reason_of
from keras_ddr.files import locked
from keras_ddr.model_files import check_model_file
from keras_ddr.runs.checkpoints import Checkpoints, Progress
from keras_ddr.training.callbacks import check_weights

if TYPE_CHECKING:
    from keras_ddr.typing import StrPath

__all__ = ["SaveAndResume"]


class SaveAndResume(keras.callbacks.Callback):
    """Saves after every epoch, and goes on from there when the script runs again.

    Whatever ends the process, also in the middle of saving: the same script started
    again ends with the same weights and the same history as one that was never
    disturbed, on the same backend and machine. An epoch that was not complete is done
    again. What this takes is that the data of an epoch depend on its number alone,
    as those of `FrameSets` do (Keras's shuffling of arrays does not: pass
    `shuffle=False`), and that the model is made with the same arguments.

    Other callbacks begin anew where the script is started again: `EarlyStopping`,
    `ReduceLROnPlateau` and `ModelCheckpoint(save_best_only=True)` do not remember what
    they have seen. A learning rate that is no schedule is that of the checkpoint.

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

        model = DDR.from_config_name("small")
        model.compile(keras.optimizers.Adam(1e-3))
        resume = SaveAndResume("training")
        model.fit(FrameSets(store, steps=500), epochs=60, callbacks=[resume])
    """

    def __init__(self, folder: StrPath, every: int = 1) -> None:
        super().__init__()
        check_whole(every=every)
        self.history: dict[str, list[float]] = {}
        self._every = every
        self._rows: list[dict[str, float]] = []
        self._checkpoints = Checkpoints(pathlib.Path(os.fspath(folder)))
        self._lock: contextlib.AbstractContextManager[bool] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Load the newest checkpoint, where there is one."""
        checkpoints, model = self._checkpoints, self.model
        model._initial_epoch = 0  # of a training that was interrupted
        checkpoints.folder.mkdir(parents=True, exist_ok=True)
        self._lock = lock = locked(
            checkpoints.folder / ".lock",
            f"{checkpoints.folder} is used by another training now; wait for it, or "
            "choose another folder",
            again=True,  # one that was interrupted in a notebook holds it still
        )
        lock.__enter__()
        checkpoints.remove_leftovers()
        newest = checkpoints.newest()
        if newest is None:
            return
        check_model_file(newest)
        progress = checkpoints.progress(newest)
        if progress.batch or len(progress.history) != progress.epoch:
            raise InputError(
                f"{newest} is not of this callback (ddr fit --resume goes on with a "
                "run); choose another folder"
            )
        rate = _learning_rate(model)
        try:
            with warnings.catch_warnings():
                # What Keras says where it leaves out the state of another optimizer.
                warnings.filterwarnings("error", message="Skipping variable loading")
                model.load_weights(newest)
        # Keras and h5py may raise anything where weights do not fit.
        except Exception as error:
            raise InputError(
                f"{newest} does not fit this model and its optimizer "
                f"({reason_of(error)}); make them as before, or choose another folder"
            ) from error
        if rate != _learning_rate(model):
            warnings.warn(
                f"{newest} goes on with its learning rate of "
                f"{_learning_rate(model):g}, not with {rate:g}; choose another folder "
                "for a training of its own",
                stacklevel=2,
            )
        self._rows = progress.history
        self._gather()
        # Where Keras's own BackupAndRestore leaves it for `fit`, too.
        model._initial_epoch = progress.epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the row of the epoch and save."""
        check_weights(self.model, epoch + 1, self.params.get("steps") or 0)
        values = {name: float(value) for name, value in (logs or {}).items()}
        # Rows of epochs that `initial_epoch` left out are empty.
        before = [*self._rows[:epoch], *[{}] * (epoch - len(self._rows))]
        self._rows = [*before, values]
        self._gather()
        if (epoch + 1) % self._every == 0 or epoch + 1 == self.params["epochs"]:
            progress = Progress(epoch + 1, history=self._rows)
            self._checkpoints.save(self.model, progress)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Let others use the folder."""
        self.model._initial_epoch = 0
        if self._lock is not None:
            self._lock.__exit__(None, None, None)

    def _gather(self) -> None:
        names = dict.fromkeys(name for row in self._rows for name in row)
        self.history = {n: [row[n] for row in self._rows if n in row] for n in names}


def _learning_rate(model: keras.Model) -> float | None:
    """Of the optimizer; `None` for a schedule, which is not part of a checkpoint."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    rate = optimizer._learning_rate
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return None
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))
