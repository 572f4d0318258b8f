"""Which part of a batch this is, where several devices share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras

if TYPE_CHECKING:
    from keras_ddr.typing import Tensor

__all__ = ["replica"]


def replica() -> tuple[int | Tensor, int]:
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
