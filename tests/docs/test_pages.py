"""What the pages show is true: Python runs, commands and options exist, tests too."""

import doctest
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys

import click
import pytest

from ddr_cli.main import ddr
from pages import PAGES, ROOT, blocks

_NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
# README.md has a test of its own; performance.md shows parts of scripts.
_ELSEWHERE = ("README.md", "docs/performance.md")
_WITH_PYTHON = [
    pytest.param(name, marks=pytest.mark.slow)
    for name, page in zip(_NAMES, PAGES, strict=True)
    if blocks(page, "python", "pycon") and name not in _ELSEWHERE
]


@pytest.mark.parametrize("name", _WITH_PYTHON)
def test_python_runs(name, place, tmp_path):
    """All of a page in one process, in its order; few steps and epochs."""
    for what in ("STORE", "RUN"):
        shutil.copytree(place / what, tmp_path / what)
    script = []
    for language, code in blocks(ROOT / name, "python", "pycon"):
        if "keras.callbacks.TensorBoard" in code and not _is_there("tensorboard"):
            continue
        if language == "pycon":
            code = _checked(code)
        script.append(re.sub(r"\b(steps|epochs)=\d+", r"\1=2", code))
    (tmp_path / "page.py").write_text("\n".join(script), encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-2000:]


def _is_there(module):
    return importlib.util.find_spec(module) is not None


def _checked(code):
    """Prompts and what should come of them, as a script that compares."""
    lines = []
    for example in doctest.DocTestParser().get_examples(code):
        if example.want:
            source, want = example.source.strip(), example.want.strip()
            lines.append(f"assert repr(({source})) == {want!r}, repr(({source}))")
        else:
            lines.append(example.source)
    return "\n".join(lines)


def _command_lines():
    for name, page in zip(_NAMES, PAGES, strict=True):
        for _, code in blocks(page, "sh"):
            for line in code.replace("\\\n", " ").splitlines():
                for part in re.split(r"&&|\|", line):
                    words = shlex.split(part, comments=True)
                    if words[:1] == ["ddr"] or words[:1] == [".venv/bin/ddr"]:
                        yield pytest.param(words[1:], id=f"{name}: {' '.join(words)}")


@pytest.mark.parametrize("words", list(_command_lines()))
def test_commands_and_options_exist(words, tmp_path, monkeypatch):
    """Each `ddr` line is taken by click, with its options and their values."""
    command, context = ddr, None
    words = [word for word in words if word != "…"]
    # Stores and runs must be there to be taken.
    monkeypatch.chdir(tmp_path)
    for word in words:
        if not word.startswith(("-", "/")):
            (tmp_path / word).mkdir(parents=True, exist_ok=True)
    while isinstance(command, click.Group):
        context = click.Context(command, parent=context)
        name = words.pop(0)
        command = command.get_command(context, name)
        assert command is not None, name
    command.make_context(command.name, list(words), parent=context)


def test_there_are_command_lines():
    assert len(list(_command_lines())) > 40


@pytest.mark.parametrize("name", _NAMES)
def test_tests_that_are_named_exist(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for file, test in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text):
        code = (ROOT / file).read_text(encoding="utf-8")
        assert not test or f"def {test}(" in code, f"{file}::{test}"


@pytest.mark.parametrize("name", _NAMES)
def test_options_in_text_exist(name):
    """An option in running text is one of `ddr`, of a benchmark, of pip or another."""
    options = set(_options(ddr)) | {"--index-url", "--logdir"}
    for script in (ROOT / "benchmarks").glob("*.py"):
        options |= set(re.findall(r'"(--[a-z][\w-]*)"', script.read_text("utf-8")))
    text = (ROOT / name).read_text(encoding="utf-8")
    for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text):
        for option in re.findall(r"(?:^| )(--[a-z][\w-]*)", code):
            assert option in options, option


def _options(command):
    for parameter in command.get_params(click.Context(command)):
        yield from parameter.opts
        yield from parameter.secondary_opts
    yield "--help"
    if isinstance(command, click.Group):
        for name in command.list_commands(None):
            yield from _options(command.get_command(None, name))
