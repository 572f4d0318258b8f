"""Training a run from wherever it is to its last step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import keras

from keras_ddr.errors import InputError, LossNotFinite
from keras_ddr.runs import origin, settings
from keras_ddr.runs.checkpoints import MetricsRestorer, Progress
from keras_ddr.runs.folder import Run
from keras_ddr.runs.history import COLUMNS
from keras_ddr.runs.signals import Stopped, StopRequest
from keras_ddr.training.callbacks import check_weights
from keras_ddr.training.devices import on_devices

if TYPE_CHECKING:
    from keras_ddr.data import FrameStore, Sequence
    from keras_ddr.model import DDR
    from keras_ddr.typing import StrPath

__all__ = ["fit"]

_SAMPLE_SEQUENCES, _SAMPLE_FRAMES = 4, 8


def fit(
    run: Run | StrPath,
    store: FrameStore | StrPath | None = None,
    *,
    steps: int | None = None,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
    report: Callable[[str], object] | None = print,
    distribute: str = "none",
) -> Run:
    """Train a run, from the start or from its newest checkpoint, to its last step.

    This is what `ddr fit` does. On the same backend, machine and versions a run that
    was interrupted ends with the weights and the history of one that was not. Ctrl-C
    (SIGINT) and SIGTERM end it after the step that is being taken, which is saved.

    Args:
        run: `Run` or its path.
        store: The `FrameStore` or its path, if it was moved; the one that the run was
            made with where `None`.
        steps: Train to this step instead of the configured one. Possible with a
            constant learning rate only: a cosine decay depends on its last step.
        callbacks: More Keras callbacks; they see an epoch after it was saved. One that
            sets `stop_training` ends this call; `fit` goes on from there when it is
            called again.
        verbose: As for `keras.Model.fit`.
        report: Called with a line of text now and then, or `None`.
        distribute: "none" for one device, "auto" for all of this host, see
            `keras_ddr.training.devices`. It is not part of the run: one that began on
            one device may go on on several.

    Returns:
        The `Run`.

    Raises:
        InputError: The store is not the one that the run was made with, `steps` cannot
            be used, or another process trains this run.
        LossNotFinite: The loss became NaN or infinite; the last checkpoint stays.
        Stopped: A signal asked to end; it is a `KeyboardInterrupt`.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    report = report or (lambda line: None)
    store = origin.same_store(run, store)
    with run.alone(), StopRequest().listening() as request:
        training = _with_steps(run, steps)
        batch_size, accumulate = training["batch_size"], training.get("accumulate", 1)
        with on_devices(distribute, batch_size, report, accumulate):
            _train(run, store, training, _Parts(callbacks), verbose, report, request)
    return run


def _train(
    run: Run,
    store: FrameStore,
    training: dict[str, Any],
    callbacks: _Parts,
    verbose: int | str,
    report: Callable[[str], object],
    request: StopRequest,
) -> None:
    model, progress, step = run.restore()
    if training != run.config["training"]:
        # Now that nothing can be refused any more.
        run.config["training"] = training
        run.write_config()
    if step:
        report(
            f"going on after epoch {progress.epoch}, step {step} of {training['steps']}"
            + (": nothing is left to do" if step >= training["steps"] else "")
        )
    if run.config.get("backend") != keras.backend.backend():
        report(
            f"note: this run was started on {run.config.get('backend')} and goes on on "
            f"{keras.backend.backend()}; it draws other random numbers from here"
        )
    validation = run.validation_sets(store)
    if validation is None:
        report(
            f"note: {store.path} has no sequences for validation (split val, at least "
            f"{model.set_size} frames); model.keras will be the last model"
        )
    recorder = _Recorder(run, store, progress, step, request)
    epoch = progress.epoch
    parts = _plan(step, training["steps"], training["save_every"], progress.batch)
    for number, length, done in parts:
        try:
            model.fit(
                run.sets(store, length, first=done),
                initial_epoch=epoch,
                epochs=epoch + number,
                validation_data=validation,
                callbacks=[
                    MetricsRestorer(progress.metrics if done else []),
                    recorder,
                    callbacks,
                ],
                verbose=verbose,
            )
        except LossNotFinite as error:
            step = recorder.began_at + error.step if error.step else recorder.step
            kept = f"the checkpoint of step {run.step()} is kept"
            raise error.in_run(run.path, step, kept) from None
        if model.stop_training:
            report(f"a callback ended the training at step {recorder.step}")
            break
        epoch += number
    callbacks.end()


