"""Aff-Wild2, on trees drawn here."""

import csv
import os
import shutil
import warnings

import cv2
import numpy as np
import pytest
from PIL import Image

from flat_options import flat
from keras_ddr import InputError
from keras_ddr.datasets import affwild2, affwild2_files
from keras_ddr.datasets.pipeline import report_path

EXPRESSIONS = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"


def _faces(root, key, numbers, seed=0, name="{:05d}.png", size=(112, 112), colour=None):
    """Pictures by number; PNG, so that they can be compared exactly."""
    folder = root / key
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    made = {}
    for number in numbers:
        image = random.integers(0, 256, (*size, 3), np.uint8)
        if colour is not None:
            image[:] = colour
        Image.fromarray(image).save(folder / name.format(number))
        made[number] = image
    return made


def _shrunk(image, size=64):
    """Averages over areas, by hand."""
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)


def _write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def _va(file, rows):
    lines = [f"{valence:.4f},{arousal:.4f}" for valence, arousal in rows]
    return _write(file, "\n".join(["valence,arousal", *lines, ""]))


def _ramp(count):
    values = np.round(np.linspace(-0.9, 0.9, count), 4)
    return np.stack([values, -values], 1)


def _prepare(tmp_path, root, **arguments):
    """The store, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        store = affwild2.prepare(
            tmp_path / "store", root, **flat(**{"min_length": 5, **arguments})
        )
    return store, [str(warning.message) for warning in caught]


def _by_source(store):
    return {s.source.rsplit("/", 1)[1]: s for s in store.sequences}


@pytest.fixture
def root(tmp_path):
    return tmp_path / "Aff-Wild2"


# Frames


@pytest.mark.parametrize("name", ["{:05d}.png", "{:6d}.png", "{}.PNG"])
@pytest.mark.parametrize(
    "folder",
    ["cropped_aligned", "batch1/Cropped_Aligned/cropped_aligned", "faces/batch2"],
)
def test_frames_and_labels(tmp_path, root, folder, name):
    numbers = [n for n in range(1, 41) if not 10 <= n <= 14 and not 21 <= n <= 26]
    made = _faces(root / folder, "video7", numbers, name=name)
    if folder != "faces/batch2":
        # Pictures elsewhere are of something else.
        _faces(root / "cropped", "video8", range(1, 9))
    (root / folder / "video7" / "._00002.png").write_bytes(b"\0")
    (root / folder / "video7" / "mean.png").write_bytes(b"\0")
    _va(root / "annotations" / "VA_Set" / "Train" / "video7.txt", _ramp(40))
    _write(root / "README.txt", "Read me.\n")
    store, messages = _prepare(tmp_path, root)
    assert messages == []
    # A gap of five is skipped, one of six ends the sequence.
    parts = [[n for n in numbers if n < 21], [n for n in numbers if n > 26]]
    assert [s.name for s in store.sequences] == [f"{folder}/video7#{n}" for n in (1, 2)]
    for index, part in enumerate(parts):
        assert np.array_equal(store.frames(index), [_shrunk(made[n]) for n in part])
        labels = store.frame_labels(index)
        places = np.array(part) - 1
        assert labels["source_frame"].tolist() == places.tolist()
        assert np.isnan(labels["time"]).all()
        np.testing.assert_allclose(labels["valence"], _ramp(40)[places, 0], atol=1e-6)
        np.testing.assert_allclose(labels["arousal"], _ramp(40)[places, 1], atol=1e-6)
    assert store.meta["dataset"] == "affwild2"
    assert "research only" in store.meta["licence"]


def test_real_suffix_other_shapes_and_grey(tmp_path, root):
    folder = root / "cropped_aligned"
    smooth = np.linspace(0, 255, 112).astype(np.uint8)
    image = np.stack([np.tile(smooth, (112, 1))] * 3, -1)
    (folder / "a").mkdir(parents=True)
    for number in range(1, 7):
        Image.fromarray(image).save(folder / "a" / f"{number:05d}.jpg", quality=95)
    made = _faces(folder, "b", range(1, 7), size=(100, 60))
    store, _ = _prepare(tmp_path, root)
    expected = _shrunk(image).astype(int)
    assert np.abs(store.frames(0) - expected).max() <= 6
    wide = np.zeros((100, 100, 3), np.uint8)
    wide[:, 20:80] = made[1]
    assert np.array_equal(store.frames(1)[0], _shrunk(wide))
    grey, _ = _prepare(tmp_path, root, channels=1, size=32, overwrite=True)
    assert grey.frame_shape == (32, 32, 1)
    luma = _shrunk(wide, 32) @ [0.299, 0.587, 0.114]
    assert np.abs(grey.frames(1)[0, ..., 0] - luma).max() <= 0.51


def test_lengths(tmp_path, root):
    _faces(root / "cropped_aligned", "a", range(1, 41), size=(16, 16))
    _va(root / "a.txt", _ramp(40))

    def numbers(**lengths):
        store, _ = _prepare(tmp_path, root, size=16, overwrite=True, **lengths)
        return [
            store.frame_labels(i)["source_frame"].tolist() for i in range(len(store))
        ]

    parts = [list(range(14)), list(range(14, 27)), list(range(27, 40))]
    assert numbers(max_length=15) == parts
    assert numbers(max_length=15, long="first") == [list(range(15))]
    assert numbers(max_length=14, long="thin") == [list(range(0, 40, 3))]
    assert numbers(max_length=None) == [list(range(40))]
    with pytest.raises(InputError, match="40 frames, fewer than min_length 41"):
        _prepare(tmp_path, root, size=16, overwrite=True, min_length=41)


def test_other_processes(tmp_path, root):
    for key in ("3", "20", "100"):
        _faces(root / "cropped_aligned", key, range(1, 7), int(key))
        _va(root / f"{key}.txt", _ramp(6))
    one, _ = _prepare(tmp_path, root)
    two, _ = _prepare(tmp_path, root, workers=1, overwrite=True)
    assert one.meta["sha256"] == two.meta["sha256"]
    # In natural order.
    assert [s.source for s in two.sequences] == [
        f"cropped_aligned/{key}" for key in (3, 20, 100)
    ]


def test_broken_pictures_are_left_out(tmp_path, root):
    folder = root / "cropped_aligned"
    made = _faces(folder, "a", range(1, 13))
    _faces(folder, "b", [1])
    _va(root / "a.txt", _ramp(12))
    _va(root / "b.txt", _ramp(12))
    (folder / "a" / "00003.png").write_bytes(b"")
    half = (folder / "a" / "00005.png").read_bytes()
    (folder / "a" / "00005.png").write_bytes(half[: len(half) // 2])
    (folder / "b" / "00001.png").write_bytes(b"no picture")
    # Numbers that are none of a frame.
    shutil.copyfile(folder / "a" / "00001.png", folder / "a" / "00000.png")
    shutil.copyfile(folder / "a" / "00002.png", folder / "a" / "1.png")
    store, messages = _prepare(tmp_path, root)
    kept = [1, 2, 4, 6, 7, 8, 9, 10, 11, 12]
    (sequence,) = store.sequences
    assert np.array_equal(store.frames(0)[1:], [_shrunk(made[n]) for n in kept[1:]])
    labels = store.frame_labels(0)
    assert labels["source_frame"].tolist() == [n - 1 for n in kept]
    expected = _ramp(12)[[n - 1 for n in kept], 0]
    np.testing.assert_allclose(labels["valence"], expected, atol=1e-6)
    first, skipped, noted = messages
    assert "2 of 12 pictures are left out; the first: " in first
    assert str(folder / "a" / "00003.png") in first
    assert "frames are counted from 1, once" in first and "00000.png" in first
    assert skipped.startswith("skipped: cropped_aligned/b: no picture could be read")
    assert str(folder / "b" / "00001.png") in noted
    assert not any("\n" in message for message in messages)
    with open(report_path(store.path), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["frames_found"] for row in rows] == ["10", "0"]


# Labels


def test_every_kind_of_label(tmp_path, root):
    folder = root / "cropped_aligned"
    for seed, key in enumerate(("a", "b", "c")):
        _faces(folder, key, range(1, 9), seed)
    _va(root / "VA" / "a.txt", [(0.5, -0.5)] * 7 + [(-5, -5)])
    classes = [0, 1, 7, -1, 4, 2, 2, 6]
    _write(root / "EXPR" / "a.txt", "\n".join([EXPRESSIONS, *map(str, classes)]))
    _write(root / "EXPR" / "b.txt", "\n".join([EXPRESSIONS, *"33333333"]))
    units = ["1,0", "0,1", "-1,-1", "1,1", "0,0", "-1,0", "1,0", "1,0"]
    _write(root / "AU" / "b.txt", "\n".join(["AU1,AU25", *units]))
    store, messages = _prepare(tmp_path, root)
    assert messages == ["c: no annotations, so labels are missing"]
    info = store.labels
    assert info["expression"].classes == tuple(EXPRESSIONS.split(","))
    assert info["AU25"].classes == ("0", "1")
    a, b, c = (store.frame_labels(i) for i in range(3))
    np.testing.assert_array_equal(a["valence"], [0.5] * 7 + [np.nan])
    np.testing.assert_array_equal(a["arousal"], [-0.5] * 7 + [np.nan])
    assert a["expression"].tolist() == classes
    assert a["AU1"].tolist() == [-1] * 8
    assert np.isnan(b["valence"]).all()
    assert b["expression"].tolist() == [3] * 8
    assert b["AU1"].tolist() == [1, 0, -1, 1, 0, -1, 1, 1]
    assert b["AU25"].tolist() == [0, 1, -1, 1, 0, 0, 0, 0]
    for name in ("expression", "AU1", "AU25"):
        assert c[name].tolist() == [-1] * 8
    assert np.isnan(c["arousal"]).all()


def test_lists_of_the_multi_task_challenge(tmp_path, root):
    for seed, key in enumerate(("a", "b_left")):
        _faces(root / "cropped_aligned", key, range(1, 9), seed)
    units = ["AU1", "AU2", "AU4"]
    rows = [
        "a/00001.jpg,0.5,-0.5,4,0,1,-1",
        "a/00003.jpg,-5,-5,-1,-1,-1,-1",
        "cropped_aligned/a/00008.jpg,-1,1,7,1,1,1",
        "a/00004.jpg,0.5,0.5,8,0,0,0",
        "nowhere/00001.jpg,0,0,0,0,0,0",
    ]
    text = "\n".join([",".join(["image,valence,arousal,expression", *units]), *rows])
    _write(root / "MTL" / "training_set_annotations.txt", text)
    more = "\n".join([text.splitlines()[0], "b_left/00002.jpg,0,0,0,1,0,1"])
    _write(root / "MTL" / "validation_set_annotations.txt", more)
    # The annotation of a video comes first.
    _va(root / "VA" / "b_left.txt", [(0.25, 0.75)] * 8)
    store, messages = _prepare(tmp_path, root)
    assert len(messages) == 2
    assert "training_set_annotations.txt: there are no pictures of now" in messages[0]
    assert "training_set_annotations.txt: line 5 holds 'a/00004.jpg" in messages[1]
    assert store.labels["expression"].classes == tuple(EXPRESSIONS.split(","))
    a, b = (store.frame_labels(f"cropped_aligned/{key}#1") for key in ("a", "b_left"))
    nan = np.nan
    np.testing.assert_array_equal(a["valence"], [0.5, *[nan] * 6, -1])
    np.testing.assert_array_equal(a["arousal"], [-0.5, *[nan] * 6, 1])
    assert a["expression"].tolist() == [4, *[-1] * 6, 7]
    assert a["AU2"].tolist() == [1, *[-1] * 6, 1]
    assert a["AU4"].tolist() == [-1] * 7 + [1]
    assert b["expression"].tolist() == [-1, 0, *[-1] * 6]
    assert b["AU4"].tolist() == [-1, 1, *[-1] * 6]
    assert (b["valence"] == 0.25).all()


def test_a_list_that_names_its_units_in_one_word(tmp_path, root):
    _faces(root / "cropped_aligned", "a", range(1, 7))
    row = f"a/00002.jpg,0,0,0,{','.join('010101010101')}"
    _write(root / "list.txt", f"image,valence,arousal,expression,aus\n{row}\n")
    store, messages = _prepare(tmp_path, root)
    assert not messages
    units = [name for name in store.labels if name.startswith("AU")]
    assert units[:4] == ["AU1", "AU2", "AU4", "AU6"] and units[-1] == "AU26"
    assert [store.label_values(0, unit)[1] for unit in units] == [0, 1] * 6
    other = "image,valence,arousal,expression,AU1,AU7\na/00001.jpg,0,0,0,1,1\n"
    _write(root / "more.txt", other)
    with pytest.raises(InputError, match=r"more.txt: its header names AU1, AU7, but"):
        _prepare(tmp_path, root, overwrite=True)


def test_headers_that_differ(tmp_path, root):
    for key in ("a", "b"):
        _faces(root / "cropped_aligned", key, range(1, 7))
    seven = EXPRESSIONS.removesuffix(",Other")
    first = _write(root / "a.txt", EXPRESSIONS + "\n0\n")
    second = _write(root / "b.txt", seven + "\n0\n")
    with pytest.raises(InputError) as error:
        _prepare(tmp_path, root)
    assert str(first) in str(error.value) and str(second) in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "store").exists()
    # What belongs to nobody does not count.
    second.rename(root / "z.txt")
    store, _ = _prepare(tmp_path, root)
    assert store.labels["expression"].classes == tuple(EXPRESSIONS.split(","))
    # Columns go by their names, not by their order.
    _write(root / "a.txt", "AU1,AU2\n" + "1,0\n" * 6)
    _write(root / "b.txt", "AU2,AU1\n" + "1,0\n" * 6)
    (root / "z.txt").unlink()
    store, _ = _prepare(tmp_path, root, overwrite=True)
    assert store.frame_labels(0)["AU1"].tolist() == [1] * 6
    assert store.frame_labels(1)["AU1"].tolist() == [0] * 6
    _write(root / "b.txt", "AU1,AU4\n" + "1,0\n" * 6)
    with pytest.raises(InputError, match="AU1, AU4"):
        _prepare(tmp_path, root, overwrite=True)


_ROWS = ["0.5,-0.25", "-1,1", "0,0.125"]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(["valence,arousal", *_ROWS]),
        "\n".join(["valence,arousal", *_ROWS]) + "\n\n \n",
        "\r\n".join(["valence,arousal", *_ROWS]) + "\r\n",
        "\ufeff" + "\n".join(["valence,arousal", *_ROWS]),
        "\n".join(["Valence, Arousal", *_ROWS]).replace(",", ", "),
        "arousal,valence\n-0.25,0.5\n1,-1\n0.125,0\n",
    ],
)
def test_harmless_annotations_are_equal(tmp_path, text):
    file = tmp_path / "a.txt"
    file.write_bytes(text.encode())
    rows, problem = affwild2_files.read_annotation(file, "va", ["valence", "arousal"])
    assert rows.tolist() == [[0.5, -0.25], [-1, 1], [0, 0.125]]
    assert problem == ""


@pytest.mark.parametrize(
    ("header", "good", "bad"),
    [
        ("valence,arousal", "0.5,0.25", ["0.5", "0.5,2", "x,0", "", "0,0,0", "0;0"]),
        (EXPRESSIONS, "3", ["8", "-2", "1.5", "x", "nan", "inf", "", "1,2", "-5"]),
        ("AU1,AU2", "1,0", ["2,0", "1", "1,0,1", "0.5,0", "x,x", ""]),
    ],
)
def test_bad_rows_keep_their_place(tmp_path, header, good, bad):
    file = tmp_path / "a.txt"
    for row in bad:
        _write(file, f"{header}\n{good}\n{row}\n{good}\n")
        kind, names = affwild2_files.read_header(file)
        rows, problem = affwild2_files.read_annotation(file, kind, names)
        assert len(rows) == 3
        assert np.isnan(rows[1]).all() and not np.isnan(rows[[0, 2]]).any()
        assert problem.startswith(f"{file}: line 3 holds {row!r}")
        assert "\n" not in problem


def test_bad_annotations_cost_their_labels_only(tmp_path, root):
    keys = ("empty", "header", "none", "row", "short", "whole")
    for seed, key in enumerate(keys):
        _faces(root / "cropped_aligned", key, range(1, 9), seed)
        _va(root / f"{key}.txt", _ramp(8))
    (root / "empty.txt").write_bytes(b"")
    (root / "header.txt").write_text("valence,arousal\n")
    (root / "none.txt").write_text("0.5,0.5\n" * 8)
    lines = (root / "row.txt").read_text().splitlines()
    lines[4] = "0.5,7"
    (root / "row.txt").write_text("\n".join(lines))
    _va(root / "short.txt", _ramp(8)[:7])
    store, messages = _prepare(tmp_path, root)
    assert len(store) == 6
    missing = {
        s.source.rsplit("/", 1)[1]: np.flatnonzero(
            np.isnan(store.frame_labels(s.index)["valence"])
        ).tolist()
        for s in store.sequences
    }
    every = list(range(8))
    assert missing == {
        "empty": every,
        "header": every,
        "none": every,
        "row": [3],
        "short": [7],
        "whole": [],
    }
    texts = [
        f"{root / 'empty.txt'}: is empty (0 bytes)",
        f"{root / 'none.txt'}: line 1 holds '0.5,0.5'",
        "empty, none: no annotations",
        f"{root / 'header.txt'}: holds no row",
        f"{root / 'row.txt'}: line 5 holds '0.5,7'",
        f"{root / 'short.txt'}: 1 frames come after its last row, 7",
    ]
    assert len(messages) == len(texts)
    for text, message in zip(texts, messages, strict=True):
        assert text in message and "\n" not in message


# Matching by name


def test_two_people_of_a_video(tmp_path, root):
    colours = {"left": (255, 0, 0), "right": (0, 0, 255)}
    for key in ("v1", "v2", "v3", "v4", "v5"):
        for side, colour in colours.items():
            folder = root / "cropped_aligned"
            _faces(folder, f"{key}_{side}", range(1, 7), colour=colour)
            value = 0.5 if side == "left" else -0.5
            _va(root / "VA" / f"{key}_{side}.txt", [(value, -value)] * 6)
    store, messages = _prepare(tmp_path, root, shares=(0.4, 0.3, 0.3))
    assert messages == [] and len(store) == 10
    splits = {}
    for key, sequence in _by_source(store).items():
        video, side = key.split("_")
        splits.setdefault(video, set()).add(sequence.split)
        frames = store.frames(sequence.index)
        assert (frames == np.array(colours[side], np.uint8)).all()
        values = store.frame_labels(sequence.index)["valence"]
        assert (values == (0.5 if side == "left" else -0.5)).all()
    # Both of a video are in one split, but not all videos.
    assert len(splits) == 5 and all(len(found) == 1 for found in splits.values())
    assert len(set.union(*splits.values())) == 3


def test_the_mere_name_of_a_video(tmp_path, root):
    for key in ("a_left", "b_left", "b_right", "c", "c_right", "d_left"):
        _faces(root / "cropped_aligned", key, range(1, 7))
    for key in ("a", "b", "c", "d", "d_left"):
        value = 0.25 if key == "d" else 0.5
        _va(root / f"{key}.txt", [(value, value)] * 6)
    store, messages = _prepare(tmp_path, root)
    values = {
        key: store.frame_labels(s.index)["valence"][0].item()
        for key, s in _by_source(store).items()
    }
    known = {key: value for key, value in values.items() if value == value}
    # One person only, the one of this name, and the one of this name and side.
    assert known == {"a_left": 0.5, "c": 0.5, "d_left": 0.5}
    unclear, bare = messages
    assert f"{root / 'b.txt'}, {root / 'd.txt'}: could be of the left" in unclear
    assert bare == "b_left, b_right, c_right: no annotations, so labels are missing"


def test_one_name_twice(tmp_path, root):
    folder = root / "cropped_aligned"
    for seed, key in enumerate(("a", "b", "c")):
        _faces(folder, key, range(1, 7), seed)
        for part in ("Train", "Validation"):
            _va(root / "VA" / part / f"{key}.txt", _ramp(6))
    shutil.copytree(folder, root / "batch1" / "cropped_aligned")
    store, messages = _prepare(tmp_path, root)
    # Copies do no harm.
    assert messages == [] and len(store) == 3
    _va(root / "VA" / "Validation" / "a.txt", _ramp(6) / 2)
    _faces(root / "batch1" / "cropped_aligned", "b", range(1, 7), 9)
    store, messages = _prepare(tmp_path, root, overwrite=True)
    assert set(_by_source(store)) == {"a", "c"}
    assert np.isnan(store.frame_labels(0)["valence"]).all()
    assert not np.isnan(store.frame_labels(1)["valence"]).any()
    twice, bare, skipped = messages
    for part in ("Train", "Validation"):
        assert str(root / "VA" / part / "a.txt") in twice
    assert "different; keep one; their labels are left out" in twice
    assert bare == "a: no annotations, so labels are missing"
    assert skipped.startswith("skipped: ") and "different; keep one" in skipped
    assert str(folder / "b") in skipped


def test_annotations_without_pictures_and_the_reverse(tmp_path, root):
    _faces(root / "cropped_aligned", "a", range(1, 7))
    for key in ("a", "b", "c_left", "d", "e"):
        _va(root / "annotations" / f"{key}.txt", _ramp(6))
    store, (message,) = _prepare(tmp_path, root)
    assert len(store) == 1 and "and 1 more: there are no pictures" in message
    assert str(root / "annotations" / "c_left.txt") in message
    shutil.rmtree(root / "annotations")
    store, (message,) = _prepare(tmp_path, root, overwrite=True)
    assert message.startswith(f"{root}: no annotations were found")
    assert set(store.labels) == {"source_frame", "time"}


def test_another_video_changes_nothing(tmp_path, root):
    for seed, key in enumerate(("b", "c", "d")):
        _faces(root / "cropped_aligned", key, range(1, 7), seed)
        _va(root / f"{key}.txt", _ramp(6) * (seed + 1) / 3)

    def content(store):
        return {
            key: (
                store.frames(s.index).tobytes(),
                store.frame_labels(s.index)["valence"].tobytes(),
            )
            for key, s in _by_source(store).items()
        }

    before = content(_prepare(tmp_path, root)[0])
    _faces(root / "cropped_aligned", "a", range(1, 7), 9)
    os.makedirs(root / "batch0" / "cropped_aligned")
    shutil.move(root / "cropped_aligned" / "d", root / "batch0" / "cropped_aligned")
    after = content(_prepare(tmp_path, root, overwrite=True)[0])
    del after["a"]
    assert before == after


def test_the_folder_itself(tmp_path, root):
    _faces(root / "cropped_aligned", "a", range(1, 7))
    _va(root / "cropped_aligned" / "a.txt", _ramp(6))
    store, messages = _prepare(tmp_path, root / "cropped_aligned")
    assert messages == [] and [s.source for s in store.sequences] == ["a"]
    assert not np.isnan(store.frame_labels(0)["valence"]).any()


@pytest.mark.skipif(os.name == "nt", reason="such names are forbidden there")
def test_odd_names(tmp_path, root):
    names = ["a b", 'it\'s "7"', "line\nbreak", "é ü 顔", "10-60-1280x720.v2", "-x"]
    for seed, name in enumerate(names):
        _faces(root / "cropped_aligned", name, range(1, 7), seed)
        _va(root / f"{name}.txt", [(seed / 10, 0)] * 6)
    # Some systems take é apart.
    (root / "é ü 顔.txt").rename(root / "e\u0301 u\u0308 顔.txt")
    store, messages = _prepare(tmp_path, root)
    assert messages == []
    found = _by_source(store)
    assert sorted(found) == sorted(names)
    for seed, name in enumerate(names):
        values = store.frame_labels(found[name].index)["valence"]
        np.testing.assert_allclose(values, seed / 10, atol=1e-6)


def test_what_is_refused(tmp_path, root):
    with pytest.raises(InputError, match="no such folder"):
        _prepare(tmp_path, root)
    (root / "cropped_aligned" / "a").mkdir(parents=True)
    (root / "cropped_aligned" / "a" / "face.png").write_bytes(b"")
    with pytest.raises(InputError, match="holds no folder cropped_aligned"):
        _prepare(tmp_path, root)
    _faces(root / "cropped_aligned", "a", range(1, 7))
    for name, value in {"size": 60, "channels": 2, "max_gap": -1}.items():
        with pytest.raises(InputError, match=f"^{name}"):
            _prepare(tmp_path, root, **{name: value})
    assert not (tmp_path / "store").exists()
