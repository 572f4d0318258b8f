"""Export, subclasses and precision: what users of Keras do with a model."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ddr import DDR, InputError

pytestmark = pytest.mark.backend

_BACKEND = keras.backend.backend()
_SIZES = {"static_dim": 2, "filters": 4, "pair_filters": 4, "hidden_units": 4}


@keras.saving.register_keras_serializable(package="tests")
class Labelled(DDR):
    """Parts of its own, made last: a head for labels of sequences, and their error."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.head = keras.layers.Dense(1)
        self.error = keras.metrics.Mean("error")

    def call(self, frames, training=None):
        outputs = super().call(frames, training=training)
        return {**outputs, "label": self.head(outputs["static_mean"])[:, 0]}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        loss = super().compute_loss(x, None, y_pred, sample_weight, **kwargs)
        error = ops.mean(ops.square(y_pred["label"] - ops.cast(y, "float32")))
        self.error.update_state(error)
        return loss + 1000.0 * error


@pytest.mark.slow
def test_a_subclass_adds_parts_and_learns_from_labels(sets, tmp_path):
    keras.utils.set_random_seed(1)
    model = Labelled((16, 16, 3), **_SIZES)
    y = np.full(12, 3.0, "float32")
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(
        sets, y, batch_size=12, epochs=8, verbose=0, validation_data=(sets, y)
    ).history
    assert min(history["error"]) < 0.9 * history["error"][0]
    assert "val_error" in history
    found = model.evaluate(sets, y, verbose=0, return_dict=True)
    outputs = ops.convert_to_numpy(model(sets)["label"])
    assert found["error"] == pytest.approx(np.square(outputs - 3).mean(), rel=0.5)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(
        ops.convert_to_numpy(loaded(sets)["label"]), outputs, atol=1e-5
    )
    plain = DDR((16, 16, 3), **_SIZES)
    plain.compile()
    with pytest.raises(InputError, match="y was given, but DDR learns without labels"):
        plain.fit(sets, y)


def test_a_quantized_model_is_refused(small):
    with pytest.raises(InputError, match=r"quantize\('int8'\): a quantized DDR could"):
        small().quantize("int8")


def test_layers_with_channels_first_are_refused(small):
    encoder = keras.Sequential(
        [keras.layers.Conv2D(4, 3, data_format="channels_first", name="mine")]
    )
    with pytest.raises(InputError, match="frame_encoder: its layer mine takes channe"):
        small(frame_encoder=encoder)


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("arguments", [{}, {"aggregation": "pooled"}])
def test_the_image_data_format_of_keras_changes_nothing(
    small, sets, channels_first, arguments
):
    model = small(decoder="warping", **arguments)
    found = ops.convert_to_numpy(model(sets)["reconstruction_logits"])
    keras.config.set_image_data_format("channels_last")
    other = DDR.from_config(model.get_config())
    other.set_weights(model.get_weights())
    expected = ops.convert_to_numpy(other(sets)["reconstruction_logits"])
    np.testing.assert_array_equal(found, expected)


@pytest.fixture
def floatx(request):
    keras.config.set_floatx(request.param)
    yield request.param
    keras.config.set_floatx("float32")


@pytest.mark.slow
@pytest.mark.parametrize("floatx", ["float16"], indirect=True)
def test_losses_are_float32_whatever_floatx_is(floatx):
    """A sum of 65,520 or more is infinite in float16."""
    keras.utils.set_random_seed(1)  # other weights are up to 12 % away from log 2
    model = DDR((128, 128, 3), **_SIZES, dtype=floatx)
    model.compile(keras.optimizers.SGD(0.0))
    x = np.zeros((2, 3, 128, 128, 3), "uint8")
    history = model.fit(x, batch_size=1, verbose=0).history
    assert history["loss"][0] == pytest.approx(128 * 128 * 9 * np.log(2), rel=0.05)
    tracked = float(model._loss_tracker.result())
    assert tracked == pytest.approx(history["loss"][0], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["bfloat16", "float16", "float64"])
def test_the_norm_of_all_gradients_in_one_precision(sets, policy):
    """The last layer of the decoder is float32 under each policy."""
    moved = []
    for limit in (None, 1e9, 1e-3):
        keras.utils.set_random_seed(0)
        model = DDR((16, 16, 3), **_SIZES, dtype=policy)
        before = [ops.convert_to_numpy(v) for v in model.trainable_variables]
        model.compile(keras.optimizers.SGD(0.1, global_clipnorm=limit))
        model.fit(sets, batch_size=12, verbose=0)
        after = [ops.convert_to_numpy(v) for v in model.trainable_variables]
        pairs = zip(before, after, strict=True)
        squares = [np.square(np.float64(b) - a).sum() for a, b in pairs]
        moved.append(np.sqrt(sum(squares)))
    assert moved[0] == pytest.approx(moved[1], rel=1e-2) and moved[0] > 0.1
    if policy == "float64":  # others lose so small a step
        assert moved[2] == pytest.approx(1e-4, rel=1e-2)


@pytest.mark.skipif(_BACKEND == "torch", reason="Keras writes no SavedModel there")
@pytest.mark.slow
def test_a_loaded_model_is_exported_for_frames_as_stores_hold_them(
    small, sets, tmp_path
):
    import tensorflow as tf

    small().save(tmp_path / "m.keras")
    model = keras.saving.load_model(tmp_path / "m.keras")
    model.export(tmp_path / "served", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "served"))  # holds the variables
    served = loaded.serve(sets)
    assert sets.dtype == np.uint8
    for name, values in model(sets).items():
        expected = ops.convert_to_numpy(values)
        np.testing.assert_allclose(served[name].numpy(), expected, atol=1e-4)


@pytest.mark.skipif(_BACKEND != "torch", reason="a format of PyTorch")
def test_a_loaded_model_is_exported_by_torch(small, sets, tmp_path):
    import torch

    small().save(tmp_path / "m.keras")
    model = keras.saving.load_model(tmp_path / "m.keras")
    model.export(tmp_path / "m.pt2", format="torch", verbose=False)
    served = torch.export.load(str(tmp_path / "m.pt2")).module()
    found = served(torch.from_numpy(sets[:1]))
    for name, values in model(sets[:1]).items():
        expected = ops.convert_to_numpy(values)
        np.testing.assert_allclose(
            found[name].detach().numpy(), expected, atol=1e-4, err_msg=name
        )
