"""From many sources to one store, with what can go wrong on the way."""

import csv
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from flat_options import flat
from keras_ddr import InputError
from keras_ddr.data import FrameStore
from keras_ddr.data.labels import Label
from keras_ddr.datasets import images, parts, pipeline, source_reading, work
from keras_ddr.datasets.option_fields import Offer
from readers import ScriptPlan, read_script

LABELS = {"level": Label("frame", "continuous")}


@pytest.fixture
def write(tmp_path):
    folder = tmp_path / "sources"
    folder.mkdir()

    def write(**scripts):
        for name, script in scripts.items():
            (folder / name).write_text(script)
        names = sorted(os.listdir(folder))
        return [
            parts.Source(n, str(folder / n), parts.fingerprint([folder / n]))
            for n in names
        ]

    return write


def _build(tmp_path, sources, plan=None, **arguments):
    return pipeline.build(
        tmp_path / "S",
        sources,
        read_script,
        plan or ScriptPlan(),
        Offer("scripts", key="scripts", what="script"),
        labels=LABELS,
        **flat(**arguments),
    )


def _content(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "labels.npz"}


def _report(tmp_path):
    with open(tmp_path / "S.report.csv", newline="") as file:
        return {row["source"]: row for row in csv.DictReader(file)}


def test_sequences_come_in_the_order_of_sources(tmp_path, write):
    sources = write(b="frames 3\nframes 4", a="frames 2", c="nothing")
    with pytest.warns(UserWarning, match="skipped: c: nothing to see"):
        store = _build(tmp_path, sources)
    assert [s.name for s in store.sequences] == ["a#1", "b#1", "b#2"]
    assert [s.length for s in store.sequences] == [2, 3, 4]
    assert store.frames(1)[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert store.frame_labels(2)["level"].tolist() == [0, 0.5, 1, 1.5]
    assert {s.source: s.split for s in store.sequences}.keys() == {"a", "b"}
    report = _report(tmp_path)
    assert report["b"]["sequences"] == "2" and report["b"]["frames_kept"] == "7"
    assert report["c"]["skipped"] == "nothing to see"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "S",
        "S.report.csv",
        "sources",
    ]


def test_processes_give_the_same_store(tmp_path, write):
    scripts = {f"v{n:02}": f"frames {n + 2}" for n in range(12)}
    sources = write(**scripts)
    here = _content(_build(tmp_path, sources).path)
    many = _content(_build(tmp_path, sources, workers=2, overwrite=True).path)
    assert here == many


def test_workers_do_not_load_keras(tmp_path, write):
    store = _build(tmp_path, write(a="frames 2\ncount-modules"), workers=1)
    assert len(store) == 1
    assert _report(tmp_path)["a"]["notes"] == ""
    assert "KERAS_DDR_WORKER" not in os.environ


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_broken_costs_only_itself(tmp_path, write, workers):
    sources = write(a="frames 2", b="refuse", c="raise", d="frames 3\nnote", e="note")
    (tmp_path / "sources" / "e").unlink()
    with pytest.warns(UserWarning) as warned:
        store = _build(tmp_path, sources, workers=workers)
    assert [s.name for s in store.sequences] == ["a#1", "d#1"]
    texts = [str(warning.message) for warning in warned]
    assert len(texts) == 4 and all("\n" not in text for text in texts)
    for text, expected in zip(
        texts,
        ("b: is broken", "RuntimeError: two lines", "d: something", "e: No such file"),
        strict=True,
    ):
        assert expected in text


def test_a_process_that_dies_costs_only_its_source(tmp_path, write):
    scripts = {f"v{n}": "sleep 0.2\nframes 2" for n in range(6)}
    sources = write(**{**scripts, "v3": "sleep 0.2\ndie"})
    with pytest.warns(UserWarning, match="v3: the process that read it died"):
        store = _build(tmp_path, sources, workers=2)
    assert [s.source for s in store.sequences] == ["v0", "v1", "v2", "v4", "v5"]
    assert not multiprocessing.active_children()


