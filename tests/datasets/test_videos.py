"""Videos, drawn here and real ones."""

import shutil
import signal
import warnings

import numpy as np
import pytest

from flat_options import flat
from keras_ddr import InputError
from keras_ddr.datasets import Detection, Lengths, Work, videos
from keras_ddr.media import opencv
from keras_ddr.media.video import Video
from pixel_shapes import shaped

cv2 = opencv.load()


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


def _scene(number, seed=0, shape=(32, 32)):
    """Frames of a picture that brightens slowly; frame n differs from all others."""
    random = np.random.default_rng(seed)
    picture = random.integers(60, 180, (*shape, 3), np.int64)
    return [(picture + n).astype(np.uint8) for n in range(number)]


@pytest.fixture
def prepare(tmp_path):
    def prepare(source, **arguments):
        arguments = {"crop": "none", "size": 32, "overwrite": True, **arguments}
        return videos.prepare(tmp_path / "S", source, **flat(**arguments))

    return prepare


def test_frames_come_as_they_are(tmp_path, prepare):
    frames = _scene(24)
    store = prepare(_write(tmp_path / "a.avi", frames))
    assert (store.frames(0) == frames).all()
    labels = store.frame_labels(0)
    assert labels["source_frame"].tolist() == list(range(24))
    assert np.allclose(labels["time"], np.arange(24) / 25)
    assert store.sequences[0].name == "a#1" and store.sequences[0].source == "a.avi"
    grey = prepare(tmp_path / "a.avi", channels=1).frames(0)
    expected = np.rint(np.array(frames) @ [0.299, 0.587, 0.114])
    assert grey.shape == (24, 32, 32, 1)
    assert np.abs(grey[..., 0] - expected).max() <= 1


def test_a_folder_a_list_and_single_files(tmp_path, prepare, monkeypatch):
    root = tmp_path / "videos"
    for name in ("b/10.avi", "b/9.AVI", "a.avi", "b/._9.avi", ".hidden/c.avi"):
        _write(root / name, _scene(20))
    (root / "notes.txt").write_text("no video")
    (root / "b" / "picture.png").write_bytes(b"no video either")
    expected = ["a.avi", "b/9.AVI", "b/10.avi"]
    assert [s.source for s in prepare(root).sequences] == expected
    (tmp_path / "list.txt").write_text("videos/b/10.avi\n\nvideos/a.avi\n")
    listed = [s.source for s in prepare(tmp_path / "list.txt").sequences]
    assert listed == ["10.avi", "a.avi"]
    # The same file named from here and from the root.
    (tmp_path / "twice.txt").write_text(f"videos/a.avi\n{root / 'a.avi'}\n")
    monkeypatch.chdir(tmp_path)
    (only,) = prepare("twice.txt").sequences
    assert only.source == "a.avi"
    shutil.copy(root / "a.avi", root / "b" / "a.avi")
    same = prepare([root / "a.avi", root / "b" / "a.avi"])
    assert [s.source for s in same.sequences] == ["a.avi", "b/a.avi"]
    assert [s.name for s in same.sequences] == ["a#1", "b/a#1"]


def test_cuts_and_blank_frames_end_a_sequence(tmp_path, prepare):
    black = [np.zeros((32, 32, 3), np.uint8)] * 2
    path = _write(
        tmp_path / "a.avi", _scene(25, 1) + _scene(30, 2) + black + _scene(21, 3)
    )
    store = prepare(path)
    spans = [
        tuple(store.frame_labels(k)["source_frame"][[0, -1]]) for k in range(len(store))
    ]
    assert spans == [(0, 24), (25, 54), (57, 77)]
    store = prepare(path, cuts=False)
    assert [s.length for s in store.sequences] == [55, 21]
    assert {s.split for s in store.sequences} == {"train"}  # of one source


def test_lengths(tmp_path, prepare):
    path = _write(tmp_path / "a.avi", _scene(50))

    def numbers(**arguments):
        store = prepare(path, min_length=10, **arguments)
        labels = [store.frame_labels(k)["source_frame"] for k in range(len(store))]
        return [part.tolist() for part in labels]

    assert numbers(max_length=None) == [list(range(50))]
    assert numbers(max_length=20) == [
        list(range(17)),
        list(range(17, 34)),
        list(range(34, 50)),
    ]
    assert numbers(max_length=20, long="first") == [list(range(20))]
    (thin,) = numbers(max_length=20, long="thin")
    assert len(set(thin)) == 20 and (thin[0], thin[-1]) == (0, 49)
    assert {b - a for a, b in zip(thin, thin[1:], strict=False)} == {2, 3}
    with pytest.warns(UserWarning, match="50 frames, fewer than min_length 51"):
        with pytest.raises(InputError, match="no video gave a sequence"):
            prepare(path, min_length=51)


