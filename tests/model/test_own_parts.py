"""Stock Keras layers as parts of DDR."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_ddr import DDR, layers

pytestmark = pytest.mark.backend

_LOADER = """
import sys
import numpy as np
from keras_ddr import runs
model = runs.load_model(sys.argv[1])
codes = model.encode(np.load(sys.argv[2]))
np.savez(sys.argv[3], codes.static.mean, codes.dynamic.mean)
"""


def _stock_encoder():
    return keras.Sequential(
        [
            keras.layers.Conv2D(6, 4, strides=4, padding="same", activation="relu"),
            keras.layers.Conv2D(5, 4, strides=2, padding="same", activation="relu"),
        ]
    )


def _stock_decoder():
    return keras.Sequential(
        [
            keras.layers.Dense(4 * 4 * 6, activation="relu"),
            keras.layers.Reshape((4, 4, 6)),
            keras.layers.Conv2DTranspose(3, 4, strides=4, padding="same"),
        ]
    )


@pytest.mark.slow
def test_stock_layers_train_save_and_load_elsewhere(small, sets, tmp_path):
    model = small(frame_encoder=_stock_encoder(), frame_decoder=_stock_decoder())
    before = [np.array(w) for w in model.frame_encoder.get_weights()]
    model.compile(keras.optimizers.Adam(1e-2))
    history = model.fit(sets, batch_size=4, epochs=3, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    for a, b in zip(before, model.frame_encoder.get_weights(), strict=True):
        assert not np.array_equal(a, b)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "frames.npy", sets[0])
    paths = [tmp_path / n for n in ("model.keras", "frames.npy", "codes.npz")]
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend()}
    command = [sys.executable, "-c", _LOADER, *map(str, paths)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    with np.load(tmp_path / "codes.npz") as found:
        codes = model.encode(sets[0])
        np.testing.assert_allclose(found["arr_0"], codes.static.mean, atol=1e-6)
        np.testing.assert_allclose(found["arr_1"], codes.dynamic.mean, atol=1e-6)


def test_a_stock_encoder_sees_each_frame_alone(small, sets):
    """As its own call on all frames, with the set axis around it."""
    model = small(frame_encoder=_stock_encoder())
    frames = sets / np.float32(255)
    found = keras.ops.convert_to_numpy(model.features(frames))
    alone = model.frame_encoder(frames.reshape(-1, 16, 16, 3))
    expected = keras.ops.convert_to_numpy(alone).reshape(12, 3, 2, 2, 5)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_network_of_vectors_is_a_frame_encoder(small, sets):
    """As those of keras.applications with their top off and pooling."""
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(7, 3, activation="relu")(inputs)
    outputs = keras.layers.GlobalAveragePooling2D()(x)
    model = small(
        frame_encoder=keras.Model(inputs, outputs),
        static_encoder=layers.PooledStaticEncoder(4, 5, 8),
    )
    assert model.features(sets / np.float32(255)).shape == (12, 3, 1, 1, 7)
    assert model.encode(sets[0]).static.mean.shape == (4,)


def test_a_prior_of_stock_layers(small, sets):
    prior = keras.Sequential(
        [keras.layers.Dense(5, activation="relu"), layers.GaussianHead(2)]
    )
    model = small(prior=prior)
    outputs = {k: keras.ops.convert_to_numpy(v) for k, v in model(sets).items()}
    mean, log_variance = map(keras.ops.convert_to_numpy, prior(outputs["static_mean"]))
    np.testing.assert_allclose(outputs["prior_mean"], mean, atol=1e-6)
    np.testing.assert_allclose(outputs["prior_log_variance"], log_variance, atol=1e-6)
    loaded = DDR.from_config(model.get_config())
    assert [w.shape for w in loaded.weights] == [w.shape for w in model.weights]


@pytest.mark.slow
def test_a_part_normalises_by_the_batch_in_training_alone(small, sets):
    norm = keras.layers.BatchNormalization()
    convolution = keras.layers.Conv2D(2, 4, strides=8)
    model = small(frame_encoder=keras.Sequential([convolution, norm]))
    model.compile(keras.optimizers.Adam(1e-3))
    model.evaluate(sets, verbose=0)
    assert not np.asarray(keras.ops.convert_to_numpy(norm.moving_mean)).any()
    model.fit(sets, epochs=1, verbose=0)
    assert np.asarray(keras.ops.convert_to_numpy(norm.moving_mean)).all()
