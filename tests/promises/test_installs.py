"""What a wheel and an sdist hold."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
# Import package -> its folder in the source tree.
_PACKAGES = {"keras_ddr": "keras_ddr", "ddr_cli": "cli"}
_PARTS = ("keras_ddr", "cli", "tests", "docs", "examples", "benchmarks", ".ci")
_BESIDE = (
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "MANIFEST.in",
    "README.md",
    "pyproject.toml",
    "ruff.toml",
    "setup.cfg",
    "setup.py",
)
_MADE = ["__pycache__", "*.py[co]"]
# By building the site and by running the examples.
_MADE_IN = {"docs": ["gallery", "*.rst"], "examples": ["out"]}
# Under a licence of its own, which asks for credits: in the repository alone.
_ART = Path("docs/images/sprites")


def _build(tree, out, kind):
    """Build offline, with the setuptools that is installed."""
    pytest.importorskip(
        "setuptools", "70.1", reason="builds wheels by itself from 70.1"
    )
    out.mkdir()
    code = (
        "import sys\n"
        "from setuptools import build_meta\n"
        f"build_meta.build_{kind}(sys.argv[1])\n"
    )
    command = [sys.executable, "-c", code, str(out)]
    subprocess.run(command, cwd=tree, check=True, capture_output=True)
    [file] = out.iterdir()
    return file


def _files(folder):
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def _in_wheel(file):
    with zipfile.ZipFile(file) as archive:
        return {Path(name) for name in archive.namelist() if not name.endswith("/")}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The source tree, without what was made in it."""
    tree = tmp_path_factory.mktemp("source") / "tree"
    tree.mkdir()
    for name in _PARTS:
        ignore = shutil.ignore_patterns(*_MADE, *_MADE_IN.get(name, []))
        shutil.copytree(_ROOT / name, tree / name, ignore=ignore)
    for name in _BESIDE:
        shutil.copy(_ROOT / name, tree)
    return tree


@pytest.fixture(scope="module")
def sources(tree):
    """Files of the source tree, noted before anything is built in it."""
    return _files(tree)


@pytest.fixture(scope="module")
def wheel(tree, sources, tmp_path_factory):
    return _build(tree, tmp_path_factory.mktemp("wheel") / "out", "wheel")


@pytest.fixture(scope="module")
def sdist(tree, sources, tmp_path_factory):
    return _build(tree, tmp_path_factory.mktemp("sdist") / "out", "sdist")


def test_the_wheel_holds_the_package_and_nothing_else(tree, wheel):
    """All of both packages, data files among them, and what pip wants to know."""
    package, about = set(), set()
    for path in _in_wheel(wheel):
        (package if path.parts[0] in _PACKAGES else about).add(path)
    wanted = {
        Path(name) / path
        for name, folder in _PACKAGES.items()
        for path in _files(tree / folder)
    }
    assert package == wanted
    assert Path("keras_ddr/visualization/explorer_page/page.html") in package
    assert {path.parts[0] for path in about} == {
        "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    }
    assert {path.name for path in about} == {
        "LICENSE",
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "top_level.txt",
    }


def test_the_sdist_holds_all_that_the_tests_need(sources, sdist, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    [folder] = tmp_path.iterdir()
    made = {
        path
        for path in _files(folder)
        if path.name == "PKG-INFO" or path.parts[0].endswith(".egg-info")
    }
    art = {path for path in sources if path.is_relative_to(_ART)}
    assert _files(folder) - made == sources - art


@pytest.mark.slow
def test_the_wheel_of_the_sdist_is_the_wheel(wheel, sdist, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    [folder] = (tmp_path / "source").iterdir()
    again = _build(folder, tmp_path / "out", "wheel")
    assert again.name == wheel.name
    assert _in_wheel(again) == _in_wheel(wheel)
    with zipfile.ZipFile(again) as one, zipfile.ZipFile(wheel) as other:
        for name in one.namelist():
            if os.path.basename(name) not in ("RECORD", "METADATA"):
                assert one.read(name) == other.read(name), name


def test_the_oldest_versions_are_those_of_setup_cfg():
    """What is tried as the oldest is what is promised to be enough."""
    setup = ConfigParser()
    setup.read(_ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"].split()
    bounds = dict(re.match(r"([\w-]+)>=([\d.]+)", line).groups() for line in lines)
    text = (_ROOT / ".ci" / "constraints-oldest.txt").read_text(encoding="utf-8")
    tried = dict(re.findall(r"^([\w-]+)==([\d.]+)$", text, flags=re.MULTILINE))
    assert tried.keys() == bounds.keys()
    for name, version in bounds.items():
        assert f"{tried[name]}.".startswith(f"{version}."), name
