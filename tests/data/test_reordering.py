"""Stores that are shuffled or lack frames: labels and times stay with their frames."""

import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.data import SequenceRecord, reordered, write_store

LENGTHS = 24, 5, 17


def _records():
    for number, length in enumerate(LENGTHS):
        frames = np.zeros((length, 16, 16, 1), np.uint8)
        frames[:] = np.arange(length)[:, None, None, None] + 100 * (number % 2)
        yield SequenceRecord(
            name=f"s{number}",
            frames=frames,
            split=("train", "val", "test")[number],
            person=f"p{number}",
            source=f"v{number}",
            labels={"colour": "red"},
            frame_labels={
                "time": np.arange(length) / 4,
                "mood": np.arange(length) % 3,
                "source_frame": 10 + np.arange(length),
            },
        )


@pytest.fixture
def store(tmp_path):
    return write_store(tmp_path / "store", _records(), licence="mine", seed=4)


def _order(store, number):
    """The frames of a sequence by their place in the first store."""
    return (store.frames(number)[:, 0, 0, 0] - 100 * (number % 2)).tolist()


@pytest.mark.parametrize(
    "options", [{"shuffle": True}, {"missing": 0.25}, {"shuffle": True, "missing": 0.5}]
)
def test_all_but_the_frames_chosen_and_their_order_stays(store, tmp_path, options):
    made = reordered(store, tmp_path / "made", **options)
    assert made.labels == store.labels and made.ordered
    assert (made.meta["licence"], made.meta["seed"]) == ("mine", 4)
    kept = 1 - options.get("missing", 0)
    for before, row in zip(store.sequences, made.sequences, strict=True):
        assert row.length == np.ceil(kept * before.length)
        for name in ("name", "split", "person", "source", "labels"):
            assert getattr(row, name) == getattr(before, name)
        order = _order(made, row.index)
        assert len(set(order)) == row.length
        assert (order == sorted(order)) != options.get("shuffle", False)
        labels = made.frame_labels(row.index)
        for name, values in store.frame_labels(before.index).items():
            np.testing.assert_array_equal(labels[name], values[order])
    made.verify()


def test_the_seed_decides_and_enough_frames_are_kept(store, tmp_path):
    def orders(name, **options):
        made = reordered(store.path, tmp_path / name, **options)
        return [_order(made, number) for number in range(3)]

    one = orders("a", shuffle=True, missing=0.9, keep=8, seed=1)
    assert [len(order) for order in one] == [8, 5, 8]
    assert one == orders("b", shuffle=True, missing=0.9, keep=8, seed=1)
    assert one != orders("c", shuffle=True, missing=0.9, keep=8, seed=2)
    assert orders("d", missing=0.999) != orders("e", missing=0.999, seed=1)


def test_pictures_in_no_order_stay_so(tmp_path):
    store = write_store(tmp_path / "store", _records(), ordered=False)
    assert not reordered(store, tmp_path / "made", shuffle=True).ordered


def test_arguments_that_cannot_be_used(store, tmp_path):
    for name, value in (("missing", 1), ("missing", -0.5), ("keep", 0), ("seed", -1)):
        with pytest.raises(InputError, match=f"^{name}={value}"):
            reordered(store, tmp_path / "made", **{name: value})
    with pytest.raises(InputError, match="exists"):
        reordered(store, store.path)
    assert [p.name for p in tmp_path.iterdir()] == ["store"]
