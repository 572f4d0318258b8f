"""Gradients on any backend, for tests."""

import keras
import numpy as np
from keras import ops


def gradients(loss, layer):
    """Gradients of `loss()` for the trainable weights of a layer, as arrays."""
    weights = layer.trainable_weights
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss()
        return [np.asarray(g) for g in tape.gradient(value, [w.value for w in weights])]
    if backend == "torch":
        layer.zero_grad()
        loss().backward()
        return [ops.convert_to_numpy(w.value.grad) for w in weights]
    import jax

    def stateless(values):
        with keras.StatelessScope(state_mapping=zip(weights, values, strict=True)):
            return loss()

    return [np.asarray(g) for g in jax.grad(stateless)([w.value for w in weights])]
