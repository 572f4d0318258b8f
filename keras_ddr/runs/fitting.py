"""Training a run from wherever it is to its last step."""

from __future__ import annotations

import dataclasses
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import keras

from keras_ddr import manifest
from keras_ddr.callbacks import SaveAndResume
from keras_ddr.densities import fit_densities
from keras_ddr.errors import InputError, LossNotFinite
from keras_ddr.runs import stores
from keras_ddr.runs.folder import Run
from keras_ddr.signals import Stopped, StopRequest
from keras_ddr.training.devices import on_devices

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.runs.settings import Training
    from keras_ddr.typing import StrPath

__all__ = ["fit"]

_SAMPLE_SEQUENCES, _SAMPLE_FRAMES, _SAMPLE_DRAWS = 4, 8, 3


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

    On the same backend, machine and versions a run that was interrupted ends with the
    weights and the history of one that was not. Ctrl-C (SIGINT) and SIGTERM end it
    after the step that is being taken, which is saved. At the end densities are fitted
    to the codes of the best model, see `keras_ddr.densities.fit_densities`.

    Args:
        run: `Run` or its path.
        store: The `FrameStore` or its path, if it was moved; the one that the run was
            made with where `None`.
        steps: Train to this step instead of the configured one, with a constant
            learning rate only: a cosine decay depends on its last step.
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
        InputError: The store is another one, `steps` cannot be used, or another process
            trains this run.
        LossNotFinite: The loss became NaN or infinite; the last checkpoint stays.
        Stopped: A signal asked to end; it is a `KeyboardInterrupt`.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    report = report or (lambda line: None)
    store = stores.same_store(run.config["store"], run.path, store)
    with run.alone(), StopRequest().listening() as request:
        training = _with_steps(run, steps)
        with on_devices(distribute, training.batch_size, report, training.accumulate):
            recorder = _Recorder(run, store, request)
            if training != run.training:
                # Now that nothing can be refused any more.
                run.config["training"] = dataclasses.asdict(training)
                run.write_config()
            _train(recorder, _Parts(callbacks), verbose, report)
        _finish(run, recorder.store, report)
    return run


def _train(
    recorder: _Recorder,
    callbacks: _Parts,
    verbose: int | str,
    report: Callable[[str], object],
) -> None:
    """Take all steps that are left, in one `fit` for epochs of one length."""
    run, store, model = recorder.run, recorder.store, recorder.trained
    steps, epoch = run.training.steps, recorder.progress.epoch
    validation = run.validation_sets(model, store)
    for line in _notes(recorder, validation is not None):
        report(line)
    parts = _plan(
        recorder.steps_done(), steps, run.training.save_every, recorder.progress.batch
    )
    for number, length, done in parts:
        try:
            model.fit(
                run.sets(model, store, length, first=done),
                initial_epoch=epoch,
                epochs=epoch + number,
                validation_data=validation,
                callbacks=[recorder, callbacks],
                verbose=verbose,
            )
        except LossNotFinite as error:
            step = recorder.steps_done()
            if error.step:
                step += error.step - (recorder.step - recorder.began)
            kept = f"the checkpoint of step {run.step()} is kept"
            raise error.in_run(run.path, step, kept) from None
        if model.stop_training:
            report(f"a callback ended the training at step {recorder.steps_done()}")
            break
        epoch += number
    callbacks.end()


def _finish(run: Run, store: FrameStore, report: Callable[[str], object]) -> None:
    """Give model.keras the densities of its codes, where it has none."""
    if not run.history():
        return
    model = run.model()
    if model.densities is not None or model.lacks_codes:
        return
    report("fitting densities to the codes, to draw new ones from")
    try:
        fit_densities(model, store, run.training.seed)
    except InputError as error:
        report(f"note: no densities were fitted to the codes ({error})")
        return
    with manifest.replacing(run.path, "model.keras") as temporary:
        model.save(temporary)


