"""What users change of the loss: schedules, added losses, other terms, frozen parts."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from keras_ddr import DDR, ELBO, InputError
from keras_ddr.layers import ConditionalGaussianPrior

pytestmark = pytest.mark.backend


class _Schedule(keras.callbacks.Callback):
    def __init__(self, name, values):
        super().__init__()
        self.name, self.values = name, values

    def on_epoch_begin(self, epoch, logs=None):
        changed = {self.name: self.values[epoch]}
        self.model.objective = dataclasses.replace(self.model.objective, **changed)


def _trained(model, sets, epochs=3, callbacks=None):
    model.compile(keras.optimizers.SGD(1e-3))
    history = model.fit(
        sets,
        batch_size=4,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        validation_data=sets[:4],
        callbacks=callbacks,
    ).history
    return history, [ops.convert_to_numpy(v) for v in model.trainable_variables]


def _same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kl_weight", "free_bits"])
def test_a_weight_may_change_between_epochs(small, sets, name):
    """An epoch with a weight is what a training with it from there on would be."""
    values = [0.0, 0.0, 50.0]
    keras.utils.set_random_seed(1)
    constant, without = _trained(small(**{name: 0.0}), sets)
    keras.utils.set_random_seed(1)
    changed, weights = _trained(
        small(**{name: 0.0}), sets, callbacks=[_Schedule(name, values)]
    )
    for key in ("kl_dynamic", "reconstruction_loss"):
        np.testing.assert_allclose(changed[key][:2], constant[key][:2], rtol=1e-5)
    assert not _same(weights, without)
    # As if training had stopped, and gone on with another model of the same state.
    keras.utils.set_random_seed(1)
    first = small(**{name: 0.0})
    first.compile(keras.optimizers.SGD(1e-3))
    first.fit(sets, batch_size=4, epochs=2, shuffle=False, verbose=0)
    second = DDR.from_config(first.get_config())
    second.objective = ELBO(**{name: 50.0})
    second.set_weights(first.get_weights())
    second.sampling.training_stream.state.assign(first.sampling.training_stream.state)
    _, expected = _trained(second, sets, epochs=1)
    for a, b in zip(weights, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


class Penalised(ConditionalGaussianPrior):
    """A prior that adds a loss."""

    penalty = 0.0

    def call(self, static):
        mean, log_variance = super().call(static)
        self.add_loss(self.penalty * ops.sum(ops.square(mean - 1.0)))
        return mean, log_variance


@pytest.mark.slow
def test_losses_that_layers_add_are_trained_on_and_shown(small, sets):
    found = {}
    for penalty in (0.0, 1.0):
        keras.utils.set_random_seed(1)
        prior = Penalised(2, 8, name="prior")
        prior.penalty = penalty
        found[penalty] = _trained(small(prior=prior), sets)
    assert not _same(found[0.0][1], found[1.0][1])
    history = found[1.0][0]
    for prefix in ("", "val_"):
        parts = (
            np.array(history[f"{prefix}reconstruction_loss"])
            + history[f"{prefix}kl_static"]
            + history[f"{prefix}kl_dynamic"]
        )
        assert (np.array(history[f"{prefix}loss"]) > parts + 1e-2).all()
    # Nothing was added by the other one.
    plain, _ = _trained(small(), sets, epochs=1)
    expected = sum(
        plain[n][0] for n in ("reconstruction_loss", "kl_static", "kl_dynamic")
    )
    assert plain["loss"][0] == pytest.approx(expected, rel=1e-6)


class Shifted(DDR):
    def compute_loss(self, *args, **kwargs):
        return super().compute_loss(*args, **kwargs) + 1e6


@pytest.mark.slow
def test_a_loss_of_ones_own_is_shown(small, sets):
    model = Shifted.from_config(small().get_config())
    history, _ = _trained(model, sets, epochs=1)
    assert history["loss"][0] > 1e6 and history["val_loss"][0] > 1e6
    assert model.evaluate(sets, verbose=0, return_dict=True)["loss"] > 1e6
    # Sets that only fill up a batch do not count.
    model = Shifted.from_config(small().get_config())
    model.compile(keras.optimizers.SGD(0.0))
    weights = np.array([1.0] * 4 + [0.0] * 4 + [1.0] * 4, "float32")
    found = model.fit(
        sets, sample_weight=weights, batch_size=4, shuffle=False, verbose=0
    ).history
    assert found["loss"][0] == pytest.approx(
        1e6
        + found["reconstruction_loss"][0]
        + found["kl_static"][0]
        + found["kl_dynamic"][0],
        rel=1e-6,
    )


@keras.saving.register_keras_serializable(package="tests")
class Raised(ELBO):
    def kl_terms(self, outputs):
        dynamic, static = super().kl_terms(outputs)
        return dynamic + 1.0, static


def test_other_kl_terms_reach_the_loss_and_its_parts(small, sets):
    model = small()
    other = DDR.from_config(model.get_config())
    other.set_weights(model.get_weights())
    other.compile(objective=Raised(kl_weight=1.0))
    outputs = model(sets)
    parts = [ops.convert_to_numpy(p) for p in model.elbo_parts(sets, outputs)]
    found = [ops.convert_to_numpy(p) for p in other.elbo_parts(sets, outputs)]
    # One nat for each of the three frames and each of the two numbers of z.
    np.testing.assert_allclose(found[1], parts[1] + 6, rtol=1e-6)
    loss = [float(m.compute_loss(sets, None, outputs)) for m in (model, other)]
    assert loss[1] - loss[0] == pytest.approx(6, abs=2e-3)


def test_an_objective_is_saved_with_the_model(small, tmp_path):
    model = small()
    model.compile(objective=Raised(kl_weight=3.0, free_bits=0.5))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.objective == Raised(kl_weight=3.0, free_bits=0.5)


@pytest.mark.slow
def test_frozen_parts_stay_frozen_in_files(small, sets, tmp_path):
    model = small()
    model.frame_encoder.trainable = False
    model.prior.trainable = False
    before = model.frame_encoder.get_weights()
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(sets, batch_size=4, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not loaded.frame_encoder.trainable and not loaded.prior.trainable
    assert loaded.frame_decoder.trainable
    assert int(loaded.optimizer.iterations) == int(model.optimizer.iterations) == 3
    loaded.fit(sets, batch_size=4, epochs=1, verbose=0)
    assert _same(before, loaded.frame_encoder.get_weights())
    assert not _same(
        model.frame_decoder.get_weights(), loaded.frame_decoder.get_weights()
    )
    assert "frozen" not in small().get_config()


@pytest.mark.parametrize("name", ["metrics", "weighted_metrics", "loss_weights"])
def test_metrics_are_refused(small, name):
    with pytest.raises(InputError, match=f"leave out {name}="):
        small().compile(**{name: ["mse"]})
