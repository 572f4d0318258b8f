"""`.keras` files: the same model again, on every backend."""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

_BACKENDS = [
    name for name in ("tensorflow", "jax", "torch") if importlib.util.find_spec(name)
]

_READER = """
import json, sys
import numpy as np, keras, keras_ddr
from keras import ops
folder = sys.argv[1]
model = keras.models.load_model(folder + "/model.keras")
sets = np.load(folder + "/sets.npy")
outputs = model(sets)
parts = model.elbo_parts(sets, outputs)
codes = model.encode(sets.reshape(-1, *sets.shape[2:]))
log_likelihood = model.log_likelihood(sets[0], samples=16, dynamic_samples=2)
print(json.dumps({
    "backend": keras.backend.backend(),
    "jit_compile": model.get_compile_config().get("jit_compile"),
    "static": ops.convert_to_numpy(outputs["static_mean"]).tolist(),
    "dynamic": ops.convert_to_numpy(outputs["dynamic_mean"]).tolist(),
    "encoded": codes.standardized.tolist(),
    "elbo": [float(ops.mean(part)) for part in parts],
    "log_likelihood": log_likelihood.value,
}))
"""


@pytest.mark.parametrize("aggregation", ["concat", "mean"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous_bernoulli", "normal"])
def test_round_trip(small, sets, tmp_path, aggregation, likelihood):
    model = small(aggregation=aggregation, likelihood=likelihood, kl_weight=0.5, seed=4)
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(sets, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    one, other = model.get_config(), loaded.get_config()
    # The likelihood's entry also says how that layer was built.
    assert one.pop("likelihood")["config"] == other.pop("likelihood")["config"]
    assert one == other
    for a, b in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(a), ops.convert_to_numpy(b))
    one, other = model.predict(sets, verbose=0), loaded.predict(sets, verbose=0)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
    assert int(loaded.optimizer.iterations) == 1
    model.save_weights(tmp_path / "only.weights.h5")
    fresh = small(aggregation=aggregation, likelihood=likelihood)
    fresh.compile(keras.optimizers.Adam(1e-3))
    fresh.load_weights(tmp_path / "only.weights.h5")
    assert int(fresh.optimizer.iterations) == 1


def test_the_same_file_on_every_backend(small, sets, tmp_path):
    """Same posterior means, ELBO and log-likelihood wherever the file is read."""
    model = small()
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(sets, epochs=20, verbose=0)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "sets.npy", sets)
    outputs = model(sets)
    elbo = [float(ops.mean(part)) for part in model.elbo_parts(sets, outputs)]
    codes = model.encode(sets.reshape(-1, *sets.shape[2:]))
    value = model.log_likelihood(sets[0], samples=16, dynamic_samples=2).value
    for backend in _BACKENDS:
        result = subprocess.run(
            [sys.executable, "-c", _READER, str(tmp_path)],
            env={**os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
            check=True,
        )
        read = json.loads(result.stdout.splitlines()[-1])
        assert read["backend"] == backend and read["jit_compile"] == "auto"
        for name in ("static", "dynamic"):
            expected = ops.convert_to_numpy(outputs[f"{name}_mean"])
            np.testing.assert_allclose(read[name], expected, atol=1e-4)
        np.testing.assert_allclose(read["encoded"], codes.standardized, atol=1e-3)
        np.testing.assert_allclose(read["elbo"], elbo, rtol=1e-4)
        assert read["log_likelihood"] == pytest.approx(value, rel=1e-4)
