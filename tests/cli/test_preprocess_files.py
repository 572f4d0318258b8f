"""`ddr preprocess` for what is read from files, and `ddr fit` on what it makes."""

import os
import re
import shutil
import signal
import time

import numpy as np
import pytest
import tifffile
import track_files
from PIL import Image

from ddr_cli import progress
from keras_ddr.data import FrameStore
from keras_ddr.media import opencv

cv2 = opencv.load()


def fails(result, message):
    assert result.exit_code == 1, result.output
    [line] = [x for x in result.stderr.splitlines() if "error: " in x]
    assert message in line
    return True


def _video(path, number=24, size=32):
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(len(path.name))
    picture = random.integers(60, 180, (size, size, 3))
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25.0, (size, size)
    )
    for n in range(number):
        writer.write((picture + n).astype(np.uint8))
    writer.release()


def _pictures(folder, number=12):
    folder.mkdir(parents=True)
    for n in range(1, number + 1):
        Image.new("L", (40, 30), n * 20).save(folder / f"{n}.png")


def _stacks(folder):
    folder.mkdir()
    values = np.arange(12 * 40 * 30, dtype=np.uint16).reshape(12, 40, 30) % 4000
    for name in ("a", "b", "c"):
        tifffile.imwrite(folder / f"{name}.tif", values, photometric="minisblack")


def _affwild(root):
    for name in ("1", "2", "3"):
        _video(root / "videos" / "train" / f"{name}.avi", size=64)
        boxes = root / "bboxes" / "train" / name
        boxes.mkdir(parents=True)
        for n in range(1, 25):
            corners = "8 8\n8 40\n40 40\n40 8"
            (boxes / f"{n}.pts").write_text(
                f"version: 1\nn_points: 4\n{{\n{corners}\n}}\n"
            )
        for label in ("valence", "arousal"):
            file = root / "annotations" / "train" / label / f"{name}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(str(n / 24) for n in range(24)))


def _affwild2(root):
    for name in ("a_left", "a_right", "b"):
        folder = root / "cropped_aligned" / name
        folder.mkdir(parents=True)
        for n in range(1, 25):
            Image.new("RGB", (112, 112), (n, n, n)).save(folder / f"{n:05}.jpg")
    (root / "VA").mkdir()
    rows = "\n".join(f"{n / 24},-5" for n in range(24))
    (root / "VA" / "b.txt").write_text(f"valence,arousal\n{rows}\n")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("sources")
    for name in ("a", "b", "c"):
        _video(root / "videos" / f"{name}.avi")
        _pictures(root / "images" / name)
    _stacks(root / "arrays")
    _affwild(root / "affwild")
    _affwild2(root / "affwild2")
    return root


KINDS = {
    "videos": ["--crop", "none", "--fps", "12.5", "--min-length", "5"],
    "images": ["--channels", "1"],
    "arrays": ["--channels", "1", "--scale", "0:99.9%"],
    "affwild": ["--margin", "0.1"],
    "affwild2": [],
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_store_is_made_and_shown(ddr_here, sources, tmp_path, kind):
    store = tmp_path / "S"
    sheet = tmp_path / "sheet.png"
    command = ["preprocess", kind, sources / kind, store, "--size", 32]
    command += ["--workers", 2, "--splits", 0.4, 0.3, 0.3, "--preview", sheet]
    result = ddr_here(*command, *KINDS[kind])
    assert result.exit_code == 0, result.output
    opened = FrameStore.open(store)
    assert len(opened) == 3 and opened.dataset == kind
    assert f"{store}: 3 sequences (" in result.output
    assert f"sources: {tmp_path / 'S.report.csv'}\n" in result.output
    said = result.output.replace(str(tmp_path), "")
    assert ("252" in said) == (kind == "affwild")
    assert sheet.stat().st_size > 1000
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "S",
        "S.report.csv",
        "sheet.png",
    ]
    assert fails(ddr_here(*command, *KINDS[kind]), "sheet.png exists; replace it with")
    kept = sheet.rename(tmp_path / "kept.png")
    assert fails(ddr_here(*command, *KINDS[kind]), "exists already")
    result = ddr_here("info", store, "--preview", tmp_path / "again.png")
    assert result.exit_code == 0 and "preview: " in result.output
    assert (tmp_path / "again.png").read_bytes() == kept.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_store_is_fitted(ddr_here, sources, small, tmp_path, kind):
    command = ["preprocess", kind, sources / kind, tmp_path / "S", "--size", 32]
    result = ddr_here(*command, "--splits", 0.4, 0.3, 0.3, *KINDS[kind])
    assert result.exit_code == 0, result.output
    result = ddr_here("fit", tmp_path / "S", "--out", tmp_path / "run", *small)
    assert result.exit_code == 0, result.output


