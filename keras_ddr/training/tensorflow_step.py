"""The training step on TensorFlow."""

import keras
import tensorflow as tf

__all__ = ["TrainStep"]


class TrainStep:
    """Mixin of `DDR`: one step of stochastic gradient ascent on the ELBO."""

    def train_step(self, data):
        """Take one step on a batch and return the running means of the loss parts.

        Args:
            data: Tuple `(frames, None, sample_weight)` or what
                `keras.utils.unpack_x_y_sample_weight` takes.

        Returns:
            Dict of scalars, named as in the history.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        weights = self.trainable_weights
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            # Half precision: a loss that isn't scaled has gradients that vanish.
            scaled_loss = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled_loss, weights)
        self.optimizer.apply(gradients, weights)
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(x)[0])
        return self.compute_metrics(x, y, y_pred, sample_weight)
