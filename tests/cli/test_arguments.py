"""What can be said of arguments at once is said before Keras is loaded."""

import contextlib
import os
import subprocess
import sys

import pytest

_RUN = """
import sys
from ddr_cli.main import ddr
try:
    ddr(sys.argv[1:])
except SystemExit as end:
    print("code", end.code, "keras" in sys.modules)
"""


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("fit none --out run", 1, "none: no such frame store"),
        ("fit --resume none", 1, "none: no such run"),
        ("encode none store out", 1, "none: no such run"),
        ("evaluate run none", 1, "none: no such frame store"),
        ("events run none out", 1, "none: no such frame store"),
        ("explore none store out.html", 1, "none: no such run"),
        ("plot swap run none out.png", 1, "none: no such frame store"),
        ("info none", 1, "none: there is neither a frame store nor a run"),
        ("verify none", 1, "none: there is neither a frame store nor a run"),
        ("fit store run", 2, "the folder of the new run goes after --out"),
    ],
)
def test_a_path_that_is_not_there_is_refused_at_once(tmp_path, command, code, message):
    (tmp_path / "run").mkdir()
    (tmp_path / "store").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *command.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.split() == ["code", str(code), "False"], done.stderr
    assert done.stderr.startswith("ddr: error: ") and message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_store_that_is_being_replaced_is_left_to_its_reader(tmp_path):
    from ddr_cli.arguments import STORE

    (tmp_path / ".store.old-1-2-abc").mkdir()
    assert STORE.convert(str(tmp_path / "store"), None, None)


def on_terminal(*command):
    """What `ddr` writes to a terminal that is its standard error."""
    pty = pytest.importorskip("pty", reason="pty is of Unix")
    shown, terminal = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "ddr_cli.main", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
        timeout=300,
    )
    os.close(terminal)
    text = b""
    with contextlib.suppress(OSError):  # at the end
        while part := os.read(shown, 1000):
            text += part
    os.close(shown)
    assert done.returncode == 0, text
    return text.decode(), done.stdout


def test_a_terminal_shows_a_bar(tmp_path):
    command = ["puppets", tmp_path / "S", "--identities", 60]
    text, output = on_terminal("preprocess", *command)
    assert "% \u2588" in text and " of 60 puppets drawn" in text
    assert text.endswith("\r"), "the bar is gone in the end"
    assert "60 of 60 puppets drawn" in output


@pytest.mark.slow
def test_a_terminal_shows_loading_and_training(puppets, small, tmp_path):
    text, output = on_terminal("fit", puppets, "--out", tmp_path / "run", *small)
    # Later output may be a library's own.
    loading, _, bar = text.partition("\x1b[2K")
    assert "loading " in loading
    assert " left  loss " in bar and "\u2588" in bar and bar.endswith("\r")
    assert "step 4/4  loss " in output
