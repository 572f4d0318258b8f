import csv
import re

import numpy as np
import pytest
import srt
from PIL import Image

from keras_ddr.data import FrameStore
from pages import ROOT, blocks


def fails(result, message):
    assert result.exit_code == 1, result.output
    [line] = [x for x in result.stderr.splitlines() if "error: " in x]
    assert message in line
    return True


def test_encode(ddr_here, run_folder, puppets, tmp_path):
    for name in ("codes.npz", "codes.csv"):
        out = tmp_path / name
        result = ddr_here("encode", run_folder, puppets, out, "--split", "test")
        assert result.exit_code == 0, result.output
        assert str(out) in result.output
    with np.load(tmp_path / "codes.npz") as archive:
        count = len(FrameStore.open(puppets).select("test"))
        assert archive["static_mean"].shape == (count, 4)
        assert archive["label:arm_angle"].shape == (count * 96,)
        codes = archive["dynamic_mean"]
    with open(tmp_path / "codes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert np.allclose([float(row["z_2"]) for row in rows], codes[:, 1])
    # The page on other programs reads the columns of just this table in R.
    [(_, code)] = blocks(ROOT / "docs" / "exports.md", "r")
    named = set(re.findall(r"z_\w+|label:\w+|sequence|source_frame", code))
    assert len(named) == 4 and named <= set(rows[0])
    noisy = tmp_path / "noisy.npz"
    options = ["--split", "test", "--noise", 2]
    assert ddr_here("encode", run_folder, puppets, noisy, *options).exit_code == 0
    with np.load(noisy) as archive:
        scores = (archive["dynamic_mean"] - codes) / np.sqrt(
            archive["dynamic_variance"]
        )
    assert 1.8 < scores.std() < 2.2
    assert fails(
        ddr_here("encode", run_folder, puppets, tmp_path / "a.txt"), "one of .npz"
    )
    assert fails(
        ddr_here("encode", run_folder, puppets, tmp_path / "no" / "a.npz"), "no"
    )
    assert fails(ddr_here("encode", puppets, puppets, tmp_path / "a.npz"), "config")


def test_events(ddr_here, run_folder, puppets, tmp_path):
    out, sheet = tmp_path / "events.csv", tmp_path / "sheet.png"
    names = [sequence.name for sequence in FrameStore.open(puppets).sequences[:2]]
    chosen = [option for name in names for option in ("--sequence", name)]
    options = ["--prominence", 0, "--smooth", 0, "--distance", 1]
    result = ddr_here(
        "events", run_folder, puppets, out, *chosen, *options, "--sheet", sheet
    )
    assert result.exit_code == 0, result.output
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file))
    assert f"{len(rows)} events" in result.output and len(rows) > 10
    assert {row["sequence"] for row in rows} == set(names)
    # An untrained model explains nothing, as the measure says.
    shares = {row["sequence"]: float(row["motion_explained"]) for row in rows}
    assert all(share < 0.3 for share in shares.values())
    assert "z explains little of what moves in 2 of the sequences" in result.output
    assert {row["kind"] for row in rows} == {"peak", "valley"}
    assert all(row["label:skin"] and row["label:arm_angle"] for row in rows)
    assert Image.open(sheet).width > 500
    only = [*chosen, *options, "--component", 2, "--overwrite"]
    assert ddr_here("events", run_folder, puppets, out, *only).exit_code == 0
    with open(out, newline="") as file:
        assert {row["component"] for row in csv.DictReader(file)} == {"2"}


def test_events_and_codes_for_other_programs(ddr_here, run_folder, moving, tmp_path):
    """The moments of the table, in a subtitle."""
    name = FrameStore.open(moving).sequences[1].name
    options = ["--sequence", name, "--prominence", 0]
    table, out = tmp_path / "e.csv", tmp_path / "e.srt"
    assert ddr_here("events", run_folder, moving, table, *options).exit_code == 0
    result = ddr_here("events", run_folder, moving, out, *options)
    with open(table, newline="") as file:
        times = [float(row["time"]) for row in csv.DictReader(file)]
    cues = list(srt.parse(out.read_text()))
    assert [cue.start.total_seconds() for cue in cues] == times and len(cues) > 5
    assert f"e.srt: {len(cues)} events" in result.output


