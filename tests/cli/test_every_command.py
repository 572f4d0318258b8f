"""Every published model goes through every command, as DDR does."""

import json
import os
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from ddr_cli.main import ddr

# Options of `ddr fit` by name, for a training of seconds; with the model of `--init`.
_SMALL = {
    "neural_statistician": (
        "--static-dim 4 --filters 2 --hidden-units 8 --set halve_every=5",
        None,
    ),
    "fhvae": ("--static-dim 4 --dynamic-dim 2 --filters 2 --hidden-units 8", None),
    "dsvae": (
        "--static-dim 3 --dynamic-dim 2 --frames-per-set 4 --filters 2 "
        "--hidden-units 4 --set feature_dim=5",
        None,
    ),
    "drnet": (
        "--static-dim 3 --dynamic-dim 2 --filters 2 --hidden-units 4",
        None,
    ),
    "drnet_prediction": ("--hidden-units 4 --set window=5", "drnet"),
    "mocogan": (
        "--static-dim 3 --dynamic-dim 2 --filters 2 --frames-per-set 4 "
        "--set encoder=true --set categories=1",
        None,
    ),
    "svg": (
        "--dynamic-dim 2 --filters 2 --hidden-units 4 --set past=2 --set future=3 "
        "--set code_dim=4",
        None,
    ),
}
# One process for many commands: most of a command's time goes into loading a backend.
_EACH = """
import json, sys
from ddr_cli.main import ddr
for arguments in json.loads(sys.argv[1]):
    ddr.main(arguments, standalone_mode=False)
"""
_WITH_CODES = sorted(set(_SMALL) - {"svg"})
_OF_ALL = "--steps 8 --save-every 2 --batch-size 4".split()


def _fit(name, begun):
    options, init = _SMALL[name]
    options = ["--model", name, *options.split(), *_OF_ALL]
    return [*options, "--init", str(begun(init))] if init else options


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """Puppets of 16×16 pixels that move."""
    path = tmp_path_factory.mktemp("stores") / "puppets"
    options = "--motion --identities 20 --length 10 --clips 1 --size 16".split()
    result = CliRunner().invoke(ddr, ["preprocess", "puppets", str(path), *options])
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture(scope="session")
def trained(store, tmp_path_factory):
    """A function from a name to a run of that model."""
    runs = {}

    def train(name):
        if name not in runs:
            run = tmp_path_factory.mktemp("runs") / name
            arguments = ["fit", str(store), *_fit(name, train), "--out", str(run)]
            result = CliRunner().invoke(ddr, arguments)
            assert result.exit_code == 0, result.output
            runs[name] = run
        return runs[name]

    return train


def _commands(run, store, folder):
    """Every command on a run, but for `ddr fit`."""
    only = [part for name in ("reconstruction", "probes") for part in ("--only", name)]
    yield ["evaluate", run, store, "--sequences", "6", *only]
    for figure in ("reconstruction", "manifold", "dynamics", "swap", "latent"):
        yield ["plot", figure, run, store, folder / f"{figure}.png"]
    yield ["plot", "samples", run, store, folder / "samples.png"]
    yield ["explore", run, store, folder / "page.html"]
    yield ["encode", run, store, folder / "codes.csv"]
    yield ["events", run, store, folder / "events.csv"]
    yield ["confounds", run, store, "--label", "skin"]
    yield ["verify", run]
    yield ["info", run]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(_SMALL))
def test_a_training_keeps_its_parts(trained, name):
    from keras_ddr.models import MODELS

    header, *rows = (trained(name) / "history.csv").read_text().splitlines()
    assert len(rows) == 4
    assert set(MODELS[name].loss_parts) <= set(header.split(","))


@pytest.mark.slow
@pytest.mark.parametrize("name", _WITH_CODES)
def test_every_command_takes_it(ddr_here, trained, store, tmp_path, name):
    for arguments in _commands(trained(name), store, tmp_path):
        result = ddr_here(*arguments)
        assert result.exit_code == 0, (arguments, result.output)


def _rows(run):
    """history.csv without its last column, the seconds."""
    return [line.rsplit(",", 1)[0] for line in (run / "history.csv").open()]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(_SMALL))
def test_it_is_killed_and_resumed(
    ddr_here, ddr_elsewhere, trained, store, tmp_path, name
):
    """The weights and the history are those of a training that was never stopped."""
    from keras_ddr.runs import load_model

    whole, run = trained(name), tmp_path / "run"
    backend = {"KERAS_BACKEND": keras.backend.backend()}
    fit = ["fit", store, *_fit(name, trained), "--out", run]
    process = ddr_elsewhere.start(*fit, **backend)
    while not list(run.glob("checkpoint/epoch-00000[23].keras")):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    result = ddr_here("fit", "--resume", run)
    assert result.exit_code == 0 and "going on after epoch" in result.output
    assert _rows(run) == _rows(whole)
    one, other = (load_model(path).get_weights() for path in (run, whole))
    assert all((a == b).all() for a, b in zip(one, other, strict=True))


@pytest.mark.slow
def test_files_are_read_on_every_backend(trained, store, tmp_path):
    """Codes are the same wherever a model is read, in processes that know no model."""
    found = []
    for backend in ("tensorflow", "jax", "torch"):
        pytest.importorskip(backend)
        files = {name: str(tmp_path / f"{name}-{backend}.npz") for name in _WITH_CODES}
        first = ["evaluate", str(trained(_WITH_CODES[0])), str(store)]
        commands = [[*first, "--only", "reconstruction", "--sequences", "2"]]
        for name, file in files.items():
            commands.append(["encode", str(trained(name)), str(store), file])
        subprocess.run(
            [sys.executable, "-c", _EACH, json.dumps(commands)],
            env={**os.environ, "KERAS_BACKEND": backend},
            check=True,
        )
        found.append({name: dict(np.load(file)) for name, file in files.items()})
    for other in found[1:]:
        for name in _WITH_CODES:
            for key, values in found[0][name].items():
                if values.dtype.kind == "f":
                    np.testing.assert_allclose(other[name][key], values, atol=1e-4)
                else:
                    np.testing.assert_array_equal(other[name][key], values)


@pytest.mark.slow
@pytest.mark.parametrize("name", _WITH_CODES)
def test_half_precision_gives_a_finite_loss(ddr_here, trained, store, tmp_path, name):
    options = [*_fit(name, trained), "--mixed-precision", "bfloat16"]
    result = ddr_here("fit", store, *options, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output


def test_a_second_stage_without_a_first_is_refused(ddr_here, store, tmp_path):
    arguments = ["fit", store, "--model", "drnet_prediction", "--out", tmp_path / "run"]
    result = ddr_here(*arguments)
    assert result.exit_code == 1
    assert "DrNetPrediction goes on from a trained DrNet; give its run" in result.output
    assert not (tmp_path / "run").exists()
