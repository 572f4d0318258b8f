"""Presets: the architectures and settings of the paper, and small ones for a CPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_ddr.errors import InputError

__all__ = ["PRESETS", "Preset"]


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named architecture with its objective and its training.

    Attributes:
        about: One line for the user.
        model: Arguments of the model's class; the others keep their defaults.
        objective: Arguments of the class's `objective_class`.
        training: Settings of `Run.create`: "batch_size" in sequences, "learning_rate"
            of Adam, "schedule" ("constant", or "cosine" decay to 0), "clipnorm" of the
            gradient of all weights together, "steps".
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
# In so few steps more sequences teach more than more frames of each. Many small steps
# learn the colours that vary least, which few large ones leave out; below 16 sequences
# this learning rate is too high.
_TINY = {
    "static_dim": 32,
    "filters": 24,
    "pair_filters": 48,
    "hidden_units": 128,
    "aggregation": "mean",
}
_BRIEF = {**_SHORT, "learning_rate": 7.5e-3, "batch_size": 16, "steps": 2_000}

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
        "The model of small, trained ten times as long: on a GPU, or for more than "
        "three hours on two CPU cores.",
        {**_SMALL, **_RECOMMENDED},
        _RECOMMENDED_OBJECTIVE,
        {**_SHORT, "batch_size": 20, "steps": 30_000},
    ),
    "small": Preset(
        "For two CPU cores: about twenty minutes of training.",
        {**_SMALL, **_RECOMMENDED},
        _RECOMMENDED_OBJECTIVE,
        {**_SHORT, "batch_size": 20, "steps": 3_000},
    ),
    "tiny": Preset(
        "For a demonstration: about two minutes of training on two CPU cores.",
        _TINY,
        training=_BRIEF,
    ),
    "puppets": Preset(
        "tiny, with the weights of ddr demo.",
        _TINY,
        training=_BRIEF,
        weights="puppets.npz",
    ),
    "faces": Preset(
        "For faces on two CPU cores: a picture of each person that z moves, and more "
        "weight on what moves; about 25 minutes of training.",
        {**_SMALL, **_FACES},
        {"kl_weight": 4.0, "static_kl_weight": 0.025, "motion_weight": 40.0},
        {**_SHORT, "learning_rate": 4e-3, "batch_size": 20, "steps": 5_000},
    ),
}
"""Presets of `DDR` by their names."""

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
