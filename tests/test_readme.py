"""What the README shows is true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from keras_ddr.datasets import puppets

_ROOT = Path(__file__).resolve().parents[1]
_README = (_ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", _README, flags=re.DOTALL)


@pytest.mark.slow
def test_the_python_example_runs(tmp_path):
    puppets.prepare(tmp_path / "STORE", identities=10)
    (code,) = _blocks("python")
    assert len(code.strip().splitlines()) <= 12
    for shown, quick in (("steps=500", "steps=2"), ("epochs=6", "epochs=1")):
        assert shown in code
        code = code.replace(shown, quick)
    (tmp_path / "script.py").write_text(code, encoding="utf-8")
    subprocess.run([sys.executable, "script.py"], cwd=tmp_path, check=True)
    assert (tmp_path / "manifold.png").stat().st_size > 10_000


def test_ci_runs_the_readme_command():
    tests = [block for block in _blocks("sh") if "python -m pytest" in block]
    assert len(tests) == 1 and len(tests[0].strip().splitlines()) == 1
    assert "bin/python -m pytest" in (_ROOT / ".ci" / "run").read_text()


def test_files_that_are_linked_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", _README):
        if not target.startswith("http"):
            assert (_ROOT / target).exists(), target
