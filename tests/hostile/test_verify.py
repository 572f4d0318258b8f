"""`ddr verify`: a byte that was changed anywhere is found, and its file named."""

import shutil
import subprocess

import numpy as np
import pytest
from click.testing import CliRunner

from ddr_cli.main import ddr
from keras_ddr import runs
from keras_ddr.data import FrameStore, write_arrays
from keras_ddr.data.store import verify_store
from keras_ddr.manifest import NAME

STORE_FILES = ("frames.npy", "sequences.csv", "labels.npz", "meta.json")
RUN_FILES = (
    "config.json",
    "history.csv",
    "model.keras",
    "checkpoint/epoch-000002.keras",
)
FLIPS = pytest.mark.parametrize(
    "flips", [6, pytest.param(200, marks=pytest.mark.slow)], ids=["some", "many"]
)


def _verify(path):
    result = CliRunner().invoke(ddr, ["verify", str(path)])
    lines = [line for line in result.stderr.splitlines() if line]
    assert all(line.startswith("ddr: error: ") for line in lines), result.output
    assert result.exit_code == bool(lines), result.output
    return lines, result.stdout


def _flips(path, random, number=1):
    """Change one byte after the other, and put it back."""
    whole = path.read_bytes()
    # The ends hold what the rest is found by.
    ends = [*range(12), *range(len(whole) - 90, len(whole))]
    places = random.integers(len(whole), size=number)
    places = [*places, *random.choice(ends, number // 2)]
    for place in places:
        data = bytearray(whole)
        data[place] ^= random.integers(1, 256)
        path.write_bytes(data)
        yield place
    path.write_bytes(whole)


@pytest.fixture
def store(originals, tmp_path):
    return shutil.copytree(originals.store, tmp_path / "store")


@pytest.fixture
def run(originals, tmp_path):
    return shutil.copytree(originals.run, tmp_path / "run")


def test_what_is_whole_is_ok(store, run):
    for path in (store, run, run / "model.keras", store.parent):
        if path == store.parent:
            shutil.rmtree(run)
        lines, said = _verify(path)
        assert not lines and said.splitlines()[-1] == f"{path}: ok"
        assert "note" not in said
    FrameStore.open(store).verify()


@pytest.mark.parametrize("name", STORE_FILES)
@FLIPS
def test_a_changed_byte_of_a_store_is_found(store, rng, name, flips):
    for place in _flips(store / name, rng, flips):
        problems = verify_store(store)
        assert len(problems) == 1 and str(store / name) in problems[0], place
        assert "\n" not in problems[0]
    assert not verify_store(store)
    for _ in _flips(store / name, rng, 1):
        lines, _ = _verify(store)
        assert len(lines) == 1 and str(store / name) in lines[0]


@pytest.mark.parametrize("name", RUN_FILES)
@FLIPS
def test_a_changed_byte_of_a_run_is_found(run, rng, name, flips):
    for place in _flips(run / name, rng, flips):
        problems = runs.verify(run)
        assert any(str(run / name) in problem for problem in problems), place
        assert not any("\n" in problem for problem in problems)
    assert not runs.verify(run)
    for _ in _flips(run / name, rng, 1):
        lines, _ = _verify(run)
        assert str(run / name) in lines[0]


@FLIPS
def test_a_changed_byte_of_a_manifest_is_found(store, run, rng, flips):
    for folder, verify in ((store, verify_store), (run, runs.verify)):
        for place in _flips(folder / NAME, rng, flips):
            assert verify(folder), place
    whole = (store / NAME).read_bytes()
    for changed in (b"\r", b"\x1c", b"\x00"):  # ends of lines, and of names
        (store / NAME).write_bytes(whole[:-1] + changed)
        assert len(verify_store(store)) == 1, changed
        (store / NAME).write_bytes(whole.replace(b".", changed, 1))
        assert len(verify_store(store)) == 1, changed


def test_every_damaged_file_has_its_line(store, run, rng):
    for name in ("frames.npy", "labels.npz"):
        next(_flips(store / name, rng))
    lines, _ = _verify(store)
    assert [line.count(str(store)) for line in lines] == [1, 1]
    for name in ("model.keras", "checkpoint/epoch-000002.keras"):
        next(_flips(run / name, rng))
    lines, _ = _verify(run)
    assert len(lines) == 2


def test_bytes_lost_or_added_are_found(store, run):
    for folder, names in (
        (store, STORE_FILES),
        (run, RUN_FILES),
    ):
        for name in names:
            whole = (folder / name).read_bytes()
            for damaged in (whole[:-1], whole + b"\n", whole[1:], b""):
                (folder / name).write_bytes(damaged)
                lines, _ = _verify(folder)
                assert len(lines) == 1 and str(folder / name) in lines[0]
            (folder / name).write_bytes(whole)


def test_missing_files_are_named(store, run):
    for folder, name in (
        (store, "labels.npz"),
        (run, "model.keras"),
        (run, "checkpoint/epoch-000002.keras"),
    ):
        whole = (folder / name).read_bytes()
        (folder / name).unlink()
        lines, _ = _verify(folder)
        assert len(lines) == 1
        assert str(folder / name.split("/")[0]) in lines[0]
        (folder / name).write_bytes(whole)
    lines, _ = _verify(store.parent / "nothing")
    assert len(lines) == 1 and "nothing" in lines[0]


def test_a_store_without_a_manifest_is_not_ok(store):
    (store / NAME).unlink()
    lines, _ = _verify(store)
    assert len(lines) == 1 and f"{NAME}: is missing" in lines[0]


def test_other_programs_read_the_manifest(store, run):
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum is not here")
    command = ["sha256sum", "--strict", "-c", NAME]
    for folder in (store, run):
        assert subprocess.run(command, cwd=folder, capture_output=True).returncode == 0


@pytest.mark.slow
def test_a_resumed_run_is_ok(run):
    resumed = runs.fit(run, steps=3, verbose=0, report=None)
    assert not runs.verify(resumed.path)


def test_memory_does_not_grow_with_the_frames(tmp_path):
    import tracemalloc

    frames = np.zeros((1, 4000, 64, 64, 1), np.uint8)  # 16 MB
    store = write_arrays(tmp_path / "store", frames)
    tracemalloc.start()
    said = []
    assert not verify_store(store.path, lambda *numbers: said.append(numbers))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
    assert said and said == sorted(said) and {total for _, total in said} == {15}
