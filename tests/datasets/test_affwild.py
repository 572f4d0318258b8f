"""Aff-Wild, on trees drawn here and on real clips."""

import csv
import os
import random
import shutil
import warnings

import numpy as np
import pytest

from flat_options import flat
from keras_ddr import InputError
from keras_ddr.datasets import affwild, annotations, folders
from keras_ddr.datasets.pipeline import report_path
from keras_ddr.media import opencv
from keras_ddr.media.video import Video
from pixel_shapes import shaped

cv2 = opencv.load()

HEIGHT, WIDTH = 96, 128
BOXES = "aff_wild_annotations_bboxes_landmarks_new/bboxes/train"
MARKS = "aff_wild_annotations_bboxes_landmarks_new/annotations/train"


def _noise(count, seed=0):
    """Frames no two parts of which are alike."""
    shape = (count, HEIGHT, WIDTH, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def _write_video(path, frames, codec="FFV1"):
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = path.with_name(f"plain{path.suffix}")
    size = frames.shape[2], frames.shape[1]
    writer = cv2.VideoWriter(str(plain), cv2.VideoWriter_fourcc(*codec), 25, size)
    for frame in frames:
        writer.write(frame)
    writer.release()
    os.rename(plain, path)


def _write_boxes(folder, boxes):
    """Boxes as four corners in no order; keys count from 1, as the files do."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (x, y, w, h) in boxes.items():
        corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
        random.Random(number).shuffle(corners)
        lines = "\n".join(f"{a} {b}" for a, b in corners)
        text = f"version: 1\nn_points: 4\n{{\n{lines}\n}}\n"
        (folder / f"{number}.pts").write_text(text)


def _write_marks(folder, key, **values):
    for kind, numbers in values.items():
        file = folder / kind / f"{key}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{value:.4f}\n" for value in numbers))


def _values(count, sign=1):
    """A different value for every frame."""
    return sign * np.round(np.linspace(-0.9, 0.9, count), 4)


def _add(root, key="105", frames=None, boxes=None, valence=None, arousal=None):
    """A video whose faces are all in one place, unless it is said otherwise."""
    frames = _noise(40) if frames is None else frames
    _write_video(root / "videos" / "train" / f"{key}.avi", frames)
    if boxes is None:
        boxes = {n: (30.5, 20, 40, 48) for n in range(1, len(frames) + 1)}
    _write_boxes(root / BOXES / key, boxes)
    _write_marks(
        root / MARKS,
        key,
        valence=_values(len(frames)) if valence is None else valence,
        arousal=_values(len(frames), -1) if arousal is None else arousal,
    )


def _crop(frame, box, margin=0.2, size=64):
    """The crop by hand: the square around the box, red, green, blue."""
    x, y, w, h = box
    side = round(max(w, h) * (1 + 2 * margin))
    left, top = round(x + (w - side) / 2), round(y + (h - side) / 2)
    around = 300
    wide = np.pad(frame, ((around, around), (around, around), (0, 0)), "edge")
    part = wide[top + around :, left + around :][:side, :side]
    method = cv2.INTER_AREA if side >= size else cv2.INTER_LINEAR
    return cv2.resize(part, (size, size), interpolation=method)[..., ::-1]


def _prepare(tmp_path, root, **arguments):
    """The store, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        store = affwild.prepare(
            tmp_path / "store", root, **flat(**{"min_length": 5, **arguments})
        )
    return store, [str(warning.message) for warning in caught]


@pytest.fixture
def root(tmp_path):
    return tmp_path / "Aff-Wild"


# Frames


@pytest.mark.parametrize(
    ("videos", "boxes", "marks"),
    [
        ("videos/train", BOXES, MARKS),
        (
            "videos/videos/train/train",
            f"{BOXES.split('/')[0]}/{BOXES.split('/')[0]}/bboxs/train/train",
            f"{MARKS}/train",
        ),
        ("Videos/test", "Bounding_Boxes", "Annotations/TRAIN"),
        ("some/where", "bbox/train", "labels"),
    ],
)
def test_frames_are_the_crops_by_hand(tmp_path, root, videos, boxes, marks):
    frames = _noise(60)
    _write_video(root / videos / "105.avi", frames)
    given = {
        # Left, right, above and below the picture, wide, high and small.
        n: (2.1 * n - 18, 1.8 * n - 30, 20 + n, 70 - n / 2)
        for n in range(1, 61)
        if n not in range(11, 16) and n not in range(31, 37)
    }
    _write_boxes(root / boxes / "105", given)
    (root / boxes / "105" / "notes.txt").write_text("no box")
    (root / boxes / "105" / "mean.pts").write_text("no box")
    (root / boxes / "105" / "._7.pts").write_bytes(b"\0\5")
    landmarks = root / boxes / ".." / "landmarks" / "105"
    _write_boxes(landmarks, {1: (0, 0, 5, 5)})
    _write_marks(root / marks, "105", valence=_values(60), arousal=_values(60, -1))
    store, messages = _prepare(tmp_path, root, max_gap=5)
    assert messages == []
    # A gap of five is skipped, one of six ends the sequence.
    numbers = [
        [n - 1 for n in given if n < 31],
        [n - 1 for n in given if n > 36],
    ]
    assert [s.name for s in store.sequences] == [f"{videos}/105#{n}" for n in (1, 2)]
    for index, expected in enumerate(numbers):
        labels = store.frame_labels(index)
        assert labels["source_frame"].tolist() == expected
        crops = [_crop(frames[n], given[n + 1]) for n in expected]
        assert np.array_equal(store.frames(index), crops)
        np.testing.assert_allclose(labels["time"], np.array(expected) / 25, atol=1e-3)
        np.testing.assert_allclose(labels["valence"], _values(60)[expected], atol=1e-6)
        np.testing.assert_allclose(labels["arousal"], -_values(60)[expected], atol=1e-6)
        for place, name in enumerate(("x", "y", "width", "height")):
            boxes_now = [given[n + 1][place] for n in expected]
            np.testing.assert_allclose(labels[f"face_{name}"], boxes_now, atol=1e-3)
        assert np.isnan(labels["detector_score"]).all()
    assert store.meta["dataset"] == "affwild"
    assert "research only" in store.meta["licence"]


def test_boxes_are_in_pixels_as_they_are_stored(tmp_path, root):
    """Frames are as a player shows them, and boxes go with them."""
    boxes = {n: (30 + n, 20, 40, 48) for n in range(1, 13)}
    boxes[12] = (WIDTH + 1, 20, 40, 48)  # beside what is stored, within what is shown
    _add(root, frames=_noise(12), boxes=boxes)
    whole = root / "videos" / "train" / "105.mp4"
    _write_video(whole, _noise(12), "mp4v")
    whole.with_suffix(".avi").unlink()
    plain = [frame.image[..., ::-1] for frame in Video(whole)]
    os.replace(shaped(whole, 3, 2), whole)
    store, messages = _prepare(tmp_path, root)
    assert [len(store.frames(0)), store.frame_labels(0)["face_x"][0]] == [11, 46.5]
    for number, frame in enumerate(store.frames(0), 1):
        shown = cv2.resize(plain[number - 1], (192, HEIGHT))
        expected = _crop(shown, np.array(boxes[number]) * (1.5, 1, 1.5, 1))
        np.testing.assert_array_equal(frame, expected)
    (said,) = messages
    assert "frames of 128x96 are taken as 192x96" in said
    assert "the box (129, 20, 40, 48) is not in the picture of 128x96" in said


def test_margin_size_and_grey(tmp_path, root):
    frames = _noise(8)
    box = (40, 30, 25, 21)
    _add(root, frames=frames, boxes={n: box for n in range(1, 9)})
    store, _ = _prepare(tmp_path, root, margin=0.5, size=32)
    assert np.array_equal(store.frames(0), [_crop(f, box, 0.5, 32) for f in frames])
    grey, _ = _prepare(tmp_path, root, channels=1, overwrite=True)
    assert grey.frame_shape == (64, 64, 1)
    luma = [_crop(f, box) @ [0.299, 0.587, 0.114] for f in frames]
    assert np.abs(grey.frames(0)[..., 0] - np.array(luma)).max() <= 0.51


def test_lengths(tmp_path, root):
    _add(root)

    def numbers(**lengths):
        store, _ = _prepare(tmp_path, root, overwrite=True, **lengths)
        labels = [store.frame_labels(i) for i in range(len(store))]
        for each in labels:
            expected = _values(40)[each["source_frame"]]
            np.testing.assert_allclose(each["valence"], expected, atol=1e-6)
        return [each["source_frame"].tolist() for each in labels]

    assert numbers(min_length=40, max_length=40) == [list(range(40))]
    parts = [list(range(14)), list(range(14, 27)), list(range(27, 40))]
    assert numbers(max_length=15) == parts
    assert numbers(max_length=15, long="first") == [list(range(15))]
    assert numbers(max_length=14, long="thin") == [list(range(0, 40, 3))]
    assert numbers(max_length=None) == [list(range(40))]
    with pytest.raises(InputError, match="40 frames, fewer than min_length 41"):
        _prepare(tmp_path, root, overwrite=True, min_length=41)
    with pytest.raises(InputError, match="long"):
        _prepare(tmp_path, root, overwrite=True, long="last")
    # The default: sequences of 20 to 450 frames.
    store = affwild.prepare(tmp_path / "default", root)
    assert store.meta["arguments"]["min_length"] == 20
    assert store.meta["arguments"]["max_length"] == 450
    assert affwild.PAPER_SEQUENCES == 252


def test_other_processes_and_the_same_split_again(tmp_path, root):
    for key in ("3", "20", "100"):
        _add(root, key, _noise(8, int(key)))
    one, _ = _prepare(tmp_path, root)
    two, _ = _prepare(tmp_path, root, workers=1, overwrite=True)
    assert one.meta["sha256"] == two.meta["sha256"]
    assert [s.split for s in one.sequences] == [s.split for s in two.sequences]
    # In natural order.
    assert [s.source for s in one.sequences] == [
        f"videos/train/{key}.avi" for key in (3, 20, 100)
    ]


# Labels

_SOME = [n for n in range(3, 38) if n % 7]  # 30 of 40 frames, counted from 1


_COUNTS = [
    (40, _SOME, range(40), ""),
    # As many as boxes.
    (len(_SOME), _SOME, [n - 1 for n in _SOME], "taken as one a boxed frame"),
    # More and a few fewer than frames.
    (39, _SOME, range(39), "taken as one a frame"),
    (41, _SOME, range(40), "taken as one a frame"),
    (60, _SOME, range(40), "taken as one a frame"),
    (35, _SOME, range(35), "taken as one a frame"),
    # As far as the last box.
    (20, range(5, 20), range(20), "taken as one a frame"),
    (19, range(5, 20), range(19), "taken as one a frame"),
    # Nothing fits.
    (34, _SOME, [], "fits neither"),
    (18, range(5, 20), [], "fits neither"),
    (0, _SOME, [], "fits neither"),
]


def test_lines_are_counted():
    for count, boxed, frames_of_lines, said in _COUNTS:
        places = [n - 1 for n in boxed]
        numbers, rule = annotations.align(count, 40, places, places)
        found = [] if numbers is None else [n for n in numbers if n < 40]
        assert found == list(frames_of_lines)
        assert said in rule and bool(rule) == bool(said)


@pytest.mark.parametrize(
    ("count", "boxed", "frames_of_lines", "said"),
    [*_COUNTS[:3], _COUNTS[8]],
)
def test_lines_belong_to_frames_by_their_count(
    tmp_path, root, count, boxed, frames_of_lines, said
):
    _add(
        root,
        boxes={n: (30, 20, 40, 40) for n in boxed},
        valence=_values(max(count, 2))[:count],
        arousal=_values(40, -1),
    )
    store, messages = _prepare(tmp_path, root)
    lines = dict(zip(frames_of_lines, _values(max(count, 2)), strict=False))
    labels = store.frame_labels(0)
    numbers = labels["source_frame"].tolist()
    assert numbers == [n - 1 for n in boxed]
    expected = [lines.get(n, np.nan) for n in numbers]
    np.testing.assert_allclose(labels["valence"], expected, atol=1e-6)
    # Each file goes by its own count.
    np.testing.assert_allclose(labels["arousal"], -_values(40)[numbers], atol=1e-6)
    if not said:
        assert messages == []
        return
    (message,) = messages
    assert said in message
    assert f"valence of {count} lines for 40 frames" in message
    assert "videos/train/105.avi" in message and "\n" not in message
    with open(report_path(store.path), newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert said in row["notes"]


def test_one_line_a_box_counts_boxes_that_cannot_be_used(tmp_path, root):
    boxed = range(5, 25)
    _add(
        root,
        boxes={n: (30, 20, 40, 40) for n in boxed},
        valence=_values(20),
        arousal=_values(19),
    )
    (root / BOXES / "105" / "10.pts").write_bytes(b"")
    store, messages = _prepare(tmp_path, root)
    labels = store.frame_labels(0)
    numbers = labels["source_frame"]
    assert 9 not in numbers and len(numbers) == 19
    np.testing.assert_allclose(labels["valence"], _values(20)[numbers - 4], atol=1e-6)
    np.testing.assert_allclose(labels["arousal"], _values(19), atol=1e-6)
    (message,) = messages
    assert "1 of 20 box files give no box" in message


_LINES = ["0.1", "-0.25", "1", "-1.0", "0"]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(_LINES),
        "\n".join(_LINES) + "\n\n \n",
        "\r\n".join(_LINES) + "\r\n",
        "\ufeff" + "\n".join(_LINES),
        "valence\n" + "\n".join(_LINES) + "\n",
        "\ufeffvalence \r\n" + "\r\n".join(_LINES) + "\r\n\r\n",
        ", \n".join(_LINES),
        "\n".join(f"  {line}\t" for line in _LINES),
    ],
)
def test_harmless_annotations_are_equal(tmp_path, text):
    file = tmp_path / "a.txt"
    file.write_bytes(text.encode())
    values, problem = annotations.read_annotation(file)
    assert values.tolist() == [0.1, -0.25, 1, -1, 0]
    assert problem == ""


