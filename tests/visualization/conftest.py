"""Puppets, and a model of their size with random weights."""

import keras
import pytest

from keras_ddr import DDR
from keras_ddr.datasets import puppets


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "puppets"
    return puppets.prepare(path, identities=24, size=32, arms=4, legs=3)


@pytest.fixture(scope="session")
def make_model():
    """Factory of models with random weights."""

    def make(image_shape=(32, 32, 3), **arguments):
        keras.utils.set_random_seed(2)
        defaults = {"static_dim": 4, "filters": 6, "pair_filters": 6}
        return DDR(image_shape, **{**defaults, "hidden_units": 8, **arguments})

    return make


@pytest.fixture(scope="session")
def model(make_model):
    return make_model()
