"""config.json: how a run trains, and the model that it starts with."""

import inspect
import pathlib
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import keras

from keras_ddr import checks, checksums
from keras_ddr.arguments import check_choice, check_number, check_seed, check_whole
from keras_ddr.errors import InputError
from keras_ddr.files import read_json
from keras_ddr.model import DDR
from keras_ddr.version import __version__

__all__ = [
    "FORMAT",
    "SCHEDULES",
    "given",
    "new_model",
    "plain_arguments",
    "read_config",
    "set_size",
    "training_settings",
    "versions",
]

FORMAT = 1
"""Version of the format of config.json."""
SCHEDULES = ("constant", "cosine")
"""Ways in which the learning rate may change."""

_SETTINGS = (
    "accumulate",
    "batch_size",
    "clipnorm",
    "learning_rate",
    "save_every",
    "schedule",
    "steps",
)
_MOST = 10**9  # steps, and sequences of a batch
_WARMUP = 200  # steps in which a cosine schedule rises to its rate, at most


def given(overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    """The entries of a dict that are not `None`."""
    return {k: v for k, v in (overrides or {}).items() if v is not None}


def training_settings(
    defaults: Mapping[str, Any], overrides: Mapping[str, Any] | None, seed: int
) -> dict[str, Any]:
    """All settings of the training.

    Args:
        defaults: Those of a configuration.
        overrides: Dict of what replaces them; `None` replaces nothing.
        seed: Non-negative integer.

    Returns:
        Dict.

    Raises:
        InputError: One of them cannot be used, or is not known.
    """
    for name in given(overrides):
        if name not in _SETTINGS:
            raise InputError(
                f"training: {name!r} is not known; use {', '.join(_SETTINGS)}"
            )
    return checked_training(
        {**defaults, "save_every": 500, **given(overrides), "seed": seed}
    )


def checked_training(settings: Mapping[str, Any]) -> dict[str, Any]:
    settings = {"clipnorm": None, "accumulate": 1, **settings}
    for name in ("batch_size", "steps", "save_every", "accumulate"):
        check_whole(most=_MOST, **{name: settings[name]})
        settings[name] = int(settings[name])
    if settings["accumulate"] > settings["steps"]:
        raise InputError(
            f"accumulate={settings['accumulate']} is above steps={settings['steps']}, "
            "so that the weights would never change; use fewer, or more steps"
        )
    check_number(above=True, learning_rate=settings["learning_rate"])
    settings["learning_rate"] = float(settings["learning_rate"])
    clipnorm = settings["clipnorm"]
    if clipnorm is not None:
        check_number(clipnorm=clipnorm)
    settings["clipnorm"] = float(clipnorm) if clipnorm else None
    check_choice(SCHEDULES, schedule=settings["schedule"])
    seed = settings["seed"]
    check_seed(seed=seed)
    return {**settings, "seed": int(seed)}


def new_model(arguments: Mapping[str, Any], training: Mapping[str, Any]) -> DDR:
    """A compiled model with random weights.

    Args:
        arguments: Of `DDR`.
        training: As `training_settings` returns it.

    Returns:
        `DDR`.
    """
    model = DDR(**arguments)
    rate = training["learning_rate"]
    if training["schedule"] == "cosine":
        # Adam's first steps are too large for a high rate.
        warmup = min(_WARMUP, training["steps"] // 10)
        rate = keras.optimizers.schedules.CosineDecay(
            0.1 * rate,
            training["steps"] - warmup,
            warmup_target=rate,
            warmup_steps=warmup,
        )
    together = training["accumulate"]
    optimizer = keras.optimizers.Adam(
        rate,
        global_clipnorm=training["clipnorm"],
        gradient_accumulation_steps=together if together > 1 else None,
    )
    model.compile(optimizer=optimizer)
    return model


def set_size(arguments: Mapping[str, Any]) -> int:
    """Frames of a set of training data, as `DDR.set_size` of these arguments."""
    distinct = arguments.get("dynamic_frames") == "distinct"
    return int(arguments["frames_per_set"]) * (2 if distinct else 1)


def plain_arguments(model: DDR, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the model as JSON holds them, with every default written out.

    Args:
        model: `DDR`.
        arguments: What it was made with.

    Returns:
        Dict.
    """
    parameters = inspect.signature(DDR.__init__).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    plain = {**defaults, **arguments, "image_shape": list(model.image_shape)}
    if not isinstance(plain["likelihood"], str):
        plain["likelihood"] = keras.saving.serialize_keras_object(plain["likelihood"])
    return plain


def read_config(file: pathlib.Path) -> dict[str, Any]:
    """Read a config.json and refuse what no run wrote into its own.

    Args:
        file: `pathlib.Path`.

    Returns:
        Dict as `Run.config`.

    Raises:
        InputError: It is damaged, or of something else.
    """
    config = read_json(file)
    keys = ("format", "model", "training", "store")
    if not isinstance(config, dict) or not all(key in config for key in keys):
        raise InputError(
            f"{file} is not the config.json of a run; give the folder made by ddr fit "
            "--out"
        )
    if type(config["format"]) is not int or config["format"] < 1:
        raise InputError(f"{file} has the format {config['format']!r}; restore it")
    if config["format"] > FORMAT:
        raise InputError(
            f"{file} was written by a newer keras_ddr; update this one "
            f"(it is {__version__})"
        )
    for key in keys[1:]:
        if not isinstance(config[key], dict):
            raise InputError(f"{file} has no table {key!r}; restore it")
    try:
        checked_training(config["training"])
    except KeyError as error:
        raise InputError(f"{file} lacks {error} for the training; restore it") from None
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    number = config["model"].get("frames_per_set")
    least = checks.least_frames(config["model"].get("aggregation"))
    if type(number) is not int or number < least:
        raise InputError(
            f"{file} has frames_per_set {str(number)[:40]}, but it is a whole number "
            f"of at least {least}; restore it"
        )
    if not isinstance(config["store"].get("path"), str):
        raise InputError(f"{file} does not say where the store is; restore it")
    config.pop(checksums.KEY, None)
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
