"""Killed while making stores and tables; what was there stays, and nothing is half."""

import filecmp
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from ddr_cli.main import ddr
from keras_ddr import DDR
from keras_ddr.data import FrameStore, write_arrays
from keras_ddr.datasets import Cropping, Lengths, videos
from keras_ddr.errors import InputError
from keras_ddr.media import opencv

cv2 = opencv.load()

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="signals"),
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="the same on every backend"
    ),
]
SLOW = pytest.mark.slow


def start(folder, *arguments):
    """Start `ddr` in a folder."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(
        [sys.executable, "-m", "ddr_cli.main", *map(str, arguments)],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process, folder, pattern):
    """Wait until a name in the folder matches."""
    end = time.monotonic() + 120
    while not (found := list(folder.glob(pattern))):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.001)
    return found[0]


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@SLOW
@pytest.mark.parametrize("work", ["puppets", "videos"])
def test_a_store_is_whole_or_not_there_wherever_it_is_killed(tmp_path, work):
    """Before every fifth operation on a file, and at random moments."""
    script = pathlib.Path(__file__).with_name("store_kills.py")
    process = subprocess.run(
        [sys.executable, script, work, tmp_path, "--every", "5"],
        env={**os.environ, "KERAS_DDR_WORKER": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert process.returncode == 0, process.stderr
    tally = json.loads(process.stdout)
    print(work, tally)
    assert tally["making: none"] > 5 and tally["replacing: old"] > 5
    assert tally["replacing: new"] > 0


def test_one_writer_of_a_store_at_a_time(tmp_path):
    command = ["preprocess", "puppets", "S", "--size", "16"]
    first = start(tmp_path, *command)
    wait_for(first, tmp_path, ".S.tmp-*")
    # It must live until the second one has started, which takes longer.
    first.send_signal(signal.SIGSTOP)
    second = start(tmp_path, *command)
    _, errors = second.communicate()
    assert second.returncode == 1
    [line] = errors.splitlines()
    assert line.startswith("ddr: error: S: is being made by another process now")
    kill(first)
    with pytest.raises(InputError, match="no such frame store"):
        FrameStore.open(tmp_path / "S")
    third = start(tmp_path, *command)
    _, errors = third.communicate()
    assert third.returncode == 0, errors
    assert names(tmp_path) == ["S"]
    assert len(FrameStore.open(tmp_path / "S")) == 300


@SLOW
@pytest.mark.parametrize("workers", [1, 2])
def test_a_long_video_goes_on_by_segments(tmp_path, workers):
    """It loses no more than the segments that were being read."""
    picture = np.random.default_rng(0).integers(60, 180, (48, 48, 3))
    path = str(tmp_path / "film.mp4")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), 5.0, (48, 48))
    for n in range(5 * 500):  # four segments
        writer.write((picture + abs(n % 40 - 20)).astype(np.uint8))
    writer.release()
    command = ["preprocess", "videos", path, "S", "--crop", "none", "--min-length", 1]
    command += ["--size", 128, "--workers", workers]
    process = start(tmp_path, *command)
    wait_for(process, tmp_path, ".S.parts/*.1")
    kill(process)
    done = {p: p.stat().st_mtime_ns for p in tmp_path.glob(".S.parts/*.?")}
    assert len(done) < 4
    process = start(tmp_path, *command)
    wait_for(process, tmp_path, ".S.parts/*.[23]")
    assert {p: p.stat().st_mtime_ns for p in done} == done
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    videos.prepare(
        tmp_path / "T",
        path,
        cropping=Cropping(crop="none", size=128),
        lengths=Lengths(min_length=1),
    )
    for name in ("frames.npy", "sequences.csv"):
        assert filecmp.cmp(tmp_path / "S" / name, tmp_path / "T" / name, shallow=False)
    assert FrameStore.open(tmp_path / "S").num_frames == 2500
    assert names(tmp_path) == ["S", "S.report.csv", "T", "T.report.csv", "film.mp4"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["codes.npz", "codes.csv"])
def test_killed_encoding_leaves_the_older_file(tmp_path, rng, name):
    frames = rng.integers(0, 256, (40, 12, 16, 16, 3), "uint8")
    write_arrays(tmp_path / "S", frames)
    DDR((16, 16, 3), static_dim=4, filters=4, pair_filters=4, hidden_units=8).save(
        tmp_path / "model.keras"
    )
    before = [*names(tmp_path), name]
    (tmp_path / name).write_bytes(b"older")
    command = ["encode", "model.keras", "S", name]
    process = start(tmp_path, *command, "--overwrite")
    wait_for(process, tmp_path, ".codes.tmp-*")
    time.sleep(rng.uniform(0, 0.5))
    kill(process)
    assert (tmp_path / name).read_bytes() == b"older"
    assert len(names(tmp_path)) > len(before)
    command[1:] = [str(tmp_path / part) for part in command[1:]]
    result = CliRunner().invoke(ddr, [*command, "--overwrite"])
    assert result.exit_code == 0, result.output
    assert names(tmp_path) == sorted(before)
    if name.endswith(".npz"):
        with np.load(tmp_path / name) as codes:
            assert len(codes["static_mean"]) == 40
    else:
        assert len((tmp_path / name).read_text().splitlines()) == 40 * 12 + 1
