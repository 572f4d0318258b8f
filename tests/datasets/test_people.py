"""Which of the people in a video are meant."""

import itertools

import numpy as np

from keras_ddr.datasets.parts import Crop
from keras_ddr.datasets.people import on_side, one_at_a_time
from keras_ddr.faces.boxes import Face


def _track(numbers, width, x=0, height=None):
    box = np.array([x, 10, width, height or width], float)
    face = Face(box, np.zeros((5, 2)), 0.9)
    return [Crop(0, int(n), n / 25, face) for n in numbers]


def test_one_person_at_any_time():
    tracks = {
        0: _track(range(100), 40),
        # Larger, but shorter in all; and gone before it could be a sequence.
        1: _track(range(20), 60),
        2: _track(range(40, 50), 200),
        3: _track(range(90, 130), 30),
        4: _track(range(200, 205), 40),
    }
    chosen = one_at_a_time(tracks, 20)
    numbers = [[crop.number for crop in track] for track in chosen]
    # The rest of the one that overlaps stays.
    assert numbers == [list(range(100)), list(range(100, 130))]
    chosen = one_at_a_time(tracks, 5)
    numbers = [[crop.number for crop in track] for track in chosen]
    assert numbers == [
        list(range(40)),
        list(range(40, 50)),
        list(range(50, 100)),
        list(range(100, 130)),
        list(range(200, 205)),
    ]
    assert one_at_a_time({}, 5) == []


def test_many_tracks_are_chosen_as_one_by_one(rng):
    """Against the rule as it is written: no frame in what was taken before."""
    tracks = {}
    for person in range(60):
        numbers = rng.choice(120, size=rng.integers(5, 80), replace=False)
        numbers = np.sort(numbers) + rng.integers(0, 2000)
        width, height = rng.uniform(5, 50, 2)
        tracks[person] = _track(numbers, width, height=height)
    area = {p: sum(crop.face.area for crop in t) for p, t in tracks.items()}
    taken, spans = [], []
    for person in sorted(tracks, key=lambda p: (-area[p], p)):
        free = [not any(a <= e.number <= b for a, b in spans) for e in tracks[person]]
        for is_free, run in itertools.groupby(
            zip(free, tracks[person], strict=True), lambda pair: pair[0]
        ):
            numbers = [crop.number for _, crop in run]
            if is_free and len(numbers) >= 5:
                taken.append(numbers)
        spans = [(numbers[0], numbers[-1]) for numbers in taken]
    chosen = [[crop.number for crop in track] for track in one_at_a_time(tracks, 5)]
    assert chosen == sorted(taken) and len(chosen) > 5


def test_who_is_on_which_side():
    tracks = {
        0: _track(range(10), 40, x=50),
        1: _track(range(5, 30), 40, x=120),
        # Someone small in the background, further left than all.
        2: _track(range(30), 10, x=0),
        # The left one again, alone and in the right half.
        3: _track(range(40, 50), 40, x=110),
        4: _track(range(60, 70), 40, x=20),
    }
    assert set(on_side(tracks, "left", 200)) == {0, 4}
    assert set(on_side(tracks, "right", 200)) == {1, 3}
    # Seen together once, the half does not count.
    tracks[5] = _track(range(45, 47), 40, x=150)
    assert set(on_side(tracks, "left", 200)) == {0, 3, 4}
