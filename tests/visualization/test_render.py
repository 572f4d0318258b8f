"""Films: their frames are those of the data and of the model, at the right time."""

import base64
import builtins
import io

import cv2
import numpy as np
import pytest
from chromium import Chromium
from PIL import Image, ImageSequence

from keras_ddr import InputError
from keras_ddr.data import write_arrays
from keras_ddr.visualization import (
    Film,
    render_reconstruction,
    render_swap,
    render_walk,
)
from keras_ddr.visualization.render_layout import Layout
from keras_ddr.visualization.render_walk import walk_shares
from keras_ddr.visualization.selection import encode_shown

# Steps of intensities by which a film may be off on average: it is compressed, with
# half as many values of colour as of brightness.
_LOSSY = 4.0
_EXACT = Film(frames=6, scale=2, pixels=True, lossless=True, fps=10)

pytestmark = pytest.mark.filterwarnings("ignore:.*has no times of frames")


def shown_at(frames, layout, row, column):
    """One picture of each frame of a film `(T, H, W, 3)`."""
    x, y = layout.corner(row, column)
    return np.asarray(frames)[:, y : y + layout.height, x : x + layout.width]


def webp(path):
    return [
        np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(Image.open(path))
    ]


def opencv(path):
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(read[1][..., ::-1])
    return frames


def as_bytes(images, scale=1):
    images = np.round(np.clip(images, 0, 1) * 255).astype("uint8")
    return images.repeat(scale, 1).repeat(scale, 2)


def off(found, wanted):
    assert found.shape == wanted.shape
    return np.abs(found.astype(float) - wanted).mean()


def test_a_sequence_beside_its_reconstruction(model, store, tmp_path):
    film = Film(**{**vars(_EXACT), "start": 3})
    path = render_reconstruction(model, store, tmp_path / "a.webp", 5, film=film)
    frames, layout = webp(path), Layout((32, 32), 1, 2, film)
    original = store.frames(5)[3:9].repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(shown_at(frames, layout, 0, 0), original)
    codes = model.encode(store.frames(5))
    wanted = as_bytes(model.decode(codes.static.mean, codes.dynamic.mean[3:9]), 2)
    found = shown_at(frames, layout, 0, 1)
    assert off(found, wanted) < 0.1 and abs(found - wanted.astype(int)).max() <= 1


@pytest.mark.parametrize("standardized", [True, False])
def test_one_with_the_motion_of_another(model, store, tmp_path, standardized):
    said = []
    film = Film(**{**vars(_EXACT), "report": said.append})
    path = render_swap(
        *(model, store, tmp_path / "a.webp", [2, 7], 5),
        standardized=standardized,
        film=film,
    )
    frames, layout = webp(path), Layout((32, 32), 2, 3, film, lines=2)
    assert said == [f"{path}: WebP, 240×232, 10 frames a second, 6 frames (0.6 s)"]
    assert frames[0].shape == (232, 240, 3)
    motion = store.frames(5)[:6].repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(shown_at(frames, layout, 1, 0), motion)
    moved = model.encode(store.frames(5))
    for column, index in ((1, 2), (2, 7)):
        still = store.frames(index)[[0] * 6].repeat(2, 1).repeat(2, 2)
        np.testing.assert_array_equal(shown_at(frames, layout, 0, column), still)
        f = model.encode(store.frames(index)).static.mean
        z = moved.dynamic.mean
        if standardized:
            z = model.unstandardize(f, moved.standardized)
        found = shown_at(frames, layout, 1, column).astype(int)
        assert abs(found - as_bytes(model.decode(f, z[:6]), 2)).max() <= 1


def test_looks_in_their_own_motion_go_to_and_fro(model, store, tmp_path):
    short = write_arrays(
        tmp_path / "s", [store.frames(0)[:4], store.frames(1)[:12]], names=["a", "b"]
    )
    film = Film(scale=1, lossless=True)
    path = render_swap(
        model, short, tmp_path / "a.webp", "a", "b", moving=True, film=film
    )
    layout = Layout((32, 32), 1, 3, film, lines=2)
    turn = [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1]
    found = shown_at(webp(path), layout, 0, 0)
    np.testing.assert_array_equal(found, store.frames(0)[turn])


