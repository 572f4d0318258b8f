"""The command line, in this process and in others."""

import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from ddr_cli.main import ddr

# Puts modules out of reach: importing them fails.
BLOCK = """
import sys
sys.modules.update(dict.fromkeys({blocked!r}))
from ddr_cli.main import ddr
ddr.main({arguments!r})
"""
# Set by the tests themselves, or by TensorFlow when they import it.
UNSET = ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS")


def _heed_interrupts():
    """A shell's background jobs, and all they start, ignore Ctrl-C otherwise."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def ddr_here():
    """Run `ddr` in this process, on the backend that is loaded already."""

    def run(*arguments):
        return CliRunner().invoke(ddr, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def ddr_elsewhere(tmp_path):
    """Run `ddr` in a new process, with modules blocked and variables set (or None)."""

    def start(*arguments, blocked=(), **variables):
        code = BLOCK.format(blocked=list(blocked), arguments=list(map(str, arguments)))
        environment = {k: v for k, v in os.environ.items() if k not in UNSET}
        return subprocess.Popen(
            [sys.executable, "-c", code],
            env={k: v for k, v in {**environment, **variables}.items() if v},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_heed_interrupts if os.name == "posix" else None,
        )

    def run(*arguments, **options):
        process = start(*arguments, **options)
        output, errors = process.communicate(timeout=240)
        return subprocess.CompletedProcess(
            arguments, process.returncode, output, errors
        )

    run.start = start
    return run


@pytest.fixture(scope="session")
def puppets(tmp_path_factory):
    """A store made by `ddr preprocess puppets`."""
    path = tmp_path_factory.mktemp("stores") / "puppets"
    result = CliRunner().invoke(
        ddr, ["preprocess", "puppets", str(path), "--identities", "24", "--size", "32"]
    )
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture(scope="session")
def moving(tmp_path_factory):
    """Puppets that move, of the same size."""
    path = tmp_path_factory.mktemp("stores") / "moving"
    options = "--motion --identities 24 --length 96 --size 32".split()
    result = CliRunner().invoke(ddr, ["preprocess", "puppets", str(path), *options])
    assert result.exit_code == 0, result.output
    return path


SMALL = (
    "--config tiny --steps 4 --save-every 2 --batch-size 4 --filters 8 "
    "--pair-filters 8 --hidden-units 16 --static-dim 4"
).split()


@pytest.fixture(scope="session")
def small():
    """Options of a `ddr fit` that takes seconds."""
    return SMALL


@pytest.fixture(scope="session")
def fitted(puppets, tmp_path_factory):
    """A run made by `ddr fit`, and what the command wrote: a line after every step."""
    path = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ddr_cli.progress.PLAIN", -1.0)
        arguments = ["fit", str(puppets), "--out", str(path), *SMALL]
        result = CliRunner().invoke(ddr, arguments)
    assert result.exit_code == 0, result.output
    return path, result.output


@pytest.fixture(scope="session")
def run_folder(fitted):
    """The folder of a run that was trained; tests leave it as it is."""
    return fitted[0]
