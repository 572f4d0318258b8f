"""Videos drawn here, whole and damaged; bytes are edited where a case needs it."""

import os
import struct
import subprocess
import sys
import tempfile
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_ddr import InputError
from keras_ddr.media import opencv
from keras_ddr.media.video import Video

cv2 = opencv.load()


def _write(path, images, codec="MJPG", fps=10.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = images[0].shape[:2]
    colour = images[0].ndim == 3
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*codec), fps, (width, height), colour
    )
    assert writer.isOpened()
    for image in images:
        writer.write(np.ascontiguousarray(image[..., ::-1]) if colour else image)
    writer.release()
    return path


def _flat(count, step=4):
    """Frame n has the intensity 10 + step n all over."""
    return [np.full((48, 64, 3), 10 + step * n, np.uint8) for n in range(count)]


def _values(frames, step=4):
    """Which of `_flat` they are; MJPG and mp4v darken them by 2."""
    return [round((float(frame.image.mean()) - 9) / step) for frame in frames]


def _numbers(frames):
    return [frame.number for frame in frames]


def _boxes(data, kind):
    """Where boxes of a kind begin in the bytes of an MP4 file."""
    return [k for k in range(len(data)) if data[k : k + 4] == kind]


def _damage(path, numbers):
    """Zero the payload of frames of an AVI file."""
    data = bytearray(path.read_bytes())
    place, number = data.index(b"movi") + 4, 0
    while data[place : place + 4] == b"00dc":
        (size,) = struct.unpack_from("<I", data, place + 4)
        if number in numbers:
            data[place + 8 : place + 8 + size] = bytes(size)
        place, number = place + 8 + size + size % 2, number + 1
    assert number > max(numbers)
    path.write_bytes(data)
    return path


# Rotation (FC-02)

# Rows of the 2 x 2 part of the display matrix: a pixel at (x, y) is shown at
# (x, y) @ matrix, but for a shift.
_TURNS = {
    "0": ((1, 0), (0, 1)),
    "90": ((0, 1), (-1, 0)),
    "180": ((-1, 0), (0, -1)),
    "270": ((0, -1), (1, 0)),
    "mirrored": ((-1, 0), (0, 1)),
    "upside down": ((1, 0), (0, -1)),
    "90 and mirrored": ((0, 1), (1, 0)),
    "270 and mirrored": ((0, -1), (-1, 0)),
}


def _fixed(number):
    return int(number * 65536)


def _put_matrix(data, place, turn):
    (a, b), (c, d) = turn
    numbers = [a, b, 0, c, d, 0, 0, 0]
    struct.pack_into(
        ">9i", data, place, *(_fixed(number) for number in numbers), 0x40000000
    )


