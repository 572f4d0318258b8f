"""Which axis of an array is which: as the file says, as it is said, or as guessed.

N are sequences, T times, Z depths, C channels, Y rows, X columns, S colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LETTERS = "NTZCYXS"
_COLOURS = (1, 3, 4)  # what a last axis of colours has
# By other names, in files.
_ALIKE = {"I": "T", "Q": "T", "P": "N", "R": "N"}
_REDUCED = ("max", "mean")


def check_axes(name: str, value: Any) -> str:
    """Axes that were given, in capitals; such that cannot be are refused."""
    axes = str(value).upper()
    odd = set(axes) - set(LETTERS)
    if odd or len(set(axes)) < len(axes) or not set("TYX") <= set(axes):
        raise InputError(
            f"{name}={value!r}; give a letter for each axis, in their order, of "
            "N (sequences), T (times), Z, C (channels), Y, X, S (colours): "
            "TYX, TYXC, NTYX, …"
        )
    return axes


def parse_pick(name: str, value: Any) -> str:
    """Checked text of a choice such as "Z=max,C=0+2"."""
    _picks(name, str(value))
    return str(value)


def _picks(name: str, text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, text.replace(" ", "").split(",")):
        axis, _, what = part.partition("=")
        numbers = what.split("+")
        plain = all(number.isascii() and number.isdecimal() for number in numbers)
        axis = axis.upper()
        fits = axis == "Z" and (what in _REDUCED or (plain and len(numbers) == 1))
        if not (fits or (axis == "C" and plain and len(numbers) <= 3)):
            raise InputError(
                f"{name}={text!r}; choose a depth (Z=5, Z=max or Z=mean) and channels "
                "(C=0, or C=0+2+1 for red, green, blue), with a comma between"
            )
        found[axis] = what
    return found


@dataclass(frozen=True)
class Layout:
    """How an array is cut into frames.

    Attributes:
        shape: of the array.
        axes: a letter for each axis.
        depth: what is taken of Z: "max", "mean" or a number; "" where there is none.
        channels: which of C; None where there is none.
        guess: what had to be guessed, in words.
    """

    shape: tuple[int, ...]
    axes: str
    depth: str = ""
    channels: tuple[int, ...] | None = None
    guess: str = ""

    def size(self, axis: str) -> int:
        """Length of an axis, 1 where there is none."""
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    @property
    def sequences(self) -> int:
        """Number of sequences."""
        return self.size("N")

    @property
    def frames(self) -> int:
        """Number of frames of a sequence."""
        return self.size("T")

    @property
    def apart(self) -> bool:
        """Whether channels are lights of their own, not colours of a picture."""
        return len(self.channels or ()) > 1 and self.axes[-1] != "C"

    def place(self, sequence: int, first: int, count: int) -> tuple[int | slice, ...]:
        """The index of `count` frames of a sequence."""
        found: dict[str, int | slice] = {
            "N": sequence,
            "T": slice(first, first + count),
            "Z": int(self.depth) if self.depth.isdecimal() else slice(None),
        }
        if self.channels is not None and len(self.channels) == 1:
            found["C"] = self.channels[0]
        return tuple(found.get(axis, slice(None)) for axis in self.axes)

    def arranged(self, block: NDArray[Any]) -> NDArray[Any]:
        """What stands at `place`, as frames (T, H, W) or (T, H, W, C)."""
        left = self.axes.replace("N", "")
        if self.depth.isdecimal():
            left = left.replace("Z", "")
        if self.channels is not None and len(self.channels) == 1:
            left = left.replace("C", "")
        order = [axis for axis in "ZTYXCS" if axis in left]
        block = np.transpose(block, [left.index(axis) for axis in order])
        if "Z" in order:
            mean = self.depth == "mean"
            # In the type of the values, whose range it keeps.
            block = block.mean(axis=0).astype(block.dtype) if mean else block.max(0)
        if "C" in order:
            block = block[..., list(self.channels or ())]
        return block


def layout_of(
    shape: tuple[int, ...], known: str, given: str, pick: str, most_channels: int
) -> Layout:
    """The layout of an array; raises ValueError with what is wrong.

    Args:
        shape: of the array.
        known: axes by its file, "" where that does not say.
        given: axes by the user, or "".
        pick: choice of depth and channels.
        most_channels: of the frames that are made, 1 or 3.
    """
    axes, guess = _axes(shape, known, given)
    if 0 in shape:
        raise ValueError(f"is empty: its shape is {shape}")
    sizes = dict(zip(axes, shape, strict=True))
    chosen = _picks("pick", pick)
    for axis, what in chosen.items():
        # Without an axis there is one place along it.
        if axis not in sizes and what not in ("0", *_REDUCED):
            raise ValueError(f"has no axis {axis} to pick from: it is {axes} {shape}")
    depth = chosen.get("Z", "") if "Z" in sizes else ""
    if "Z" in sizes and not depth:
        if sizes["Z"] > 1:
            raise ValueError(
                f"has {sizes['Z']} depths (it is {axes} {shape}); say which: "
                "--pick Z=max, Z=mean or Z=0"
            )
        depth = "0"
    if depth.isdecimal() and int(depth) >= sizes["Z"]:
        raise ValueError(f"has depths 0 to {sizes['Z'] - 1}, and no {depth} (pick)")
    channels = _channels(sizes, chosen.get("C", ""), most_channels, axes)
    if sizes.get("S", 3) not in (1, 3, 4):
        raise ValueError(f"has {sizes['S']} colours (it is {axes} {shape})")
    return Layout(shape, axes, depth, channels, guess)


def _channels(
    sizes: dict[str, int], pick: str, most: int, axes: str
) -> tuple[int, ...] | None:
    """The channels to be taken."""
    if "C" not in sizes:
        return None
    count = sizes["C"]
    picked = tuple(map(int, pick.split("+"))) if pick else tuple(range(count))
    if max(picked) >= count:
        raise ValueError(f"has channels 0 to {count - 1}, and no {max(picked)} (pick)")
    colours = axes[-1] == "C" and len(picked) == 3
    if len(picked) > 3 or (len(picked) > most and not colours):
        raise ValueError(
            f"has {count} channels, and frames have {most}; say which: --pick C=0"
            + (", or C=0+1+2 for red, green, blue" if most == 3 else "")
        )
    if "S" in sizes and sizes["S"] > 1 and len(picked) > 1:
        raise ValueError(f"has {count} pictures in colour; say which: --pick C=0")
    return picked


def _axes(shape: tuple[int, ...], known: str, given: str) -> tuple[str, str]:
    """A letter for each axis, and what was guessed."""
    if given:
        if len(given) != len(shape):
            raise ValueError(
                f"has {len(shape)} axes, of shape {shape}, and --axes {given} names "
                f"{len(given)}"
            )
        return given, ""
    if known:
        return _by_file(shape, known.upper())
    choices = _choices(shape)
    if len(choices) == 1:
        return choices[0], f"taken for {choices[0]}"
    if not choices:
        raise ValueError(f"is no stack of pictures: its shape is {shape}")
    raise ValueError(
        f"has shape {shape}, which may be {', '.join(choices[:-1])} or {choices[-1]}; "
        f"say it: --axes {choices[0]}"
    )


def _choices(shape: tuple[int, ...]) -> list[str]:
    """What an array of this shape may be."""
    last, count = shape[-1], len(shape)
    if count == 3:
        # A picture in colour is no stack.
        if last in _COLOURS:
            return []
        return ["YXT", "TYX"] if shape[0] == shape[1] != last else ["TYX"]
    if count == 4:
        return ["TYXC"] if last in _COLOURS else ["NTYX", "TNYX", "TZYX", "TCYX"]
    if count == 5:
        return ["NTYXC"] if last in _COLOURS else ["TZCYX", "NTCYX", "TCZYX"]
    return []


def _by_file(shape: tuple[int, ...], known: str) -> tuple[str, str]:
    """The axes that a file names, without such as have one place."""
    axes, guess = "", ""
    free = "T" not in known
    for letter in known:
        if letter in "IQ" and free:
            free, letter = False, "T"
        axes += letter if letter in LETTERS else _ALIKE.get(letter, letter)
    sizes = dict(zip(axes, shape, strict=True))
    if "T" not in sizes and sizes.get("Z", 1) > 1:
        axes = axes.replace("Z", "T")
        guess = "whose depths (Z) were taken for times"
    fits = set("TYX") <= set(axes) <= set(LETTERS) and len(set(axes)) == len(axes)
    if not fits:
        if sizes.get("C", 1) > 1 and not {"T", "Z", "S"} & set(axes):
            raise ValueError(
                f"has {sizes['C']} channels and no times, by itself; if these are "
                f"times: --axes {axes.replace('C', 'T')}"
            )
        if not set(known) - set("YXSCZ"):
            raise ValueError(
                f"holds one picture, of shape {shape}; for single pictures use "
                "`ddr preprocess images`"
            )
        raise ValueError(
            f"has shape {shape} and axes {known}; say what they are: --axes "
            + ("TYX" if len(shape) == 3 else "TZCYX"[-len(shape) :] + ", …")
        )
    return axes, guess
