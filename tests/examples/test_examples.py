"""What building the documentation does not run: examples on real data, and without.

The gallery runs every example in full; here trainings are cut short.
"""

import os
import subprocess
import sys
from pathlib import Path

_EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
_SHORTER = {"steps, epochs = 100,": "steps, epochs = 2,"}


def _run(name, folder, *arguments, shorter=None, **variables):
    """Run an example as a script in `folder`; give what it prints and its pictures."""
    code = (_EXAMPLES / name).read_text(encoding="utf-8")
    for shown, quick in (shorter or {}).items():
        assert code.count(shown) == 1, shown
        code = code.replace(shown, quick)
    (folder / name).write_text(code, encoding="utf-8")
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("LPC_SPRITESHEET", "MNIST")
    }
    done = subprocess.run(
        [sys.executable, name, *map(str, arguments)],
        cwd=folder,
        env={**environment, **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    pictures = folder / "out" / name.removeprefix("plot_").removesuffix(".py")
    return done.stdout, sorted(path.name for path in pictures.glob("*.png"))


def test_sprites_with_the_sheets(tmp_path, lpc_root):
    printed, pictures = _run(
        "plot_sprites.py",
        tmp_path,
        shorter={**_SHORTER, "identities=150": "identities=12"},
        LPC_SPRITESHEET=str(lpc_root),
    )
    assert "12 sequences" in printed
    assert pictures == ["frames.png", "manifold.png", "reconstruction.png", "swap.png"]


def test_sprites_without_the_sheets(tmp_path):
    printed, pictures = _run("plot_sprites.py", tmp_path)
    assert "git clone https://github.com/" in printed
    assert pictures == []


def test_digits_of_mnist(tmp_path, mnist_root):
    printed, pictures = _run(
        "plot_moving_digits.py",
        tmp_path,
        mnist_root,
        shorter={**_SHORTER, '"train": 800': '"train": 40'},
    )
    assert "10000 digits" in printed
    assert pictures == ["frames.png", "manifold.png", "places.png"]
