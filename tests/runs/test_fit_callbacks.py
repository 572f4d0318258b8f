"""Callbacks of the user see a run as one training, and may end it."""

import keras
import pytest

from keras_ddr import runs

# Two whole epochs, then a shorter one: Keras is asked to fit twice.
TRAINING = {"steps": 5, "save_every": 2, "schedule": "constant"}


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


def rows_of(run):
    return [{**row, "seconds": None} for row in run.history()]


def test_parts_of_a_training_are_one(create):
    seen = Seen()
    # Any iterable, also one that can be gone through only once.
    runs.fit(create(training=TRAINING), verbose=0, report=None, callbacks=iter([seen]))
    epochs = [(0, True), (1, True), (2, True)]
    assert seen.events == ["begin", *epochs, "end"]


@pytest.mark.parametrize("epoch", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_callback_that_stops(create, epoch):
    whole = runs.fit(create("whole", training=TRAINING), verbose=0, report=None)
    said = []
    seen = Seen()
    run = runs.fit(
        create(training=TRAINING),
        verbose=0,
        report=said.append,
        callbacks=[seen, StopAfter(epoch)],
    )
    assert run.step() == 2 * epoch and seen.events[-1] == "end"
    assert said[-1] == f"a callback ended the training at step {2 * epoch}"
    assert [row["epoch"] for row in run.history()] == list(range(1, epoch + 1))
    # And it goes on as if nothing had been.
    runs.fit(run.path, verbose=0, report=None)
    assert rows_of(run) == rows_of(whole)
