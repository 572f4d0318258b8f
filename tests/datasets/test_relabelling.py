"""Labels, people and splits for a store that is there."""

import os
import warnings

import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.data import FrameStore, SequenceRecord, write_arrays, write_store
from keras_ddr.data.store import verify_store
from keras_ddr.datasets.relabelling import relabel

_NAMES = ["a#person1-1", "a#person2-1", "a#person2-2", "b#1", "c#1"]


@pytest.fixture
def store(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (5, 4, 16, 16, 1), np.uint8)
    return write_arrays(
        tmp_path / "S",
        frames,
        names=_NAMES,
        sources=["a.mp4", "a.mp4", "a.mp4", "b.mp4", "c.mp4"],
        persons=["", "", "", "bob", ""],
        splits=["train", "train", "train", "val", "test"],
        labels={
            "mood": ["calm", None, None, "glad", None],
            "pain": [np.arange(4.0)] * 5,
        },
        seed=3,
    )


@pytest.fixture
def label(tmp_path, store):
    """A function from the text of a table to the new store."""

    def label(text, new="T", **options):
        table = tmp_path / "labels.csv"
        table.write_text(text)
        return relabel(store.path, table, tmp_path / new, **options)

    return label


def _column(store, name):
    return [getattr(sequence, name) for sequence in store.sequences]


def test_names_and_labels_are_added_and_all_else_stays(store, label):
    made = label(
        "source,frame,person,mood,age\n"
        "a#person2,,ann,,30\na#person2-2,1,,tense,\nb,,eve,,\n"
    )
    assert _column(made, "person") == ["", "ann", "ann", "eve", ""]
    assert _column(made, "split") == _column(store, "split")
    assert [s.labels.get("age") for s in made.sequences] == [None, 30, 30, None, None]
    # The label of the table takes the place of the one with its name.
    assert made.labels["mood"].scope == "frame"
    found = [made.label_values(k, "mood").tolist() for k in (0, 2)]
    assert found == [[-1] * 4, [-1, 0, -1, -1]]
    for k in range(5):
        assert np.array_equal(made.frames(k), store.frames(k))
        assert np.array_equal(made.label_values(k, "pain"), np.arange(4.0))
    for key in ("sha256", "seed", "dataset", "licence"):
        assert made.meta[key] == store.meta[key]
    assert verify_store(made.path) == verify_store(store.path) == []
    # Not a copy.
    assert os.path.samefile(made.path / "frames.npy", store.path / "frames.npy")


def test_pictures_in_no_order_stay_so(tmp_path, label):
    record = SequenceRecord("c#1", np.zeros((4, 16, 16, 1), np.uint8))
    write_store(tmp_path / "S", [record], ordered=False, overwrite=True)
    assert not label("source,person\nc#1,ann\n").ordered


def test_a_person_is_in_one_split(tmp_path, store, label):
    message = "would put 'ann' into train .a#person1-1. and test .c#1., .* `split`"
    with pytest.raises(InputError, match=message):
        label("source,person\na#person1,ann\nc,ann\n")
    # Also by way of a name that the store has.
    with pytest.raises(InputError, match="into train .* and val"):
        label("source,person\na#person1,bob\n")
    assert sorted(os.listdir(tmp_path)) == ["S", "labels.csv"]
    made = label("source,person,split\na#person1,ann,\nc,ann,test\n")
    assert _column(made, "split") == ["test"] * 3 + ["val", "test"]
    with pytest.raises(InputError, match="the splits train and test"):
        label("source,person,split\na,ann,train\nc,ann,test\n", "U")


def test_a_store_takes_its_own_place(tmp_path, store, label):
    text = "source,person\nc#1,ann\n"
    with pytest.raises(InputError, match="exists already"):
        label(text, "S")
    before = store.frames(4)
    made = label(text, "S", overwrite=True)
    assert made.path == store.path and _column(made, "person")[4] == "ann"
    assert np.array_equal(made.frames(4), before)
    assert verify_store(made.path) == []
    with pytest.raises(InputError, match="was replaced"):
        store.frames(4)


def test_where_links_are_not_made_frames_are_copied(store, label, monkeypatch):
    def refuse(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    made = label("source,x\nb,1\n")
    assert not os.path.samefile(made.path / "frames.npy", store.path / "frames.npy")
    assert np.array_equal(made.frames(3), store.frames(3))
    assert verify_store(made.path) == []


def test_what_is_left_out(store, label):
    made = label("source,split,mood\na#person2-1,none,\nc.mp4,none,\nb,,sad\n")
    assert _column(made, "name") == ["a#person1-1", "a#person2-2", "b#1"]
    assert _column(made, "split") == ["train", "train", "val"]
    for sequence in made.sequences:
        frames = made.frames(sequence.index)
        np.testing.assert_array_equal(frames, store.frames(sequence.name))
    assert made.sequences[2].labels["mood"] == "sad" and not verify_store(made.path)
    with pytest.raises(InputError, match="leaves every sequence out; keep one"):
        label("source,split\na,none\nb,none\nc,none\n", "U")


def test_sequences_without_sources_are_named(tmp_path):
    frames = np.zeros((2, 3, 16, 16, 1), np.uint8)
    write_arrays(tmp_path / "S", frames, names=["trial 1", "trial#2"])
    table = tmp_path / "t.csv"
    table.write_text("source,person\ntrial 1,ann\ntrial#2,bob\n")
    made = relabel(tmp_path / "S", table, tmp_path / "T")
    assert _column(made, "person") == ["ann", "bob"]


def test_what_is_refused_and_what_is_told(tmp_path, store, label):
    with pytest.raises(InputError, match="'head_yaw' has the name of a label"):
        label("source,head_yaw\na,1\n")
    with pytest.raises(InputError, match="line 2 gives a time, but the frames of 'a"):
        label("source,time,x\na,1,2\n")
    with pytest.warns(UserWarning) as said:
        label("source,frame,x\na,9,1\nb#2,,1\n")
    texts = [str(warning.message) for warning in said]
    assert "'a.mp4' ends at frame 3 and has a label for frame 9" in texts[0]
    assert "'b.mp4#2': there is no such person or sequence" in texts[1]
    folder = tmp_path / "both"
    folder.mkdir()
    os.rename(store.path, folder / "S")
    with pytest.raises(InputError, match="is a folder of stores; give one"):
        relabel(folder, tmp_path / "labels.csv", tmp_path / "U")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(FrameStore.open(tmp_path / "T")) == 5