def test_missing_and_bad_lines(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("0.5\n-5\nnan\n-5.0\n0.25\n")
    values, problem = annotations.read_annotation(file)
    assert problem == ""
    np.testing.assert_array_equal(values, [0.5, np.nan, np.nan, np.nan, 0.25])
    # What cannot be used keeps its place.
    for bad in ("1.5", "0.1 0.2", "", "x1", "250", "-inf", "0,5"):
        file.write_text(f"0.5\n0.75\n{bad}\n0.25\n")
        values, problem = annotations.read_annotation(file)
        np.testing.assert_array_equal(values, [0.5, 0.75, np.nan, 0.25])
        assert problem.startswith(f"{file}: line 3 holds {bad!r}")
    file.write_text("valence\n2\n0.5\n3\n")
    values, problem = annotations.read_annotation(file)
    np.testing.assert_array_equal(values, [np.nan, 0.5, np.nan])
    assert "line 2 holds '2'" in problem and "1 more line" in problem
    # A number with a slip is not taken for a header.
    file.write_text("0.x\n0.5\n")
    assert len(annotations.read_annotation(file)[0]) == 2
    for empty in ("", "valence\n", "\n"):
        file.write_text(empty)
        assert len(annotations.read_annotation(file)[0]) == 0


def test_bad_annotations_cost_their_values_only(tmp_path, root):
    _add(root, "1", _noise(8, 1))
    _add(root, "2", _noise(8, 2))
    valence = root / MARKS / "valence" / "1.txt"
    lines = valence.read_text().splitlines()
    lines[3], lines[5] = "4.5", "-5"
    valence.write_text("\n".join(lines))
    arousal = root / MARKS / "arousal" / "1.txt"
    arousal.write_bytes(b"")
    store, (message,) = _prepare(tmp_path, root)
    assert len(store) == 2
    labels = store.frame_labels(0)
    assert np.flatnonzero(np.isnan(labels["valence"])).tolist() == [3, 5]
    assert np.isnan(labels["arousal"]).all()
    assert f"{valence}: line 4 holds '4.5'" in message
    assert "arousal of 0 lines for 8 frames" in message
    assert not np.isnan(store.frame_labels(1)["arousal"]).any()


# Bad boxes


def _pts(*lines, promised=None):
    promised = len(lines) if promised is None else promised
    return f"version: 1\nn_points: {promised}\n{{\n" + "\n".join(lines) + "\n}\n"


def test_files_without_a_box(tmp_path):
    texts = {
        "": "0 points",
        _pts(promised=4): "promises 4 points and holds 0",
        _pts("1 2"): "1 points without an area",
        _pts("9 9", "9 9", "9 9", "9 9"): "4 points without an area",
        _pts("9 9", "30 9"): "2 points without an area",
        _pts("9 9", "9 30"): "2 points without an area",
        _pts("9 9", "nan 9", "nan 40", "9 40"): "line 5 holds 'nan 9'",
        _pts("9 9", "40 inf", "40 40", "9 40"): "line 5 holds '40 inf'",
        _pts("9 9", "40", "40 40", "9 40"): "line 5 is '40'",
        _pts("9 9", "40 x", "40 40", "9 40"): "line 5 is '40 x'",
    }
    for number, text in enumerate(texts, start=1):
        (tmp_path / f"{number}.pts").write_text(text)
    boxes, numbers, problems = affwild._read_boxes(tmp_path)
    assert boxes == {} and numbers == list(range(len(texts)))
    for number, reason in enumerate(texts.values()):
        path = tmp_path / f"{number + 1}.pts"
        assert problems[number].startswith(f"{path}: ") and reason in problems[number]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (_pts("9 9", "40 9", "40 40", promised=4), "promises 4 points and holds 3"),
        (_pts("200 9", "240 50"), "the box (200, 9, 40, 41) is not in the picture"),
        (_pts("-50 9", "-10 50"), "is not in the picture of 128x96"),
        (_pts("-1e6 -1e6", "1e6 1e6"), "is not in the picture"),
    ],
)
def test_bad_boxes_are_no_boxes(tmp_path, root, text, reason):
    frames = _noise(12)
    _add(root, frames=frames)
    file = root / BOXES / "105" / "5.pts"
    file.write_text(text)
    store, (message,) = _prepare(tmp_path, root)
    labels = store.frame_labels(0)
    kept = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]
    assert labels["source_frame"].tolist() == kept
    crops = [_crop(frames[n], (30.5, 20, 40, 48)) for n in kept]
    assert np.array_equal(store.frames(0), crops)
    np.testing.assert_allclose(labels["valence"], _values(12)[kept], atol=1e-6)
    assert f"1 of 12 box files give no box; the first: {file}: " in message
    assert reason in message and "\n" not in message


