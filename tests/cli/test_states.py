"""`ddr states` on puppets."""

import csv

import pytest
from PIL import Image

from keras_ddr.data import FrameStore


def test_states_of_puppets_that_move(ddr_here, run_folder, moving, tmp_path):
    out = tmp_path / "out"
    command = ["states", run_folder, moving, out, "--states", 3, "--method", "hmm"]
    tsv = ["--annotations", tmp_path / "bouts.tsv"]
    result = ddr_here(*command, "--groups", "skin", *tsv)
    assert result.exit_code == 0, result.output
    assert "3 states, as given; " in result.output
    assert "median dwell (s)" in result.output and "p (Holm)" in result.output
    assert "z explains " in result.output  # little, after four steps
    names = "bouts.csv states.csv states.png summary.json use.png".split()
    assert sorted(path.name for path in out.iterdir()) == names
    with open(out / "states.csv", newline="") as file:
        states = list(csv.DictReader(file))
    assert len(states) == FrameStore.open(moving).num_frames
    with open(out / "bouts.csv", newline="") as file:
        bouts = list(csv.DictReader(file))
    frames = sum(int(b["last_frame"]) - int(b["first_frame"]) + 1 for b in bouts)
    assert frames == len(states)
    with open(tmp_path / "bouts.tsv", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for row, bout in zip(rows, bouts, strict=True):
        assert row["Behavior type"] == "STATE" and bout["state"] in row["Behavior"]
        assert float(row["Start (s)"]) == pytest.approx(float(bout["start"]), abs=2e-3)
        assert float(row["Stop (s)"]) == pytest.approx(float(bout["stop"]), abs=2e-3)
    assert Image.open(out / "states.png").width > 900
    before = (out / "states.csv").read_bytes()
    result = ddr_here(*command)
    assert result.exit_code == 1 and "out is not empty; replace its" in result.stderr
    assert (out / "states.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--groups", "mood"], "groups=mood: there is no such label; "),
        (["--groups", "arm_angle"], "it is a continuous label of frames"),
        (["--method", "hmm"], "in no order in time, which a hidden Markov model needs"),
        (["--annotations", "a.eaf"], "a.eaf: .eaf counts seconds, but the store "),
        (["--states", 4000], "states=4000: needs 5 frames a state, and there are "),
        (["--states", 1], "1 is not in the range x>=2"),
    ],
)
def test_what_cannot_be_used(ddr_here, run_folder, puppets, tmp_path, options, message):
    result = ddr_here("states", run_folder, puppets, tmp_path / "out", *options)
    assert result.exit_code in (1, 2)
    [line] = [x for x in result.stderr.splitlines() if "rror: " in x]
    assert message in line
    assert list(tmp_path.iterdir()) == []
