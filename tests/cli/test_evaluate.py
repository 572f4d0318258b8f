import json

import numpy as np
import pytest

from keras_ddr.data import FrameStore, write_arrays
from keras_ddr.evaluation import METRICS

# DDR predicts nothing, and there is no judge of clips.
USUAL = [name for name in METRICS if name not in ("prediction", "clips")]
QUICK = ["--judge-steps", 2, "--sequences", 4]


def fails(result, message):
    assert result.exit_code == 1, result.output
    [line] = [x for x in result.stderr.splitlines() if "error: " in x]
    assert message in line
    return True


def made(path, store, **arguments):
    """A store of four of these sequences, two of them for the test."""
    frames = [FrameStore.open(store).frames(i) for i in range(4)]
    arguments = {"splits": ["train", "test"] * 2, **arguments}
    return write_arrays(path, frames, **arguments).path


@pytest.mark.slow
def test_evaluate_everything(ddr_here, run_folder, puppets, tmp_path):
    out = tmp_path / "metrics.json"
    result = ddr_here("evaluate", run_folder, puppets, "--out", out, *QUICK)
    assert result.exit_code == 0, result.output
    metrics = json.loads(out.read_text())
    assert {"skin", "hair", "arm_angle", "pose"} <= set(metrics["probes"])
    assert metrics["details"]["split"] == "test"
    assert metrics["details"]["sequences"] == 4
    assert metrics["swap"]["mean_image"] > 0
    for name in USUAL:
        assert metrics[name] is not None, name
    assert metrics["judge"]["steps"] == 2
    for text in ("chance", "arm_angle", "mean image", "MSD score", str(out)):
        assert text in result.output
    # Each metric is named with the time it took, in this order, before the table.
    lines = result.output.splitlines()
    places = [
        next(i for i, line in enumerate(lines) if line.startswith(f"{name}  "))
        for name in USUAL
    ]
    assert places == sorted(places)
    options = ["--only", "swap", "--sequences", 4, "--out", tmp_path / "b.json"]
    assert ddr_here("evaluate", run_folder, puppets, *options).exit_code == 0
    again = json.loads((tmp_path / "b.json").read_text())
    assert again["swap"] == metrics["swap"]
    # So much noise leaves nothing of the looks, and nothing of the angles.
    options += ["--noise", 1000, "--overwrite"]
    assert ddr_here("evaluate", run_folder, puppets, *options).exit_code == 0
    noisy = json.loads((tmp_path / "b.json").read_text())
    assert noisy["details"]["encoding"] == {"noise": 1000}
    assert noisy["swap"]["swap"] > again["swap"]["swap"]
    assert noisy["swap"]["mean_image"] == again["swap"]["mean_image"]


def test_help_names_what_there_is(ddr_here):
    text = " ".join(ddr_here("evaluate", "--help").output.split())
    assert f"[{'|'.join(METRICS)}]" in text
    assert f"[default: {METRICS['judge']().steps}]" in text
    assert all(measure.about in text for measure in METRICS.values())


def test_evaluate_some(ddr_here, run_folder, puppets, tmp_path):
    out = tmp_path / "metrics.json"
    chosen = ["--only", "swap", "--only", "reconstruction"]
    result = ddr_here("evaluate", run_folder, puppets, "--out", out, *chosen)
    assert result.exit_code == 0, result.output
    metrics = json.loads(out.read_text())
    assert metrics["swap"] and metrics["reconstruction"]
    assert metrics["probes"] is metrics["judge"] is metrics["likelihood"] is None
    assert "SSIM" in result.output and "Probes" not in result.output
    result = ddr_here("evaluate", run_folder, puppets, "--only", "beauty")
    assert result.exit_code == 2 and "'beauty'" in result.stderr


@pytest.mark.slow
def test_the_judge_names_what_is_asked_for(ddr_here, run_folder, puppets, tmp_path):
    labels = {
        "hair": ["black", "blond", "blond", "black"],
        "mood": [[f"m{i % 3}" for i in range(96)]] * 4,
    }
    store = made(tmp_path / "S", puppets, labels=labels)
    out = tmp_path / "metrics.json"
    command = ["evaluate", run_folder, store, "--only", "judge", *QUICK]
    command += ["--out", out, "--overwrite"]
    result = ddr_here(*command, "--attribute", "hair", "--action", "mood")
    assert result.exit_code == 0, result.output
    judge = json.loads(out.read_text())["judge"]
    assert judge["attributes"] == ["hair"] and judge["action"] == "mood"
    assert judge["held_out"]["mood"]["classes"] == 3
    result = ddr_here(*command, "--attribute", "hair", "--action", "weather")
    assert fails(result, "no categorical frame label 'weather'")
    result = ddr_here(*command, "--attribute", "mood", "--action", "mood")
    assert fails(result, "no categorical sequence label 'mood'")


