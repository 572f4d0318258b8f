"""A class that knows the seam alone goes through every command, as DDR does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_ddr import runs
from keras_ddr.datasets import puppets

_HERE = Path(__file__).resolve().parent
_FIT = ["--model", "own_model:Plain", "--steps", "40", "--batch-size", "4"]


def _command(arguments, backend):
    environment = {**os.environ, "KERAS_BACKEND": backend, "DDR_IMPORT": "own_model"}
    environment["PYTHONPATH"] = str(_HERE)
    return subprocess.Popen(
        [sys.executable, "-m", "ddr_cli.main", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run(arguments, backend):
    process = _command(arguments, backend)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def _kill_after_a_checkpoint(arguments, run, backend):
    process = _command(arguments, backend)
    end = time.monotonic() + 240
    while not list(run.glob("checkpoint/epoch-000001*.keras")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize(
    "backend",
    [
        "tensorflow",
        pytest.param("jax", marks=pytest.mark.slow),
        pytest.param("torch", marks=pytest.mark.slow),
    ],
)
def test_a_model_of_ones_own_goes_through_every_command(backend, tmp_path):
    if backend != "tensorflow":
        pytest.importorskip(backend)
    store, whole, run = (tmp_path / name for name in ("store", "whole", "run"))
    puppets.prepare(store, identities=30, size=32, arms=4, legs=3)
    fit = ["fit", store, *_FIT, "--save-every", 10, "--out"]
    _run([*fit, whole], backend)
    _kill_after_a_checkpoint([*fit, run], run, backend)
    _run(["fit", "--resume", run], backend)
    # Exactly resumed: the same history, but for the seconds, the last column.
    one, other = (
        [line.rsplit(",", 1)[0] for line in (p / "history.csv").open()]
        for p in (whole, run)
    )
    assert one == other and one[0].startswith("epoch,step,loss,val_loss")
    only = ["--only", "reconstruction", "--only", "probes", "--only", "likelihood"]
    text = _run(["evaluate", run, store, *only, "--sequences", 6], backend)
    assert "reconstruction" in text and "likelihood" in text
    for kind in ("reconstruction", "manifold", "swap", "latent"):
        _run(["plot", kind, run, store, tmp_path / f"{kind}.png"], backend)
    _run(["explore", run, store, tmp_path / "page.html"], backend)
    _run(["encode", run, store, tmp_path / "codes.csv"], backend)
    _run(["events", run, store, tmp_path / "events.csv"], backend)
    _run(["verify", run], backend)
    assert runs.Run.open(run).config["model"]["class_name"] == "Plain"


def test_an_option_that_a_class_lacks_is_refused(tmp_path):
    process = _command(
        ["fit", tmp_path, *_FIT, "--filters", 3, "--out", tmp_path / "run"],
        "tensorflow",
    )
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "--filters: Plain has no such setting" in output
