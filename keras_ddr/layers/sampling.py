"""The reparameterised draw, and its random state."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_ddr.gaussian import DiagonalGaussian
from keras_ddr.layers.gaussian_head import Part

if TYPE_CHECKING:
    from keras_ddr.typing import Shape, Tensor

__all__ = ["GaussianSampling"]

# On torch a generator's state is the sum of its two numbers, so that streams with
# close seeds would overlap: the two streams here start far apart.
_EVALUATION_OFFSET = 500_000_003


@keras.saving.register_keras_serializable(package="keras_ddr")
class GaussianSampling(Part):
    """Draws from a diagonal Gaussian by reparameterisation, in float32.

    It owns two random streams: one of training, and one of evaluation, which
    `reset_evaluation` sets back, so that validating changes nothing in training. Both
    are written into `.keras` files, which Keras does not do for a `SeedGenerator`: a
    resumed run is exact. Replicas that share a batch take the draws that one device
    would take for their part of it.

    Args:
        seed: Non-negative integer that starts both streams.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        mean: `(..., dim)`.
        log_variance: `(..., dim)`.
        training: Draw from the training stream (`True`) or the evaluation stream.

    References:
        Section 2, "Inference Model"; Kingma and Welling (2013).
    """

    _arguments = ("seed",)

    def __init__(self, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.seed = int(seed)
        self.training_stream = keras.random.SeedGenerator(self.seed)
        self.evaluation_stream = keras.random.SeedGenerator(
            (self.seed + _EVALUATION_OFFSET) % 2**31
        )

    def build(self, mean_shape: Shape, log_variance_shape: Shape) -> None:
        """Nothing to create: the streams exist from the start."""
        self.built = True

    def call(
        self, mean: Tensor, log_variance: Tensor, training: bool = False
    ) -> Tensor:
        """Return a draw of the shape of `mean`, float32."""
        stream = self.training_stream if training else self.evaluation_stream
        size, *rest = ops.shape(mean)
        index, count = _replica()
        noise = keras.random.normal((count * size, *rest), dtype="float32", seed=stream)
        if count > 1:
            noise = noise[index * size : (index + 1) * size]
        return DiagonalGaussian(mean, log_variance).sample(noise)

    def compute_output_shape(
        self, mean_shape: Shape, log_variance_shape: Shape
    ) -> Shape:
        """Shape of `mean`."""
        return mean_shape

    def reset_evaluation(self) -> None:
        """Set the evaluation stream back to its start."""
        start = [(self.seed + _EVALUATION_OFFSET) % 2**31, 0]
        self.evaluation_stream.state.assign(start)

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Write the states of both streams."""
        store["training"] = ops.convert_to_numpy(self.training_stream.state)
        store["evaluation"] = ops.convert_to_numpy(self.evaluation_stream.state)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Read what `save_own_variables` wrote."""
        self.training_stream.state.assign(store["training"][...])
        self.evaluation_stream.state.assign(store["evaluation"][...])


def _replica() -> tuple[int | Tensor, int]:
    """Number of this replica, a tensor where there are several, and of all.

    On TensorFlow every replica of a `tf.distribute` strategy runs the model on its own
    part of the batch. On JAX one program sees the whole batch, whatever the devices.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        count = tf.distribute.get_strategy().num_replicas_in_sync
        context = tf.distribute.get_replica_context()
        if count > 1 and context is not None:  # None outside of the replicas
            return context.replica_id_in_sync_group, count
    return 0, 1
