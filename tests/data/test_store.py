"""Frame stores: what is written is read back, and damage is named in one line."""

import json
import os
import pathlib
import pickle
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.data import (
    FrameStore,
    Label,
    SequenceRecord,
    StoreWriter,
    assign_splits,
    write_arrays,
    write_store,
)
from keras_ddr.data.splits import checked_shares
from keras_ddr.files import locked

# Workers, which read and write stores, import no backend.
WITHOUT_BACKEND = {**os.environ, "KERAS_DDR_WORKER": "1"}


def _records(count=4, length=5, size=16, fill=None, **extra):
    for number in range(count):
        value = number + 1 if fill is None else fill
        yield SequenceRecord(
            name=f"s{number}",
            frames=np.full((length, size, size, 3), value, np.uint8),
            **extra,
        )


@pytest.fixture
def store(tmp_path, rng):
    frames = [rng.integers(0, 256, (t, 16, 32, 3), np.uint8) for t in (4, 1, 7)]
    store = write_arrays(
        tmp_path / "store",
        frames,
        names=["a", "b", "c"],
        splits=["train", "val", "test"],
        labels={
            "colour": ["red", None, "blue"],
            "age": [1.5, 2, float("nan")],
            "angle": [np.linspace(0, 1, t) for t in (4, 1, 7)],
            "mood": [["glad"] * 4, ["sad"], ["glad"] * 7],
        },
        persons=["ann", "", "bob"],
    )
    return store, frames


def _one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


# --- reading back ---------------------------------------------------------------------


def test_round_trip(store):
    store, frames = store
    store = FrameStore.open(str(store.path))
    assert (len(store), store.num_frames, store.frame_shape) == (3, 12, (16, 32, 3))
    for number, expected in enumerate(frames):
        np.testing.assert_array_equal(store.frames(number), expected)
    picked = store.frames(2, [5, 0, 5])
    np.testing.assert_array_equal(picked, frames[2][[5, 0, 5]])
    picked[:] = 0
    np.testing.assert_array_equal(store.frames(2, [5, 0, 5]), frames[2][[5, 0, 5]])
    assert store.frames(0, []).shape == (0, 16, 32, 3)
    first = store.sequences[0]
    assert (first.name, first.start, first.length) == ("a", 0, 4)
    assert (first.split, first.person, first.source) == ("train", "ann", "")
    assert first.labels == {"colour": "red", "age": 1.5}
    assert store.sequences[1].labels["colour"] is None
    assert store.sequences[2].labels["age"] is None
    assert store.labels["colour"].classes == ("blue", "red")
    labels = store.frame_labels(2)
    np.testing.assert_allclose(labels["angle"], np.linspace(0, 1, 7), atol=1e-7)
    assert labels["mood"].tolist() == [0] * 7
    assert labels["source_frame"].tolist() == list(range(7))
    assert np.isnan(labels["time"]).all()
    assert store.meta["counts"]["persons"] == 2
    assert store.ordered
    store.verify()


def test_indices_outside_a_sequence_are_refused(store):
    store, _ = store
    for indices in ([4], [-1], [0.5]):
        with pytest.raises(IndexError):
            store.frames(0, indices)


def test_select(store):
    store, _ = store
    assert [s.name for s in store.select("train")] == ["a"]
    assert [s.name for s in store.select("all", min_length=2)] == ["a", "c"]
    assert len(store.select(None)) == 3
    with pytest.raises(InputError, match="split='dev'"):
        store.select("dev")


def test_gather_equals_frames(store):
    store, frames = store
    batch = store.gather([2, 0, 2], [[6, 1], [0, 3], [1, 1]])
    assert batch.shape == (3, 2, 16, 32, 3)
    np.testing.assert_array_equal(batch[0], frames[2][[6, 1]])
    np.testing.assert_array_equal(batch[1], frames[0][[0, 3]])


def test_gather_without_reads_at_a_place_copies_from_the_map(store, monkeypatch):
    store, frames = store
    sequences, indices = [2, 0, 2], [[6, 1], [0, 3], [1, 1]]
    expected = store.gather(sequences, indices)
    monkeypatch.delattr(os, "preadv", raising=False)
    mapped = FrameStore.open(store.path)
    np.testing.assert_array_equal(mapped.gather(sequences, indices), expected)
    np.testing.assert_array_equal(mapped.frames(2, [6, 1]), frames[2][[6, 1]])


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="the system has no preadv")
def test_a_file_that_became_shorter_is_named(store):
    store = FrameStore.open(store[0].path)
    os.truncate(store.path / "frames.npy", 192 + 100)
    with pytest.raises(InputError, match="frames.npy: has become shorter"):
        store.gather([2], [[6]])