def _plan(
    step: int, steps: int, save_every: int, done: int
) -> Iterator[tuple[int, int, int]]:
    """Epochs still to train.

    Args:
        step: Last step, `done` of them in an epoch that isn't complete.
        steps: Last step of all.
        save_every: Steps of an epoch, but for a shorter one at the end.
        done: See `step`.

    Yields:
        Number of epochs, steps of each, and how many of them are done.
    """
    left = steps - (step - done)
    if done and left > done:
        length = min(save_every, left)
        yield 1, length, done
        left -= length
    whole, rest = divmod(max(0, left), save_every)
    if whole:
        yield whole, save_every, 0
    if rest:
        yield 1, rest, 0


def _with_steps(run: Run, steps: int | None) -> dict[str, Any]:
    """The settings of the training, with another last step if that is asked for."""
    training: dict[str, Any] = run.config["training"]
    if steps is None or steps == training["steps"]:
        return training
    changed = settings.checked_training({**training, "steps": steps})
    if training["schedule"] != "constant":
        raise InputError(
            f"steps={steps}; {run.path} has a cosine schedule, which ends at step "
            f"{training['steps']}: start a new run for another number of steps"
        )
    done = run.step()
    # In the middle of an epoch there has to be a step that ends it.
    if steps < max(1, done + run.within_epoch()):
        raise InputError(f"steps={steps}; {run.path} is already at step {done}")
    return changed


class _Parts(keras.callbacks.CallbackList):
    """Shows the parts of a training, each a `fit` of Keras, to callbacks as one."""

    def __init__(self, callbacks: Iterable[keras.callbacks.Callback]) -> None:
        super().__init__(list(callbacks))
        self._async_train = self._async_test = False  # threads would outlive a part
        self._begun = False
        self._last: dict[str, Any] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self._begun:
            self._begun = True
            super().on_train_begin(logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._last = logs

    def end(self) -> None:
        """After the last part."""
        if self._begun:
            super().on_train_end(self._last)


class _Recorder(keras.callbacks.Callback):
    """Writes the history row, the checkpoint, model.keras and the picture.

    The history comes first and the checkpoint decides: rows after the checkpoint are
    dropped on resuming.
    """

    def __init__(
        self,
        run: Run,
        store: FrameStore,
        progress: Progress,
        step: int,
        request: StopRequest,
    ) -> None:
        super().__init__()
        self._run = run
        self._store = store
        self.step = step
        self._before = progress  # of the epoch that is gone on with
        self._request = request
        self._shown: list[Sequence] | None = None
        self._epoch_began = step - progress.batch
        self.began_at = step  # the epoch, or what is left of it

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        self._began = time.perf_counter() - self._before.seconds
        self.began_at = self.step
        self._epoch_began = self.step - self._before.batch
        self._before = Progress()

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.step += 1
        in_epoch = self.step - self._epoch_began
        length = min(
            self._run.config["training"]["save_every"],
            self._run.config["training"]["steps"] - self._epoch_began,
        )
        # After its last step the epoch ends with a checkpoint anyway.
        if self._request.signal is not None and in_epoch < length:
            seconds = time.perf_counter() - self._began
            check_weights(self.model, self._epoch + 1, self.step - self.began_at)
            progress = Progress.within(self.model, self._epoch, in_epoch, seconds)
            self._run.checkpoints.save(self.model, progress)
            raise Stopped(self._request.signal, self.step)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        model, epoch = self.model, epoch + 1
        check_weights(model, epoch, self.step - self.began_at)
        values = {name: float(value) for name, value in (logs or {}).items()}
        row = dict.fromkeys(COLUMNS)
        row.update({name: value for name, value in values.items() if name in row})
        row["epoch"], row["step"] = epoch, self.step
        rate = keras.ops.convert_to_numpy(model.optimizer.learning_rate)
        row["learning_rate"] = float(rate)
        row["seconds"] = round(time.perf_counter() - self._began, 3)
        rows = [*self._run.history(), row]
        self._run.write_history(rows)
        checkpoint = self._run.checkpoints.save(model, Progress(epoch))
        self._run.publish_if_best(rows, checkpoint)
        self._picture(model)
        last = self.step >= self._run.config["training"]["steps"]
        if self._request.signal is not None and not last:
            raise Stopped(self._request.signal, self.step)

    def _picture(self, model: DDR) -> None:
        from keras_ddr.visualization import plot_reconstruction, save_figure
        from keras_ddr.visualization.selection import pick_sequences

        if self._shown is None:
            number = model.frames_per_set
            split = "val" if self._store.select("val", number) else "train"
            self._shown = pick_sequences(
                self._store, _SAMPLE_SEQUENCES, split, min_length=number
            )
        figure = plot_reconstruction(model, self._store, self._shown, _SAMPLE_FRAMES)
        name = f"step-{self.step:06d}.png"
        save_figure(figure, self._run.path / "samples" / name)
