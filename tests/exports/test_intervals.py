"""Intervals in the files of annotation tools, read back by other packages."""

import csv
import json

import numpy as np
import pynwb
import pytest
import srt
from pympi import Eaf, TextGrid

from keras_ddr import InputError
from keras_ddr.data import FrameStore, write_arrays
from keras_ddr.datasets import Cropping, Lengths, videos
from keras_ddr.datasets.relabelling import relabel
from keras_ddr.exports import Timeline, write_intervals
from keras_ddr.exports.boris import COLUMNS
from keras_ddr.media import opencv

cv2 = opencv.load()
_RATE = 30000 / 1001  # frames at whole milliseconds would hide a wrong rounding


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A video of two shots, and the store S of it: the second one begins in it."""
    folder = tmp_path_factory.mktemp("intervals")
    random = np.random.default_rng(0)
    writer = cv2.VideoWriter(
        str(folder / "a.avi"), cv2.VideoWriter_fourcc(*"FFV1"), _RATE, (32, 32)
    )
    for _ in range(2):
        picture = random.integers(60, 180, (32, 32, 3))
        for number in range(25):
            writer.write((picture + number).astype(np.uint8))
    writer.release()
    whole = Cropping(crop="none", size=32)
    videos.prepare(
        folder / "S", folder / "a.avi", cropping=whole, lengths=Lengths(min_length=5)
    )
    return folder


@pytest.fixture(scope="module")
def timelines(place):
    store = FrameStore.open(place / "S")
    assert [s.name for s in store.sequences] == ["a#1", "a#2"]
    return [Timeline(s, store.frame_labels(s.index)) for s in store.sequences]


@pytest.fixture(scope="module")
def states(timelines):
    """Frames 3 to 9, 10 to 20 and, of the second shot, 30 to 34."""
    first, second = timelines
    return [
        first.interval(3, 9, "state", "1"),
        first.interval(10, 20, "state", "2"),
        second.interval(5, 9, "state", "1"),
    ]


def _stamps(path):
    """Milliseconds of the frames of a video, as OpenCV and players have them."""
    capture, stamps = cv2.VideoCapture(str(path)), []
    while capture.grab():
        stamps.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    return np.array(stamps)


def test_subtitles_are_there_with_their_frames_and_no_others(
    place, timelines, states, tmp_path
):
    moment = timelines[1].interval(5, 5, "z_1", "peak", moment=True)
    write_intervals(tmp_path / "a.srt", [*states, moment], timelines)
    text = (tmp_path / "a.srt").read_text()
    cues = list(srt.parse(text))
    assert [cue.content for cue in cues] == [
        *("state 1", "state 2", "z_1 peak", "state 1")
    ]
    stamps = _stamps(place / "a.avi")
    wanted = [(3, 9), (10, 20), (30, 49), (30, 34)]
    for cue, (first, last) in zip(cues, wanted, strict=True):
        start, end = (x.total_seconds() * 1000 for x in (cue.start, cue.end))
        shown = np.flatnonzero((start <= stamps) & (stamps < end))
        assert (shown[0], shown[-1]) == (first, last)
    assert (cues[2].end - cues[2].start).total_seconds() == 1
    write_intervals(tmp_path / "a.vtt", [*states, moment], timelines)
    header, _, rest = (tmp_path / "a.vtt").read_text().partition("\n\n")
    assert header == "WEBVTT"
    blocks = [block.split("\n")[1:] for block in text.strip().split("\n\n")]
    assert [block.split("\n") for block in rest.strip().split("\n\n")] == [
        [times.replace(",", "."), *lines] for times, *lines in blocks
    ]


def test_elan_shows_the_first_frame_of_each(place, timelines, states, tmp_path):
    """Two people at once have tiers of their own; overlaps in one go to another."""
    overlap = timelines[0].interval(5, 12, "state", "3")
    path = tmp_path / "a.eaf"
    write_intervals(path, [*states, overlap], timelines, media=place)
    eaf = Eaf(path)
    stamps = np.append(_stamps(place / "a.avi"), np.inf)

    def frames(tier):
        for start, stop, name in sorted(eaf.get_annotation_data_for_tier(tier)):
            first, after = np.searchsorted(stamps, [start, stop], "right") - 1
            yield first, after - 1, name

    assert list(frames("state")) == [(3, 9, "1"), (10, 20, "2"), (30, 34, "1")]
    assert list(frames("state (2)")) == [(5, 12, "3")]
    [media] = eaf.media_descriptors
    assert media["MEDIA_URL"] == f"file://{place / 'a.avi'}"
    assert (tmp_path / media["RELATIVE_MEDIA_URL"]).samefile(place / "a.avi")
    slots = list(eaf.timeslots.values())
    assert slots == sorted(slots)


def test_praat_has_intervals_that_tile_and_points(timelines, states, tmp_path):
    peaks = [
        timelines[k].interval(n, n, "z_1", 'a "peak"', moment=True)
        for k, n in ((0, 2), (1, 4))
    ]
    write_intervals(tmp_path / "a.TextGrid", [*states, *peaks], timelines)
    grid = TextGrid(tmp_path / "a.TextGrid")
    assert [(t.name, t.tier_type) for t in grid.get_tiers()] == [
        ("state", "IntervalTier"),
        ("z_1", "TextTier"),
    ]
    end = 50 / _RATE
    assert grid.xmax == pytest.approx(end, abs=1e-4)
    starts, stops, names = zip(*grid.get_tier("state").get_all_intervals(), strict=True)
    ends = np.array([0, 3, 10, 21, 30, 35, 50]) / _RATE
    assert names == ("", "1", "2", "", "1", "")
    assert np.allclose([*starts, stops[-1]], ends, atol=1e-4)
    assert starts[1:] == stops[:-1]
    points = list(grid.get_tier("z_1").get_all_intervals())
    assert np.allclose([p[0] for p in points], [2 / _RATE, 29 / _RATE], atol=1e-4)


def test_boris_rows_become_the_same_labels_again(place, timelines, states, tmp_path):
    """`ddr label` takes them as it takes exports of BORIS."""
    write_intervals(tmp_path / "a.tsv", states, timelines)
    with open(tmp_path / "a.tsv", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert tuple(rows[0]) == COLUMNS
    assert [row["Behavior type"] for row in rows] == ["STATE"] * 3
    store = relabel(place / "S", tmp_path / "a.tsv", tmp_path / "NEW")
    found = np.concatenate(
        [
            store.labels["Behavior"].texts(store.label_values(k, "Behavior"))
            for k in (0, 1)
        ]
    )
    wanted = np.full(50, "", object)
    for begin, end, name in ((3, 9, "1"), (10, 20, "2"), (30, 34, "1")):
        wanted[begin : end + 1] = f"state {name}"
    assert found.tolist() == wanted.tolist()


def test_boris_project(place, timelines, states, tmp_path):
    """States have two events, moments one; the video is found from the project."""
    peak = timelines[0].interval(7, 7, "z_1", "peak", moment=True, note="2.5")
    path = tmp_path / "p.boris"
    write_intervals(path, [*states, peak], timelines, media=place)
    project = json.loads(path.read_text())
    types = {b["code"]: b["type"] for b in project["behaviors_conf"].values()}
    assert types == {
        "state 1": "State event",
        "state 2": "State event",
        "z_1 peak": "Point event",
    }
    about = project["observations"]["a.avi"]
    [video] = about["file"]["1"]
    assert (tmp_path / video).samefile(place / "a.avi")
    assert about["media_info"]["fps"][video] == 29.97  # BORIS shows it
    events = about["events"]
    assert [e[0] for e in events] == sorted(e[0] for e in events)
    assert [e[5] for e in events if e[2] == "state 1"] == [3, 9, 30, 34]
    assert [e for e in events if e[2] == "z_1 peak"] == [
        [round(7 / _RATE, 3), "", "z_1 peak", "", "2.5", 7]
    ]


def test_nwb_has_bouts_and_moments(timelines, states, tmp_path):
    peak = timelines[1].interval(4, 4, "z_1", "peak", moment=True)
    write_intervals(tmp_path / "a.nwb", [*states, peak], timelines)
    assert pynwb.validate(path=tmp_path / "a.nwb") == []
    with pynwb.NWBHDF5IO(tmp_path / "a.nwb", "r") as file:
        content = file.read()
        bouts = content.processing["behavior"]["state"]
        assert type(bouts).__name__ == "EthogramBouts"
        assert bouts.to_dataframe().to_numpy().tolist() == [
            [state.start, state.stop, state.name] for state in states
        ]
        moments = content.events["z_1"].to_dataframe()
        assert moments.to_numpy().tolist() == [[peak.start, "peak"]]


def _store(path, names, times=True, **more):
    """Arrays as sequences of 5 frames, 2 a second."""
    labels = {"time": [np.arange(5) / 2] * len(names)} if times else {}
    frames = np.zeros((len(names), 5, 16, 16, 3), np.uint8)
    return write_arrays(path, frames, names=names, labels=labels, **more)


def _timelines(store):
    return [Timeline(s, store.frame_labels(s.index)) for s in store.sequences]


def test_each_recording_has_a_file_and_people_have_tiers(tmp_path):
    names = ["ann one", "b#person2-1", "c/d"]
    timelines = _timelines(_store(tmp_path / "S", names, persons=["ann", "", ""]))
    states = [t.interval(1, 3, "state", "x & <y>") for t in timelines[:2]]
    files = write_intervals(tmp_path / "e.eaf", states, timelines)
    assert [f.name for f in files] == [
        "e-ann one.eaf",
        "e-b#person2-1.eaf",
        "e-c_d.eaf",
    ]
    eafs = [Eaf(file) for file in files]
    assert [list(eaf.tiers) for eaf in eafs] == [["ann state"], ["state"], []]
    assert eafs[0].tiers["ann state"][2]["PARTICIPANT"] == "ann"
    assert eafs[0].get_annotation_data_for_tier("ann state") == [(500, 2000, "x & <y>")]
    assert eafs[0].media_descriptors == []
    # Where nothing was found, files are empty, but whole.
    for name in ("n.srt", "n.vtt", "n.TextGrid", "n.tsv", "n.boris"):
        [file] = write_intervals(tmp_path / name, [], timelines[2:])
        assert file == tmp_path / name
    assert list(srt.parse((tmp_path / "n.srt").read_text())) == []
    [tier] = TextGrid(tmp_path / "n.TextGrid").get_tiers()
    assert list(tier.get_all_intervals()) == [(0, 2.5, "")]
    assert (tmp_path / "n.tsv").read_text().count("\n") == 1
    assert json.loads((tmp_path / "n.boris").read_text())["observations"]["c/d"]


def test_a_frame_before_a_gap_lasts_as_long_as_others(tmp_path):
    """And not until somebody is seen again."""
    times = np.array([0, 1, 2, 5, 6]) / 25
    labels = {"time": [times], "source_frame": [[0, 1, 2, 5, 6]]}
    frames = np.zeros((1, 5, 16, 16, 3), np.uint8)
    [timeline] = _timelines(write_arrays(tmp_path / "S", frames, labels=labels))
    assert np.allclose(timeline.stops, np.array([1, 2, 3, 6, 7]) / 25)
    found = timeline.interval(1, 3, "state", "1")
    assert (found.first, found.last) == (1, 5)


def test_what_cannot_be_written(place, timelines, states, tmp_path):
    untimed = _timelines(_store(tmp_path / "S", ["a"], times=False))
    (tmp_path / "old.eaf").write_text("by hand")
    cases = [
        (("no/a.eaf", states, timelines), "does not exist"),
        (("a.xml", states, timelines), "use one of .boris, .tsv, .eaf, .TextGrid"),
        (("old.eaf", states, timelines), "old.eaf exists; replace it with --overwrite"),
        (("a.eaf", [], untimed), "counts seconds, .* prepare it with --frame-rate"),
    ]
    for (name, *of), message in cases:
        with pytest.raises(InputError, match=message):
            write_intervals(tmp_path / name, *of)
    with pytest.raises(InputError, match="a.avi: no such file; give the folder"):
        write_intervals(tmp_path / "a.eaf", states, timelines, media=tmp_path)
    assert (tmp_path / "old.eaf").read_text() == "by hand"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["S", "old.eaf"]
    write_intervals(tmp_path / "old.eaf", states, timelines, overwrite=True)
    assert len(Eaf(tmp_path / "old.eaf").tiers["state"][0]) == 3
