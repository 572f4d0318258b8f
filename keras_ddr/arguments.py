"""Checks of plain arguments; each refuses what cannot be used, by its name."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from keras_ddr.typing import ImageShape


def is_whole(value: object) -> bool:
    """Whether a value is an integer, of whatever type; truth values are none."""
    if isinstance(value, bool | np.bool_):
        return False
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def is_number(value: object) -> bool:
    """Whether a value is a number; truth values are none, NaN and infinity are."""
    number = isinstance(value, int | float | np.integer | np.floating)
    return number and not isinstance(value, bool)


def check_whole(least: int = 1, most: int | None = None, **values: Any) -> None:
    """Refuse what is not an integer from `least` to `most`."""
    for name, value in values.items():
        if not is_whole(value) or value < least or (most is not None and value > most):
            limits = f"of at least {least}" if most is None else f"{least} to {most}"
            raise InputError(f"{name}={value!r}; it must be a whole number {limits}")


def check_seed(**seeds: Any) -> None:
    """Refuse what cannot be a seed on every backend."""
    check_whole(0, **seeds)
    for name, seed in seeds.items():
        if seed >= 2**31:
            raise InputError(f"{name}={seed}; it must be below 2**31")


def check_number(least: float = 0, *, above: bool = False, **values: Any) -> None:
    """Refuse what is not a finite number of at least `least`, or above it."""
    for name, value in values.items():
        fits = is_number(value) and math.isfinite(value)
        if not fits or value < least or (above and value == least):
            limit = f"above {least:g}" if above else f"of at least {least:g}"
            raise InputError(f"{name}={value!r}; it must be a number {limit}")


def check_size(**sizes: Any) -> None:
    """Refuse what cannot be the height or width of a frame: four halvings divide it."""
    for name, size in sizes.items():
        if not is_whole(size) or size < 16 or size % 16:
            raise InputError(
                f"{name}={size!r}; it must be a multiple of 16, such as 64"
            )


def check_image_shape(shape: Iterable[int], name: str = "image_shape") -> ImageShape:
    """`(H, W, C)` as integers; a shape that no frame can have is refused."""
    try:
        height, width, channels = (int(size) for size in shape)
        if min(height, width, channels) < 1 or height % 16 or width % 16:
            raise ValueError
    except (TypeError, ValueError):
        raise InputError(
            f"{name}={shape!r}; it must be (height, width, channels), height and width "
            "multiples of 16"
        ) from None
    return height, width, channels


def check_choice(choices: Iterable[Any], **values: Any) -> None:
    """Refuse what is not one of the choices."""
    choices = tuple(choices)
    for name, value in values.items():
        if isinstance(value, bool) or value not in choices:  # True is not 1
            known = ", ".join(map(str, choices))
            raise InputError(f"{name}={value!r}; use one of {known}")
