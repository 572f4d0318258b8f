import io

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from own_model import Plain
from PIL import Image
from scipy.stats import norm

from keras_ddr import InputError
from keras_ddr.data import write_arrays
from keras_ddr.visualization import (
    plot_dynamics,
    plot_latent,
    plot_manifold,
    plot_prediction,
    plot_reconstruction,
    plot_samples,
    plot_store,
    plot_swap,
    save_figure,
)
from keras_ddr.visualization.selection import encode_shown, pick_sequences
from keras_ddr.visualization.style import shorten_all


def test_a_figure_shows_itself_in_a_notebook(tmp_path):
    """IPython asks for this, with the size on the page, where pyplot is not in use."""
    store = write_arrays(tmp_path / "s", np.zeros((3, 4, 16, 16, 3), "uint8"))
    figure = plot_store(store)
    content, shown = figure._repr_png_()
    save_figure(figure, tmp_path / "a.png")
    saved = Image.open(tmp_path / "a.png")
    np.testing.assert_array_equal(Image.open(io.BytesIO(content)), saved)
    assert abs(shown["width"] - saved.width / 2) <= 1


def pixels(figure, path):
    """What a saved PNG holds."""
    return np.asarray(Image.open(save_figure(figure, path)).convert("RGB"))


def block(figure, image, number):
    """Pixels of the images that axes `number` shows."""
    x0, y0, x1, y1 = figure.axes[number].get_position().extents
    height, width = image.shape[:2]
    rows = slice(round((1 - y1) * height), round((1 - y0) * height))
    return image[rows, round(x0 * width) : round(x1 * width)]


def tile(shown, row, column, size, scale, gap):
    """One image of a block, at its own size."""
    top, left = row * (size * scale + gap), column * (size * scale + gap)
    return shown[top : top + size * scale : scale, left : left + size * scale : scale]


def as_bytes(images):
    return np.round(np.clip(images, 0, 1) * 255).astype("uint8")


def test_reconstruction_shows_the_pixels_as_they_are(model, store, tmp_path):
    figure = plot_reconstruction(model, store, [3, 5], [0, 7, 11])
    assert isinstance(figure, Figure)
    image = pixels(figure, tmp_path / "a.png")
    [shown] = encode_shown(model, store, [(store.sequences[5], [0, 7, 11])])
    decoded = as_bytes(model.decode(shown.static, shown.dynamic))
    originals = block(figure, image, 2)
    reconstructions = block(figure, image, 3)
    scale = (originals.shape[1] - 2 * 6) // (3 * 32)
    for column, frame in enumerate([0, 7, 11]):
        np.testing.assert_array_equal(
            tile(originals, 0, column, 32, scale, 6), store.frames(5)[frame]
        )
        difference = tile(reconstructions, 0, column, 32, scale, 6) - decoded[
            column
        ].astype(int)
        assert abs(difference).max() <= 1


class Fading(Plain):
    """Draws fade from the last frame, each faster than the one before."""

    def predict_frames(self, frames, number, draws=1, seed=0):
        left = 0.9 ** np.arange(draws)[::-1, None] ** np.arange(1, number + 1)
        return left[..., None, None, None] * (frames[-1] / 255)


def test_prediction_shows_true_frames_and_the_best_draw(store, tmp_path):
    figure = plot_prediction(Fading((32, 32, 3)), store, [4], past=2, future=2, draws=4)
    image = pixels(figure, tmp_path / "a.png")
    true, drawn = block(figure, image, 0), block(figure, image, 1)
    scale = (true.shape[1] - 3 * 6) // (4 * 32)
    frames = store.frames(4)[:4]
    for column, frame in enumerate(frames):
        found = tile(true, 0, column, 32, scale, 6)
        np.testing.assert_array_equal(found, frame)
    draws = Fading((32, 32, 3)).predict_frames(frames[:2], 2, 4)
    errors = np.square(draws - frames[2:] / 255).mean(axis=(1, 2, 3, 4))
    best = int(errors.argmin())
    others = [k for k in range(4) if k != best]
    for row, k in enumerate([best, *others[:2]]):
        for column in (0, 1):
            found = tile(drawn, row, column, 32, scale, 6).astype(int)
            assert abs(found - as_bytes(draws[k, column])).max() <= 1
    [bar] = figure.artists  # over the given frames
    axes = figure.axes
    ends = axes[0].get_position().x0, axes[1].get_position().x0 - 6 / figure.bbox.width
    np.testing.assert_allclose(bar.get_xdata(), ends, atol=1e-3)


