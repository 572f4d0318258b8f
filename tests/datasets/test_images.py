"""Folders of pictures, drawn here and with a real face."""

import csv
import os
import shutil
import subprocess
import sys
import warnings

import cv2
import numpy as np
import pytest
from PIL import Image

from flat_options import flat
from keras_ddr import InputError
from keras_ddr.datasets import images
from keras_ddr.faces.detector import FaceDetector
from keras_ddr.media.video import Video

_BOX = ("face_x", "face_y", "face_width", "face_height")


def _save(path, image, **arguments):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(image, int):
        image = np.full((32, 32, 3), image, np.uint8)
    Image.fromarray(image).save(path, **arguments)
    return path


def _fill(folder, values, suffix="png"):
    """Pictures 1, 2, … of one intensity each."""
    for number, value in enumerate(values, start=1):
        _save(folder / f"{number}.{suffix}", value)
    return folder


@pytest.fixture
def prepare(tmp_path):
    def prepare(root, **arguments):
        arguments = {"size": 32, "overwrite": True, **arguments}
        return images.prepare(tmp_path / "S", root, **flat(**arguments))

    return prepare


def _values(store, number=0):
    return store.frames(number)[:, 0, 0, 0].tolist()


def _report(tmp_path):
    with open(tmp_path / "S.report.csv", newline="", encoding="utf-8") as file:
        return {row["source"]: row for row in csv.DictReader(file)}


# Order and names (FC-09, FC-11, FC-36)


def test_pictures_come_in_the_order_of_their_numbers(tmp_path, prepare):
    store = prepare(_fill(tmp_path / "a", range(20, 260, 20)))
    assert _values(store) == list(range(20, 260, 20))
    labels = store.frame_labels(0)
    assert labels["source_frame"].tolist() == list(range(12))
    assert np.isnan(labels["time"]).all() and not store.ordered
    assert store.sequences[0].name == "a#1" and store.sequences[0].source == "a"


def test_pictures_of_a_recording_have_times_and_an_order(tmp_path, prepare):
    folder = _fill(tmp_path / "a", range(20, 120, 20))
    (folder / "2.png").write_bytes(b"")
    table = tmp_path / "labels.csv"
    table.write_text("source,start,end,mood\na,0.2,0.6,glad\n")
    with pytest.warns(UserWarning, match="2.png: cannot be read"):
        store = prepare(folder, frame_rate=5, labels=table)
    assert store.ordered and store.meta["arguments"]["frame_rate"] == 5
    labels = store.frame_labels(0)
    np.testing.assert_allclose(labels["time"], [0, 0.4, 0.6, 0.8])
    assert store.labels["mood"].names(labels["mood"]) == [None, "glad", None, None]


def test_every_folder_with_pictures_is_a_sequence(tmp_path, prepare):
    root = tmp_path / "root"
    for below, value in (("", 1), ("b", 2), ("b/10", 3), ("b/9", 4), ("c d/é", 5)):
        _fill(root / below, [value] * 3)
    (root / "empty").mkdir()
    (root / "notes").mkdir()
    (root / "notes" / "a.txt").write_text("no picture")
    store = prepare(root)
    found = {s.source: _values(store, s.index) for s in store.sequences}
    assert found == {
        "root": [1] * 3,
        "b": [2] * 3,
        "b/9": [4] * 3,
        "b/10": [3] * 3,
        "c d/é": [5] * 3,
    }
    order = [s.source for s in store.sequences]
    assert order.index("b/9") < order.index("b/10")
    # A folder of pictures has the name of the root that holds it.
    _fill(root / "root", [6] * 3)
    store = prepare(root)
    found = {s.source: _values(store, s.index) for s in store.sequences}
    assert found["root"] == [6] * 3 and found["."] == [1] * 3


