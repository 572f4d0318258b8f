"""A loss that is not finite stops training; a code that is not used is told of."""

import math
import warnings

import keras
import numpy as np
import pytest

from keras_ddr import DDR, ELBO, LossNotFinite, runs
from keras_ddr.training.callbacks import LossWatch

pytestmark = pytest.mark.backend


def _model(objective=None, **arguments):
    keras.utils.set_random_seed(1)
    sizes = {"static_dim": 4, "filters": 4, "pair_filters": 4, "hidden_units": 8}
    model = DDR((16, 16, 3), **{**sizes, **arguments})
    model.compile(keras.optimizers.Adam(1e-3), objective)
    return model


def _sets(count, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, 3, 16, 16, 3), "uint8")


class Break(keras.callbacks.Callback):
    """Puts a value into a bias after a step."""

    def __init__(self, step, part, value=math.nan):
        super().__init__()
        self.left, self.part, self.value = step, part, value

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            bias = getattr(self.model, self.part).weights[-1]
            bias.assign(np.full(bias.shape, self.value, "float32"))


@pytest.mark.parametrize(
    ("step", "at"),
    [
        (3, (1, 4)),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in ((24, (1, 24)), (23, (1, 24)), (30, (2, 7)))
        ),
    ],
)
def test_the_first_bad_step_is_named(step, at):
    seen = []
    after = keras.callbacks.LambdaCallback(on_epoch_end=lambda e, logs: seen.append(e))
    with pytest.raises(LossNotFinite) as error:
        _model().fit(
            _sets(24),
            batch_size=1,
            epochs=3,
            verbose=0,
            callbacks=[Break(step, "static_encoder"), after],
        )
    assert (error.value.epoch, error.value.step) == at
    assert f"at step {at[1]} of epoch {at[0]}" in str(error.value)
    assert len(seen) == at[0] - 1
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("part", "parts"),
    [
        # The prior is in one part of the loss only, the decoder in another.
        pytest.param("prior", {"kl_dynamic"}, marks=pytest.mark.slow),
        pytest.param("frame_decoder", {"reconstruction_loss"}, marks=pytest.mark.slow),
        ("frame_encoder", {"kl_dynamic", "reconstruction_loss"}),
    ],
)
def test_the_part_of_the_loss_is_named(part, parts):
    with pytest.raises(LossNotFinite) as error:
        _model().fit(_sets(8), batch_size=2, verbose=0, callbacks=[Break(1, part)])
    assert parts <= set(error.value.values)
    assert all(f"{name} is nan" in str(error.value) for name in parts)


def test_a_broken_weight_is_found_whatever_the_loss_shows():
    """Kernels of some processors make 0 of NaN."""
    model = _model()
    bias = model.static_encoder.pair_convolution.bias
    bias.assign(np.full(bias.shape, math.nan, "float32"))
    watch = LossWatch()
    watch.set_model(model)
    watch.on_train_begin()
    watch.on_epoch_begin(4)
    watch.on_train_batch_end(0, {"loss": 1.0})
    with pytest.raises(LossNotFinite, match="weight .*pair_convolution/bias is nan"):
        watch.on_epoch_end(4, {"loss": 1.0})


@pytest.mark.slow
def test_infinity_counts_too():
    model = _model(likelihood="normal")
    model.prior.weights[-1].assign([math.inf] * 4)
    with pytest.raises(LossNotFinite) as error:
        model.fit(_sets(4), batch_size=2, verbose=0)
    assert error.value.step == 1


@pytest.mark.slow
def test_after_the_last_step_of_an_epoch_the_validation_shows_it():
    with pytest.raises(LossNotFinite, match="at the validation of epoch 1") as error:
        _model().fit(
            _sets(4),
            batch_size=2,
            verbose=0,
            validation_data=_sets(2),
            callbacks=[Break(2, "prior")],
        )
    assert set(error.value.values) == {"val_kl_dynamic"}


@pytest.mark.slow
def test_several_steps_an_execution_are_counted():
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch executes one step at a time")
    model = _model()
    model.compile("adam", steps_per_execution=4)
    with pytest.raises(LossNotFinite) as error:
        model.fit(
            _sets(48), batch_size=1, verbose=0, callbacks=[Break(2, "static_encoder")]
        )
    # It broke after the second execution; the loss of the next is that of step 12.
    assert error.value.step == 12


