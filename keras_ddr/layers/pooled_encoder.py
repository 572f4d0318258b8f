"""h_S → q(f | x_S) without a comparison of frames: their features are averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_ddr.layers.convolution import convolve
from keras_ddr.layers.gaussian_head import GaussianHead

if TYPE_CHECKING:
    from keras_ddr.typing import Shape, Tensor

__all__ = ["PooledStaticEncoder"]


@keras.saving.register_keras_serializable(package="keras_ddr")
class PooledStaticEncoder(keras.layers.Layer):
    """Averages what a convolution says of each frame and gives the posterior of f.

    What `PairwiseStaticEncoder` with aggregation "mean" is without its pairs: each
    frame goes through a convolution alone, and the mean over the frames through the
    same layers as there. Any number of frames, and no dependence on their order.

    Args:
        static_dim: Dimensions of f.
        filters: Channels of both convolutions.
        hidden_units: Units of the dense layer.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        features: `(B, N, h, w, c)`, the feature maps of N ≥ 1 frames a set.

    References:
        Edwards and Storkey, "Towards a Neural Statistician", 2017, section 4.1: the
        statistic network pools over the elements of a set.
    """

    def __init__(
        self,
        static_dim: int,
        filters: int = 512,
        hidden_units: int = 512,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.static_dim = static_dim
        self.fewest_frames = 1
        self.filters = filters
        self.hidden_units = hidden_units
        self.frame_convolution, self.set_convolution = (
            keras.layers.Conv2D(
                filters,
                3,
                padding="same",
                data_format="channels_last",
                dtype=self.dtype_policy,
                name=name,
            )
            for name in ("frame_convolution", "set_convolution")
        )
        self.dense = keras.layers.Dense(
            hidden_units, activation="relu", dtype=self.dtype_policy, name="dense"
        )
        self.head = GaussianHead(static_dim, name="head")

    def build(self, features_shape: Shape) -> None:
        """Create the weights of the convolutions and the dense layers."""
        _, _, height, width, channels = features_shape
        self.frame_convolution.build((None, height, width, channels))
        self.set_convolution.build((None, height, width, self.filters))
        self.dense.build((None, height * width * self.filters))
        self.head.build((None, self.hidden_units))
        self.built = True

    def call(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tuple (mean, log-variance) of q(f | x_S), `(B, static_dim)`."""
        _, number, height, width, channels = features.shape
        x = ops.reshape(features, (-1, height, width, channels))
        first, second = self.frame_convolution, self.set_convolution
        x = ops.relu(convolve(x, first.kernel, first.bias))
        x = ops.mean(ops.reshape(x, (-1, number, *x.shape[1:])), axis=1)
        x = ops.relu(convolve(x, second.kernel, second.bias))
        x = ops.reshape(x, (-1, self.dense.kernel.shape[0]))
        return self.head(self.dense(x))

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the same layer again."""
        return {
            **super().get_config(),
            "static_dim": self.static_dim,
            "filters": self.filters,
            "hidden_units": self.hidden_units,
        }