def test_stray_files(tmp_path, prepare):
    root = tmp_path / "root"
    _fill(root / "a", [10, 20, 30])
    _save(root / "a" / "A.JPG", 40)
    for stray in (".DS_Store", "._1.png", "Thumbs.db", "desktop.ini", ".hidden.png"):
        (root / "a" / stray).write_bytes(bytes(4096))
    _fill(root / ".hidden", [1, 2, 3])
    _fill(root / "a" / "b.png", [50, 60, 70])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store = prepare(root)
    found = {s.source: _values(store, s.index) for s in store.sequences}
    assert found == {"a": [10, 20, 30, 40], "a/b.png": [50, 60, 70]}
    # Broken ones are named, in one warning for their folder.
    (root / "a" / "c.png").write_bytes(b"")
    (root / "a" / "2 half.jpg").write_bytes(
        _save(tmp_path / "x.jpg", np.zeros((64, 64, 3), np.uint8)).read_bytes()[:500]
    )
    with pytest.warns(UserWarning) as caught:
        store = prepare(root)
    (message,) = [str(warning.message) for warning in caught]
    assert message.count("c.png: cannot be read (empty)") == 1
    assert message.count("2 half.jpg: cannot be read (") == 1
    assert "\n" not in message and str(root / "a") in message
    # Those after it keep their places among the files: 1, 2 half, 2, 3, A.
    (whole,) = [s for s in store.sequences if s.source == "a"]
    assert _values(store, whole.index) == [10, 20, 30, 40]
    places = store.frame_labels(whole.index)["source_frame"].tolist()
    assert places == [0, 2, 3, 4]
    assert _report(tmp_path)["a"]["frames_read"] == "4"


def test_many_broken_pictures_are_one_line(tmp_path, prepare):
    folder = _fill(tmp_path / "a", [10, 20, 30])
    for number in range(20, 40):
        (folder / f"{number}.png").write_bytes(b"")
    with pytest.warns(UserWarning) as caught:
        prepare(tmp_path / "a")
    (message,) = [str(warning.message) for warning in caught]
    assert message.count("cannot be read (empty)") == 5
    assert "20.png" in message and "and 15 more" in message


@pytest.mark.skipif(os.name == "nt", reason="such names are not possible there")
@pytest.mark.parametrize(
    "name", ["Öffentlich é", "%02d", "two\nlines", "a:b", os.fsdecode(b"\xff")]
)
def test_names(tmp_path, name):
    try:
        _fill(tmp_path / name / name, [10, 20, 30])
    except OSError:
        pytest.skip("such names are not possible here")
    store = images.prepare(tmp_path / f"{name} store", tmp_path / name, **flat(size=32))
    assert _values(store) == [10, 20, 30]
    assert store.sequences[0].source == name


# Crops


def test_pictures_of_different_sizes_and_modes(tmp_path, prepare):
    root = tmp_path / "a"
    _save(root / "1.png", np.full((40, 80, 3), 10, np.uint8))
    _save(root / "2.png", np.full((1, 1), 20, np.uint8))
    _save(root / "3.tif", np.full((300, 31), 30 * 257, np.uint16))
    transparent = np.zeros((64, 64, 4), np.uint8)
    transparent[..., 0] = 200
    _save(root / "4.png", transparent)
    _save(root / "5.bmp", np.full((250, 501, 3), 50, np.uint8))
    store = prepare(root)
    assert store.frame_shape == (32, 32, 3)
    assert store.frames(0)[:, 16, 16, 0].tolist() == [10, 20, 30, 0, 50]
    store = prepare(root, crop="center")
    assert _values(store) == [10, 20, 30, 0, 50]


def test_the_middle_or_all_of_a_picture(tmp_path, prepare, rng):
    image = rng.integers(1, 256, (32, 64, 3), np.uint8)
    for number in range(3):
        _save(tmp_path / "wide" / f"{number}.png", image)
        _save(tmp_path / "tall" / f"{number}.png", image.swapaxes(0, 1))
    middle = prepare(tmp_path / "wide", crop="center").frames(0)
    assert (middle == image[:, 16:48]).all()
    middle = prepare(tmp_path / "tall", crop="center").frames(0)
    assert (middle == image.swapaxes(0, 1)[16:48]).all()
    whole = prepare(tmp_path / "wide", crop="none", size=64).frames(0)
    assert (whole[:, 16:48] == image).all()
    assert not whole[:, :16].any() and not whole[:, 48:].any()
    whole = prepare(tmp_path / "tall", crop="none", size=64).frames(0)
    assert (whole[:, :, 16:48] == image.swapaxes(0, 1)).all()
    half = prepare(tmp_path / "wide", crop="center", size=16).frames(0)
    blocks = image[:, 16:48].reshape(16, 2, 16, 2, 3).mean(axis=(1, 3))
    assert np.abs(half - blocks).max() <= 1


