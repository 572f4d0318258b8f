"""`ddr confounds`: a session that changed the light."""

import json

import numpy as np

from keras_ddr.data import FrameStore, write_arrays


def test_a_session_with_less_light(ddr_here, run_folder, puppets, tmp_path):
    drawn = FrameStore.open(puppets)
    dark = np.arange(len(drawn)) % 2
    frames = [drawn.frames(k)[::6] // (1 + dark[k]) for k in range(len(drawn))]
    days = {"session": [("day 1", "day 2")[k] for k in dark]}
    write_arrays(tmp_path / "S", frames, labels=days)
    out = tmp_path / "a.json"
    command = ["confounds", run_folder, tmp_path / "S", "--label", "session"]
    result = ddr_here(*command, "--out", out)
    assert result.exit_code == 0, result.output
    assert "session: day 1 (12 people), day 2 (12 people)" in result.output
    assert "f gives the session away (" in result.output
    said = json.loads(out.read_text())
    assert said["advice"] in " ".join(result.output.split())
    assert said["leaks"]["f"]["interval"][0] > 0.5
    assert set(said["noisy"]) == {"z", "z~"}


def test_bad_input(ddr_here, run_folder, puppets, tmp_path):
    command = ["confounds", run_folder, puppets, "--label"]
    result = ddr_here(*command, "pose")
    assert result.exit_code == 1 and "'pose' is one of frames" in result.stderr
    assert result.stderr.count("\n") == 1
    result = ddr_here(*command, "skin", "--out", tmp_path / "a.txt")
    assert result.exit_code == 1 and ".json" in result.stderr
    assert ddr_here(*command[:-1]).exit_code == 2
