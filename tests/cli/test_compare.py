"""`ddr compare`: a table, a figure, and the settings that differ."""

import json

import numpy as np
import pytest
from PIL import Image

_ONLY = ["--only", "reconstruction", "--only", "probes", "--sequences", 3]


@pytest.mark.slow
def test_two_runs_and_what_differs(ddr_here, run_folder, puppets, small, tmp_path):
    other = tmp_path / "other"
    words = [*small, "--kl-weight", 3, "--out", other]
    assert ddr_here("fit", puppets, *words).exit_code == 0
    figure, out = tmp_path / "c.png", tmp_path / "c.json"
    result = ddr_here(
        *("compare", run_folder, other, puppets, *_ONLY),
        *("--figure", figure, "--out", out),
    )
    assert result.exit_code == 0, result.output
    assert "objective.kl_weight" in result.output and "other 3.0" in result.output
    assert "training.steps" not in result.output  # the same in both
    header = next(x for x in result.output.splitlines() if "other " in x and "run" in x)
    assert header
    numbers = json.loads(out.read_text())["headlines"]
    assert set(numbers["reconstruction, mse"]) == {run_folder.name, "other"}
    with Image.open(figure) as image:
        assert np.asarray(image.convert("L")).std() > 5
    alone = tmp_path / "one.json"
    ddr_here("evaluate", other, puppets, *_ONLY, "--out", alone)
    mse = json.loads(alone.read_text())["reconstruction"]["mse"]
    assert numbers["reconstruction, mse"]["other"]["value"] == mse


def test_bad_input(ddr_here, run_folder, puppets, tmp_path):
    result = ddr_here("compare", run_folder, run_folder, puppets)
    assert result.exit_code == 2 and "a RUN is given twice" in result.output
    result = ddr_here("compare", run_folder, puppets, "--figure", tmp_path / "x.txt")
    assert result.exit_code == 1 and ".png" in result.stderr
    result = ddr_here("compare", run_folder, puppets, "--only", "taste")
    assert result.exit_code == 2 and "'taste' is not one of" in result.output