def test_grey_frames(tmp_path, prepare, rng):
    image = rng.integers(0, 256, (32, 32, 3), np.uint8)
    for number in range(3):
        _save(tmp_path / "a" / f"{number}.png", image)
    grey = prepare(tmp_path / "a", channels=1)
    assert grey.frame_shape == (32, 32, 1)
    expected = np.asarray(Image.fromarray(image).convert("L"))
    assert np.abs(grey.frames(0)[..., 0].astype(int) - expected).max() <= 1


def test_lengths(tmp_path, prepare):
    root = tmp_path / "root"
    _fill(root / "short", [1, 2])
    _fill(root / "long", range(1, 21))
    with pytest.warns(UserWarning, match="short: has 2 .* min_length 3"):
        store = prepare(root)
    assert [s.source for s in store.sequences] == ["long"]
    assert len(prepare(root, min_length=2)) == 2

    def numbers(**arguments):
        with pytest.warns(UserWarning, match="skipped: short"):
            store = prepare(root, **arguments)
        return [_values(store, number) for number in range(len(store))]

    assert numbers(max_length=10) == [list(range(1, 11)), list(range(11, 21))]
    assert numbers(max_length=8, long="first") == [list(range(1, 9))]
    (thin,) = numbers(max_length=8, long="thin")
    assert (thin[0], thin[-1], len(set(thin))) == (1, 20, 8)
    # Pictures that cannot be read do not count, and are told in the same warning.
    (root / "short" / "3.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning) as caught:
        prepare(root)
    (message,) = [str(warning.message) for warning in caught]
    assert "has 2 pictures" in message and "3.png: cannot be read" in message


def test_processes_give_the_same_store(tmp_path, prepare):
    root = tmp_path / "root"
    for number in range(5):
        _fill(root / f"f{number}", range(number, number + 4))

    def content(store):
        return {path.name: path.read_bytes() for path in store.path.iterdir()}

    here = content(prepare(root))
    assert content(prepare(root, workers=2)) == here


def test_progress_and_overwriting(tmp_path, prepare):
    root = tmp_path / "root"
    for number in range(3):
        _fill(root / f"f{number}", [1, 2, 3])
    seen = []
    store = prepare(root, progress=lambda *now: seen.append(now))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert store.frames(0).shape == (3, 32, 32, 3)
    with pytest.raises(InputError, match="exists"):
        prepare(root, overwrite=False)
    # Over a store that this process has read.
    _fill(root / "f0", [7, 8, 9])
    assert _values(prepare(root)) == [7, 8, 9]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "S",
        "S.report.csv",
        "root",
    ]


def test_what_is_refused(tmp_path, prepare, detector_model):
    root = _fill(tmp_path / "a", [1, 2, 3])
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    (tmp_path / "empty" / "a.txt").write_text("no picture")
    with pytest.raises(InputError, match="empty: holds no picture"):
        prepare(tmp_path / "empty")
    for path in (root / "1.png", tmp_path / "none"):
        with pytest.raises(InputError, match="is not a folder"):
            prepare(path)
    for name, value in (
        ("crop", "faces"),
        ("align", "nose"),
        ("channels", 4),
        ("size", 40),
        ("margin", float("nan")),
        ("min_length", -1),
        ("max_length", -1),
        ("long", "cut"),
        ("shares", (1, 1, 1)),
    ):
        said = "splits" if name == "shares" else name
        with pytest.raises(InputError, match=f"^{said}(=|: )"):
            prepare(root, **{name: value})
    for name, value in (("threshold", 1), ("detector_size", 8)):
        with pytest.raises(InputError, match=f"^{name}(=|: )"):
            prepare(root, crop="face", detector_model=detector_model, **{name: value})
    (root / "1.png").write_bytes(b"")
    with pytest.warns(UserWarning), pytest.raises(InputError, match="no folder gave"):
        prepare(root)
    assert not (tmp_path / "S").exists()


