"""`model.fit`: histories, data of every kind, exact continuation."""

import tracemalloc

import keras
import numpy as np
import pytest

from keras_ddr import DDR, InputError, checks
from keras_ddr.data import FrameSets, write_arrays
from keras_ddr.training import TrainStep

pytestmark = pytest.mark.backend

KEYS = {"loss", "reconstruction_loss", "kl_static", "kl_dynamic"}


@keras.saving.register_keras_serializable(package="test")
class StockStep(DDR):
    """The same model with Keras's own training step."""

    def train_step(self, *args):
        return super(TrainStep, self).train_step(*args)


def _fit(model, x, **arguments):
    defaults = {"batch_size": 4, "epochs": 2, "verbose": 0, "shuffle": False}
    return model.fit(x, **{**defaults, **arguments}).history


def _twin(model, kind=DDR):
    twin = kind.from_config(model.get_config())
    twin.set_weights(model.get_weights())
    return twin


def _assert_equal_histories(one, other, **tolerance):
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_allclose(one[key], other[key], err_msg=key, **tolerance)


def _assert_equal_weights(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "dtype", ["float32", pytest.param("mixed_float16", marks=pytest.mark.slow)]
)
def test_step_equals_the_stock_step(small, sets, dtype):
    ours = small(dtype=dtype)
    stock = _twin(ours, StockStep)
    for model in (ours, stock):
        model.compile(keras.optimizers.Adam(1e-3))
    # Ten sets in batches of four: the last batch weighs half.
    histories = [
        _fit(model, sets[:10], validation_data=sets[10:]) for model in (ours, stock)
    ]
    assert set(histories[0]) == KEYS | {f"val_{key}" for key in KEYS}
    _assert_equal_histories(*histories, rtol=1e-6)
    assert histories[0]["loss"][1] != histories[0]["loss"][0]


def test_history_is_weighted_by_sets_not_by_batches(small):
    """A last batch of one set counts for one set: black costs more than white here."""
    model = small()
    model.compile()
    model.frame_decoder.deconvolutions[-1].bias.assign([2.0, 2.0, 2.0])
    frames = np.zeros((5, 3, 16, 16, 3), "uint8")
    frames[4] = 255
    black, white, both = (
        model.evaluate(x, batch_size=4, verbose=0, return_dict=True)[
            "reconstruction_loss"
        ]
        for x in (frames[:4], frames[4:], frames)
    )
    assert black > 5 * white
    assert both == pytest.approx((4 * black + white) / 5, rel=0.01)


@pytest.mark.slow
def test_loss_falls(small, sets):
    model = small()
    model.compile(keras.optimizers.Adam(3e-3))
    history = _fit(model, sets, epochs=30)
    assert history["loss"][-1] < 0.9 * history["loss"][0]


@pytest.mark.slow
def test_validation_changes_nothing_in_training(small, sets):
    with_validation = small()
    without = _twin(with_validation)
    for model in (with_validation, without):
        model.compile(keras.optimizers.Adam(1e-3))
    one = _fit(with_validation, sets, validation_data=sets[:5])
    other = _fit(without, sets)
    _assert_equal_histories({key: one[key] for key in other}, other, rtol=0)
    _assert_equal_weights(with_validation, without)


def test_evaluation_repeats_and_draws(small, sets):
    model = small()
    model.compile()
    one = model.evaluate(sets, verbose=0, return_dict=True)
    assert one == model.evaluate(sets, verbose=0, return_dict=True)
    outputs = model(sets)
    at_the_means = float(model.compute_loss(sets, None, outputs))
    assert abs(one["loss"] - at_the_means) > 1e-5


def test_predict_gives_means_and_images(small, sets):
    model = small()
    outputs = model.predict(sets, batch_size=5, verbose=0)
    assert outputs["reconstruction"].shape == sets.shape
    assert outputs["reconstruction"].min() >= 0 and outputs["reconstruction"].max() <= 1
    again = model.predict(sets, batch_size=12, verbose=0)
    for name in outputs:
        np.testing.assert_allclose(outputs[name], again[name], atol=1e-5)


@pytest.mark.slow
def test_a_list_of_sets_validates_as_it_trains(small, sets):
    history = []
    for given in (sets[:4], list(sets[:4])):
        model = small()
        model.compile()
        history.append(_fit(model, given, epochs=1, validation_data=given))
        keras.utils.set_random_seed(1)
    assert "val_loss" in history[0]


