"""SIGINT and SIGTERM end a training after a step that is saved."""

import os
import signal
import subprocess
import sys

import keras
import pytest
from runs.test_resume import assert_same, fit_arguments
from training.test_watch import Break

from keras_ddr import InputError, LossNotFinite, runs, signals

pytestmark = pytest.mark.backend


class Send(keras.callbacks.Callback):
    """Sends this process a signal in the middle of a step, or of the validation."""

    def __init__(self, number, step, moment="step"):
        super().__init__()
        self.number, self.left, self.moment = number, step, moment

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if not self.left and self.moment == "step":
            os.kill(os.getpid(), self.number)

    def on_test_batch_begin(self, batch, logs=None):
        if self.left <= 0 and self.moment == "validation":
            self.left = 10**6
            os.kill(os.getpid(), self.number)


def stop(run, *arguments, steps=None):
    with pytest.raises(runs.Stopped) as stopped:
        runs.fit(run, callbacks=[Send(*arguments)], steps=steps, **fit_arguments)
    assert stopped.value.signal == arguments[0]
    return stopped.value.step


TRAINING = {"save_every": 4}


@pytest.fixture(scope="module")
def undisturbed(store, tmp_path_factory):
    from runs.conftest import create_run

    run = create_run(tmp_path_factory.mktemp("runs") / "whole", store, None, TRAINING)
    return runs.fit(run, **fit_arguments)


@pytest.mark.slow
def test_stopped_again_and_again_it_ends_as_if_it_never_was(create, whole):
    run = create()
    before = signal.getsignal(signal.SIGTERM)
    assert stop(run, signal.SIGTERM, 1) == 1
    assert run.checkpoint().name == "epoch-000000-step-000001.keras"
    assert run.step() == 1
    assert run.history() == []
    assert stop(run, signal.SIGINT, 4) == 5
    assert run.checkpoint().name == "epoch-000002-step-000001.keras"
    assert not runs.verify(run.path)
    assert int(run.model("last").optimizer.iterations) == 5
    assert int(run.model().optimizer.iterations) == run.best()["step"]
    assert signal.getsignal(signal.SIGTERM) == before
    runs.fit(run.path, **fit_arguments)
    assert_same(run, whole)


@pytest.mark.slow
@pytest.mark.parametrize(("step", "moment"), [(4, "step"), (4, "validation")])
def test_at_the_end_of_an_epoch_its_checkpoint_is_enough(
    create, undisturbed, step, moment
):
    run = create(training=TRAINING)
    assert stop(run, signal.SIGTERM, step, moment) == 4
    assert run.checkpoint().name == "epoch-000001.keras"
    assert [row["step"] for row in run.history()] == [4]
    runs.fit(run.path, **fit_arguments)
    assert_same(run, undisturbed)


@pytest.mark.slow
def test_in_the_last_step_there_is_nothing_to_stop(create, undisturbed):
    run = create(training=TRAINING)
    runs.fit(run, callbacks=[Send(signal.SIGTERM, 8)], **fit_arguments)
    assert_same(run, undisturbed)


@pytest.mark.slow
def test_a_signal_saves_no_broken_weights(create):
    """It comes before the loss that is not finite was looked at."""
    run = create(training=TRAINING)
    with pytest.raises(LossNotFinite, match="the checkpoint of step 0 is kept"):
        runs.fit(
            run, callbacks=[Break(1, "prior"), Send(signal.SIGTERM, 2)], **fit_arguments
        )
    assert run.checkpoint().name == "epoch-000000.keras"


@pytest.mark.slow
def test_in_the_middle_of_averaged_gradients(create):
    arguments = {
        "objective": {"kl_warmup": 6},
        "training": {"accumulate": 3, "save_every": 5, "steps": 7},
    }
    whole = runs.fit(create("whole", **arguments), **fit_arguments)
    run = create("stopped", **arguments)
    assert stop(run, signal.SIGTERM, 4) == 4
    assert stop(run, signal.SIGTERM, 2) == 6
    runs.fit(run.path, **fit_arguments)
    assert_same(run, whole)