def test_all_take_the_same_steps_of_a_closed_walk(model, store, tmp_path):
    film = Film(**{**vars(_EXACT), "frames": 24, "scale": 1})
    path = render_walk(model, store, tmp_path / "a.webp", [2, 7], film=film)
    frames, layout = webp(path), Layout((32, 32), 1, 3, film)
    assert len(frames) == 24
    parts = [(store.sequences[k], range(store.sequences[k].length)) for k in (2, 7)]
    one, other = encode_shown(model, store, parts)
    # The z̃ of each step is where the picture of the first is drawn alike.
    steps = np.abs(np.diff(walk_shares(200), axis=0, append=walk_shares(200)[:1]))
    assert steps.max() < 0.05 and walk_shares(200).min() > 0.04
    scores = np.concatenate([one.standardized, other.standardized])
    low, high = np.quantile(scores, [0.0, 1.0], axis=0)
    grid = np.stack(np.meshgrid(*np.linspace(low, high, 30).T), -1).reshape(-1, 2)
    [mine, theirs] = (
        as_bytes(model.decode(s.static, model.unstandardize(s.static, grid)))
        for s in (one, other)
    )
    for k in range(0, 24, 5):
        picture = shown_at(frames, layout, 0, 1)[k].astype(int)
        near = np.abs(mine - picture).mean(axis=(1, 2, 3)).argmin()
        assert off(mine[near], picture) < 2.0
        assert off(theirs[near], shown_at(frames, layout, 0, 2)[k]) < 2.0


@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_videos_show_the_pictures(model, store, tmp_path, suffix):
    pytest.importorskip("av")
    film = Film(scale=4, fps=12.5)
    path = render_reconstruction(model, store, tmp_path / f"a.{suffix}", 5, film=film)
    frames, layout = opencv(path), Layout((32, 32), 1, 2, film)
    assert len(frames) == store.sequences[5].length
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == 12.5
    assert off(shown_at(frames, layout, 0, 1), _enlarged(model, store, 4)) < _LOSSY


def _enlarged(model, store, scale):
    """The reconstruction of sequence 5, smoothed."""
    codes = model.encode(store.frames(5))
    size = 32 * scale, 32 * scale
    return np.stack(
        [
            Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
            for image in as_bytes(model.decode(codes.static.mean, codes.dynamic.mean))
        ]
    )


def without_pyav(monkeypatch):
    known = builtins.__import__

    def find(name, *rest):
        if name == "av":
            raise ImportError(name)
        return known(name, *rest)

    monkeypatch.setattr(builtins, "__import__", find)


def test_without_pyav(model, store, tmp_path, monkeypatch):
    """An .mp4 is VP9, and says so; a .webm says what to do."""
    without_pyav(monkeypatch)
    said = []
    film = Film(scale=4, report=said.append)
    path = render_reconstruction(model, store, tmp_path / "a.mp4", 5, film=film)
    assert "a.mp4: VP9 (browsers play it; for other players pip install av" in said[0]
    layout = Layout((32, 32), 1, 2, film)
    found = shown_at(opencv(path), layout, 0, 1)
    assert off(found, _enlarged(model, store, 4)) < _LOSSY
    with pytest.raises(InputError, match=r"a\.webm: nothing here encodes .webm; pip"):
        render_reconstruction(model, store, tmp_path / "a.webm", 5, film=film)


