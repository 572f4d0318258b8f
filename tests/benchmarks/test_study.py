"""The study: its list of settings, its rows, going on after a kill, and its check."""

import csv
import importlib.util
import inspect
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_ddr import DDR
from keras_ddr.objective import ELBO
from keras_ddr.runs.settings import Training

_FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "study.py"


def _load():
    spec = importlib.util.spec_from_file_location("study", _FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["study"] = module  # processes that it starts look for it there
    spec.loader.exec_module(module)
    return module


study = _load()
study_tables = importlib.import_module("study_tables")  # beside it
PLAN = json.loads(study.SETTINGS.read_text(encoding="utf-8"))
# What each word of a setting's name stands for.
WORDS = {
    "mean": {"aggregation": "mean"},
    "pooled": {"aggregation": "pooled"},
    "distinct": {"dynamic_frames": "distinct"},
    "half_batch": {"batch_size": 16},
    "standard_prior": {"dynamic_prior": "standard"},
    "kl_weight_0.5": {"kl_weight": 0.5},
    "kl_weight_2": {"kl_weight": 2.0},
    "kl_weight_4": {"kl_weight": 4.0},
    "kl_z_2": {"kl_weight": 2.0, "static_kl_weight": 0.5},
    "kl_z_4": {"kl_weight": 4.0, "static_kl_weight": 0.25},
    "kl_z_8": {"kl_weight": 8.0, "static_kl_weight": 0.125},
    "kl_f_0.3": {"static_kl_weight": 0.3},
    "kl_f_0.03": {"static_kl_weight": 0.03},
    "independence_10": {"independence_weight": 10.0},
    "independence_100": {"independence_weight": 100.0},
    "warmup_500": {"kl_warmup": 500},
    "warmup_1000": {"kl_warmup": 1000},
    "free_bits_0.1": {"free_bits": 0.1},
    "free_bits_0.5": {"free_bits": 0.5},
    "continuous_bernoulli": {"likelihood": "continuous_bernoulli"},
    "normal": {"likelihood": "normal"},
    "n_2": {"frames_per_set": 2},
    "n_6": {"frames_per_set": 6},
    "z_1": {"dynamic_dim": 1},
    "z_4": {"dynamic_dim": 4},
}
_VAE = {"aggregation": "pooled", "frames_per_set": 1, "dynamic_prior": "standard"}
BASELINES = {
    "paper": {},
    "vae": _VAE,
    "beta_vae": {**_VAE, "kl_weight": 4.0},
    "neural_statistician": {"aggregation": "pooled", "frames_per_set": 6},
    "unordered_dsvae": {**_VAE, "frames_per_set": 8},
}


@pytest.mark.parametrize("data", ["puppets", "sprites"])
def test_every_setting_is_what_its_name_says(data):
    base = PLAN["base"]
    names = study.names_of(PLAN, data)
    assert len(names) == len(set(names)) and names[0] == "paper"
    for name in names:
        expected = BASELINES.get(name)
        if expected is None:
            expected = {
                k: v for word in name.split("-") for k, v in WORDS[word].items()
            }
        model, training = study.arguments(PLAN, data, name)
        changed = {
            option: value
            for option, value in model.items()
            if value != {**base, **PLAN["data"][data]["model"]}[option]
        }
        if "batch_size" in expected:
            assert training["batch_size"] == expected["batch_size"]
            expected = {k: v for k, v in expected.items() if k != "batch_size"}
        else:
            decoded = training["batch_size"] * model["frames_per_set"]
            assert decoded == PLAN["data"][data]["frames_per_step"]
        assert changed == expected, name


def test_every_setting_is_one_of_the_model_its_objective_or_the_training():
    known = set(inspect.signature(DDR.__init__).parameters)
    objective = set(ELBO().get_config())
    assert study._OBJECTIVE == objective
    for name in PLAN["settings"]:
        model, training = study.arguments(PLAN, "puppets", name)
        assert set(model) <= known | objective
        Training.of({**training, "seed": 0})


def test_the_list_is_printed(capsys):
    assert study.main(["--list"]) == 0
    text = capsys.readouterr().out
    for name in PLAN["settings"]:
        assert f"\n{name} (" in f"\n{text}"
    assert "kl_weight=4.0" in text and "combine=product" in text


def _small_plan():
    widths = {"static_dim": 4, "filters": 4, "pair_filters": 4, "hidden_units": 8}
    splits = [0.5, 0.25, 0.25]
    puppets = {
        **PLAN["data"]["puppets"],
        "store": {"identities": 32, "size": 16, "arms": 4, "legs": 3, "splits": splits},
        "model": widths,
        "training": {
            **PLAN["data"]["puppets"]["training"],
            "steps": 6,
            "save_every": 3,
        },
        "frames_per_step": 12,
        # Without the judge, whose programs take a third of the time to make.
        "judge_steps": 0,
        "seeds": [0, 1],
        "encoded": {"mean": "all"},
    }
    names = ("paper", "mean")
    return {
        **PLAN,
        "data": {"puppets": puppets},
        "settings": {name: PLAN["settings"][name] for name in names},
        "encodings": {"n_2": PLAN["encodings"]["n_2"]},
    }


def _rows(file):
    with file.open(newline="", encoding="utf-8") as lines:
        return {study.key_of(row): row for row in csv.DictReader(lines)}


def _wait_for(condition, process):
    end = time.monotonic() + 1200
    while not condition():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Arguments of the small study, whose process was killed, and what it left."""
    folder = tmp_path_factory.mktemp("study")
    file = folder / "settings.json"
    file.write_text(json.dumps(_small_plan()), encoding="utf-8")
    results = folder / "puppets"
    command = ["puppets", str(results), "--settings", str(file)]
    process = subprocess.Popen(
        [sys.executable, str(_FILE), *command, "--jobs", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        # Two processes train and measure, and one of them has brought its first row.
        _wait_for((results / "val.csv").is_file, process)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    return command, results, _rows(results / "val.csv")


@pytest.fixture(scope="module")
def finished(small):
    command, results, _ = small
    assert study.main(command) == 0
    return _rows(results / "val.csv")


@pytest.mark.slow
def test_a_killed_study_goes_on(small, finished):
    _, _, before = small
    assert before and len(before) < 6
    expected = {("paper", s, "default") for s in (0, 1)}
    expected |= {("mean", s, way) for s in (0, 1) for way in ("default", "n_2")}
    assert set(finished) == expected
    for key, row in before.items():
        # Not made again, or seconds would differ; later rows may have more columns.
        assert {name: finished[key][name] for name in row} == row


@pytest.mark.slow
def test_rows_hold_settings_and_all_metrics(finished):
    row = finished["mean", 1, "default"]
    assert (row["model.aggregation"], row["training.batch_size"]) == ("mean", "4")
    assert row["versions.keras"] and float(row["seconds.train"]) > 0
    for name in (
        "likelihood.log_likelihood",
        "reconstruction.ssim",
        "probes.hair.z~.value",
        "swap.swap_prior",
        "swap.intervals.swap.0",
        "verification.f.value",
        "axis.z~.mig",
    ):
        assert float(row[name]) == float(row[name]), name
    assert all(part["judge_steps"] for part in PLAN["data"].values())
    other = finished["mean", 0, "default"]
    assert row["likelihood.elbo"] != other["likelihood.elbo"]
    encoded = finished["mean", 1, "n_2"]
    assert encoded["details.encoding.frames_per_set"] == "2"
    assert encoded["swap.swap"] != row["swap.swap"]
    assert not encoded["likelihood.elbo"]


@pytest.mark.slow
def test_finished_rows_are_left_alone(small, finished, capsys):
    command, results, _ = small
    before = (results / "val.csv").read_bytes()
    assert study.main(command) == 0
    assert "0 of 4 trainings to do" in capsys.readouterr().out
    assert (results / "val.csv").read_bytes() == before


@pytest.mark.slow
def test_the_check_makes_the_same_rows_but_for_a_changed_number(
    small, finished, capsys, tmp_path
):
    command, results, _ = small
    rows = [dict(row) for row in finished.values()]
    for row in rows:
        if study.key_of(row) == ("mean", 0, "n_2"):
            row["swap.swap"] = str(1.01 * float(row["swap.swap"]))
    study.write_rows(tmp_path / "val.csv", rows, ["paper", "mean"])
    command = [command[0], str(tmp_path), *command[2:]]
    assert study.main([*command, "--check", "mean", "0"]) == 1
    text = capsys.readouterr().out
    assert "n_2: swap.swap was" in text and "NOT the same" in text
    assert text.count(" was ") == 1


def test_only_what_an_old_row_has_is_compared():
    old = {"swap.swap": "0.5", "axis.z.mig": "", "seconds.train": "3"}
    new = {"swap.swap": "0.5", "axis.z.mig": "", "seconds.train": "4", "swap.new": "1"}
    assert study.differences(old, new, 0.001) == {}
    assert study.differences(old, {**new, "swap.swap": "0.6"}, 0.001) == {
        "swap.swap": ("0.5", "0.6")
    }
    del new["swap.swap"]
    assert study.differences(old, new, 0.001) == {"swap.swap": ("0.5", "")}


@pytest.mark.slow
def test_tables_and_figures_come_from_the_csv(finished, capsys, tmp_path):
    rows = [dict(row) for row in finished.values()]
    for row in rows:
        if row["setting"] == "paper":
            row["swap.swap"] = ["0.25", "0.75"][int(row["seed"])]
    study.write_rows(tmp_path / "val.csv", rows, ["paper", "mean"])
    plan = tmp_path / "settings.json"
    plan.write_text(json.dumps(_small_plan()), encoding="utf-8")
    command = ["puppets", str(tmp_path), "--settings", str(plan), "--tables"]
    assert study.main(command) == 0
    text = (tmp_path / "val.md").read_text(encoding="utf-8").replace("\xa0", " ")
    assert "| `paper` | 2 |" in text and "| 500.00 ± 353.55 |" in text
    assert "## Encoding, `mean`" in text and "| `n_2` | 2 |" in text
    for name in ("val-settings.png", "val-encoding.png"):
        assert (tmp_path / name).read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(path, marks=[] if path.stem == "test" else pytest.mark.slow)
        for path in sorted(study.SETTINGS.parent.glob("*/*.csv"))
    ],
    ids=lambda p: f"{p.parent.name}",
)
def test_committed_tables_come_from_the_committed_rows(file, tmp_path):
    rows = study.read_rows(file)
    study.check_rows(file, rows, PLAN, file.parent.name)
    page, *_ = study_tables.write(rows, PLAN, tmp_path, file.stem)
    assert page.read_bytes() == file.with_suffix(".md").read_bytes()
    # Nothing of the machine that made them.
    text = file.read_text(encoding="utf-8")
    assert "/tmp" not in text and "/home" not in text


@pytest.mark.slow
def test_test_is_read_at_the_end(small, finished, capsys):
    command, results, _ = small
    with pytest.raises(SystemExit):
        study.main([*command, "--split", "test"])
    assert "--final" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        study.main([*command, "--final", "--seeds", "2"])
    assert "val.csv has no row paper 2" in capsys.readouterr().err
    assert not (results / "test.csv").exists()
    assert study.main([*command, "--final", "--only", "paper", "--seeds", "1"]) == 0
    row = _rows(results / "test.csv")["paper", 1, "default"]
    assert row["split"] == row["details.split"] == "test"
    assert row["best_step"] == finished["paper", 1, "default"]["best_step"]


@pytest.mark.slow
def test_rows_of_other_settings_are_refused(small, finished, capsys, tmp_path):
    command, results, _ = small
    plan = _small_plan()
    plan["settings"]["mean"] = {**plan["settings"]["mean"], "model": {"kl_weight": 3.0}}
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(plan), encoding="utf-8")
    with pytest.raises(SystemExit):
        study.main([*command[:3], str(file)])
    text = capsys.readouterr().err
    assert "row mean with model.aggregation mean" in text
    (tmp_path / "runs").mkdir()
    (tmp_path / "store").symlink_to(results / "store")
    (tmp_path / "runs" / "mean-0").symlink_to(results / "runs" / "mean-0")
    with pytest.raises(SystemExit):
        study.main(
            ["puppets", str(tmp_path), "--settings", str(file), "--only", "mean"]
        )
    assert "was made with aggregation 'mean'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["puppets", "A", "B"], "2 paths; use it as: puppets STUDY"),
        (["sprites", "A"], "1 paths; use it as: sprites STORE STUDY"),
        (["puppets", "A", "--only", "menu"], "setting 'menu' is none of paper"),
        (["puppets", "A", "--check", "mean", "x"], "seed 'x'"),
        ([], "say which data"),
    ],
)
def test_usage_is_refused_in_a_line(texts, said, capsys):
    with pytest.raises(SystemExit) as caught:
        study.main(texts)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "before", "after", "same"),
    [
        ("swap.swap", "0.005", "0.0050049", True),
        ("swap.swap", "0.005", "0.00501", False),
        ("probes.hair.z.value", "0.17", "0.1709", True),
        ("probes.hair.z.value", "0.17", "0.172", False),
        ("probes.arm_angle.f.value", "-0.0005", "0.0004", True),
        ("judge.held_out.hair.accuracy", "0.5", "0.54", True),
        ("judge.held_out.hair.accuracy", "0.5", "0.56", False),
        ("likelihood.elbo", "-1301.6", "-1302.5", True),
        ("likelihood.elbo", "-1301.6", "-1304", False),
        ("swap.pairs", "1000", "", False),
        ("probes.hair.scope", "sequence", "frame", False),
        ("seconds.train", "10.0", "90.0", True),
    ],
)
def test_tolerance(name, before, after, same):
    found = study.differences({name: before}, {name: after}, study.TOLERANCE)
    assert found == ({} if same else {name: (before, after)})
