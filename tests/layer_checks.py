"""One check that every layer of the package has to pass."""

import keras
import numpy as np
from keras import ops


def check_layer(layer, *inputs, weights, tmp_path, training_step=True):
    """Serialisation, building, shapes, weights, saving, mixed precision, a step.

    Args:
        layer: A fresh layer.
        *inputs: NumPy arrays for `layer.call`, batch first.
        weights: Expected number of trainable weights.
        tmp_path: Folder for the saved model.
        training_step: Whether the layer has weights to train.
    """
    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()

    # Inside a functional model that is saved and loaded.
    symbols = [keras.Input(x.shape[1:], dtype=str(x.dtype)) for x in inputs]
    model = keras.Model(symbols, layer(*symbols))
    assert len(layer.trainable_weights) == weights
    expected = model.predict_on_batch(list(inputs))
    model.save(tmp_path / "layer.keras")
    loaded = keras.models.load_model(tmp_path / "layer.keras")
    if not _is_random(layer):
        _assert_equal(loaded.predict_on_batch(list(inputs)), expected)
    declared = [tuple(output.shape[1:]) for output in model.outputs]
    assert declared == [x.shape[1:] for x in _flat(expected)]

    # Mixed precision: finite, and what is said to be float32 is.
    half = type(layer).from_config({**layer.get_config(), "dtype": "mixed_bfloat16"})
    for output in _flat(half(*[ops.convert_to_tensor(x) for x in inputs])):
        assert np.isfinite(_numpy(output)).all()

    if training_step:
        before = [_numpy(w) for w in layer.trainable_weights]
        outputs = _flat(expected)
        model.compile("sgd", loss=["mse"] * len(outputs))
        targets = [x + 1 for x in outputs]
        model.train_on_batch(list(inputs), targets if len(targets) > 1 else targets[0])
        for old, weight in zip(before, layer.trainable_weights, strict=True):
            assert np.abs(_numpy(weight) - old).max() > 0, weight.path
    return expected


def _is_random(layer):
    return any(
        isinstance(value, keras.random.SeedGenerator) for value in vars(layer).values()
    )


def _numpy(x):
    return ops.convert_to_numpy(ops.cast(x, "float32"))


def _flat(outputs):
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def _assert_equal(one, other):
    for a, b in zip(_flat(one), _flat(other), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