@pytest.mark.parametrize(("suffix", "fps"), [("gif", 30), ("webp", 30), ("gif", 120)])
def test_time_does_not_drift(model, store, tmp_path, suffix, fps):
    """Hundredths or thousandths of a second are rounded together, and 0 loops."""
    film = Film(scale=1, fps=fps)
    path = render_reconstruction(model, store, tmp_path / f"a.{suffix}", 5, film=film)
    with Image.open(path) as picture:
        count, length = picture.n_frames, store.sequences[5].length
        assert picture.info["loop"] == 0
        durations = []
        for k in range(count):
            picture.seek(k)
            picture.load()
            durations.append(picture.info["duration"])
    assert count == -(-length // (3 if fps == 120 else 1))
    assert abs(sum(durations) - 1000 * length / fps) <= 10
    assert max(durations) - min(durations) <= 10 and min(durations) >= 20


def test_a_gif_has_the_colours(model, store, tmp_path):
    film = Film(scale=1, frames=8)
    path = render_reconstruction(model, store, tmp_path / "a.gif", 5, film=film)
    found = shown_at(webp(path), Layout((32, 32), 1, 2, film), 0, 0)
    assert off(found, store.frames(5)[:8]) < _LOSSY


@pytest.mark.parametrize(
    ("times", "fps", "said"),
    [
        (np.arange(96) / 29.97, 29.97, None),
        # Frames without a face are missing.
        (np.delete(np.arange(116) / 50, range(20, 40)), 50, None),
        (np.arange(96) * 300.0, 25, "has a frame each 300 s: its 96 frames"),
        (np.full(96, np.nan), 25, "has no times of frames: its 96 frames"),
    ],
)
def test_films_go_as_fast_as_their_source(store, tmp_path, recwarn, times, fps, said):
    timed = write_arrays(
        tmp_path / "s",
        [store.frames(0)[np.arange(96) % 12]],
        labels={"time": [times]},
    )
    sequence = timed.sequences[0]
    assert Film().rate(timed, sequence, np.arange(96)) == pytest.approx(fps, rel=1e-4)
    assert Film(fps=8).rate(timed, sequence, np.arange(96)) == 8
    assert [str(w.message) for w in recwarn if said and said in str(w.message)] == [
        str(w.message) for w in recwarn
    ] and len(recwarn) == (said is not None)


def test_names_that_are_cut_differ():
    layout = Layout((32, 32), 1, 2, Film(scale=4))
    names = [f"darkelf_green_{cloth}_sleeves_green2" for cloth in ("gold", "blue")]
    one, other = layout.cut(names)
    assert one != other and "…" in one and "gold" in one and "blue" in other


def test_films_that_are_refused(model, store, tmp_path, monkeypatch):
    monkeypatch.setattr("keras_ddr.media.moving._MOST_PIXELS", 100_000)
    with pytest.raises(InputError, match=r"a\.gif: 12 frames of 1.* 5 fit; take"):
        film = Film(scale=2)
        render_reconstruction(model, store, tmp_path / "a.gif", 5, film=film)
    with pytest.raises(InputError, match="a film from frame 11 needs 2"):
        render_reconstruction(model, store, tmp_path / "a.gif", 5, film=Film(start=11))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["H.264", "VP9"])
def test_a_browser_plays_it(model, store, tmp_path, monkeypatch, codec):
    """Chromium shows each frame at its time, in the colours that the model drew."""
    if codec == "VP9":
        without_pyav(monkeypatch)
    else:
        pytest.importorskip("av")
    said = []
    film = Film(scale=8, fps=25, report=said.append)
    path = render_reconstruction(model, store, tmp_path / "a.mp4", 5, film=film)
    assert codec in said[0]
    monkeypatch.undo()
    browser = Chromium()
    try:
        browser.driver.get("data:text/html,<video muted></video><canvas></canvas>")
        content = base64.b64encode(path.read_bytes()).decode()
        length, frames = browser.driver.execute_async_script(
            _PLAYED, content, 25, store.sequences[5].length
        )
    finally:
        browser.quit()
    assert length == pytest.approx(store.sequences[5].length / 25, abs=0.05)
    found = [np.asarray(Image.open(_file(frame)).convert("RGB")) for frame in frames]
    layout = Layout((32, 32), 1, 2, film)
    assert off(shown_at(found, layout, 0, 1), _enlarged(model, store, 8)) < _LOSSY
    # The colours of puppets are strong.
    filmed = np.stack([layout.enlarge(frame) for frame in store.frames(5)])
    difference = shown_at(found, layout, 0, 0).astype(float) - filmed
    assert np.abs(difference).mean() < _LOSSY
    assert np.abs(difference.mean(axis=(0, 1, 2))).max() < 2.5


def _file(address):
    return io.BytesIO(base64.b64decode(address.partition(",")[2]))


# Plays the film to its end, and then looks at each of its frames.
_PLAYED = """
const [content, fps, count, done] = arguments;
const video = document.querySelector("video"), frames = [];
const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
const canvas = document.querySelector("canvas");
const look = () => {
  if (frames.length === count) return done([video.duration, frames]);
  video.currentTime = (frames.length + 0.5) / fps;
};
video.onended = () => {
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  video.onseeked = () => {
    canvas.getContext("2d").drawImage(video, 0, 0);
    frames.push(canvas.toDataURL());
    look();
  };
  look();
};
video.onerror = () => done([0, []]);
video.src = URL.createObjectURL(new Blob([bytes], {type: "video/mp4"}));
video.play();
"""
