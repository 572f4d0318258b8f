"""A small model and sets of frames for it."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_ddr import DDR, ELBO


@pytest.fixture
def small():
    """Factory of 16×16 models that are quick to run, with the same start."""
    keras.utils.set_random_seed(1)

    def make(**arguments):
        defaults = {
            "image_shape": (16, 16, 3),
            "static_dim": 4,
            "filters": 6,
            "pair_filters": 5,
            "hidden_units": 8,
        }
        names = {field.name for field in dataclasses.fields(ELBO)}
        objective = {name: arguments.pop(name) for name in names & set(arguments)}
        model = DDR(**{**defaults, **arguments})
        model.objective = ELBO(**objective)
        return model

    return make


@pytest.fixture
def sets():
    """12 sets of 3 frames `(12, 3, 16, 16, 3)` uint8: blobs, one colour a set."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:16, :16]
    colour = rng.uniform(0.3, 1, (12, 1, 1, 1, 3))
    centre = rng.uniform(3, 13, (12, 3, 2, 1, 1))
    distance = (y - centre[:, :, 0]) ** 2 + (x - centre[:, :, 1]) ** 2
    blobs = np.exp(-distance / 8)[..., None] * colour
    return (255 * blobs).astype("uint8")