def test_manifold_spans_quantiles_of_the_prior(model, store, tmp_path):
    codes = [model.encode(store.frames(i)) for i in (0, 1)]
    figure = plot_manifold(model, codes, grid=3, quantiles=(0.1, 0.9))
    image = pixels(figure, tmp_path / "a.png")
    shown = block(figure, image, 1)
    scale = (shown.shape[1] - 2 * 2) // (3 * 32)
    f, q = codes[1].static.mean, norm.ppf([0.1, 0.5, 0.9])
    for row, column in [(0, 0), (0, 2), (1, 1), (2, 0)]:
        # The first component to the right, the second upwards.
        z = model.unstandardize(f, [q[column], q[2 - row]])
        wanted = as_bytes(model.decode(f, z[None])[0])
        found = tile(shown, row, column, 32, scale, 2).astype(int)
        assert abs(found - wanted).max() <= 1


def test_manifold_of_raw_z_is_the_same_for_all(model, store, tmp_path):
    codes = [model.encode(store.frames(i)) for i in (0, 1)]
    figure = plot_manifold(
        model, codes, grid=3, quantiles=(0.1, 0.9), standardized=False
    )
    image = pixels(figure, tmp_path / "a.png")
    means = np.stack([code.prior.mean for code in codes])
    variance = np.mean([code.prior.variance for code in codes], axis=0)
    spread = np.sqrt(variance + means.var(axis=0))
    q = norm.ppf([0.1, 0.5, 0.9])
    for number, code in enumerate(codes):
        shown = block(figure, image, number)
        scale = (shown.shape[1] - 2 * 2) // (3 * 32)
        for row, column in [(0, 0), (0, 2), (2, 0)]:
            z = means.mean(axis=0) + spread * np.array([q[column], q[2 - row]])
            wanted = as_bytes(model.decode(code.static.mean, z[None])[0])
            found = tile(shown, row, column, 32, scale, 2).astype(int)
            assert abs(found - wanted).max() <= 1
    texts = [text.get_text() for text in figure.findobj(matplotlib.text.Text)]
    ends = means.mean(axis=0) + spread * q[0]
    assert f"{ends[0]:.2g}" in texts and f"{ends[1]:.2g}" in texts


def test_titles_of_different_identities_differ(model, store):
    codes = [model.encode(store.frames(i)) for i in (0, 1)]
    names = [f"darkelf_green_{cloth}_sleeves_green2" for cloth in ("gold", "blue")]
    figure = plot_manifold(model, codes, grid=2, names=names)
    texts = {text.get_text() for text in figure.findobj(matplotlib.text.Text)}
    titles = [text for text in texts if "…" in text]
    assert sorted(title.strip("…") for title in titles) == ["blue", "gold"]


def test_names_that_are_cut_alike_keep_the_words_that_differ():
    names = ["portrait_d6#person1-1", "portrait_d6#person1-3", "portrait_d18#person1-1"]
    assert shorten_all([*names, "a#1"], 150) == ["…d6…", "port…1-3", "…d18…", "a#1"]


def test_swap_combines_the_f_of_rows_with_the_z_of_columns(model, store, tmp_path):
    figures = {
        align: plot_swap(model, store, [0, 1], [(2, 4), (3, 9), (4, 0)], align=align)
        for align in ("none", "prior")
    }
    for align, figure in figures.items():
        image = pixels(figure, tmp_path / f"{align}.png")
        top, left, matrix = (block(figure, image, number) for number in range(3))
        scale = left.shape[1] // 32
        np.testing.assert_array_equal(tile(top, 0, 1, 32, scale, 4), store.frames(3)[9])
        np.testing.assert_array_equal(
            tile(left, 1, 0, 32, scale, 4), store.frames(1)[0]
        )
        identity = model.encode(store.frames(1))
        wanted = as_bytes(model.swap(identity, store.frames(3), align=align)[9])
        found = tile(matrix, 1, 1, 32, scale, 4).astype(int)
        assert abs(found - wanted).max() <= 1
    default = plot_swap(model, store, [0, 1], [(2, 4), (3, 9), (4, 0)])
    image = pixels(default, tmp_path / "default.png")
    prior, none = (pixels(figures[a], tmp_path / "b.png") for a in ("prior", "none"))
    np.testing.assert_array_equal(image, prior)
    assert not np.array_equal(image, none)