def test_harmless_boxes_are_equal(tmp_path, root):
    frames = _noise(6)
    _add(root, frames=frames, boxes={6: (10, 20, 40, 50)})
    folder = root / BOXES / "105"
    plain = (folder / "6.pts").read_bytes()
    (folder / "1.PTS").write_bytes(plain.replace(b"\n", b"\r\n"))
    (folder / "2.pts").write_bytes(b"\xef\xbb\xbf" + plain)
    (folder / "003.pts").write_bytes(plain + b"\n\n")
    spaced = b"version: 1\nn_points: 2\n{\n10.0, 20.0\n50, 70\n}\n"
    (folder / "4.pts").write_bytes(spaced)
    (folder / "5.pts").write_bytes(plain[: plain.rindex(b"}")])
    store, messages = _prepare(tmp_path, root)
    assert messages == []
    expected = [_crop(frame, (10, 20, 40, 50)) for frame in frames]
    assert np.array_equal(store.frames(0), expected)


def test_boxes_without_frames(tmp_path, root):
    boxes = {n: (30, 20, 40, 40) for n in (0, *range(1, 15))}
    _add(root, frames=_noise(10), boxes=boxes)
    store, (message,) = _prepare(tmp_path, root)
    assert store.frame_labels(0)["source_frame"].tolist() == list(range(10))
    assert "4 boxes are of frames after the last one, 10" in message
    assert "0.pts: frames are counted from 1" in message
    # No box can be used.
    for file in (root / BOXES / "105").iterdir():
        file.write_bytes(b"")
    with pytest.raises(InputError, match="no box could be used in 10 frames"):
        _prepare(tmp_path, root, overwrite=True)