# Labels


def test_labels_by_the_names_of_pictures(tmp_path, prepare):
    root = tmp_path / "root"
    for folder in ("ann/1", "ann/2", "bob"):
        _fill(root / folder, range(1, 13))
    (tmp_path / "labels.csv").write_text(
        "source,frame,person,mood,pain\n"
        "ann/1,,ann,calm,\n2,,ann,tense,0\nbob,,bob,calm,\n"
        "ann/1,10.png,,,0.5\nann/1,2.png,,,1\nann/1,0,,,2\n"
        "elsewhere,1.png,,,3\n"
    )
    with pytest.warns(UserWarning, match="1 rows .* not there .'elsewhere'"):
        store = prepare(root, labels=tmp_path / "labels.csv")
    by_source = {s.source: s for s in store.sequences}
    pain = store.frame_labels(by_source["ann/1"].index)["pain"]
    # 2.png is the second picture and 10.png the tenth.
    assert pain[[0, 1, 9]].tolist() == [2, 1, 0.5] and np.isnan(pain[2:9]).all()
    assert (store.frame_labels(by_source["ann/2"].index)["pain"] == 0).all()
    moods = {source: s.labels["mood"] for source, s in by_source.items()}
    assert moods == {"ann/1": "calm", "ann/2": "tense", "bob": "calm"}
    assert by_source["ann/1"].person == by_source["ann/2"].person == "ann"
    assert by_source["ann/1"].split == by_source["ann/2"].split
    (tmp_path / "labels.csv").write_text("source,frame,x\nbob,99.png,1\n")
    with pytest.raises(InputError, match="line 2 .*'99.png'.* a picture that is there"):
        prepare(root, labels=tmp_path / "labels.csv")


def test_labels_stay_with_their_pictures_where_others_are_broken(tmp_path, prepare):
    root = _fill(tmp_path / "a", range(10, 70, 10))
    (root / "2.png").write_bytes(b"")
    (tmp_path / "labels.csv").write_text(
        "source,frame,value\n"
        + "".join(f"a,{n}.png,{10 * n}\n" for n in (6, 5, 4, 3, 2, 1))
    )
    with pytest.warns(UserWarning, match="2.png"):
        store = prepare(root, labels=tmp_path / "labels.csv")
    assert _values(store) == store.frame_labels(0)["value"].tolist()
    assert _values(store) == [10, 30, 40, 50, 60]


def test_persons_and_splits_of_the_table(tmp_path, prepare):
    root = tmp_path / "root"
    for number in range(12):
        _fill(root / f"f{number}", [1, 2, 3])
    persons = [f"p{number // 3}" for number in range(12)]
    table = "source,person,split\n" + "".join(
        f"f{number},{person},{'val' if number == 4 else ''}\n"
        for number, person in enumerate(persons)
    )
    (tmp_path / "labels.csv").write_text(table)
    for seed in range(4):
        store = prepare(
            root, labels=tmp_path / "labels.csv", seed=seed, shares=(0.4, 0.3, 0.3)
        )
        splits = {}
        for sequence in store.sequences:
            splits.setdefault(sequence.person, set()).add(sequence.split)
        assert set(splits) == set(persons)
        assert all(len(found) == 1 for found in splits.values())
        # f4 is of p1, and the others of p1 follow it.
        assert splits["p1"] == {"val"}
    (tmp_path / "labels.csv").write_text(table.replace("f5,p1,", "f5,p1,test"))
    with pytest.raises(InputError, match="gives 'p1' the splits val and test"):
        prepare(root, labels=tmp_path / "labels.csv")


def test_a_folder_for_each_person(tmp_path, prepare):
    for name in ("ann", "ann/monday", "bob/monday", "bob/friday/noon"):
        _fill(tmp_path / "root" / name, [1, 2, 3])
    store = prepare(tmp_path / "root", persons="folder")
    assert {s.source: s.person for s in store.sequences} == {
        "ann": "ann",
        "ann/monday": "ann",
        "bob/monday": "bob",
        "bob/friday/noon": "bob",
    }