def _notes(recorder: _Recorder, validated: bool) -> Iterator[str]:
    """Lines for the user before the first step."""
    run, step, steps = recorder.run, recorder.steps_done(), recorder.run.training.steps
    if step:
        yield (
            f"going on after epoch {recorder.progress.epoch}, step {step} of {steps}"
            + (": nothing is left to do" if step >= steps else "")
        )
    if run.config.get("backend") != keras.backend.backend():
        yield (
            f"note: this run was started on {run.config.get('backend')} and goes on on "
            f"{keras.backend.backend()}; it draws other random numbers from here"
        )
    if not recorder.trained.comparable_loss:
        yield (
            f"note: the loss of {type(recorder.trained).__name__} does not say which "
            "model is better; model.keras will be the last model"
        )
    elif not validated:
        yield (
            f"note: {recorder.store.path} has no sequences for validation (split val, "
            f"at least {recorder.trained.set_size} frames); model.keras will be the "
            "last model"
        )


def _plan(
    step: int, steps: int, save_every: int, done: int
) -> Iterator[tuple[int, int, int]]:
    """Epochs still to train: their number, steps of each, and those that are done."""
    # All have `save_every` steps, but for a shorter one at the end; `done` steps are in
    # one that isn't complete.
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


def _with_steps(run: Run, steps: int | None) -> Training:
    """Settings of the training, with another last step if that is asked for."""
    training = run.training
    if steps is None or steps == training.steps:
        return training
    changed = dataclasses.replace(training, steps=steps)
    if training.schedule != "constant":
        raise InputError(
            f"steps={steps}; {run.path} has a cosine schedule, which ends at step "
            f"{training.steps}: start a new run for another number of steps"
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


class _Recorder(SaveAndResume):
    """`SaveAndResume` for a run; history.csv, model.keras and pictures follow it."""

    def __init__(self, run: Run, store: FrameStore, request: StopRequest) -> None:
        super().__init__(run.checkpoints.folder)
        self.checkpoints = run.checkpoints  # which the manifest of the run lists
        self.run, self.store, self.request = run, store, request
        self.trained, self.progress = run.restore()
        self.step = self.progress.batch
        self._shown: list[Sequence] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """The model came out of the checkpoint, and the run is locked."""

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """The run stays locked."""

    def steps_done(self) -> int:
        rows = self.progress.history
        return (int(rows[-1]["step"]) if rows else 0) + self.step

    def row(self, epoch: int, logs: dict[str, Any]) -> dict[str, Any]:
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        return {
            "epoch": epoch,
            "step": self.steps_done(),
            **super().row(epoch, logs),
            "learning_rate": float(rate),
            "seconds": round(time.perf_counter() - self._began, 3),
        }

    def saved(self, checkpoint: pathlib.Path) -> None:
        self.step = 0  # the row of the epoch holds its steps
        self.run.publish(self.trained, self.progress.history, checkpoint)
        self._picture()
        last = self.steps_done() >= self.run.training.steps
        if self.request.signal is not None and not last:
            raise Stopped(self.request.signal, self.steps_done())

    def _picture(self) -> None:
        from keras_ddr.visualization import save_figure

        name = f"step-{self.steps_done():06d}.png"
        save_figure(self._figure(), self.run.path / "samples" / name)

    def _figure(self) -> Figure:
        """Reconstructions, or what a model without codes does in their place."""
        from keras_ddr.visualization import (
            plot_prediction,
            plot_reconstruction,
            plot_samples,
        )
        from keras_ddr.visualization.selection import pick_sequences

        model, store, number = self.trained, self.store, self.trained.set_size
        predicts = hasattr(model, "predict_frames")
        if model.lacks_codes and not predicts:
            return plot_samples(model, _SAMPLE_SEQUENCES, _SAMPLE_FRAMES)
        if self._shown is None:
            split = "val" if store.select("val", number) else "train"
            self._shown = pick_sequences(
                store, _SAMPLE_SEQUENCES, split, min_length=number
            )
        if model.lacks_codes:
            return plot_prediction(model, store, self._shown, draws=_SAMPLE_DRAWS)
        return plot_reconstruction(model, store, self._shown, _SAMPLE_FRAMES)