@pytest.mark.slow
def test_a_list_of_callbacks_is_left_as_it_was(small, sets):
    model = small()
    model.compile()
    callbacks = keras.callbacks.CallbackList(
        [], add_history=True, model=model, epochs=1
    )
    before = list(callbacks.callbacks)
    for _ in range(2):
        _fit(model, sets, epochs=1, callbacks=callbacks)
        assert callbacks.callbacks == before


def test_arrays_in_files_are_not_copied_to_be_checked(small, tmp_path):
    """Nor to be refused: sets may take more room than the memory has."""
    path = tmp_path / "sets.npy"
    shape = (40_000, 3, 16, 16, 3)
    np.lib.format.open_memmap(path, "w+", "uint8", shape)
    model = small()
    model.compile()
    tracemalloc.start()
    with pytest.raises(InputError, match="y was given"):
        model.fit(np.load(path, mmap_mode="r"), np.zeros(40_000))
    checks.check_sets(np.load(path, mmap_mode="r"), (16, 16, 3), 3, "x")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6  # of 92 MB


@pytest.mark.slow
def test_generators_and_datasets(small, sets):
    def batches():
        while True:
            yield (sets[:4],)

    model = small()
    model.compile()
    history = model.fit(batches(), steps_per_epoch=3, epochs=2, verbose=0).history
    assert set(history) == KEYS
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        dataset = tf.data.Dataset.from_tensor_slices(sets).batch(4)
        assert set(model.fit(dataset, verbose=0).history) == KEYS
    if keras.backend.backend() == "torch":
        import torch

        loader = torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(torch.as_tensor(sets)), batch_size=4
        )
        assert set(model.fit(loader, verbose=0).history) == KEYS


@pytest.mark.slow
def test_stock_callbacks(small, sets, tmp_path):
    model = small()
    model.compile(keras.optimizers.Adam(1e-3))
    callbacks = [
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
        keras.callbacks.EarlyStopping("val_loss", patience=5),
        keras.callbacks.ReduceLROnPlateau(monitor="loss"),
        keras.callbacks.TerminateOnNaN(),
    ]
    model.fit(
        sets, validation_data=(sets[:4],), epochs=2, verbose=0, callbacks=callbacks
    )
    assert (tmp_path / "2.keras").exists()
    assert "val_kl_static" in (tmp_path / "log.csv").read_text().splitlines()[0]


# --- FrameSets and continuing ---


@pytest.fixture
def store(tmp_path, rng):
    frames = rng.integers(0, 256, (10, 6, 16, 16, 3), dtype="uint8")
    return write_arrays(tmp_path / "store", frames, splits=["train"] * 8 + ["val"] * 2)


def _frame_sets(store, **arguments):
    return FrameSets(store, batch_size=3, seed=1, **arguments)


def _compiled(small, random_seed=4):
    keras.utils.set_random_seed(random_seed)
    model = small()
    model.compile(keras.optimizers.Adam(1e-3))
    return model


def _straight(small, store, epochs=4, **arguments):
    model = _compiled(small)
    validation = FrameSets(store, split="val", batch_size=2, seed=9, fixed=True)
    history = model.fit(
        _frame_sets(store, **arguments),
        validation_data=validation,
        epochs=epochs,
        verbose=0,
    ).history
    return model, history


