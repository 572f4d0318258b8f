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
def model():
    keras.utils.set_random_seed(1)
    return DDR((32, 32, 3), static_dim=4, filters=6, pair_filters=6, hidden_units=8)
