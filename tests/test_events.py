import csv

import numpy as np
import pytest
from PIL import Image

from keras_ddr import DiagonalGaussian, InputError
from keras_ddr.codes import Codes
from keras_ddr.data import write_arrays
from keras_ddr.events import curve_places, find_events, smooth_curve, write_events
from keras_ddr.visualization import save_figure
from keras_ddr.visualization.events import plot_events


def _codes(z, mean=0.0, stddev=1.0):
    """Codes with this z (T, D) under a prior of this mean and deviation."""
    z = np.asarray(z, np.float32)
    prior = np.full(z.shape[1], mean, np.float32)
    spread = np.full(z.shape[1], 2 * np.log(stddev), np.float32)
    return Codes(
        DiagonalGaussian(np.zeros(2, np.float32), np.zeros(2, np.float32)),
        DiagonalGaussian(z, np.zeros_like(z)),
        DiagonalGaussian(prior, spread),
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    frames = np.zeros((2, 100, 16, 16, 3), np.uint8)
    frames[..., 0] = np.arange(100)[:, None, None]
    path = tmp_path_factory.mktemp("events") / "S"
    return write_arrays(path, frames, names=["a", "b"])


def _labels(numbers):
    numbers = np.asarray(numbers)
    return {"source_frame": numbers, "time": numbers / 25}


def _wave(numbers, period=40.0):
    return np.sin(2 * np.pi * np.asarray(numbers) / period)[:, None]


def test_a_wave_has_its_extremes_where_they_are(store):
    found = find_events(
        store.sequences[0], _codes(_wave(range(100))), _labels(range(100)), width=0
    )
    assert [(e.kind, e.position) for e in found] == [
        ("peak", 10),
        ("valley", 30),
        ("peak", 50),
        ("valley", 70),
        ("peak", 90),
    ]
    for event in found:
        assert event.time == event.position / 25
        assert abs(event.z) == pytest.approx(1) and event.component == 0
    # Between two extremes of the other kind a whole height is climbed.
    assert found[2].prominence == pytest.approx(2)


def test_valleys_are_the_peaks_of_the_negative(store):
    wave = np.cumsum(np.random.default_rng(0).normal(size=(100, 1)), axis=0)
    up = find_events(store.sequences[0], _codes(wave), _labels(range(100)))
    down = find_events(store.sequences[0], _codes(-wave), _labels(range(100)))
    swap = {"peak": "valley", "valley": "peak"}
    assert len(up) > 4
    assert {(swap[e.kind], e.position) for e in up} == {
        (e.kind, e.position) for e in down
    }


def test_prominence_is_in_standard_scores(store):
    wave, labels = _wave(range(100)), _labels(range(100))
    wide = _codes(3 + 10 * wave, mean=3.0, stddev=10.0)
    found = find_events(store.sequences[0], wide, labels, width=0)
    assert found[2].prominence == pytest.approx(2, rel=1e-5)
    assert found[2].z == pytest.approx(13) and found[2].z_standardized == pytest.approx(
        1
    )
    assert find_events(store.sequences[0], wide, labels, prominence=2.5) == []


def test_gaps_count_as_frames(store):
    numbers = np.array([n for n in range(120) if n not in range(33, 45)][:100])
    found = find_events(
        store.sequences[0], _codes(_wave(numbers)), _labels(numbers), width=0
    )
    for event in found:
        assert numbers[event.position] == event.source_frame
        assert event.source_frame % 40 in (10, 30)
    curve = smooth_curve(_wave(numbers)[:, 0], numbers, 0)
    assert len(curve) == numbers[-1] - numbers[0] + 1
    assert np.allclose(np.diff(curve[32:46], 2), 0)


def test_long_gaps_and_dates_cost_no_memory(store):
    near = np.array([n for n in range(220) if n not in range(50, 170)])[:100]
    far = np.where(near < 50, near, near + 10**14)
    assert [
        (e.kind, e.position)
        for e in find_events(store.sequences[0], _codes(_wave(near)), _labels(far))
    ] == [
        (e.kind, e.position)
        for e in find_events(store.sequences[0], _codes(_wave(near)), _labels(near))
    ]
    order, places = curve_places(far[::-1])
    assert order.tolist() == list(range(99, -1, -1))
    assert places[49] == 49 and places[50] == 149 and places[-1] == 198


@pytest.mark.parametrize(
    "numbers",
    [
        np.full(100, -1),
        np.where(np.arange(100) == 10, -1, np.arange(100)),
        np.full(100, 7),
    ],
)
def test_frames_without_a_number_of_their_own_keep_their_order(store, numbers):
    codes = _codes(_wave(range(100)))
    found = find_events(store.sequences[0], codes, _labels(numbers), width=0)
    assert [e.position for e in found] == [10, 30, 50, 70, 90]
    assert [e.source_frame for e in found] == [numbers[e.position] for e in found]


def test_a_broken_model_is_said(store):
    wave = _wave(range(100))
    wave[40] = np.nan
    with pytest.raises(InputError, match="a: z holds NaN"):
        find_events(store.sequences[0], _codes(wave), _labels(range(100)))


def test_smoothing_takes_out_a_spike_of_one_frame(store):
    wave = _wave(range(100), 80.0)
    wave[60] += 1
    labels = _labels(range(100))
    raw = find_events(store.sequences[0], _codes(wave), labels, width=0)
    smooth = find_events(store.sequences[0], _codes(wave), labels, width=3)
    assert 60 in [e.position for e in raw]
    assert all(abs(e.position - 60) > 5 for e in smooth if e.kind == "peak")


def test_components_and_their_order(store):
    z = np.concatenate([_wave(range(100)), _wave(range(100), 60.0)], axis=1)
    labels = _labels(range(100))
    found = find_events(store.sequences[0], _codes(z), labels)
    assert {e.component for e in found} == {0, 1}
    assert [e.source_frame for e in found] == sorted(e.source_frame for e in found)
    only = find_events(store.sequences[0], _codes(z), labels, components=[1])
    assert only == [e for e in found if e.component == 1]


def test_what_has_no_events(store):
    labels = _labels(range(100))
    for z in (np.zeros((100, 2)), np.linspace(0, 1, 100)[:, None]):
        assert find_events(store.sequences[0], _codes(z), labels) == []
    one = {"source_frame": np.array([5]), "time": np.array([np.nan])}
    assert find_events(store.sequences[0], _codes([[1.0]]), one) == []
    for arguments, message in (
        ({"components": [2]}, "z has 1 components, so 3 is none"),
        ({"prominence": -1}, "prominence=-1"),
        ({"width": float("nan")}, "width=nan"),
        ({"width": float("inf")}, "width=inf"),
        ({"distance": 0}, "distance=0"),
    ):
        with pytest.raises(InputError, match=message):
            find_events(store.sequences[0], _codes(np.zeros((9, 1))), {}, **arguments)


def test_the_table_and_the_sheet(store, tmp_path):
    events = [
        event
        for sequence, period in zip(store.sequences, (40.0, 25.0), strict=True)
        for event in find_events(
            sequence, _codes(_wave(range(100), period)), _labels(range(100))
        )
    ]
    labels = [{"mood": "calm"}] + [{}] * (len(events) - 1)
    write_events(tmp_path / "e.csv", events, labels)
    with open(tmp_path / "e.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = "sequence source component kind position source_frame time z"
    columns += " z_standardized prominence motion_explained label:mood"
    assert list(rows[0]) == columns.split()
    assert len(rows) == len(events)
    assert rows[0]["component"] == "1" and rows[0]["label:mood"] == "calm"
    assert [int(r["source_frame"]) for r in rows] == [e.source_frame for e in events]
    path = save_figure(plot_events(store, events, most=3), tmp_path / "sheet.png")
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    # Frames are as red as their numbers; the middle comes first, then three events.
    for name in ("a", "b"):
        found = [e for e in events if e.sequence == name]
        best = sorted(found, key=lambda e: -e.prominence)[:3]
        for position in (50, *(e.position for e in best)):
            assert (picture == [position, 0, 0]).all(axis=-1).sum() >= 16 * 16
    size = Image.open(path).size
    one = save_figure(plot_events(store, events, 3, sequences=1), tmp_path / "one.png")
    assert Image.open(one).width == size[0] and Image.open(one).height < 0.6 * size[1]
    twice = find_events(
        store.sequences[0], _codes(_wave(range(100))), _labels(range(100))
    )
    assert twice == find_events(
        store.sequences[0],
        _codes(_wave(range(100))),
        _labels(range(100)),
        components=[0, 0],
    )
    with pytest.raises(InputError, match="does not exist"):
        write_events(tmp_path / "no" / "e.csv", events)
    with pytest.raises(InputError, match="none to show"):
        plot_events(store, [])
