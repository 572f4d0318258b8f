"""A model that has no codes goes through every command, and says so in one line."""

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

_FIT = (
    "--model svg --set past=2 --set future=3 --filters 2 --hidden-units 4 "
    "--dynamic-dim 2 --set code_dim=4 --batch-size 4 --save-every 2 --out"
).split()
_LINE = "SVG predicts frames and has no static code: see ddr plot prediction"


@pytest.fixture(scope="module")
def run(tmp_path_factory, moving):
    from click.testing import CliRunner

    from ddr_cli.main import ddr

    path = tmp_path_factory.mktemp("runs") / "run"
    arguments = ["fit", moving, "--steps", 4, *_FIT, path]
    result = CliRunner().invoke(ddr, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    assert "densities" not in result.output
    header = (path / "history.csv").read_text().splitlines()[0]
    assert "prediction_loss" in header and "val_kl_dynamic" in header
    assert (path / "samples" / "step-000004.png").exists()
    return path


def test_what_needs_codes_ends_in_one_line(ddr_here, run, moving, tmp_path):
    out = tmp_path / "a"
    commands = [
        *(["plot", k, run, moving, f"{out}.png"] for k in _PLOTS),
        ["plot", "samples", run, moving, f"{out}.png", "--density", "prior"],
        ["explore", run, moving, f"{out}.html"],
        ["encode", run, moving, f"{out}.csv"],
        ["encode", run, moving, f"{out}.npz"],
        ["events", run, moving, f"{out}.csv"],
        ["confounds", run, moving, "--label", "skin"],
    ]
    for arguments in commands:
        result = ddr_here(*arguments)
        assert result.exit_code == 1, arguments
        assert result.output.strip() == f"ddr: error: {_LINE}", arguments
    assert list(tmp_path.iterdir()) == []


_PLOTS = ("reconstruction", "manifold", "dynamics", "swap", "samples", "latent")


def test_what_needs_none_works(ddr_here, run, moving, tmp_path):
    result = ddr_here("plot", "prediction", run, moving, tmp_path / "a.png")
    assert result.exit_code == 0, result.output
    options = ["--past", 2, "--future", 3, "--best-of", 2]
    result = ddr_here("evaluate", run, moving, *options, "--sequences", 3)
    assert result.exit_code == 0, result.output
    assert "Prediction of 3 frames from the first 2" in result.output
    assert f"probes: {_LINE}" in result.output
    assert ddr_here("verify", run).exit_code == 0
    assert ddr_here("info", run).exit_code == 0


def test_sequences_that_are_too_short(ddr_here, moving, tmp_path):
    options = [*_FIT, tmp_path / "run", "--set", "future=200"]
    result = ddr_here("fit", moving, *options)
    assert result.exit_code == 1
    assert "sequences have fewer frames than the 202 of a window" in result.output


def test_other_backends_predict_the_same(ddr_elsewhere, run, moving, tmp_path):
    found = []
    for backend in ("tensorflow", "jax", "torch"):
        pytest.importorskip(backend)
        out = tmp_path / f"{backend}.png"
        result = ddr_elsewhere(
            "plot", "prediction", run, moving, out, KERAS_BACKEND=backend
        )
        assert result.returncode == 0, result.stderr
        found.append(np.asarray(Image.open(out), "int"))
    for other in found[1:]:
        assert np.abs(other - found[0]).max() <= 2
