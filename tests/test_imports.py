"""What importing the package needs, and what it leaves alone."""

import importlib.util
import os
import subprocess
import sys

import pytest

_WITHOUT = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
def find_others(name, *arguments):
    return None if name.split(".")[0] in {names!r} else find(name, *arguments)
PathFinder.find_spec = find_others
"""

_TRAIN = """
import numpy as np, keras, sys
from keras_ddr import DDR
model = DDR((16, 16, 1), static_dim=2, filters=4, pair_filters=4, hidden_units=4)
model.compile()
frames = np.zeros((4, 3, 16, 16, 1), "uint8")
model.fit(frames, validation_data=frames, epochs=2, verbose=0)
model.save(sys.argv[1])
loaded = keras.models.load_model(sys.argv[1])
assert loaded.encode(frames[0]).static.mean.shape == (2,)
print("trained on", keras.backend.backend())
"""


def _run(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def _backends():
    return [n for n in ("tensorflow", "jax", "torch") if importlib.util.find_spec(n)]


@pytest.mark.slow
@pytest.mark.parametrize("backend", _backends())
def test_trains_with_the_other_backends_and_cv2_absent(tmp_path, backend):
    others = ({"tensorflow", "jax", "torch"} - {backend}) | {"cv2"}
    code = _WITHOUT.format(names=others) + _TRAIN
    result = _run(code, tmp_path / "model.keras", KERAS_BACKEND=backend)
    assert result.returncode == 0, result.stderr
    assert f"trained on {backend}" in result.stdout


@pytest.mark.backend
def test_import_sets_nothing():
    result = _run(
        "import os, sys, numpy, random, keras, warnings, logging\n"
        "def state():\n"
        "    return (dict(os.environ), random.getstate(), keras.config.floatx(),\n"
        "            str(numpy.random.get_state()), list(warnings.filters),\n"
        "            keras.config.dtype_policy().name, logging.root.level,\n"
        "            list(logging.root.handlers))\n"
        "before = state()\n"
        "import keras_ddr\n"
        "assert state() == before\n"
        "print('unchanged')\n"
    )
    assert "unchanged" in result.stdout, result.stderr


@pytest.mark.slow
def test_a_backend_without_training_is_refused():
    # Keras's numpy backend, which cannot train, needs more than numpy to be imported.
    result = _run(
        "import keras\nkeras.backend.backend = lambda: 'numpy'\nimport keras_ddr"
    )
    assert result.returncode != 0
    assert "set the environment variable KERAS_BACKEND" in result.stderr


def test_every_public_name_exists():
    import keras_ddr
    from keras_ddr import data, evaluation, layers, likelihoods, visualization

    for module in (keras_ddr, data, evaluation, layers, likelihoods, visualization):
        for name in module.__all__:
            assert getattr(module, name) is not None