def _quarters():
    """Red, blue over red, green."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :32] = 255, 0, 0
    image[:24, 32:] = 0, 0, 255
    image[24:, 32:] = 0, 255, 0
    return image


def _shown(image, turn):
    """Where every pixel goes, one by one."""
    height, width = image.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    places = np.stack([columns, rows], -1) @ np.array(turn)
    places -= places.min(axis=(0, 1))
    shape = places[..., 1].max() + 1, places[..., 0].max() + 1, 3
    result = np.zeros(shape, np.uint8)
    result[places[..., 1], places[..., 0]] = image
    return result


def _assert_shown(path, turn):
    expected = _shown(_quarters(), turn).astype(int)
    frames = list(Video(path))
    assert len(frames) == 3
    for frame in frames:
        assert frame.image.shape == expected.shape
        # Coding blurs the borders between the quarters.
        assert np.abs(frame.image - expected).mean() < 20


@pytest.mark.parametrize("name", _TURNS)
def test_frames_stand_as_a_player_shows_them(tmp_path, name):
    path = _write(tmp_path / "a.mp4", [_quarters()] * 3, "mp4v")
    data = bytearray(path.read_bytes())
    (place,) = _boxes(data, b"tkhd")
    assert data[place + 4] == 0
    _put_matrix(data, place + 44, _TURNS[name])
    path.write_bytes(data)
    _assert_shown(path, _TURNS[name])


def test_the_matrix_of_the_whole_film_counts_too(tmp_path):
    path = _write(tmp_path / "a.mp4", [_quarters()] * 3, "mp4v")
    data = bytearray(path.read_bytes())
    _put_matrix(data, _boxes(data, b"tkhd")[0] + 44, _TURNS["90"])
    _put_matrix(data, _boxes(data, b"mvhd")[0] + 40, _TURNS["mirrored"])
    path.write_bytes(data)
    matrix = np.array(_TURNS["90"]) @ np.array(_TURNS["mirrored"])
    _assert_shown(path, matrix)


def test_matrices_that_turn_by_no_right_angle_are_left_to_opencv(tmp_path):
    path = _write(tmp_path / "a.mp4", [_quarters()] * 3, "mp4v")
    data = bytearray(path.read_bytes())
    (place,) = _boxes(data, b"tkhd")
    for turn in (((0.7, 0.7), (-0.7, 0.7)), ((0, 0), (0, 0)), ((1, 0), (1, 0))):
        _put_matrix(data, place + 44, turn)
        path.write_bytes(data)
        assert len(list(Video(path))) == 3


def test_a_real_turned_clip(face_clips):
    frames = list(Video(face_clips / "derived_rotated90.mp4"))
    upright = list(Video(face_clips / "single_face.mp4"))
    assert len(frames) == len(upright) == 72
    for turned, frame in zip(frames[::12], upright[::12], strict=True):
        assert turned.image.shape == frame.image.shape
        assert np.abs(turned.image.astype(int) - frame.image).mean() < 8


# Damage (FC-04)


@pytest.mark.parametrize(
    "count, bad",
    [(20, [9]), (20, [5, 6, 7]), (20, [0]), (20, [0, 1, 2]), (60, list(range(20, 45)))],
)
def test_bad_frames_are_skipped_and_the_others_keep_their_numbers(tmp_path, count, bad):
    path = _damage(_write(tmp_path / "a.avi", _flat(count)), bad)
    video = Video(path)
    frames = list(video)
    good = [n for n in range(count) if n not in bad]
    assert _numbers(frames) == good == _values(frames)
    assert np.allclose([frame.time for frame in frames], np.array(good) / 10)
    assert (video.declared, video.read, video.broken) == (count, len(good), len(bad))
    assert video.summary() == (
        f"{len(bad)} frames could not be decoded and were skipped"
    )


def test_numbers_stay_where_frames_are_left_out_by_fps_too(tmp_path):
    path = _damage(_write(tmp_path / "a.avi", _flat(20)), [4, 5])
    video = Video(path, fps=5)
    frames = [frame for frame in video if frame.kept]
    # 4 is broken and so is 5: the next one is taken for them.
    assert _numbers(frames) == [0, 2, 6, 8, 10, 12, 14, 16, 18] == _values(frames)
    assert (video.read, video.broken) == (18, 2)


def test_frames_missing_at_the_end_are_told(tmp_path):
    path = _damage(_write(tmp_path / "a.avi", _flat(20)), [15, 16, 17, 18, 19])
    video = Video(path)
    assert _numbers(video) == list(range(15))
    assert video.summary() == "the header promises 20 frames, 15 could be read"
    data = _write(tmp_path / "b.avi", _flat(20)).read_bytes()
    (tmp_path / "b.avi").write_bytes(data[: len(data) * 6 // 10])
    video = Video(tmp_path / "b.avi")
    count = len(list(video))
    assert 0 < count < 18
    assert f"promises 20 frames, {count} could be read" in video.summary()


def test_reading_again_counts_again(tmp_path):
    video = Video(_damage(_write(tmp_path / "a.avi", _flat(20)), [3]))
    for _ in range(2):
        assert len(list(video)) == 19
        assert (video.read, video.broken) == (19, 1)


@pytest.mark.parametrize("promised", [3, 1000])
def test_a_header_that_lies_about_the_count(tmp_path, promised):
    path = _write(tmp_path / "a.avi", _flat(20))
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"avih") + 24, promised)
    struct.pack_into("<I", data, data.index(b"strh") + 40, promised)
    path.write_bytes(data)
    video = Video(path)
    frames = list(video)
    assert _numbers(frames) == list(range(20)) == _values(frames)
    assert video.declared == promised
    expected = "the header promises 1000 frames, 20 could be read"
    assert video.summary() == (expected if promised == 1000 else "")


# Time (FC-05)


def _vary(path):
    """Let the second half of an MP4 file with 20 frames at 30 a second last longer."""
    data = bytearray(path.read_bytes())
    (place,) = _boxes(data, b"stts")
    assert struct.unpack_from(">III", data, place + 4) == (0, 1, 20)
    (delta,) = struct.unpack_from(">I", data, place + 16)
    table = struct.pack(">IIIIII", 0, 2, 10, 3 * delta, 10, delta)
    data[place + 4 : place + 20] = table
    for kind in (b"stts", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        (at,) = _boxes(data, kind)
        (size,) = struct.unpack_from(">I", data, at - 4)
        struct.pack_into(">I", data, at - 4, size + 8)
    # The edit list would end the film where it ended before. The pictures come first
    # in the file, so that their places stay.
    for at in _boxes(data, b"edts"):
        data[at : at + 4] = b"free"
    assert data.index(b"mdat") < data.index(b"moov")
    path.write_bytes(data)
    return path


def test_times_are_those_of_a_variable_frame_rate(tmp_path):
    path = _vary(_write(tmp_path / "a.mp4", _flat(20, 12), "mp4v", 30.0))
    times = [n / 10 for n in range(10)] + [1 + n / 30 for n in range(10)]
    video = Video(path)
    frames = list(video)
    assert _numbers(frames) == list(range(20)) == _values(frames, 12)
    assert np.allclose([frame.time for frame in frames], times, atol=1e-3)
    assert video.declared == video.read == 20 and not video.summary()
    for fps, expected in ((10, [*range(11), 13, 16, 19]), (5, [0, 2, 4, 6, 8, 10, 16])):
        frames = [frame for frame in Video(path, fps=fps) if frame.kept]
        assert _numbers(frames) == expected == _values(frames, 12)


def _write_late(path, late, sound):
    """30 frames, 25 a second, from `late` on, and perhaps sound from 0 on."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", 25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        if sound:
            track = container.add_stream("aac", 48000, layout="mono")
            for n in range(60):
                part = np.zeros((1, 1024), np.float32)
                part = av.AudioFrame.from_ndarray(part, "fltp", "mono")
                part.sample_rate, part.pts = 48000, 1024 * n
                container.mux(track.encode(part))
            container.mux(track.encode())
        for n, image in enumerate(_flat(30)):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.time_base, frame.pts = Fraction(1, 25), n + round(25 * late)
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode())
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("sound", [True, False])
def test_time_begins_with_the_sound_as_in_players(tmp_path, suffix, sound):
    """Without sound the pictures are the beginning, wherever their stamps begin."""
    video = Video(_write_late(tmp_path / f"late{suffix}", 0.48, sound))
    expected = np.arange(30) / 25 + (0.48 if sound else 0)
    np.testing.assert_allclose([f.time for f in video], expected, atol=1e-3)
    # Also from somewhere on, as long videos are read.
    later = [frame for frame in video.starting(0.9) if frame.time > 0.9]
    np.testing.assert_allclose(
        [f.time for f in later], expected[expected > 0.9], atol=1e-3
    )


