"""Data and settings that break careless models: never a NaN that nobody hears of."""

import os

import keras
import numpy as np
import pytest

from keras_ddr import DDR
from keras_ddr.data import FrameSets, write_arrays

pytestmark = pytest.mark.backend

# More steps for a closer look.
STEPS = int(os.environ.get("DDR_STRESS_STEPS", "20"))
_RANDOM = np.random.default_rng(0)
_SHAPE = (6, 5, 16, 16, 3)
DATA = {
    "black": np.zeros(_SHAPE, "uint8"),
    "white": np.full(_SHAPE, 255, "uint8"),
    "constant": np.full(_SHAPE, 77, "uint8"),
    "noise": _RANDOM.integers(0, 256, _SHAPE, "uint8"),
    "black and white noise": 255 * _RANDOM.integers(0, 2, _SHAPE, "uint8"),
    "one sequence": _RANDOM.integers(0, 256, (1, *_SHAPE[1:]), "uint8"),
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    return {name: write_arrays(folder / name, frames) for name, frames in DATA.items()}


@pytest.mark.slow
@pytest.mark.parametrize("dynamic_dim", [1, 32])
@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous_bernoulli", "normal"])
def test_training_stays_finite(stores, dynamic_dim, likelihood):
    keras.utils.set_random_seed(0)
    model = DDR(
        (16, 16, 3),
        static_dim=8,
        dynamic_dim=dynamic_dim,
        filters=8,
        pair_filters=8,
        hidden_units=16,
        likelihood=likelihood,
    )
    model.compile(keras.optimizers.Adam(1e-2))
    everything = [*model.variables, *model.optimizer.variables]
    start = [keras.ops.convert_to_numpy(v) for v in everything]
    for name, store in stores.items():
        for variable, value in zip(everything, start, strict=True):
            variable.assign(value)
        # A loss that is not finite would raise.
        history = model.fit(
            FrameSets(store, batch_size=8, steps=STEPS // 2), epochs=2, verbose=0
        ).history
        values = np.array(list(history.values()))
        assert np.isfinite(values).all(), (name, history)
        if likelihood == "bernoulli" and name in ("black", "white", "constant"):
            first, last = history["loss"]
            assert last < first, (name, history)
        assert all(np.isfinite(w).all() for w in model.get_weights()), name
        codes = model.encode(store.frames(0))
        for code in (codes.static, codes.dynamic):
            assert np.isfinite(code.mean).all(), name
            assert np.isfinite(code.log_variance).all(), name
        pictures = model.decode(codes.static.mean, codes.dynamic.mean)
        assert np.isfinite(pictures).all(), name
        assert pictures.min() >= 0, name
        assert pictures.max() <= 1, name
