"""Frames as scores of principal components, which are found before training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from keras_ddr.arguments import check_whole
from keras_ddr.errors import InputError
from keras_ddr.layers.gaussian_head import Part, halves

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from keras_ddr.typing import ImageShape, Shape, Tensor

__all__ = [
    "ComponentsDecoder",
    "ComponentsDynamicEncoder",
    "ComponentsEncoder",
    "PrincipalComponents",
]


@keras.saving.register_keras_serializable(package="keras_ddr")
class PrincipalComponents(Part):
    """The mean frame and its principal components, which training leaves as they are.

    Scores have unit variance over the frames that `adapt` was given. Before that they
    are 0, and every frame is the mean one, grey.

    Args:
        image_shape: `(H, W, C)` of a frame.
        components: Number of components K.
        **kwargs: As for `keras.layers.Layer`; weights and results are float32.

    Call arguments:
        frames: `(..., H, W, C)`, floats in [0, 1]. The result is `(..., K)`.

    References:
        Turk and Pentland, "Eigenfaces for recognition", 1991.
    """

    _arguments = ("image_shape", "components")

    def __init__(
        self, image_shape: ImageShape, components: int = 512, **kwargs: Any
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32", "trainable": False})
        check_whole(components=components)
        self.image_shape = tuple(int(size) for size in image_shape)
        self.components = components

    def build(self, frames_shape: Shape | None = None) -> None:
        """Create the mean, the components and their standard deviations."""
        pixels = int(np.prod(self.image_shape))
        self.mean = self.add_weight(name="mean", shape=(pixels,), initializer=_GREY)
        shapes = {"basis": (pixels, self.components), "scale": (self.components,)}
        for name, shape in shapes.items():
            weight = self.add_weight(name=name, shape=shape, initializer="zeros")
            setattr(self, name, weight)
        self.built = True

    @property
    def adapted(self) -> bool:
        """Whether the components are known."""
        return bool(np.any(ops.convert_to_numpy(self.scale)))

    def adapt(self, frames: ArrayLike, seed: int = 0) -> None:
        """Find mean and components of frames.

        Args:
            frames: `(n, H, W, C)`, integers 0 to 255 or floats in [0, 1]; several times
                as many as components.
            seed: Of the randomized singular value decomposition.

        Raises:
            InputError: There are too few frames.
        """
        from sklearn.utils.extmath import randomized_svd

        x = np.asarray(frames)
        if len(x) <= self.components:
            raise InputError(
                f"{self.components} principal components need more frames than the "
                f"{len(x)} there are; take fewer components"
            )
        scale = 255 if np.issubdtype(x.dtype, np.integer) else 1
        x = x.reshape(len(x), -1).astype("float32") / np.float32(scale)
        mean = x.mean(axis=0)
        x -= mean
        # Components whose variance falls off slowly need more than the usual turns.
        _, values, basis = randomized_svd(
            x,
            self.components,
            n_oversamples=max(10, self.components // 4),
            n_iter=4,
            random_state=seed,
        )
        self.mean.assign(mean)
        self.basis.assign(basis.T.astype("float32"))
        self.scale.assign(values.astype("float32") / np.float32(np.sqrt(len(x))))

    def call(self, frames: Tensor) -> Tensor:
        """Return scores `(..., K)`."""
        return self.scores(self.coordinates(frames))

    def coordinates(self, frames: Tensor) -> Tensor:
        """Scores as intensities differ, and the distance of a frame from their space.

        `(..., K + 1)`; what already are coordinates stays as it is.
        """
        if tuple(frames.shape[-3:]) != self.image_shape:
            return frames
        flat = ops.cast(ops.reshape(frames, (-1, self.mean.shape[0])), "float32")
        flat = flat - self.mean
        inside = ops.matmul(flat, self.basis)
        rest = _squares(flat) - _squares(inside)
        rest = ops.sqrt(ops.maximum(rest, 0.0))
        found = ops.concatenate([inside, rest], axis=-1)
        return ops.reshape(found, (-1, *frames.shape[1:-3], self.components + 1))

    def scores(self, coordinates: Tensor) -> Tensor:
        """Scores `(..., K)` of coordinates."""
        return coordinates[..., :-1] / ops.maximum(self.scale, 1e-6)

    def frames(self, scores: Tensor) -> Tensor:
        """Frames `(..., H, W, C)` of scores `(..., K)`, not bound to [0, 1]."""
        flat = ops.reshape(ops.cast(scores, "float32"), (-1, self.components))
        frames = ops.matmul(flat * self.scale, ops.transpose(self.basis)) + self.mean
        return ops.reshape(frames, (-1, *scores.shape[1:-1], *self.image_shape))

    def compute_output_shape(self, frames_shape: Shape) -> Shape:
        """Shape of the scores."""
        return (*frames_shape[:-3], self.components)


_GREY = keras.initializers.Constant(0.5)


def _squares(values: Tensor) -> Tensor:
    return ops.sum(ops.square(values), axis=-1, keepdims=True)


class _Residual(Part):
    """x + Dense(gelu(Dense(norm(x)))): twice as wide inside."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        kind = {"dtype": self.dtype_policy}
        self.norm = keras.layers.LayerNormalization(name="norm", **kind)
        self.wide = keras.layers.Dense(
            2 * units, activation="gelu", name="wide", **kind
        )
        # At the start nothing is added.
        self.narrow = keras.layers.Dense(
            units, kernel_initializer="zeros", name="narrow", **kind
        )

    def build(self, shape: Shape) -> None:
        self.norm.build(shape)
        self.wide.build(shape)
        self.narrow.build((*shape[:-1], self.wide.units))
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        return x + self.narrow(self.wide(self.norm(x)))