@pytest.mark.slow
def test_a_run_keeps_its_last_good_checkpoint(tmp_path):
    from keras_ddr.data import write_arrays

    frames = _sets(12).reshape(12, 3, 16, 16, 3)
    store = write_arrays(tmp_path / "store", frames)
    sizes = {"static_dim": 4, "filters": 4, "pair_filters": 4, "hidden_units": 8}
    sizes["frames_per_set"] = 3
    run = runs.Run.create(
        tmp_path / "run",
        store,
        "tiny",
        model=sizes,
        training={
            "batch_size": 2,
            "steps": 12,
            "save_every": 4,
            "schedule": "constant",
        },
    )
    with pytest.raises(LossNotFinite) as error:
        runs.fit(run, verbose=0, report=None, callbacks=[Break(6, "prior")])
    assert f"step 7 of {run.path}" in str(error.value)
    assert "the checkpoint of step 4 is kept" in str(error.value)
    assert run.checkpoint().name == "epoch-000001.keras"
    assert [row["step"] for row in run.history()] == [4]
    for which in ("best", "last"):
        assert all(np.isfinite(w).all() for w in run.model(which).get_weights())
    # Whatever broke it is gone: it goes on from there.
    runs.fit(run.path, verbose=0, report=None)
    assert [row["step"] for row in run.history()] == [4, 8, 12]


@pytest.mark.slow
def test_weights_that_broke_in_the_last_step_are_not_saved(tmp_path):
    """No validation shows it, and the loss of that step was finite."""
    from keras_ddr.callbacks import SaveAndResume

    model = _model()
    resume = SaveAndResume(tmp_path / "kept")
    with pytest.raises(LossNotFinite, match="step 4 of epoch 2.*weight .* is nan"):
        model.fit(
            _sets(8),
            batch_size=2,
            epochs=3,
            verbose=0,
            shuffle=False,
            callbacks=[Break(8, "prior"), resume],
        )
    assert [path.name for path in (tmp_path / "kept").glob("*.keras")] == [
        "epoch-000001.keras"
    ]
    # Another training does not begin where that one was.
    again = _model()
    again.fit(_sets(2), batch_size=2, verbose=0, callbacks=[resume, Break(9, "prior")])
    history = model.fit(_sets(2), batch_size=2, epochs=2, verbose=0, callbacks=[Heal()])
    assert len(history.epoch) == 2


class Heal(keras.callbacks.Callback):
    """Puts zeros in place of what is not finite."""

    def on_train_begin(self, logs=None):
        for weight in self.model.trainable_variables:
            value = keras.ops.convert_to_numpy(weight)
            weight.assign(np.nan_to_num(value, nan=0.0))


def _warnings(model, data, **arguments):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(data, batch_size=1, verbose=0, **arguments)
    return [str(w.message) for w in caught if "posterior collapse" in str(w.message)]


@pytest.mark.slow
def test_a_code_that_stays_unused_is_told_of_once():
    """Black frames need no code at all, least of all one that is so expensive."""
    model = _model(objective=ELBO(kl_weight=100.0))
    model.compile(keras.optimizers.Adam(1e-2))
    data = np.zeros((60, 3, 16, 16, 3), "uint8")
    lines = _warnings(model, data, epochs=8)
    assert len(lines) == 2
    assert any("the KL of f is 0.0" in line for line in lines)
    assert any("the KL of z is 0.0" in line and "a frame" in line for line in lines)


@pytest.mark.slow
def test_nothing_is_said_in_a_warm_up_nor_after_a_few_steps():
    data = np.zeros((60, 3, 16, 16, 3), "uint8")
    model = _model(objective=ELBO(kl_warmup=10**6, kl_weight=1e6))
    assert _warnings(model, data, epochs=4) == []
    assert _warnings(_model(objective=ELBO(kl_weight=100.0)), data, epochs=2) == []


def test_nothing_is_said_where_codes_are_used():
    watch = LossWatch()
    watch.set_model(_model())
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        watch.on_train_begin()
        for epoch in range(3):
            watch.on_epoch_begin(epoch)
            for batch in range(200):
                watch.on_train_batch_end(batch, {"loss": 3.0})
            watch.on_epoch_end(epoch, {"kl_static": 4.0, "kl_dynamic": 1.5})


def _watched(epochs, frames_per_set=3):
    """What is said of epochs of (steps, KL of z in nats a set)."""
    watch = LossWatch()
    watch.set_model(_model(frames_per_set=frames_per_set))
    watch.on_train_begin()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for epoch, (steps, kl) in enumerate(epochs):
            watch.on_epoch_begin(epoch)
            for batch in range(steps):
                watch.on_train_batch_end(batch, {"loss": 3.0})
            watch.on_epoch_end(epoch, {"kl_static": 4.0, "kl_dynamic": kl})
    return [str(w.message) for w in caught if w.category is UserWarning]


def test_the_kl_of_z_is_that_of_a_frame():
    """0.12 nats of three frames are 0.04 of each, below the limit of 0.05."""
    (said,) = _watched([(200, 0.12)])
    assert "the KL of z is 0.040 nats a frame" in said
    assert not _watched([(200, 0.18)])


def test_a_code_that_was_used_between_begins_anew():
    assert not _watched([(150, 0.0), (150, 1.5), (150, 0.0)])
    assert len(_watched([(150, 0.0), (150, 0.0), (150, 0.0)])) == 1