@pytest.mark.parametrize(
    "rate, fps, expected",
    [
        (30, 10, list(range(0, 60, 3))),
        (25, 10, [5 * (n // 2) + 3 * (n % 2) for n in range(24)]),
        (30, 29.97, list(range(60))),
        (10, 30, list(range(60))),
        (30, 1, [0, 30]),
        (30000 / 1001, 30, list(range(60))),
    ],
)
@pytest.mark.parametrize("suffix, codec", [("avi", "MJPG"), ("mkv", "FFV1")])
def test_fps_keeps_so_many_frames_a_second(
    tmp_path, rate, fps, expected, suffix, codec
):
    # Matroska rounds time stamps to milliseconds.
    video = Video(_write(tmp_path / f"a.{suffix}", _flat(60), codec, rate), fps=fps)
    # All frames come, since what moves is judged from one to the next.
    every = list(video)
    assert _numbers(every) == list(range(60))
    frames = [frame for frame in every if frame.kept]
    if fps == 29.97:
        # One frame in a thousand is left out.
        assert 59 <= len(frames) <= 60
    else:
        assert _numbers(frames) == expected
    assert video.read == 60 and not video.summary()
    times = [frame.number / rate for frame in frames]
    assert np.allclose([frame.time for frame in frames], times, atol=1e-3)


class _Stamped:
    """A decoder with time stamps of our choice, in seconds; None for a bad frame."""

    def __init__(self, stamps, rate, shape=(2, 2, 3)):
        self.stamps, self.rate, self.now = iter(stamps), rate, 0.0
        self.image = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)

    def grab(self):
        self.now = next(self.stamps, None)
        return self.now is not None

    def get(self, name):
        known = {
            cv2.CAP_PROP_FPS: self.rate,
            cv2.CAP_PROP_POS_MSEC: 1000 * (self.now or 0.0),
        }
        return known.get(name, 0.0)

    def retrieve(self):
        self.image = self.image + np.uint8(1)
        return True, self.image

    def release(self):
        pass


@pytest.mark.parametrize(
    "stamps, rate, expected",
    [
        # None at all: the frame rate.
        ([0, 0, 0, 0], 10, [0, 0.1, 0.2, 0.3]),
        ([0, None, 0, 0], 10, [0, 0.2, 0.3]),
        ([0, 0, 0], 0, [0, np.nan, np.nan]),
        # The first is not 0.
        ([7, 7.5, 9], 2, [0, 0.5, 2]),
        # One stands still; those after it are not shifted.
        ([0, 0.5, 0.5, 1.5, 2], 10, [0, 0.5, 0.6, 1.5, 2]),
        # Two recordings one after the other: time does not go back.
        ([5, 5.1, 0, 0.1, 0.2], 10, [0, 0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_missing_and_strange_time_stamps(tmp_path, monkeypatch, stamps, rate, expected):
    video = Video(_write(tmp_path / "a.avi", _flat(2)))
    monkeypatch.setattr(video, "_open", lambda cv2: _Stamped(stamps, rate))
    times = [frame.time for frame in video]
    assert np.allclose(times, expected, equal_nan=True)


def test_a_frame_without_a_time_stops_no_others(tmp_path, monkeypatch):
    """The rate is not known, and the second time stamp stands still."""
    stamps = [0, 0, *(0.04 * n for n in range(2, 50))]
    video = Video(_write(tmp_path / "a.avi", _flat(2)), fps=10)
    monkeypatch.setattr(video, "_open", lambda cv2: _Stamped(stamps, 0))
    kept = [frame.time for frame in video if frame.kept]
    times = [time for time in kept if not np.isnan(time)]
    assert len(times) == 20 and np.diff(times) == pytest.approx(0.1, abs=0.041)


# Depth and colour (FC-06)


def test_grey_video_has_three_equal_channels(tmp_path):
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))
    frames = list(Video(_write(tmp_path / "a.mkv", [ramp] * 4, "FFV1")))
    assert len(frames) == 4
    for frame in frames:
        assert frame.image.dtype == np.uint8 and frame.image.shape == (48, 64, 3)
        assert (frame.image == ramp[..., None]).all()


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4)])
def test_whatever_the_decoder_gives_has_three_channels(tmp_path, monkeypatch, shape):
    video = Video(_write(tmp_path / "a.avi", _flat(2)))
    decoder = _Stamped([0], 10, shape)
    monkeypatch.setattr(video, "_open", lambda cv2: decoder)
    (frame,) = video
    assert frame.image.shape == (4, 6, 3)
    given = decoder.image if len(shape) == 3 else decoder.image[..., None]
    assert (frame.image == given[..., :3][..., ::-1]).all()


def test_channels_are_blue_green_red(tmp_path):
    (frame,) = Video(_write(tmp_path / "a.avi", [_quarters()], "FFV1"))
    assert (frame.image == _quarters()).all()


# Names and what is no video (FC-07, FC-11)


@pytest.mark.parametrize(
    "suffix", ["png", "jpg", "bmp", "tif", "webp", "jp2", "ppm", "pgm"]
)
def test_a_picture_is_no_video(tmp_path, suffix):
    path = tmp_path / f"2007_000027.{suffix}"
    Image.new("L" if suffix == "pgm" else "RGB", (32, 32)).save(path)
    # Whatever the name says.
    other = tmp_path / "0001.mp4"
    other.write_bytes(path.read_bytes())
    for name in (path, other):
        with pytest.raises(InputError, match="is a picture") as error:
            list(Video(name))
        assert str(name) in str(error.value) and "\n" not in str(error.value)


def test_a_gif_that_moves_is_a_video(tmp_path):
    pictures = []
    for place in range(6):
        picture = np.full((32, 48, 3), 40, np.uint8)
        picture[8:24, 4 * place : 4 * place + 12] = (230, 30, 60)
        pictures.append(picture)
    first, *others = (Image.fromarray(picture) for picture in pictures)
    path = tmp_path / "a.gif"
    waits = [50, 50, 50, 200, 200, 200]
    first.save(path, save_all=True, append_images=others, duration=waits)
    video = list(Video(path))
    assert [frame.time for frame in video] == pytest.approx(
        [0, 0.05, 0.1, 0.15, 0.35, 0.55]
    )
    for frame, picture in zip(video, pictures, strict=True):
        assert (frame.image == picture).all()


def test_a_stream_of_jpegs_is_a_video(tmp_path):
    data = b""
    for image in _flat(5):
        data += cv2.imencode(".jpg", image)[1].tobytes()
    (tmp_path / "a.mjpeg").write_bytes(data)
    assert _values(Video(tmp_path / "a.mjpeg")) == list(range(5))


@pytest.mark.skipif(os.name == "nt", reason="such names are not possible there")
@pytest.mark.parametrize(
    "name",
    [
        "видео é/клип 1.avi",
        "%02d/a.avi",
        "100%d.avi",
        "img%03d.mp4",
        "a  b/ c .avi",
        "it's \"quoted\"'.avi",
        "two\nlines.avi",
        "a:b.avi",
        "http:/a?b=c&d#e.avi",
        "-i.avi",
        "*[a]{b}|;$HOME`.avi",
        "🎬.avi",
        "no suffix",
    ],
)
def test_names(tmp_path, monkeypatch, name):
    # Any container will do under any name.
    plain = _write(tmp_path / "plain.avi", _flat(3))
    monkeypatch.chdir(tmp_path)
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    plain.rename(name)
    # Pictures beside it are not taken for frames.
    for number in range(1, 4):
        Image.new("RGB", (8, 8)).save(f"img{number:03}.png")
    for path in (name, tmp_path / name):
        assert _values(Video(path)) == [0, 1, 2]


@pytest.mark.skipif(os.name == "nt", reason="such names are not possible there")
def test_a_name_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.avi")
    try:
        _write(tmp_path / "a.avi", _flat(3)).rename(path)
    except OSError:
        pytest.skip("such names are not possible here")
    with pytest.raises(InputError, match="not valid text; rename it") as error:
        list(Video(path))
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def _no_videos(folder):
    """Files that are no whole video, by what makes them so."""
    paths = {}

    def add(name, content):
        paths[name] = folder / f"{name}.mp4"
        paths[name].write_bytes(content)

    whole = _write(folder / "whole.mp4", _flat(20), "mp4v").read_bytes()
    add("truncated", whole[: len(whole) // 2])
    add("damaged header", whole.replace(b"stsd", b"xxxx").replace(b"stco", b"xxxx"))
    add("empty", b"")
    add("zeros", bytes(5000))
    add("text", b"no video at all\n" * 50)
    add("playlist", b"#EXTM3U\n#EXTINF:1,\nwhole.mp4\n")
    add("playlist after blanks", b"\xef\xbb\xbf\r\n  #EXTM3U\n#EXTINF:1,\nwhole.mp4\n")
    add("list", b"ffconcat version 1.0\nfile whole.mp4\n")
    add("manifest", b'<?xml version="1.0"?><MPD type="static"></MPD>')
    add("session", b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n")
    path = _damage(_write(folder / "all bad.avi", _flat(20)), list(range(20)))
    add("no frame", path.read_bytes())
    with wave.open(str(folder / "a.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    add("sound", (folder / "a.wav").read_bytes())
    (folder / "folder.mp4").mkdir()
    paths["folder"] = folder / "folder.mp4"
    paths["nothing"] = folder / "nothing.mp4"
    return paths


def test_what_is_no_video_is_named_in_one_line(tmp_path):
    reasons = {
        "empty": "is empty",
        "playlist": "list of other files",
        "playlist after blanks": "list of other files",
        "list": "list of other files",
        "manifest": "list of other files",
        "no frame": "no frame could be decoded",
        "folder": "Is a directory",
        "nothing": "No such file",
    }
    for name, path in _no_videos(tmp_path).items():
        with pytest.raises(InputError) as error:
            list(Video(path))
        message = str(error.value)
        assert message.startswith(f"{path}: ") and "\n" not in message
        assert reasons.get(name, "cannot be read as a video") in message


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs users of POSIX")
def test_a_video_that_may_not_be_read():
    with tempfile.TemporaryDirectory() as folder:
        # Others may enter, since root may read anything and must become someone else.
        os.chmod(folder, 0o755)
        path = _write(Path(folder) / "a.avi", _flat(20))
        path.chmod(0)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            with pytest.raises(InputError, match="a.avi: Permission denied"):
                list(Video(path))
        finally:
            if root:
                os.seteuid(0)


_READ = """
import os, sys
os.environ["KERAS_DDR_WORKER"] = "1"
from keras_ddr import InputError
from keras_ddr.media.video import Video
for path in sys.argv[1:]:
    for threads in (1, 2):
        try:
            print(sum(1 for _ in Video(path, threads=threads)))
        except InputError as error:
            print("refused")
"""


def test_decoders_write_nothing_on_the_terminal(tmp_path):
    paths = [str(path) for path in _no_videos(tmp_path).values()]
    some = _damage(_write(tmp_path / "some bad.avi", _flat(20)), [3, 4])
    whole = bytearray((tmp_path / "whole.mp4").read_bytes())
    place = whole.index(b"mdat") + 200
    whole[place : place + 150] = bytes(150)
    (tmp_path / "damaged.mp4").write_bytes(whole)
    command = [sys.executable, "-c", _READ, *paths, str(some)]
    command.append(str(tmp_path / "damaged.mp4"))
    levels = ("OPENCV_FFMPEG_LOGLEVEL", "OPENCV_LOG_LEVEL")
    plain = {name: value for name, value in os.environ.items() if name not in levels}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=plain
    )
    assert done.stderr == ""
    lines = done.stdout.split()
    assert lines[:-4] == ["refused"] * 2 * len(paths)
    assert lines[-4:-2] == ["18", "18"] and 0 < int(lines[-1]) <= 20


# Memory (FC-10)

_PEAK = """
import os, resource, sys
os.environ["KERAS_DDR_WORKER"] = "1"
from keras_ddr.media.video import Video
for path in sys.argv[1:]:
    count = sum(1 for _ in Video(path))
    print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print("keras" in sys.modules)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts in kB there")
def test_memory_does_not_grow_with_the_frames(tmp_path):
    image = np.full((1080, 1920, 3), 90, np.uint8)
    two = b"".join(cv2.imencode(".jpg", image + k)[1].tobytes() for k in (0, 9))
    paths = []
    for count in (100, 300):
        paths.append(tmp_path / f"{count}.mjpeg")
        paths[-1].write_bytes(two * (count // 2))
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
    )
    (few, before), (many, after), (keras,) = (
        line.split() for line in done.stdout.splitlines()
    )
    assert (few, many, keras) == ("100", "300", "False")
    # 200 frames are 1.2 GB.
    assert int(after) - int(before) < 30_000
