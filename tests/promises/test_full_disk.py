"""Files appear whole or not at all, where the disk fills up or cannot be written."""

import shutil

import keras
import numpy as np
import pytest
from promises.conftest import LOCK, SMALL, must, run_ddr

from keras_ddr.data import FrameStore
from keras_ddr.runs import Run

# What is written, and the command that does; STORE, RUN and OUT are put in.
WRITERS = {
    "store": "preprocess puppets OUT --identities 12 --size 16",
    "metrics.json": "evaluate RUN STORE --only reconstruction --out OUT",
    "codes.npz": "encode RUN STORE OUT --split test",
    "codes.csv": "encode RUN STORE OUT --split test",
    "events.csv": "events RUN STORE OUT --smooth 0 --prominence 0 --sequences 2",
    "picture.png": "plot reconstruction RUN STORE OUT --sequences 2",
    "picture.pdf": "plot samples RUN STORE OUT --sequences 2 --frames 2",
    "film.mp4": "render reconstruction RUN STORE OUT --frames 8",
    "film.webp": "render reconstruction RUN STORE OUT --frames 8",
    "page.html": "explore RUN STORE OUT --sequences 2 --frames 4",
}
# All files but those of a store are written by one function.
_WRITERS = [
    pytest.param(name, marks=[] if name == "store" else pytest.mark.slow)
    for name in WRITERS
]


@pytest.fixture(scope="session")
def command(store, run):
    """A function from a name of `WRITERS` and a path to the arguments of `ddr`."""

    def arguments(name, out):
        places = {"STORE": store, "RUN": run, "OUT": out}
        return [places.get(word, word) for word in WRITERS[name].split()]

    return arguments


@pytest.fixture(scope="session")
def sizes(command, tmp_path_factory):
    """A function from a name of `WRITERS` to the bytes of its largest file, and all."""
    known = {}

    def of(name):
        if name not in known:
            out = tmp_path_factory.mktemp("whole") / name
            must(*command(name, out))
            files = out.iterdir() if out.is_dir() else [out]
            found = [file.stat().st_size for file in files]
            known[name] = max(found), sum(found)
        return known[name]

    return of


def content(folder):
    """All that is in a folder, byte by byte; a run's lock says nothing."""
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if path.name not in (LOCK, "ballast")
    }


def refused(result, path, words):
    """The command ended with one line that names the file."""
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1, result.output
    [line] = [x for x in result.stderr.splitlines() if not x.startswith("ddr: warning")]
    assert line.startswith("ddr: error: ")
    assert str(path) in line and ".tmp" not in line, line
    assert words in line, line


@pytest.mark.parametrize("name", _WRITERS)
def test_a_full_disk_leaves_what_was_there(disk, command, sizes, name):
    out = disk.path / name
    largest, together = sizes(name)
    needed = together if disk.path.is_mount() else largest
    before = content(disk.path)
    with disk.free(0):
        result = run_ddr(*command(name, out))
        refused(result, out, "no space left")
        assert content(disk.path) == before
    _write_older(name, out, command)
    before = content(disk.path)
    again = [*command(name, out), "--overwrite"]
    for size in (needed // 2, max(needed - 4096, 0)):
        with disk.free(size):
            result = run_ddr(*again)
            refused(result, out, "no space left")
            assert content(disk.path) == before
    must(*again)
    assert len(content(disk.path)) == len(before)
    if name == "store":
        FrameStore.open(out).verify()


def _write_older(name, out, command):
    if name == "store":
        must(*command(name, out))
        FrameStore.open(out).verify()
    else:
        out.write_bytes(b"an older file")


@pytest.mark.parametrize("name", _WRITERS)
def test_a_read_only_folder_is_left_alone(read_only, command, name):
    folder, protect = read_only
    new, older = folder / ("new-" + name), folder / name
    _write_older(name, older, command)
    before = content(folder)
    protect()
    for out in (new, older):
        again = ["--overwrite"] if out == older else []
        refused(run_ddr(*command(name, out), *again), out, "annot be")
    assert content(folder) == before


def test_a_read_only_run_and_store_can_be_read(read_only, store, run, tmp_path):
    folder, protect = read_only
    store = shutil.copytree(store, folder / "store")
    run = shutil.copytree(run, folder / "run")
    before = content(folder)
    protect()
    must("verify", run)
    must("verify", store)
    must("encode", run, store, tmp_path / "codes.npz", "--split", "test")
    refused(run_ddr("fit", "--resume", run, "--steps", 4), run, "")
    assert content(folder) == before


def history(run):
    return [{k: v for k, v in r.items() if k != "seconds"} for r in run.history()]


def weights(run):
    values = Run.open(run).model("last").get_weights()
    return [keras.ops.convert_to_numpy(value) for value in values]


@pytest.fixture(scope="session")
def longer(store, tmp_path_factory):
    """A run of four steps that nothing disturbed."""
    path = tmp_path_factory.mktemp("runs") / "longer"
    must("fit", store, "--out", path, *SMALL, "--steps", 4)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("share", [0, 0.5])
def test_a_run_outlives_a_full_disk(disk, store, run, longer, share):
    """The share is of a checkpoint; with 0 nothing fits in at all."""
    checkpoint = next((run / "checkpoint").glob("*.keras")).stat().st_size
    out = disk.path / "run"
    with disk.free(int(share * checkpoint)):
        refused(run_ddr("fit", store, "--out", out, *SMALL), out, "no space left")
    assert content(disk.path) == {}
    shutil.copytree(run, out)
    before = history(Run.open(out))
    with disk.free(int(share * checkpoint)):
        refused(run_ddr("fit", "--resume", out, "--steps", 4), out, "no space left")
    must("verify", out)
    assert history(Run.open(out))[:2] == before
    assert not list(out.rglob(".*.tmp*"))
    # The number of steps is part of config.json, which may have fitted in.
    must("fit", "--resume", out, "--steps", 4)
    must("verify", out)
    assert history(Run.open(out)) == history(Run.open(longer))
    for one, other in zip(weights(out), weights(longer), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_older_run_stays_where_a_new_one_does_not_fit(disk, store, run):
    out = shutil.copytree(run, disk.path / "run")
    before = content(out)
    with disk.free(1000):
        result = run_ddr("fit", store, "--out", out, *SMALL, "--overwrite")
        refused(result, out, "no space left")
    assert content(out) == before


def test_a_run_is_not_made_in_a_read_only_folder(read_only, store):
    folder, protect = read_only
    protect()
    refused(run_ddr("fit", store, "--out", folder / "run", *SMALL), folder / "run", "")
    assert content(folder) == {}
