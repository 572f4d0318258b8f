"""Puppets: every identity in every pose, all poses different, colours where named."""

import numpy as np
import pytest

from flat_options import flat
from keras_ddr import InputError
from keras_ddr.data import FrameStore
from keras_ddr.datasets import Splits, puppets

PLAIN = {"skin": "tan", "hair": "teal", "shirt": "red", "trousers": "navy"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    seen = []
    path = tmp_path_factory.mktemp("puppets") / "store"
    store = puppets.prepare(path, identities=20, progress=lambda *now: seen.append(now))
    assert seen == [(n, 20) for n in range(1, 21)]
    return store


def test_every_identity_in_every_pose(store):
    assert (len(store), store.frame_shape, store.num_frames) == (20, (64, 64, 3), 1920)
    assert store.dataset == "puppets"
    assert [len(store.select(s)) for s in ("train", "val", "test")] == [14, 2, 4]
    names = {sequence.name for sequence in store.sequences}
    assert names == {"_".join(s.labels.values()) for s in store.sequences}
    assert len(names) == 20
    assert {sequence.person for sequence in store.sequences} == names
    for name, classes in puppets.ATTRIBUTES.items():
        assert store.labels[name].classes == tuple(classes)
        assert {s.labels[name] for s in store.sequences} == set(classes)
        train = {s.labels[name] for s in store.select("train")}
        assert train == set(classes)
    labels = store.frame_labels(7)
    assert labels["pose"].tolist() == list(range(96))
    assert labels["source_frame"].tolist() == list(range(96))
    grid = labels["arm_angle"].reshape(12, 8), labels["leg_angle"].reshape(12, 8)
    np.testing.assert_allclose(grid[0][:, 3], np.linspace(15, 160, 12), rtol=1e-6)
    np.testing.assert_allclose(grid[1][5], np.linspace(3, 70, 8), rtol=1e-6)
    assert store.labels["arm_angle"].unit == "degrees"
    assert store.labels["pose"].classes[9] == "arms-1-legs-1"


def test_neighbouring_poses_differ_clearly(store):
    frames = store.frames(0).astype("float32").reshape(12, 8, -1) / 255
    arms = ((frames[1:] - frames[:-1]) ** 2).mean(-1)
    legs = ((frames[:, 1:] - frames[:, :-1]) ** 2).mean(-1)
    assert arms.min() > 0.001 and legs.min() > 0.001


def test_stored_frames_are_what_render_draws(store):
    sequence = store.sequences[4]
    labels = store.frame_labels(4)
    drawn = puppets.render(sequence.labels, labels["arm_angle"], labels["leg_angle"])
    difference = np.abs(drawn.astype(int) - store.frames(4))
    # The labels are float32.
    assert difference.max() <= 1


def test_colours_sit_where_they_are_named():
    image = puppets.render(PLAIN, 90.0, 20.0)
    assert image.shape == (64, 64, 3) and image.dtype == np.uint8
    # Row, column: cheek-free face, top of the head, chest, thigh.
    for (row, column), name in {
        (13, 28): "skin",
        (7, 28): "hair",
        (34, 30): "shirt",
        (46, 27): "trousers",
    }.items():
        colour = np.array(puppets.ATTRIBUTES[name][PLAIN[name]])
        assert np.abs(image[row, column] - colour).max() < 25, name


def test_only_the_asked_attribute_changes():
    image = puppets.render(PLAIN, 60.0, 30.0).astype(int)
    other = puppets.render({**PLAIN, "trousers": "orange"}, 60.0, 30.0)
    changed = np.abs(image - other).max(-1) > 0
    assert changed[40:].sum() > 100
    assert not changed[:38].any()


def test_angles_move_only_their_limbs():
    image = puppets.render(PLAIN, 60.0, 30.0).astype(int)
    arms = np.abs(image - puppets.render(PLAIN, 100.0, 30.0)).max(-1) > 0
    legs = np.abs(image - puppets.render(PLAIN, 60.0, 60.0)).max(-1) > 0
    assert arms.any() and not arms[46:].any()
    assert legs.any() and not legs[:38].any()


def test_edges_are_smooth_and_sizes_agree():
    large = puppets.render(PLAIN, 75.0, 40.0, size=256).astype("float32")
    small = puppets.render(PLAIN, 75.0, 40.0, size=64)
    shrunk = large.reshape(64, 4, 64, 4, 3).mean((1, 3))
    assert np.abs(shrunk - small).mean() < 2.5
    assert puppets.render(PLAIN, [10, 20], 5.0, size=32).shape == (2, 32, 32, 3)


def test_colours_stay_in_range():
    """Every colour at its brightest: nothing wraps around at 255."""
    pale = {"skin": "pale", "hair": "white", "shirt": "white", "trousers": "lilac"}
    poses = puppets.Poses(np.linspace(0, 180, 7), np.linspace(0, 90, 7), 64)
    assert poses.base.min() >= 0
    assert (poses.base.max(-1) + 255 * poses.weights.sum(-1)).max() <= 255.01
    assert poses.coloured(pale).min() > 0


def test_seed_decides(tmp_path):
    def names(name, seed):
        splits = Splits(seed=seed)
        store = puppets.prepare(
            tmp_path / name, identities=9, splits=splits, size=16, arms=2, legs=1
        )
        return [(s.name, s.split) for s in store.sequences], store.meta["sha256"]

    one = names("a", 1)
    assert names("b", 1) == one
    assert names("c", 2) != one
    assert FrameStore.open(tmp_path / "a").frame_shape == (16, 16, 3)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"identities": 5}, "identities=5; it must be a whole number 6 to 1296"),
        ({"identities": 1297}, "identities=1297"),
        ({"size": 40}, "multiple of 16"),
        ({"arms": 0}, "arms=0"),
        ({"shares": (0.5, 0.5)}, "splits"),
        ({"shares": (0.5, 0.5, 0.5)}, "splits"),
        ({"persons": "folder"}, "persons: changes nothing with puppets"),
    ],
)
def test_prepare_refuses(tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        puppets.prepare(tmp_path / "s", **flat(**arguments))
    assert not list(tmp_path.iterdir())


def test_render_refuses():
    with pytest.raises(InputError, match="hair is 'grey'"):
        puppets.render({**PLAIN, "hair": "grey"}, 0, 0)
    with pytest.raises(InputError, match="finite"):
        puppets.render(PLAIN, np.nan, 0)