def test_a_header_that_lies_about_the_frame_count(tmp_path, root):
    frames = _noise(30)
    _add(root, frames=frames)
    _add(root, "106", _noise(6, 1))
    video = root / "videos" / "train" / "105.avi"
    data = video.read_bytes()
    video.write_bytes(data[: len(data) // 2])
    store, messages = _prepare(tmp_path, root)
    first, second = (store.frame_labels(i)["source_frame"] for i in (0, 1))
    assert first.tolist() == list(range(len(first))) and 5 < len(first) < 20
    assert len(second) == 6
    expected = [_crop(frames[n], (30.5, 20, 40, 48)) for n in first]
    assert np.array_equal(store.frames(0), expected)
    values = _values(30)[: len(first)]
    np.testing.assert_allclose(store.frame_labels(0)["valence"], values, atol=1e-6)
    (message,) = messages
    assert f"the header promises 30 frames, {len(first)} could be read" in message
    assert f"valence and arousal of 30 lines for {len(first)} frames" in message


# Matching by name


def test_broken_videos_cost_themselves_only(tmp_path, root):
    _add(root, "2", _noise(8))
    for name, content in (("1", b""), ("3", b"no video at all" * 99)):
        _add(root, name, _noise(1))
        (root / "videos" / "train" / f"{name}.avi").write_bytes(content)
    store, messages = _prepare(tmp_path, root)
    assert [s.source for s in store.sequences] == ["videos/train/2.avi"]
    assert len(messages) == 2
    for name, message in zip((1, 3), messages, strict=True):
        assert message.startswith("skipped: ") and f"{name}.avi" in message


def test_an_unrelated_video_changes_nothing(tmp_path, root):
    for key in ("105", "202", "318"):
        _add(root, key, _noise(8, int(key)))

    def content(store):
        return {
            s.source.rsplit("/", 1)[1]: (
                store.frames(s.index).tobytes(),
                store.frame_labels(s.index)["valence"].tobytes(),
                s.split,
            )
            for s in store.sequences
        }

    before = content(_prepare(tmp_path, root)[0])
    extra = root / "videos" / "train" / "000.avi"
    _write_video(extra, _noise(9, 9))
    (root / "videos" / "train" / ".DS_Store").write_bytes(b"\0")
    (root / "videos" / "train" / "._105.avi").write_bytes(b"\0")
    _write_boxes(root / BOXES / "000", {1: (30, 20, 40, 40)})
    after, messages = _prepare(tmp_path, root, overwrite=True)
    assert len(messages) == 2
    assert "videos/train/000.avi: no annotations" in messages[0]
    assert messages[1].startswith("skipped: videos/train/000.avi: ")
    assert before == content(after) and len(after) == 3
    # Neither does another folder, which sorts otherwise; splits go by the whole path.
    batch = root / "videos" / "batch1" / "train"
    batch.mkdir(parents=True)
    shutil.move(root / "videos" / "train" / "318.avi", batch / "318.avi")
    moved, _ = _prepare(tmp_path, root, overwrite=True)
    assert {k: v[:2] for k, v in content(moved).items()} == {
        k: v[:2] for k, v in before.items()
    }


def test_two_videos_of_one_name_are_named_and_skipped(tmp_path, root):
    _add(root, "105", _noise(8, 1))
    _add(root, "202", _noise(8, 2))
    copy = root / "videos" / "videos" / "train" / "105.avi"
    copy.parent.mkdir(parents=True)
    shutil.copyfile(root / "videos" / "train" / "105.avi", copy)
    store, messages = _prepare(tmp_path, root)
    # A copy does no harm.
    assert messages == [] and len(store) == 2
    _write_video(copy, _noise(8, 3))
    store, (message,) = _prepare(tmp_path, root, overwrite=True)
    assert [s.source for s in store.sequences] == ["videos/train/202.avi"]
    assert message.startswith("skipped: ")
    assert str(copy) in message and "different; keep one" in message
    assert str(root / "videos" / "train" / "105.avi") in message


def test_boxes_and_annotations_of_one_name(tmp_path, root):
    for key in ("1", "2"):
        _add(root, key, _noise(8, int(key)))
    for key in ("1", "2"):
        nested = root / BOXES / "train" / key
        shutil.copytree(root / BOXES / key, nested)
        for kind in affwild.KINDS:
            file = root / MARKS / kind / f"{key}.txt"
            (root / MARKS / kind / kind).mkdir(exist_ok=True)
            shutil.copyfile(file, root / MARKS / kind / kind / file.name)
    store, messages = _prepare(tmp_path, root)
    assert messages == [] and len(store) == 2
    _write_boxes(root / BOXES / "train" / "1", {3: (1, 2, 30, 40)})
    other = root / MARKS / "arousal" / "arousal" / "2.txt"
    other.write_text("0.5\n" * 8)
    store, messages = _prepare(tmp_path, root, overwrite=True)
    assert [s.source for s in store.sequences] == ["videos/train/2.avi"]
    skipped, noted = messages
    assert skipped.startswith("skipped: ")
    assert str(root / BOXES / "1") in skipped
    assert str(root / BOXES / "train" / "1") in skipped
    assert str(other) in noted and "arousal is left out" in noted
    labels = store.frame_labels(0)
    assert np.isnan(labels["arousal"]).all()
    assert not np.isnan(labels["valence"]).any()


def test_files_without_video_and_videos_without_files_are_named_once(tmp_path, root):
    _add(root, "1", _noise(8))
    for key in ("7", "8", "9", "10", "9_left"):
        _write_boxes(root / BOXES / key, {1: (30, 20, 40, 40)})
        _write_marks(root / MARKS, key, valence=[0], arousal=[0])
    store, (message,) = _prepare(tmp_path, root)
    assert len(store) == 1
    assert "there is no video of this name" in message and "and 2 more" in message
    assert str(root / BOXES / "10") in message
    # Videos of the test set have no annotations, which is as it should be.
    shutil.rmtree(root / MARKS)
    shutil.rmtree(root / BOXES)
    _add(root, "1", _noise(8))
    for folder, key in (("test", "2"), ("train", "3")):
        _write_video(root / "videos" / folder / f"{key}.avi", _noise(8))
        boxes = {n: (30, 20, 40, 40) for n in range(1, 9)}
        _write_boxes(root / BOXES / key, boxes)
    store, (message,) = _prepare(tmp_path, root, overwrite=True)
    assert message == (
        "videos/train/3.avi: no annotations, so valence and arousal are NaN"
    )
    assert len(store) == 3
    sources = {s.source: s.index for s in store.sequences}
    labels = store.frame_labels(sources["videos/test/2.avi"])
    assert np.isnan(labels["valence"]).all() and np.isnan(labels["arousal"]).all()
    # One of the two is missing.
    _write_marks(root / MARKS, "3", valence=[0] * 8)
    store, (message,) = _prepare(tmp_path, root, overwrite=True)
    assert message == (
        "videos/train/3.avi: no annotations of arousal, so its arousal is NaN"
    )
    # Nothing at all is said once.
    shutil.rmtree(root / MARKS)
    _, (message,) = _prepare(tmp_path, root, overwrite=True)
    assert message.startswith(f"{root}: no annotations were found")


def _two_colours(count=12):
    frames = np.zeros((count, HEIGHT, WIDTH, 3), np.uint8)
    frames[:, :, : WIDTH // 2, 2] = 255
    frames[:, :, WIDTH // 2 :, 0] = 255
    frames[:, 0, 0, 1] = np.arange(count)  # the same picture all along is refused
    return frames


def test_two_people_of_a_video(tmp_path, root):
    left, right = (12, 28, 30, 40), (84, 28, 30, 40)
    for key in ("v1", "v2", "v3", "v4", "v5"):
        _write_video(root / "videos" / "train" / f"{key}.avi", _two_colours())
        for side, box, value in (("left", left, 0.5), ("right", right, -0.5)):
            boxes = {n: box for n in range(1, 13)}
            _write_boxes(root / BOXES / f"{key}_{side}", boxes)
            marks = {"valence": [value] * 12, "arousal": [-value] * 12}
            _write_marks(root / MARKS, f"{key}_{side}", **marks)
    store, messages = _prepare(tmp_path, root, shares=(0.4, 0.3, 0.3))
    assert messages == []
    assert len(store) == 10
    sides = {}
    for sequence in store.sequences:
        video, side = sequence.name.removesuffix("#1").split("_")
        assert sequence.source == f"{video}_{side}.avi"
        sides.setdefault(video, set()).add(sequence.split)
        colour, value = {"left": ((255, 0, 0), 0.5), "right": ((0, 0, 255), -0.5)}[side]
        frames = store.frames(sequence.index)
        assert (frames == np.array(colour, np.uint8)).all()
        labels = store.frame_labels(sequence.index)
        assert (labels["valence"] == value).all()
        assert (labels["arousal"] == -value).all()
    # Both of a video are in one split, but not all videos.
    assert len(sides) == 5 and all(len(splits) == 1 for splits in sides.values())
    assert len(set.union(*sides.values())) == 3


def test_the_mere_name_beside_a_side(tmp_path, root):
    boxes = {n: (12, 28, 30, 40) for n in range(1, 9)}
    for key in ("a", "b", "c"):
        _write_video(root / "videos" / "train" / f"{key}.avi", _two_colours(8))
        _write_boxes(root / BOXES / f"{key}_left", boxes)
        _write_marks(root / MARKS, key, valence=_values(8), arousal=_values(8))
    # One person: the labels are theirs. Two: whose, is not known.
    _write_boxes(root / BOXES / "b_right", boxes)
    # The other person, with boxes of their own.
    _write_boxes(root / BOXES / "c", boxes)
    store, messages = _prepare(tmp_path, root)
    known = {
        s.source: not np.isnan(store.frame_labels(s.index)["valence"]).any()
        for s in store.sequences
    }
    assert known == {
        "videos/train/a_left.avi": True,
        "videos/train/b_left.avi": False,
        "videos/train/b_right.avi": False,
        "videos/train/c.avi": True,
        "videos/train/c_left.avi": False,
    }
    unclear, bare = messages
    assert f"{root / MARKS / 'valence' / 'b.txt'}: could be of the left" in unclear
    assert "b_left.avi, videos/train/b_right.avi, " in bare and "no annot" in bare


@pytest.mark.skipif(os.name == "nt", reason="such names are forbidden there")
def test_odd_names(tmp_path, root):
    names = ["a b", 'it\'s "7"', "line\nbreak", "é ü 顔", "-x", "100%s", "a,b;c#1"]
    for number, name in enumerate(names):
        frames = _noise(6, number)
        boxes = {n: (20 + number, 20, 40, 48) for n in range(1, 7)}
        values = [number / 10] * 6
        _add(root, name, frames, boxes, values, values)
    # Some systems take é apart.
    apart = root / MARKS / "valence" / "e\u0301 u\u0308 顔.txt"
    (root / MARKS / "valence" / "é ü 顔.txt").rename(apart)
    store, messages = _prepare(tmp_path, root)
    assert messages == []
    found = {s.source: s for s in store.sequences}
    assert sorted(found) == sorted(f"videos/train/{name}.avi" for name in names)
    for number, name in enumerate(names):
        index = found[f"videos/train/{name}.avi"].index
        frames = _noise(6, number)
        expected = [_crop(frame, (20 + number, 20, 40, 48)) for frame in frames]
        assert np.array_equal(store.frames(index), expected)
        labels = store.frame_labels(index)
        np.testing.assert_allclose(labels["valence"], number / 10, atol=1e-6)
    # What is wrong with them is said in one line.
    (root / BOXES / "line\nbreak" / "3.pts").write_bytes(b"")
    _prepare(tmp_path, root, overwrite=True)
    with open(report_path(store.path), newline="", encoding="utf-8") as file:
        rows = {row["source"]: row for row in csv.DictReader(file)}
    notes = rows["videos/train/line\nbreak.avi"]["notes"]
    assert "box files" in notes and "\n" not in notes


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_linked_folders_are_followed_once(tmp_path, root):
    _add(tmp_path / "disk", frames=_noise(8))
    root.mkdir()
    for name in ("videos", BOXES.split("/")[0]):
        (root / name).symlink_to(tmp_path / "disk" / name)
    (tmp_path / "disk" / "videos" / "loop").symlink_to(tmp_path / "disk")
    store, messages = _prepare(tmp_path, root)
    assert messages == [] and len(store) == 1
    found = [os.path.realpath(folder) for folder, _ in folders.walk_folders(root)]
    assert len(set(found)) == len(found)


def test_what_is_refused(tmp_path, root):
    with pytest.raises(InputError, match="no such folder"):
        _prepare(tmp_path, root)
    _write_boxes(root / BOXES / "1", {1: (1, 2, 3, 4)})
    with pytest.raises(InputError, match="holds no video"):
        _prepare(tmp_path, root)
    _add(root)
    for name, value in {"size": 60, "margin": -1, "channels": 2, "max_gap": -1}.items():
        with pytest.raises(InputError, match=f"^{name}"):
            _prepare(tmp_path, root, **{name: value})
    assert not (tmp_path / "store").exists()


# Without boxes


def test_videos_without_boxes_are_searched(
    tmp_path, root, face_clips, detector_model, monkeypatch
):
    train = root / "videos" / "train"
    train.mkdir(parents=True)
    shutil.copyfile(face_clips / "single_face.mp4", train / "7.mp4")
    shutil.copyfile(face_clips / "no_face.mp4", train / "8.mp4")
    count = _frame_count(train / "7.mp4")
    _write_marks(
        root / MARKS, "7", valence=_values(count), arousal=_values(count - 1, -1)
    )
    _add(root, "9", _noise(8))
    store, messages = _prepare(tmp_path, root, detector_model=detector_model)
    assert len(messages) == 4
    assert "videos/train/7.mp4, videos/train/8.mp4: no boxes" in messages[0]
    assert "videos/train/8.mp4: no annotations" in messages[1]
    assert f"arousal of {count - 1} lines for {count} frames, taken" in messages[2]
    assert messages[3].startswith("skipped: videos/train/8.mp4: no face was found")
    assert store.sequences[0].source == "videos/train/7.mp4"
    labels = store.frame_labels(0)
    numbers = labels["source_frame"]
    np.testing.assert_allclose(labels["valence"], _values(count)[numbers], atol=1e-6)
    assert np.isfinite(labels["detector_score"]).any()
    assert np.isfinite(labels["nose_x"]).all()
    # Those with boxes need no detector.
    for name in ("7.mp4", "8.mp4"):
        (train / name).unlink()
    shutil.rmtree(root / MARKS)
    _add(root, "9", _noise(8))
    missing = tmp_path / "none.onnx"
    _prepare(tmp_path, root, detector_model=missing, overwrite=True)
    _write_video(train / "10.avi", _noise(8))
    with pytest.raises(InputError, match="none.onnx"):
        _prepare(tmp_path, root, detector_model=missing, overwrite=True)


def test_two_people_without_boxes(tmp_path, root, face_clips, detector_model):
    train = root / "videos" / "train"
    train.mkdir(parents=True)
    clip = face_clips / "derived_two_faces.mp4"
    shutil.copyfile(clip, train / "5.mp4")
    count = _frame_count(clip)
    for side, sign in (("left", 1), ("right", -1)):
        marks = _values(count, sign)
        _write_marks(root / MARKS, f"5_{side}", valence=marks, arousal=marks)
    store, _ = _prepare(tmp_path, root, detector_model=detector_model, min_length=20)
    places = {"left": [], "right": []}
    for sequence in store.sequences:
        side = sequence.source.removesuffix(".mp4").split("_")[1]
        labels = store.frame_labels(sequence.index)
        sign = 1 if side == "left" else -1
        expected = _values(count, sign)[labels["source_frame"]]
        np.testing.assert_allclose(labels["valence"], expected, atol=1e-6)
        places[side] += [*(labels["face_x"] + labels["face_width"] / 2)]
    assert len(places["left"]) >= 20 and len(places["right"]) >= 20
    assert max(places["left"]) < min(places["right"])
    assert len({s.split for s in store.sequences}) == 1


def _frame_count(path):
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.grab():
        count += 1
    return count