@pytest.mark.slow
def test_epochs_show_other_sets(small, store):
    _, history = _straight(small, store)
    assert len(set(history["loss"])) == 4


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_workers_change_nothing(small, store, workers):
    one, history = _straight(small, store, workers=workers)
    other, expected = _straight(small, store, workers=1)
    _assert_equal_histories(history, expected, rtol=0)
    _assert_equal_weights(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_saved_loaded_and_continued_equals_not_stopped(small, store, tmp_path, workers):
    whole, history = _straight(small, store, workers=workers)
    half, first = _straight(small, store, epochs=2, workers=workers)
    half.save(tmp_path / "half.keras")
    loaded = keras.models.load_model(tmp_path / "half.keras")
    validation = FrameSets(store, split="val", batch_size=2, seed=9, fixed=True)
    second = loaded.fit(
        _frame_sets(store, workers=workers),
        validation_data=validation,
        initial_epoch=2,
        epochs=4,
        verbose=0,
    ).history
    _assert_equal_histories(
        {key: first[key] + second[key] for key in second}, history, rtol=0
    )
    _assert_equal_weights(loaded, whole)


@pytest.mark.slow
def test_backup_and_restore_equals_not_stopped(small, store, tmp_path):
    whole, history = _straight(small, store)

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def fit(model, *extra):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        return model.fit(
            _frame_sets(store),
            validation_data=FrameSets(
                store, split="val", batch_size=2, seed=9, fixed=True
            ),
            epochs=4,
            verbose=0,
            callbacks=[backup, *extra],
        ).history

    with pytest.raises(KeyboardInterrupt):
        fit(_compiled(small), Stop())
    # A fresh process starts from other weights.
    other = _compiled(small, random_seed=5)
    resumed = fit(other)
    _assert_equal_histories(
        resumed, {key: values[2:] for key, values in history.items()}, rtol=0
    )
    _assert_equal_weights(other, whole)


@pytest.mark.slow
def test_sets_have_as_many_frames_as_the_model_takes(small, store):
    """Unless a number was asked for, which the model then accepts or refuses."""
    model = small(dynamic_frames="distinct", frames_per_set=2)
    model.compile()
    train = FrameSets(store, batch_size=4)
    given = FrameSets(store, 4, batch_size=4)
    _fit(model, train, batch_size=None, validation_data=train)
    fixed = FrameSets(store, batch_size=4, fixed=True)
    assert fixed.frames_per_set == 3 and given.frames_per_set == 4
    loss = model.evaluate(fixed, verbose=0)
    asked = FrameSets(store, 4, batch_size=4, fixed=True)
    assert loss == model.evaluate(asked, verbose=0)
    assert model.predict(fixed, verbose=0)["reconstruction"].shape[1] == 2
    with pytest.raises(InputError, match="4"):
        model.fit(FrameSets(store, 3, batch_size=4), verbose=0)
    # In the same epoch and with the same options.
    train.set_epoch(7)
    adapted = train.with_steps(2).for_model(4)
    assert (adapted.epoch, adapted.steps, adapted.frames_per_set) == (7, 2, 4)
    assert train.with_steps(2).adapts and not adapted.for_model(5).adapts


@pytest.mark.slow
@pytest.mark.parametrize("steps_per_epoch", [2, 5])
def test_steps_per_epoch_with_any_length(small, store, steps_per_epoch):
    """Fewer or more steps than batches (3): still the same from run to run."""

    def run(**arguments):
        model = _compiled(small)
        return model.fit(
            _frame_sets(store, **arguments),
            steps_per_epoch=steps_per_epoch,
            epochs=3,
            verbose=0,
        ).history

    history = run(workers=0)
    assert len(history["loss"]) == 3
    _assert_equal_histories(run(workers=2), history, rtol=0)


@pytest.mark.slow
def test_a_user_script_of_ten_lines(store):
    model = DDR((16, 16, 3), static_dim=4, filters=4, pair_filters=4)
    model.compile(keras.optimizers.Adam(1e-3))
    history = model.fit(
        FrameSets(store, batch_size=4),
        validation_data=FrameSets(store, split="val", batch_size=4, fixed=True),
        epochs=2,
        verbose=0,
        callbacks=[keras.callbacks.TerminateOnNaN()],
    )
    assert np.isfinite(history.history["val_loss"]).all()


# --- other arrays ---


def _halves(sets):
    """Frames in bfloat16 as a tensor of the backend, and the same as an array."""
    floats = keras.ops.convert_to_tensor(sets.astype("float32") / 255)
    halves = keras.ops.cast(floats, "bfloat16")
    return halves, keras.ops.convert_to_numpy(keras.ops.cast(halves, "float32"))


def test_bfloat16_and_tensors_of_the_backend(small, sets, tmp_path):
    halves, rounded = _halves(sets)
    model = small()
    assert checks.check_sets(halves, (16, 16, 3), 3, "x") is halves
    np.testing.assert_array_equal(
        model.encode(halves[0]).static.mean, model.encode(rounded[0]).static.mean
    )
    store = write_arrays(tmp_path / "store", halves)
    np.testing.assert_array_equal(store.frames(2), np.rint(rounded[2] * 255))


def test_tensors_with_a_gradient(tmp_path):
    torch = pytest.importorskip("torch")
    frames = torch.rand((2, 3, 16, 16, 1), requires_grad=True)
    store = write_arrays(tmp_path / "store", frames)
    expected = np.rint(frames.detach().numpy() * 255)
    np.testing.assert_array_equal(store.frames(1), expected[1])


@pytest.mark.slow
def test_a_model_is_fitted_to_bfloat16(small, sets):
    halves, rounded = _halves(sets)
    losses = []
    for x in (halves, rounded):
        model = small()
        model.compile(keras.optimizers.SGD(0.0))
        losses.append(model.fit(x, batch_size=4, verbose=0).history["loss"][0])
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


# --- bad input ---


def _bad(sets):
    floats = sets.astype("float32") / 255
    nan = floats.copy()
    nan[0, 0, 0, 0, 0] = np.nan
    return {
        "float frames of 0 to 255": (sets.astype("float32"), "floats must lie in"),
        "negative": (floats - 0.5, "floats must lie in"),
        "NaN": (nan, "NaN or infinity"),
        "integers above 255": (sets.astype("int32") * 2, "0 to 255"),
        "N": (sets[:, :2], "sets of 2 frames"),
        "no sets": (sets[:, 0], "this model takes sets of frames"),
        "channels": (sets[..., :1], "this model takes sets of frames"),
        "empty": (sets[:0], "is empty"),
        "text": (np.full(sets.shape, "a"), "has dtype"),
    }


@pytest.mark.parametrize("case", list(_bad(np.zeros((2, 3, 4, 4, 3), "uint8"))))
def test_bad_frames_are_refused_in_one_line(small, sets, case):
    x, message = _bad(sets)[case]
    model = small()
    model.compile()
    for call in (
        lambda: model.fit(x, verbose=0),
        lambda: model.evaluate(x, verbose=0),
        lambda: model.predict(x, verbose=0),
        lambda: model.fit(sets, validation_data=x, verbose=0),
        lambda: model.fit(iter([(x,)]), verbose=0),
    ):
        with pytest.raises(InputError, match=message) as error:
            call()
        assert "\n" not in str(error.value)


def test_bad_arguments(small, sets):
    model = small()
    with pytest.raises(InputError, match="leave out loss="):
        model.compile(loss="mse")
    model.compile()
    with pytest.raises(InputError, match="DDR learns without labels"):
        model.fit(sets, sets)
    for arguments, message in (
        ({"image_shape": (60, 64, 3)}, "multiples of 16"),
        ({"image_shape": (64, 64)}, r"\(height, width, channels\)"),
        ({"frames_per_set": 1}, "at least 2"),
        ({"static_dim": 0}, "static_dim=0"),
        ({"dynamic_dim": 2.5}, "dynamic_dim=2.5"),
        ({"aggregation": "sum"}, "aggregation='sum'"),
        ({"likelihood": "poisson"}, "likelihood='poisson'"),
    ):
        with pytest.raises(InputError, match=message):
            small(**arguments)


def test_dicts_are_refused(small, sets):
    model = small()
    model.compile()
    with pytest.raises(InputError, match="^x is a dict"):
        model.fit({"frames": sets})
    with pytest.raises(InputError, match="^x yields dicts"):
        model.fit({"frames": part} for part in (sets[:4], sets[4:]))


@pytest.mark.slow
def test_a_generator_of_arrays(small, sets):
    found = []
    for wrapped in (False, True):
        keras.utils.set_random_seed(1)
        model = small()
        model.compile(keras.optimizers.SGD(1e-3))
        parts = (sets[i : i + 4] for i in range(0, 12, 4))
        batches = ((part,) for part in parts) if wrapped else parts
        model.fit(batches, steps_per_epoch=3, verbose=0)
        found.append(model.get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_loader_of_bare_tensors(small, sets):
    torch = pytest.importorskip("torch")
    loader = torch.utils.data.DataLoader(torch.from_numpy(sets), batch_size=4)
    model = small()
    model.compile()
    if keras.backend.backend() == "torch":
        model.fit(loader, verbose=0)
        return
    with pytest.raises(InputError, match=r"^x yields tensors.*TensorDataset"):
        model.fit(loader, verbose=0)


def test_a_list_of_clips_of_several_lengths(small):
    model = small()
    model.compile()
    clips = [np.zeros((length, 16, 16, 3), "uint8") for length in (4, 5)]
    with pytest.raises(InputError, match=r"arrays of several shapes.*write_arrays"):
        model.fit(clips)
