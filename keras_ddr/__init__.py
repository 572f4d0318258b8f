"""Disentangled static and dynamic codes from unordered frames.

A Keras 3 implementation of Helminger, Djelouah, Gross and Weber, "Disentangled Dynamic
Representations from Unordered Data" (2018). Importing it registers its classes with
Keras, so that saved models load; it changes no setting.
"""

import os

from keras_ddr.errors import InputError, LossNotFinite
from keras_ddr.version import __version__

# Processes that only read and crop videos have no use for Keras, which takes seconds
# and most of a gigabyte to load.
if not os.environ.get("KERAS_DDR_WORKER"):
    from keras_ddr import layers, likelihoods
    from keras_ddr.gaussian import DiagonalGaussian
    from keras_ddr.inference import Codes, LogLikelihood
    from keras_ddr.model import DDR

__all__ = [
    "DDR",
    "Codes",
    "DiagonalGaussian",
    "InputError",
    "LogLikelihood",
    "LossNotFinite",
    "__version__",
    "layers",
    "likelihoods",
]
