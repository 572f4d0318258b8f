"""`.keras` files: the same model again, on every backend."""

import importlib.util
import json
import os
import subprocess
import sys
import zipfile

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


# A step on the backend that is set, of a model that another one has saved. What was
# written before the optimizer was named by Keras's name is read, too.
_TRAINER = """
import json, pathlib, sys, zipfile
path, writes, hidden = sys.argv[1:]
class Hidden:  # as if it were not installed
    def find_spec(self, name, *_):
        if name.split(".")[0] == hidden:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hidden())
import numpy as np, keras
from keras_ddr import DDR
frames = np.random.default_rng(0).integers(0, 256, (4, 3, 16, 16, 1), "uint8")
if writes:
    model = DDR((16, 16, 1), static_dim=2, filters=2, pair_filters=2, hidden_units=4)
    model.compile(keras.optimizers.Adam(1e-3, clipnorm=1.0))
    model.fit(frames, epochs=3, verbose=0)
    model.save(path)
else:
    model = keras.models.load_model(path)
before = [np.array(keras.ops.convert_to_numpy(v)) for v in model.optimizer.variables]
history = model.fit(frames, verbose=0).history
print(json.dumps({
    "optimizer": [type(model.optimizer).__name__, model.optimizer.clipnorm],
    "steps": int(model.optimizer.iterations),
    "moments": float(sum(abs(v).sum() for v in before[2:])),
    "loss": history["loss"],
}))
"""


def _train(backend, path, writes="", hidden=""):
    result = subprocess.run(
        [sys.executable, "-c", _TRAINER, str(path), writes, hidden],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("writer", _BACKENDS)
def test_training_goes_on_on_every_backend(writer, tmp_path):
    path = tmp_path / "model.keras"
    written = _train(writer, path, writes="yes")
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    optimizer = config["compile_config"]["optimizer"]
    assert optimizer["module"] == "keras.optimizers"
    # Others look for TensorFlow by themselves, and would break without an answer.
    hidden = "torch" if writer == "torch" else ""
    for backend in {*_BACKENDS} - {writer}:
        found = _train(backend, path, hidden=hidden)
        assert found["optimizer"] == ["Adam", 1.0] and found["steps"] == 4
        assert found["moments"] == pytest.approx(written["moments"], rel=1e-5)
        assert np.isfinite(found["loss"]).all()


@pytest.mark.slow
@pytest.mark.backend
def test_an_optimizer_named_by_its_backend_is_read(small, sets, tmp_path):
    """As files were written on PyTorch before."""
    model = small()
    model.compile(keras.optimizers.SGD(1e-3, clipnorm=2.0))
    model.fit(sets, epochs=1, verbose=0)
    config = model.get_compile_config()
    config["optimizer"]["module"] = "keras.src.backend.torch.optimizers.torch_sgd"
    config["optimizer"]["registered_name"] = "SGD"
    model.compile_from_config(config)
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert model.optimizer.clipnorm == 2.0


@pytest.mark.backend
@pytest.mark.parametrize(
    ("aggregation", "likelihood"),
    [
        ("concat", "bernoulli"),
        pytest.param("mean", "continuous_bernoulli", marks=pytest.mark.slow),
        pytest.param("mean", "normal", marks=pytest.mark.slow),
    ],
)
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


@pytest.mark.slow
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
