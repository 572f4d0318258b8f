"""Pixels that are not square, interlaced video, covers; headers are edited here."""

import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.media import opencv
from keras_ddr.media.shots import find_shots
from keras_ddr.media.video import Video
from pixel_shapes import shaped

cv2 = opencv.load()
WIDTH, HEIGHT = 64, 96


def _write(path, images, codec, fps=25.0):
    size = images[0].shape[1::-1]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, size)
    assert writer.isOpened()
    for image in images:
        writer.write(np.ascontiguousarray(image[..., ::-1]))
    writer.release()
    return path


def _noise(count, shape=(HEIGHT, WIDTH)):
    random = np.random.default_rng(0)
    small = random.integers(0, 255, (count, 6, 8, 3), np.uint8)
    return [cv2.resize(image, shape[::-1]) for image in small]


@pytest.mark.parametrize(
    "wide, high, size",
    [(64, 45, (91, HEIGHT)), (8, 9, (WIDTH, 108)), (2, 2, (WIDTH, HEIGHT))],
)
def test_pixels_that_are_not_square(tmp_path, wide, high, size):
    stored = _write(tmp_path / "a.mp4", _noise(4), "mp4v")
    video = Video(shaped(stored, wide, high))
    frames = list(video)
    for frame, plain in zip(frames, Video(stored), strict=True):
        expected = cv2.resize(plain.image, size)  # across, down
        np.testing.assert_array_equal(frame.image, expected)
    assert video.width == size[0]
    assert video.stretch == (size[0] / WIDTH, size[1] / HEIGHT)
    assert video.summary() == (
        f"its pixels are not square: frames of 64x96 are taken as {size[0]}x{size[1]}, "
        "as a player shows them"
    ) * (size != (WIDTH, HEIGHT))


def test_pixels_of_a_turned_video(tmp_path):
    stored = _write(tmp_path / "a.mp4", _noise(2), "mp4v")
    video = Video(shaped(stored, 2, 1, ((0, 1), (-1, 0))))
    for frame, plain in zip(video, Video(stored), strict=True):
        # Wider as it is stored, then turned clockwise.
        expected = np.rot90(cv2.resize(plain.image, (2 * WIDTH, HEIGHT)), -1)
        np.testing.assert_array_equal(frame.image, expected)
    assert video.stretch == (1.0, 2.0)


def test_a_shape_that_no_pixel_has_is_an_error_of_the_file(tmp_path):
    stored = _write(tmp_path / "a.mp4", _noise(2), "mp4v")
    for wide, high in ((300, 1), (1, 300), (1001, 1000), (0, 1), (1, 0)):
        video = Video(shaped(stored, wide, high))
        assert {frame.image.shape for frame in video} == {(HEIGHT, WIDTH, 3)}
        assert video.summary() == ""


def _moments(count):
    """A bright thing that moves 4 pixels from one moment to the next."""
    images = np.full((count, 64, 256, 3), 60, np.uint8)
    for number, image in enumerate(images):
        left = 4 * number % 200
        image[12:50, left : left + 40] = 180
    return images


def _interlaced(count, first=0):
    """Frames of two fields; `first` is the parity of the rows of the earlier one."""
    moments = _moments(2 * count)
    frames = moments[::2].copy()
    frames[:, 1 - first :: 2] = moments[1::2, 1 - first :: 2]
    return frames


def _stripes(count):
    images = np.full((count, 64, 256, 3), 60, np.uint8)
    for number, image in enumerate(images):
        image[number % 2 :: 2, 8 * number % 200 :][:, :40] = 180
    return images


def _film(count):
    """Film on video: of five frames two have fields of two pictures."""
    images = _moments(2 * count)[::2]
    frames = images.copy()
    for number in range(count - 1):
        if number % 5 in (2, 3):
            frames[number, 1::2] = images[number + 1, 1::2]
    return frames