@pytest.mark.parametrize(
    "split", [pytest.param("train", marks=pytest.mark.slow), "test"]
)
def test_labels_that_say_nothing(ddr_here, run_folder, puppets, tmp_path, split):
    """Missing, NaN and constant labels: a line each, and the rest is measured."""
    valence = [np.linspace(-1, 1, 96) for _ in range(4)]
    for number, part in enumerate(("train", "test") * 2):
        valence[number][::2] = np.nan
        if part == split:
            valence[number][:] = np.nan
    store = made(
        tmp_path / "S",
        puppets,
        labels={
            "valence": valence,
            "arousal": [np.linspace(0, 1, 96)] * 4,
            "planet": ["earth"] * 4,
            "mood": [None] * 4,
        },
    )
    out = tmp_path / "a.json"
    result = ddr_here("evaluate", run_folder, store, "--out", out, *QUICK)
    assert result.exit_code == 0, result.output
    metrics = json.loads(out.read_text())
    assert list(metrics["probes"]) == ["arousal"]
    reasons = {item["what"]: item["reason"] for item in metrics["skipped"]}
    assert "no item" in reasons["valence"] and "no item" in reasons["mood"]
    assert "does not vary" in reasons["planet"]
    assert "no frame label 'pose'" in reasons["swap"]
    assert "no frame label for the action" in reasons["judge"]
    assert "no frame has all factors" in reasons["axis"]
    for what, reason in reasons.items():
        assert f"  {what}: {reason}" in result.output.splitlines()


@pytest.mark.slow
def test_half_of_the_labels_missing(ddr_here, run_folder, puppets, tmp_path):
    valence = [np.linspace(-1, 1, 96) for _ in range(4)]
    for values in valence:
        values[::2] = np.nan
    store = made(tmp_path / "S", puppets, labels={"valence": valence})
    out = tmp_path / "a.json"
    result = ddr_here("evaluate", run_folder, store, "--out", out, "--only", "probes")
    assert result.exit_code == 0, result.output
    probes = json.loads(out.read_text())["probes"]
    assert probes["valence"]["z"]["scored"] == 2 * 48


def test_one_sequence_of_each_split(ddr_here, run_folder, puppets, tmp_path):
    frames = [FrameStore.open(puppets).frames(i) for i in range(2)]
    store = write_arrays(
        tmp_path / "S",
        frames,
        splits=["train", "test"],
        labels={"pose": [np.arange(96)] * 2, "hair": ["black", "blond"]},
    ).path
    result = ddr_here("evaluate", run_folder, store)
    assert result.exit_code == 0, result.output
    for line in (
        "  swap: swapping takes sequences of at least two people",
        "  verification: at least two persons are needed",
        "  hair: the label does not vary among the fitted items",
        "  judge: the store has no sequence label that varies in training",
    ):
        assert line in result.output.splitlines()


def test_evaluate_what_cannot_be_used(ddr_here, run_folder, puppets, tmp_path):
    frames = [FrameStore.open(puppets).frames(0)]
    one = write_arrays(tmp_path / "S", frames, splits=["test"]).path
    result = ddr_here("evaluate", run_folder, one, "--only", "probes")
    assert fails(result, "in the split 'train'")
    missing = tmp_path / "no" / "a.json"
    result = ddr_here("evaluate", run_folder, puppets, "--out", missing)
    assert fails(result, "does not exist")
    # Before anything is opened or measured.
    result = ddr_here("evaluate", tmp_path, tmp_path, "--out", missing)
    assert fails(result, "does not exist")
    assert fails(ddr_here("evaluate", puppets, puppets), "config.json")
    (tmp_path / "untrained").mkdir()
    config = (run_folder / "config.json").read_text()
    (tmp_path / "untrained" / "config.json").write_text(config)
    assert fails(ddr_here("evaluate", tmp_path / "untrained", puppets), "no trained")
    small = write_arrays(tmp_path / "T", [frames[0][:, :16, :16]]).path
    assert fails(ddr_here("evaluate", run_folder, small), "(16, 16, 3)")
    grey = write_arrays(tmp_path / "G", [frames[0][..., :1]]).path
    assert fails(ddr_here("evaluate", run_folder, grey), "(32, 32, 1)")
    short = write_arrays(
        tmp_path / "F", [frames[0][:2]] * 2, splits=["train", "test"]
    ).path
    assert fails(ddr_here("evaluate", run_folder, short), "at least 3 frames")
    same = ["--split", "train", "--only", "probes"]
    assert fails(ddr_here("evaluate", run_folder, puppets, *same), "is also fit_split")
    clip = write_arrays(tmp_path / "C", frames[:1], splits=["train"]).path
    test = ["--split", "test"]
    assert fails(ddr_here("evaluate", run_folder, clip, *test), "(--splits)")
    only = ["--only", "motion", "--only", "probes"]
    result = ddr_here("evaluate", run_folder, clip, *only)
    assert result.exit_code == 0 and "Motion within 1 sequence:" in result.output
    assert "it was fitted on" in result.output


def test_options_of_the_judge_alone_are_refused_without_it(
    ddr_here, run_folder, puppets
):
    for option in (["--judge-steps", 2], ["--attribute", "hair"], ["--action", "pose"]):
        result = ddr_here("evaluate", run_folder, puppets, "--only", "swap", *option)
        assert result.exit_code == 2
        assert f"{option[0]} is of the judge; add --only judge" in result.output
