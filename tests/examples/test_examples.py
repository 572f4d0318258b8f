"""What building the documentation does not run: an example without its data."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.slow
def test_sprites_without_the_sheets(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "LPC_SPRITESHEET"}
    done = subprocess.run(
        [sys.executable, _EXAMPLES / "plot_sprites.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "git clone https://github.com/" in done.stdout
    assert not list(tmp_path.rglob("*.png"))
