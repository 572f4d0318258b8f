"""Puppets that move: smooth paths of known angles, drawn as `render` draws them."""

import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.datasets import Splits, puppets, puppets_motion

LENGTH = 70
LIMITS = {"arm_angle": puppets.ARM_ANGLES, "leg_angle": puppets.LEG_ANGLES}
SPLITS = Splits(seed=3)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    seen = []
    store = puppets_motion.prepare(
        tmp_path_factory.mktemp("puppets") / "store",
        identities=8,
        clips=2,
        length=LENGTH,
        size=32,
        splits=SPLITS,
        progress=lambda *now: seen.append(now),
    )
    assert seen == [(n, 16) for n in range(1, 17)]
    return store


def test_frames_are_what_render_draws_at_their_angles(store):
    for number in (0, 15):
        labels = store.frame_labels(number)
        drawn = puppets.render(
            store.sequences[number].labels,
            labels["arm_angle"],
            labels["leg_angle"],
            size=32,
        )
        np.testing.assert_array_equal(store.frames(number), drawn)


def test_angles_follow_smooth_paths_of_their_own(store):
    paths = {name: [] for name in LIMITS}
    for number in range(len(store)):
        labels = store.frame_labels(number)
        np.testing.assert_array_equal(labels["time"], np.arange(LENGTH) / 25)
        for name, (low, high) in LIMITS.items():
            path = labels[name]
            assert low <= path.min() and path.max() <= high
            # A whole swing a second at most.
            swing = np.pi * (high - low) / 25
            assert 0.05 * swing < np.abs(np.diff(path)).max() <= swing * 1.001
            assert np.abs(np.diff(path, 2)).max() <= swing * 2 * np.pi / 25 * 1.01
            paths[name].append((path - low) / (high - low))
    every = np.concatenate([*paths.values()])
    apart = np.abs(every[:, None] - every).max(-1) + np.eye(len(every))
    assert apart.min() > 0.1


def test_the_pose_is_the_nearest_of_the_grid(store, tmp_path):
    grid = puppets.prepare(tmp_path / "grid", identities=6, size=16)
    poses = grid.frame_labels(0)
    assert store.labels == grid.labels
    for number in range(len(store)):
        labels = store.frame_labels(number)
        apart = sum(
            np.abs(labels[name][:, None] - poses[name]) / (high - low)
            for name, (low, high) in LIMITS.items()
        )
        np.testing.assert_array_equal(labels["pose"], apart.argmin(axis=1))


def test_identities_and_splits_are_those_of_the_grid(store, tmp_path):
    grid = puppets.prepare(tmp_path / "grid", identities=8, size=16, splits=SPLITS)
    assert store.ordered and not grid.ordered
    expected = [
        (f"{row.name}_{clip}", row.name, row.split, row.labels)
        for row in grid.sequences
        for clip in (0, 1)
    ]
    found = [(s.name, s.person, s.split, s.labels) for s in store.sequences]
    assert found == expected


def test_seed_decides(tmp_path):
    def made(name, seed):
        splits = Splits(seed=seed)
        return puppets_motion.prepare(
            tmp_path / name, identities=6, length=3, size=16, splits=splits
        ).meta["sha256"]

    assert made("a", 1) == made("b", 1) != made("c", 2)


def test_arguments_that_cannot_be_used(tmp_path):
    for name, value in (("length", 0), ("clips", 0), ("size", 40), ("identities", 5)):
        with pytest.raises(InputError, match=f"^{name}={value}"):
            puppets_motion.prepare(tmp_path / "S", **{name: value})
    assert not list(tmp_path.iterdir())
