"""Named architectures: those of the paper, and small ones for a CPU."""

import copy
from typing import Any

from keras_ddr.errors import InputError

__all__ = ["CONFIGS", "get"]

_PAPER_TRAINING = {
    "batch_size": 120,
    "learning_rate": 1e-4,
    "schedule": "constant",
    "clipnorm": None,
}

_SHORT_TRAINING = {"learning_rate": 5e-3, "schedule": "cosine", "clipnorm": 1e3}

_SMALL = {"static_dim": 64, "filters": 48, "pair_filters": 96, "hidden_units": 256}

# What the study (benchmarks/study.py) has found best: the mean of the pairs of six
# frames, and a KL of z that counts twice, while that of f counts once.
_RECOMMENDED = {
    "frames_per_set": 6,
    "aggregation": "mean",
    "kl_weight": 2.0,
    "static_kl_weight": 0.5,
}

CONFIGS: dict[str, dict[str, Any]] = {
    "mmnist": {
        "about": "The paper's Moving MNIST model (Appendix A, C).",
        "model": {"image_shape": (64, 64, 1), "static_dim": 64},
        "training": {**_PAPER_TRAINING, "steps": 60_000},
    },
    "sprites": {
        "about": "The paper's Sprites model (Appendix A, C).",
        "model": {"image_shape": (64, 64, 3), "static_dim": 256},
        "training": {**_PAPER_TRAINING, "steps": 43_000},
    },
    "affwild": {
        "about": "The paper's Aff-Wild model: Appendix C's dense 1024 implies dim f "
        "512; the number of steps is not given.",
        "model": {"image_shape": (64, 64, 3), "static_dim": 512},
        "training": {**_PAPER_TRAINING, "steps": 60_000},
    },
    "recommended": {
        "about": "The model of small, trained ten times as long: on a GPU, or for "
        "more than three hours on two CPU cores.",
        "model": {"image_shape": (64, 64, 3), **_SMALL, **_RECOMMENDED},
        "training": {**_SHORT_TRAINING, "batch_size": 20, "steps": 30_000},
    },
    "small": {
        "about": "For two CPU cores: about twenty minutes of training.",
        "model": {"image_shape": (64, 64, 3), **_SMALL, **_RECOMMENDED},
        "training": {**_SHORT_TRAINING, "batch_size": 20, "steps": 3_000},
    },
    "tiny": {
        "about": "For a demonstration: about two minutes of training on two CPU cores.",
        "model": {
            "image_shape": (64, 64, 3),
            "static_dim": 32,
            "filters": 24,
            "pair_filters": 48,
            "hidden_units": 128,
            # In so few steps more sequences teach more than more frames of each.
            "aggregation": "mean",
        },
        # Many small steps learn the colours that vary least, which few large ones
        # leave out; below 16 sequences this learning rate is too high.
        "training": {
            **_SHORT_TRAINING,
            "learning_rate": 7.5e-3,
            "batch_size": 16,
            "steps": 2_000,
        },
    },
}
"""Named configurations; `get` describes what is in one."""


def get(name: str) -> dict[str, Any]:
    """Configuration by its name.

    Args:
        name: A key of `CONFIGS`.

    Returns:
        A copy of the dict with the keys "about" (text), "model" (arguments of `DDR`;
        what is not named keeps the paper's value) and "training" ("batch_size" in
        sequences, "learning_rate" of Adam, "schedule" "constant" or "cosine" decay to
        0, "clipnorm" of the gradient of all weights together or None, "steps").

    Raises:
        InputError: The name is not known.
    """
    if name not in CONFIGS:
        raise InputError(
            f"config {name!r} is not known; use one of {', '.join(CONFIGS)}"
        )
    return copy.deepcopy(CONFIGS[name])