@pytest.mark.slow
def test_more_steps_after_a_stop_in_the_last_epoch(create):
    """The epoch that was to end at step 4 of 4 goes on to its full length."""
    training = {"schedule": "constant", "save_every": 6}
    long = create("long", training={**training, "steps": 8})
    runs.fit(long, **fit_arguments)
    short = create("short", training={**training, "steps": 4})
    assert stop(short, signal.SIGTERM, 3) == 3
    before = (short.path / "config.json").read_bytes()
    for steps, message in (
        (2, "already at step 3"),
        (3, "already at step 3"),  # in the middle of an epoch, which must have an end
        (10**10, "steps=10000000000; it must be"),
    ):
        with pytest.raises(InputError, match=message):
            runs.fit(short.path, steps=steps, **fit_arguments)
        assert (short.path / "config.json").read_bytes() == before
    runs.fit(short.path, steps=8, **fit_arguments)
    assert_same(runs.Run.open(short.path), long)


@pytest.mark.slow
def test_a_second_signal_ends_at_once(create):
    class Twice(Send):
        def on_train_batch_begin(self, batch, logs=None):
            os.kill(os.getpid(), self.number)
            os.kill(os.getpid(), self.number)

    run = create(training=TRAINING)
    with pytest.raises(KeyboardInterrupt) as stopped:
        runs.fit(run, callbacks=[Twice(signal.SIGINT, 1)], **fit_arguments)
    assert not isinstance(stopped.value, runs.Stopped)


def test_an_interrupt_that_became_another_error_stays_an_interrupt():
    """TensorFlow's tracing can turn it into a SystemError."""
    with pytest.raises(KeyboardInterrupt), signals.StopRequest().listening():
        signal.raise_signal(signal.SIGINT)
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise SystemError("bad argument to internal function") from error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_a_process_as_it_would_have(number):
    code = f"""
import os, runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
request = runpy.run_path({signals.__file__!r})["StopRequest"]()
with request.listening():
    os.kill(os.getpid(), {int(number)})
    print(request.signal, flush=True)
    os.kill(os.getpid(), {int(number)})
    print("still here")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == -number
    assert done.stdout == f"{int(number)}\n"


@pytest.mark.slow
def test_a_damaged_progress_is_refused(create):
    import zipfile

    run = create(training=TRAINING)
    stop(run, signal.SIGTERM, 3)
    checkpoint = run.checkpoint()
    moved = checkpoint.with_name("epoch-000000-step-000002.keras")
    checkpoint.rename(moved)
    with pytest.raises(InputError, match="another step than its name says"):
        runs.fit(run.path, **fit_arguments)
    assert run.step() == 2  # what lists a run must not fail
    with zipfile.ZipFile(moved) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    start = b'{"epoch": 0, "batch": 2'
    for content in (
        b'{"epoch": 0}',
        b"[]",
        b"[" * 10**5,
        b"\xff",
        b" " * (17 << 20),
        start + b', "metrics": ["a"]}',
        start + b', "seconds": []}',
        start + b', "history": [1]}',
        start + b', "metrics": [0.5]}',
        start + b', "code": "import os"}',
    ):
        members["progress.json"] = content
        with zipfile.ZipFile(moved, "w") as archive:
            for name, part in members.items():
                archive.writestr(name, part)
        with pytest.raises(InputError, match=r"progress\.json|model") as error:
            runs.fit(run.path, **fit_arguments)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 500
    del members["progress.json"]
    with zipfile.ZipFile(moved, "w") as archive:
        for name, part in members.items():
            archive.writestr(name, part)
    with pytest.raises(InputError, match=r"progress\.json is damaged"):
        runs.fit(run.path, **fit_arguments)
