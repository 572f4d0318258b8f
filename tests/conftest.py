"""Fixtures shared by all tests."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

# Workers share the cores: with a thread a core in each of them, threads that wait for
# others in a loop take most of the time.
if "PYTEST_XDIST_WORKER" in os.environ:
    for _name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ.setdefault(_name, "1")

_DATA = Path(
    os.environ.get("DDR_TEST_DATA")
    or Path(__file__).resolve().parents[2] / "shared" / "data"
)


def _data(name):
    path = _DATA / name
    if not path.exists():
        reason = f"real data not found: {path} (set DDR_TEST_DATA to its folder)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard():
    """A shell has what it starts in the background ignore SIGINT, and all below it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_data():
    """A function from a name to a folder of real data; skips where it is absent."""
    return _data


@pytest.fixture
def lpc_root():
    """Folder of real LPC sprite sheets."""
    return _data("lpc")


@pytest.fixture
def mnist_root():
    """Folder of real MNIST digits, as idx files."""
    return _data("mnist")


@pytest.fixture
def face_clips():
    """Folder of real clips with faces."""
    return _data("faces")


@pytest.fixture
def detector_model():
    """The YuNet model file that `ddr preprocess` would download."""
    return _data("models") / "face_detection_yunet_2023mar.onnx"


@pytest.fixture
def rng():
    """A generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def judged(tmp_path_factory):
    """Folder of a store S of clips, judge.keras of it, and what `ddr judge` said."""
    from click.testing import CliRunner
    from moving_clips import write_clips

    from ddr_cli.main import ddr

    folder = tmp_path_factory.mktemp("judged")
    write_clips(folder / "S")
    words = ["judge", folder / "S", folder / "judge.keras", "--steps", 40]
    result = CliRunner().invoke(ddr, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    (folder / "said.txt").write_text(result.output)
    return folder


def pytest_terminal_summary(terminalreporter):
    """List what took more than 3 seconds, for the tests of the default run."""
    phases = [
        (report.duration, report.when, report.nodeid)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "duration", 0) > 3 and "slow" not in report.keywords
    ]
    if phases:
        terminalreporter.section("more than 3 seconds, and not marked slow")
        for duration, when, name in sorted(phases, reverse=True):
            terminalreporter.line(f"{duration:5.1f} s {when:<8} {name}")
