"""MNIST digits: idx files, packed or not, or what Keras downloads."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from keras_ddr.errors import InputError, reason_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath

    _Pair: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.uint8]]

DIGIT = 28  # height and width, in pixels
LICENCE = (
    "MNIST digits by Yann LeCun, Corinna Cortes and Christopher Burges, CC BY-SA 3.0 "
    "(https://creativecommons.org/licenses/by-sa/3.0/)."
)

_MOST_PACKED, _SMALL = 50, 64 << 20  # times that gzip may shrink digits; bytes
_IMAGES_MAGIC, _LABELS_MAGIC = 2051, 2049


def load_digits(source: StrPath) -> _Pair:
    """MNIST digits, uint8 (M, 28, 28), and their classes, uint8 (M,).

    Args:
        source: An idx file of images, a folder of idx files, or "keras", as in
            `moving_mnist.prepare`.

    Raises:
        InputError: Naming the file that is missing or cannot be used.
    """
    if source == "keras":
        return _keras_digits()
    path = existing(source)
    files = _image_files(path) if path.is_dir() else [path]
    return _joined(map(_read_pair, files))


def _keras_digits() -> _Pair:
    import keras

    try:
        train, test = keras.datasets.mnist.load_data()
    # Keras raises plain Exceptions where a download fails.
    except Exception as error:
        raise InputError(
            f"source: Keras could not load MNIST ({reason_of(error)}); try again when "
            "there is a connection, or give a folder with the idx files"
        ) from error
    return _joined([train, test])


def _joined(pairs: Iterable[_Pair]) -> _Pair:
    images, classes = zip(*pairs, strict=True)
    return np.concatenate(images), np.concatenate(classes)


def _image_files(folder: Path) -> list[Path]:
    found = []
    for part in ("train", "t10k"):
        # Take the first of a set that is there both unpacked and packed.
        names = [
            f"{part}-images{mark}idx3-ubyte{end}"
            for end in ("", ".gz")
            for mark in ("-", ".")
        ]
        found += [folder / name for name in names if (folder / name).is_file()][:1]
    if not found:
        raise InputError(
            f"{folder}: holds no MNIST images; put train-images-idx3-ubyte or "
            "t10k-images-idx3-ubyte there (.gz or not), with their labels, or give "
            "another folder"
        )
    return found


def _labels_file(path: Path) -> Path:
    name = path.name.replace("images", "labels").replace("idx3", "idx1")
    if name == path.name:
        raise InputError(
            f"{path}: is not named like t10k-images-idx3-ubyte, so its labels file "
            "is not known; rename both to the standard names"
        )
    for candidate in (name, name.removesuffix(".gz"), f"{name}.gz"):
        if path.with_name(candidate).is_file():
            return path.with_name(candidate)
    raise InputError(
        f"{path.with_name(name)}: is missing, the labels of {path.name}; put it there"
    )


def _read_pair(path: Path) -> _Pair:
    images = _read_idx(path, _IMAGES_MAGIC, 3)
    labels_path = _labels_file(path)
    classes = _read_idx(labels_path, _LABELS_MAGIC, 1)
    if images.shape[1:] != (DIGIT, DIGIT) or not len(images):
        raise InputError(
            f"{path}: holds images {images.shape}, but MNIST digits are (M, {DIGIT}, "
            f"{DIGIT}); give those"
        )
    if len(classes) != len(images):
        raise InputError(
            f"{labels_path}: holds {len(classes)} labels for the {len(images)} images "
            f"of {path.name}; give the files that belong together"
        )
    if classes.max() > 9:
        raise InputError(
            f"{labels_path}: has the class {classes.max()}, but digits are 0 to 9; "
            "give MNIST's labels"
        )
    return images, classes


def _read_idx(path: StrPath, magic: int, dimensions: int) -> NDArray[np.uint8]:
    what = {_IMAGES_MAGIC: "images", _LABELS_MAGIC: "labels"}
    size = 4 * (1 + dimensions)
    header = unpacked(path, size)
    number = int.from_bytes(header[:4], "big")
    if number != magic:
        found = f"holds {what[number]}" if number in what else "is something else"
        raise InputError(
            f"{path}: {found if header else 'is empty'}, but an idx file of "
            f"{what[magic]} is needed (it begins with the number {magic}); give "
            f"MNIST's {what[magic]} file"
        )
    if len(header) < size:
        raise InputError(f"{path}: ends in its header; get the file again, whole")
    shape = np.frombuffer(header[4:], ">u4").tolist()
    expected = size + math.prod(shape)
    # Digits do not shrink more: such a file is made to fill the memory.
    most = max(_SMALL, _MOST_PACKED * os.path.getsize(path))
    content = unpacked(path, min(expected, most) + 1)
    if len(content) != expected:
        found = str(len(content)) if len(content) <= most else f"more than {most}"
        raise InputError(
            f"{path}: has {found} bytes (unpacked), but {expected} by its header, "
            f"{what[magic]} {tuple(shape)}; get the file again, whole"
        )
    return np.frombuffer(content, np.uint8, offset=size).reshape(shape)


def unpacked(path: StrPath, size: int = -1) -> bytes:
    """The first bytes of a file (-1 for all), unpacked where it is gzipped."""
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else open(path, "rb") as file:
            return file.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path}: cannot be read ({reason_of(error)}); get the file again"
        ) from error


def existing(source: StrPath) -> Path:
    """The path of a file or a folder that is there."""
    path = Path(source)
    if not path.exists():
        raise InputError(
            f"{path}: no such file or folder; give mnist_test_seq.npy, MNIST images "
            "(idx), a folder that holds them, or the word keras"
        )
    return path