def test_nothing_at_all(tmp_path, write):
    sources = write(a="nothing", b="refuse")
    with pytest.warns(UserWarning), pytest.raises(InputError) as error:
        _build(tmp_path, sources)
    assert "no script gave a sequence" in str(error.value)
    assert "a: nothing to see (and 1 more)" in str(error.value)
    # The table says why, and nothing else is left.
    assert _report(tmp_path).keys() == {"a", "b"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["S.report.csv", "sources"]


def test_an_existing_store_is_refused_before_the_work(tmp_path, write):
    sources = write(a="frames 2")
    before = _content(_build(tmp_path, sources).path)
    log = tmp_path / "log"
    with pytest.raises(InputError, match="exists already"):
        _build(tmp_path, sources, plan=ScriptPlan(log=str(log)))
    assert not log.exists() and _content(tmp_path / "S") == before


def test_an_older_store_survives_a_failure(tmp_path, write):
    before = _content(_build(tmp_path, write(a="frames 2")).path)
    with pytest.warns(UserWarning), pytest.raises(InputError):
        _build(tmp_path, write(a="refuse"), overwrite=True)
    assert _content(tmp_path / "S") == before


def _start(tmp_path, workers):
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).resolve().parents[1])!r})\n"
        "from pathlib import Path\n"
        "from keras_ddr.data import Label\n"
        "from keras_ddr.datasets import Work, parts, pipeline\n"
        "from keras_ddr.datasets.option_fields import Offer\n"
        "from readers import ScriptPlan, read_script\n"
        "def main(folder, workers):\n"
        "    names = sorted(p.name for p in (folder / 'sources').iterdir())\n"
        "    paths = {n: str(folder / 'sources' / n) for n in names}\n"
        "    sources = [parts.Source(n, p, parts.fingerprint([p]))\n"
        "               for n, p in paths.items()]\n"
        "    labels = {'level': Label('frame', 'continuous')}\n"
        "    pipeline.build(folder / 'S', sources, read_script,\n"
        "        ScriptPlan(log=str(folder / 'log')),\n"
        "        Offer('scripts', key='scripts'), labels=labels,\n"
        "        work=Work(workers=workers or 0))\n"
        "if __name__ == '__main__':\n"
        f"    main(Path({str(tmp_path)!r}), {workers})\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    # Without Keras, which is not needed here, it is quick.
    environment = {**os.environ, "KERAS_DDR_WORKER": "1"}
    return subprocess.Popen(
        [sys.executable, str(script)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _wait_for_lines(file, number):
    end = time.monotonic() + 60
    while not file.exists() or len(file.read_text().splitlines()) < number:
        assert time.monotonic() < end
        time.sleep(0.02)


def _processes_of(group):
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(path)
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    ("number", "workers"),
    [
        (signal.SIGKILL, 2),
        pytest.param(signal.SIGKILL, 0, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 0, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 2, marks=pytest.mark.slow),
    ],
)
def test_a_run_goes_on_where_it_was_ended(tmp_path, write, number, workers):
    scripts = {f"v{n:02}": f"sleep 0.1\nframes {n + 2}" for n in range(12)}
    write(**scripts)
    log = tmp_path / "log"
    process = _start(tmp_path, workers)
    _wait_for_lines(log, 6)
    if number == signal.SIGINT and workers:
        # Ctrl-C on a terminal reaches every process of the group.
        os.killpg(process.pid, number)
    else:
        os.kill(process.pid, number)
    process.communicate(timeout=60)
    assert process.returncode != 0
    # The workers end with it.
    end = time.monotonic() + 20
    while _processes_of(process.pid):
        assert time.monotonic() < end, _processes_of(process.pid)
        time.sleep(0.05)
    with pytest.raises(InputError, match="no such frame store"):
        FrameStore.open(tmp_path / "S")
    first = log.read_text().splitlines()
    log.unlink()
    process = _start(tmp_path, workers)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    second = log.read_text().splitlines()
    done = set(first) - set(second)
    assert len(done) >= 3 and set(second) == set(scripts) - done
    resumed = _content(tmp_path / "S")
    assert not (tmp_path / ".S.parts").exists()
    undisturbed = tmp_path / "again"
    undisturbed.mkdir()
    (tmp_path / "sources").rename(undisturbed / "sources")
    process = _start(undisturbed, 0)
    process.communicate(timeout=60)
    other = _content(undisturbed / "S")
    for name in ("frames.npy", "sequences.csv"):
        assert resumed[name] == other[name]


def test_two_runs_do_not_make_one_store(tmp_path, write):
    write(a="frames 2", b="sleep 100")
    log = tmp_path / "log"
    process = _start(tmp_path, 0)
    try:
        _wait_for_lines(log, 2)
        with pytest.raises(InputError, match="S: is being made by another process"):
            _build(tmp_path, write())
    finally:
        process.kill()
        process.communicate()
    # A lock ends with its process.
    write(b="frames 3")
    assert len(_build(tmp_path, write())) == 2


def test_a_failed_run_leaves_the_report_of_the_older_store(tmp_path, write):
    _build(tmp_path, write(a="frames 2"))
    before = (tmp_path / "S.report.csv").read_bytes()
    with pytest.warns(UserWarning), pytest.raises(InputError, match="S.failed.report"):
        _build(tmp_path, write(a="nothing"), overwrite=True)
    assert (tmp_path / "S.report.csv").read_bytes() == before
    assert b"nothing to see" in (tmp_path / "S.failed.report.csv").read_bytes()


def test_what_is_in_the_way_is_named_before_the_work(tmp_path, write):
    sources = write(a="frames 2")
    (tmp_path / "S.report.csv").write_text("mine")
    with pytest.raises(InputError, match="S.report.csv: is in the way"):
        _build(tmp_path, sources)
    assert (tmp_path / "S.report.csv").read_text() == "mine"
    (tmp_path / "S.report.csv").unlink()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made there"):
        _build(tmp_path / "file", sources)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "sources"]