def test_characters_that_no_font_has_are_told_of_once(tmp_path):
    figure = Figure((1, 1))
    figure.text(0.1, 0.5, "\uf8fe\uf8ff \uf8fd")  # of private use
    with pytest.warns(UserWarning) as caught:
        save_figure(figure, tmp_path / "a.png")
    assert len(caught) == 1 and "drawn as boxes" in str(caught[0].message)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dynamic_dim", [1, 2, 3])
def test_all_figures_for_other_channels_and_dimensions(
    make_model, tmp_path, channels, dynamic_dim
):
    model = make_model((16, 32, channels), dynamic_dim=dynamic_dim)
    frames = np.random.default_rng(0).integers(
        0, 256, (3, 5, 16, 32, channels), "uint8"
    )
    store = write_arrays(tmp_path / "store", frames)
    codes = [model.encode(frame) for frame in frames]
    figures = {
        "reconstruction": plot_reconstruction(model, store, 3, 99),
        "manifold": plot_manifold(
            model, codes, 4, names=["a", "b", "c"], originals=frames[:, 0]
        ),
        "static": plot_manifold(model, np.stack([c.static.mean for c in codes]), 4),
        "swap": plot_swap(model, store, 2, 5),
    }
    for name, figure in figures.items():
        image = pixels(figure, tmp_path / f"{name}.png")
        assert image.std() > 0
        assert image.shape[:2] == tuple(
            int(x) for x in (figure.get_size_inches() * figure.dpi + 0.5)[::-1]
        )


def test_other_components_of_z_can_be_shown(make_model, store):
    model = make_model(dynamic_dim=3)
    codes = [model.encode(store.frames(0))]
    figure = plot_manifold(model, codes, 3, components=(2, 0))
    assert {text.get_text() for text in figure.texts} >= {"$z_{3}$", "$z_{1}$"}
    for components in ((0, 3), (1, 1), (0, -1)):
        with pytest.raises(InputError, match="components"):
            plot_manifold(model, codes, 3, components=components)


def test_names_are_cut_to_their_room_and_are_no_formulas(model, store, tmp_path):
    name = r"clips/$\notacommand$/" + 40 * "W"
    data = write_arrays(
        tmp_path / "store", [store.frames(0)], names=[name], sources=[name]
    )
    codes = [model.encode(store.frames(0))]
    for figure in (
        plot_reconstruction(model, data, 1, 4),
        plot_manifold(model, codes, 5, names=[name]),
    ):
        save_figure(figure, tmp_path / "figure.png")
        [title] = [text for text in figure.texts if "…" in text.get_text()]
        room = figure.get_size_inches()[0] * figure.dpi
        assert title.get_window_extent().x1 < room


def test_nothing_global_is_changed(model, store, tmp_path):
    before = dict(matplotlib.rcParams)
    figure = plot_reconstruction(model, store, 1, 2)
    save_figure(figure, tmp_path / "a.png")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg", ".PNG"])
