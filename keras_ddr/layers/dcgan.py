"""The convolutional networks of DCGAN, which many published models share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_ddr.layers.gaussian_head import Part

if TYPE_CHECKING:
    from keras_ddr.typing import Shape, Tensor

__all__ = ["DCGANDecoder", "DCGANEncoder"]

_SLOPE = 0.2


def initializer(name: str) -> keras.initializers.Initializer:
    """A new initializer: PyTorch's default, within ±1/√fan_in, or DCGAN's."""
    if name == "uniform":
        return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    return keras.initializers.RandomNormal(0.0, 0.02)


class _Network(Part):
    """Layers that both have in common."""

    initializer: str
    use_bias = True

    def _normalization(self, name: str) -> keras.layers.BatchNormalization:
        gamma = "ones"
        if self.initializer == "normal":
            gamma = keras.initializers.RandomNormal(1.0, 0.02)
        return keras.layers.BatchNormalization(
            momentum=0.9,
            epsilon=1e-5,
            gamma_initializer=gamma,
            dtype=self.dtype_policy,
            name=name,
        )

    def _convolution(
        self, kind: type[keras.layers.Layer], filters: int, size: Any, **kwargs: Any
    ) -> keras.layers.Layer:
        return kind(
            filters,
            size,
            use_bias=self.use_bias,
            kernel_initializer=initializer(self.initializer),
            dtype=self.dtype_policy,
            **kwargs,
        )


@keras.saving.register_keras_serializable(package="keras_ddr")
class DCGANEncoder(_Network):
    """Frames to vectors: four convolutions with stride 2 and one over all that is left.

    Batch normalisation and leaky ReLU (slope .2) follow each; after the last one tanh.

    Args:
        code_dim: Values of a vector.
        filters: Channels of the first convolution; each has twice those of the one
            before.
        skips: Whether to return the four maps as well.
        initializer: Initial kernels: "uniform" (within ±1/√fan_in, the default of
            PyTorch) or "normal" (standard deviation .02, as of DCGAN).
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        frames: `(B, H, W, C)`, H and W multiples of 16.
        training: Whether to normalise by the batch.

    Call returns:
        `(B, code_dim)`; with `skips` a tuple of it and the list of the four maps, the
        largest first.

    References:
        Radford, Metz and Chintala (2016); as used by Denton and Birodkar (2017).
    """

    _arguments = ("code_dim", "filters", "skips", "initializer")

    def __init__(
        self,
        code_dim: int = 128,
        filters: int = 64,
        skips: bool = False,
        initializer: str = "uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.code_dim = code_dim
        self.filters = filters
        self.skips = skips
        self.initializer = initializer
        self.convolutions = [
            self._convolution(
                keras.layers.Conv2D,
                filters * 2**k,
                4,
                strides=2,
                padding="same",
                name=f"conv_{k + 1}",
            )
            for k in range(4)
        ]
        self.normalizations = [self._normalization(f"norm_{k + 1}") for k in range(5)]

    def build(self, input_shape: Shape) -> None:
        """Create all weights; the last kernel has the size of what is left."""
        shape = tuple(input_shape)
        height, width = shape[1] // 16, shape[2] // 16
        for layer, norm in zip(self.convolutions, self.normalizations[:4], strict=True):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
            norm.build(shape)
        self.last = self._convolution(
            keras.layers.Conv2D, self.code_dim, (height, width), name="conv_5"
        )
        self.last.build(shape)
        self.normalizations[4].build((None, 1, 1, self.code_dim))
        self.built = True

    def call(self, frames: Tensor, training: bool = False) -> Any:
        """Return the vectors, and the maps where they are wanted."""
        x, maps = frames, []
        for layer, norm in zip(self.convolutions, self.normalizations[:4], strict=True):
            x = ops.leaky_relu(norm(layer(x), training=training), _SLOPE)
            maps.append(x)
        x = self.normalizations[4](self.last(x), training=training)
        code = ops.tanh(ops.reshape(x, (-1, self.code_dim)))
        return (code, maps) if self.skips else code

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """Shape of the vectors, and of the maps."""
        batch, height, width, _ = input_shape
        code = (batch, self.code_dim)
        if not self.skips:
            return code
        sizes = [(height // 2 ** (k + 1), width // 2 ** (k + 1)) for k in range(4)]
        maps = [(batch, *s, self.filters * 2**k) for k, s in enumerate(sizes)]
        return code, maps


@keras.saving.register_keras_serializable(package="keras_ddr")
class DCGANDecoder(_Network):
    """Vectors to frames: the mirror image of `DCGANEncoder`.

    Args:
        image_shape: `(H, W, C)` of a frame; H and W multiples of 16.
        filters: Channels of the largest map.
        skips: Whether the maps of a `DCGANEncoder` of the same `filters` are joined to
            those of the decoder.
        initializer: See `DCGANEncoder`.
        slope: Of the leaky ReLU below 0; 0 for a ReLU.
        use_bias: Whether the convolutions have biases.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        codes: `(B, D)`.
        maps: With `skips`, the list that `DCGANEncoder` gives.
        training: Whether to normalise by the batch.

    Call returns:
        Intensities in (0, 1), `(B, H, W, C)` float32.
    """

    _arguments = (
        *("image_shape", "filters", "skips"),
        *("initializer", "slope", "use_bias"),
    )

    def __init__(
        self,
        image_shape: Shape,
        filters: int = 64,
        skips: bool = False,
        initializer: str = "uniform",
        slope: float = _SLOPE,
        use_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        self.filters = filters
        self.skips = skips
        self.initializer = initializer
        self.slope = slope
        self.use_bias = use_bias
        height, width, channels = self.image_shape
        transpose = keras.layers.Conv2DTranspose
        self.first = self._convolution(
            transpose, 8 * filters, (height // 16, width // 16), name="conv_1"
        )
        wide = {"strides": 2, "padding": "same"}
        self.convolutions = [
            self._convolution(transpose, number, 4, name=f"conv_{k + 2}", **wide)
            for k, number in enumerate((4 * filters, 2 * filters, filters, channels))
        ]
        self.normalizations = [self._normalization(f"norm_{k + 1}") for k in range(4)]

    def build(self, codes_shape: Shape, maps_shape: Any = None) -> None:
        """Create all weights."""
        shape = (None, 1, 1, codes_shape[-1])
        self.first.build(shape)
        shape = self.first.compute_output_shape(shape)
        for layer, norm in zip(self.convolutions, self.normalizations, strict=True):
            norm.build(shape)
            if self.skips:
                shape = (*shape[:-1], 2 * shape[-1])
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def call(
        self, codes: Tensor, maps: list[Tensor] | None = None, training: bool = False
    ) -> Tensor:
        """Return the frames."""
        x = self.first(codes[:, None, None])
        others = list(maps)[::-1] if maps is not None else [None] * 4
        for layer, norm, joined in zip(
            self.convolutions, self.normalizations, others, strict=True
        ):
            x = ops.leaky_relu(norm(x, training=training), self.slope)
            if joined is not None:
                x = ops.concatenate([x, ops.cast(joined, x.dtype)], axis=-1)
            x = layer(x)
        return ops.sigmoid(ops.cast(x, "float32"))

    def compute_output_shape(self, codes_shape: Shape, maps_shape: Any = None) -> Shape:
        """Shape of the frames."""
        return (codes_shape[0], *self.image_shape)
