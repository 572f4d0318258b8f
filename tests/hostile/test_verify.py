"""`ddr verify`: a byte that was changed anywhere is found, and its file named."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from click.testing import CliRunner

from ddr_cli.main import ddr
from keras_ddr import runs
from keras_ddr.data import FrameStore, write_arrays
from keras_ddr.data.integrity import verify_store

STORE_FILES = ("frames.npy", "sequences.csv", "labels.npz", "meta.json")
FLIPS = 40


def _verify(path):
    result = CliRunner().invoke(ddr, ["verify", str(path)])
    lines = [line for line in result.stderr.splitlines() if line]
    assert all(line.startswith("ddr: error: ") for line in lines), result.output
    assert result.exit_code == bool(lines), result.output
    return lines, result.stdout


def _flips(path, random, number=FLIPS):
    """Change one byte after the other, and put it back."""
    whole = path.read_bytes()
    # The ends hold what the rest is found by.
    ends = [*range(12), *range(len(whole) - 90, len(whole))]
    places = [*random.integers(len(whole), size=number), *random.choice(ends, 20)]
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
def test_a_changed_byte_of_a_store_is_found(store, rng, name):
    for place in _flips(store / name, rng):
        problems = verify_store(store).problems
        assert len(problems) == 1 and str(store / name) in problems[0], place
        assert "\n" not in problems[0]
    assert not verify_store(store).problems
    for _ in _flips(store / name, rng, 1):
        lines, _ = _verify(store)
        assert len(lines) == 1 and str(store / name) in lines[0]


@pytest.mark.parametrize(
    "name", ["config.json", "model.keras", "checkpoint/epoch-000002.keras"]
)
def test_a_changed_byte_of_a_run_is_found(run, rng, name):
    for place in _flips(run / name, rng, 5 * FLIPS):
        problems = runs.verify(run).problems
        assert len(problems) == 1 and str(run / name) in problems[0], place
        assert "\n" not in problems[0]
    assert not runs.verify(run).problems
    for _ in _flips(run / name, rng, 1):
        lines, _ = _verify(run)
        assert len(lines) == 1 and str(run / name) in lines[0]


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
        (run, ("config.json", "model.keras", "checkpoint/epoch-000002.keras")),
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
    (store / "SHA256SUMS").unlink()
    lines, _ = _verify(store)
    assert len(lines) == 1 and "SHA256SUMS: is missing" in lines[0]


def test_other_programs_read_the_manifest(store):
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum is not here")
    command = ["sha256sum", "--strict", "-c", "SHA256SUMS"]
    assert subprocess.run(command, cwd=store, capture_output=True).returncode == 0


def test_older_runs_say_what_could_not_be_compared(run):
    config = json.loads((run / "config.json").read_text())
    del config["checksum"]
    (run / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    model = runs.load_model(run)
    model.save(run / "model.keras")
    lines, said = _verify(run)
    assert not lines
    notes = [line for line in said.splitlines() if line.startswith("note: ")]
    assert len(notes) == 2
    # The archive has sums of its own for most of it.
    data = bytearray((run / "model.keras").read_bytes())
    data[len(data) // 2] ^= 1
    (run / "model.keras").write_bytes(data)
    lines, _ = _verify(run)
    assert len(lines) == 1 and str(run / "model.keras") in lines[0]


def test_a_checksum_stays_with_its_model(run):
    """Keras reads the file as before, and a resumed run writes good sums."""
    before = runs.load_model(run / "model.keras").get_weights()
    resumed = runs.fit(run, steps=3, verbose=0, report=None)
    assert not runs.verify(run).problems
    assert "checksum" not in resumed.config
    after = resumed.model("last").get_weights()
    assert any(np.any(a != b) for a, b in zip(before, after, strict=True))


def test_memory_does_not_grow_with_the_frames(tmp_path):
    import tracemalloc

    frames = np.zeros((1, 4000, 64, 64, 1), np.uint8)  # 16 MB
    store = write_arrays(tmp_path / "store", frames)
    tracemalloc.start()
    said = []
    assert not verify_store(store.path, lambda *numbers: said.append(numbers)).problems
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
    assert said and said == sorted(said) and {total for _, total in said} == {15}
