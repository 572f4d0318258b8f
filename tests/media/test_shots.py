"""Cuts and blank frames, on scenes drawn here."""

import weakref

import numpy as np
import pytest

from keras_ddr.media import shots
from keras_ddr.media.shots import find_shots
from keras_ddr.media.video import Frame, Video

_SHAPE = (54, 96, 3)


def _frames(images):
    return [
        Frame(n, n / 10, np.ascontiguousarray(image)) for n, image in enumerate(images)
    ]


def _texture(rng, shape=_SHAPE, side=6):
    """Blocks of colour, which are there on a small copy as well."""
    height, width, channels = shape
    small = height // side + 1, width // side + 1, channels
    blocks = np.ones((side, side, 1), np.uint8)
    return np.kron(rng.integers(0, 256, small, np.uint8), blocks)[:height, :width]


def _scene(rng, count):
    """A picture that stays, but for the noise of a camera."""
    picture = _texture(rng).astype(int)
    noise = rng.normal(0, 4, (count, *_SHAPE))
    return list(np.clip(picture + noise, 0, 255).astype(np.uint8))


def _firsts(images, **arguments):
    found = list(find_shots(_frames(images), **arguments))
    assert [frame.number for frame in found] == list(range(len(images)))
    return [frame.number for frame in found if frame.first]


@pytest.mark.parametrize("at", [1, 2, 3, 10, 17, 18, 19])
def test_a_cut_is_found_at_its_frame(rng, at):
    images = _scene(rng, at) + _scene(rng, 20 - at)
    assert _firsts(images) == [0, at]
    assert _firsts(images, cuts=False) == [0]


def test_several_cuts(rng):
    lengths = (12, 7, 5, 20)
    images = [image for length in lengths for image in _scene(rng, length)]
    assert _firsts(images) == [0, 12, 19, 24]


def test_a_cut_into_motion_is_found(rng):
    wide = _texture(rng, (54, 400, 3), side=18)
    pan = [wide[:, 2 * n : 2 * n + 96] for n in range(20)]
    assert _firsts(_scene(rng, 15) + pan) == [0, 15]
    assert _firsts(pan + _scene(rng, 15)) == [0, 20]


@pytest.mark.parametrize("speed", [1, 3, 7, 12])
def test_fast_motion_is_no_cut(rng, speed):
    background, square = _texture(rng), _texture(rng, (42, 42, 3))
    images = []
    for n in range(40):
        image = background.copy()
        left = abs((speed * n) % 108 - 54)  # there and back
        image[6:48, left : left + 42] = square
        images.append(image)
    assert _firsts(images) == [0]
    # A shaking camera moves all of the picture.
    wide = _texture(rng, (54, 200, 3))
    places = np.abs((speed * np.arange(40)) % 208 - 104)
    assert _firsts([wide[:, place : place + 96] for place in places]) == [0]


def test_what_changes_steadily_is_no_cut(rng):
    first, second = _texture(rng).astype(int), _texture(rng).astype(int)
    fade = [
        (first + (second - first) * share).astype(np.uint8)
        for share in np.linspace(0, 1, 12)
    ]
    assert _firsts([fade[0]] * 10 + fade + [fade[-1]] * 10) == [0]
    # Snow on a screen: every frame differs from the one before as much as any.
    assert _firsts([_texture(rng) for _ in range(30)]) == [0]
    brighter = [(first // 2 + 5 * n).clip(0, 255).astype(np.uint8) for n in range(25)]
    assert _firsts(brighter) == [0]


def test_blank_frames_end_a_shot(rng):
    scene = _scene(rng, 20)
    black, white = np.zeros(_SHAPE, np.uint8), np.full(_SHAPE, 255, np.uint8)
    red = np.zeros(_SHAPE, np.uint8)
    red[..., 2] = 180
    nearly = rng.integers(99, 102, _SHAPE).astype(np.uint8)
    for blank in (black, white, red, nearly):
        images = [blank, *scene[:8], blank, blank, *scene[8:], blank]
        for cuts in (True, False):
            found = list(find_shots(_frames(images), cuts=cuts))
            blanks = [frame.number for frame in found if frame.blank]
            assert blanks == [0, 9, 10, 23]
            shown = [frame.number for frame in found if frame.first and not frame.blank]
            assert shown == [1, 11]
            assert all(frame.first for frame in found if frame.blank)
    # A dark scene is still one.
    dark = [image // 16 for image in scene]
    assert not any(frame.blank for frame in find_shots(_frames(dark)))


def test_a_small_thing_on_a_plain_ground_is_something():
    y, x = np.mgrid[:1080, :1920]
    images = [
        np.where(np.hypot(y - 540, x - 900 - 7 * n) < 12, 255, 0)[..., None].repeat(
            3, 2
        )
        for n in range(12)
    ]
    images = [image.astype(np.uint8) for image in images]
    found = list(find_shots(_frames(images)))
    assert not any(frame.blank for frame in found)
    assert [frame.number for frame in found if frame.first] == [0]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_few_frames(rng, count):
    assert _firsts(_scene(rng, count)) == ([0] if count else [])


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 500, 3), (1080, 1920, 3)])
def test_frames_of_any_size(rng, shape):
    images = [rng.integers(0, 256, shape, np.uint8)] * 3
    found = list(find_shots(_frames(images)))
    assert [frame.first for frame in found if not frame.blank][:1] in ([True], [])
    assert len(found) == 3
    # A size that changes midway ends nothing by itself.
    images.append(np.repeat(np.repeat(images[0], 2, 0), 2, 1))
    assert len(list(find_shots(_frames(images)))) == 4


def test_few_frames_are_held(rng):
    made, most = [], 0
    picture = _texture(rng)

    def source():
        nonlocal most
        for n in range(60):
            frame = Frame(n, n / 10, picture + np.uint8(n))
            made.append(weakref.ref(frame))
            most = max(most, sum(known() is not None for known in made))
            yield frame
            del frame

    numbers = []
    for frame in find_shots(source()):
        numbers.append(frame.number)
    assert numbers == list(range(60))
    # Those that are held, the next one and the last one here.
    assert most <= shots._AFTER + 2


@pytest.mark.slow
def test_cuts_of_a_real_clip(face_clips):
    firsts = [
        frame.number
        for frame in find_shots(Video(face_clips / "short_hamilton_clip.mp4"))
        if frame.first
    ]
    assert firsts == [0, 20, 82, 211]
    # A head that moves quickly.
    shaken = find_shots(Video(face_clips / "liveportrait_d12.mp4"))
    assert [frame.number for frame in shaken if frame.first] == [0]
