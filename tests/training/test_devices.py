"""Several devices give what one gives, up to the order of sums."""

import importlib.util
import json
import os
import pathlib
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.data import FrameSets, write_arrays
from keras_ddr.datasets import puppets
from keras_ddr.training import devices

# Compiling takes most of the time on JAX.
QUICK = "--xla_backend_optimization_level=0"
SCRIPT = """
import json, os, sys
import numpy as np
import keras
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )
from keras_ddr import DDR, InputError
from keras_ddr.data import FrameSets, FrameStore, write_arrays
from keras_ddr.runs import Run, fit
from keras_ddr.training.devices import on_devices

store, work = sys.argv[1:]
store = FrameStore.open(store)
found = {}
for way in ("none", "auto"):
    keras.utils.set_random_seed(0)
    lines = []
    run = Run.create(
        f"{work}/{way}",
        store,
        "tiny",
        model={"static_dim": 4, "filters": 8, "pair_filters": 8, "hidden_units": 8},
        # A limit that is reached at every step.
        training={"batch_size": 4, "steps": 6, "save_every": 3, "clipnorm": 10.0},
    )
    fit(run, distribute=way, verbose=0, report=lines.append)
    keras.utils.set_random_seed(0)
    with on_devices(way, 4):
        model = DDR(
            store.frame_shape, static_dim=4, filters=8, pair_filters=8, hidden_units=8
        )
        # TensorFlow cannot on two devices, and says so.
        both = keras.optimizers.Adam(1e-3, gradient_accumulation_steps=2)
        refused = ""
        if keras.backend.backend() == "jax":
            model.compile(both)
        else:
            try:
                model.compile(both)
            except InputError as error:
                refused = str(error)
            model.compile(keras.optimizers.Adam(1e-3))
        # 10 sequences: the last batch has 2.
        sets = FrameSets(store, 3, 4, seed=1, pad=way == "auto")
        ragged = model.fit(sets, epochs=2, validation_data=sets, verbose=0).history
    weights = run.model("last").get_weights()
    found[way] = {
        "lines": lines,
        "refused": refused,
        "history": [
            [row[name] for name in sorted(row) if name != "seconds"]
            for row in run.history()
        ],
        "ragged": [ragged[name] for name in sorted(ragged)],
        "weights": [float(np.abs(w).sum()) for w in weights],
    }
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    generator = np.random.default_rng(0)
    frames = generator.integers(256, size=(14, 6, 16, 16, 3), dtype="uint8")
    return write_arrays(
        tmp_path_factory.mktemp("stores") / "S",
        frames,
        splits=["train"] * 10 + ["val"] * 4,
    )


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_two_devices_give_what_one_gives(store, tmp_path, backend):
    if not importlib.util.find_spec(backend):
        pytest.skip(f"{backend} is not installed")
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "XLA_FLAGS": f"--xla_force_host_platform_device_count=2 {QUICK}",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, store.path, tmp_path],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    found = json.loads(result.stdout.splitlines()[-1])
    [line] = [line for line in found["auto"]["lines"] if line.startswith("devices: ")]
    assert line.count(":0") == line.count(":1") == 1
    refused = "gradient_accumulation_steps" if backend == "tensorflow" else ""
    assert found["auto"]["refused"].partition(":")[0] == refused
    for name in ("history", "ragged", "weights"):
        one, two = (np.array(found[way][name], float) for way in ("none", "auto"))
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-4, err_msg=name)


def test_padded_batches_hold_the_same_sets(store):
    plain, padded = (FrameSets(store, 3, 4, seed=1, pad=pad) for pad in (False, True))
    assert len(plain) == len(padded) == 3
    for (x,), (x_padded, nothing, weights) in zip(plain, padded, strict=True):
        assert not nothing.any()
        assert x_padded.shape[0] == len(weights) == 4
        assert weights.tolist() == [1.0] * len(x) + [0.0] * (4 - len(x))
        np.testing.assert_array_equal(x_padded[: len(x)], x)


def test_shards_are_parts_of_one_batch(store):
    whole = FrameSets(store, 3, 4, seed=1, pad=True)
    shards = [FrameSets(store, 3, 4, seed=1, pad=True, shard=(i, 2)) for i in range(2)]
    for batch, first, second in zip(whole, *shards, strict=True):
        for k in (0, 2):
            parts = np.concatenate([first[k], second[k]])
            np.testing.assert_array_equal(parts, batch[k])
    assert FrameSets(store, 3, 4, shard=(1, 2)).with_steps(2).shard == (1, 2)
    for shard, message in (((2, 2), "index < count"), ((0, 3), "multiple of 3")):
        with pytest.raises(InputError, match=message):
            FrameSets(store, 3, 4, shard=shard)


def test_one_device_and_what_is_refused(monkeypatch):
    with devices.on_devices("none", 3) as count:
        assert count == 1
    with (
        pytest.raises(InputError, match="use one of none, auto"),
        devices.on_devices("all", 4),
    ):
        pass
    if keras.backend.backend() == "torch":
        with (
            pytest.raises(InputError, match="no training on several devices for torch"),
            devices.on_devices("auto", 4),
        ):
            pass
        return
    lines = []
    with devices.on_devices("auto", 3, lines.append) as count:
        assert count == 1  # tests run on one
    backend = keras.backend.backend()
    two = (lambda: ["cpu:0", "cpu:1"], None)
    monkeypatch.setitem(devices._SCOPES, backend, two)
    assert len(devices.choose_devices("auto", 4)) == 2
    if backend == "tensorflow":
        with pytest.raises(InputError, match="accumulate: Keras cannot"):
            devices.choose_devices("auto", 4, accumulate=2)
    else:
        assert len(devices.choose_devices("auto", 4, accumulate=2)) == 2
    assert len(lines) == 1 and lines[0].startswith("devices: ")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_hosts_give_what_one_gives(tmp_path):
    """Two processes that speak over the loopback, and one."""
    if not importlib.util.find_spec("jax"):
        pytest.skip("jax is not installed")
    store = puppets.prepare(tmp_path / "S", identities=12, size=16, arms=4, legs=3)
    script = pathlib.Path(__file__).parents[2] / "examples" / "train_on_hosts.py"
    command = [sys.executable, script, store.path, "--config", "tiny"]
    command += ["--batch-size", "4", "--steps", "3", "--epochs", "2"]

    def train(hosts):
        addresses = []
        for _ in range(hosts):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                addresses.append(f"127.0.0.1:{free.getsockname()[1]}")
        processes = [
            subprocess.Popen(
                [*command, tmp_path / f"{hosts}.keras"],
                env={
                    **os.environ,
                    "KERAS_BACKEND": "jax",
                    "JAX_PLATFORMS": "cpu",
                    "XLA_FLAGS": QUICK,
                    "KERAS_DISTRIBUTION_JOB_ADDRESSES": ",".join(addresses),
                    "KERAS_DISTRIBUTION_NUM_PROCESSES": str(hosts),
                    "KERAS_DISTRIBUTION_PROCESS_ID": str(host),
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for host in range(hosts)
        ]
        try:
            results = [process.communicate(timeout=300) for process in processes]
        finally:
            for process in processes:
                process.kill()
        for process, (_, errors) in zip(processes, results, strict=True):
            assert process.returncode == 0, errors[-2000:]
        lines = results[0][0].splitlines()
        assert all("epoch" not in output for output, _ in results[1:])
        return [float(line.split()[-1]) for line in lines if "epoch" in line]

    one, two = train(1), train(2)
    assert len(one) == 2
    np.testing.assert_allclose(two, one, rtol=1e-4)
    keras.models.load_model(tmp_path / "2.keras")
