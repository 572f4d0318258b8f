"""The format of frame stores: names and numbers that reading and writing share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_ddr.typing import LabelValue

FORMAT, FORMAT_VERSION = "keras_ddr frame store", 2  # in meta.json
SPLITS = ("train", "val", "test")
FILES = ("frames.npy", "sequences.csv", "labels.npz", "meta.json")
REMEDY = "make the store again"  # advice about a damaged one
HEADER_SIZE = 192  # bytes before the pixels in a frames.npy that is written here
COLUMNS = ("name", "start", "length", "split", "person", "source")
LABEL_PREFIX = "label:"


@dataclass(frozen=True)
class Sequence:
    """One sequence of a store.

    Attributes:
        index: Position in `store.sequences`, what `store.frames` takes.
        name: Unique within the store.
        start: Number of frames of the store before this sequence.
        length: Number of frames T.
        split: "train", "val" or "test".
        person: Person shown, or "" where the dataset does not know.
        source: The file or video it was cut from, or "".
        labels: Value of every sequence label: class name (str) for categorical
            labels, float for the others, None where missing.
    """

    index: int
    name: str
    start: int
    length: int
    split: str
    person: str = ""
    source: str = ""
    labels: dict[str, LabelValue] = field(default_factory=dict)


def shape_text(shape: Iterable[int]) -> str:
    """A shape as messages name it: 64x64x3."""
    return "x".join(str(size) for size in shape)
