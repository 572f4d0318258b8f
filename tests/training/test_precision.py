"""Half precision, averaged gradients and kept memory."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from keras_ddr import DDR
from keras_ddr.data import FrameSets, write_arrays

pytestmark = pytest.mark.backend

SMALL = {"static_dim": 4, "filters": 8, "pair_filters": 8, "hidden_units": 8}


def frames(number, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(256, size=(number, 3, 32, 32, 3), dtype="uint8")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_layers_compute_in_half_precision_and_losses_do_not(name, tmp_path):
    keras.utils.set_random_seed(0)
    model = DDR((32, 32, 3), **SMALL, dtype=f"mixed_{name}")
    exact = DDR((32, 32, 3), **SMALL)
    exact.set_weights(model.get_weights())
    x = frames(2)
    outputs = model(x)
    kinds = {k: keras.backend.standardize_dtype(v.dtype) for k, v in outputs.items()}
    assert set(kinds.values()) == {"float32"}
    features = model.frame_encoder(x.astype("float32") / 255)
    assert keras.backend.standardize_dtype(features.dtype) == name
    assert {w.dtype for w in model.trainable_weights} == {"float32"}
    parts = model.elbo_parts(x, outputs)
    for part, wanted in zip(parts, exact.elbo_parts(x, exact(x)), strict=True):
        assert keras.backend.standardize_dtype(part.dtype) == "float32"
        part, wanted = ops.convert_to_numpy(part), ops.convert_to_numpy(wanted)
        np.testing.assert_allclose(part, wanted, rtol=2e-2, atol=2e-2)
    codes = model.encode(x[0])
    assert codes.static.mean.dtype == codes.dynamic.mean.dtype == np.float32
    assert model.decode(codes.static.mean, codes.dynamic.mean).dtype == np.float32
    model.compile()
    history = model.fit(frames(4), batch_size=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.dtype_policy.name == f"mixed_{name}"
    assert loaded.frame_encoder.convolutions[0].compute_dtype == name
    np.testing.assert_array_equal(
        ops.convert_to_numpy(loaded(x)["static_mean"]),
        ops.convert_to_numpy(model(x)["static_mean"]),
    )


@pytest.mark.slow
def test_two_small_batches_give_the_gradient_of_a_large_one():
    """Without random draws: the gradient of a mean is the mean of gradients."""
    x = frames(4)
    found = []
    for batch, together in ((4, None), (2, 2)):
        keras.utils.set_random_seed(0)
        model = DDR((32, 32, 3), **SMALL)
        model.sampling.call = lambda mean, *_, **__: mean
        before = [np.array(w) for w in model.get_weights()]
        model.compile(keras.optimizers.SGD(1e-4, gradient_accumulation_steps=together))
        model.fit(x, batch_size=batch, shuffle=False, verbose=0)
        after = model.get_weights()
        found.append([a - b for a, b in zip(after, before, strict=True)])
    assert max(np.abs(part).max() for part in found[0]) > 1e-4
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-6)


_FAULTS = """
import resource, sys, threading
import numpy as np
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def count():
    for _ in range(3): np.ones(1 << 24)
    before = faults()
    for _ in range(10): np.ones(1 << 24)
    return faults() - before
"""
_CALLED = """
from keras_ddr.training.memory import keep_freed_memory
print(keep_freed_memory(), count())
"""
_TRAINED = """
import keras
from keras_ddr import DDR
from keras_ddr.data import FrameSets, FrameStore, write_arrays
frames = np.zeros((2, 3, 16, 16, 3), "uint8")
store = write_arrays(sys.argv[1], frames)
model = DDR((16, 16, 3), static_dim=2, filters=2, pair_filters=2, hidden_units=2)
model.compile("adam")
model.fit(FrameSets(store, 3, 2), verbose=0)
counted = []
thread = threading.Thread(target=lambda: counted.append(count()))
if keras.backend.backend() != "jax": thread.run()
else: thread.start(); thread.join()  # where JAX computes
print(True, *counted)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
@pytest.mark.slow
@pytest.mark.parametrize("code", [_CALLED, _TRAINED], ids=["called", "by training"])
def test_freed_memory_is_kept_unless_the_user_says_how(tmp_path, code):
    found = []
    for number, extra in enumerate(({}, {"MALLOC_ARENA_MAX": "2"})):
        environment = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith("MALLOC_") and k not in ("GLIBC_TUNABLES", "LD_PRELOAD")
        }
        result = subprocess.run(
            [sys.executable, "-c", _FAULTS + code, str(tmp_path / str(number))],
            env={**environment, **extra},
            capture_output=True,
            text=True,
            check=True,
        )
        kept, faults = result.stdout.split()
        found.append((kept, int(faults)))
    if found[0][0] == "False":
        pytest.skip("this C library is not glibc")
    # 10 arrays of 128 MB are at least 640 faults of 2 MB pages, and none where kept.
    assert 4 * found[0][1] < found[1][1]
    assert code == _TRAINED or found[1][0] == "False"


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="datasets of TensorFlow only"
)
def test_datasets_are_not_tuned_unless_the_user_says_so(tmp_path, monkeypatch):
    import tensorflow as tf

    from keras_ddr.training import tensorflow_step

    class Seen(tensorflow_step._Untuned):
        def experimental_distribute_dataset(self, dataset):
            dataset = super().experimental_distribute_dataset(dataset)
            seen.append(dataset.options().autotune.enabled)
            return dataset

    monkeypatch.setattr(tensorflow_step, "_Untuned", Seen)
    frames = np.zeros((4, 3, 32, 32, 3), "uint8")
    sets = FrameSets(write_arrays(tmp_path / "s", frames), 3, 2)
    tuned = tf.data.Options()
    tuned.autotune.enabled = True
    own = tf.data.Dataset.from_tensor_slices((frames,)).batch(2)
    model = DDR((32, 32, 3), **SMALL)
    model.compile("adam")
    for data, expected in (
        (sets, False),
        (frames, False),
        (own, False),
        (own.with_options(tuned), True),
    ):
        seen = []
        model.fit(data, verbose=0)
        model.evaluate(data, verbose=0)
        assert seen == [expected, expected]
