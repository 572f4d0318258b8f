import shutil

import keras
import numpy as np
import pytest

from keras_ddr import InputError, runs
from keras_ddr.data import FrameStore, write_arrays

pytestmark = pytest.mark.backend

fit_arguments = {"verbose": 0, "report": None}


class Interrupt(keras.callbacks.Callback):
    """Ctrl-C at the end of a step."""

    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def numbers(run):
    """History without the times."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in run.history()]


def weights(run, which):
    return [np.asarray(w) for w in run.model(which).get_weights()]


def assert_same(run, other):
    assert numbers(run) == numbers(other)
    for which in ("best", "last"):
        for a, b in zip(weights(run, which), weights(other, which), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 5])
def test_an_interrupted_run_ends_like_one_that_was_not(create, whole, step):
    run = create("interrupted")
    with pytest.raises(KeyboardInterrupt):
        runs.fit(run, callbacks=[Interrupt(step)], **fit_arguments)
    assert len(run.history()) == (step - 1) // 2
    lines = []
    runs.fit(run.path, verbose=0, report=lines.append)
    assert any("going on" in line for line in lines) == (step > 2)
    assert_same(run, whole)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_precision_and_gradients_on_the_way_are_kept(create, precision):
    """Step 5 of 8 lies in the middle of three whose gradients are averaged."""
    arguments = {"model": {"dtype": precision}, "training": {"accumulate": 3}}
    whole = runs.fit(create("whole", **arguments), **fit_arguments)
    run = create("interrupted", **arguments)
    with pytest.raises(KeyboardInterrupt):
        runs.fit(run, callbacks=[Interrupt(6)], **fit_arguments)
    assert [row["step"] for row in run.history()] == [2, 4]
    runs.fit(run.path, **fit_arguments)
    assert_same(run, whole)
    assert [row["step"] for row in run.history()] == [2, 4, 6, 8]


@pytest.mark.slow
def test_a_run_with_muon_ends_like_one_that_was_not_interrupted(create):
    arguments = {"training": {"optimizer": "muon"}}
    whole = runs.fit(create("whole", **arguments), **fit_arguments)
    run = create("interrupted", **arguments)
    with pytest.raises(KeyboardInterrupt):
        runs.fit(run, callbacks=[Interrupt(5)], **fit_arguments)
    runs.fit(run.path, **fit_arguments)
    assert_same(run, whole)


def test_an_interruption_after_the_last_step_of_all_changes_nothing(whole):
    before = numbers(whole)
    runs.fit(whole.path, **fit_arguments)
    assert numbers(whole) == before


@pytest.mark.slow
def test_what_lies_after_the_checkpoint_is_dropped(create, whole):
    run = create("killed")
    with pytest.raises(KeyboardInterrupt):
        runs.fit(run, callbacks=[Interrupt(5)], **fit_arguments)
    # As if killed after the row of epoch 3 was written and before its checkpoint.
    with (run.path / "history.csv").open("a") as file:
        file.write("3,6" + ",1.0" * 10 + "\n")
    leftover = run.path / "checkpoint" / ".epoch-000003.tmp-1.keras"
    leftover.write_bytes(b"half")
    (run.path / "model.keras").unlink()
    runs.fit(run.path, **fit_arguments)
    assert not leftover.exists()
    assert_same(run, whole)


@pytest.mark.slow
def test_more_steps_with_a_constant_schedule(create):
    training = {"schedule": "constant", "learning_rate": 1e-3}
    long = runs.fit(create("long", training={**training, "steps": 6}), **fit_arguments)
    short = runs.fit(
        create("short", training={**training, "steps": 4}), **fit_arguments
    )
    runs.fit(short.path, steps=6, **fit_arguments)
    assert_same(short, long)
    assert runs.Run.open(short.path).config["training"]["steps"] == 6
    with pytest.raises(InputError, match="already at step 6"):
        runs.fit(short.path, steps=4, **fit_arguments)


def test_more_steps_with_a_cosine_schedule_are_refused(whole):
    with pytest.raises(InputError, match="cosine schedule"):
        runs.fit(whole.path, steps=20, **fit_arguments)


@pytest.mark.slow
def test_a_moved_store_is_known_by_its_frames(create, store, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(store.path, copy)
    run = create(data=FrameStore.open(copy), training={"steps": 4})
    shutil.move(copy, tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is not there; give its new place"):
        runs.fit(run.path, **fit_arguments)
    runs.fit(run.path, tmp_path / "elsewhere", **fit_arguments)
    other = write_arrays(tmp_path / "other", np.zeros((3, 4, 32, 32, 3), "uint8"))
    with pytest.raises(InputError, match="is not the store"):
        runs.fit(run.path, other, **fit_arguments)


def test_numbers_of_numpy_are_taken(create):
    number = np.int64(3)
    run = create(model={"static_dim": number}, seed=number, training={"steps": number})
    config = runs.Run.open(run.path).config
    assert config["model"]["config"]["static_dim"] == config["training"]["seed"] == 3
    for seed in (-1, 2**31, 0.5):
        with pytest.raises(InputError, match="seed="):
            create("other", seed=seed)
