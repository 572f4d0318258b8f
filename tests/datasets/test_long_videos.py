"""Videos of minutes: read in segments, they give what one reading gives."""

import math

import numpy as np
import pytest

from flat_options import flat
from keras_ddr.datasets import long_videos, videos
from keras_ddr.media import opencv
from keras_ddr.media.segment import Border

cv2 = opencv.load()

_FITS = Border.fits
FPS = 4.0
SECONDS = 330  # segments begin at 0 and 120
BORDER = round(120 * FPS)


def _write(path, frames, codec="mp4v", fps=FPS):
    height, width = frames[0].shape[:2]
    fourcc = cv2.VideoWriter_fourcc(*codec)
    writer = cv2.VideoWriter(str(path), fourcc, fps, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path


def _film(cuts=(), blanks=()):
    """Pictures that brighten and darken slowly, another one from each cut on."""
    random = np.random.default_rng(0)
    picture, frames = random.integers(60, 180, (32, 32, 3)), []
    for n in range(round(SECONDS * FPS)):
        if n in cuts:
            picture = random.integers(20, 220, (32, 32, 3))
        shade = picture + abs(n % 40 - 20)
        frames.append((0 * picture if n in blanks else shade).astype(np.uint8))
    return frames


@pytest.fixture
def prepare(tmp_path):
    def prepare(name, source, **arguments):
        shared = {"size": 32, "crop": "none", "min_length": 1, "max_length": None}
        return videos.prepare(
            tmp_path / name, source, **flat(**{**shared, **arguments})
        )

    return prepare


@pytest.fixture
def prepare_whole(prepare, monkeypatch):
    """The same in one go."""

    def prepare_whole(*given, **arguments):
        with monkeypatch.context() as patch:
            patch.setattr(long_videos, "_LONG", math.inf)
            return prepare(*given, **arguments)

    return prepare_whole


def _content(store):
    """All that a store and its report hold but the time of its making."""
    path = store.path
    labels = [store.frame_labels(k) for k in range(len(store))]
    return (
        (path / "frames.npy").read_bytes(),
        (path / "sequences.csv").read_bytes(),
        path.with_name(f"{path.name}.report.csv").read_bytes(),
        [{name: values.tobytes() for name, values in each.items()} for each in labels],
    )


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("cuts", "blanks"),
    [
        ((BORDER - 2, BORDER + 3), ()),
        ((300,), (BORDER - 1, BORDER + 40)),
        pytest.param((BORDER,), (), marks=SLOW),
        pytest.param((), (BORDER, BORDER + 1), marks=SLOW),
    ],
)
def test_borders_leave_no_trace(tmp_path, prepare, prepare_whole, cuts, blanks):
    path = _write(tmp_path / "a.mp4", _film(cuts, blanks))
    store = prepare("S", path)
    assert _content(store) == _content(prepare_whole("W", path))
    # A cut right at a blank frame is none.
    assert len(store) == 1 + len(cuts) + len(blanks) - (BORDER + 1 in blanks)
    assert not (tmp_path / ".S.parts").exists()


@SLOW
def test_lower_rates_go_on(tmp_path, prepare, prepare_whole):
    path = _write(tmp_path / "a.mp4", _film())
    store = prepare("S", path, fps=0.8)
    assert _content(store) == _content(prepare_whole("W", path, fps=0.8))
    assert store.frame_labels(0)["source_frame"].tolist() == list(range(0, 1320, 5))


def test_times_that_begin_anew_are_read_in_one_go(
    tmp_path, prepare, prepare_whole, monkeypatch
):
    """Two recordings joined byte by byte: seeking leads astray."""
    path = _write(tmp_path / "a.ts", _film()[:700])
    other = _write(tmp_path / "b.ts", _film((1,)))
    path.write_bytes(path.read_bytes() + other.read_bytes())
    fits = []

    def noted(*borders):
        fits.append(_FITS(*borders))
        return fits[-1]

    monkeypatch.setattr(Border, "fits", noted)
    store = prepare("S", path)
    assert fits == [False]
    assert _content(store) == _content(prepare_whole("W", path))
    assert store.num_frames == 2020


def test_a_header_that_promises_more(tmp_path, prepare, prepare_whole):
    path = _write(tmp_path / "a.avi", _film(), "MJPG")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 4])
    with pytest.warns(UserWarning, match="a.avi: the header promises 1320 frames"):
        store = prepare("S", path)
    with pytest.warns(UserWarning, match="a.avi: the header promises 1320 frames"):
        whole = prepare_whole("W", path)
    assert _content(store) == _content(whole)


@pytest.mark.parametrize("workers", [2, *(pytest.param(n, marks=SLOW) for n in (1, 3))])
def test_any_number_of_workers(tmp_path, prepare, prepare_whole, workers):
    path = _write(tmp_path / "a.mp4", _film((700,)))
    told = []
    store = prepare("S", path, workers=workers, frames=lambda *now: told.append(now))
    assert _content(store) == _content(prepare_whole("W", path))
    assert told == sorted(told) and told[-1] == (1320, 1320)


@pytest.mark.slow
def test_people_are_followed_over_borders(
    tmp_path, face_clips, detector_model, prepare, prepare_whole
):
    capture = cv2.VideoCapture(str(face_clips / "derived_two_faces.mp4"))
    frames = [capture.read()[1][::2, ::2, ::-1] for _ in range(80)]
    frames = (frames + frames[::-1]) * 2
    path = _write(tmp_path / "a.mp4", frames, fps=1.0)
    options = {"crop": "face", "people": "all", "detector_model": detector_model}
    store = prepare("S", path, **options)
    assert [s.name for s in store.sequences] == ["a#person1-1", "a#person2-1"]
    whole = prepare_whole("W", path, **options)
    for k in range(2):
        found, known = store.frame_labels(k), whole.frame_labels(k)
        assert found["source_frame"].tolist() == list(range(320))
        assert np.array_equal(found["time"], known["time"])
        for name in ("face_x", "face_y", "face_width"):
            assert np.abs(found[name] - known[name]).max() < 3
    (one,) = prepare("T", path, **{**options, "people": "largest"}).sequences
    assert one.length == 320
