import itertools
import json
import math
import shutil

import keras
import numpy as np
import pytest
from runs.test_fit_callbacks import Seen

from keras_ddr import InputError, runs
from keras_ddr.data import write_arrays
from keras_ddr.runs import folder
from keras_ddr.runs.history import columns

fit_arguments = {"verbose": 0, "report": None}


def names_in(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


@pytest.mark.pictures
def test_a_run_holds_what_the_design_names(create, store):
    """Two epochs and a shorter one, and a row with every part for each."""
    weights = {"kl_weight": 2.0, "static_kl_weight": 0.3}
    seen = Seen()
    run = create(seed=5, objective=weights, training={"steps": 5})
    runs.fit(run, callbacks=[seen], **fit_arguments)
    # Keras is asked to fit twice; callbacks see one training.
    epochs = [(0, True), (1, True), (2, True)]
    assert seen.events == ["begin", *epochs, "end"]
    assert names_in(run.path) == [
        ".lock",
        "SHA256SUMS",
        "checkpoint",
        "checkpoint/epoch-000003.keras",
        "config.json",
        "history.csv",
        "model.keras",
        "samples",
        "samples/step-000002.png",
        "samples/step-000004.png",
        "samples/step-000005.png",
    ]
    config = json.loads((run.path / "config.json").read_text())
    assert config["model"]["class_name"] == "DDR"
    model = config["model"]["config"]
    assert model["image_shape"] == [32, 32, 3]
    assert model["likelihood"]["class_name"] == "Bernoulli"
    assert model["frames_per_set"] == 3
    assert model["seed"] == config["training"]["seed"] == 5
    assert config["training"]["save_every"] == 2
    assert config["backend"] == keras.backend.backend()
    assert config["versions"]["keras"] == keras.__version__
    assert config["store"]["sha256"] == store.meta["sha256"]
    rows = run.history()
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 2), (2, 4), (3, 5)]
    header = (run.path / "history.csv").read_text().splitlines()[0]
    assert header.split(",") == list(columns(run.model().history_keys))
    for row in rows:
        assert all(math.isfinite(value) for value in row.values())
        for prefix in ("", "val_"):
            total = (
                row[prefix + "reconstruction_loss"]
                + 0.6 * row[prefix + "kl_static"]
                + 2.0 * row[prefix + "kl_dynamic"]
            )
            assert row[prefix + "loss"] == pytest.approx(total, rel=1e-4)
    assert rows[-1]["learning_rate"] == pytest.approx(0, abs=1e-9)


@pytest.mark.slow
def test_constant_schedule_keeps_the_learning_rate(create):
    training = {"schedule": "constant", "learning_rate": 3e-4, "steps": 4}
    run = runs.fit(create(training=training), **fit_arguments)
    rates = [row["learning_rate"] for row in run.history()]
    assert rates == pytest.approx([3e-4, 3e-4])


@pytest.mark.slow
def test_the_norm_of_the_gradient_is_limited(create):
    """So low a limit leaves nothing beside Adam's epsilon; 0 limits nothing."""

    def moved(clipnorm):
        weights = []
        for steps in (1, 3):
            training = {"clipnorm": clipnorm, "steps": steps, "schedule": "constant"}
            training["optimizer"] = "adam"
            run = create(f"run-{clipnorm}-{steps}", training=training)
            assert run.config["training"]["clipnorm"] == (clipnorm or None)
            model = runs.fit(run, **fit_arguments).model("last")
            weights.append(model.get_weights())
        return max(np.abs(a - b).max() for a, b in zip(*weights, strict=True))

    assert moved(1e-12) < 1e-6
    assert moved(0) > 1e-3


@pytest.mark.slow
def test_the_limit_is_that_of_all_weights_together(create):
    """Adam's first mean of the gradient is a tenth of what it was given."""
    training = {"clipnorm": 1e-2, "steps": 1, "save_every": 1, "schedule": "constant"}
    training["optimizer"] = "adam"
    model = runs.fit(create(training=training), **fit_arguments).model("last")
    means = [
        keras.ops.convert_to_numpy(variable)
        for variable in model.optimizer.variables
        if "momentum" in variable.path
    ]
    assert len(means) == len(model.trainable_variables)
    norm = np.sqrt(sum(np.sum(np.square(mean)) for mean in means))
    assert norm == pytest.approx(0.1 * 1e-2, rel=1e-3)


