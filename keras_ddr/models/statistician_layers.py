"""The networks of the neural statistician."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

if TYPE_CHECKING:
    from keras_ddr.typing import ImageShape, Shape, Tensor

_GROUPS = 4  # of three convolutions each


def _glorot() -> keras.initializers.Initializer:
    """Glorot's initialisation, with the gain of ReLU."""
    return keras.initializers.VarianceScaling(2.0, "fan_avg", "uniform")


def _dense(units: int, name: str, dtype: Any) -> keras.layers.Dense:
    return keras.layers.Dense(
        units, kernel_initializer=_glorot(), dtype=dtype, name=name
    )


def _convolution(kind: type[keras.layers.Layer], *sizes: int, dtype: Any) -> Any:
    """A convolution of so many filters, of a size, with a stride."""
    return kind(
        *sizes,
        padding="same",
        data_format="channels_last",
        kernel_initializer=_glorot(),
        dtype=dtype,
    )


def _normalization(dtype: Any) -> keras.layers.BatchNormalization:
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, dtype=dtype)


def _normalized(
    layers: list[keras.layers.Layer], name: str, dtype: Any
) -> keras.Sequential:
    """Layers, each with batch normalisation and ELU behind it."""
    parts: list[keras.layers.Layer] = []
    for layer in layers:
        elu = keras.layers.Activation("elu", dtype=dtype)
        parts += [layer, _normalization(dtype), elu]
    return keras.Sequential(parts, name=name)


def frame_encoder(filters: int, dtype: Any) -> keras.Sequential:
    """Four groups of three convolutions; the last one of each halves the size."""
    convolutions = [
        _convolution(keras.layers.Conv2D, filters * 2**k, 3, stride, dtype=dtype)
        for k in range(_GROUPS)
        for stride in (1, 1, 2)
    ]
    return _normalized(convolutions, "frame_encoder", dtype)