@pytest.mark.parametrize(
    "frames, combed",
    [
        (_interlaced(60), True),
        (_interlaced(60, first=1), True),
        (_moments(60), False),
        (_stripes(60), False),
        (_interlaced(60)[5:6].repeat(60, axis=0), False),
    ],
    ids=["top first", "bottom first", "progressive", "moving stripes", "still"],
)
def test_combs_are_told_where_something_moves(tmp_path, frames, combed):
    frames = frames.copy()
    frames[:, 0, 0] = np.arange(60)[:, None]  # the same picture all along is refused
    video = Video(_write(tmp_path / "a.avi", frames, "FFV1"))
    for frame, expected in zip(video, frames, strict=True):
        np.testing.assert_array_equal(frame.image, expected)
    assert ("combs of interlaced video" in video.summary()) == combed


def test_film_on_video_is_combed_in_two_frames_of_five(tmp_path):
    video = Video(_write(tmp_path / "a.avi", _film(140), "FFV1"))
    assert len(list(video)) == 140
    assert "combs of interlaced video" in video.summary()


def _marked_as_interlaced(path):
    """Set the marks of MPEG-2: neither the sequence nor a picture is progressive."""
    data = bytearray(path.read_bytes())
    place = data.find(b"\0\0\1\xb5")
    while place >= 0:
        kind = data[place + 4] >> 4
        if kind == 1:
            data[place + 5] &= ~0x08
        elif kind == 8:
            data[place + 8] &= ~0x80
        place = data.find(b"\0\0\1\xb5", place + 4)
    path.write_bytes(data)
    return path


def test_interlaced_video_is_refused_or_told(tmp_path):
    """OpenCV of FFmpeg 8 gives no picture of it, without a word; others give combs."""
    path = _write(tmp_path / "a.m2v", _interlaced(60), "MPG2")
    assert len({frame.image.tobytes() for frame in Video(path)}) > 40
    video = Video(_marked_as_interlaced(path))
    advice = "ffmpeg -i FILE -vf bwdif=mode=send_frame NEW.mp4"
    try:
        seen = {frame.image.tobytes() for frame in video}
    except InputError as error:
        assert str(error).startswith(f"{path}: all 60 frames are the same picture; if ")
        assert str(error).endswith(advice)
    else:
        assert len(seen) > 40 and advice in video.summary()


def test_a_cover_in_front_of_a_film_is_told(tmp_path):
    video = Video(_write(tmp_path / "a.avi", _noise(1), "MJPG"))
    assert len(list(video)) == 1
    assert "perhaps a cover; ffmpeg -i FILE -map 0:v:1 -c copy NEW" in video.summary()


def _disc(size):
    """A round thing on a ground that brightens; no frame is like another."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    inside = (x - width / 2) ** 2 + (y - height / 2) ** 2 < 900
    return [
        np.where(inside[..., None], 200, 40 + 2 * n).astype(np.uint8).repeat(3, -1)
        for n in range(20)
    ]


def _sides(frame):
    """Width and height of the disc."""
    inside = frame.image[..., 0] > 140
    return [int(inside.any(axis=axis).sum()) for axis in (0, 1)]


def test_a_size_that_changes_on_the_way(tmp_path):
    """Recordings of streams do so; OpenCV stretches what follows to the first size."""
    parts = [((160, 96), "1"), ((96, 96), "2"), ((96, 128), "3"), ((192, 256), "4")]
    data = b""
    for size, name in parts:
        data += _write(tmp_path / f"{name}.m2v", _disc(size), "MPG2").read_bytes()
    (tmp_path / "all.m2v").write_bytes(data)
    video = Video(tmp_path / "all.m2v")
    frames = list(find_shots(video, cuts=False))
    sizes = [frame.image.shape[1::-1] for frame in frames]
    # The last two have the same proportions: nothing is stretched.
    assert list(dict.fromkeys(sizes)) == [(160, 96), (96, 96), (96, 128)]
    assert [n for n, frame in enumerate(frames) if frame.first] == [
        sizes.index(size) for size in dict.fromkeys(sizes)
    ]
    for frame in frames[::5]:
        assert _sides(frame)[0] == pytest.approx(_sides(frame)[1], abs=2)
    assert video.summary().startswith(
        "its size changes to 96x96 in frame 20 (and 1 times more); sequences end where "
    )