def test_frames_a_second_are_chosen_by_time(tmp_path, prepare):
    path = _write(tmp_path / "a.avi", _scene(60), fps=30.0)
    store = prepare(path, fps=10, min_length=5)
    assert store.frame_labels(0)["source_frame"].tolist() == list(range(0, 60, 3))


def test_odd_shapes_are_squared(tmp_path, prepare):
    frames = _scene(20, shape=(32, 64))
    path = _write(tmp_path / "a.avi", frames)
    middle = prepare(path, crop="center").frames(0)
    assert (middle == np.array(frames)[:, :, 16:48]).all()
    whole = prepare(path, crop="none", size=64).frames(0)
    assert (whole[:, 16:48] == frames).all() and not whole[:, :16].any()


def test_pieces_and_runs(rng):
    for length in (1, 19, 20, 450, 451, 900, 1008):
        for long in ("split", "first", "thin"):
            parts = Lengths(min_length=20, max_length=450, long=long).pieces(length)
            assert all(20 <= len(part) <= 450 for part in parts)
            assert bool(parts) == (length >= 20)
            if long == "split" and parts:
                assert np.concatenate(parts).tolist() == list(range(length))
    # Where equal parts are too short, what is longer than one gives one all the same.
    for length, minimum, maximum in ((35, 20, 30), (421, 20, 20), (11, 6, 10)):
        lengths = Lengths(min_length=minimum, max_length=maximum)
        parts = lengths.pieces(length)
        assert [len(part) for part in parts] == [maximum] * (length // maximum)
        found = np.concatenate(parts).tolist()
        assert found == list(range(len(found)))
    numbers = np.flatnonzero(rng.random(300) < 0.3)
    lengths = Lengths(max_gap=2)
    found = lengths.runs(numbers)
    assert np.concatenate([numbers[run] for run in found]).tolist() == numbers.tolist()
    for run in found:
        assert (np.diff(numbers[run]) <= 3).all()
    for one, other in zip(found, found[1:], strict=False):
        assert numbers[other][0] - numbers[one][-1] > 3
    assert lengths.runs([]) == []


ODD_NAMES = [
    "with space.avi",
    'it\'s "q".avi',
    "new\nline.avi",
    "видео é.avi",
    "100%d.avi",
]


def test_broken_videos_cost_only_themselves(tmp_path, prepare):
    root = tmp_path / "videos"
    for name in ODD_NAMES:
        _write(tmp_path / "plain.avi", _scene(20))
        root.mkdir(exist_ok=True)
        shutil.move(tmp_path / "plain.avi", root / name)
    good = (root / ODD_NAMES[0]).read_bytes()
    (root / "empty.mp4").write_bytes(b"")
    (root / "text.mp4").write_text("this is no video\n" * 40)
    (root / "truncated.mp4").write_bytes(b"\0\0\0\x18ftypisom\0\0\2\0isomiso2mp41")
    (root / "header.avi").write_bytes(good[:600])
    with pytest.warns(UserWarning) as warned:
        store = prepare(root, workers=2)
    assert {s.source for s in store.sequences} == set(ODD_NAMES)
    texts = [str(warning.message) for warning in warned]
    broken = ["empty.mp4", "header.avi", "text.mp4", "truncated.mp4"]
    assert len(texts) == 4
    for name, text in zip(broken, texts, strict=True):
        assert text.startswith("skipped: ") and name in text and "\n" not in text


def test_what_else_is_in_a_folder_is_told(tmp_path):
    for name in (
        "a.mp4",
        "b.JPG",
        "below/c.jpg",
        "below/d.heic",
        "labels.csv",
        ".e.png",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    with pytest.warns(UserWarning) as warned:
        found = videos.find_videos(tmp_path)
    assert [name for name, _ in found] == ["a.mp4"]
    (warning,) = warned
    assert str(warning.message) == (
        f"{tmp_path}: left out, since by its name it is no video: 1 .heic, 2 .jpg"
    )
    for name in ("a.mp4", "aDLC_1.h5"):
        path = tmp_path / "tracked" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    found = videos.find_videos(tmp_path / "tracked", beside=[".h5"])  # warns of nothing
    assert [name for name, _ in found] == ["a.mp4"]
    with pytest.raises(InputError, match="holds no video .*; found 1 .heic, 1 .jpg"):
        videos.find_videos(tmp_path / "below")


def test_what_is_refused(tmp_path, prepare, detector_model):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: holds no video"):
        prepare(tmp_path / "empty")
    with pytest.raises(InputError, match="no such file or folder"):
        prepare(tmp_path / "none")
    (tmp_path / "list.txt").write_text("Notes of Monday\nall went well\n")
    with pytest.raises(InputError, match=r"list.txt: .* none of the 2 paths .*Notes"):
        prepare(tmp_path / "list.txt")
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(InputError, match="lists no video"):
        prepare(tmp_path / "list.txt")
    path = _write(tmp_path / "a.avi", _scene(20))
    face = {"crop": "face", "detector_model": detector_model}
    for argument, value, extra in (
        ("crop", "head", {}),
        ("people", "one", {}),
        ("align", "nose", {}),
        ("channels", 4, {}),
        ("size", 40, {}),
        ("margin", float("nan"), {}),
        ("fps", 0, {}),
        ("min_length", -1, {}),
        ("max_length", 10, {}),
        ("max_gap", -1, {}),
        ("long", "cut", {}),
        ("shares", (1, 1, 1), {}),
        ("threshold", 1.5, face),
        ("detector_size", 8, face),
        ("detect_every", 0, face),
    ):
        with pytest.raises(InputError, match=argument.replace("shares", "splits")):
            prepare(path, **{**extra, argument: value})
    with pytest.raises(InputError, match="none.onnx: no such file"):
        prepare(path, crop="face", detector_model=tmp_path / "none.onnx")
    assert not (tmp_path / "S").exists()


# Real faces


def _steps(labels):
    """Steps of the box's centre, in widths of the narrower box."""
    x = labels["face_x"] + labels["face_width"] / 2
    y = labels["face_y"] + labels["face_height"] / 2
    width = np.minimum(labels["face_width"][1:], labels["face_width"][:-1])
    return np.hypot(np.diff(x), np.diff(y)) / width


THROUGHOUT = [
    "WolfgangLanger_Pexels",
    "derived_rotated90",
    "derived_two_faces",
    *(f"liveportrait_{name}" for name in "d3 d6 d10 d12 d13 d18 d19 s18 s32".split()),
    "single_face",
]


@pytest.fixture(scope="module")
def faces(real_data, tmp_path_factory):
    """The store that the command makes of all clips, and its warnings."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        store = videos.prepare(
            tmp_path_factory.mktemp("faces") / "F",
            real_data("faces"),
            detection=Detection(
                real_data("models") / "face_detection_yunet_2023mar.onnx"
            ),
            work=Work(workers=2),
        )
    return store, [str(warning.message) for warning in warned]


@pytest.mark.slow
def test_faces_are_found_in_nearly_every_frame(faces):
    store, _ = faces
    frames = dict.fromkeys(THROUGHOUT, 0)
    for sequence in store.sequences:
        title = sequence.name.partition("#")[0]
        frames[title] = frames.get(title, 0) + sequence.length
    known = [472, 72, 90, 354, 1008, 448, 183, 352, 216, 250, 282, 180, 72]
    for name, count in zip(THROUGHOUT, known, strict=True):
        assert frames[name] >= 0.99 * count, name
    assert frames["short_hamilton_clip"] > 200


@pytest.mark.slow
def test_a_clip_without_faces_is_skipped_with_its_reason(faces):
    store, warned = faces
    assert warned == [
        "skipped: no_face.mp4: no face was found in 95 frames "
        "(crop none takes whole frames)"
    ]
    assert all("no_face" not in s.name for s in store.sequences)
    assert {s.source for s in store.select("train")}.isdisjoint(
        {s.source for s in store.select("test")}
    )


@pytest.mark.slow
def test_no_track_jumps(faces):
    store, _ = faces
    seen = set()
    for sequence in store.sequences:
        labels = store.frame_labels(sequence.index)
        assert _steps(labels).max() <= 0.5, sequence.name
        seen.add(sequence.source)
    assert {"derived_two_faces.mp4", "short_hamilton_clip.mp4"} <= seen


@pytest.mark.slow
def test_cuts_end_the_sequences_of_a_clip(faces):
    """The clip cuts at frames 20, 82 and 211."""
    store, _ = faces
    spans = [
        store.frame_labels(s.index)["source_frame"][[0, -1]]
        for s in store.sequences
        if s.source == "short_hamilton_clip.mp4"
    ]
    assert len(spans) >= 3
    for cut in (20, 82, 211):
        assert all(last < cut or first >= cut for first, last in spans)


@pytest.mark.slow
def test_rotated_video_stands_upright(faces):
    """The clip is `single_face` stored on its side, with a note how to turn it."""
    store, _ = faces
    number = {s.name: s.index for s in store.sequences}
    turned = store.frames(number["derived_rotated90#1"]).astype(float)
    plain = store.frames(number["single_face#1"]).astype(float)
    assert np.abs(turned - plain).mean() < 4
    eyes = store.frame_labels(number["derived_rotated90#1"])
    assert (eyes["right_eye_y"] < eyes["mouth_right_y"]).all()


@pytest.mark.slow
def test_crops_show_the_face_of_their_labels(faces, detector_model):
    """Detection on the crop finds the face where the labels have it."""
    from keras_ddr.faces.detector import FaceDetector

    store, _ = faces
    detector, found = FaceDetector(detector_model, threshold=0.5), 0
    for sequence in store.sequences:
        labels = store.frame_labels(sequence.index)
        for k in (0, sequence.length // 2):
            crop = store.frames(sequence.index, [k])[0]
            faces = detector.detect(cv2.resize(crop, (256, 256)))
            if not faces:
                continue
            found += 1
            side = max(labels["face_width"][k], labels["face_height"][k]) * 1.4
            expected = labels["face_width"][k] / side * 256
            x, y = faces[0].box[:2] + faces[0].box[2:] / 2
            assert abs(faces[0].box[2] - expected) < 0.25 * expected, sequence.name
            assert abs(x - 128) < 26 and abs(y - 128) < 26, sequence.name
    assert found > 1.8 * len(store)


@pytest.mark.slow
def test_a_face_of_wide_pixels_has_its_shape(
    tmp_path, face_clips, detector_model, prepare
):
    """The same clip at half its width, as anamorphic video is stored."""
    shapes = []
    for name, narrower in (("square", 1), ("wide", 2)):
        path = tmp_path / f"{name}.mp4"
        size = 640 // narrower, 360
        frames = [frame.image for frame in Video(face_clips / "single_face.mp4")]
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 24, size)
        for frame in frames[:24]:
            writer.write(cv2.resize(frame[..., ::-1], size))
        writer.release()
        store = prepare(
            shaped(path, narrower, 1), crop="face", detector_model=detector_model
        )
        labels = store.frame_labels(0)
        shapes.append([labels[f"face_{of}"].mean() for of in ("width", "height", "x")])
    np.testing.assert_allclose(*shapes, rtol=0.04)


def test_everyone_is_found_and_kept_apart(face_clips, detector_model, prepare):
    store = prepare(
        face_clips / "derived_two_faces.mp4",
        crop="face",
        people="all",
        detector_model=detector_model,
    )
    assert [s.length for s in store.sequences] == [90, 90]
    one, other = (store.frame_labels(k)["face_x"] for k in range(2))
    # The two halves of the picture hold one person each.
    assert (np.minimum(one, other) < 320).all() and (np.maximum(one, other) > 320).all()
    assert (one < 320).all() or (one > 320).all()
    names = [s.name for s in store.sequences]
    assert names == ["derived_two_faces#person1-1", "derived_two_faces#person2-1"]


@pytest.mark.slow
@pytest.mark.parametrize("fps", [5, 10, 15])
def test_fewer_frames_a_second_change_nothing_else(
    face_clips, detector_model, prepare, fps
):
    """Cuts and motion are judged at the full rate; the frames kept are a part."""
    path = face_clips / "short_hamilton_clip.mp4"
    options = {"crop": "face", "detector_model": detector_model, "size": 64}
    every = prepare(path, **options, min_length=10)
    frames = {
        int(n): frame
        for k in range(len(every))
        for n, frame in zip(
            every.frame_labels(k)["source_frame"], every.frames(k), strict=True
        )
    }
    store = prepare(path, **options, fps=fps, min_length=2)
    count = 0
    for k in range(len(store)):
        numbers = store.frame_labels(k)["source_frame"]
        for cut in (20, 82, 211):
            assert (numbers < cut).all() or (numbers >= cut).all()
        for n, frame in zip(numbers, store.frames(k), strict=True):
            if int(n) in frames:
                count += (frame == frames[int(n)]).all()
    assert count > 0.85 * len(frames) * fps / 30


@pytest.mark.slow
def test_eyes_keep_their_places(face_clips, detector_model, prepare):
    """A head that moves much: after alignment its eyes stay where they are."""
    from keras_ddr.faces.detector import FaceDetector

    detector = FaceDetector(detector_model, threshold=0.5)
    spread = {}
    for align in ("box", "eyes"):
        store = prepare(
            face_clips / "liveportrait_d12.mp4",
            crop="face",
            align=align,
            size=64,
            detector_model=detector_model,
        )
        eyes = []
        for frame in store.frames(0, np.arange(0, 183, 6)):
            faces = detector.detect(cv2.resize(frame, (256, 256)))
            eyes += [face.landmarks[:2].ravel() / 4 for face in faces[:1]]
        assert len(eyes) > 20
        eyes = np.array(eyes)
        spread[align] = eyes.std(axis=0).mean()
        slope = np.arctan2(eyes[:, 3] - eyes[:, 1], eyes[:, 2] - eyes[:, 0])
        spread[align + " tilt"] = slope.std()
    assert spread["eyes"] < 0.7 * spread["box"]
    assert spread["eyes tilt"] < 0.75 * spread["box tilt"]


def test_labels_and_persons_of_the_user(tmp_path, prepare):
    root = tmp_path / "videos"
    for n in range(10):
        _write(root / f"v{n}.avi", _scene(20, n))
    (tmp_path / "labels.csv").write_text(
        "source,frame,person,mood,pain\n"
        "v0,,ann,calm,\nv0.avi,3,,,0.5\nv0,4,,,1\n"
        "v1,,ann,tense,\nv2,,bob,calm,\nv9,,bob,,\n"
    )
    store = prepare(root, labels=tmp_path / "labels.csv")
    by_source = {s.source: s for s in store.sequences}
    assert by_source["v0.avi"].split == by_source["v1.avi"].split
    assert by_source["v2.avi"].split == by_source["v9.avi"].split
    assert by_source["v0.avi"].person == "ann"
    assert by_source["v1.avi"].labels == {"mood": "tense"}
    assert by_source["v9.avi"].labels == {"mood": None}
    pain = store.frame_labels(by_source["v0.avi"].index)["pain"]
    assert pain[3:5].tolist() == [0.5, 1] and np.isnan(np.delete(pain, [3, 4])).all()
    (tmp_path / "labels.csv").write_text("source,source_frame\nv0,3\n")
    with pytest.raises(InputError, match="'source_frame' has the name of a label"):
        prepare(root, labels=tmp_path / "labels.csv")


def test_a_folder_for_each_person(tmp_path, prepare):
    root = tmp_path / "videos"
    names = [f"{who}/{name}" for who in "abcdef" for name in ("1.avi", "x/2.avi")]
    for n, name in enumerate(["alone.avi", *names]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        _write(root / name, _scene(20, n))
    (tmp_path / "labels.csv").write_text("source,person\nf/x/2.avi,a\n")
    for seed in range(4):
        store = prepare(
            root,
            persons="folder",
            labels=tmp_path / "labels.csv",
            seed=seed,
            shares=(0.5, 0.2, 0.3),
        )
        persons = {s.source: s.person for s in store.sequences}
        assert persons["alone.avi"] == "" and persons["b/x/2.avi"] == "b"
        # The table knows better.
        assert persons["f/x/2.avi"] == "a" and persons["f/1.avi"] == "f"
        splits = {}
        for sequence in store.sequences:
            splits.setdefault(sequence.person, set()).add(sequence.split)
        assert all(len(found) == 1 for found in splits.values())
    with pytest.raises(InputError, match="no video lies in a folder below"):
        prepare(root / "a" / "1.avi", persons="folder")


def test_signals_are_left_alone(tmp_path, prepare):
    before = signal.getsignal(signal.SIGINT)
    prepare(_write(tmp_path / "a.avi", _scene(20)), workers=1)
    assert signal.getsignal(signal.SIGINT) is before