def test_a_closed_store_keeps_no_file_open(store):
    store, _ = store
    files = pathlib.Path("/proc/self/fd")
    if not files.is_dir():
        pytest.skip("the system does not list open files")
    path = str(store.path / "frames.npy")
    store.gather([0], [[0]])
    opened = [f for f in files.iterdir() if os.path.realpath(f) == path]
    assert opened
    store._release()
    assert not [f for f in files.iterdir() if os.path.realpath(f) == path]


def test_pickled_store_reads_the_same(store):
    store, frames = store
    data = pickle.dumps(store)
    assert len(data) < 20_000
    np.testing.assert_array_equal(pickle.loads(data).frames(2), frames[2])


def test_floats_become_eight_bits(tmp_path):
    frames = np.linspace(0, 1, 2 * 3 * 16 * 16).reshape(2, 3, 16, 16, 1)
    store = write_arrays(tmp_path / "s", frames)
    np.testing.assert_array_equal(store.frames(1), np.rint(frames[1] * 255))
    for bad in (1.5, -0.1, np.nan):
        with pytest.raises(InputError, match="floats must be in"):
            write_arrays(tmp_path / "t", np.full((1, 2, 16, 16, 1), bad))
    assert os.listdir(tmp_path) == ["s"]


def test_names_that_need_care(tmp_path):
    names = ['with "quotes", and comma', "видео é", "two\nlines", os.fsdecode(b"\xff")]
    path = tmp_path / "Öffentlich é"
    store = write_arrays(path, np.zeros((4, 2, 16, 16, 1), "u1"), names=names)
    assert [s.name for s in store.sequences] == names


def test_frames_file_is_plain_numpy(store):
    store, frames = store
    loaded = np.load(store.path / "frames.npy", allow_pickle=False)
    np.testing.assert_array_equal(loaded, np.concatenate(frames))


# --- shards ---------------------------------------------------------------------------


def test_folder_of_stores_is_one_store(tmp_path):
    for number in (10, 2):
        records = _records(3, fill=number, person=f"p{number}", labels={"k": "x"})
        write_store(tmp_path / "all" / f"part{number}", records)
    (tmp_path / "all" / ".hidden").mkdir()
    store = FrameStore.open(tmp_path / "all")
    assert (len(store), store.num_frames) == (6, 30)
    # Names are used twice, and 2 comes before 10.
    assert store.sequences[0].name == "part2/s0"
    assert store.sequences[5].name == "part10/s2"
    assert store.sequences[5].start == 25
    assert store.frames(4)[0, 0, 0, 0] == 10
    batch = store.gather([5, 0], [[0], [1]])
    assert batch[:, 0, 0, 0, 0].tolist() == [10, 2]
    store.verify()
    # Its checksum is that of all of them.
    before = store.meta["sha256"]
    assert FrameStore.open(tmp_path / "all").meta["sha256"] == before
    records = _records(3, fill=11, person="p10", labels={"k": "x"})
    write_store(tmp_path / "all" / "part10", records, overwrite=True)
    assert FrameStore.open(tmp_path / "all").meta["sha256"] != before


def test_shards_with_other_labels(tmp_path):
    write_store(tmp_path / "all" / "a", _records(1, labels={"k": "x"}))
    write_store(
        tmp_path / "all" / "b",
        [
            SequenceRecord(
                "other",
                np.zeros((2, 16, 16, 3), np.uint8),
                labels={"k": "y"},
                frame_labels={"angle": np.ones(2)},
            )
        ],
    )
    store = FrameStore.open(tmp_path / "all")
    assert store.labels["k"].classes == ("x", "y")
    assert np.isnan(store.frame_labels(0)["angle"]).all()
    assert store.frame_labels(1)["angle"].tolist() == [1, 1]


def test_shards_must_fit_and_leaks_are_named(tmp_path):
    write_store(tmp_path / "all" / "a", _records(1, person="ann"))
    write_store(tmp_path / "all" / "b", _records(1, person="ann", split="test"))
    with pytest.warns(UserWarning, match="'ann'.*more than one split"):
        FrameStore.open(tmp_path / "all")
    write_store(tmp_path / "all" / "c", _records(1, size=32))
    with pytest.raises(InputError, match="32x32x3") as error:
        FrameStore.open(tmp_path / "all")
    _one_line(error)


