import json

from keras_ddr.data import FrameStore


def fails(result, message):
    assert result.exit_code == 1, result.output
    [line] = [x for x in result.stderr.splitlines() if "error: " in x]
    assert message in line
    return True


def test_evaluate(ddr_here, run_folder, puppets, tmp_path):
    out = tmp_path / "metrics.json"
    result = ddr_here("evaluate", run_folder, puppets, "--out", out)
    assert result.exit_code == 0, result.output
    metrics = json.loads(out.read_text())
    assert {"skin", "hair", "arm_angle", "pose"} <= set(metrics["probes"])
    assert metrics["details"]["split"] == "test"
    assert metrics["swap"]["mean_image"] > 0
    for text in ("chance", "arm_angle", "mean image", str(out)):
        assert text in result.output
    again = ddr_here("evaluate", run_folder, puppets, "--out", tmp_path / "b.json")
    assert again.exit_code == 0
    assert json.loads((tmp_path / "b.json").read_text()) == metrics


def test_evaluate_what_cannot_be_used(ddr_here, run_folder, puppets, tmp_path):
    frames = [FrameStore.open(puppets).frames(0)]
    one = FrameStore.from_arrays(tmp_path / "S", frames, splits=["test"]).path
    assert fails(ddr_here("evaluate", run_folder, one), "in the split 'train'")
    missing = tmp_path / "no" / "a.json"
    result = ddr_here("evaluate", run_folder, puppets, "--out", missing)
    assert fails(result, "does not exist")
    assert fails(ddr_here("evaluate", puppets, puppets), "config.json")
    small = FrameStore.from_arrays(tmp_path / "T", [frames[0][:, :16, :16]]).path
    assert fails(ddr_here("evaluate", run_folder, small), "(16, 16, 3)")
    same = ddr_here("evaluate", run_folder, puppets, "--split", "train")
    assert same.exit_code == 2 and "--fit-split" in same.stderr
