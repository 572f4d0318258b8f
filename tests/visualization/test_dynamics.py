import matplotlib
import numpy as np
import pytest
from matplotlib.offsetbox import AnnotationBbox

from keras_ddr import InputError
from keras_ddr.data import SequenceRecord, write_arrays, write_store
from keras_ddr.events import find_events
from keras_ddr.visualization import plot_dynamics, save_figure
from keras_ddr.visualization.dynamics import _spread, _ticks


def _shown(figure):
    """Frames that are shown, with the points that they belong to."""
    (axes,) = figure.axes
    return [
        (box.xy, np.asarray(box.offsetbox.get_data()))
        for box in axes.artists
        if isinstance(box, AnnotationBbox)
    ]


def test_the_line_is_z_and_the_frames_are_its_extremes(model, store):
    sequence = store.sequences[1]
    options = {"width": 0, "prominence": 0.0}
    figure = plot_dynamics(model, store, sequence.name, 1, 6, **options)
    codes = model.encode(store.frames(1))
    (axes,) = figure.axes
    assert np.allclose(axes.lines[0].get_ydata(), codes.standardized[:, 1])
    labels = store.frame_labels(1)
    events = find_events(sequence, codes, labels, components=[1], **options)
    marked = sum(len(line.get_xdata()) for line in axes.lines[2:])
    assert marked == len(events) > 2
    best = sorted(events, key=lambda e: -e.prominence)[:6]
    shown = _shown(figure)
    assert len(shown) == len(best)
    frames = {e.source_frame: store.frames(1)[e.position] for e in best}
    for (x, y), image in shown:
        assert (image == frames[round(x)]).all()
        assert y == pytest.approx(codes.standardized[round(x), 1])
    assert axes.get_title(loc="left") == sequence.name
    assert "frame" in axes.get_xlabel()


def test_time_and_missing_frames(model, store, tmp_path):
    frames = store.frames(0)[:12]
    numbers = np.r_[0:6, 10:16]
    record = SequenceRecord(
        "a", frames, frame_labels={"source_frame": numbers, "time": numbers / 10}
    )
    other = write_store(tmp_path / "S", [record])
    (axes,) = plot_dynamics(model, other, 0).axes
    assert axes.get_xlabel() == "time (s)"
    x, y = axes.lines[0].get_data()
    assert np.allclose(x, np.arange(16) / 10)
    assert np.isnan(y).tolist() == [n not in numbers for n in range(16)]


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        (np.r_[0:6, 2**40 : 2**40 + 6], (0, 2**40 + 5)),
        (np.r_[-1, 1:12], (0, 11)),
        (np.r_[3:9, 3:9], (3, 9)),
    ],
    ids=["far", "missing", "repeated"],
)
def test_frame_numbers_that_make_no_axis(model, store, tmp_path, numbers, shown):
    record = SequenceRecord(
        "a", store.frames(0)[:12], frame_labels={"source_frame": numbers}
    )
    other = write_store(tmp_path / "S", [record])
    (axes,) = plot_dynamics(model, other, 0, prominence=0.0).axes
    x, y = axes.lines[0].get_data()
    assert len(x) < 200 and np.isfinite(y).sum() == 12
    assert axes.get_xlim() == pytest.approx(shown, abs=5)


def test_pictures_of_all_kinds(model, store, tmp_path):
    before = dict(matplotlib.rcParams)
    for suffix in (".png", ".pdf", ".svg"):
        path = save_figure(plot_dynamics(model, store, 0), tmp_path / f"a{suffix}")
        assert path.stat().st_size > 5000
    assert dict(matplotlib.rcParams) == before


def test_what_is_refused(model, store, tmp_path):
    with pytest.raises(InputError, match="no sequence named 'me'; there are "):
        plot_dynamics(model, store, "me")
    with pytest.raises(InputError, match="component=2; z has 2 components"):
        plot_dynamics(model, store, 0, 2)
    constant = write_arrays(
        tmp_path / "S", np.zeros((1, 6, *store.frame_shape), np.uint8)
    )
    assert not _shown(plot_dynamics(model, constant, 0))


class _Axes:
    def get_xlim(self):
        return 0.0, 100.0


@pytest.mark.parametrize("number", [0, 1, 4, 9, 30])
def test_frames_do_not_overlap(number):
    places = np.sort(np.random.default_rng(number).uniform(40, 60, number))
    spread = _spread(places, _Axes())
    assert len(spread) == number
    if number > 1:
        assert np.diff(spread).min() >= (8.7 if number < 10 else 3)
    assert (spread > 0).all() and (spread < 100).all()


def test_the_curve_stands_beside_ticks(model, store):
    for low, high in np.random.default_rng(0).normal(size=(200, 2)) * 3:
        low, high = sorted((low, high))
        ticks = _ticks(low, high)
        assert 2 <= len(ticks) <= 6
        assert np.ptp([low, high, *ticks]) <= 1.11 * (high - low)
    (axes,) = plot_dynamics(model, store, 0).axes
    assert len(axes.get_yticks()) >= 2
