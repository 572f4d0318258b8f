import numpy as np
import pytest
from matplotlib.colors import to_rgb

from keras_ddr import InputError
from keras_ddr.data import SequenceRecord, write_arrays, write_store
from keras_ddr.visualization import plot_latent, plot_samples, save_figure
from keras_ddr.visualization.latent import _COLOURS, _MISSING


def _points(axes):
    return np.concatenate([np.asarray(c.get_offsets()) for c in axes.collections])


def test_the_points_are_the_codes(model, store):
    for standardized in (True, False):
        figure = plot_latent(
            model, store, "leg_angle", [1, 4], standardized=standardized
        )
        expected = []
        for index in (1, 4):
            codes = model.encode(store.frames(index))
            expected.append(codes.standardized if standardized else codes.dynamic.mean)
        points = _points(figure.axes[0])
        assert np.allclose(points, np.concatenate(expected), atol=1e-6)
        (drawn,) = [c for c in figure.axes[0].collections if len(c.get_offsets())]
        angles = [store.frame_labels(i)["leg_angle"] for i in (1, 4)]
        assert np.allclose(drawn.get_array(), np.concatenate(angles))
        assert figure.axes[1].get_ylabel() == "leg_angle (degrees)"


def test_classes_have_colours_and_a_legend(model, store):
    figure = plot_latent(model, store, "hair", 6)
    shown = {t.get_text() for t in figure.axes[0].get_legend().get_texts()}
    classes = store.labels["hair"].classes
    assert 1 < len(shown) and shown <= set(classes)
    for drawn in figure.axes[0].collections:
        if len(drawn.get_offsets()):
            k = classes.index(drawn.get_label())
            assert np.allclose(drawn.get_facecolor()[0, :3], to_rgb(_COLOURS[k]))
    assert figure.axes[0].get_legend().get_title().get_text() == "hair"


def test_missing_values_are_grey_and_the_sequence_is_the_last_resort(
    model, store, tmp_path
):
    frames = store.frames(0)[:8]
    level = np.where(np.arange(8) < 3, np.nan, 1.0)
    records = [SequenceRecord("a", frames, frame_labels={"level": level})]
    other = write_store(tmp_path / "S", records)
    grey, known = plot_latent(model, other).axes[0].collections
    assert len(grey.get_offsets()) == 3 and len(known.get_offsets()) == 5
    assert np.allclose(grey.get_facecolor()[0, :3], to_rgb(_MISSING))
    plain = write_store(
        tmp_path / "T", [SequenceRecord("a", frames), SequenceRecord("b $x", frames)]
    )
    figure = plot_latent(model, plain)
    assert len(figure.axes[0].get_legend().get_texts()) == 2
    save_figure(figure, tmp_path / "a.svg")


def test_names_that_begin_with_a_line_and_many_sequences(model, store, tmp_path):
    frames = store.frames(0)[:4]
    few = write_store(
        tmp_path / "few", [SequenceRecord(n, frames) for n in ("_MG_1", "a")]
    )
    legend = plot_latent(model, few).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["_MG_1", "a"]
    many = write_store(
        tmp_path / "many", [SequenceRecord(f"s{n}", frames) for n in range(17)]
    )
    figure = plot_latent(model, many, sequences=17)
    assert figure.axes[1].get_ylabel() == "sequence (class number)"


def test_a_model_of_large_sets(make_model, store, tmp_path):
    """f of what is shown is found from as many frames as the model compares."""
    frames = np.concatenate([store.frames(i) for i in range(7)])
    one = write_store(tmp_path / "S", [SequenceRecord("a", frames)])
    large = make_model(aggregation="pooled", frames_per_set=80)
    points = _points(plot_latent(large, one, frames=5).axes[0])
    assert len(points) == 5


def test_a_single_component(make_model, store):
    model = make_model(dynamic_dim=1)
    figure = plot_latent(model, store, "arm_angle", [2])
    codes = model.encode(store.frames(2)).standardized[:, 0]
    assert np.allclose(_points(figure.axes[0])[:, 1], codes, atol=1e-6)
    assert figure.axes[0].get_xlabel() == "frame"


def test_what_is_refused(model, store):
    with pytest.raises(InputError, match="no label 'mood'; it has"):
        plot_latent(model, store, "mood")
    with pytest.raises(InputError, match="z has 2 components"):
        plot_latent(model, store, components=(0, 2))
    with pytest.raises(InputError, match="sequences=0"):
        plot_samples(model, 0)


def test_samples_are_what_the_model_draws(model):
    figure = plot_samples(model, 2, 3, seed=4)
    (axes,) = figure.axes
    canvas = np.asarray(axes.images[0].get_array())
    expected = np.round(model.sample(2, 3, seed=4) * 255)
    scale = canvas.shape[0] // (2 * 32)
    tile, gap = 32 * scale, 6
    for row in range(2):
        for column in range(3):
            top, left = row * (tile + gap), column * (tile + gap)
            part = canvas[top : top + tile : scale, left : left + tile : scale]
            assert np.abs(part.astype(float) - expected[row, column]).max() <= 1


def test_colours_of_what_a_store_knows_of_sequences(model, store, tmp_path):
    names = [f"a long folder of videos/participant {k}#1" for k in (1, 2, 3)]
    other = write_arrays(
        tmp_path / "S",
        [store.frames(k) for k in range(3)],
        names=names,
        persons=["ann", "bob", "ann"],
        splits=["train", "test", "train"],
    )
    for label, wanted in (("person", ["ann", "bob"]), ("split", ["train", "test"])):
        legend = plot_latent(model, other, label).axes[0].get_legend()
        assert [text.get_text() for text in legend.get_texts()] == wanted
        assert legend.get_title().get_text() == label
    figure = plot_latent(model, other)
    legend = figure.axes[0].get_legend()
    found = [text.get_text() for text in legend.get_texts()]
    assert len(set(found)) == 3
    # Nothing leaves the picture.
    figure.canvas.draw()
    assert legend.get_window_extent().x1 <= figure.bbox.x1


def test_sixteen_classes_have_sixteen_looks(model, store, tmp_path):
    """And eight have eight colours and eight shapes."""
    frames = store.frames(0)[:4]
    names = [f"s{n}" for n in range(16)]
    other = write_store(tmp_path / "S", [SequenceRecord(n, frames) for n in names])
    figure = plot_latent(model, other, "sequence", 16)
    drawn = [c for c in figure.axes[0].collections if len(c.get_offsets())]
    colours = [tuple(c.get_facecolor()[0]) for c in drawn]
    shapes = [c.get_paths()[0].vertices.tobytes() for c in drawn]
    assert len(set(colours[:8])) == len(set(shapes[:8])) == 8
    assert len(set(zip(colours, shapes, strict=True))) == 16
