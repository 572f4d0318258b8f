"""Labels of `write_arrays`, as data libraries hold them."""

import datetime

import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.data import write_arrays
from keras_ddr.data.labels import MISSING_TEXTS

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")

_CLIPS = np.zeros((3, 4, 16, 16, 1), np.uint8)
_NAMES = ["a", "b", "c"]


@pytest.fixture
def stored(tmp_path):
    """A function from labels to the store with them."""

    def stored(labels):
        return write_arrays(
            tmp_path / "store", _CLIPS, names=_NAMES, labels=labels, overwrite=True
        )

    return stored


def _values(store, label):
    return [sequence.labels[label] for sequence in store.sequences]


def test_na_of_pandas_is_missing(stored):
    day = pandas.Timestamp("2026-01-01")
    store = stored(
        {
            "whole": pandas.array([1, None, 3], dtype="Int64"),
            "text": pandas.array(["x", None, "y"], dtype="string"),
            "truth": pandas.array([True, None, False], dtype="boolean"),
            "date": [pandas.NaT, "x", "x"],
            "frame text": [pandas.array(["p", None, "q", "p"], dtype="string")] * 3,
            "frame number": [pandas.array([1.5, None, 2, 3], dtype="Float64")] * 3,
        }
    )
    assert _values(store, "whole") == [1, None, 3]
    assert _values(store, "text") == ["x", None, "y"]
    assert _values(store, "truth") == [1, None, 0]
    assert _values(store, "date") == [None, "x", "x"]
    assert store.label_values(0, "frame text").tolist() == [0, -1, 1, 0]
    frames = store.label_values(0, "frame number")
    assert np.array_equal(frames, [1.5, np.nan, 2, 3], equal_nan=True)
    for value in (day, datetime.date(2026, 1, 1), [day] * 4):
        with pytest.raises(InputError, match="labels: when: holds .*give numbers or t"):
            stored({"when": [value] * 3})


def test_words_for_a_missing_value_mean_it_in_sequences_and_frames(stored):
    words = sorted(MISSING_TEXTS)
    store = stored({"x": ["p", words[1], words[-1]], "y": [["p", *words[:3]]] * 3})
    assert _values(store, "x") == ["p", None, None]
    assert store.label_values(0, "y").tolist() == [0, -1, -1, -1]


@pytest.mark.parametrize("table", [pandas.DataFrame, polars.DataFrame])
def test_tables_are_labels(stored, table):
    store = stored(table({"mood": ["calm", None, "tense"], "age": [30, 31, None]}))
    assert _values(store, "mood") == ["calm", None, "tense"]
    assert _values(store, "age") == [30, 31, None]
    with pytest.raises(InputError, match="labels: age: 1 values for 3 sequences"):
        stored(table({"age": [1]}))


def test_an_index_of_names_says_whose_a_row_is(stored):
    table = pandas.DataFrame({"age": [3, 1, 2]}, index=["c", "a", "b"])
    assert _values(stored(table), "age") == [1, 2, 3]
    assert _values(stored({"age": table["age"]}), "age") == [1, 2, 3]
    # Any other index is only a count.
    table.index = [7, 8, 9]
    assert _values(stored(table), "age") == [3, 1, 2]


def test_labels_that_are_no_table(stored):
    with pytest.raises(InputError, match="labels: is a list; give a dict"):
        stored(["calm"] * 3)
