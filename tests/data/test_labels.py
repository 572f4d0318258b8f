"""Labels: what is missing, in the words and numbers of every kind."""

import json

import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.data import Label, write_arrays

MOOD = Label("frame", "categorical", ["left", "right"])


@pytest.mark.parametrize(
    ("value", "missing", "present"),
    [
        (None, None, False),
        ("", None, False),
        (float("nan"), -1, False),
        (-1.0, -1, False),
        ("none", "none", False),
        (0, None, True),
        (0.0, -1, True),
        ("0", None, True),
    ],
)
def test_values_of_sequences(value, missing, present):
    label = Label("sequence", "continuous", missing=missing)
    assert label.present([value]).tolist() == [present]
    assert label.texts(np.array([value], object)) == [str(value) if present else ""]


def test_the_sign_for_none_is_found_in_the_type_of_the_values():
    values = np.array([0.1, 0.2, np.nan], "float32")
    assert float(values[0]) != 0.1
    label = Label("frame", "continuous", missing=0.1)
    assert label.present(values).tolist() == [False, True, False]
    numbers = label.numbers(values)
    assert numbers.dtype == np.float64
    assert np.isnan(numbers).tolist() == [True, False, True]
    assert numbers[1] == values[1]
    assert label.texts(values) == ["", "0.2", ""]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64"])
def test_integers(dtype):
    values = np.array([0, 5, 7], dtype)
    assert Label("frame", "continuous", missing=-1).present(values).all()
    label = Label("frame", "continuous", missing=5)
    assert label.present(values).tolist() == [True, False, True]
    assert label.texts(values) == ["0", "", "7"]


def test_classes_of_frames_and_of_sequences():
    stored = MOOD.encode(["right", None, "left"])
    assert stored.dtype == np.int32 and stored.tolist() == [1, -1, 0]
    assert MOOD.names(stored) == ["right", None, "left"]
    assert MOOD.texts(stored) == ["right", "", "left"]
    whole = Label("sequence", "categorical", ["left", "right"])
    values = np.array(["right", None, "left"], object)
    assert whole.names(values) == MOOD.names(stored)
    assert whole.texts(values) == MOOD.texts(stored)
    for label, given in ((MOOD, stored), (whole, values)):
        np.testing.assert_array_equal(label.numbers(given), [1, np.nan, 0])
        assert not label.present(given)[1]


@pytest.mark.parametrize(
    "label", [MOOD, Label("frame", "periodic", unit="degrees", missing=-0.5)]
)
def test_labels_are_read_back_and_blank_ones_are_missing(label):
    assert Label.from_json(json.loads(json.dumps(label.to_json()))) == label
    assert not label.present(label.blank(3)).any()


@pytest.mark.parametrize(
    "changed",
    [
        {"scope": "video"},
        {"kind": "text"},
        {"classes": ["a", "a"]},
        {"classes": "ab"},
        {"classes": [1, 2]},
        {"unit": 3},
        {"missing": 1.5},
    ],
)
def test_descriptions_that_mean_nothing_are_refused(changed):
    with pytest.raises(InputError):
        Label(**{"scope": "frame", "kind": "categorical", **changed})


def test_two_stores_share_labels_of_one_meaning():
    one, two = (Label("sequence", "categorical", c) for c in (["a", "b"], ["b", "c"]))
    assert one.merge(two).classes == ("a", "b", "c")
    with pytest.raises(InputError):
        MOOD.merge(Label("frame", "categorical", ["right", "left"]))
    with pytest.raises(InputError):
        one.merge(MOOD)


def test_content_labels_leave_out_where_frames_came_from(tmp_path):
    frames = np.zeros((2, 3, 16, 16, 3), "uint8")
    labels = {"mood": ["calm", "glad"], "angle": [[1.0, 2.0, 3.0]] * 2}
    store = write_arrays(tmp_path / "store", frames, labels=labels)
    assert sorted(store.content_labels) == ["angle", "mood"]
    assert {"source_frame", "time"} <= set(store.labels)
    assert store.label_values(1, "mood").tolist() == ["glad"] * 3
    assert store.label_values(1, "angle", [2, 0]).tolist() == [3, 1]
