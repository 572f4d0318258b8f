"""Callbacks that `DDR.fit` adds by itself."""

import keras

__all__ = ["EpochSetter"]


class EpochSetter(keras.callbacks.Callback):
    """Tells the training data which epoch begins.

    Keras never tells a `PyDataset` its epoch, so that one that counts for itself would
    show a resumed run other data.

    Args:
        data: Anything with a method `set_epoch(epoch)`, such as `FrameSets`.
    """

    def __init__(self, data):
        super().__init__()
        self._data = data

    def on_epoch_begin(self, epoch, logs=None):
        """Hand on the epoch, counted from 0."""
        self._data.set_epoch(epoch)
