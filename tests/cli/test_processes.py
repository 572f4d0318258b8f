"""Real processes: other backends, libraries that are missing, Ctrl-C and kill -9."""

import csv
import importlib.util
import json
import os
import re
import signal
import time

import keras
import pytest
from PIL import Image

from ddr_cli.arguments import BACKENDS

backend = keras.backend.backend()
installed = list(filter(importlib.util.find_spec, BACKENDS))


def history(path):
    with (path / "history.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def wait_for_rows(process, path, number):
    for _ in range(2400):
        if (path / "history.csv").exists() and len(history(path)) >= number:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("no history")


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to another process there")
@pytest.mark.slow
def test_a_run_has_one_writer_and_ctrl_c_says_how_to_go_on(
    ddr_here, ddr_elsewhere, puppets, small, tmp_path
):
    run = tmp_path / "R"
    first = ddr_elsewhere.start("fit", puppets, "--out", "R", *small, "--steps", 10**6)
    wait_for_rows(first, run, 1)
    new = ["fit", puppets, "--out", run, *small, "--overwrite"]
    for command in (["fit", "--resume", run], new):
        result = ddr_here(*command)
        assert result.exit_code == 1
        assert result.stdout == ""
        [line] = result.stderr.splitlines()
        said = f"ddr: error: {run} is being trained by another process now"
        assert line.startswith(said)
    wait_for_rows(first, run, len(history(run)) + 1)
    first.send_signal(signal.SIGINT)
    _, errors = first.communicate(timeout=60)
    assert first.returncode == 130
    assert re.fullmatch(
        r"ddr: stopped by SIGINT at step \d+, which is saved; go on with "
        r"ddr fit --resume R\n",
        errors,
    )


def test_work_on_stores_leaves_keras_out(ddr_elsewhere, tmp_path, mnist_root):
    """It takes seconds to load, with its backend."""
    (tmp_path / "pictures" / "one").mkdir(parents=True)
    for number in range(3):
        picture = Image.new("RGB", (20, 20), (0, 80 * number, 0))
        picture.save(tmp_path / "pictures" / "one" / f"{number}.png")
    for command in (
        ["preprocess", "puppets", "puppets", "--identities", 12, "--size", 16],
        ["preprocess", "mmnist", mnist_root, "mmnist", "--sequences", 10],
        ["preprocess", "images", "pictures", "images", "--preview", "sheet.png"],
        ["info", "puppets", "--preview", "puppets.png"],
        ["verify", "puppets"],
    ):
        result = ddr_elsewhere(*command, blocked=["keras", "tensorflow"])
        assert result.returncode == 0, result.stderr
        assert result.stderr == ""
    assert (tmp_path / "sheet.png").is_file() and (tmp_path / "puppets.png").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in installed if n != "tensorflow"])
def test_without_opencv_and_other_backends(ddr_elsewhere, puppets, small, name):
    """TensorFlow is there for itself only."""
    result = ddr_elsewhere(
        "fit",
        puppets,
        "--out",
        "R",
        *small,
        "--backend",
        name,
        blocked=["cv2", "tensorflow"],
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in installed if n != "tensorflow"][-1:])
def test_every_backend_is_quiet(ddr_elsewhere, puppets, small, name):
    """Keras loads TensorFlow for its seed, and that writes notes on the machine."""
    result = ddr_elsewhere("fit", puppets, "--out", name, *small, "--backend", name)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


def _numbers(found, path=()):
    """All numbers of nested dicts and lists, by where they stand."""
    if isinstance(found, dict):
        found = found.items()
    elif isinstance(found, list):
        found = enumerate(found)
    elif isinstance(found, int | float):
        return {path: float(found)}
    else:
        return {}
    return {
        k: v for key, part in found for k, v in _numbers(part, (*path, key)).items()
    }


@pytest.mark.slow
@pytest.mark.skipif(len(installed) < 2, reason="one backend has none to differ from")
def test_every_backend_measures_the_same(ddr_elsewhere, puppets, small, tmp_path):
    """One run on all backends; a judge would be trained on each, so it stays out."""
    # With codes that mean nothing, nearest neighbours hang on the last digit.
    fit = ["fit", puppets, "--out", "R", *small, "--steps", 300, "--batch-size", 12]
    fit += ["--lr", 0.005, "--save-every", 300]
    assert ddr_elsewhere(*fit).returncode == 0
    metrics = "likelihood", "reconstruction", "probes", "swap", "verification", "axis"
    only = [text for name in metrics for text in ("--only", name)]
    found = {}
    for name in installed:
        out = tmp_path / f"{name}.json"
        options = [*only, "--out", out, "--backend", name]
        result = ddr_elsewhere("evaluate", "R", puppets, *options)
        assert result.returncode == 0, result.stderr
        found[name] = _numbers(json.loads(out.read_text()))
    first, *others = found.values()
    assert len(first) > 100
    for other in others:
        assert other.keys() == first.keys()
        for where, number in first.items():
            assert other[where] == pytest.approx(number, rel=1e-3, abs=1e-3), where
