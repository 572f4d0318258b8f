"""`ddr judge`, and its file in `ddr evaluate` and `ddr compare`."""

import json
import shutil
import signal

import keras
import numpy as np
import pytest
from moving_clips import LENGTH

from keras_ddr import DDR
from keras_ddr.data import write_arrays

pytestmark = pytest.mark.slow  # tests/evaluation/test_clips.py has a judge, too


@pytest.fixture(scope="module")
def folder(judged):
    """A store of clips, a judge, and a model."""
    keras.utils.set_random_seed(0)
    sizes = {"filters": 4, "pair_filters": 4, "hidden_units": 4, "static_dim": 3}
    DDR((16, 16, 3), **sizes).save(judged / "model.keras")
    return judged


def fails(result, message):
    assert result.exit_code == 1, result.output
    [line] = [x for x in result.stderr.splitlines() if "error: " in x]
    assert message in line
    return True


def test_the_judge_is_tried(folder):
    lines = (folder / "said.txt").read_text().splitlines()
    assert lines[-1] == f"judge: {folder / 'judge.keras'}"
    header, _, *rows = lines[-5:-1]
    assert header.split() == ["split", "clips", "colour", "ground", "action"]
    assert [row.split() for row in rows] == [
        [split, "18", "1.000", "1.000", "1.000"] for split in ("val", "test")
    ]


def test_evaluate_takes_the_judge(ddr_here, folder, tmp_path):
    out = tmp_path / "a.json"
    paths = folder / "model.keras", folder / "S"
    judge = ["--judge", folder / "judge.keras"]
    command = ["evaluate", *paths, *judge, "--only", "clips", "--out", out]
    result = ddr_here(*command, "--clip-draws", 2)
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())["clips"]
    assert found["rows"]["real"]["accuracy"] == {"colour": 1, "ground": 1, "action": 1}
    assert found["rows"]["static_other"]["draws"] == 2
    assert found["frames"] == LENGTH
    assert "real clips" in result.output and "clips judged" in result.output
    result = ddr_here("compare", *paths, *judge, "--only", "reconstruction")
    assert result.exit_code == 0, result.output
    [row] = [x for x in result.output.splitlines() if "clips: action, real clips" in x]
    assert row.split()[-2] == "1.000"


def test_without_a_judge_clips_are_not_measured(ddr_here, folder):
    paths = folder / "model.keras", folder / "S"
    result = ddr_here("evaluate", *paths, "--only", "clips")
    assert fails(result, "clips: there is no judge; make one with ddr judge STORE")
    result = ddr_here("evaluate", *paths, "--only", "swap", "--clip-draws", 2)
    assert result.exit_code == 2
    assert "--clip-draws is of the clips; add --only clips" in result.output


def test_what_is_no_judge(ddr_here, folder, tmp_path):
    model, store, judge = (folder / n for n in ("model.keras", "S", "judge.keras"))

    def evaluate(file):
        return ddr_here("evaluate", model, store, "--judge", file, "--only", "clips")

    assert fails(evaluate(tmp_path / "no.keras"), "no such judge; make one with ddr")
    assert fails(evaluate(model), f"{model}: it holds a DDR, not a judge of clips, ")
    assert fails(evaluate(store), f"{store} is no file; give a judge of clips")
    half = tmp_path / "half.keras"
    half.write_bytes(judge.read_bytes()[:5000])
    assert fails(evaluate(half), "half.keras cannot be loaded")
    # The other way round.
    result = ddr_here("encode", judge, store, tmp_path / "codes.npz")
    assert fails(result, f"{judge}: it holds a ClipJudge, not a DDR or another")
    small = write_arrays(
        tmp_path / "T", np.zeros((2, 4, 32, 32, 3), "uint8"), splits=["train", "test"]
    )
    result = ddr_here("judge", small.path, tmp_path / "j.keras")
    assert fails(result, "no categorical frame label 'action'")
    assert not list(tmp_path.glob("j*"))


def test_a_judge_is_not_overwritten(ddr_here, folder, tmp_path):
    judge = shutil.copy(folder / "judge.keras", tmp_path / "judge.keras")
    before = (tmp_path / "judge.keras").read_bytes()
    assert fails(ddr_here("judge", folder / "S", judge), "exists; replace it with")
    for name, said in (("j.h5", "use .keras"), ("no/j.keras", "does not exist")):
        assert fails(ddr_here("judge", folder / "S", tmp_path / name), said)
    wanted = ["--overwrite", "--action", "weather"]
    assert fails(ddr_here("judge", folder / "S", judge, *wanted), "'weather'")
    assert (tmp_path / "judge.keras").read_bytes() == before


@pytest.mark.slow
def test_a_judge_of_chosen_labels_replaces_another(ddr_here, folder, tmp_path):
    judge = shutil.copy(folder / "judge.keras", tmp_path / "judge.keras")
    before = judge.read_bytes()
    wanted = ["--overwrite", "--attribute", "ground", "--steps", 1]
    result = ddr_here("judge", folder / "S", judge, *wanted)
    assert result.exit_code == 0 and "colour" not in result.output
    assert judge.read_bytes() != before


@pytest.mark.slow
def test_an_interrupted_training_leaves_nothing(ddr_elsewhere, folder, tmp_path):
    arguments = ["judge", folder / "S", tmp_path / "j.keras", "--steps", 100_000]
    process = ddr_elsewhere.start(*arguments)
    assert "training steps" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in errors
    assert list(tmp_path.iterdir()) == []
