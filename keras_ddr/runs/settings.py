"""config.json: the model that a run begins with, and how it trains."""

from __future__ import annotations

import dataclasses
import pathlib
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any, Self

import keras

from keras_ddr.arguments import check_choice, check_number, check_seed, check_whole
from keras_ddr.errors import InputError
from keras_ddr.files import read_json
from keras_ddr.optimizers import Muon
from keras_ddr.version import __version__

__all__ = ["Training"]

FORMAT = 2  # of config.json
SCHEDULES = ("constant", "cosine")
_MOST = 10**9  # steps, and sequences of a batch
OPTIMIZERS = ("adam", "muon")
# Settings that runs of older versions do not have.
_LATER = ("optimizer", "beta_1", "beta_2")
_WARMUP = 200  # steps in which a cosine schedule rises to its rate, at most


@dataclasses.dataclass(frozen=True)
class Training:
    """Settings of the training of a run.

    Args:
        batch_size: Sequences in a batch.
        steps: Last step.
        learning_rate: Of the optimizer.
        schedule: "constant", or "cosine" decay to 0 at the last step.
        clipnorm: Largest norm of the gradient of all weights together; 0 or `None` for
            any.
        accumulate: Steps whose gradients are averaged before the weights change.
        save_every: Steps of an epoch, which ends with a validation and a checkpoint.
        seed: Of the frame sets.
        beta_1: Of Adam: decay of its mean of gradients, below 1.
        beta_2: Of Adam: decay of its mean of their squares, below 1.
        optimizer: "adam", or "muon", `keras_ddr.optimizers.Muon`.
    """

    batch_size: int = 20
    steps: int = 3000
    learning_rate: float = 1e-3
    schedule: str = "constant"
    clipnorm: float | None = None
    accumulate: int = 1
    save_every: int = 500
    seed: int = 0
    beta_1: float = 0.9
    beta_2: float = 0.999
    optimizer: str = "adam"

    def __post_init__(self) -> None:
        for name in ("batch_size", "steps", "save_every", "accumulate"):
            check_whole(most=_MOST, **{name: getattr(self, name)})
        if self.accumulate > self.steps:
            raise InputError(
                f"accumulate={self.accumulate} is above steps={self.steps}, so that "
                "the weights would never change; use fewer, or more steps"
            )
        check_number(above=True, learning_rate=self.learning_rate)
        for name in ("beta_1", "beta_2"):
            check_number(**{name: getattr(self, name)})
            if getattr(self, name) >= 1:
                raise InputError(f"{name}={getattr(self, name)!r}; it must be below 1")
        if self.clipnorm is not None:
            check_number(clipnorm=self.clipnorm)
        check_choice(SCHEDULES, schedule=self.schedule)
        check_choice(OPTIMIZERS, optimizer=self.optimizer)
        check_seed(seed=self.seed)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "int":
                value = int(value)  # NumPy's are taken as well
            elif field.type == "float":
                value = float(value)
            elif field.type != "str":
                value = float(value) if value else None
            object.__setattr__(self, field.name, value)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Settings from a dict; those that are not known are refused."""
        names = [field.name for field in dataclasses.fields(cls)]
        for name in settings:
            if name not in names:
                raise InputError(
                    f"training: {name!r} is not known; use {', '.join(names)}"
                )
        return cls(**settings)

    def make_optimizer(self) -> keras.optimizers.Optimizer:
        """The optimizer with these settings."""
        rate: Any = self.learning_rate
        if self.schedule == "cosine":
            # Adam's first steps are too large for a high rate.
            warmup = min(_WARMUP, self.steps // 10)
            rate = keras.optimizers.schedules.CosineDecay(
                0.1 * rate, self.steps - warmup, warmup_target=rate, warmup_steps=warmup
            )
        accumulate = self.accumulate if self.accumulate > 1 else None
        kind = Muon if self.optimizer == "muon" else keras.optimizers.Adam
        return kind(
            rate,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            global_clipnorm=self.clipnorm,
            gradient_accumulation_steps=accumulate,
        )


def given(overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    """The entries of a dict that are not `None`."""
    return {k: v for k, v in (overrides or {}).items() if v is not None}


def read_config(file: pathlib.Path) -> dict[str, Any]:
    """`Run.config` in a file; one that no run has written is an `InputError`."""
    config = read_json(file)
    tables = ("model", "training", "store")
    if not isinstance(config, dict) or not {"format", *tables} <= set(config):
        raise InputError(
            f"{file} is not the config.json of a run; give the folder made by ddr fit "
            "--out"
        )
    if config["format"] != FORMAT:
        raise InputError(
            f"{file} has the format {str(config['format'])[:20]!r}, and this keras_ddr "
            f"({__version__}) reads {FORMAT}; use the version that made the run"
        )
    settings = [f for f in dataclasses.fields(Training) if f.name not in _LATER]
    for held, name, kind in (
        *((config, table, dict) for table in tables),
        (config["model"], "class_name", str),
        (config["model"], "config", dict),
        (config["store"], "path", str),
        (config, "weights", int),
        *((config["training"], setting.name, object) for setting in settings),
    ):
        if name not in held or not isinstance(held[name], kind):
            raise InputError(f"{file} does not say {name!r} as a run does; restore it")
    try:
        Training.of(config["training"])
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    return config


def versions() -> dict[str, str | None]:
    """Versions of what a training depends on, by name."""
    found: dict[str, str | None] = {
        "python": platform.python_version(),
        "keras_ddr": __version__,
    }
    for package in ("keras", "numpy", keras.backend.backend()):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found
