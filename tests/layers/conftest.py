"""Fixtures of the layers' tests."""

import keras
import pytest


@pytest.fixture(autouse=True)
def same_weights():
    """Layers of a handful of units: by chance, all of them can be dead (ReLU)."""
    keras.utils.set_random_seed(1)
