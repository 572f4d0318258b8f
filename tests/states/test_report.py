"""Use, bouts, dwell times and transitions, counted by hand."""

import csv
import json

import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.mixture import GaussianMixture
from keras_ddr.states import (
    Bout,
    States,
    Trial,
    describe_states,
    write_states,
)
from keras_ddr.states.groups import groups_of

# Frames 8 and 9 lie behind a gap, out of order in the store.
_NUMBERS = [0, 1, 2, 3, 4, 5, 51, 50, 52, 53]
_STATES = ["AAABBA" + "AAAA", "BBBBBB" + "CCAA"]


@pytest.fixture
def states():
    means = np.array([[0.0], [10.0], [20.0]])
    mixture = GaussianMixture(np.full(3, 1 / 3), means, np.ones((3, 1, 1)))
    return States(mixture, [Trial(3, 0.0, 1.0, np.zeros(1))])


def _z():
    return [[[10.0 * "ABC".index(letter)] for letter in row] for row in _STATES]


@pytest.fixture
def timed(store_of):
    numbers = np.array([_NUMBERS, _NUMBERS])
    labels = {"source_frame": numbers, "time": numbers / 10}
    labels |= {"group": ["x", "y"], "pose": np.zeros((2, 10), int), "age": [1.5, 2.5]}
    return store_of(2, 10, labels=labels, persons=["p", "q"], sources=["v", "w"])


def test_counted_by_hand(timed, of_z, states):
    report = describe_states(timed, of_z(timed, _z()), states)
    assert report.persons == ["p", "q"] and report.unit == "s"
    np.testing.assert_allclose(report.use, [[0.8, 0.2, 0], [0.2, 0.6, 0.2]])
    assert report.number_of_bouts.tolist() == [[3, 1, 0], [1, 1, 1]]
    # Bouts of p in A: three frames, one, and four behind the gap, at ten a second.
    np.testing.assert_allclose(report.median_dwell[0], [0.3, 0.2, np.nan])
    np.testing.assert_allclose(report.mean_dwell[0, 0], 0.8 / 3)
    # No step leads over the gap: A is followed by B once, and B by A.
    nothing = [np.nan] * 3
    expected = [[0, 1, 0], [1, 0, 0], nothing], [nothing, nothing, [1, 0, 0]]
    np.testing.assert_allclose(report.transitions, expected)
    first, second, third, last = report.bouts[:4]
    assert first == Bout("sequence-0", "v", "p", "state 1", 0, 2, 0.0, second.start)
    assert (second.first_frame, second.last_frame, second.state) == (3, 4, "state 2")
    assert (third.start, third.stop) == (0.5, pytest.approx(0.6))
    assert (last.first_frame, last.last_frame) == (50, 53)
    assert (last.start, last.stop, last.frames) == (5.0, pytest.approx(5.4), 4)
    assert len(report.bouts) == 7 and report.certainty == pytest.approx(1)
    table = report.table()
    assert "state 1  0.500" in table and "median dwell (s)" in table
    assert "states lie apart" in table and "3 states, as given; stable" in table


def test_files_hold_what_was_found(timed, of_z, states, tmp_path):
    report = describe_states(timed, of_z(timed, _z()), states, groups="group")
    paths = write_states(tmp_path / "out", timed, report)
    assert [path.name for path in paths] == ["states.csv", "bouts.csv", "summary.json"]
    with open(paths[0], newline="") as file:
        rows = list(csv.DictReader(file))
    named = [
        {"A": "state 1", "B": "state 2", "C": "state 3"}[c] for c in "".join(_STATES)
    ]
    assert [row["state"] for row in rows] == named
    assert rows[7] == {
        "sequence": "sequence-0",
        "split": "train",
        "person": "p",
        "position": "7",
        "source_frame": "50",
        "time": "5.000",
        "state": "state 1",
        "probability": "1.0000",
    }
    with open(paths[1], newline="") as file:
        bouts = list(csv.DictReader(file))
    assert [row["start"] for row in bouts[:3]] == ["0.000", "0.300", "0.500"]
    summary = json.loads(paths[2].read_text())
    assert summary["persons"]["p"]["median_dwell"][2] is None
    assert summary["mean"]["use"][1]["value"] == pytest.approx(0.4)
    assert summary["groups"]["persons"] == {"x": 1, "y": 1}
    assert "no p can be below 1: more are needed" in report.table()
    with pytest.raises(InputError, match="out is not empty; replace its files with"):
        write_states(tmp_path / "out", timed, report)
    write_states(tmp_path / "out", timed, report, overwrite=True)


def test_frames_without_times_are_counted(store_of, of_z, states):
    store = store_of(2, 10)
    report = describe_states(store, of_z(store, _z()), states)
    assert report.unit == "frames"
    np.testing.assert_allclose(report.median_dwell[0], [4, 2, np.nan])
    assert np.isnan(report.bouts[0].start) and report.bouts[0].last_frame == 2


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("mood", "groups=mood: there is no such label; .* has group"),
        ("pose", "it is a categorical label of frames, and groups need"),
        ("age", "it is a continuous label of sequences"),
    ],
)
def test_labels_that_give_no_groups(timed, label, message):
    with pytest.raises(InputError, match=message):
        groups_of(timed, timed.sequences, label)


def test_a_person_is_in_one_group(store_of):
    labels = {"group": ["x", "y"], "same": ["x", "x"]}
    store = store_of(2, 10, labels=labels, persons=["p", "p"])
    with pytest.raises(InputError, match="p is in two groups, x and y"):
        groups_of(store, store.sequences, "group")
    with pytest.raises(InputError, match="all persons are of one group .x."):
        groups_of(store, store.sequences, "same")
