"""Parts that work against each other in one step: each gets its own gradient."""

import keras
import numpy as np
import pytest
from keras import ops

import gradients
from keras_ddr.models import PublishedModel
from keras_ddr.models.base import call_frozen, per_frame

pytestmark = pytest.mark.backend


@keras.saving.register_keras_serializable(package="test_base")
class Rivals(PublishedModel):
    """A coder whose codes a judge tells apart, while the coder pleases the judge."""

    loss_parts = ("judge_loss", "coder_loss")

    def __init__(self, image_shape=(16, 16, 1), static_dim=2, seed=0, **kwargs):
        super().__init__(image_shape, seed, {"static_dim": static_dim}, **kwargs)
        self.frames_per_set, self.dynamic_dim = 2, 1
        self.coder = keras.layers.Dense(static_dim, name="coder")
        self.judge = keras.Sequential(
            [keras.layers.BatchNormalization(), keras.layers.Dense(1)], name="judge"
        )
        self._finish()

    def forward_pass(self, frames, training):
        flat = ops.reshape(frames, (-1, 2, 256))
        codes = per_frame(self.coder, flat)[:, 0]
        if not self.judge.built:
            self.judge.build((None, self.static_dim))
        return {
            "seen": self.judge(ops.stop_gradient(codes), training=training),
            "pleased": call_frozen(self.judge, codes, training=bool(training)),
        }

    def parts(self, frames, y, outputs):
        return {
            "judge_loss": ops.square(outputs["seen"][:, 0] - 1),
            "coder_loss": ops.square(outputs["pleased"][:, 0] + 1),
        }


def _numpy(variables):
    return [ops.convert_to_numpy(v) for v in variables]


def _found(model, x, name):
    """Gradients of one part alone for all weights, 0 where it has none."""

    def part():
        value = ops.sum(model.parts(x, None, model(x, training=True))[name])
        return value + 0.0 * model.compute_loss(x, None, model(x))

    return gradients.gradients(part, model)


def test_each_part_gets_the_gradient_that_is_meant_for_it(rng):
    model = Rivals()
    model.compile()
    x = rng.random((4, 2, 16, 16, 1), "float32")
    for name in ("judge", "coder"):
        found = _found(model, x, f"{name}_loss")
        for weight, gradient in zip(model.trainable_weights, found, strict=True):
            assert (np.abs(gradient).max() > 0) == (name in weight.path), weight.path


def test_one_adam_is_as_two(rng):
    """Its first step is the rate, by the sign of the gradient of the own part."""
    x = rng.random((6, 2, 16, 16, 1), "float32")
    model = Rivals()
    model.compile(keras.optimizers.Adam(1e-2, epsilon=1e-12))
    before = _numpy(model.trainable_weights)
    found = {name: _found(model, x, f"{name}_loss") for name in ("judge", "coder")}
    model.fit(x, batch_size=6, shuffle=False, verbose=0)
    for place, weight in enumerate(model.trainable_weights):
        gradient = found["judge" if "judge" in weight.path else "coder"][place]
        # A bias in front of a normalisation has none.
        sure = np.abs(gradient) > 1e-4
        assert sure.any() or weight.path.endswith("coder/bias")
        moved = ops.convert_to_numpy(weight) - before[place]
        expected = -1e-2 * np.sign(gradient)
        np.testing.assert_allclose(moved[sure], expected[sure], atol=2e-6)


def test_the_history_has_its_parts_and_saving_keeps_it(rng, tmp_path):
    model = Rivals()
    model.compile(keras.optimizers.Adam(1e-3))
    x = rng.integers(0, 256, (6, 2, 16, 16, 1), "uint8")
    history = model.fit(x, batch_size=2, verbose=0).history
    assert set(history) == {"loss", "judge_loss", "coder_loss"}
    whole = history["judge_loss"][0] + history["coder_loss"][0]
    assert history["loss"][0] == pytest.approx(whole, rel=1e-5)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    one, other = (_numpy(list(m(x).values())) for m in (model, loaded))
    np.testing.assert_allclose(one, other, atol=1e-6)
    assert loaded.evaluate(x, verbose=0) == pytest.approx(model.evaluate(x, verbose=0))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of its graph")
def test_no_weight_changes_while_a_part_still_works_with_it(rng):
    import tensorflow as tf

    model = Rivals()
    model.compile(keras.optimizers.Adam(0.1))
    frames = tf.constant(rng.random((4, 2, 16, 16, 1), dtype="float32"))
    step = tf.function(lambda x: model.train_step((x,))).get_concrete_function(frames)
    operations = step.graph.get_operations()

    def before(operation):
        """Everything that an operation waits for."""
        found, new = set(), [operation]
        while new:
            this = new.pop()
            # IdentityN, which joins all gradients, is gone from the optimised graph.
            alone = [
                x.op.inputs[x.value_index] if x.op.type == "IdentityN" else x
                for x in this.inputs
            ]
            waits = {*(x.op for x in alone), *this.control_inputs} - found
            found |= waits
            new.extend(waits)
        return found

    changes = {
        op.inputs[0].ref(): before(op)
        for op in operations
        if op.type == "AssignSubVariableOp"
    }
    assert len(changes) == len(model.trainable_weights)
    done = set().union(*(before(x.op) for x in step.graph.outputs), *changes.values())
    for operation in operations:
        if operation.type == "ReadVariableOp" and operation.inputs[0].ref() in changes:
            new = [operation]
            while new:
                users = done & set(new.pop().outputs[0].consumers())
                assert users <= changes[operation.inputs[0].ref()]
                # These hand on the very memory of the weight.
                new += [op for op in users if op.type in ("Identity", "StopGradient")]
