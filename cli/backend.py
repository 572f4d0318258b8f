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

from ddr_cli.errors import Failure
from ddr_cli.progress import Bar

__all__ = [
    "BACKENDS",
    "backend_option",
    "devices",
    "seed_everything",
    "select_backend",
    "without_backend",
]

BACKENDS = ("tensorflow", "jax", "torch")

backend_option = click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    help="Keras backend.  [default: KERAS_BACKEND or keras.json, else tensorflow]",
)


def select_backend(name: str | None = None) -> None:
    """Set KERAS_BACKEND and import keras, without its backend's chatter.

    Args:
        name: Backend, or `None` for the user's setting, and where there is none for the
            first one that is installed.

    Raises:
        Failure: The backend is not installed, or is not one of `BACKENDS`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    setting = os.environ.get("KERAS_BACKEND")
    if name is None and setting:
        if setting not in BACKENDS:
            raise Failure(
                f"KERAS_BACKEND={setting} cannot be used; set it to one of "
                f"{', '.join(BACKENDS)}"
            )
        name = setting
    if name is None:
        candidates = [b for b in (_configured(), *BACKENDS) if b in BACKENDS]
        name = next((b for b in candidates if _is_installed(b)), candidates[0])
    if not _is_installed(name):
        package = "tensorflow" if name == "tensorflow" else f'"keras_ddr[{name}]"'
        raise Failure(
            f"the backend {name} is not installed; install it with pip install "
            f"{package}, or choose another with --backend"
        )
    if "keras" in sys.modules:
        _check_running(name)
    os.environ["KERAS_BACKEND"] = name
    # TensorFlow uses oneDNN by itself on processors with AVX-512 only; its convolutions
    # are the faster ones on others, too.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if "keras" not in sys.modules:
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        bar = Bar()
        # It takes seconds, and what comes after may be quiet as well.
        bar.say(f"loading {name} …")
        try:
            with _silence():
                importlib.import_module("keras")
                importlib.import_module("keras_ddr")
        finally:
            bar.clear()


def without_backend() -> None:
    """Import keras_ddr alone, for work on stores: Keras takes seconds to load.

    What is asked of it later and does need Keras imports it then.
    """
    if "keras_ddr" in sys.modules or os.environ.get("KERAS_DDR_WORKER"):
        return
    os.environ["KERAS_DDR_WORKER"] = "1"
    try:
        importlib.import_module("keras_ddr")
    finally:
        del os.environ["KERAS_DDR_WORKER"]


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and Keras: initial weights come from their global states.

    Args:
        seed: Non-negative integer.
    """
    import keras

    # On other backends too this loads TensorFlow where it is installed.
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
    """Drop what a backend's libraries write while they are loaded.

    TensorFlow's libraries write notes on the machine then, whatever
    TF_CPP_MIN_LOG_LEVEL says. A failure to load is an exception and still shows.
    """
    context = click.get_current_context(silent=True)
    debug = context is not None and context.find_root().params.get("debug")
    try:
        terminal = None if debug else os.dup(2)
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


def _check_running(name: str) -> None:
    running = sys.modules["keras"].backend.backend()
    if running != name:
        raise Failure(
            f"keras already runs on {running} in this process; start a new one for "
            f"{name}"
        )


def _configured() -> Any:
    home = os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras"
    try:
        return json.loads((pathlib.Path(home) / "keras.json").read_text())["backend"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