def test_parts_of_other_options_or_changed_sources_are_not_reused(tmp_path, write):
    write(a="frames 2", b="frames 3", c="frames 4", d="sleep 100")
    log = tmp_path / "log"

    def again():
        """Names that are read before the last source, which never ends."""
        log.unlink(missing_ok=True)
        process = _start(tmp_path, 0)
        try:
            end = time.monotonic() + 60
            while not log.exists() or log.read_text().split()[-1:] != ["d"]:
                assert time.monotonic() < end
                time.sleep(0.02)
        finally:
            process.kill()
            process.communicate()
        return log.read_text().split()

    assert again() == ["a", "b", "c", "d"]
    assert again() == ["d"]
    write(b="frames 5")
    assert again() == ["b", "d"]
    # Other options, here none: all are read, and the parts of before are of no use.
    (tmp_path / "sources" / "d").write_text("frames 2")
    sources = write()
    store = _build(tmp_path, sources)
    assert [s.length for s in store.sequences] == [2, 5, 4, 2]


def test_persons_groups_and_the_users_splits(tmp_path, write):
    sources = write(**{f"v{n:02}": "frames 2" for n in range(20)})
    sources = [
        replace(s, group=f"g{n // 2}", person="eve" if n in (3, 10, 17) else "")
        for n, s in enumerate(sources)
    ]
    store = _build(tmp_path, sources)
    split = {s.source: s.split for s in store.sequences}
    for n in range(0, 20, 2):
        assert split[f"v{n:02}"] == split[f"v{n + 1:02}"]
    assert split["v03"] == split["v10"] == split["v17"]
    assert set(split.values()) == {"train", "val", "test"}


@pytest.mark.slow
def test_a_cluster_does_the_same_work(tmp_path, write, monkeypatch):
    distributed = pytest.importorskip("distributed")
    sources = write(
        **{f"v{n:02}": f"frames {n + 2}" for n in range(6)}, v06="refuse", v07="raise"
    )
    with pytest.warns(UserWarning):
        here = _content(_build(tmp_path, sources).path)
    folder = str(Path(__file__).resolve().parents[1])
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        env={"PYTHONPATH": folder, "KERAS_DDR_WORKER": "1"},
    ) as cluster:
        with pytest.warns(UserWarning) as warned:
            store = _build(
                tmp_path, sources, dask=cluster.scheduler_address, overwrite=True
            )
        assert _content(store.path) == here
        assert sum("skipped" in str(w.message) for w in warned) == 2
        # Workers that run in a folder of their own find what is given from here.
        monkeypatch.chdir(tmp_path)
        (tmp_path / "elsewhere").mkdir()
        with distributed.Client(cluster) as client:
            client.run(os.chdir, str(tmp_path / "elsewhere"))
        (tmp_path / "pictures").mkdir()
        for number in range(4):
            picture = np.full((20, 20, 3), 40 * number, np.uint8)
            cv2.imwrite(f"pictures/{number}.png", picture)
        options = {"size": 16, "crop": "none", "min_length": 2, "shares": (1, 0, 0)}
        for name, dask in (("near", None), ("far", cluster.scheduler_address)):
            images.prepare(name, "pictures", **flat(dask=dask, **options))
        assert _content(tmp_path / "far") == _content(tmp_path / "near")
        assert not list((tmp_path / "elsewhere").iterdir())
        # Workers that have a disk of their own under the same name.
        monkeypatch.setattr(source_reading, "_TRIES", 2)
        monkeypatch.setattr(
            work.Work, "path_for_workers", lambda *_: str(tmp_path / "elsewhere")
        )
        with pytest.raises(InputError, match="do not see the folder of the store"):
            _build(
                tmp_path,
                write(a="frames 3"),
                dask=cluster.scheduler_address,
                overwrite=True,
            )
        assert list((tmp_path / "elsewhere").iterdir())


