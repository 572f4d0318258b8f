"""h_S → q(f | x_S): what the frames of a set have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_ddr.arguments import check_choice
from keras_ddr.errors import InputError
from keras_ddr.layers.convolution import convolve
from keras_ddr.layers.gaussian_head import GaussianHead, Part

if TYPE_CHECKING:
    from keras_ddr.typing import Shape, Tensor

__all__ = ["PairwiseStaticEncoder"]

AGGREGATIONS = ("concat", "mean")


class StaticEncoder(Part):
    """Two convolutions, a dense layer and a `GaussianHead` of f."""

    _arguments: tuple[str, ...] = (
        "static_dim",
        "filters",
        "hidden_units",
        "kernel_size",
    )
    _first: str  # attribute and name of the convolution of a frame or pair

    def __init__(
        self,
        static_dim: int,
        filters: int = 512,
        hidden_units: int = 512,
        kernel_size: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.static_dim = static_dim
        self.filters = filters
        self.hidden_units = hidden_units
        self.kernel_size = kernel_size
        for name in (self._first, "set_convolution"):
            convolution = keras.layers.Conv2D(
                filters,
                kernel_size,
                padding="same",
                data_format="channels_last",
                dtype=self.dtype_policy,
                name=name,
            )
            setattr(self, name, convolution)
        self.dense = self._hidden(hidden_units, "dense")
        self.head = GaussianHead(static_dim, name="head")

    def _build_for(self, size: tuple[int, int], channels: int, maps: int) -> None:
        """Weights for maps of a size: channels of the first input, maps a set."""
        getattr(self, self._first).build((None, *size, channels))
        self.set_convolution.build((None, *size, maps * self.filters))
        self.dense.build((None, size[0] * size[1] * self.filters))
        self.head.build((None, self.hidden_units))
        self.built = True

    def _distribution(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        x = convolve(maps, self.set_convolution.kernel, self.set_convolution.bias)
        x = ops.reshape(ops.relu(x), (-1, self.dense.kernel.shape[0]))
        return self.head(self.dense(x))


@keras.saving.register_keras_serializable(package="keras_ddr")
class PairwiseStaticEncoder(StaticEncoder):
    """Compares the frames of a set in pairs and gives the posterior of f.

    One convolution, Conv_C, sees every concatenated pair of feature maps; Conv_F sees
    what came of all pairs. Each frame goes through the halves of Conv_C once: the heavy
    work grows with N, not with N². Weights keep the shape of the stock convolution.

    Args:
        static_dim: Dimensions of f.
        filters: Channels of Conv_C and Conv_F (512 in the paper).
        hidden_units: Units of the dense layer (512 in the paper).
        aggregation: "concat" is the paper's: the maps of the pairs i < j side by side;
            N is fixed once built and the result depends on the order in which the set
            is given. "mean" averages the maps of all ordered pairs i ≠ j: any N ≥ 2,
            and no dependence on order.
        kernel_size: Odd height and width of the kernels (3 in the paper); 1 for frames
            of which the encoder gives vectors.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        features: `(B, N, h, w, c)`, the feature maps of N frames a set.

    Raises:
        InputError: Unknown `aggregation`, N < 2, or, with "concat", an N other than
            the one the layer was built for.

    References:
        Section 2, "Inference Model"; Appendix B (Figure 5); Appendix C, "Conv_C" and
        "Conv_F".
    """

    _arguments = (*StaticEncoder._arguments, "aggregation")
    _first = "pair_convolution"

    def __init__(
        self,
        static_dim: int,
        filters: int = 512,
        hidden_units: int = 512,
        aggregation: str = "concat",
        kernel_size: int = 3,
        **kwargs: Any,
    ) -> None:
        check_choice(AGGREGATIONS, aggregation=aggregation)
        super().__init__(static_dim, filters, hidden_units, kernel_size, **kwargs)
        self.aggregation = aggregation
        # Fewest frames that are compared, and from which any number will do.
        self.compares = 2
        self.fewest_frames = 2 if aggregation == "mean" else None

    def build(self, features_shape: Shape) -> None:
        """Create the weights of Conv_C, Conv_F and the dense layers."""
        _, number, height, width, channels = features_shape
        self._check_number(number)
        self.number = number
        pairs = number * (number - 1) // 2 if self.aggregation == "concat" else 1
        self._build_for((height, width), 2 * channels, pairs)

    def _check_number(self, number: int | None) -> None:
        if number is None:
            raise InputError(
                "the number of frames of a set must be known, as in keras.Input((3, "
                "height, width, features)); make one input for each number"
            )
        if number < 2:
            raise InputError(f"a set needs at least 2 frames to compare; got {number}")

    def call(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tuple (mean, log-variance) of q(f | x_S), `(B, static_dim)`."""
        number = features.shape[1]
        self._check_number(number)
        if self.aggregation == "concat" and number != self.number:
            raise InputError(
                f"this static encoder was built for sets of {self.number} frames and "
                f'got {number}; aggregation="mean" takes any number'
            )
        first, second = self._halves(features)
        if self.aggregation == "concat":
            return self._distribution(self._concatenate_pairs(first, second, number))
        return self._distribution(self._average_pairs(first, second, number))

    def _halves(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Halves of Conv_C `(B, N, h, w, filters)`; a pair is first[i] + second[j]."""
        _, number, height, width, channels = features.shape
        x = ops.reshape(features, (-1, height, width, channels))
        # Read the variable, not a slice of a slice, so that autocast applies.
        kernel = self.pair_convolution.kernel
        kernel = ops.concatenate(
            [kernel[:, :, :channels], kernel[:, :, channels:]], axis=-1
        )
        x = convolve(x, kernel)
        x = ops.reshape(x, (-1, number, height, width, 2 * self.filters))
        bias = self.pair_convolution.bias
        return x[..., : self.filters] + bias, x[..., self.filters :]

    def _concatenate_pairs(self, first: Tensor, second: Tensor, number: int) -> Tensor:
        pairs = [
            ops.relu(first[:, i] + second[:, j])
            for i in range(number)
            for j in range(i + 1, number)
        ]
        return ops.concatenate(pairs, axis=-1)

    def _average_pairs(self, first: Tensor, second: Tensor, number: int) -> Tensor:
        # In half precision a sum of many pairs loses digits, and what JAX 0.11 compiles
        # for a CPU gives NaN.
        first, second = ops.cast(first, "float32"), ops.cast(second, "float32")
        total = 0.0
        for shift in range(1, number):
            # Every ordered pair i ≠ j comes once over the N − 1 cyclic shifts.
            total = total + ops.sum(
                ops.relu(first + ops.roll(second, shift, axis=1)), axis=1
            )
        return ops.cast(total / (number * (number - 1)), self.compute_dtype)
