"""Presets: architectures and settings by name, some with trained weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_ddr.code_densities import Densities
from keras_ddr.errors import InputError
from keras_ddr.files import check_output_path, replacing

if TYPE_CHECKING:
    import pathlib

    from keras_ddr.typing import StrPath

__all__ = ["PRESETS", "Preset"]


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named architecture with its objective and its training.

    Attributes:
        about: One line for the user.
        model: Arguments of the model's class; the others keep their defaults.
        objective: Arguments of the class's `objective_class`.
        training: Settings of `Run.create`: "batch_size" in sequences, "optimizer"
            ("adam" or "muon") and its "learning_rate", "schedule" ("constant", or
            "cosine" decay to 0), "clipnorm" of the gradient of all weights together,
            "steps", and others.
        weights: Name of a file of the package with trained weights, or "".
    """

    about: str
    model: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    objective: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    weights: str = ""


_PAPER = {"batch_size": 120, "learning_rate": 1e-4, "schedule": "constant"}
_SHORT = {"learning_rate": 5e-3, "schedule": "cosine", "clipnorm": 1e3}
_SMALL = {"static_dim": 64, "filters": 48, "pair_filters": 96, "hidden_units": 256}
# The best of the study (benchmarks/study.py): the mean of the pairs of six frames, and
# a KL of z that counts twice, while that of f counts once.
_RECOMMENDED = {"frames_per_set": 6, "aggregation": "mean"}
_RECOMMENDED_OBJECTIVE = {"kl_weight": 2.0, "static_kl_weight": 0.5}

_FACES = {
    "static_dim": 96,
    "dynamic_dim": 8,
    "frames_per_set": 4,
    "aggregation": "mean",
    "decoder": "warping",
}
_PEOPLE = {
    **{"static_dim": 96, "dynamic_dim": 8, "frames_per_set": 4, "aggregation": "mean"},
    **{"decoder": "components", "hidden_units": 512, "pair_filters": 256},
    # A learned p(z | f) remembers which of its few pictures a person of train has.
    "dynamic_prior": "standard",
}
# In so few steps more sequences teach more than more frames of each. Many small steps
# learn the colours that vary least, which few large ones leave out.
_TINY = {
    "static_dim": 32,
    "filters": 24,
    "pair_filters": 48,
    "hidden_units": 128,
    "aggregation": "mean",
}
# Adam needs two to three times the steps (benchmarks/time_to_quality.py). With a rate
# that is high for their number f forgets a colour of few pixels.
_MUON = {**_SHORT, "optimizer": "muon", "learning_rate": 1e-2}
_BRIEF = {**_MUON, "batch_size": 16, "steps": 900}

