"""What is missing, in the words and numbers of every label."""

import numpy as np
import pytest

from keras_ddr.data import FrameStore
from keras_ddr.data.labels import (
    class_names,
    content_labels,
    is_missing,
    label_numbers,
    label_text,
    present,
)


def about(**changed):
    info = {"scope": "frame", "kind": "continuous", "classes": None, "unit": None}
    return {**info, "missing": None, **changed}


@pytest.mark.parametrize(
    ("value", "missing", "expected"),
    [
        (None, None, True),
        ("", None, True),
        (float("nan"), -1, True),
        (-1.0, -1, True),
        ("none", "none", True),
        (0, None, False),
        (0.0, -1, False),
        ("0", None, False),
    ],
)
def test_is_missing(value, missing, expected):
    assert is_missing(value, about(scope="sequence", missing=missing)) is expected


def test_the_sign_for_none_is_found_in_the_type_of_the_values():
    values = np.array([0.1, 0.2, np.nan], "float32")
    assert float(values[0]) != 0.1
    info = about(missing=0.1)
    assert present(values, info).tolist() == [False, True, False]
    numbers = label_numbers(values, info)
    assert numbers.dtype == np.float64
    assert np.isnan(numbers).tolist() == [True, False, True]
    assert numbers[1] == values[1]
    assert [label_text(value, info) for value in values] == ["", "0.2", ""]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64"])
def test_integers(dtype):
    values = np.array([0, 5, 7], dtype)
    assert present(values, about(missing=-1)).all()
    assert present(values, about(missing=5)).tolist() == [True, False, True]
    assert label_text(values[2], about()) == "7"


def test_class_names():
    info = about(kind="categorical", classes=["left", "right"], missing=-1)
    values = np.array([1, -1, 0], "int32")
    assert class_names(values, info) == ["right", None, "left"]
    assert [label_text(value, info) for value in values] == ["right", "", "left"]


def test_content_labels_leave_out_where_frames_came_from(tmp_path):
    frames = np.zeros((2, 3, 16, 16, 3), "uint8")
    labels = {"mood": ["calm", "glad"], "angle": [[1.0, 2.0, 3.0]] * 2}
    store = FrameStore.from_arrays(tmp_path / "store", frames, labels=labels)
    assert sorted(content_labels(store)) == ["angle", "mood"]
    assert {"source_frame", "time"} <= set(store.label_info)
