"""Published models by `ddr fit --model NAME`: every command, kills, half precision."""

import csv
import json
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner

from ddr_cli.main import ddr

pytestmark = pytest.mark.slow

# Options that make a model small enough for a test, by the name of the model.
TINY = {
    "neural_statistician": ["--filters", "2", "--hidden-units", "8"],
    "fhvae": ["--filters", "2", "--hidden-units", "8", "--dynamic-dim", "2"],
}
_FIT = "--static-dim 4 --steps 20 --save-every 10 --batch-size 4 --seed 1".split()
_READER = """
import json, sys
import numpy as np, keras, keras_ddr
from keras_ddr import runs
model = runs.load_model(sys.argv[1])
codes = model.encode(np.load(sys.argv[2]))
images = model.decode(codes.static.mean, codes.dynamic.mean)
print(json.dumps([codes.static.mean.tolist(), codes.dynamic.mean.tolist(),
                  images[0].tolist()]))
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Puppets of 32×32."""
    path = tmp_path_factory.mktemp("stores") / "puppets"
    _run("preprocess", "puppets", path, "--identities", "24", "--size", "32")
    return path


def _run(*arguments):
    result = CliRunner().invoke(ddr, [str(argument) for argument in arguments])
    assert result.exit_code == 0, (arguments, result.output)
    return result.output


def _fit(name, store, out):
    return ["fit", store, "--model", name, *TINY[name], *_FIT, "--out", out]


def _rows(run):
    """history.csv without the seconds."""
    rows = list(csv.DictReader((run / "history.csv").open()))
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


@pytest.fixture(scope="module", params=sorted(TINY))
def fitted(request, store, tmp_path_factory):
    """Name of a model, and a run of it."""
    run = tmp_path_factory.mktemp("runs") / "run"
    _run(*_fit(request.param, store, run))
    return request.param, run


def test_every_command_takes_it(fitted, store, tmp_path):
    _, run = fitted
    assert len(_rows(run)) == 2
    measures = ("likelihood", "reconstruction", "probes", "swap")
    only = [part for name in measures for part in ("--only", name)]
    assert "mean image" in _run("evaluate", run, store, "--sequences", "5", *only)
    for figure in ("reconstruction", "manifold", "dynamics", "swap", "latent"):
        _run("plot", figure, run, store, tmp_path / f"{figure}.png")
    _run("plot", "samples", run, store, tmp_path / "samples.png")
    _run("explore", run, store, tmp_path / "page.html")
    _run("encode", run, store, tmp_path / "codes.csv")
    _run("events", run, store, tmp_path / "events.csv")
    _run("verify", run)
    assert "Model" in _run("info", run) or "model" in _run("info", run)


def test_half_precision_has_a_finite_loss(fitted, store, tmp_path):
    name, _ = fitted
    half = tmp_path / "half"
    _run(*_fit(name, store, half), "--mixed-precision", "bfloat16")
    values = [float(row[k]) for row in _rows(half) for k in ("loss", "val_loss")]
    assert np.isfinite(values).all()


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_killed_at_random_it_ends_as_if_it_was_not(name, store, tmp_path, backend):
    pytest.importorskip(backend)
    whole, run = tmp_path / "whole", tmp_path / "run"
    _elsewhere(backend, *_fit(name, store, whole)).communicate()
    process = _elsewhere(backend, *_fit(name, store, run))
    while not (run / "config.json").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    time.sleep(np.random.default_rng().uniform(0, 4))
    process.kill()
    process.communicate()
    resumed = _elsewhere(backend, "fit", "--resume", run)
    assert resumed.wait() == 0, resumed.communicate()
    assert _rows(run) == _rows(whole)
    one, other = (_read(backend, p, _frames(tmp_path)) for p in (run, whole))
    assert one == other


@pytest.fixture(params=sorted(TINY))
def name(request):
    """Name of a model."""
    return request.param


def test_other_backends_read_its_file(fitted, tmp_path):
    _, run = fitted
    read = {
        backend: _read(backend, run / "model.keras", _frames(tmp_path))
        for backend in ("tensorflow", "jax", "torch")
    }
    for other in ("jax", "torch"):
        for one, found in zip(read["tensorflow"], read[other], strict=True):
            np.testing.assert_allclose(found, one, atol=2e-5)


def _frames(folder):
    frames = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), "uint8")
    np.save(folder / "frames.npy", frames)
    return folder / "frames.npy"


def _elsewhere(backend, *arguments):
    code = "import sys; from ddr_cli.main import ddr; ddr.main(sys.argv[1:])"
    return _python(backend, code, *arguments)


def _read(backend, path, frames):
    output, errors = _python(backend, _READER, path, frames).communicate()
    assert output, errors
    return json.loads(output.splitlines()[-1])


def _python(backend, code, *arguments):
    import os

    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "KERAS_BACKEND": backend},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
