"""SaveAndResume: the same script again goes on where it was."""

import keras
import numpy as np
import pytest

from keras_ddr import DDR, ELBO, InputError
from keras_ddr.callbacks import SaveAndResume
from keras_ddr.data import FrameSets, write_arrays

pytestmark = pytest.mark.backend

SIZES = {"static_dim": 4, "filters": 4, "pair_filters": 4, "hidden_units": 8}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    frames = np.random.default_rng(0).integers(0, 256, (8, 5, 16, 16, 3), "uint8")
    splits = ["train"] * 6 + ["val"] * 2
    path = tmp_path_factory.mktemp("stores") / "store"
    return write_arrays(path, frames, splits=splits)


def make(**arguments):
    keras.utils.set_random_seed(3)
    model = DDR((16, 16, 3), **{**SIZES, **arguments})
    # Accumulated gradients, a schedule and warm-up are all part of what is saved.
    rate = keras.optimizers.schedules.CosineDecay(1e-3, 20)
    optimizer = keras.optimizers.Adam(rate, gradient_accumulation_steps=2)
    model.compile(optimizer, ELBO(kl_warmup=8))
    return model


class Interrupt(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def script(store, folder, stop=0, epochs=4, **arguments):
    """What a user would run, and run again."""
    model = make()
    resume = SaveAndResume(folder, **arguments)
    model.fit(
        FrameSets(store, batch_size=2, steps=3),
        validation_data=FrameSets(store, split="val", batch_size=2, fixed=True),
        epochs=epochs,
        verbose=0,
        callbacks=[resume, Interrupt(stop)],
    )
    return model, resume


@pytest.mark.slow
def test_only_its_own_leftovers_are_removed(store, tmp_path):
    """The folder may be one in which a store is being made."""
    theirs = tmp_path / ".store.tmp-elsewhere-7-1a2b3c4d"
    theirs.mkdir()
    ours = tmp_path / ".epoch-000001.tmp-elsewhere-7.keras"
    ours.touch()
    script(store, tmp_path, epochs=1)
    assert theirs.is_dir() and not ours.exists()


@pytest.mark.slow
def test_it_ends_as_if_never_stopped(store, tmp_path):
    whole, kept = script(store, tmp_path / "whole")
    for stop in (5, 11):
        with pytest.raises(KeyboardInterrupt):
            script(store, tmp_path / "stopped", stop, every=3)
    model, resumed = script(store, tmp_path / "stopped", every=3)
    for a, b in zip(model.variables, whole.variables, strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (a, b)), a.path)
    assert resumed.history == kept.history
    assert [len(values) for values in kept.history.values()] == [4] * 8
    names = [p.name for p in (tmp_path / "stopped").glob("*.keras")]
    assert names == ["epoch-000004.keras"]
    # Once more: there is nothing to do, and nothing is lost.
    model, resumed = script(store, tmp_path / "stopped")
    assert resumed.history == kept.history
    np.testing.assert_array_equal(model.get_weights()[0], whole.get_weights()[0])
    assert model._initial_epoch == 0


@pytest.mark.slow
def test_the_checkpoint_is_a_model_file(store, tmp_path):
    from keras_ddr import runs

    model, _ = script(store, tmp_path, epochs=1)
    loaded = runs.load_model(tmp_path / "epoch-000001.keras")
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


@pytest.mark.slow
def test_another_model_and_damage_are_refused(store, tmp_path):
    script(store, tmp_path, epochs=1)
    with pytest.raises(InputError, match="does not fit this model") as error:
        make(static_dim=5).fit(
            FrameSets(store, batch_size=2), callbacks=[SaveAndResume(tmp_path)]
        )
    assert "\n" not in str(error.value)
    [file] = tmp_path.glob("*.keras")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="cannot be loaded"):
        script(store, tmp_path)
    assert file.read_bytes() == content


@pytest.mark.slow
def test_another_optimizer_is_refused_and_another_rate_told_of(store, tmp_path):
    def run(optimizer, epochs):
        model = make()
        model.compile(optimizer)
        resume = SaveAndResume(tmp_path)
        data = FrameSets(store, batch_size=2, steps=3)
        model.fit(data, epochs=epochs, verbose=0, callbacks=[resume])
        return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))

    run(keras.optimizers.Adam(1e-3), 1)
    with pytest.warns(UserWarning, match="learning rate of 0.001, not with 0.0001"):
        assert run(keras.optimizers.Adam(1e-4), 2) == pytest.approx(1e-3)
    with pytest.raises(InputError, match="does not fit this model and its optimizer"):
        run(keras.optimizers.SGD(1e-3), 3)


@pytest.mark.slow
def test_the_checkpoint_of_a_run_is_refused(store, tmp_path):
    from keras_ddr import runs

    model = {**SIZES, "frames_per_set": 3}
    training = {"steps": 1, "batch_size": 2}
    run = runs.Run.create(
        tmp_path / "run", store, "tiny", model=model, training=training
    )
    runs.fit(run, verbose=0, report=None)
    with pytest.raises(InputError, match="is not of this callback"):
        script(store, run.path / "checkpoint")


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(InputError, match="every=0"):
        SaveAndResume(tmp_path, every=0)


@pytest.mark.slow
def test_epochs_that_were_left_out(store, tmp_path):
    def run(stop):
        model, resume = make(), SaveAndResume(tmp_path / "kept")
        model.fit(
            FrameSets(store, batch_size=2, steps=3),
            initial_epoch=2,
            epochs=5,
            verbose=0,
            callbacks=[resume, Interrupt(stop)],
        )
        return resume.history

    with pytest.raises(KeyboardInterrupt):
        run(5)
    assert len(run(0)["loss"]) == 3