def test_moving_mnist(ddr_here, mnist_root, small, tmp_path):
    store = tmp_path / "S"
    command = ["preprocess", "mmnist", mnist_root, store, "--sequences", 12]
    result = ddr_here(*command, "--length", 5, "--digits", 1)
    assert result.exit_code == 0, result.output
    opened = FrameStore.open(store)
    assert (len(opened), opened.num_frames) == (12, 60)
    assert set(opened.labels) >= {"digit_1", "x_1", "y_1"}
    command = ["fit", store, "--out", tmp_path / "run", *small]
    # Sequences are shorter than the sets.
    result = ddr_here(*command, "--frames-per-set", 6)
    assert fails(result, "frames a set (--frames-per-set)")
    assert fails(
        ddr_here("preprocess", "mmnist", tmp_path, tmp_path / "T"), str(tmp_path)
    )


def test_what_cannot_be_used(ddr_here, sources, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for kind in KINDS:
        result = ddr_here("preprocess", kind, empty, tmp_path / "S")
        assert fails(result, str(empty)), kind
        assert fails(ddr_here("preprocess", kind, "none", tmp_path / "S"), "none")
    command = ["preprocess", "videos", sources / "videos", tmp_path / "S"]
    result = ddr_here(*command, "--detector-model", tmp_path / "no.onnx")
    assert fails(result, "no.onnx: no such file")
    # Before the detector is looked for.
    bad = [*command, "--detector-model", tmp_path / "no.onnx", "--splits", 1, 1, 1]
    assert fails(ddr_here(*bad), "splits")
    plain = [*command, "--crop", "none"]
    assert fails(ddr_here(*plain, "--preview", "sheet.gif"), "'.gif'; use one of")
    assert fails(ddr_here(*plain, "--splits", 1, 1, 1), "splits")
    assert fails(ddr_here(*plain, "--size", 40), "size=40")
    assert fails(ddr_here(*plain, "--labels", empty / "no.csv"), "no.csv: no such file")
    assert ddr_here(*plain, "--workers", 0).exit_code == 2
    assert ddr_here("info", "--preview", tmp_path / "a.png").exit_code == 2
    assert list(tmp_path.iterdir()) == [empty]


def test_a_broken_video_is_named_and_the_rest_done(ddr_here, sources, tmp_path):
    root = tmp_path / "videos"
    shutil.copytree(sources / "videos", root)
    (root / "broken.mp4").write_text("no video")
    result = ddr_here("preprocess", "videos", root, tmp_path / "S", "--crop", "none")
    assert result.exit_code == 0, result.output
    assert len(FrameStore.open(tmp_path / "S")) == 3
    [line] = result.stderr.splitlines()
    assert line.startswith("ddr: warning: skipped: ") and "broken.mp4" in line
    assert result.output.endswith("S.report.csv (1 of 4 skipped)\n")


def test_bouts_and_people_of_videos(ddr_here, sources, tmp_path):
    """As a user does: bouts by time at first, names of people when all is there."""
    bouts, people = tmp_path / "bouts.csv", tmp_path / "people.csv"
    bouts.write_text("source;start;stop;act\na.avi;0,2;0,4;rest\nb;00:00,4;0:01;run\n")
    store, new = tmp_path / "S", tmp_path / "T"
    command = ["preprocess", "videos", sources / "videos", store, "--crop", "none"]
    result = ddr_here(*command, "--labels", bouts, "--splits", 1, 0, 0, "--size", 32)
    assert result.exit_code == 0 and not result.stderr, result.output
    made = FrameStore.open(store)
    found = [made.label_values(name, "act").tolist() for name in ("a#1", "b#1", "c#1")]
    assert found == [
        [-1] * 5 + [0] * 5 + [-1] * 14,
        [-1] * 10 + [1] * 14,
        [-1] * 24,
    ]
    people.write_text("source,person\na#1,ann\nc,ann\n")
    sheet = tmp_path / "sheet.png"
    result = ddr_here("label", store, people, new, "--preview", sheet)
    assert result.exit_code == 0, result.output
    assert f"{new}: 3 sequences (3 train, 0 val, 0 test)" in result.output
    assert sheet.stat().st_size > 1000
    persons = [sequence.person for sequence in FrameStore.open(new).sequences]
    assert persons == ["ann", "", "ann"]
    assert ddr_here("verify", new).exit_code == 0
    assert fails(ddr_here("label", store, people, new), "exists already")
    assert fails(ddr_here("label", store, sources, new, "--overwrite"), "as a table")
    people.write_text("source,split\nb,none\n")
    result = ddr_here(*command, "--labels", people, "--splits", 1, 0, 0, "--overwrite")
    assert result.exit_code == 0, result.output
    assert [s.name for s in FrameStore.open(store).sequences] == ["a#1", "c#1"]


@pytest.mark.slow
def test_without_opencv_it_says_what_to_install(ddr_elsewhere, sources, tmp_path):
    result = ddr_elsewhere(
        "preprocess", "videos", sources / "videos", tmp_path / "S", blocked=["cv2"]
    )
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    assert "pip install opencv-python" in line and "headless" in line


@pytest.mark.slow
def test_ctrl_c_and_the_same_command_again(ddr_elsewhere, tmp_path):
    root = tmp_path / "videos"
    _video(root / "000.avi", 300, 256)
    for n in range(1, 40):
        os.link(root / "000.avi", root / f"{n:03}.avi")
    command = ["preprocess", "videos", root, tmp_path / "S", "--crop", "none"]
    process = ddr_elsewhere.start(*command, "--workers", 2)
    end = time.monotonic() + 100
    while len(list(tmp_path.glob(".S.parts/*/part.json"))) < 4:
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    text = "interrupted; run the same command again to go on from here"
    assert errors.splitlines()[-1] == f"ddr: {text}"
    assert not (tmp_path / "S").exists()
    result = ddr_elsewhere(*command)
    assert result.returncode == 0, result.stderr
    assert len(FrameStore.open(tmp_path / "S")) == 40
    assert not (tmp_path / ".S.parts").exists()


def test_options_that_would_change_nothing_are_refused(ddr_here, sources, tmp_path):
    for kind, options, message in (
        ("videos", ["--crop", "none", "--people", "all"], "--people: changes nothing"),
        ("images", ["--align", "eyes"], "--align: changes nothing with --crop none"),
        ("images", ["--margin", "0"], "--margin: changes nothing"),
        ("videos", ["--dask", "tcp://x:1", "--workers", "2"], "--workers: changes"),
    ):
        result = ddr_here("preprocess", kind, sources / kind, tmp_path / "S", *options)
        assert result.exit_code == 2 and message in result.output, result.output
    assert not list(tmp_path.iterdir())


def test_a_home_folder_that_the_shell_left_is_refused(ddr_here, sources, monkeypatch):
    result = ddr_here("preprocess", "puppets", "~/S")
    assert fails(result, "~ was not replaced by your home folder; write it out: ")


def test_drawn_faces_need_a_clone_and_arguments_that_fit(ddr_here, tmp_path):
    command = "preprocess", "faces3d", tmp_path, tmp_path / "S"
    assert fails(ddr_here(*command), "holds no folder FaceXModel; give a clone of ")
    assert fails(ddr_here(*command, "--size", 40), "size=40; it must be a multiple")
    result = ddr_here(*command, "--expressions", "smile,grin")
    assert fails(result, "'grin' is no shape of the face model")
    assert ddr_here(*command, "--set", "all").exit_code == 2
    assert not list(tmp_path.iterdir())


def test_animals_are_cut_out_by_their_tracks(ddr_here, tmp_path):
    """The commands of the page on tracks, and options that would change nothing."""
    _video(tmp_path / "videos" / "cage.avi", size=64)
    points = np.ones((24, 2, 2, 3))
    points[..., 0, :2], points[..., 1, :2] = (40, 20), (20, 30)
    name = f"cage{track_files.SCORER}_el.h5"
    track_files.dlc_table(
        tmp_path / "videos" / name, points, ["nose", "tailbase"], ("m1", "m2")
    )
    here, sheet = tmp_path / "videos", tmp_path / "sheet.png"
    command = ["preprocess", "videos", here, tmp_path / "S", "--workers", 1]
    parts = ["--front", "nose", "--back", "tailbase"]
    result = ddr_here(*command, "--tracks", here, *parts, "--preview", sheet)
    assert result.exit_code == 0, result.output
    opened = FrameStore.open(tmp_path / "S")
    assert [s.name for s in opened.sequences] == ["cage#m1-1", "cage#m2-1"]
    assert sheet.stat().st_size > 1000
    for options, message in (
        (parts, "--front: changes nothing with --crop face; add --tracks FILE, or"),
        (["--tracks", here, "--crop", "none"], "--crop: changes nothing with --tracks"),
        (["--tracks", here, "--align", "eyes"], "--align: changes nothing with --tra"),
        (["--crop", "none", "--margin", 1], "--margin: changes nothing with --crop n"),
    ):
        result = ddr_here(*command, *options)
        assert result.exit_code == 2 and message in result.stderr, result.output


def test_frames_their_rate_and_the_time_left(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PLAIN", -1.0)
    counter = progress.FileCounter("videos read")
    counter.frames(500, 0)
    counter.frames(500, 1500)
    time.sleep(0.1)
    counter.frames(700, 1500)
    counter(1, 2)
    counter.frames(900, 1500)
    counter(2, 2)
    counter.frames(1500, 1500)
    first, second, third, fourth, last = capsys.readouterr().out.splitlines()
    assert (first, second) == ("500 frames", "500 of 1500 frames")
    # An earlier run read the first 500.
    found = re.fullmatch(r"700 of 1500 frames, (\d+) a second, ([\d.]+) s left", third)
    rate, left = map(float, found.groups())
    assert rate < 2000 and abs(rate * left - 800) < 0.1 * 800
    assert fourth.startswith("900 of 1500 frames, ")
    assert fourth.endswith(" left (1 of 2 videos read)")
    assert last.startswith("2 of 2 videos read  ")