class Weights(keras.callbacks.Callback):
    """The first weight after each step."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        weight = self.model.trainable_variables[0]
        self.seen.append(keras.ops.convert_to_numpy(weight).copy())


@pytest.mark.slow
def test_the_gradients_of_several_steps_are_one(create):
    weights = Weights()
    training = {"accumulate": 3, "steps": 6, "save_every": 6, "schedule": "constant"}
    runs.fit(create(training=training), callbacks=[weights], **fit_arguments)
    changed = [
        not np.array_equal(one, other)
        for one, other in itertools.pairwise(weights.seen)
    ]
    # After the third step and the sixth.
    assert changed == [False, True, False, False, True]


@pytest.mark.slow
def test_the_learning_rate_rises_and_falls(create):
    training = {"schedule": "cosine", "learning_rate": 0.01, "steps": 20}
    run = runs.fit(create(training={**training, "save_every": 1}), **fit_arguments)
    rates = []
    for step in range(1, 21):
        if step < 2:  # a tenth of the steps
            rates.append(0.001 + (0.01 - 0.001) * step / 2)
        else:
            rates.append(0.01 * 0.5 * (1 + np.cos(np.pi * (step - 2) / 18)))
    found = [row["learning_rate"] for row in run.history()]
    assert found == pytest.approx(rates, rel=1e-4, abs=1e-8)


class Spoil(keras.callbacks.Callback):
    """Adds noise to all weights after an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.epoch:
            random = np.random.default_rng(0)
            for weight in self.model.trainable_variables:
                value = keras.ops.convert_to_numpy(weight)
                weight.assign(value + random.normal(0, 1, value.shape))


@pytest.mark.slow
def test_a_worse_model_does_not_take_the_place_of_the_best(create):
    training = {"schedule": "constant", "learning_rate": 1e-4, "steps": 6}
    run = create(training=training)
    runs.fit(run, callbacks=[Spoil(2)], **fit_arguments)
    assert [row["step"] for row in run.history()] == [2, 4, 6]
    assert run.best()["step"] == 4
    assert int(run.model().optimizer.iterations) == 4


@pytest.mark.slow
def test_model_is_the_best_on_val(create):
    # A learning rate this large makes some epochs worse than those before.
    training = {"schedule": "constant", "learning_rate": 0.05, "steps": 12}
    run = runs.fit(create(training=training), **fit_arguments)
    losses = [row["val_loss"] for row in run.history()]
    assert run.best()["val_loss"] == min(losses)
    assert int(run.model().optimizer.iterations) == run.best()["step"]
    assert int(run.model("last").optimizer.iterations) == 12


@pytest.mark.slow
def test_without_val_the_model_is_the_last_and_this_is_said(create, store, tmp_path):
    data = write_arrays(tmp_path / "train-only", [store.frames(i) for i in range(6)])
    lines = []
    run = create(data=data, training={"steps": 4})
    runs.fit(run, verbose=0, report=lines.append)
    assert any("no sequences for validation" in line for line in lines)
    assert [row["val_loss"] for row in run.history()] == [None, None]
    assert int(run.model().optimizer.iterations) == 4


def test_the_model_of_a_run_can_be_loaded_from_folder_or_file(whole, store):
    frames = store.frames(0)
    codes = [
        runs.load_model(path).encode(frames).static.mean
        for path in (whole.path, whole.path / "model.keras")
    ]
    np.testing.assert_array_equal(*codes)


def test_a_folder_that_exists_is_refused(create, tmp_path):
    run = create()
    with pytest.raises(InputError, match="exists; go on with --resume"):
        create()
    (run.path / "notes.txt").write_text("mine")
    again = create(overwrite=True, training={"steps": 4})
    assert again.config["training"]["steps"] == 4
    assert (run.path / "notes.txt").read_text() == "mine"
    other = tmp_path / "photos"
    other.mkdir()
    (other / "a.txt").write_text("mine")
    with pytest.raises(InputError, match="is not a run"):
        create("photos", overwrite=True)
    assert names_in(other) == ["a.txt"]


def test_a_folder_of_other_software_is_not_overwritten(create, tmp_path):
    """Many keep a config.json and checkpoints."""
    other = tmp_path / "bert"
    (other / "checkpoint").mkdir(parents=True)
    (other / "config.json").write_text('{"model_type": "bert", "format": 1}')
    with pytest.raises(InputError, match="is not a run"):
        create("bert", overwrite=True)
    assert names_in(other) == ["checkpoint", "config.json"]