# --- damage ---------------------------------------------------------------------------


def _edit_meta(path, **changes):
    file = path / "meta.json"
    meta = json.loads(file.read_text())
    file.write_text(json.dumps({**meta, **changes}))


def _edit_csv(path, old, new):
    file = path / "sequences.csv"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def _save_frames(path, array):
    np.save(path / "frames.npy", array, allow_pickle=True)


DAMAGE = {
    "no frames": (lambda p: (p / "frames.npy").unlink(), "frames.npy: is missing"),
    "no meta": (lambda p: (p / "meta.json").unlink(), "meta.json: is missing"),
    "broken meta": (
        lambda p: (p / "meta.json").write_text("{"),
        "meta.json: cannot be read",
    ),
    "other json": (
        lambda p: (p / "meta.json").write_text("[1]"),
        "meta.json: does not describe",
    ),
    "newer": (lambda p: _edit_meta(p, version=99), "meta.json: format version 99"),
    "labels": (lambda p: _edit_meta(p, labels={"a": 1}), "meta.json: label 'a'"),
    "float frames": (
        lambda p: _save_frames(p, np.zeros((12, 16, 32, 3))),
        "frames.npy: holds float64",
    ),
    "3-D frames": (
        lambda p: _save_frames(p, np.zeros((12, 16, 32), np.uint8)),
        r"frames.npy: holds uint8 \(12, 16, 32\)",
    ),
    "pickled frames": (
        lambda p: _save_frames(p, np.array([{}, []], object)),
        "frames.npy: is not a whole NumPy file",
    ),
    "truncated frames": (
        lambda p: os.truncate(p / "frames.npy", 5000),
        "frames.npy: is not a whole NumPy file",
    ),
    "empty frames": (
        lambda p: os.truncate(p / "frames.npy", 0),
        "frames.npy: is not a whole NumPy file",
    ),
    "fewer frames": (
        lambda p: _save_frames(p, np.zeros((9, 16, 32, 3), np.uint8)),
        "sequences.csv: lists 12 frames, but frames.npy holds 9",
    ),
    "more frames": (
        lambda p: _save_frames(p, np.zeros((13, 16, 32, 3), np.uint8)),
        "sequences.csv: lists 12 frames, but frames.npy holds 13",
    ),
    "overlap": (
        lambda p: _edit_csv(p, "b,4,", "b,3,"),
        "'b' starts at frame 3 .* end at 4",
    ),
    "negative": (lambda p: _edit_csv(p, "a,0,", "a,-1,"), "'a' starts at frame -1"),
    "text": (lambda p: _edit_csv(p, "b,4,", "b,x,"), "line 3 has no whole numbers"),
    "split": (lambda p: _edit_csv(p, "val", "dev"), "unknown split 'dev'"),
    "class": (lambda p: _edit_csv(p, "red", "mauve"), "'mauve' for colour"),
    "twice": (lambda p: _edit_csv(p, "b,4", "a,4"), "'a' is listed twice"),
    "column": (lambda p: _edit_csv(p, "person", "who"), "no column 'person'"),
    "no rows": (
        lambda p: (p / "sequences.csv").write_text(
            (p / "sequences.csv").read_text().splitlines()[0] + "\n"
        ),
        "lists no sequence",
    ),
    "labels gone": (
        lambda p: np.savez(p / "labels.npz", time=np.zeros(12)),
        "labels.npz: cannot be read .*angle",
    ),
    "labels short": (
        lambda p: np.savez(
            p / "labels.npz",
            **{k: np.zeros(3) for k in ("source_frame", "time", "angle", "mood")},
        ),
        r"labels.npz: .*label '.*' has shape \(3,\)",
    ),
    "labels pickled": (
        lambda p: np.savez(
            p / "labels.npz",
            **{
                k: np.array([None] * 12)
                for k in ("source_frame", "time", "angle", "mood")
            },
        ),
        "labels.npz: .*label .* holds object and no",
    ),
    "labels junk": (
        lambda p: (p / "labels.npz").write_bytes(b"junk"),
        "labels.npz: cannot be read",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_named(store, case):
    store, _ = store
    damage, message = DAMAGE[case]
    damage(store.path)
    with pytest.raises(InputError, match=message) as error:
        FrameStore.open(store.path)
    assert str(store.path) in _one_line(error)


def test_what_is_no_store(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder" / "sub").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    for name, message in {
        "none": "no such frame store",
        "file": "is a file",
        "folder": "is not a frame store",
        "run": "is a run, not a frame store",
        ".x.tmp-host-1-2": "unfinished",
    }.items():
        with pytest.raises(InputError, match=message) as error:
            FrameStore.open(tmp_path / name)
        _one_line(error)


def test_verify_finds_a_changed_pixel(store):
    store, _ = store
    with open(store.path / "frames.npy", "r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    with pytest.raises(InputError, match="frames.npy: differs from what was written"):
        FrameStore.open(store.path).verify()


# --- writing --------------------------------------------------------------------------


def _record(**changes):
    fields = {"name": "s", "frames": np.zeros((2, 16, 16, 3), np.uint8), **changes}
    return SequenceRecord(**fields)


@pytest.mark.parametrize(
    "second, message",
    [
        (_record(), "used twice"),
        (_record(name=""), "empty"),
        (_record(name="t", split="dev"), "split='dev'"),
        (_record(name="t", frames=np.zeros((2, 16, 16, 3))), "frames are float64"),
        (_record(name="t", frames=np.zeros((0, 16, 16, 3), "u1")), "at least 1"),
        (_record(name="t", frames=np.zeros((2, 32, 16, 3), "u1")), "32x16x3, but"),
        (_record(name="t", person="ann", split="val"), "'ann' is in train and in val"),
        (_record(name="t", source="v", split="val"), "source 'v' is in train"),
        (_record(name="t", labels={"k": 3.0}), "not a class of label 'k'"),
        (_record(name="t", labels={"f": "x"}), "'f' is a frame label"),
        (_record(name="t", frame_labels={"f": np.zeros(3)}), "one a frame"),
        (_record(name="t", frame_labels={"f": np.array([0, -2])}), "class numbers"),
    ],
)
def test_sequences_that_do_not_fit(tmp_path, second, message):
    first = _record(
        person="ann",
        source="v",
        labels={"k": "x"},
        frame_labels={"f": np.array([0, 1])},
    )
    with pytest.raises(InputError, match=message) as error:
        write_store(tmp_path / "s", [first, second])
    _one_line(error)
    assert os.listdir(tmp_path) == []


def test_sizes_that_the_network_cannot_take(tmp_path):
    with pytest.raises(InputError, match="multiples of 16"):
        write_arrays(tmp_path / "s", np.zeros((1, 2, 20, 16, 3), "u1"))
    with pytest.raises(InputError, match="multiples of 16"):
        write_store(tmp_path / "s", _records(), frame_shape=(16, 24, 3))
    assert os.listdir(tmp_path) == []


def test_no_sequences_no_store(tmp_path):
    with pytest.raises(InputError, match="no sequence to write"):
        write_store(tmp_path / "s", [])
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("problem", [KeyboardInterrupt, RuntimeError])
def test_interrupted_writing_leaves_the_older_store(tmp_path, problem):
    path = tmp_path / "store"
    write_store(path, _records(fill=7))

    def interrupted():
        yield from _records(2, fill=9)
        assert len(os.listdir(tmp_path)) == 3  # the lock, too
        raise problem

    with pytest.raises(problem):
        write_store(path, interrupted(), overwrite=True)
    assert os.listdir(tmp_path) == ["store"]
    assert FrameStore.open(path).frames(3).max() == 7


def test_overwriting(tmp_path):
    path = tmp_path / "store"
    old = write_store(path, _records(fill=7))
    assert old.frames(0).max() == 7
    with pytest.raises(InputError, match="exists already.*--overwrite"):
        write_store(path, _records())
    new = write_store(path, _records(2, fill=9), overwrite=True)
    assert (len(new), new.frames(0).max()) == (2, 9)
    assert os.listdir(tmp_path) == ["store"]
    with pytest.raises(InputError, match="was replaced after it was opened"):
        old.frames(0)


def test_overwriting_spares_what_is_no_store(tmp_path):
    path = tmp_path / "mine"
    write_store(path / "part", _records())
    (path / "notes.txt").write_text("precious")
    with pytest.raises(InputError, match="'notes.txt'"):
        write_store(path, _records(), overwrite=True)
    (path / "notes.txt").unlink()
    # Nor are stores in a folder: its name may have been meant to be longer.
    with pytest.raises(InputError, match="'part'"):
        write_store(path, _records(), overwrite=True)
    assert len(FrameStore.open(path / "part")) == 4


@pytest.mark.parametrize("name", [".env", ".notes", "data.bin"])
def test_overwriting_spares_other_files(tmp_path, name):
    path = write_store(tmp_path / "S", _records()).path
    (path / name).write_text("precious")
    with pytest.raises(InputError, match=f"'{name}'"):
        write_store(path, _records(), overwrite=True)
    (path / name).rename(path / ".DS_Store")
    write_store(path, _records(2), overwrite=True)


def test_overwriting_spares_folders_of_other_programs(tmp_path):
    """Their files may have the same names."""
    path = tmp_path / "clip"
    path.mkdir()
    np.save(path / "frames.npy", np.zeros(3))
    (path / "meta.json").write_text('{"format": "theirs"}')
    with pytest.raises(InputError, match=r"meta\.json is not that of a frame store"):
        write_store(path, _records(), overwrite=True)
    assert np.load(path / "frames.npy").shape == (3,)
    # A damaged store is one.
    (path / "meta.json").write_text("{")
    write_store(path, _records(2), overwrite=True)


def test_names_and_labels_of_any_kind_are_read_back(tmp_path):
    names = ["a\rb", "a\r\nb", "a\nb", 'a"b,c', "a\r"]
    labels = [{"smiles": True}, {"smiles": np.bool_(False)}, {}, {"smiles": 0.5}, {}]
    frames = np.zeros((2, 16, 16, 3), np.uint8)
    store = write_store(
        tmp_path / "S",
        [
            SequenceRecord(name, frames, source=name, labels=label)
            for name, label in zip(names, labels, strict=True)
        ],
    )
    store = FrameStore.open(store.path)
    assert [s.name for s in store.sequences] == names
    assert [s.source for s in store.sequences] == names
    found = [s.labels["smiles"] for s in store.sequences]
    assert found == [1.0, 0.0, None, 0.5, None]


def test_what_could_not_be_read_again_replaces_nothing(tmp_path, monkeypatch):
    path = write_store(tmp_path / "S", _records(fill=7)).path
    writer = StoreWriter(path, overwrite=True)
    monkeypatch.setattr(
        writer,
        "_write_sequences",
        lambda path: path.write_text("name,start\n"),
    )
    with pytest.raises(InputError, match=r"sequences\.csv"):
        with writer:
            for record in _records(2, fill=9):
                writer.append(record)
    assert FrameStore.open(path).frames(0).max() == 7
    assert os.listdir(tmp_path) == ["S"]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint64"])
def test_numbers_of_frames_may_be_of_any_size(tmp_path, dtype):
    """Those of a sequence are small, those of the store are not."""
    frames = np.zeros((600, 16, 16, 1), np.uint8)
    frames[:, 0, 0, 0] = np.arange(600) % 256
    store = write_arrays(tmp_path / "S", [frames[:300], frames[300:]])
    wanted = np.array([60, 120], dtype)
    assert store.frames(1, wanted)[:, 0, 0, 0].tolist() == [(360 % 256), (420 % 256)]
    assert store.gather([1], wanted[None])[0, :, 0, 0, 0].tolist() == [104, 164]


def test_the_lock_tells_that_leftovers_are_dead(tmp_path):
    left = tmp_path / ".S.tmp-1a2b3c4d"
    left.mkdir()
    (left / "frames.npy").write_bytes(b"1234")
    with locked(tmp_path / ".S.lock", "busy", keep=False):
        with pytest.raises(InputError, match="S: is being made by another process"):
            write_store(tmp_path / "S", _records())
        assert left.exists()
    write_store(tmp_path / "S", _records())
    assert os.listdir(tmp_path) == ["S"]


_SLOW = """
import sys, time, numpy as np
from keras_ddr.data.writer import SequenceRecord, write_store
def records():
    for number in range(1000):
        yield SequenceRecord(f"s{number}", np.full((9, 16, 16, 3), 9, "uint8"))
        if number == 5:
            print("writing", flush=True)
            time.sleep(60)
write_store(sys.argv[1], records(), overwrite=True)
"""


def _heed_interrupts():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _start(path):
    process = subprocess.Popen(
        [sys.executable, "-c", _SLOW, str(path)],
        env=WITHOUT_BACKEND,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # A shell's background jobs, and all they start, ignore Ctrl-C otherwise.
        preexec_fn=_heed_interrupts if os.name == "posix" else None,
    )
    assert process.stdout.readline() == "writing\n"
    return process


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_killed_writers(tmp_path):
    path = tmp_path / "store"
    write_store(path, _records(fill=7))
    process = _start(path)
    living = set(os.listdir(tmp_path)) - {"store"}
    # A second writer leaves the living one alone.
    with pytest.raises(InputError, match="store: is being made by another process"):
        write_store(path, _records(fill=8), overwrite=True)
    assert set(os.listdir(tmp_path)) == living | {"store"}
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    left, lock = sorted(living, key=lambda name: name.endswith(".lock"))
    assert lock == ".store.lock"
    with pytest.raises(InputError, match="unfinished"):
        FrameStore.open(tmp_path / left)
    assert FrameStore.open(path).frames(0).max() == 7
    # The left-over is not taken for a shard either.
    shutil.move(path, tmp_path / "one")
    assert len(FrameStore.open(tmp_path)) == 4
    write_store(path, _records(fill=9))
    assert sorted(os.listdir(tmp_path)) == ["one", "store"]


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_cleans_up(tmp_path):
    process = _start(tmp_path / "store")
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    process.stdout.close()
    assert process.returncode != 0
    assert os.listdir(tmp_path) == []


def test_killed_between_the_two_renames(tmp_path):
    path, old = tmp_path / "store", tmp_path / ".store.old-1a2b3c4d"
    write_store(path, _records(fill=7))
    path.rename(old)
    assert FrameStore.open(path).frames(0).max() == 7
    path.rename(old)
    with pytest.raises(InputError, match="exists already"):
        write_store(path, _records(fill=9))
    assert FrameStore.open(path).frames(0).max() == 7
    assert os.listdir(tmp_path) == ["store"]


def test_opened_between_the_two_renames_of_a_living_writer(tmp_path):
    path = tmp_path / "store"
    write_store(path, _records(fill=7))
    with locked(tmp_path / ".store.lock", "busy", keep=False):
        old = path.rename(tmp_path / ".store.old-1a2b3c4d")
        back = threading.Timer(0.2, old.rename, [path])
        back.start()
        assert FrameStore.open(path).frames(0).max() == 7
        back.join()


_FULL = """
import resource, signal, sys, numpy as np
from keras_ddr.data.writer import SequenceRecord, write_store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def records():
    for number in range(500):
        yield SequenceRecord(f"s{number}", np.full((9, 16, 16, 3), 9, "uint8"))
tiny = [SequenceRecord("s", np.full((1, 16, 16, 1), 9, "uint8"))]
# Limits are hit in the middle of the frames, by the header, and by meta.json.
for limit, sequences in ((1_000_000, records()), (100, records()), (600, tiny)):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_store(sys.argv[1], sequences, overwrite=True)
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.mark.skipif(os.name == "nt", reason="no file size limits")
def test_full_disk(tmp_path):
    path = tmp_path / "store"
    write_store(path, _records(fill=7))
    result = subprocess.run(
        [sys.executable, "-c", _FULL, str(path)],
        env=WITHOUT_BACKEND,
        capture_output=True,
        text=True,
    )
    lines = result.stdout.splitlines()
    assert len(lines) == 3, result.stderr
    for line in lines:
        assert line.startswith(f"InputError {path}: no space left")
    assert os.listdir(tmp_path) == ["store"]
    assert FrameStore.open(path).frames(0).max() == 7


_MEMORY = """
import resource, sys, numpy as np
from keras_ddr.data.writer import SequenceRecord, write_store
def records(count):
    for number in range(count):
        yield SequenceRecord(f"s{number}", np.full((100, 64, 64, 3), 9, "uint8"))
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_store(sys.argv[1] + "1", records(10))
first = peak()
write_store(sys.argv[1] + "2", records(100))
print((peak() - first) // 1024)
"""


@pytest.mark.skipif(os.name == "nt", reason="no resource module")
def test_memory_does_not_grow_with_the_store(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(tmp_path / "s")],
        env=WITHOUT_BACKEND,
        capture_output=True,
        text=True,
        check=True,
    )
    # 123 MB are written; ru_maxrss is in KiB on Linux.
    assert int(result.stdout) < 30


_OPENED = """
import resource, sys
from keras_ddr.data import FrameStore, write_arrays

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
FrameStore.open(sys.argv[1])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(os.name == "nt", reason="no resource module")
def test_opening_does_not_read_the_frames(tmp_path):
    frames = np.zeros((1, 3000, 64, 64, 3), np.uint8)
    write_arrays(tmp_path / "s", frames)
    result = subprocess.run(
        [sys.executable, "-c", _OPENED, str(tmp_path / "s")],
        env=WITHOUT_BACKEND,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(result.stdout) < 12  # of 37 MB


# --- from arrays and splits -----------------------------------------------------------


def test_splits_by_fractions_keep_persons_and_sources_together(tmp_path):
    persons = [f"p{n % 7}" for n in range(40)]
    sources = [f"v{n % 13}" if n % 3 else "" for n in range(40)]
    fractions = {"train": 0.6, "val": 0.2, "test": 0.2}
    store = write_arrays(
        tmp_path / "s",
        np.zeros((40, 2, 16, 16, 1), np.uint8),
        persons=[f"q{n // 4}" for n in range(40)],
        splits=fractions,
        seed=3,
    )
    sides = {}
    for sequence in store.sequences:
        sides.setdefault(sequence.person, set()).add(sequence.split)
    assert all(len(splits) == 1 for splits in sides.values())
    counts = store.meta["counts"]
    assert (counts["train"], counts["val"], counts["test"]) == (24, 8, 8)
    # Persons and videos that are linked to each other make one group.
    linked = write_arrays(
        tmp_path / "t",
        np.zeros((40, 2, 16, 16, 1), np.uint8),
        persons=persons,
        sources=sources,
        splits=fractions,
    )
    assert len({s.split for s in linked.sequences}) == 1


def test_assign_splits():
    groups = [f"g{n}" for n in range(10)]
    shares = {"train": 0.8, "val": 0.1, "test": 0.1}
    splits = assign_splits(groups, shares, seed=1)
    assert [splits.count(s) for s in ("train", "val", "test")] == [8, 1, 1]
    assert assign_splits(groups, (0.8, 0.1, 0.1), seed=1) == splits
    assert assign_splits(groups, shares, seed=2) != splits
    order = np.random.default_rng(0).permutation(10)
    shuffled = assign_splits([groups[n] for n in order], shares, seed=1)
    assert shuffled == [splits[n] for n in order]
    assert set(assign_splits(list("abc"), shares)) == {"train", "val", "test"}
    for bad in ({"train": 0.5}, {"dev": 1.0}, {"train": 1.5, "val": -0.5}):
        with pytest.raises(InputError, match="splits"):
            assign_splits(groups, bad)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"names": ["a"]}, "names: 1 values for 2"),
        ({"splits": ["train"]}, "splits: 1 values"),
        ({"labels": {"k": [1]}}, "labels: k: 1 values"),
        ({"labels": {"time": [1, 2]}}, "time"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        write_arrays(tmp_path / "s", np.zeros((2, 3, 16, 16, 1), np.uint8), **arguments)
    assert os.listdir(tmp_path) == []


def test_one_array_must_have_five_axes(tmp_path):
    with pytest.raises(InputError, match=r"\(S, T, H, W, C\)"):
        write_arrays(tmp_path / "s", np.zeros((3, 16, 16, 1), np.uint8))


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ((0.5, 0.5, 0.5), "splits: 0.5 0.5 0.5 are not three shares"),
        ((0.5, 0.5), "splits: 0.5 0.5 are"),
        ((0.5, -0.5, 1.0), "splits: 0.5 -0.5 1.0 are"),
        ((1.0, 0.0, float("nan")), "splits: 1.0 0.0 nan are"),
        (("a", 0.5, 0.5), "splits: a 0.5 0.5 are"),
        ({"train": 0.5, "test": 0.4}, "splits: train 0.5, test 0.4 are"),
        ({"train": 0.5, "rest": 0.5}, "splits: train 0.5, rest 0.5 are"),
        (0.5, "splits: 0.5 are"),
    ],
)
def test_shares_that_are_none_are_named_as_they_were_given(splits, said):
    with pytest.raises(InputError) as caught:
        checked_shares(splits)
    assert said in str(caught.value)
    assert "{" not in str(caught.value)


def test_shares_are_taken_in_order_or_by_name():
    by_name = checked_shares({"test": 0.25, "train": 0.75})
    np.testing.assert_array_equal(by_name, [0.75, 0, 0.25])
    np.testing.assert_array_equal(checked_shares([0.5, 0.25, 0.25]), [0.5, 0.25, 0.25])


def test_numbers_that_are_no_classes_are_refused(tmp_path):
    seconds = [np.full(2, 1_700_000_000)]
    frames = np.zeros((1, 2, 16, 16, 3), "uint8")
    with pytest.raises(InputError, match="'when' holds 1700000000.* give floats"):
        write_arrays(tmp_path / "S", frames, labels={"when": seconds})
    assert not (tmp_path / "S").exists()


def test_a_sequence_without_a_label_has_the_sign_for_none(tmp_path):
    frames = np.zeros((2, 16, 16, 3), "uint8")
    store = write_store(
        tmp_path / "S",
        [
            SequenceRecord("a", frames, frame_labels={"pain": np.array([0.5, 1])}),
            SequenceRecord("b", frames),
        ],
        labels={"pain": Label("frame", "continuous", missing=-0.5)},
    )
    assert store.frame_labels(1)["pain"].tolist() == [-0.5, -0.5]
    assert store.frame_labels(1)["pain"].dtype == np.float32


def test_what_another_program_keeps_is_not_overwritten(tmp_path):
    path = tmp_path / "S"
    write_store(path, _records())
    (path / ".git").mkdir()
    (path / ".DS_Store").write_bytes(b"")
    with pytest.raises(InputError, match="holds '.git'"):
        write_store(path, _records(), overwrite=True)
    (path / ".git").rmdir()
    write_store(path, _records(), overwrite=True)


@pytest.mark.parametrize("dtype", ["int64", "uint16", "int8"])
def test_integers_of_other_types_are_taken(tmp_path, dtype):
    frames = np.random.default_rng(0).integers(0, 128, (2, 3, 16, 16, 1), "uint8")
    store = write_arrays(tmp_path / "a", frames.astype(dtype))
    np.testing.assert_array_equal(store.frames(1), frames[1])
    bad = frames.astype(dtype)
    bad[1, 0, 0, 0, 0] = -1 if dtype != "uint16" else 256
    with pytest.raises(InputError, match="sequence-1': integers must be in 0 to 255"):
        write_arrays(tmp_path / "b", bad)


def test_truth_values_are_black_and_white(tmp_path):
    frames = np.zeros((1, 3, 16, 16, 1), bool)
    frames[0, 1] = True
    store = write_arrays(tmp_path / "a", frames)
    assert store.frames(0).reshape(3, -1).mean(axis=1).tolist() == [0, 255, 0]


def test_dicts_go_by_the_names_of_sequences(tmp_path):
    frames = np.zeros((3, 4, 16, 16, 1), "uint8")
    store = write_arrays(
        tmp_path / "a",
        frames,
        names=["a", "b", "c"],
        labels={"age": {"c": 3.0, "a": 1.0}},
        persons={"c": "ann", "a": "ann", "b": "bob"},
        splits={"train": 0.5, "test": 0.5},
    )
    assert [s.labels["age"] for s in store.sequences] == [1.0, None, 3.0]
    assert [s.person for s in store.sequences] == ["ann", "bob", "ann"]
    assert store.sequences[0].split == store.sequences[2].split
    with pytest.raises(InputError, match="persons: there is no sequence named 'd'"):
        write_arrays(tmp_path / "b", frames, persons={"d": "ann"})
    with pytest.raises(InputError, match="names: is a dict; give a list"):
        write_arrays(tmp_path / "b", frames, names={"a": 1, "b": 2, "c": 3})


@pytest.mark.parametrize("missing", ["", None, float("nan")])
def test_text_of_frames_may_be_missing(tmp_path, missing):
    values = np.array(["up", missing, "down", "up"], object)
    store = write_arrays(
        tmp_path / "a", np.zeros((1, 4, 16, 16, 1), "uint8"), labels={"mood": [values]}
    )
    assert store.labels["mood"].classes == ("down", "up")
    assert store.frame_labels(0)["mood"].tolist() == [1, -1, 0, 1]


def test_numbers_of_frames_may_be_none(tmp_path):
    store = write_arrays(
        tmp_path / "a",
        np.zeros((1, 3, 16, 16, 1), "uint8"),
        labels={"pain": [[1.5, None, 2.0]]},
    )
    assert store.labels["pain"].kind == "continuous"
    np.testing.assert_array_equal(store.frame_labels(0)["pain"], [1.5, np.nan, 2.0])


def test_sequences_by_name(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (2, 3, 16, 16, 1), "uint8")
    store = write_arrays(tmp_path / "a", frames, names=["a", "b"])
    np.testing.assert_array_equal(store.frames("b"), frames[1])
    np.testing.assert_array_equal(store.frames("b", [2, 0]), frames[1][[2, 0]])
    assert store.frame_labels("b").keys() == store.frame_labels(1).keys()
    with pytest.raises(InputError, match="no sequence named 'c'; its first is"):
        store.frames("c")


def test_grey_frames_without_a_channel(tmp_path):
    with pytest.raises(InputError, match=r"grey ones as frames\[..., None\]"):
        write_arrays(tmp_path / "a", [np.zeros((4, 16, 16), "uint8")])