PRESETS: dict[str, Preset] = {
    "mmnist": Preset(
        "The paper's Moving MNIST model (Appendix A, C).",
        {"image_shape": (64, 64, 1), "static_dim": 64},
        training={**_PAPER, "steps": 60_000},
    ),
    "sprites": Preset(
        "The paper's Sprites model (Appendix A, C).",
        {"static_dim": 256},
        training={**_PAPER, "steps": 43_000},
    ),
    "affwild": Preset(
        "The paper's Aff-Wild model: Appendix C's dense 1024 implies dim f 512; the "
        "number of steps is not given.",
        {"static_dim": 512},
        training={**_PAPER, "steps": 60_000},
    ),
    "recommended": Preset(
        "The model of small, trained longer: about an hour of one CPU core.",
        {**_SMALL, **_RECOMMENDED},
        _RECOMMENDED_OBJECTIVE,
        {**_MUON, "learning_rate": 4e-3, "batch_size": 20, "steps": 10_000},
    ),
    "small": Preset(
        "About a quarter of an hour of training on one CPU core.",
        {**_SMALL, **_RECOMMENDED},
        _RECOMMENDED_OBJECTIVE,
        {**_MUON, "learning_rate": 6.667e-3, "batch_size": 20, "steps": 2_000},
    ),
    "tiny": Preset(
        "For a demonstration: about a minute of training on one CPU core.",
        _TINY,
        _RECOMMENDED_OBJECTIVE,
        _BRIEF,
    ),
    "puppets": Preset(
        "tiny, with the weights of 1,000 steps on the puppets of ddr demo.",
        _TINY,
        _RECOMMENDED_OBJECTIVE,
        {**_BRIEF, "steps": 1_000},
        weights="puppets.npz",
    ),
    "people": Preset(
        "For faces of thousands of people, few pictures of each: principal components, "
        "of which f and z make scores; about half an hour on two CPU cores.",
        _PEOPLE,
        {"kl_weight": 2.0, "static_kl_weight": 0.025, "change_weight": 2_000.0},
        {
            **_SHORT,
            **{"learning_rate": 1e-3, "beta_2": 0.98},
            **{"batch_size": 32, "steps": 20_000},
        },
    ),
    "faces": Preset(
        "For faces: a picture of each person that z moves, and more weight on what "
        "moves; about fifty minutes of one CPU core.",
        {**_SMALL, **_FACES},
        {"kl_weight": 4.0, "static_kl_weight": 0.025, "motion_weight": 40.0},
        {**_SHORT, "learning_rate": 4e-3, "batch_size": 20, "steps": 5_000},
    ),
}
"""Presets of `DDR` by their names."""

WEIGHTS = resources.files("keras_ddr") / "weights"

OWN = Preset(
    "The defaults of the class.",
    training={**_SHORT, "learning_rate": 1e-3, "batch_size": 20, "steps": 3_000},
)
"""Preset "small" of a class that has no others."""


def find_preset(presets: Mapping[str, Preset], name: str) -> Preset:
    """The preset of that name; an unknown one is an `InputError`."""
    if name not in presets:
        raise InputError(
            f"preset {name!r} is not known; use one of {', '.join(presets)}"
        )
    return presets[name]


def load_weights(model: keras.Model, name: str, file: str) -> None:
    """Give a model weights and densities of a preset; other shapes are refused."""
    if not file:
        raise InputError(f"preset {name!r} comes without weights; give weights=False")
    with (
        (WEIGHTS / file).open("rb") as opened,
        np.load(opened, allow_pickle=False) as arrays,
    ):
        content = {key: arrays[key] for key in arrays.files}
    shape = tuple(int(size) for size in content.pop("image_shape"))
    densities = Densities.taken_from(content)
    found = [values.astype("float32") for values in content.values()]
    if tuple(model.image_shape) != shape:
        raise InputError(
            f"preset {name!r} has weights for frames of {shape}, and the model is to "
            f"take {tuple(model.image_shape)}; leave image_shape out, or give "
            "weights=False"
        )
    if [w.shape for w in found] != [tuple(w.shape) for w in model.weights]:
        raise InputError(
            f"preset {name!r} has weights for a model of its own sizes; leave other "
            "sizes out, or give weights=False"
        )
    for weight, values in zip(model.weights, found, strict=True):
        weight.assign(values)
    model.densities = densities


def save_weights(model: keras.Model, path: StrPath) -> pathlib.Path:
    """Write weights and densities as `load_weights` reads them, to a .npz file."""
    file = check_output_path(path, [".npz"])
    arrays: dict[str, Any] = {"image_shape": np.array(model.image_shape, np.int32)}
    for number, weight in enumerate(model.weights):
        values = keras.ops.convert_to_numpy(weight).astype(np.float16)
        if not np.isfinite(values).all():
            raise InputError(f"{path}: {weight.path} is too large for half precision")
        arrays[f"{number:03}"] = values
    if model.densities is not None:
        arrays.update(model.densities.arrays())
    with replacing(file) as temporary, open(temporary, "wb") as opened:
        np.savez_compressed(opened, **arrays)
    return file
