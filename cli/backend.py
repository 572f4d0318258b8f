"""Choice of the Keras backend, which must happen before keras is imported."""

import contextlib
import importlib
import importlib.util
import json
import logging
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import click

from ddr_cli.arguments import BACKENDS
from ddr_cli.errors import Failure


def select_backend(name: str | None = None) -> None:
    """Import keras on a backend, `None` for the user's or the first, and --import."""
    name = name or os.environ.get("KERAS_BACKEND")
    if not name:
        candidates = [b for b in (_configured(), *BACKENDS) if b in BACKENDS]
        name = next(filter(_is_installed, candidates), candidates[0])
    if name not in BACKENDS:
        raise Failure(
            f"KERAS_BACKEND={name} cannot be used; set it to one of "
            f"{', '.join(BACKENDS)}"
        )
    if not _is_installed(name):
        package = "tensorflow" if name == "tensorflow" else f'"keras_ddr[{name}]"'
        raise Failure(
            f"the backend {name} is not installed; install it with pip install "
            f"{package}, or choose another with --backend"
        )
    running = "keras" in sys.modules and sys.modules["keras"].backend.backend()
    if running and running != name:
        raise Failure(
            f"keras already runs on {running} in this process; start a new one for "
            f"{name}"
        )
    os.environ["KERAS_BACKEND"] = name
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow uses oneDNN by itself on processors with AVX-512 only; its convolutions
    # are faster on others, too.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if not running:
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        terminal = sys.stderr.isatty()  # loading takes seconds
        if terminal:
            click.echo(f"loading {name} …", nl=False, err=True)
        try:
            with _silence():
                importlib.import_module("keras")
                # Also where measures were listed without Keras, and models left out.
                importlib.import_module("keras_ddr.models")
        finally:
            if terminal:
                click.echo("\r\x1b[2K", nl=False, err=True)
    for module in _root_option("modules") or ():
        _import_users(module)


def _import_users(module: str) -> None:
    """Import a module of the user, also from the current folder."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        importlib.import_module(module)
    except Exception as error:
        if _root_option("debug"):
            raise
        raise Failure(f"--import {module}: {type(error).__name__}: {error}") from error


def _root_option(name: str) -> Any:
    """Value of an option of `ddr` itself."""
    context = click.get_current_context(silent=True)
    return context and context.find_root().params.get(name)


def without_backend() -> None:
    """Import keras_ddr for work on stores, without Keras, which is slow to load."""
    if "keras_ddr" in sys.modules or os.environ.get("KERAS_DDR_WORKER"):
        return
    os.environ["KERAS_DDR_WORKER"] = "1"
    try:
        importlib.import_module("keras_ddr")
    finally:
        del os.environ["KERAS_DDR_WORKER"]


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and Keras: initial weights come from their global states."""
    import keras

    # Keras loads TensorFlow for this on other backends as well.
    with _silence():
        keras.utils.set_random_seed(seed)


def devices() -> list[str]:
    """Names of the devices that the backend finds; those of CPUs begin with "cpu"."""
    import keras

    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        number = torch.cuda.device_count()
        return [torch.cuda.get_device_name(i) for i in range(number)] or ["cpu"]
    return [str(device).lower() for device in keras.distribution.list_devices()]


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Drop the notes that TensorFlow's libraries write on loading at any log level."""
    try:
        terminal = None if _root_option("debug") else os.dup(2)
    except OSError:
        terminal = None
    if terminal is None:
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


def _configured() -> Any:
    """The backend in the user's keras.json."""
    # Where HOME is not set, "~" stays, and nothing is there.
    home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")
    try:
        return json.loads((pathlib.Path(home) / "keras.json").read_text())["backend"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # a module in place of the package
        return False
