import math

import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.faces import boxes


def _write(tmp_path, text, **kwargs):
    path = tmp_path / "7.pts"
    path.write_bytes(text.encode(**kwargs) if isinstance(text, str) else text)
    return path


GOOD = "version: 1\nn_points: 4\n{\n10 20\n10 60\n40 60\n40 20\n}\n"


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("10 20", "10, 20").replace("40 20", "40,20"),
        "\ufeff" + GOOD,
        GOOD.replace("{\n", "{\n\n") + "\n\n",
        GOOD.replace("10 20\n10 60\n40 60\n40 20", "40 60\n10 20\n40 20\n10 60"),
        GOOD.replace("n_points: 4", "n_points:  4 "),
    ],
)
def test_harmless_differences_give_the_same_box(tmp_path, text):
    points = boxes.read_pts(_write(tmp_path, text))
    assert boxes.box_of_points(points).tolist() == [10, 20, 30, 40]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("10 60", "nan 60"), "line 5 holds 'nan 60'"),
        (GOOD.replace("10 60", "inf 60"), "line 5 holds"),
        (GOOD.replace("10 60", "ten 60"), "line 5 is 'ten 60'"),
        (GOOD.replace("10 60", "10"), "line 5"),
        (GOOD.replace("10 60", "10 60 3"), "line 5"),
        (GOOD.replace("40 20\n", ""), "promises 4 points and holds 3"),
        ("version: 1\nn_points: 4\n{\n", "promises 4 points and holds 0"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, said):
    path = _write(tmp_path, text)
    with pytest.raises(InputError) as error:
        boxes.read_pts(path)
    assert str(path) in str(error.value) and said in str(error.value)


def test_no_points_at_all(tmp_path):
    for content in (b"", b"\x00\xff\xfe\x00binary", b"version: 1\n"):
        assert len(boxes.read_pts(_write(tmp_path, content))) == 0
    with pytest.raises(InputError, match="No such file"):
        boxes.read_pts(tmp_path / "none.pts")


@pytest.mark.parametrize(
    ("box", "usable"),
    [
        ((-20, -10, 60, 60), True),
        ((95, 75, 50, 50), True),
        ((10, 10, 0, 20), False),
        ((10, 10, 20, -5), False),
        ((100, 10, 20, 20), False),
        ((-30, 10, 30, 20), False),
        ((10, 80, 5, 5), False),
        ((math.nan, 10, 5, 5), False),
        ((10, 10, math.inf, 5), False),
        ((-1e9, -1e9, 3e9, 3e9), False),
    ],
)
def test_which_boxes_can_be_cropped(box, usable):
    assert boxes.is_usable(box, height=80, width=100) is usable


def test_matching_pairs_nearest_first():
    before = [(0, 0, 10, 10), (20, 0, 10, 10)]
    # The order of detection changes; the second face has moved most.
    after = [(24, 0, 10, 10), (1, 0, 10, 10), (60, 0, 10, 10)]
    assert sorted(boxes.match(before, after, 0.5)) == [(0, 1), (1, 0)]
    assert boxes.match(before, after, 0.3) == [(0, 1)]
    assert boxes.match(before, [], 0.5) == boxes.match([], after, 0.5) == []
    # Another size is another face.
    assert boxes.match([(0, 0, 10, 10)], [(-4, -4, 18, 18)], 0.5) == []
    assert boxes.match([(0, 0, 10, 10)], [(-2, -2, 14, 14)], 0.5) == [(0, 0)]


def test_matching_takes_no_face_twice(rng):
    before = rng.uniform(1, 20, (30, 4))
    after = rng.uniform(1, 20, (40, 4))
    pairs = boxes.match(before, after, 0.6)
    assert len(pairs) > 5
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    for i, j in pairs:
        centre = before[i, :2] + before[i, 2:] / 2 - after[j, :2] - after[j, 2:] / 2
        assert np.hypot(*centre) <= 0.6 * min(before[i, 2], after[j, 2]) + 1e-9


# Eyes, nose and corners of the mouth of a head that looks at us: x to the right of the
# picture, y down, z towards us.
HEAD = np.array([[-3, -3, 8], [3, -3, 8], [0, 0, 10.5], [-2.5, 3.5, 8], [2.5, 3.5, 8]])


def _pose(points):
    return boxes.Face(np.zeros(4), np.asarray(points, float)).pose


def _turned(yaw=0.0, pitch=0.0):
    """The head after it turned to its left and then looked down, in radians."""
    a, b = np.cos([yaw, pitch])
    c, d = np.sin([yaw, pitch])
    to_left = np.array([[a, 0, c], [0, 1, 0], [-c, 0, a]])
    downward = np.array([[1, 0, 0], [0, b, d], [0, -d, b]])
    return (HEAD @ to_left.T @ downward.T)[:, :2]


def test_pose_of_known_heads():
    np.testing.assert_allclose(_pose(HEAD[:, :2]), [0, 3 / 6.5, 0, 5 / 6], atol=1e-12)
    turns = np.linspace(-0.6, 0.6, 9)
    yaws, pitches = (
        [_pose(_turned(**{name: turn}))[k] for turn in turns]
        for k, name in enumerate(["yaw", "pitch"])
    )
    assert np.all(np.diff(yaws) > 0) and np.all(np.diff(pitches) > 0)
    np.testing.assert_allclose(yaws, -np.flip(yaws), atol=1e-12)


def test_pose_follows_roll_and_nothing_of_size_and_place():
    points = _turned(0.3, -0.2)
    angle = np.radians(25)
    roll = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    expected = _pose(points) + [0, 0, 25, 0]
    np.testing.assert_allclose(_pose(7 * points @ roll.T + [90, -4]), expected)


def test_no_landmarks_no_pose():
    assert np.isnan(_pose(np.full((5, 2), np.nan))).all()
    assert np.isnan(_pose(np.ones((5, 2)))).all()
    level = [[0, 0], [2, 0], [1, 1], [0, 0], [2, 0]]  # eyes and mouth
    np.testing.assert_allclose(_pose(level), [0, np.nan, 0, 1])
