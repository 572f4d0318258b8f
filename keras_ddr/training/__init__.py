"""One training step around `DDR.compute_loss`, written out for each backend."""

from typing import TYPE_CHECKING

import keras

__all__ = ["TrainStep"]

_backend = keras.backend.backend()
# For type checkers one step stands for all.
if TYPE_CHECKING or _backend == "tensorflow":
    from keras_ddr.training.tensorflow_step import TrainStep
elif _backend == "jax":
    from keras_ddr.training.jax_step import TrainStep
elif _backend == "torch":
    from keras_ddr.training.torch_step import TrainStep
else:
    raise ImportError(
        f"keras_ddr cannot train on the Keras backend {_backend!r}; set the "
        "environment variable KERAS_BACKEND to tensorflow, jax or torch"
    )