def test_figures_are_saved_by_suffix(model, store, tmp_path, suffix):
    path = save_figure(plot_swap(model, store, 2, 2), tmp_path / f"figure{suffix}")
    start = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[suffix.lower()]
    assert path.read_bytes().startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_figure_that_cannot_be_saved_leaves_the_old_one(model, store, tmp_path):
    path = save_figure(plot_swap(model, store, 2, 2), tmp_path / "figure.png")
    before = path.read_bytes()
    broken = Figure()
    broken.text(0.5, 0.5, r"$\notacommand$")
    with pytest.raises(ValueError, match="notacommand"):
        save_figure(broken, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["figure.png"]


def test_paths_that_cannot_be_written_are_refused(tmp_path):
    for path, message in (
        (tmp_path / "figure.jpg", r"suffix '.jpg'; use one of .png, .pdf, .svg"),
        (tmp_path / "figure", r"suffix ''"),
        (tmp_path / "missing" / "figure.png", "does not exist; make it first"),
    ):
        with pytest.raises(InputError, match=message):
            save_figure(Figure(), path)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        save_figure(Figure(), tmp_path / "folder.png")


def test_sequences_and_frames_are_named_when_they_do_not_exist(model, store):
    for arguments, message in (
        ({"sequences": ["nobody"]}, "no sequence named 'nobody'"),
        ({"sequences": [99]}, "no sequence 99; it has 0 to 23"),
        ({"sequences": 0}, "sequences=0"),
        ({"frames": [3, 12]}, "frames 0 to 11"),
        ({"frames": 0}, "frames=0"),
    ):
        with pytest.raises(InputError, match=message):
            plot_reconstruction(model, store, **arguments)
    with pytest.raises(InputError, match="align='all'"):
        plot_swap(model, store, align="all")
    with pytest.raises(InputError, match="dynamics"):
        plot_swap(model, store, 2, [])
    with pytest.raises(InputError, match="identities is empty"):
        plot_manifold(model, [])
    codes = [model.encode(store.frames(0))]
    for quantiles in ((0, 0.5), (0.9, 0.1)):
        with pytest.raises(InputError, match="quantiles"):
            plot_manifold(model, codes, quantiles=quantiles)
    with pytest.raises(InputError, match="grid=1"):
        plot_manifold(model, codes, grid=1)


def test_sequences_shorter_than_a_set_are_named(make_model, store):
    model = make_model(frames_per_set=13)
    with pytest.raises(InputError, match="has 12 frames; at least 13 are needed"):
        plot_reconstruction(model, store, [0])
    with pytest.raises(InputError, match="no sequence of at least 13 frames"):
        plot_swap(model, store, 2, 2)


def test_a_model_without_p_of_z_given_f(tmp_path):
    """Its z̃ is z, whatever f is."""
    model = Plain((16, 16, 3))
    model(np.zeros((1, 2, 16, 16, 3), "uint8"))
    frames = np.random.default_rng(0).integers(0, 256, (2, 5, 16, 16, 3), "uint8")
    store = write_arrays(tmp_path / "store", frames)
    codes = [model.encode(frame) for frame in frames]
    for standardized in (True, False):
        assert plot_manifold(model, codes, 3, standardized=standardized).axes
    assert plot_swap(model, store, 2, 3).axes


@pytest.mark.parametrize(
    "names",
    [
        [f"2024-05-{day}_long_recording_of_mouse_{day}_in_the_box" for day in (11, 12)],
        ["x" * 60 + "a" + "y" * 60, "x" * 60 + "b" + "y" * 60],
        [60 * "a" + p + 60 * "b" + q + 60 * "c" for p in "pq" for q in "rs"],
        ["a" * 90, "a" * 91, "a" * 92],
    ],
    ids=["words", "characters", "two places", "length"],
)
def test_names_that_differ_never_look_the_same(names):
    for pixels in (90, 200):
        assert len(set(shorten_all(names, pixels))) == len(names)


def _is_within_its_page(figure):
    """Whether nothing is drawn on half an inch around a figure."""
    drawn = io.BytesIO()
    figure.savefig(drawn, bbox_inches=figure.bbox_inches.padded(0.5))
    image = np.asarray(Image.open(drawn).convert("L")).copy()
    band = int(0.5 * figure.dpi) - 1
    assert image.shape[0] >= figure.bbox.height + 2 * band
    image[band:-band, band:-band] = 255
    return bool((image == 255).all())


def test_nothing_leaves_the_page(model, store, tmp_path):
    names = [f"a_long_name_of_a_recording_{k}_of_this_puppet_{k}" for k in range(8)]
    long = "the_label_of_all_labels_with_the_longest_name_that_anyone_ever_gave"
    angles = [store.label_values(k, "arm_angle") for k in range(8)]
    data = write_arrays(
        tmp_path / "S",
        [store.frames(k) for k in range(8)],
        names=names,
        labels={long: angles, f"{long}_2": names},
    )
    codes = [model.encode(data.frames(k)) for k in range(4)]
    for figure in (
        plot_reconstruction(model, data, 2, 2),
        plot_swap(model, data, 2, 2),
        plot_manifold(model, codes, 3, names=names[:4]),
        plot_dynamics(model, data, 0),
        plot_samples(model, 2, 2),
        plot_latent(model, data, long, standardized=False),
        plot_latent(model, data, f"{long}_2"),
        plot_latent(model, data, "sequence"),
        plot_store(data, 2, 2),
    ):
        assert _is_within_its_page(figure)


def test_dark_and_still_sequences_are_shown_only_if_asked_for(store, tmp_path):
    shown = store.frames(0)
    kinds = {
        "dark": shown // 20,
        "still": np.repeat(shown[:1], 12, axis=0),
        "good": shown,
        "other": store.frames(1),
    }
    names = [f"{kind} {k}" for k in range(3) for kind in kinds]
    data = write_arrays(tmp_path / "S", [*kinds.values()] * 3, names=names)
    for seed in (None, 0, 1):
        picked = {s.name.split()[0] for s in pick_sequences(data, 6, seed=seed)}
        assert picked == {"good", "other"}
    # Nothing better is left.
    assert len({s.name for s in pick_sequences(data, 8, seed=0)}) == 8
    assert pick_sequences(data, ["dark 1"])[0].name == "dark 1"