class _Perceptron(Part):
    """A dense layer, residual blocks, a norm, and a dense layer."""

    def __init__(self, units: int, outputs: int, blocks: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        kind = {"dtype": self.dtype_policy}
        self.first = keras.layers.Dense(units, name="first", **kind)
        self.blocks = [
            _Residual(units, name=f"block_{i}", **kind) for i in range(1, blocks + 1)
        ]
        self.norm = keras.layers.LayerNormalization(name="norm", **kind)
        self.last = keras.layers.Dense(outputs, name="last", **kind)

    def build(self, shape: Shape) -> None:
        self.first.build(shape)
        inner = (None, self.first.units)
        for layer in (*self.blocks, self.norm, self.last):
            layer.build(inner)
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(self.norm(x))


class ComponentsEncoder(Part):
    """Features of a frame from its scores: vectors in place of maps.

    Args:
        components: `PrincipalComponents`.
        units: Features of a frame, and units of the hidden layers.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        frames: `(B, H, W, C)`, floats in [0, 1], or their coordinates `(B, K + 1)`.
            The result is `(B, units)`.
    """

    def __init__(
        self, components: PrincipalComponents, units: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.components = components
        self.units = units
        self.network = _Perceptron(
            units, units, 1, name="network", dtype=self.dtype_policy
        )

    def build(self, frames_shape: Shape) -> None:
        """Create the weights."""
        if not self.components.built:
            self.components.build()
        self.network.build((None, self.components.components))
        self.built = True

    def call(self, frames: Tensor) -> Tensor:
        """Return features `(B, units)`."""
        return self.network(self.components(frames))

    def compute_output_shape(self, frames_shape: Shape) -> Shape:
        """Shape of the features."""
        return (frames_shape[0], self.units)


@keras.saving.register_keras_serializable(package="keras_ddr")
class ComponentsDynamicEncoder(Part):
    """Gives the posterior of z from features of a frame, and from these as f sees them.

    A network reads the features h, and products of Bh + b and tanh(Af + a): whether a
    mouth is open depends on whose it is.

    Args:
        dynamic_dim: Dimensions of z.
        units: Units of the hidden layers.
        products: Number of products.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        static: f, `(B, static_dim)`.
        features: `(B, N, 1, 1, c)`, those of `ComponentsEncoder`.
    """

    _arguments = ("dynamic_dim", "units", "products")

    def __init__(
        self, dynamic_dim: int, units: int, products: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.dynamic_dim = dynamic_dim
        self.units = units
        self.products = products
        kind = {"dtype": self.dtype_policy}
        self.content = keras.layers.Dense(
            products, activation="tanh", name="content", **kind
        )
        self.wide = keras.layers.Dense(products, name="wide", **kind)
        self.network = _Perceptron(units, 2 * dynamic_dim, 1, name="network", **kind)

    def build(self, static_shape: Shape, features_shape: Shape) -> None:
        """Create the weights."""
        self.content.build((None, static_shape[-1]))
        self.wide.build((None, features_shape[-1]))
        self.network.build((None, features_shape[-1] + self.products))
        self.built = True

    def call(self, static: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tuple (mean, log-variance), each `(B, N, dynamic_dim)`."""
        x = features[:, :, 0, 0]
        seen = self.wide(x) * ops.expand_dims(self.content(static), 1)
        x = ops.concatenate([ops.cast(x, seen.dtype), seen], axis=-1)
        return halves(ops.cast(self.network(x), "float32"))


@keras.saving.register_keras_serializable(package="keras_ddr")
class ComponentsDecoder(Part):
    """Decodes f and z to scores, see `keras_ddr.likelihoods.ComponentsNormal`.

    Scores are a matrix times g(z) ⊙ (A f + a): what f tells is the same in every frame,
    and z, through the network g, weighs it. So z is no other person's with another f.

    Args:
        components: Number of components K.
        units: Units of the hidden layers of g.
        products: Number of products.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        static: f, `(B, static_dim)`.
        dynamic: z, `(B, N, dynamic_dim)`.

    References:
        Tenenbaum and Freeman, "Separating Style and Content with Bilinear Models",
        2000, whose weights of a style are learned for each by itself.
    """

    _arguments = ("components", "units", "products")

    def __init__(
        self, components: int, units: int, products: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.components = components
        self.units = units
        self.products = products
        kind = {"dtype": self.dtype_policy}
        self.content = keras.layers.Dense(products, name="content", **kind)
        self.network = _Perceptron(units, products, 2, name="network", **kind)
        self.last = keras.layers.Dense(components, name="last", **kind)

    def build(self, static_shape: Shape, dynamic_shape: Shape) -> None:
        """Create the weights."""
        self.content.build((None, static_shape[-1]))
        self.network.build((None, dynamic_shape[-1]))
        self.last.build((None, self.content.units))
        self.built = True

    def call(self, static: Tensor, dynamic: Tensor) -> Tensor:
        """Return scores `(B, N, K)`."""
        content = ops.expand_dims(self.content(static), 1)
        return self.last(content * self.network(dynamic))

    def compute_output_shape(self, static_shape: Shape, dynamic_shape: Shape) -> Shape:
        """Shape of the scores."""
        return (*dynamic_shape[:2], self.last.units)
