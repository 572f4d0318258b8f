"""What cannot be used is refused by its name, whatever its type."""

import decimal

import numpy as np
import pytest

from flat_options import flat
from keras_ddr import arguments
from keras_ddr.datasets import puppets
from keras_ddr.errors import InputError


@pytest.mark.parametrize("value", [1, np.int64(3), np.uint8(255)])
def test_whole_numbers(value):
    arguments.check_whole(size=value)
    arguments.check_seed(seed=value)


@pytest.mark.parametrize(
    "value", [0, -1, 1.0, 2.5, np.float32(1), "1", None, True, [1], float("nan")]
)
def test_no_whole_numbers(value):
    with pytest.raises(InputError, match="size=.*; it must be a whole number of at"):
        arguments.check_whole(size=value)


def test_whole_numbers_have_a_range():
    arguments.check_whole(2, 3, a=2, b=3)
    for value in (1, 4):
        with pytest.raises(InputError, match=f"b={value}; .* whole number 2 to 3"):
            arguments.check_whole(2, 3, a=2, b=value)


@pytest.mark.parametrize("value", [-1, 2**31, 10**30, 0.5, None])
def test_no_seeds(value):
    with pytest.raises(InputError, match="^seed="):
        arguments.check_seed(seed=value)


@pytest.mark.parametrize("value", [0, 0.5, np.float32(2), np.int8(1)])
def test_numbers(value):
    arguments.check_number(rate=value)


@pytest.mark.parametrize(
    "value", [-0.1, float("nan"), float("inf"), "1", None, True, decimal.Decimal(1)]
)
def test_no_numbers(value):
    with pytest.raises(InputError, match="rate=.*; it must be a number of at least 0"):
        arguments.check_number(rate=value)


def test_numbers_above():
    arguments.check_number(above=True, rate=1e-9)
    with pytest.raises(InputError, match="rate=0; it must be a number above 0"):
        arguments.check_number(above=True, rate=0)
    arguments.check_number(1, distance=1)
    with pytest.raises(InputError, match="distance=0.9; .* of at least 1"):
        arguments.check_number(1, distance=0.9)


@pytest.mark.parametrize("value", [0, 8, 24, 64.0, "64", None, -16])
def test_no_sizes(value):
    arguments.check_size(size=64)
    with pytest.raises(InputError, match="size=.*; it must be a multiple of 16"):
        arguments.check_size(size=value)


@pytest.mark.parametrize("value", [True, 2, "1", None, [1]])
def test_no_choices(value):
    arguments.check_choice((1, 3), channels=np.int64(3))
    with pytest.raises(InputError, match="channels=.*; use one of 1, 3"):
        arguments.check_choice((1, 3), channels=value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", 24),
        ("arms", None),
        ("legs", [3]),
        ("identities", 5),
        ("identities", 12.0),
        ("seed", -1),
        ("seed", "one"),
    ],
)
def test_a_dataset_refuses_them_before_it_writes(name, value, tmp_path):
    with pytest.raises(InputError, match=f"^{name}="):
        puppets.prepare(tmp_path / "store", **flat(**{name: value}))
    assert not list(tmp_path.iterdir())
