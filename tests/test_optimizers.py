"""Muon by hand, and its other half against Keras's Adam."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ddr import InputError
from keras_ddr.optimizers import Muon, orthogonalized

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("shape", [(12, 40), (40, 12)])
def test_directions_stay_and_their_lengths_become_one(rng, shape):
    left, _, right = np.linalg.svd(rng.normal(size=shape), full_matrices=False)
    lengths = np.geomspace(1, 0.01, 12)
    matrix = ((left * lengths) @ right).astype("float32")
    found = ops.convert_to_numpy(orthogonalized(ops.convert_to_tensor(matrix)))
    inside = left.T @ found @ right.T
    np.testing.assert_allclose(inside, np.diag(np.diag(inside)), atol=1e-4)
    assert np.all((np.diag(inside) > 0.5) & (np.diag(inside) < 1.25))


def test_five_rounds_of_the_iteration_written_out(rng):
    matrix = rng.normal(size=(9, 30)).astype("float32")
    plain = matrix.astype("float64") / np.linalg.norm(matrix)
    for _ in range(5):
        gram = plain @ plain.T
        plain = 3.4445 * plain + (-4.7750 * gram + 2.0315 * gram @ gram) @ plain
    found = ops.convert_to_numpy(orthogonalized(ops.convert_to_tensor(matrix)))
    np.testing.assert_allclose(found, plain, atol=1e-5)


def _two_steps(optimizer, start, gradients):
    """A variable after two steps."""
    variable = keras.Variable(start)
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([ops.convert_to_tensor(gradient)], [variable])
    return ops.convert_to_numpy(variable)


def test_a_convolution_moves_as_the_matrix_of_its_kernel(rng):
    """Nesterov's momentum, and changes of the size of Adam's."""
    start, *gradients = rng.normal(size=(3, 3, 3, 8, 16)).astype("float32")
    expected, mean = start.reshape(72, 16), 0
    for gradient in gradients:
        gradient = gradient.reshape(72, 16)
        mean = 0.9 * mean + gradient
        ahead = ops.convert_to_tensor(gradient + 0.9 * mean)
        step = ops.convert_to_numpy(orthogonalized(ahead))
        expected = expected - 0.01 * 0.2 * np.sqrt(72) * step
    found = _two_steps(Muon(0.01, momentum=0.9), start, gradients)
    np.testing.assert_allclose(found, expected.reshape(start.shape), atol=1e-5)


@pytest.mark.parametrize("shape", [(20,), (20, 4)])
def test_biases_and_thin_kernels_follow_adam(rng, shape):
    start, *gradients = rng.normal(size=(3, *shape)).astype("float32")
    adam = _two_steps(keras.optimizers.Adam(0.01, beta_2=0.98), start, gradients)
    found = _two_steps(Muon(0.01, beta_2=0.98), start, gradients)
    np.testing.assert_allclose(found, adam, rtol=1e-5)


def test_its_configuration_makes_it_again():
    made = keras.optimizers.deserialize(
        keras.optimizers.serialize(Muon(0.02, beta_2=0.9, global_clipnorm=5.0))
    )
    assert (made.beta_2, made.global_clipnorm) == (0.9, 5.0)
    with pytest.raises(InputError, match=r"momentum=1\.5; it must be below 1"):
        Muon(momentum=1.5)