class WholeGaussian(keras.layers.Layer):
    """A dense layer whose mean and log-variance are normalised as one channel."""

    def __init__(self, dim: int, name: str = "head") -> None:
        super().__init__(dtype="float32", name=name)
        self.dim = dim
        self.dense = _dense(2 * dim, "dense", "float32")
        self.norm = keras.layers.BatchNormalization(
            momentum=0.99, epsilon=1e-3, dtype="float32", name="norm"
        )

    def build(self, input_shape: Shape) -> None:
        """Create all weights."""
        self.dense.build(input_shape)
        self.norm.build((None, 1))
        self.built = True

    def call(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tuple (mean, log-variance), each `(..., dim)` float32."""
        x = self.dense(inputs)
        shape = (-1, *x.shape[1:])
        x = ops.reshape(self.norm(ops.reshape(x, (-1, 1))), shape)
        return x[..., : self.dim], x[..., self.dim :]


class StatisticNetwork(keras.layers.Layer):
    """q(f | x_S): a dense layer for each frame, the mean of all, and two more."""

    fewest_frames = 1

    def __init__(self, static_dim: int, units: int, dtype: Any) -> None:
        super().__init__(dtype=dtype, name="static_encoder")
        self.units = units
        of_set = [_dense(units, f"dense_{k}", dtype) for k in (2, 3)]
        self.of_frame = _normalized([_dense(units, "dense_1", dtype)], "frame", dtype)
        self.of_set = _normalized(of_set, "set", dtype)
        self.head = WholeGaussian(static_dim)

    def build(self, features_shape: Shape) -> None:
        """Create all weights."""
        self.of_frame.build((None, math.prod(features_shape[2:])))
        self.of_set.build((None, self.units))
        self.head.build((None, self.units))
        self.built = True

    def call(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tuple (mean, log-variance) of q(f | x_S), `(B, static_dim)`."""
        number, *maps = features.shape[1:]
        x = self.of_frame(ops.reshape(features, (-1, math.prod(maps))))
        x = ops.mean(ops.reshape(x, (-1, number, self.units)), axis=1)
        return self.head(self.of_set(x))


class Joined(keras.layers.Layer):
    """ELU of the sum of a dense layer of f and one of the values of each frame."""

    def __init__(self, units: int, dtype: Any) -> None:
        super().__init__(dtype=dtype, name="joined")
        self.of_static = _dense(units, "of_static", dtype)
        self.of_frame = _dense(units, "of_frame", dtype)

    def build(self, static_shape: Shape, frames_shape: Shape | None = None) -> None:
        """Create all weights."""
        self.of_static.build(static_shape)
        if frames_shape is not None:
            self.of_frame.build(frames_shape)
        self.built = True

    def call(self, static: Tensor, frames: Tensor | None = None) -> Tensor:
        """Return `(B, N, units)`, or `(B, units)` without frames."""
        x = self.of_static(static)
        return ops.elu(x if frames is None else x[:, None] + self.of_frame(frames))


class ConditionalGaussian(keras.layers.Layer):
    """q(z | f, x) of f and features `(B, N, h, w, c)`, or p(z | f) of f alone."""

    def __init__(self, dynamic_dim: int, units: int, name: str, dtype: Any) -> None:
        super().__init__(dtype=dtype, name=name)
        self.units = units
        self.joined = Joined(units, dtype)
        self.residual = _dense(units, "residual", dtype)
        self.norm = _normalization(dtype)
        self.head = WholeGaussian(dynamic_dim)

    def build(self, static_shape: Shape, features_shape: Shape | None = None) -> None:
        """Create all weights."""
        hidden: Shape = (None, self.units)
        shapes = [static_shape]
        if features_shape is not None:
            shapes += [(None, None, math.prod(features_shape[2:]))]
            hidden = (None, None, self.units)
        self.joined.build(*shapes)
        for layer in (self.residual, self.norm, self.head):
            layer.build(hidden)
        self.built = True

    def call(
        self, static: Tensor, features: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the tuple (mean, log-variance) of z."""
        if features is None:
            x = self.joined(static)
        else:
            number, *maps = features.shape[1:]
            flat = ops.reshape(features, (-1, number, math.prod(maps)))
            x = self.joined(static, flat)
        return self.head(ops.elu(x + self.norm(self.residual(x))))


class StatisticianDecoder(keras.layers.Layer):
    """Outputs of the likelihood for f and the z of each frame."""

    def __init__(
        self, image_shape: ImageShape, filters: int, units: int, dtype: Any
    ) -> None:
        super().__init__(dtype=dtype, name="frame_decoder")
        height, width, channels = image_shape
        step, widest = 2**_GROUPS, filters * 2 ** (_GROUPS - 1)
        self.image_shape, self.units = tuple(image_shape), units
        self.start = height // step, width // step, widest
        self.joined = Joined(units, dtype)
        self.hidden = _dense(units, "hidden", dtype)
        self.dense = _dense(math.prod(self.start), "dense", dtype)
        kinds = keras.layers.Conv2D, keras.layers.Conv2D, keras.layers.Conv2DTranspose
        convolutions = [
            _convolution(kind, widest // 2**k, *sizes, dtype=dtype)
            for k in range(_GROUPS)
            for kind, sizes in zip(kinds, ((3, 1), (3, 1), (2, 2)), strict=True)
        ]
        self.convolutions = _normalized(convolutions, "convolutions", dtype)
        # Logits of half precision are too coarse to learn from.
        self.last = _convolution(keras.layers.Conv2D, channels, 1, dtype="float32")

    def build(self, static_shape: Shape, dynamic_shape: Shape) -> None:
        """Create all weights."""
        self.joined.build(static_shape, dynamic_shape)
        self.hidden.build((None, self.units))
        self.dense.build((None, self.units))
        self.convolutions.build((None, *self.start))
        self.last.build(self.convolutions.compute_output_shape((None, *self.start)))
        self.built = True

    def call(self, static: Tensor, dynamic: Tensor) -> Tensor:
        """Return outputs (logits) `(B, N, H, W, C)`."""
        x = ops.reshape(self.joined(static, dynamic), (-1, self.units))
        x = self.dense(ops.elu(self.hidden(x)))
        x = self.last(self.convolutions(ops.reshape(x, (-1, *self.start))))
        return ops.reshape(x, (-1, dynamic.shape[1], *self.image_shape))
