import cv2
import numpy as np
import pytest

from keras_ddr.faces import cropping
from keras_ddr.faces.cropping import crop_aligned, crop_square, crop_whole


@pytest.fixture
def picture(rng):
    return rng.integers(0, 256, (80, 100, 3), np.uint8)


def _by_hand(picture, left, top, side, size):
    """Repeat the border far out, then cut and average."""
    pad = 200
    wide = np.pad(picture, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    part = wide[top + pad : top + pad + side, left + pad : left + pad + side]
    if side % size == 0:
        times = side // size
        blocks = part.reshape(size, times, size, times, 3).astype(np.float64)
        return blocks.mean(axis=(1, 3))
    return cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(
    ("box", "square"),
    [
        ((20, 10, 48, 48), (20, 10, 48)),
        ((20, 10, 24, 48), (8, 10, 48)),
        ((20, 10, 48, 24), (20, -2, 48)),
        ((-20, -10, 48, 48), (-20, -10, 48)),
        ((95, 75, 32, 32), (95, 75, 32)),
        ((-200, 20, 208, 16), (-200, -76, 208)),
        ((-15, -15, 16, 16), (-15, -15, 16)),
        ((40, 30, 20, 20), (40, 30, 20)),
    ],
)
def test_a_square_is_cut_by_hand(picture, box, square):
    assert cropping.square(box, 0) == square
    expected = _by_hand(picture, *square, size=16)
    # Averages of bytes are rounded.
    assert np.abs(crop_square(picture, box, 16, 0) - expected).max() <= 0.5001


def test_a_margin_is_added_on_every_side(picture):
    assert cropping.square((30, 20, 20, 20), 0.5) == (20, 10, 40)
    same = crop_square(picture, (20, 10, 40, 40), 16, 0)
    assert (crop_square(picture, (30, 20, 20, 20), 16, 0.5) == same).all()


def test_every_crop_has_the_size_that_was_asked_for(picture, rng):
    for box in rng.uniform((-99, -79, 1, 1), (99, 79, 90, 90), (200, 4)):
        if box[0] + box[2] > 0 and box[1] + box[3] > 0:
            crop = crop_square(picture, box, 32, 0.2)
            assert crop.shape == (32, 32, 3) and crop.dtype == np.uint8
            # Padding repeats the border and invents no colour.
            assert crop.min() >= picture.min() and crop.max() <= picture.max()


def _face(angle=0.0, scale=1.0, shift=(0.0, 0.0)):
    """Landmarks of a face that is turned, scaled and shifted."""
    points = (cropping._TEMPLATE - 0.5) * 100 * scale
    c, s = np.cos(angle), np.sin(angle)
    return points @ np.array([[c, s], [-s, c]]) + 150 + np.array(shift)


def _scene(landmarks):
    """A picture with a smooth dot at every landmark."""
    y, x = np.mgrid[0:300, 0:300]
    image = np.zeros((300, 300, 3), np.float64)
    for place, (px, py) in enumerate(landmarks):
        dot = np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 3.0**2))
        image[..., place % 3] += 220 * dot
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "landmarks",
    [
        _face(),
        _face(0.6),
        _face(-1.2, 0.7, (40, -30)),
        _face(np.pi, 1.5),
        _face(0.2, 2.0, (-20, 15)),
    ],
)
def test_aligned_features_lie_at_the_same_places(landmarks):
    crop = crop_aligned(_scene(landmarks), landmarks, 64, 0.2).astype(float)
    expected = (0.5 + (cropping._TEMPLATE - 0.5) / 1.4) * 64
    y, x = np.mgrid[0:64, 0:64]
    for place, (px, py) in enumerate(expected):
        near = (np.hypot(x - px, y - py) < 5) * crop[..., place % 3]
        found = np.array([(near * x).sum(), (near * y).sum()]) / near.sum()
        assert np.abs(found - (px, py)).max() < 0.6


def test_alignment_averages_what_it_shrinks(rng):
    """A fine chessboard becomes an even grey, not stripes."""
    board = (np.indices((1200, 1200)).sum(axis=0) % 2 * 255).astype(np.uint8)
    board = np.repeat(board[..., None], 3, axis=2)
    landmarks = (cropping._TEMPLATE - 0.5) * 600 + 600
    crop = crop_aligned(board, landmarks, 64, 0.0).astype(float)
    assert abs(crop.mean() - 127.5) < 3 and crop.std() < 12


def test_landmarks_in_one_place_do_no_harm(picture):
    assert crop_aligned(picture, np.full((5, 2), 40.0), 32, 0.2).shape == (32, 32, 3)


def test_whole_frames_are_squared(rng):
    wide = rng.integers(1, 256, (32, 64, 3), np.uint8)
    assert (crop_whole(wide, 32, "center") == wide[:, 16:48]).all()
    barred = crop_whole(wide, 64, "none")
    assert (barred[16:48] == wide).all()
    assert not barred[:16].any() and not barred[48:].any()
    tall = crop_whole(wide.transpose(1, 0, 2), 64, "none")
    assert (tall == barred.transpose(1, 0, 2)).all()
    assert crop_whole(wide[:1, :1], 16, "none").shape == (16, 16, 3)


def test_a_long_strip_takes_no_more_memory_than_itself():
    """Bars around it would make it 30,000 times as large."""
    strip = np.full((4, 120_000, 3), 200, np.uint8)
    crop = crop_whole(strip, 64, "none")
    assert crop.shape == (64, 64, 3)
    assert (crop[31:33] == 200).any(axis=0).all() and not crop[:31].any()
    assert not crop[33:].any()