# Faces (FC-17, FC-18, FC-19)


@pytest.fixture(scope="module")
def portrait(real_data):
    """A real face, upright, 1280 x 720, red, green, blue."""
    return next(iter(Video(real_data("faces") / "liveportrait_d13.mp4"))).image


@pytest.fixture
def find(tmp_path, prepare, detector_model):
    """A function from a folder of pictures to the box in each, by file name."""

    def find(root, **arguments):
        store = prepare(
            root,
            crop="face",
            **{"min_length": 1, "detector_model": detector_model, **arguments},
        )
        assert len(store) == 1
        files = images.find_folders(root)[0][2]
        labels = store.frame_labels(0)
        boxes = np.stack([labels[name] for name in _BOX], axis=1)
        names = [files[int(place)] for place in labels["source_frame"]]
        return dict(zip(names, boxes, strict=True)), store

    return find


def _scaled(image, height):
    shape = round(image.shape[1] * height / image.shape[0]), height
    smaller = height < image.shape[0]
    return cv2.resize(
        image, shape, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    )


def _assert_same_box(boxes, expected, share):
    for name, box in boxes.items():
        assert np.abs(box - expected).max() < share * expected[2], name


def test_a_face_is_found_at_any_scale(tmp_path, portrait, find):
    heights = (200, 800, 1280, 4000)
    for height in heights:
        _save(tmp_path / "a" / f"{height}.jpg", _scaled(portrait, height), quality=92)
    boxes, store = find(tmp_path / "a", size=64)
    assert list(boxes) == [f"{height}.jpg" for height in heights]
    scaled = {
        name: box * 1280 / height
        for (name, box), height in zip(boxes.items(), heights, strict=True)
    }
    _assert_same_box(scaled, scaled["1280.jpg"], 0.06)
    # The crops look the same, then.
    crops = store.frames(0).astype(float)
    assert np.abs(crops - crops[2]).mean() < 12


