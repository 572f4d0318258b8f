"""h_S → q(f | x_S) without a comparison of frames: their features are averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
from keras import ops

from keras_ddr.layers.convolution import convolve
from keras_ddr.layers.static_encoder import StaticEncoder

if TYPE_CHECKING:
    from keras_ddr.typing import Shape, Tensor

__all__ = ["PooledStaticEncoder"]


@keras.saving.register_keras_serializable(package="keras_ddr")
class PooledStaticEncoder(StaticEncoder):
    """Averages a convolution of each frame and gives the posterior of f.

    Each frame goes through a convolution alone, and the mean over the frames through
    the layers of `PairwiseStaticEncoder`. It takes any number of frames in any order.

    Args:
        static_dim: Dimensions of f.
        filters: Channels of both convolutions.
        hidden_units: Units of the dense layer.
        kernel_size: Odd height and width of the kernels; 1 for frames of which the
            encoder gives vectors.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        features: `(B, N, h, w, c)`, the feature maps of N ≥ 1 frames a set.

    References:
        Edwards and Storkey, "Towards a Neural Statistician", 2017, section 4.1: the
        statistic network pools over the elements of a set.
    """

    _first = "frame_convolution"
    fewest_frames = 1

    def build(self, features_shape: Shape) -> None:
        """Create the weights of the convolutions and the dense layers."""
        _, _, height, width, channels = features_shape
        self._build_for((height, width), channels, 1)

    def call(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tuple (mean, log-variance) of q(f | x_S), `(B, static_dim)`."""
        _, number, height, width, channels = features.shape
        x = ops.reshape(features, (-1, height, width, channels))
        first = self.frame_convolution
        x = ops.relu(convolve(x, first.kernel, first.bias))
        x = ops.reshape(x, (-1, number, *x.shape[1:]))
        return self._distribution(ops.mean(x, axis=1))
