"""Animals that are cut out of drawn videos by their tracks."""

import numpy as np
import pytest
import track_files
from scipy import ndimage

from flat_options import flat
from keras_ddr import InputError
from keras_ddr.datasets import Cropping, videos
from keras_ddr.media import opencv

cv2 = opencv.load()

WIDTH, HEIGHT = 160, 120


def _write(path, frames, fps=25.0):
    """Write frames (T, H, W, 3), red, green, blue, without loss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*"FFV1"), fps, (width, height)
    )
    assert writer.isOpened()
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path


def _drawn(picture, centre, angle, length):
    """An animal without symmetry on a picture, drawn smoothly pixel by pixel."""
    y, x = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]]
    away = (x - centre[0] + 1j * (y - centre[1])) * np.exp(-1j * np.radians(angle))
    u, v = away.real / length, away.imag / length
    for along, across, a, b, colour in (
        (0, 0, 0.5, 0.25, (200, 180, 150)),
        (0.35, 0, 0.12, 0.12, (220, 40, 40)),
        (0.1, 0.15, 0.15, 0.08, (30, 60, 220)),
    ):
        inside = ((u - along) / a) ** 2 + ((v - across) / b) ** 2
        share = 1 / (1 + np.exp(np.minimum(4 * (inside - 1), 50)))[..., None]
        picture = picture * (1 - share) + share * np.array(colour)
    return picture


def _path(number, animal=0):
    """Centre, angle (degrees) and length of an animal in a frame."""
    t = number / 30
    centre = np.array([60 + 20 * animal + 15 * np.cos(5 * t), 60 + 20 * np.sin(3 * t)])
    return centre, 40 * t * (7 - 12 * animal) + 50 * animal, 40 + 10 * animal


@pytest.fixture(scope="module")
def mice(tmp_path_factory):
    """A video of an animal that moves and turns, and its points (30, 1, 2, 3)."""
    frames, points = [], np.ones((30, 1, 2, 3))
    for n in range(30):
        centre, angle, length = _path(n)
        ground = np.full((HEIGHT, WIDTH, 3), 90.0)
        frames.append(np.rint(_drawn(ground, centre, angle, length)).astype(np.uint8))
        ahead = length / 2 * np.exp(1j * np.radians(angle))
        points[n, 0, :, 0] = centre[0] + np.array([ahead.real, -ahead.real])
        points[n, 0, :, 1] = centre[1] + np.array([ahead.imag, -ahead.imag])
    folder = tmp_path_factory.mktemp("mice")
    return _write(folder / "mice.avi", frames), frames, points


@pytest.fixture
def prepare(tmp_path):
    def prepare(source, tracks, **arguments):
        arguments = {"size": 32, "overwrite": True, "min_length": 2, **arguments}
        options = flat(tracks=tracks, shares=(1, 0, 0), **arguments)
        return videos.prepare(tmp_path / "S", source, **options)

    return prepare


def _by_hand(frame, centre, angle, side, size, times):
    """The turned square, as means of times x times linear samples a pixel."""
    number = size * times
    grid = (np.arange(number) + 0.5) / number - 0.5
    away = (grid[None, :] + 1j * grid[:, None]) * np.exp(1j * np.radians(angle)) * side
    places = [centre[1] + away.imag, centre[0] + away.real]
    planes = [
        ndimage.map_coordinates(
            frame[..., c].astype(float), places, order=1, mode="nearest"
        )
        for c in range(3)
    ]
    blocks = np.stack(planes, -1).reshape(size, times, size, times, 3)
    return blocks.mean(axis=(1, 3))


def test_crops_are_turned_and_centred(mice, prepare, tmp_path):
    video, frames, points = mice
    tracks = track_files.dlc_csv(tmp_path / "any.csv", points, ["nose", "tail"])
    store = prepare(video, tracks, front="nose", back="tail", margin=0.3)
    crops, labels = store.frames(0).astype(float), store.frame_labels(0)
    assert len(crops) == 30 and store.sequences[0].name == "mice#1"
    for n in range(30):
        centre, angle, length = _path(n)
        assert np.allclose([labels["animal_x"][n], labels["animal_y"][n]], centre)
        assert np.isclose(np.exp(1j * np.radians(labels["animal_angle"][n] - angle)), 1)
        assert np.isclose(labels["animal_length"][n], length)
        assert np.isclose(labels["crop_side"][n], 1.6 * length)
        expected = _by_hand(frames[n], centre, angle, 1.6 * length, 32, 2)
        assert np.abs(crops[n] - expected).max() < 2
    # The animal itself stands still and looks to the right.
    still = _drawn(np.full((64, 64, 3), 90.0), (31.5, 31.5), 0, 40)
    still = still.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(crops.mean(axis=0) - still).max() < 6
    assert crops.std(axis=0).max() < 1.5
    assert store.labels["animal_angle"].kind == "periodic"
    assert set(store.content_labels) == {"animal_length"}
    assert store.meta["arguments"]["crop"] == "tracks"


def test_squares_of_whole_pixels_are_cut_by_hand(mice, prepare, tmp_path):
    """Not turned and not moved by parts of pixels, they are pixels and their means."""
    video, frames, _ = mice
    tracks = tmp_path / "t.csv"
    lines = [f"{n},{60.5 + n % 3},{50.5 - n % 2}" for n in range(30)]
    tracks.write_text("\n".join(["frame,x,y", *lines]))
    same, half = (prepare(video, tracks, side=side).frames(0) for side in (32, 64))
    for n in range(30):
        left, top = 45 + n % 3, 35 - n % 2
        assert (same[n] == frames[n][top : top + 32, left : left + 32]).all()
        part = frames[n][top - 16 : top + 48, left - 16 : left + 48].astype(float)
        means = part.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
        assert np.abs(half[n] - means).max() <= 0.5001


def test_sides(mice, prepare, tmp_path):
    video, _, _ = mice
    tracks = tmp_path / "t.csv"
    lines = [f"{n},60,50,{20 + n}" for n in range(30)]
    tracks.write_text("\n".join(["frame,x,y,length", *lines]))

    def sides(**options):
        return prepare(video, tracks, **options).frame_labels(0)["crop_side"]

    assert np.allclose(sides(margin=0.5), 2 * 34.5)
    assert np.allclose(sides(side="frame", margin=0.5), 2 * (20 + np.arange(30)))
    assert np.allclose(sides(side=50), 50)


def test_gaps(mice, prepare, tmp_path):
    video, _, _ = mice
    tracks = tmp_path / "t.csv"
    away = {5, 6, 7, 15, 16}
    lines = [f"{n},{'nan' if n in away else 60},50" for n in range(30)]
    tracks.write_text("\n".join(["frame,x,y", *lines]))

    def numbers(**options):
        store = prepare(video, tracks, side=32, **options)
        parts = [store.frame_labels(k)["source_frame"] for k in range(len(store))]
        return [part.tolist() for part in parts]

    seen = [n for n in range(30) if n not in away]
    assert numbers(max_gap=3) == [seen]
    assert numbers(max_gap=2) == [seen[:5], seen[5:]]
    assert numbers(max_gap=0) == [seen[:5], seen[5:12], seen[12:]]
    # Gaps are those of all frames, not of the ones that are kept.
    assert numbers(max_gap=3, fps=12.5) == [[n for n in seen if n % 2 == 0]]


@pytest.mark.parametrize("fps", [24000 / 1001, 25, 30])
def test_rows_with_times_come_to_their_frames(fps, prepare, tmp_path):
    ground = np.random.default_rng(0).integers(50, 200, (48, 96, 3), np.uint8)
    frames = [np.roll(ground, n, axis=0) for n in range(40)]
    video = _write(tmp_path / "a.avi", frames, fps)
    tracks = tmp_path / "t.csv"
    lines = [f"{n / fps:.3f},{20 + n},24" for n in range(40)]
    tracks.write_text("\n".join(["time,x,y", *lines]))
    labels = prepare(video, tracks, side=32).frame_labels(0)
    assert labels["animal_x"].tolist() == list(range(20, 60))
    assert np.allclose(labels["time"], np.arange(40) / fps, atol=2e-3)


def test_several_animals_and_videos(mice, prepare, tmp_path):
    video, frames, _ = mice
    root = tmp_path / "videos"
    for name in ("mouse1", "mouse10"):
        _write(root / f"{name}.avi", frames)
        points = np.ones((30, 2, 2, 3))
        points[:, :, 0, :2] = 60 if name == "mouse1" else 70
        points[:, :, 1, :2] = 40
        points[10:, 1, 0, 2] = 0.2
        file = root / f"{name}{track_files.SCORER}_el"
        for write, suffix in (
            (track_files.dlc_csv, ".csv"),
            (track_files.dlc_table, ".h5"),
        ):
            write(file.with_name(file.name + suffix), points, ["n", "t"], ("a", "b"))
    store = prepare(root, root, front="n", back="t", min_length=10)
    about = [(s.name, s.person, s.length) for s in store.sequences]
    assert about == [
        ("mouse1#a-1", "mouse1.avi#a", 30),
        ("mouse1#b-1", "mouse1.avi#b", 10),
        ("mouse10#a-1", "mouse10.avi#a", 30),
        ("mouse10#b-1", "mouse10.avi#b", 10),
    ]
    centres = [store.frame_labels(k)["animal_x"][0] for k in (0, 2)]
    assert centres == [50, 55]
    options = flat(tracks=root, front="n", back="t", shares=(0.5, 0.5, 0))
    store = videos.prepare(tmp_path / "T", root, **options)
    # Animals of one video see the same room, so they stay in one split.
    assert len({(s.source, s.split) for s in store.sequences}) == 2


def test_names_of_files_say_whose_they_are(mice, prepare, tmp_path):
    _, frames, points = mice
    root, folder = tmp_path / "videos", tmp_path / "tracks"
    names = ("a", "a.b", "day1/c", "day2/c")
    for k, name in enumerate(names):
        _write(root / f"{name}.avi", frames)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        moved = points + [k, 0, 0]
        file = folder / {1: "labels.v001.000_a.b"}.get(k, name)
        path = file.with_name(file.name + ".analysis.h5")
        track_files.sleap_h5(path, moved, ["nose", "tail"])
    options = {"front": "nose", "back": "tail"}
    store = prepare(root, folder, **options)
    first = [store.frame_labels(k)["animal_x"][0] for k in range(4)]
    assert [s.source[:-4] for s in store.sequences] == list(names)
    assert np.allclose(np.array(first) - first[0], [0, 1, 2, 3])
    # The pattern chooses where there are two.
    track_files.sleap_h5(folder / "a.other.analysis.h5", points, ["nose", "tail"])
    with pytest.warns(UserWarning, match="could all be the tracks of a.avi"):
        assert len(prepare(root, folder, **options)) == 3
    with pytest.warns(UserWarning, match=r"looked for cDLC….h5, c.analysis.h5"):
        assert len(prepare(root, f"{folder}/*other*", **options)) == 1


def test_a_column_says_whose_rows_they_are(mice, prepare, tmp_path):
    _, frames, _ = mice
    root, tracks = tmp_path / "videos", tmp_path / "all.csv"
    for name in ("a", "b", "c"):
        _write(root / f"{name}.avi", frames)
    rows = [f"{s},{n},{x},50" for s, x in (("a.avi", 60), ("b", 70)) for n in range(30)]
    rows[-9:] = []
    tracks.write_text("\n".join(["source,frame,x,y", *rows]))
    with pytest.warns(UserWarning) as said:
        store = prepare(root, tracks, side=32)
    assert [store.frame_labels(k)["animal_x"][0] for k in (0, 1)] == [60, 70]
    assert [str(warning.message) for warning in said] == [
        f"b.avi: {tracks} has no animal after frame 20 of 30",
        f"skipped: c.avi: {tracks} has no row of this video in its column source",
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("30,60,50", "has an animal in frame 30 (from 0), but {} has 30 frames"),
        ("29,600,50", "has all places of animals outside the picture of {} (160x120)"),
    ],
)
def test_tracks_of_another_video_are_refused(row, said, mice, prepare, tmp_path):
    video, tracks = mice[0], tmp_path / "t.csv"
    tracks.write_text(f"frame,x,y\n{row}\n")
    with pytest.warns(UserWarning), pytest.raises(InputError) as caught:
        prepare(video, tracks, side=32)
    assert f"{tracks}: {said.format(video)}; these are tracks of" in str(caught.value)


def test_places_outside_the_picture_are_counted(mice, prepare, tmp_path):
    tracks = tmp_path / "t.csv"
    lines = [f"{n},{-9 if n < 4 else 60},50" for n in range(30)]
    tracks.write_text("\n".join(["frame,x,y", *lines]))
    with pytest.warns(UserWarning, match="4 of 30 places of animals in .* are outside"):
        store = prepare(mice[0], tracks, side=32)
    assert store.frame_labels(0)["source_frame"].tolist() == list(range(4, 30))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"front": "a", "back": "b"}, "front, back: changes nothing without tracks"),
        ({"tracks": "t", "front": "a"}, "give both or none"),
        ({"tracks": "t", "crop": "face"}, "tracks have a crop of their own"),
        ({"crop": "tracks"}, "tracks have a crop of their own"),
        ({"tracks": "t", "side": "1"}, "give animal, frame, or a number of pixels"),
        ({"tracks": "t", "side": 9, "margin": 0}, "nothing with a side in pixels"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(InputError, match=message):
        Cropping(**options)
