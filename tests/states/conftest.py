import numpy as np
import pytest

from keras_ddr import DiagonalGaussian
from keras_ddr.codes import Codes
from keras_ddr.data import write_arrays


@pytest.fixture
def of_z():
    """Pairs of the sequences of a store and codes with these z̃."""

    def pairs(store, z):
        found = []
        for sequence, each in zip(store.sequences, z, strict=True):
            each = np.asarray(each, np.float32)
            zeros = np.zeros(2, np.float32)
            dynamic = DiagonalGaussian(each, np.zeros_like(each))
            found.append((sequence, Codes(DiagonalGaussian(zeros, zeros), dynamic)))
        return found

    return pairs


@pytest.fixture
def store_of(tmp_path):
    """A store with so many sequences of so many frames; further arguments as given."""

    def make(sequences, frames, **options):
        pixels = np.zeros((sequences, frames, 16, 16, 1), np.uint8)
        return write_arrays(tmp_path / "S", pixels, **options)

    return make
