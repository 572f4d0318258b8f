"""A class that knows the seam alone goes through every command, as DDR does."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

_FIT = ["--model", "own_model:Plain", "--steps", "40", "--batch-size", "4"]
_FIT += ["--save-every", "10", "--out"]
# One process for many commands: most of a command's time goes into loading a backend.
_EACH = """
import json, sys
from ddr_cli.main import ddr
for arguments in json.loads(sys.argv[1]):
    ddr.main(arguments, standalone_mode=False)
"""


def _commands(run, store, folder):
    """Every command on a run, but for `ddr fit`."""
    measures = ("likelihood", "reconstruction", "probes", "swap")
    only = [part for name in measures for part in ("--only", name)]
    yield ["evaluate", run, store, "--sequences", "6", *only]
    for figure in ("reconstruction", "manifold", "dynamics", "swap", "latent"):
        yield ["plot", figure, run, store, folder / f"{figure}.png"]
    yield ["plot", "samples", run, store, folder / "samples.png"]
    for film in ("reconstruction", "swap", "walk"):
        small = ["--frames", "3", "--scale", "1"]
        yield ["render", film, run, store, folder / f"{film}.gif", *small]
    yield ["explore", run, store, folder / "page.html"]
    yield ["encode", run, store, folder / "codes.csv"]
    yield ["events", run, store, folder / "events.csv"]
    yield ["states", run, store, folder / "states", "--states", "2"]
    yield ["confounds", run, store, "--label", "skin"]
    yield ["verify", run]
    yield ["info", run]


@pytest.mark.slow
def test_every_command_takes_it(ddr_here, puppets, tmp_path):
    run = tmp_path / "run"
    assert ddr_here("fit", puppets, *_FIT, run).exit_code == 0
    header, *rows = (run / "history.csv").read_text().splitlines()
    assert header == "epoch,step,loss,val_loss,learning_rate,seconds"
    assert len(rows) == 4
    for arguments in _commands(run, puppets, tmp_path):
        result = ddr_here(*arguments)
        assert result.exit_code == 0, (arguments, result.output)
        if arguments[0] == "evaluate":
            assert "likelihood" in result.output and "sampled_elbo" in result.output
            assert "mean image" in result.output


def test_an_option_that_a_class_lacks_is_refused(ddr_here, puppets, tmp_path):
    result = ddr_here("fit", puppets, *_FIT, tmp_path / "run", "--filters", "3")
    assert result.exit_code == 2
    assert "--filters: Plain has no such setting" in result.output
    result = ddr_here("fit", puppets, *_FIT, tmp_path / "run", "--kl-weight", "3")
    assert result.exit_code == 1
    assert "kl_weight: Plain has no such settings" in result.output
    result = ddr_here("fit", puppets, *_FIT, tmp_path / "run", "--set", "depth=3")
    assert result.exit_code == 2
    assert "--set depth: Plain has no such setting" in result.output
    result = ddr_here("fit", puppets, *_FIT, tmp_path / "run", "--set", "depth")
    assert result.exit_code == 2 and "'depth' is not NAME=VALUE" in result.output
    assert not (tmp_path / "run").exists()


def test_any_argument_of_a_class_can_be_set(ddr_here, puppets, tmp_path):
    run = tmp_path / "run"
    result = ddr_here("fit", puppets, *_FIT, run, "--set", "static_dim=3")
    assert result.exit_code == 0, result.output
    assert '"static_dim": 3' in (run / "config.json").read_text()


def test_a_model_that_is_not_known(ddr_here, puppets, tmp_path):
    result = ddr_here("fit", puppets, "--model", "gan", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "--model gan: is not known; use ddr, " in result.output


def test_frames_in_no_order_are_refused_where_an_order_is_needed(
    ddr_here, puppets, tmp_path
):
    fit = ["--model", "own_model:Ordered", *_FIT[2:], tmp_path / "run"]
    result = ddr_here("fit", puppets, *fit)
    assert result.exit_code == 1 and not (tmp_path / "run").exists()
    [line] = [x for x in result.stderr.splitlines() if "error: " in x]
    assert f"error: {puppets}: its frames are in no order in time, but the " in line
    moving = ["preprocess", "puppets", tmp_path / "S", "--motion", "--size", 16]
    assert ddr_here(*moving, "--identities", 6, "--length", 1).exit_code == 0
    result = ddr_here("fit", tmp_path / "S", *fit)
    [line] = [x for x in result.stderr.splitlines() if "error: " in x]
    assert "fewer frames than the 2 of a window: " in line


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_it_is_killed_and_resumed_on_each_backend(
    ddr_elsewhere, puppets, tmp_path, backend
):
    pytest.importorskip(backend)
    tests = Path(__file__).resolve().parents[1]
    own = {
        "KERAS_BACKEND": backend,
        "PYTHONPATH": str(tests),
        "DDR_IMPORT": "own_model",
    }
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert ddr_elsewhere("fit", puppets, *_FIT, whole, **own).returncode == 0
    process = ddr_elsewhere.start("fit", puppets, *_FIT, run, **own)
    while not list(run.glob("checkpoint/epoch-000001.keras")):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    result = ddr_elsewhere("fit", "--resume", run, **own)
    assert result.returncode == 0 and "going on after epoch" in result.stdout
    # All but the seconds, the last column.
    one, other = (
        [line.rsplit(",", 1)[0] for line in (p / "history.csv").open()]
        for p in (whole, run)
    )
    assert one == other
    commands = [list(map(str, c)) for c in _commands(run, puppets, tmp_path)]
    every = [sys.executable, "-c", _EACH, json.dumps(commands)]
    subprocess.run(every, env={**os.environ, **own}, check=True)
