"""Disentangled static and dynamic codes from unordered frames.

A Keras 3 implementation of Helminger, Djelouah, Gross and Weber, "Disentangled Dynamic
Representations from Unordered Data" (2018). Importing it registers its classes with
Keras, so that saved models load; it changes no setting.
"""

import importlib
import os

from keras_ddr.errors import InputError, LossNotFinite
from keras_ddr.version import __version__

# Processes that only read and crop videos have no use for Keras, which takes seconds
# and most of a gigabyte to load. They run a user's script again, though, which may
# import these names: then they get them.
if not os.environ.get("KERAS_DDR_WORKER"):
    from keras_ddr import layers, likelihoods, models, optimizers
    from keras_ddr.codes import Codes
    from keras_ddr.gaussian import DiagonalGaussian
    from keras_ddr.inference import LogLikelihood
    from keras_ddr.model import DDR
    from keras_ddr.objective import ELBO
    from keras_ddr.sequence_model import SequenceModel
else:
    _PLACES = {
        "DDR": "model",
        "Codes": "codes",
        "ELBO": "objective",
        "SequenceModel": "sequence_model",
        "DiagonalGaussian": "gaussian",
        "LogLikelihood": "inference",
    }

    def _when_asked_for(name: str) -> object:
        if name in _PLACES:
            module = importlib.import_module(f"keras_ddr.{_PLACES[name]}")
            return getattr(module, name)
        if name in ("layers", "likelihoods", "models", "optimizers"):
            return importlib.import_module(f"keras_ddr.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    # Not by `def`, or type checkers would take any name for one of this module.
    globals()["__getattr__"] = _when_asked_for

__all__ = [
    "DDR",
    "ELBO",
    "Codes",
    "DiagonalGaussian",
    "InputError",
    "LogLikelihood",
    "LossNotFinite",
    "SequenceModel",
    "__version__",
    "layers",
    "likelihoods",
    "models",
    "optimizers",
]