def test_pictures_of_any_size_in_one_folder(tmp_path, portrait, find, rng):
    root = tmp_path / "a"
    for width, height in ((641, 481), (640, 480), (333, 777), (31, 31), (1, 1)):
        if min(width, height) > 100:
            image = np.full((height, width, 3), 128, np.uint8)
            small = _scaled(portrait, min(height, width * 1280 // 720))
            image[: small.shape[0], : small.shape[1]] = small
        else:
            image = rng.integers(0, 256, (height, width, 3), np.uint8)
        _save(root / f"{width}x{height}.png", image)
    boxes, _ = find(root, min_length=3)
    assert set(boxes) == {"641x481.png", "640x480.png", "333x777.png"}
    for name, width in (("641x481", 481 * 720 / 1280), ("333x777", 333)):
        assert 0.2 * width < boxes[f"{name}.png"][2] < width
    report = _report(tmp_path)["a"]
    assert (report["frames_read"], report["frames_found"]) == ("5", "3")


def test_all_modes_give_the_same_box(tmp_path, portrait, find):
    image = Image.fromarray(_scaled(portrait, 640))
    alpha = image.convert("RGBA")
    alpha.putalpha(255)
    grey = image.convert("L")
    modes = {
        "RGB.png": image,
        "L.png": grey,
        "LA.png": grey.convert("LA"),
        "RGBA.png": alpha,
        "P.png": image.quantize(256),
        "CMYK.tif": image.convert("CMYK"),
        "CMYK.jpg": image.convert("CMYK"),
        "I16.tif": Image.fromarray(np.asarray(grey).astype(np.uint16) * 257),
        "1.png": image.convert("1"),
    }
    root = tmp_path / "a"
    root.mkdir()
    for name, picture in modes.items():
        picture.save(root / name)
        assert Image.open(root / name).mode == picture.mode
    boxes, _ = find(root)
    # Dithering may hide a face.
    boxes.pop("1.png", None)
    assert set(boxes) == set(modes) - {"1.png"}
    _assert_same_box(boxes, boxes["RGB.png"], 0.05)


def test_a_turned_picture_is_searched_as_it_is_seen(tmp_path, portrait, find):
    image = _scaled(portrait, 640)
    exif = Image.Exif()
    exif[0x0112] = 6
    root = tmp_path / "a"
    _save(root / "1.png", image)
    _save(root / "2.png", np.ascontiguousarray(np.rot90(image)), exif=exif)
    boxes, store = find(root)
    assert (boxes["1.png"] == boxes["2.png"]).all()
    assert (store.frames(0)[0] == store.frames(0)[1]).all()


def test_pictures_without_a_face_are_left_out(tmp_path, portrait, find, prepare, rng):
    root = tmp_path / "a"
    image = _scaled(portrait, 640)
    for number in range(1, 7):
        empty = number in (1, 4)
        noise = rng.integers(0, 256, image.shape, np.uint8)
        _save(root / f"{number}.png", noise if empty else image)
    boxes, store = find(root)
    assert list(boxes) == ["2.png", "3.png", "5.png", "6.png"]
    assert store.frame_labels(0)["source_frame"].tolist() == [1, 2, 4, 5]
    with (
        pytest.warns(UserWarning, match="has 4 pictures with a face, fewer"),
        pytest.raises(InputError, match="no folder gave a sequence"),
    ):
        find(root, min_length=5)


def test_the_face_near_the_last_one_is_followed(tmp_path, portrait, find):
    face = _scaled(portrait, 480)[:, :270]
    small = _scaled(face, 360)
    root = tmp_path / "a"
    for number in range(4):
        image = np.full((480, 600, 3), 90, np.uint8)
        # The left one is the larger one at first, then the smaller one.
        left, right = (face, small) if number < 2 else (small, face)
        image[: left.shape[0], : left.shape[1]] = left
        image[: right.shape[0], 300 : 300 + right.shape[1]] = right
        _save(root / f"{number}.png", image)
    boxes, _ = find(root)
    assert len(boxes) == 4
    assert all(box[0] + box[2] / 2 < 300 for box in boxes.values())


def test_eyes_come_to_the_same_places(tmp_path, portrait, prepare, detector_model):
    image = _scaled(portrait, 640)
    height, width = image.shape[:2]
    root = tmp_path / "a"
    for number, angle in enumerate((-20, 0, 20)):
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1)
        _save(root / f"{number}.png", cv2.warpAffine(image, turn, (width, height)))
    # On smaller pictures the detector takes tilted faces for nearly upright ones.
    arguments = {"detector_model": detector_model, "detector_size": 480}
    detector = FaceDetector(detector_model, 480)
    tilts = {}
    for align in ("box", "eyes"):
        store = prepare(root, crop="face", align=align, size=256, **arguments)
        tilts[align] = []
        for frame in store.frames(0):
            face = detector.detect(frame)[0]
            across, down = face.landmarks[1] - face.landmarks[0]
            tilts[align].append(np.degrees(np.arctan2(down, across)))
    assert np.ptp(tilts["box"]) > 25
    assert np.ptp(tilts["eyes"]) < 10


def test_a_detector_in_a_folder_of_any_name(tmp_path, portrait, find, detector_model):
    folder = tmp_path / "модель é"
    folder.mkdir()
    shutil.copy(detector_model, folder / "ä 1.onnx")
    _save(tmp_path / "a" / "1.png", _scaled(portrait, 320))
    boxes, _ = find(tmp_path / "a", detector_model=folder / "ä 1.onnx")
    assert list(boxes) == ["1.png"]


@pytest.mark.slow
def test_a_script_that_imports_the_model(tmp_path):
    """Workers run the script again, but for what is under the guard."""
    for name in ("a", "b"):
        _fill(tmp_path / "P" / name, range(1, 5))
    script = tmp_path / "script.py"
    script.write_text(
        "from keras_ddr import DDR, layers\n"
        "from keras_ddr.datasets import Cropping, Work, images\n"
        "if __name__ == '__main__':\n"
        "    store = images.prepare('S', 'P', cropping=Cropping(size=16),\n"
        "                           work=Work(workers=2))\n"
        "    print(len(store))\n"
    )
    result = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.stdout.strip() == "2", result.stderr[-2000:]
