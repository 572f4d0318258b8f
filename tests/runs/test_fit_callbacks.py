"""Callbacks of the user see a run as one training, and may end it."""

import keras
import pytest
from runs.test_resume import assert_same, fit_arguments

from keras_ddr import runs


class Seen(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.events = []

    def on_train_begin(self, logs=None):
        self.events.append("begin")

    def on_epoch_end(self, epoch, logs=None):
        self.events.append((epoch, "val_loss" in logs))

    def on_train_end(self, logs=None):
        self.events.append("end")


class StopAfter(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.epoch:
            self.model.stop_training = True


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_callback_that_stops(create, whole, epoch):
    said, seen = [], Seen()
    callbacks = iter([seen, StopAfter(epoch)])  # also what can be gone through once
    run = create()
    runs.fit(run, verbose=0, report=said.append, callbacks=callbacks)
    assert run.step() == 2 * epoch and seen.events[-1] == "end"
    assert f"a callback ended the training at step {2 * epoch}" in said
    assert [row["epoch"] for row in run.history()] == list(range(1, epoch + 1))
    # And it goes on as if nothing had been.
    runs.fit(run.path, **fit_arguments)
    assert_same(run, whole)
