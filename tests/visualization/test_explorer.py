"""All that a page of the explorer holds, compared with what the model gives."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from keras_ddr import InputError
from keras_ddr.code_densities import Densities, IndependentSubspaces
from keras_ddr.data import Label, SequenceRecord, write_arrays, write_store
from keras_ddr.densities import fit_densities
from keras_ddr.mixture import GaussianMixture
from keras_ddr.visualization.explorer import explorer_page, save_explorer
from keras_ddr.visualization.explorer_plane import fitted_density, make_plane

# Steps of intensities that pictures may be off by, on average: they are compressed.
_LOSSY = 5.0


def _json(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL).group(1))


def _tiles(address, data):
    """The pictures of an atlas, (n, H, W, 3)."""
    content = base64.b64decode(address.removeprefix("data:image/webp;base64,"))
    sheet = np.asarray(Image.open(io.BytesIO(content)), float)
    height, width = data["size"]
    rows = sheet.reshape(-1, height, data["columns"], width, 3)
    return rows.swapaxes(1, 2).reshape(-1, height, width, 3)


@pytest.fixture(scope="module")
def fitted(model, store):
    """A model with densities."""
    codes = [model.encode(store.frames(k)) for k in range(5)]
    model.densities = Densities(
        IndependentSubspaces.fit([c.static.mean for c in codes]),
        GaussianMixture.fit(np.concatenate([c.standardized for c in codes])),
    )
    yield model
    model.densities = None


@pytest.fixture(scope="module")
def data(fitted, store):
    return _json(explorer_page(fitted, store, 3, split="train", drawn=2, seed=4))


def test_pictures_are_those_of_the_model(data, fitted, store):
    index = {sequence.name: sequence.index for sequence in store.sequences}
    frames = [store.frames(index[clip["name"]]) for clip in data["clips"]]
    codes = [fitted.encode(part) for part in frames]
    drawn = fitted.densities.static.sample(2, np.random.default_rng(4))
    static = [*(c.static.mean for c in codes), *drawn]
    assert data["drawn"] == 2 and len(data["pictures"]["motions"]) == 5
    for i, clip in enumerate(data["clips"]):
        np.testing.assert_allclose(clip["z"], codes[i].standardized, atol=1e-4)
        filmed = _tiles(data["pictures"]["filmed"][i], data)[: clip["frames"]]
        assert np.abs(filmed - frames[i]).mean() < 2 * _LOSSY
        assert clip["kept"] == clip["frames"] == 12
        for k, f in enumerate(static):
            z = fitted.unstandardize(f, codes[i].standardized)
            shown = _tiles(data["pictures"]["motions"][k][i], data)[:12]
            assert np.abs(shown - 255 * fitted.decode(f, z)).mean() < _LOSSY


def test_places_of_the_plane_have_their_pictures(data, fitted):
    (plane,), grid = data["planes"], data["planes"][0]["grid"]
    columns = np.linspace(plane["low"][0], plane["high"][0], grid)
    rows = np.linspace(plane["high"][1], plane["low"][1], grid)
    places = np.stack([np.tile(columns, grid), np.repeat(rows, grid)], axis=1)
    numbers = np.array(plane["pictures"])
    f = fitted.densities.static.sample(2, np.random.default_rng(4))[1]
    shown = _tiles(data["pictures"]["planes"][4][0], data)
    own = [np.flatnonzero(numbers == n) for n in range(numbers.max() + 1)]
    assert len(own) > 20 and all(len(taken) for taken in own)
    for number, taken in enumerate(own):
        # One of the places that show it is its own.
        pictures = 255 * fitted.decode(f, fitted.unstandardize(f, places[taken]))
        errors = np.abs(pictures - shown[number]).mean(axis=(1, 2, 3))
        assert errors.min() < _LOSSY


def test_a_plane_follows_the_mass(rng):
    """On a ring there are pictures; in its middle and in the corners there are none."""
    angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    means = np.stack([np.cos(angles), np.sin(angles), angles], axis=1)
    ring = GaussianMixture(
        np.full(36, 1 / 36), means, np.tile(0.06**2 * np.eye(3), (36, 1, 1))
    )
    points = ring.sample(500, rng)
    plane = make_plane(ring, (0, 1), points, 200)
    assert 150 < len(plane.scores) <= 200 and plane.grid > 14  # a full one has 14
    radius = np.hypot(plane.scores[:, 0], plane.scores[:, 1])
    assert radius.min() > 0.5 and radius.max() < 1.5
    # The third component goes along.
    expected = np.arctan2(plane.scores[:, 1], plane.scores[:, 0]) % (2 * np.pi)
    inside = (expected > 0.3) & (expected < 6.0)
    assert np.abs(plane.scores[inside, 2] - expected[inside]).max() < 0.1
    shade, last = plane.shade, len(plane.shade) - 1
    assert shade[0, 0] == shade[last, last] == 0 and shade.max() >= 98
    assert shade[last // 2, last // 2] < 2 < shade[last // 2].max()
    # Axes fit.
    assert np.all(plane.low <= points[:, :2].min(axis=0))
    assert np.all(np.array(plane.high) - plane.low < 3)


def test_without_densities_a_plane_follows_the_frames(rng):
    scores = rng.standard_normal((60, 2)) * [1, 0.1] + [0, 3]
    density = fitted_density(scores, None)
    assert density.log_prob([[0, 3]]) > density.log_prob([[0, 2]]) + 5


def test_labels_and_the_order_of_names(data):
    names = [clip["name"] for clip in data["clips"]]
    assert names == sorted(names)
    skin, angle = data["labels"]["skin"], data["labels"]["arm_angle"]
    assert skin == {"scope": "sequence", "kind": "categorical", "unit": None}
    assert angle == {"scope": "frame", "kind": "continuous", "unit": "degrees"}
    for shown in data["clips"][0]["labels"]["arm_angle"]:
        assert shown == float(f"{shown:.3g}")


def test_little_motion_is_said(data, fitted, store, tmp_path):
    """The median share of the sequences, as decoded pictures of 8 bits have it."""
    index = {sequence.name: sequence.index for sequence in store.sequences}
    shares = []
    for clip in data["clips"]:
        frames = store.frames(index[clip["name"]]) / 255
        codes = fitted.encode(store.frames(index[clip["name"]]))
        decoded = fitted.decode(codes.static.mean, codes.dynamic.mean)
        missed = (frames - decoded).var(axis=0).sum() / frames.var(axis=0).sum()
        shares.append(1 - missed)
    assert data["weak"] == pytest.approx(np.median(shares), abs=2e-3)
    assert data["weak"] < 0.3
    still = write_arrays(tmp_path / "S", [store.frames(0)[:1].repeat(6, axis=0)])
    assert _json(explorer_page(fitted, still, 1, drawn=0))["weak"] is None


def test_numbers_in_names_count(model, store, tmp_path):
    names = ["clip 10", "Clip 9", "a"]
    other = write_arrays(tmp_path / "S", [store.frames(0)] * 3, names=names)
    shown = _json(explorer_page(model, other, 3))["clips"]
    assert [clip["name"] for clip in shown] == ["a", "Clip 9", "clip 10"]


def test_sequences_of_different_people_are_taken_first(model, store, tmp_path):
    frames = store.frames(0)
    clips = [frames[:6], frames, frames, frames[:6], frames]
    names, persons = ["a#1", "a#2", "b#1", "c#1", "c#2"], ["a", "a", "b", "c", "c"]
    other = write_arrays(tmp_path / "S", clips, names=names, persons=persons)
    for number, expected in ((3, ["a#2", "b#1", "c#2"]), (5, names)):
        for seed in (None, 0):
            page = explorer_page(model, other, number, seed=seed)
            assert [clip["name"] for clip in _json(page)["clips"]] == expected


@pytest.mark.slow
def test_pairs_of_components_and_a_single_one(make_model, store):
    for dim, pairs in ((1, [[0]]), (3, [[0, 1], [0, 2], [1, 2]])):
        model = make_model(dynamic_dim=dim)
        data = _json(explorer_page(model, store, 2, 6))
        assert sorted(plane["axes"] for plane in data["planes"]) == pairs
        assert data["drawn"] == 0  # without densities
        assert len(data["pictures"]["planes"]) == 2
        for k, clip in enumerate(data["clips"]):
            assert len(data["pictures"]["planes"][k]) == len(pairs)
            assert np.array(clip["z"]).shape == (6, dim)


def test_many_sequences_have_only_motions_of_their_own(model, store, tmp_path):
    other = write_arrays(tmp_path / "S", [store.frames(0)] * 30)
    data = _json(explorer_page(model, other, 30))
    assert {clip["kept"] for clip in data["clips"]} == {0}
    motions = data["pictures"]["motions"]
    assert all((motions[k][i] is None) == (k != i) for k in (0, 9) for i in range(30))


def test_names_cannot_break_out_of_the_data(model, store, tmp_path):
    name = "</script><script>alert(1)</script>/*STYLE*/"
    other = write_arrays(tmp_path / "S", [store.frames(0)], names=[name])
    text = explorer_page(model, other, 1)
    assert text.count("</script>") == 2
    assert _json(text)["clips"][0]["name"] == name


@pytest.mark.slow
def test_pages_stay_below_ten_megabytes(make_model, tmp_path):
    """Noise, which nothing compresses, in frames as large as usual and larger ones."""
    for side, number in ((64, 8), (128, 3)):
        shape = number, 150, side, side, 3
        noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        store = write_arrays(tmp_path / str(side), noise)
        model = make_model((side, side, 3))
        fit_densities(model, store)
        assert len(explorer_page(model, store, 8).encode()) < 10_000_000


def test_what_is_refused(model, store, tmp_path):
    with pytest.raises(InputError, match=r"'\.pdf'; use \.html"):
        save_explorer("", tmp_path / "a.pdf")
    with pytest.raises(InputError, match="does not exist"):
        save_explorer("", tmp_path / "no" / "a.html")
    with pytest.raises(InputError, match="no sequence named"):
        explorer_page(model, store, ["me"])
    with pytest.raises(InputError, match="drawn=-1; it must be a whole number"):
        explorer_page(model, store, drawn=-1)
    # 16 columns and 511 rows of 32 pixels are what a WebP picture takes.
    frames = np.zeros((1, 16 * 511 + 1, 32, 32, 3), "uint8")
    long = write_arrays(tmp_path / "long", frames)
    with pytest.raises(InputError, match=r"frames: 8177 of .* at most 8176"):
        explorer_page(model, long, 1, frames=10_000)


def test_times_and_labels_of_any_size(model, store, tmp_path):
    record = SequenceRecord(
        "late",
        store.frames(0)[:3],
        labels={"odds": float("inf"), "year": 12345.678, "size": 0.0123456},
        frame_labels={"time": np.array([12345.678, 12345.718, np.nan])},
    )
    labels = dict.fromkeys(["odds", "year", "size"], Label("sequence", "continuous"))
    late = write_store(tmp_path / "late", [record], labels=labels)
    shown = _json(explorer_page(model, late, 1))["clips"][0]
    assert shown["time"] == [12345.678, 12345.718, None]
    assert "odds" not in shown["labels"]
    assert shown["labels"]["year"][0] == 12346 and shown["labels"]["size"][0] == 0.0123
