"""Muon for dense layers and convolutions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_ddr.arguments import check_number
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from keras_ddr.typing import Tensor

__all__ = ["Muon", "orthogonalized"]

_SMALLEST = 8  # sides of matrices for which Adam does as well
_SCALE = 0.2  # so that a change has the root mean square of one of Adam
# Coefficients of Jordan's iteration: after five rounds singular values lie near 1.
_A, _B, _C, _ROUNDS = 3.4445, -4.7750, 2.0315, 5


def orthogonalized(matrix: Tensor) -> Tensor:
    """The nearest matrix with orthonormal rows or columns, roughly.

    Newton–Schulz iteration of Jordan (2024), "Muon: An optimizer for hidden layers in
    neural networks", here on the Gram matrix of the shorter side: the long side is
    multiplied twice and not fifteen times.

    Args:
        matrix: Floats (rows, columns).

    Returns:
        Floats of the same shape, with the singular vectors of `matrix`; singular values
        above about a thousandth of the largest become .7 to 1.2.
    """
    rows, columns = matrix.shape
    if rows > columns:
        return ops.transpose(orthogonalized(ops.transpose(matrix)))
    matrix = matrix / (ops.norm(matrix) + 1e-7)
    gram = ops.matmul(matrix, ops.transpose(matrix))
    eye = ops.eye(rows, dtype=matrix.dtype)
    product = eye
    for left in reversed(range(_ROUNDS)):
        factor = _A * eye + _B * gram + _C * ops.matmul(gram, gram)
        product = ops.matmul(factor, product)
        if left:
            # All are polynomials of one symmetric matrix, so that they commute.
            gram = ops.matmul(ops.matmul(factor, gram), factor)
    return ops.matmul(product, matrix)


@keras.saving.register_keras_serializable(package="keras_ddr")
class Muon(keras.optimizers.Optimizer):
    """Muon for the matrices of a network, Adam for its other weights.

    The mean of the gradients of a dense kernel, or of the kernel of a convolution as a
    matrix of (height · width · channels, channels), is made orthogonal before it
    changes the weights: no direction of a layer learns faster than another (Jordan,
    2024; rates as those of Adam by the scale of Liu et al., 2025, "Muon is scalable for
    LLM training", section 2.2). `keras.optimizers.Muon` leaves convolutions to Adam.

    Args:
        learning_rate: Float or schedule, for both.
        momentum: Decay of the mean of gradients of matrices, from 0 to below 1.
        beta_1: Of Adam: decay of its mean of gradients, from 0 to below 1.
        beta_2: Of Adam: decay of its mean of their squares, from 0 to below 1.
        name: Of the optimizer.
        **kwargs: Of `keras.optimizers.Optimizer`, such as `global_clipnorm`.

    Raises:
        InputError: A decay cannot be used.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        momentum: float = 0.95,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        name: str = "muon",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, name=name, **kwargs)
        self.momentum, self.beta_1, self.beta_2 = momentum, beta_1, beta_2
        for decay, value in self._decays().items():
            check_number(**{decay: value})
            if value >= 1:
                raise InputError(f"{decay}={value!r}; it must be below 1")

    def _decays(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("momentum", "beta_1", "beta_2")}

    def build(self, variables: list[keras.Variable]) -> None:
        """Make a mean of gradients for each variable, and of squares for Adam's."""
        if self.built:
            return
        super().build(variables)
        self._means = [self._like(variable, "mean") for variable in variables]
        self._squares = [
            None if _is_matrix(variable) else self._like(variable, "squares")
            for variable in variables
        ]

    def _like(self, variable: keras.Variable, name: str) -> keras.Variable:
        return self.add_variable_from_reference(reference_variable=variable, name=name)

    def update_step(
        self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor
    ) -> None:
        """Change one variable."""
        index = self._get_variable_index(variable)
        mean, squares = self._means[index], self._squares[index]
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        if squares is None:
            change = self._orthogonal(gradient, mean, variable.shape)
        else:
            change = self._of_adam(gradient, mean, squares)
        self.assign_sub(variable, rate * change)

    def _orthogonal(
        self, gradient: Tensor, mean: keras.Variable, shape: tuple[int, ...]
    ) -> Tensor:
        self.assign(mean, self.momentum * mean + gradient)
        rows, columns = math.prod(shape[:-1]), shape[-1]
        ahead = gradient + self.momentum * mean  # Nesterov's
        scale = _SCALE * math.sqrt(max(rows, columns))
        matrix = orthogonalized(ops.reshape(ahead, (rows, columns)))
        return scale * ops.reshape(matrix, shape)

    def _of_adam(
        self, gradient: Tensor, mean: keras.Variable, squares: keras.Variable
    ) -> Tensor:
        beta_1, beta_2 = self.beta_1, self.beta_2
        step = ops.cast(self.iterations + 1, gradient.dtype)
        self.assign(mean, beta_1 * mean + (1 - beta_1) * gradient)
        self.assign(squares, beta_2 * squares + (1 - beta_2) * ops.square(gradient))
        unbiased = ops.sqrt(1 - ops.power(beta_2, step)) / (1 - ops.power(beta_1, step))
        return unbiased * mean / (ops.sqrt(squares) + 1e-7)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the class."""
        return {**super().get_config(), **self._decays()}


def _is_matrix(variable: keras.Variable) -> bool:
    """Whether a weight is a kernel with two sides of a few channels."""
    shape = variable.shape
    if len(shape) not in (2, 4):
        return False
    return min(math.prod(shape[:-1]), shape[-1]) >= _SMALLEST
