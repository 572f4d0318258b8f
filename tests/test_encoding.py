import csv
import os
import tracemalloc

import keras
import numpy as np
import pytest

from keras_ddr import DDR, DiagonalGaussian, InputError
from keras_ddr.codes import Codes
from keras_ddr.data import write_arrays
from keras_ddr.encoding import (
    encode_sequences,
    write_codes,
    write_codes_by_recording,
)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return DDR(
        image_shape=(16, 16, 3),
        static_dim=3,
        filters=8,
        pair_filters=8,
        hidden_units=8,
        aggregation="mean",
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    random = np.random.default_rng(0)
    lengths = (5, 2, 7, 4)
    return write_arrays(
        tmp_path_factory.mktemp("encoding") / "S",
        [random.integers(0, 256, (n, 16, 16, 3), np.uint8) for n in lengths],
        names=["a", "short", "c é", "d"],
        splits=["train", "train", "test", "val"],
        persons=["", "", "eve", ""],
        labels={
            "kind": ["x", "y", None, "x"],
            "age": [3.0, 4.0, np.nan, 5.5],
            "pose": [np.arange(n) % 2 for n in lengths],
            "level": [np.where(np.arange(n) == 1, np.nan, n / 3) for n in lengths],
        },
    )


def _write(path, model, store, **arguments):
    with pytest.warns(
        UserWarning, match="1 of 4 sequences have fewer than 3 .*'short'"
    ):
        return write_codes(path, model, store, **arguments)


def test_npz_and_csv_hold_what_the_model_finds(tmp_path, model, store):
    with pytest.warns(UserWarning):
        encoded = list(encode_sequences(model, store))
    assert [s.name for s, _ in encoded] == ["a", "c é", "d"]
    with np.load(_write(tmp_path / "codes.npz", model, store)) as archive:
        arrays = dict(archive)
    assert arrays["names"].tolist() == ["a", "c é", "d"]
    assert arrays["split"].tolist() == ["train", "test", "val"]
    assert arrays["person"].tolist() == ["", "eve", ""]
    with open(_write(tmp_path / "codes.csv", model, store), newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(arrays["sequence"]) == 5 + 7 + 4
    row = 0
    for number, (sequence, _) in enumerate(encoded):
        direct = model.encode(store.frames(sequence.index))
        assert (arrays["static_mean"][number] == direct.static.mean).all()
        assert (arrays["static_variance"][number] == direct.static.variance).all()
        assert (arrays["prior_mean"][number] == direct.prior.mean).all()
        for position in range(sequence.length):
            cells = rows[row]
            assert arrays["sequence"][row] == number
            assert arrays["position"][row] == int(cells["position"]) == position
            assert cells["sequence"] == sequence.name
            for name, ours, values in (
                ("z_{}", "dynamic_mean", direct.dynamic.mean[position]),
                (
                    "z_{}_variance",
                    "dynamic_variance",
                    direct.dynamic.variance[position],
                ),
                (
                    "z_{}_standardized",
                    "dynamic_standardized",
                    direct.standardized[position],
                ),
                ("f_{}", None, direct.static.mean),
                ("f_{}_variance", None, direct.static.variance),
            ):
                if ours:
                    assert (arrays[ours][row] == values).all()
                texts = [cells[name.format(k + 1)] for k in range(len(values))]
                # The text is read back as the very number.
                assert (np.array(texts, np.float32) == values).all()
            row += 1


def test_labels_come_along(tmp_path, model, store):
    with np.load(_write(tmp_path / "codes.npz", model, store)) as archive:
        assert archive["label:kind"].tolist() == ["x", "", "x"]
        assert archive["classes:kind"].tolist() == ["x", "y"]
        assert np.isnan(archive["label:age"][1]) and archive["label:age"][2] == 5.5
        assert archive["label:pose"][:5].tolist() == [0, 1, 0, 1, 0]
        assert np.isnan(archive["time"]).all()
        assert archive["source_frame"][5:8].tolist() == [0, 1, 2]
    with open(_write(tmp_path / "codes.csv", model, store), newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["label:kind"] for r in rows[3:7]] == ["x", "x", "", ""]
    assert [r["label:pose"] for r in rows[:3]] == ["0", "1", "0"]
    assert rows[1]["label:level"] == "" and rows[0]["time"] == ""
    assert np.float32(rows[0]["label:level"]) == np.float32(5 / 3)
    assert rows[5]["label:age"] == "" and rows[0]["label:age"] == "3.0"


def test_parquet_has_the_columns_and_values_of_the_csv(tmp_path, model, store):
    pytest.importorskip("pyarrow")
    polars = pytest.importorskip("polars")
    with open(_write(tmp_path / "codes.csv", model, store), newline="") as file:
        rows = list(csv.DictReader(file))
    table = polars.read_parquet(_write(tmp_path / "codes.parquet", model, store))
    assert table.columns == list(rows[0])
    for name, values in table.to_dict(as_series=False).items():
        texts = [row[name] for row in rows]
        if table[name].dtype.is_numeric():
            texts = [float(np.float32(x)) if x else None for x in texts]
            values = [float(np.float32(x)) if x is not None else None for x in values]
        else:
            values = [x or "" for x in values]
        assert values == texts, name
    assert table["z_1"].dtype == polars.Float32
    assert table["source_frame"].dtype == polars.Int64


def test_nwb_has_the_codes_of_each_recording_on_its_clock(tmp_path, model, store):
    pynwb = pytest.importorskip("pynwb")
    with (
        pytest.raises(InputError, match="no times of the frames of 'a'.*frame-rate"),
        pytest.warns(UserWarning),
    ):
        write_codes_by_recording(tmp_path / "c.nwb", model, store, "train")
    frames = np.random.default_rng(0).integers(0, 256, (2, 4, 16, 16, 3), np.uint8)
    times = [np.arange(4) / 2, 3 + np.arange(4) / 2]
    names = ["one: a/b", "two"]
    timed = write_arrays(tmp_path / "T", frames, names=names, labels={"time": times})
    files = write_codes_by_recording(tmp_path / "c.nwb", model, timed)
    assert [file.name for file in files] == ["c-one_ a_b.nwb", "c-two.nwb"]
    for k, (file, name) in enumerate(zip(files, ["one_ a_b", "two"], strict=True)):
        direct = model.encode(timed.frames(k))
        assert pynwb.validate(path=file) == []
        with pynwb.NWBHDF5IO(file, "r") as opened:
            content = opened.read()
            behavior = content.processing["behavior"]
            assert (behavior[f"{name} z"].data[:] == direct.dynamic.mean).all()
            series = behavior[f"{name} z_standardized"]
            assert (series.data[:] == direct.standardized).all()
            assert (series.timestamps[:] == times[k]).all()
            [row] = content.analysis["f"].to_dataframe().to_dict("records")
            assert row["sequence"] == names[k]
            assert (row["mean"] == direct.static.mean).all()


def test_one_split(tmp_path, model, store):
    path = write_codes(tmp_path / "codes.npz", model, store, split="test")
    with np.load(path) as archive:
        assert archive["names"].tolist() == ["c é"]


def test_what_is_refused_leaves_nothing(tmp_path, model, store, monkeypatch):
    for name, message in (
        ("a.txt", "use one of .npz, .csv, .parquet"),
        ("no/a.npz", "does not exist"),
    ):
        with pytest.raises(InputError, match=message):
            write_codes(tmp_path / name, model, store)
    short = write_arrays(tmp_path / "S", np.zeros((2, 2, 16, 16, 3), np.uint8))
    with pytest.raises(InputError, match="no sequence of at least 3 frames"):
        write_codes(tmp_path / "a.npz", model, short)

    def fail(*args, **kwargs):
        raise OSError("the disk is gone")

    monkeypatch.setattr(store, "frames", fail)
    for name in ("a.npz", "a.csv"):
        with pytest.raises(OSError), pytest.warns(UserWarning):
            write_codes(tmp_path / name, model, store)
    assert [p.name for p in tmp_path.iterdir()] == ["S"]


class _Numbers:
    """Stands for a model: codes from a generator, many of them a frame."""

    frames_per_set, static_dim, dynamic_dim = 3, 2, 32

    def encode(self, frames):
        random = np.random.default_rng(len(frames))
        return Codes(
            *(
                DiagonalGaussian(*random.normal(size=(2, *shape)).astype("float32"))
                for shape in ((2,), (len(frames), 32), (32,))
            )
        )


def test_memory_does_not_grow_with_the_store(tmp_path):
    peaks, sizes = [], []
    for number in (10, 100):
        frames = np.zeros((number, 300, 16, 16, 3), np.uint8)
        store = write_arrays(tmp_path / f"S{number}", frames)
        del frames
        tracemalloc.start()
        path = write_codes(tmp_path / "codes.npz", _Numbers(), store)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        sizes.append(path.stat().st_size)
    # What grows is a few numbers a frame: places and labels.
    assert peaks[1] - peaks[0] < 0.2 * (sizes[1] - sizes[0])


@pytest.mark.skipif(os.name != "posix", reason="sets a limit of the system")
@pytest.mark.parametrize("name", ["codes.npz", "codes.csv", "codes.parquet"])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, model, store, name):
    import resource

    if name == "codes.parquet":
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_text("older")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, hard))
    try:
        with pytest.raises(InputError, match="no space left"):
            write_codes(tmp_path / name, model, store, split="test")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "older"


def test_chosen_sequences(model, store):
    chosen = [store.sequences[3], store.sequences[0]]
    done = []
    encoded = encode_sequences(
        model, store, sequences=chosen, progress=lambda *now: done.append(now)
    )
    assert [sequence.name for sequence, _ in encoded] == ["d", "a"]
    assert done == [(1, 2), (2, 2)]
