"""One script, three backends
==========================

The model is written in Keras's own operations, so that a script which uses it runs on
TensorFlow, JAX and PyTorch. A variable chooses the backend before Keras is imported:

.. code-block:: sh

   python examples/plot_three_backends.py
   KERAS_BACKEND=jax python examples/plot_three_backends.py
   KERAS_BACKEND=torch python examples/plot_three_backends.py

This one trains a little on the backend that it was started with. Then it starts itself
again on every backend that is installed, loads the model there and compares: the bound
on the likelihood (ELBO) and the codes, **f** of each sequence and **z** of each frame.
"""

import importlib.util
import os
import pathlib
import subprocess
import sys

import keras
import matplotlib.pyplot as plt
import numpy as np

from keras_ddr import DDR
from keras_ddr.data import FrameSets, FrameStore
from keras_ddr.datasets import puppets

out = pathlib.Path("out/three_backends")
out.mkdir(parents=True, exist_ok=True)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # of the processes started below

# %%
# The measurements
# ----------------
# No line of this function knows the backend. `encode` and `log_likelihood` draw at
# random with NumPy, so that the draws are the same everywhere. With one sample
# ``log_likelihood`` is an estimate of the ELBO, in nats a frame.


def measure(model, store):
    """Codes, pictures and ELBO of the test split."""
    tests = store.select("test")
    codes = [model.encode(store.frames(sequence.index)) for sequence in tests]
    bounds = [
        model.log_likelihood(store.frames(sequence.index, [0, 7, 20]), samples=1)
        for sequence in tests
    ]
    return {
        "f": np.stack([code.static.mean for code in codes]),
        "z": np.stack([code.dynamic.mean for code in codes]),
        "pictures": model.decode(codes[0].static.mean, codes[0].dynamic.mean),
        "ELBO": np.array([bound.value for bound in bounds]),
    }


# %%
# A process that was started to measure ends here.

if "--measure" in sys.argv:
    loaded = keras.saving.load_model(out / "model.keras")
    found = measure(loaded, FrameStore.open(out / "store"))
    np.savez(out / f"{keras.backend.backend()}.npz", **found)
    sys.exit()

# %%
# Training on one
# ---------------

print("training on", keras.backend.backend())
store = puppets.prepare(
    out / "store", identities=60, size=32, arms=6, legs=4, overwrite=True
)
keras.utils.set_random_seed(0)
model = DDR.from_preset("tiny", image_shape=store.frame_shape)
model.compile(keras.optimizers.Adam(2e-3))
model.fit(FrameSets(store, batch_size=32, steps=50), epochs=2, verbose=2)
model.save(out / "model.keras")

# %%
# Measuring on all
# ----------------

results = {}
for backend in ("tensorflow", "jax", "torch"):
    if importlib.util.find_spec(backend) is None:
        print(backend, "is not installed")
        continue
    subprocess.run(
        [sys.executable, sys.argv[0], "--measure"],
        env={**os.environ, "KERAS_BACKEND": backend},
        check=True,
    )
    with np.load(out / f"{backend}.npz") as file:
        results[backend] = dict(file)
    print(f"{backend}: ELBO {results[backend]['ELBO'].mean():.4f} nats a frame")

# %%
# The largest differences from the first backend: absolute ones of codes and pictures,
# and relative ones of the ELBO, which is more than a thousand nats, while 32-bit floats
# keep seven digits. All stay far below 1e-4.

first, *others = results
differences = {}
print(f"from {first}, at most:")
for backend in others:
    pairs = {
        name: (results[first][name], results[backend][name]) for name in results[first]
    }
    differences[backend] = {
        name: np.abs(a - b).max() / (np.abs(a).max() if name == "ELBO" else 1)
        for name, (a, b) in pairs.items()
    }
    for name, difference in differences[backend].items():
        print(f"{backend:<10} {name:<8} {difference:.1e}")
        assert difference < 1e-4, (backend, name)

# %%
# The left panel shows z of the frames of one test puppet: the marks of the backends lie
# within one another, since they are the same points. The right panel shows the
# differences on a logarithmic scale, far below the promised limit.

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
colours = dict(zip(results, ("0.3", "C0", "C1"), strict=False))
for backend, marker, size in zip(results, "osx", (10, 6, 4), strict=False):
    look = {"color": colours[backend], "fillstyle": "none", "markersize": size}
    left.plot(*results[backend]["z"][0].T, marker, label=backend, **look)
left.set(xlabel="$z_1$ of the frames of one puppet", ylabel="$z_2$")
names = list(results[first])
width = 0.8 / max(1, len(others))
for number, backend in enumerate(others):
    right.bar(
        np.arange(len(names)) + number * width,
        [max(value, 1e-9) for value in differences[backend].values()],
        width,
        color=colours[backend],
        label=backend,
    )
right.axhline(1e-4, color="0.3", linestyle="--", linewidth=1, label="limit")
right.set_xticks(np.arange(len(names)) + width * (len(others) - 1) / 2, names)
right.set(yscale="log", ylim=(1e-9, 1e-3), ylabel=f"largest difference from {first}")
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
figure.savefig(out / "backends.png", dpi=200)