@pytest.mark.slow
def test_a_cluster_that_is_not_there(tmp_path, write):
    pytest.importorskip("distributed")
    with pytest.raises(InputError, match="dask: no scheduler answers at tcp://127"):
        _build(tmp_path, write(a="frames 2"), dask="tcp://127.0.0.1:9")
    for address in ("127.0.0.1", "foo://x:1", "tcp://127.0.0.1"):
        with pytest.raises(InputError, match="is no address of a scheduler"):
            _build(tmp_path, write(a="frames 2"), dask=address)


def test_titles_without_suffixes_stay_different():
    names = ["a.avi", "b.mp4", "c.mp4"]
    assert list(pipeline._titles(names).values()) == ["a", "b", "c"]
    names = ["a.avi", "a.mp4", "b.mp4"]
    assert list(pipeline._titles(names).values()) == ["a.avi", "a.mp4", "b"]
    names = ["a.avi", "a.mp4", "a.mp4.mp4"]
    assert list(pipeline._titles(names).values()) == names


@pytest.mark.slow
def test_a_scheduler_that_is_lost_makes_no_store(tmp_path, write):
    distributed = pytest.importorskip("distributed")
    store = _build(tmp_path, write(a="frames 3"))
    before = _content(store.path)
    folder = str(Path(__file__).resolve().parents[1])
    cluster = distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        env={"PYTHONPATH": folder, "KERAS_DDR_WORKER": "1"},
    )
    sources = write(a="frames 3", b="sleep 60")
    timer = threading.Timer(5, cluster.close)
    timer.start()
    try:
        with pytest.raises(InputError, match="dask: the connection .* was lost"):
            _build(tmp_path, sources, dask=cluster.scheduler_address, overwrite=True)
    finally:
        timer.join()
        cluster.close()
    assert _content(store.path) == before


def test_a_cluster_without_workers(tmp_path, write, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(work, "_PATIENCE", 1)
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster:
        with pytest.raises(
            InputError, match="no worker has come to .* in 1 s; start some"
        ):
            _build(tmp_path, write(a="frames 2"), dask=cluster.scheduler_address)


def test_a_full_disk_is_one_line(tmp_path, write):
    resource = pytest.importorskip("resource")
    sources = write(a="frames 4000")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(InputError, match="no space left"):
            _build(tmp_path, sources)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert not (tmp_path / "S").exists()
    assert len(_build(tmp_path, sources)) == 1


def test_fingerprints_change_with_the_file(tmp_path):
    path = tmp_path / "a"
    missing = parts.fingerprint([path])
    path.write_text("1")
    first = parts.fingerprint([path])
    os.utime(path, ns=(1, 1))
    assert len({missing, first, parts.fingerprint([path])}) == 3


def test_rows_out_of_order_and_with_gaps_are_taken(tmp_path):
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (10, 16, 16, 3), np.uint8)
    kept = ([2, 3, 4], [1, 4, 9], [0])
    part = tmp_path / "part"
    source = parts.Source("a", "a")

    def read(source, plan, spool):
        crops = [spool.add(image, n) for n, image in enumerate(pixels)]
        clips = [parts.Clip.of_crops([crops[k] for k in rows]) for rows in kept]
        return parts.Outcome(clips)

    assert parts.write_part(read, source, {}, part) is None
    for rows, (clip, frames) in zip(kept, parts.clips_of(part), strict=True):
        assert clip.frame_labels["source_frame"].tolist() == rows
        assert (frames == pixels[rows]).all()
