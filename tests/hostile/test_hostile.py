"""Every malformed input ends in one line or is passed over, and does no harm."""

import importlib
import io
import pickle
import resource
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hostile import corpus

from keras_ddr import InputError

SECONDS = 20
MEMORY = 500 << 20  # bytes that a case may need above what was in use before


def _peak(reset=False):
    """Peak of the resident memory in bytes, since it was reset where that is known."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _listing(folder, but):
    """All that is below a folder, with sizes and times of change."""
    found = {}
    for path in folder.rglob("*"):
        if but not in (path, *path.parents):
            about = path.lstat()
            found[path.relative_to(folder)] = (about.st_mode, about.st_size)
    return found


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Folders for what is given, for what is made, and to work in."""
    inside = tmp_path / "a" / "b"
    for name in ("given", "out", "work"):
        (inside / name).mkdir(parents=True)
    monkeypatch.chdir(inside / "work")
    # A module that a file could ask for.
    (inside / "work" / "canary_module.py").write_text(
        f"open({str(inside / 'canary')!r}, 'w').close()\nclass Thing: pass\n"
    )
    monkeypatch.syspath_prepend(str(inside / "work"))
    sys.modules.pop("canary_module", None)
    return inside


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            id=case.name,
            marks=[] if case.name in corpus.EACH_KIND else pytest.mark.slow,
        )
        for case in corpus.CASES
    ],
)
def test_a_malformed_input(case, originals, place, tmp_path, record_property, capfd):
    record_property("hostile", case.expected)
    given, out = place / "given", place / "out"
    case.write(given, originals)
    before = _listing(tmp_path, out)
    message = None
    capfd.readouterr()
    # Of this process: others may keep the machine busy.
    began, memory = time.process_time(), _peak(reset=True)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            case.use(given, out)
        except InputError as error:
            message = str(error)
    seconds, memory = time.process_time() - began, _peak() - memory
    # No library writes past the one line.
    assert capfd.readouterr().err == ""
    # Nothing of it was run, nothing is written elsewhere.
    assert not corpus.canary(given).exists()
    assert _listing(tmp_path, out) == before
    assert seconds < SECONDS
    assert memory < MEMORY
    # Keras's own.
    said = [warning for warning in said if warning.category is not DeprecationWarning]
    for warning in said:
        assert warning.category is UserWarning, warning
        assert "\n" not in str(warning.message)
        assert len(str(warning.message)) < 1500
    if case.expected == corpus.REFUSED:
        assert message is not None, "was taken"
        assert "\n" not in message
        assert len(message) < 1500, message[:300]
        assert case.file in message, message
    else:
        assert message is None, message
        if case.file:
            assert any(case.file in str(warning.message) for warning in said)
        else:
            assert not said, [str(warning.message) for warning in said]


def test_the_canary_is_made_by_whoever_runs_a_file(place):
    """Without this the cases above would prove nothing."""
    given = place / "given"
    pickle.loads(corpus._pickled(given)).close()
    assert corpus.canary(given).exists()
    corpus.canary(given).unlink()
    np.load(io.BytesIO(corpus._object_npy(given)), allow_pickle=True)
    assert corpus.canary(given).exists()
    corpus.canary(given).unlink()
    importlib.import_module("canary_module")
    assert corpus.canary(given).exists()


def test_there_are_enough_cases():
    names = {case.name for case in corpus.CASES}
    assert len(names) == len(corpus.CASES) >= 900
    assert names >= corpus.EACH_KIND