@pytest.mark.slow
def test_each_recording_has_a_file(ddr_here, run_folder, moving, tmp_path):
    """Also where there are no events, which is said."""
    none = ["events", run_folder, moving, tmp_path / "n.eaf", "--prominence", 1e6]
    result = ddr_here(*none, "--sequences", 2)
    assert "1 more file: 0 events" in result.output
    assert "no events in 2 of the sequences" in result.output
    assert len(files := list(tmp_path.glob("n-*.eaf"))) == 2
    assert ddr_here(*none, "--sequences", 2, "--overwrite").exit_code == 0
    assert sorted(tmp_path.iterdir()) == sorted(files)
    codes = ["encode", run_folder, moving, tmp_path / "c.nwb", "--split", "test"]
    assert ddr_here(*codes).exit_code == 0
    assert len(list(tmp_path.glob("c-*.nwb"))) > 1
    assert fails(ddr_here(*codes), ".nwb exists; replace it with --overwrite")
    assert ddr_here(*codes, "--overwrite").exit_code == 0


@pytest.mark.slow
def test_packages_that_are_missing_are_named(
    ddr_elsewhere, run_folder, moving, tmp_path
):
    for module, name, advice in (
        ("pyarrow", "c.parquet", 'pip install "keras_ddr[parquet]"'),
        ("pynwb", "c.nwb", 'pip install "keras_ddr[nwb]"'),
    ):
        result = ddr_elsewhere(
            "encode", run_folder, moving, tmp_path / name, blocked=[module]
        )
        assert result.returncode == 1
        assert advice in result.stderr.splitlines()[-1]


@pytest.mark.slow
def test_events_of_some_sequences(ddr_here, run_folder, puppets, tmp_path):
    def events(*options):
        command = ["events", run_folder, puppets, out, "--smooth", 0, "--overwrite"]
        result = ddr_here(*command, *options)
        assert result.exit_code == 0, result.output
        with open(out, newline="") as file:
            return result.output, list(csv.DictReader(file))

    out = tmp_path / "events.csv"
    names = [sequence.name for sequence in FrameStore.open(puppets).sequences]
    twice = [
        option
        for name in (names[3], names[1], names[3])
        for option in ("--sequence", name)
    ]
    _, rows = events("--prominence", 0, *twice)
    assert list(dict.fromkeys(row["sequence"] for row in rows)) == [names[1], names[3]]
    assert len({tuple(row.values()) for row in rows}) == len(rows)
    chosen = [
        [row["sequence"] for row in events("--prominence", 0, "--sequences", 3, *o)[1]]
        for o in ([], ["--seed", 0], ["--seed", 1])
    ]
    assert chosen[0] == chosen[1] != chosen[2] and len(set(chosen[0])) == 3
    assert sorted(chosen[0], key=names.index) == chosen[0]
    sheet = tmp_path / "sheet.png"
    output, rows = events("--prominence", 1e6, "--sheet", sheet)
    assert rows == [] and not sheet.exists()
    assert f"no events in {len(names)} of the sequences: {names[0]} first" in output
    assert "smaller --prominence" in output
    assert "sheet.png is not written" in output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["a.npz"], "use one of .csv, .boris, .tsv, .eaf"),
        (["a.eaf"], "no times of the frames of"),
        (["a.csv", "--sheet", "a.gif"], "'.gif'"),
        (["a.csv", "--sequence", "me"], "named 'me'"),
        (["a.csv", "--component", 3], "z has 2 components, so 3"),
    ],
)
def test_events_of_what_cannot_be_used(
    ddr_here, run_folder, puppets, tmp_path, options, message
):
    name, *rest = options
    rest = [tmp_path / r if str(r).endswith(".gif") else r for r in rest]
    result = ddr_here("events", run_folder, puppets, tmp_path / name, *rest)
    assert fails(result, message)
    assert list(tmp_path.iterdir()) == []