def test_what_would_only_fail_in_training_is_refused_before(create, tmp_path):
    frames = np.zeros((3, 8, 32, 32, 3), "uint8")
    data = [frames[0], frames[1], frames[2][:2]]
    store = write_arrays(tmp_path / "store", data, splits=["train", "val", "val"])
    with pytest.raises(
        InputError, match=r"fewer frames than the 3 of a set: sequence-2 \(2\)"
    ):
        create(data=store)
    with pytest.raises(InputError, match=r"image_shape=\(16, 16, 3\), but the frames"):
        create(model={"image_shape": (16, 16, 3)})
    assert not (tmp_path / "run").exists()


def test_numbers_of_numpy_are_settings(create):
    rate, clipnorm = np.float32(0.5), np.int64(7)
    run = create(training={"learning_rate": rate, "clipnorm": clipnorm})
    assert run.config["training"]["learning_rate"] == 0.5
    assert run.config["training"]["clipnorm"] == 7.0


def test_beta_1_is_that_of_adam_and_older_runs_have_none(create):
    run = create(training={"beta_1": 0})
    assert float(run.restore()[0].optimizer.beta_1) == run.training.beta_1 == 0.0
    del run.config["training"]["beta_1"]
    run.write_config()
    assert runs.Run.open(run.path).training.beta_1 == 0.9


def test_a_checkpoint_that_was_replaced_meanwhile_is_no_damage(
    whole, tmp_path, monkeypatch
):
    """A training saves a newer one while another process looks at the run."""
    path = shutil.copytree(whole.path, tmp_path / "run")
    run = runs.Run.open(path)
    old = run.checkpoint()
    new = old.with_name("epoch-000099.keras")

    def replace(file, *_):
        if old.exists() and file == old:
            old.rename(new)

    load = folder.load_model_file
    monkeypatch.setattr(
        folder, "load_model_file", lambda file: (replace(file), load(file))[1]
    )
    assert run.model("last").count_params() == whole.model("best").count_params()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"training": {"batch_size": 0}}, "batch_size=0"),
        ({"training": {"steps": 1.5}}, "steps=1.5"),
        ({"training": {"learning_rate": -1.0}}, "learning_rate=-1.0"),
        ({"training": {"learning_rate": math.nan}}, "learning_rate=nan"),
        ({"training": {"schedule": "linear"}}, "schedule='linear'"),
        ({"training": {"clipnorm": -1.0}}, "clipnorm=-1.0"),
        ({"training": {"accumulate": 9, "steps": 8}}, "would never change"),
        ({"training": {"clipnorm": math.inf}}, "clipnorm=inf"),
        ({"training": {"beta_1": 1}}, "beta_1=1; it must be below 1"),
        ({"training": {"lr": 1e-2}}, "'lr' is not known; use .*learning_rate"),
        ({"model": {"aggregation": "sum"}}, "aggregation"),
        ({"model": {"frames_per_set": 13}}, "12"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(
    create, tmp_path, arguments, message
):
    with pytest.raises(InputError, match=message):
        create("bad", **arguments)
    assert not (tmp_path / "bad").exists()


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run(create):
    training = {"schedule": "constant", "learning_rate": 1e30}
    run = create(training=training)
    with pytest.raises(InputError, match="smaller learning rate"):
        runs.fit(run, **fit_arguments)
    assert run.history() == []


def test_opening_what_is_not_a_run(create, tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        runs.Run.open(tmp_path / "missing")
    with pytest.raises(InputError, match="has no config.json"):
        runs.Run.open(tmp_path)
    run = create()
    with pytest.raises(InputError, match="no trained model yet"):
        run.model()
    with pytest.raises(InputError, match="which='worst'"):
        run.model("worst")
    (run.path / "config.json").write_text("{")
    with pytest.raises(InputError, match="config.json: cannot be read"):
        runs.Run.open(run.path)


def test_a_damaged_model_is_named(whole, tmp_path):
    path = shutil.copytree(whole.path, tmp_path / "run")
    content = (path / "model.keras").read_bytes()
    (path / "model.keras").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="model.keras cannot be loaded"):
        runs.Run.open(path).model()


def test_a_store_of_another_shape_is_refused(whole, store, tmp_path):
    frames = np.zeros((2, 4, 16, 16, 3), "uint8")
    other = write_arrays(tmp_path / "other", frames)
    with pytest.raises(InputError, match=r"\(16, 16, 3\)"):
        runs.check_fits(whole.model(), other)
    runs.check_fits(whole.model(), store)
