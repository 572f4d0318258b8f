"""The package's hints, as type checkers of its users see them."""

import importlib.resources
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

_ROOT = Path(__file__).resolve().parents[2]


def _mypy(*files):
    """What is wrong in these files; the package's own errors are another matter."""
    options = ["--strict", "--follow-imports=silent"]
    return subprocess.run(
        [sys.executable, "-m", "mypy", *options, *map(str, files)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
    )


def test_the_package_says_that_it_has_hints():
    assert (importlib.resources.files("keras_ddr") / "py.typed").is_file()


@pytest.mark.slow
def test_results_have_the_types_that_users_expect(tmp_path):
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    (tmp_path / "readme.py").write_text(code, encoding="utf-8")
    result = _mypy(_ROOT / "tests/typing/usage.py", tmp_path / "readme.py")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
def test_wrong_expectations_are_found(tmp_path):
    # Hints that were lost on the way would be `Any`, which is no error anywhere.
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from keras_ddr import DDR\n"
        "from keras_ddr.data import FrameStore\n"
        "reveal_type(FrameStore.open('STORE'))\n"
        "reveal_type(DDR().encode([]).static.mean)\n"
        "number: int = DDR().encode([])\n",
        encoding="utf-8",
    )
    result = _mypy(wrong)
    assert result.returncode == 1
    lines = [line.partition("wrong.py:")[2] for line in result.stdout.splitlines()]
    assert 'Revealed type is "keras_ddr.data.store.FrameStore"' in lines[0]
    assert re.search(r'Revealed type is "numpy\.ndarray\[.*float', lines[1])
    assert 'has type "Codes", variable has type "int"' in lines[2]
