"""Random damage ends in an `InputError`, or in something that reads."""

import json
import math
import shutil
import warnings

import numpy as np
import pytest
from hostile.corpus import STORE_FILES, read_store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_ddr import InputError, runs
from keras_ddr.datasets import affwild2_files, annotations
from keras_ddr.datasets.user_labels import read_labels
from keras_ddr.faces.boxes import read_pts

limits = settings(
    max_examples=50,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
POINTS = b"version: 1\nn_points: 4\n{\n10 10\n10 30\n30 30\n30 10\n}\n"
LINES = b"valence\n0.25\n-0.5\n-5\n1\n"
ROWS = b"valence,arousal\n0.1,0.2\n-5,-5\n0.5,-1\n"
TABLE = (
    b"source,frame,start,end,person,split,mood\n"
    b"a.avi,0,,,ann,train,glad\nb.avi#person1,,0.1,0.2,bob,val,sad\n"
)


@st.composite
def _damaged(draw, whole):
    """Random bytes, or `whole` with bits flipped, cut, or spliced."""
    kind = draw(st.sampled_from(["flip", "cut", "splice", "insert", "random"]))
    if kind == "random":
        return draw(st.binary(max_size=2000))
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        if kind == "flip" and data:
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del data[place : place + draw(st.integers(1, 50))]
        elif kind == "splice":
            other = draw(st.integers(0, max(0, len(data) - 1)))
            size = draw(st.integers(1, 40))
            data[place : place + size] = data[other : other + size]
        elif kind == "insert":
            more = draw(
                st.one_of(
                    st.binary(min_size=1, max_size=20),
                    st.sampled_from(
                        [b"9" * 30, b"nan", b"-1", b"\0", b'"', b",", b"\n", b"1e999"]
                    ),
                )
            )
            data[place:place] = more
    return bytes(data)


def _refused_or(read, *arguments):
    """What `read` returns, or None where it refuses with one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UserWarning)
        try:
            return read(*arguments)
        except InputError as error:
            assert "\n" not in str(error) and len(str(error)) < 1500
    return None


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[] if n == "meta.json" else pytest.mark.slow)
        for n in STORE_FILES
    ],
)
@limits
@given(data=st.data())
def test_a_damaged_store(originals, tmp_path_factory, name, data):
    folder = tmp_path_factory.getbasetemp() / "damaged" / name
    if not folder.exists():
        shutil.copytree(originals.store, folder)
    whole = (originals.store / name).read_bytes()
    (folder / name).write_bytes(data.draw(_damaged(whole)))
    _refused_or(read_store, folder)


@pytest.mark.slow
@limits
@given(data=st.data())
def test_damaged_settings_of_a_run(originals, tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "damaged" / "run"
    folder.mkdir(parents=True, exist_ok=True)
    whole = (originals.run / "config.json").read_bytes()
    (folder / "config.json").write_bytes(data.draw(_damaged(whole)))
    run = _refused_or(runs.Run.open, folder)
    if run is not None:
        assert run.config["training"]["steps"] >= 1
    (folder / "history.csv").write_bytes(
        data.draw(_damaged((originals.run / "history.csv").read_bytes()))
    )
    rows = _refused_or(runs.Run(folder, {}).history)
    assert rows is None or all(isinstance(row["step"], int) for row in rows)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["meta.json", "config.json"])
@limits
@given(data=st.data())
def test_any_value_in_place_of_another(originals, tmp_path_factory, name, data):
    """JSON that parses, with one value that nobody expects."""
    store = name == "meta.json"
    original = originals.store if store else originals.run
    folder = tmp_path_factory.getbasetemp() / "valued" / name
    if not folder.exists():
        shutil.copytree(original, folder)
    content = json.loads((original / name).read_text("utf-8"))
    place = content
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or data.draw(st.booleans()):
            break
        if not place[key]:
            break
        place = place[key]
    place[key] = data.draw(json_values)
    (folder / name).write_text(json.dumps(content), "utf-8")
    _refused_or(read_store if store else runs.Run.open, folder)


@pytest.mark.slow
@limits
@given(content=_damaged(POINTS))
def test_damaged_points(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "3.pts"
    path.write_bytes(content)
    points = _refused_or(read_pts, path)
    assert points is None or (
        points.ndim == 2
        and points.shape[1] == 2
        and all(math.isfinite(value) for value in points.ravel())
    )


@pytest.mark.slow
@limits
@given(content=_damaged(LINES))
def test_a_damaged_annotation(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "v1.txt"
    path.write_bytes(content)
    values, problem = _refused_or(annotations.read_annotation, path)
    assert all(math.isnan(value) or abs(value) <= 1 for value in values)
    assert "\n" not in problem


@pytest.mark.slow
@limits
@given(content=_damaged(ROWS))
def test_a_damaged_annotation_of_columns(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "v2.txt"
    path.write_bytes(content)
    names = ["valence", "arousal"]
    read = _refused_or(affwild2_files.read_annotation, path, "va", names)
    assert read is None or read[0].shape[1] == 2


@pytest.mark.slow
@limits
@given(content=_damaged(TABLE))
def test_a_damaged_table_of_labels(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "labels.csv"
    path.write_bytes(content)
    labels = _refused_or(read_labels, path, {"a.avi": (), "b.avi": ()})
    if labels is not None:
        for source in ("a.avi", "b.avi"):
            frames = {"source_frame": np.arange(3), "time": np.arange(3) / 25}
            _, of_frames = labels.of(source, "person1-1", frames)
            assert all(len(values) == 3 for values in of_frames.values())
