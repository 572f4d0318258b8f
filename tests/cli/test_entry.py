import pathlib
import pwd
import subprocess
import sys

import pytest

HELP = """
import sys
import click
from click.testing import CliRunner
from ddr_cli.main import ddr

def ask(command, words):
    # The measures and the options of data sets describe themselves.
    if words in (["evaluate"], ["preprocess"]):
        return 1
    result = CliRunner().invoke(ddr, [*words, "--help"])
    assert result.exit_code == 0, result.output
    number = 1
    if isinstance(command, click.Group):
        for name in command.list_commands(None):
            number += ask(command.get_command(None, name), [*words, name])
    return number

assert ask(ddr, []) > 15
heavy = {"keras", "keras_ddr", "numpy", "matplotlib", "tensorflow", "jax", "torch"}
heavy |= {"scipy", "sklearn", "cv2"}
print(sorted(heavy & set(sys.modules)))
assert "Measures:" in CliRunner().invoke(ddr, ["evaluate", "--help"]).output
videos = CliRunner().invoke(ddr, ["preprocess", "videos", "--help"])
assert "--max-gap" in videos.output
print(sorted((heavy - {"keras_ddr", "numpy"}) & set(sys.modules)))
"""


def one_line(text):
    assert text.startswith("ddr: "), text
    assert text.count("\n") == 1 and text.endswith("\n"), text
    return text


def test_help_waits_for_nothing():
    """No command imports what takes long before it is asked to do something."""
    found = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True)
    assert found.stdout == "[]\n[]\n", found.stderr


def test_help_names_commands_and_defaults(ddr_here):
    output = ddr_here("--help").output
    for command in ("preprocess", "fit", "plot", "demo", "info"):
        assert f"\n  {command} " in output
    output = " ".join(ddr_here("fit", "--help").output.split())
    assert "[default: small, or" in output and "[default: none]" in output
    assert "ddr fit --resume RUN" in output


def test_help_lists_the_presets_and_likelihoods_there_are(ddr_here):
    from ddr_cli.fit import MODEL_NAMES, PRESET_NAMES
    from keras_ddr import DDR, likelihoods, models

    assert list(PRESET_NAMES) == list(DDR.presets)
    assert list(MODEL_NAMES) == list(models.MODELS)
    output = ddr_here("fit", "--help").output
    for name in ("bernoulli", "continuous_bernoulli", "normal"):
        assert name in output
        likelihoods.get(name)
    sizes = {"static_dim": 2, "filters": 2, "pair_filters": 2, "hidden_units": 2}
    for name in ("concat", "mean", "pooled"):
        DDR((16, 16, 1), aggregation=name, **sizes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit"], "give one of --out RUN (new) and --resume RUN (go on)"),
        (["fit", "--out", "R"], "give the STORE to train on"),
        (["fit", "S", "--out", "R", "--resume", "R"], "give one of --out"),
        (["fit", "S", "--out", "R", "--backend", "theano"], "'theano' is not one of"),
        (["fit", "S", "--out", "R", "--steps", "0"], "--steps"),
        (["fit", "S", "--out", "R", "--lr", "0"], "--lr"),
        (["fit", "S", "--out", "R", "--seed", "3000000000"], "--seed"),
        (["fit", "--resume", "R", "--lr", "0.1", "--seed", "2"], "--lr, --seed cannot"),
        (["fit", "--resume", "R", "--overwrite"], "--overwrite cannot be changed"),
        (["plot", "swap", "R"], "Missing argument 'STORE'"),
        (["evaluat"], "'evaluat'. Did you mean 'evaluate'?"),
        (["banana"], "No such command 'banana'"),
        (["--verbose"], "--verbose"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(
    ddr_here, arguments, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("R", "S"):
        (tmp_path / name).mkdir()
    result = ddr_here(*arguments)
    assert result.exit_code == 2
    assert message in one_line(result.stderr)


def test_alone_it_shows_its_help(ddr_here):
    assert "Commands:" in ddr_here().output


def test_errors_are_one_line_and_debug_shows_the_traceback(ddr_here, tmp_path):
    result = ddr_here("info", tmp_path / "missing")
    assert result.exit_code == 1
    assert "missing" in one_line(result.stderr)
    (tmp_path / "empty").mkdir()
    result = ddr_here("--debug", "info", tmp_path / "empty")
    assert type(result.exception).__name__ == "InputError"


def test_an_error_nobody_expected_is_one_line_too():
    from ddr_cli.errors import Failure, one_line

    text = one_line(Failure.of(RuntimeError("a\n  b")).format_message())
    assert text.startswith("RuntimeError: a b (not expected; ddr --debug")
    assert Failure.of(OSError(28, "No space left", "f")).message == "f: No space left"
    full = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes."
    for error in (
        MemoryError(),
        RuntimeError(full),
        RuntimeError("CUDA out of memory"),
    ):
        assert "--batch-size" in Failure.of(error).message


def test_a_backend_that_is_not_installed_is_named(ddr_elsewhere, puppets):
    result = ddr_elsewhere(
        "fit", puppets, "--out", "R", "--backend", "jax", blocked=["jax"]
    )
    assert result.returncode == 1
    assert 'pip install "keras_ddr[jax]"' in one_line(result.stderr)


def test_a_backend_variable_that_cannot_be_used_is_named(ddr_elsewhere):
    result = ddr_elsewhere("info", KERAS_BACKEND="theano")
    assert result.returncode == 1
    assert "KERAS_BACKEND=theano" in one_line(result.stderr)


def test_modules_of_the_user_are_imported(ddr_here, tmp_path, monkeypatch):
    """DDR_IMPORT names modules where no option does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DDR_IMPORT", "own_b own_c")
    for name in "abc":
        pathlib.Path(f"own_{name}.py").write_text("print(__name__, 'is here')\n")
    for options, names in ((["--import", "own_a"], "a"), ([], "bc")):
        result = ddr_here(*options, "info")
        assert result.exit_code == 0, result.output
        lines = [x for x in result.stdout.splitlines() if x.endswith("is here")]
        assert lines == [f"own_{name} is here" for name in names]


def test_a_module_that_cannot_be_imported_is_named(ddr_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("own_d.py").write_text("1 / 0")
    for module, reason in (
        ("own_d", "ZeroDivisionError: division by zero"),
        ("own_none", "ModuleNotFoundError: No module named 'own_none'"),
    ):
        result = ddr_here("--import", module, "info")
        assert result.exit_code == 1
        assert one_line(result.stderr) == f"ddr: error: --import {module}: {reason}\n"


def test_a_user_without_a_name_and_a_home(ddr_here, monkeypatch):
    def unknown(number):
        raise KeyError(number)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(RuntimeError):
        pathlib.Path.home()
    assert ddr_here("preprocess", "videos", "--help").exit_code == 0
    assert pathlib.Path.home().is_dir()


@pytest.mark.slow
def test_matplotlibs_setting_of_a_notebook_and_no_home_are_fine(ddr_elsewhere):
    """As in a notebook's shell, and in a container with a bare user number."""
    inline = "module://matplotlib_inline.backend_inline"
    process = ddr_elsewhere.start("info", MPLBACKEND=inline, HOME=None)
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert "backend " in output
