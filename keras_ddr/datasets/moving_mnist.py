"""Moving MNIST: handwritten digits that cross a black frame and bounce off its walls.

Either the published test sequences (`mnist_test_seq.npy`) or sequences made here from
MNIST digits, in the way that Srivastava, Mansimov and Salakhutdinov describe
("Unsupervised Learning of Video Representations using LSTMs", 2015), with the classes
and positions of the digits as labels.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.arguments import check_whole
from keras_ddr.data.format import SPLITS
from keras_ddr.data.labels import Label
from keras_ddr.data.place import check_target
from keras_ddr.data.splits import assign_splits, split_counts
from keras_ddr.data.writer import SequenceRecord, write_store
from keras_ddr.datasets.identities import counted
from keras_ddr.datasets.mnist import DIGIT, LICENCE, existing, load_digits, unpacked
from keras_ddr.datasets.option_fields import Offer
from keras_ddr.datasets.splits import Splits
from keras_ddr.errors import InputError, reason_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.typing import Progress, StrPath

__all__ = ["generate", "load_digits", "prepare", "split_digits"]

OFFER = Offer(
    "moving MNIST", unused=("persons", "labels"), defaults={"shares": (0.8, 0.1, 0.1)}
)
CANVAS = 64
EXTENT = CANVAS - DIGIT  # largest row or column of a digit's upper left corner
SPEED = 0.1 * EXTENT  # pixels from frame to frame, a tenth from wall to wall
_LENGTH, _DIGITS, _SEQUENCES = 20, 2, 10_000  # as published
_CHUNK = 128  # sequences of the published file read at a time: 10 MB
_POOLS, _MOTION = 4, 5  # random streams


def prepare(
    store_path: StrPath,
    source: StrPath,
    *,
    sequences: int | None = None,
    length: int = _LENGTH,
    digits: int = _DIGITS,
    splits: Splits = Splits(),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FrameStore:
    """Make a frame store of Moving MNIST, frames (64, 64, 1).

    From `mnist_test_seq.npy`, uint8 (20, N, 64, 64) and time first, the sequences
    are taken as they are and dealt out to the splits at random. `column-00017` is
    `array[:, 17]`. The file does not tell which digits it shows, so there are no
    labels, and sequences of different splits may show the same digit image.

    From MNIST digits, sequences are generated: the digits start anywhere, each moves
    straight on in a random direction at 3.6 pixels a frame and is reflected at the
    walls, and where digits overlap the brighter one shows. The digit images are
    split first, so that no digit image occurs in two splits. Sequences are named
    `train-00001` and so on. Sequence labels: `digit_1`, `digit_2`, …, the classes
    "0" to "9" in ascending order, since digits have no order of their own, and
    `digits`, all of them, such as "3-7". Frame labels: `x_1`, `y_1`, `x_2`, …, column
    and row of each digit's upper left corner in pixels, 0 to 36; it is drawn at the
    nearest whole pixel.

    Args:
        store_path: Folder to make.
        source: Path of `mnist_test_seq.npy`; or of an idx file of MNIST images
            (`train-images-idx3-ubyte` or the like, also gzipped), with its labels
            file beside it; or of a folder with such files, of which train and t10k
            are joined; or "keras" for the 70,000 digits that Keras downloads.
        sequences: Number of sequences, at least 3; by default 10,000. From the
            published file the first ones are taken, by default all.
        length: Frames of a generated sequence, at least 2.
        digits: Number of digits in a generated sequence, 1 to 3.
        splits: Shares of the sequences, and of the digit images, for train, val and
            test, and the seed of all that is random.
        overwrite: Whether to replace a store that exists.
        progress: Called as progress(done, total) with numbers of sequences.

    Raises:
        InputError: The source is missing, damaged or something else, an argument
            cannot be used, or the store exists.
    """
    if sequences is not None:
        check_whole(3, sequences=sequences)
    check_whole(2, length=length)
    check_whole(most=3, digits=digits)
    splits = OFFER.settle(splits)
    check_target(store_path, overwrite)
    number, labels = sequences, {}
    records: Iterator[SequenceRecord]
    if _is_published(source):
        if (length, digits) != (_LENGTH, _DIGITS):
            raise InputError(
                f"{source}: has {_LENGTH} frames of {_DIGITS} digits in every "
                "sequence; leave out length and digits, or give MNIST digits instead"
            )
        number = _published_number(source, sequences)
        records = _published(source, number, splits)
    else:
        number = _SEQUENCES if sequences is None else sequences
        records = _generated(source, number, length, digits, splits)
        labels = _labels(digits)
    return write_store(
        store_path,
        counted(records, number, progress),
        dataset="moving_mnist",
        frame_shape=(CANVAS, CANVAS, 1),
        labels=labels,
        arguments={
            "source": str(source),
            "length": length,
            "digits": digits,
            "sequences": number,
            **OFFER.noted(splits),
        },
        seed=splits.seed,
        licence=LICENCE,
        overwrite=overwrite,
    )


def generate(
    images: NDArray[np.uint8],
    classes: NDArray[np.integer],
    number: int,
    *,
    length: int = _LENGTH,
    digits: int = _DIGITS,
    random: int | np.random.Generator = 0,
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.integer], NDArray[np.float32]]]:
    """Generate sequences one after the other.

    Args:
        images: Digit images, uint8 (M, 28, 28).
        classes: Their classes, integers (M,) from 0 to 9.
        number: Number of sequences.
        length: Frames of a sequence, T.
        digits: Digits of a sequence, D.
        random: Seed, or a `numpy.random.Generator`.

    Yields:
        Tuple of the frames, uint8 (T, 64, 64, 1), the D numbers of the images that
        were drawn, in ascending order of their classes, and the positions (x, y) of
        their upper left corners in pixels, float32 (T, D, 2).
    """
    random = np.random.default_rng(random)
    for _ in range(number):
        chosen = random.integers(len(images), size=digits)
        chosen = chosen[np.argsort(classes[chosen], kind="stable")]
        start = random.uniform(0, EXTENT, (digits, 2))
        angle = random.uniform(0, 2 * np.pi, digits)
        velocity = SPEED * np.stack([np.cos(angle), np.sin(angle)], -1)
        # Drawn from float32, so that the stored labels give the very same pixels.
        positions = trajectory(start, velocity, length, EXTENT).astype(np.float32)
        yield render(images[chosen], positions), chosen, positions


def trajectory(
    start: ArrayLike, velocity: ArrayLike, length: int, extent: float
) -> NDArray[np.float64]:
    """Positions (length, …) in [0, extent] of straight motion between walls."""
    start, velocity = np.broadcast_arrays(
        np.asarray(start, np.float64), np.asarray(velocity, np.float64)
    )
    time = np.arange(length).reshape(-1, *[1] * start.ndim)
    # Mirror images of the room stand side by side: the way through them is straight.
    unfolded = start + time * velocity
    return extent - np.abs(np.mod(unfolded, 2 * extent) - extent)


def render(
    digits: NDArray[np.uint8], positions: NDArray[np.floating]
) -> NDArray[np.uint8]:
    """Draw digits (D, 28, 28) at (x, y) of `positions` (T, D, 2), rounded to pixels."""
    frames = np.zeros((len(positions), CANVAS, CANVAS, 1), np.uint8)
    corners = np.rint(positions).astype(int).tolist()
    for frame, places in zip(frames, corners, strict=True):
        for digit, (x, y) in zip(digits, places, strict=True):
            patch = frame[y : y + DIGIT, x : x + DIGIT, 0]
            np.maximum(patch, digit, out=patch)
    return frames


def split_digits(
    classes: NDArray[np.integer], shares: Sequence[float], seed: int = 0
) -> dict[str, NDArray[np.integer]]:
    """Deal digit images out to the splits, class by class.

    Args:
        classes: Classes of the images, integers (M,).
        shares: Three shares, for train, val and test.
        seed: The same seed gives the same pools.

    Returns:
        Dict split -> sorted array of image numbers. Each number is in one pool only,
        and every pool with a share above 0 has every class that has 3 images.
    """
    random = np.random.default_rng([seed, 0, _POOLS])
    pools: dict[str, list[NDArray[np.integer]]] = {split: [] for split in SPLITS}
    for value in np.unique(classes):
        order = random.permutation(np.flatnonzero(classes == value))
        counts = split_counts(len(order), shares)
        parts = np.split(order, np.cumsum(counts)[:-1])
        for split, part in zip(SPLITS, parts, strict=True):
            pools[split].append(part)
    return {split: np.sort(np.concatenate(parts)) for split, parts in pools.items()}


def _generated(
    source: StrPath, total: int, length: int, digits: int, splits: Splits
) -> Iterator[SequenceRecord]:
    """Sequences of digits, those of each split of digit images of their own."""
    images, classes = load_digits(source)
    counts = split_counts(total, splits.shares)
    pools = split_digits(classes, splits.shares, splits.seed)
    for split, count in zip(SPLITS, counts, strict=True):
        if count and not len(pools[split]):
            raise InputError(
                f"{source}: its {len(images)} digits are too few to give {split} "
                "digits of its own; give more digits or other splits"
            )
    random = np.random.default_rng([splits.seed, 0, _MOTION])
    about: dict[str, Any] = {"length": length, "digits": digits, "random": random}
    for split, count in zip(SPLITS, counts, strict=True):
        pool = pools[split]
        made = generate(images[pool], classes[pool], count, **about)
        for number, (frames, chosen, positions) in enumerate(made, start=1):
            names = [str(value) for value in classes[pool[chosen]]]
            labels = {f"digit_{n}": name for n, name in enumerate(names, start=1)}
            yield SequenceRecord(
                name=f"{split}-{number:05d}",
                frames=frames,
                split=split,
                labels={**labels, "digits": "-".join(names)},
                frame_labels={
                    f"{axis}_{n + 1}": positions[:, n, k]
                    for n in range(digits)
                    for k, axis in enumerate("xy")
                },
            )


def _labels(digits: int) -> dict[str, Label]:
    names = [str(value) for value in range(10)]
    pairs = itertools.combinations_with_replacement(names, digits)
    one = Label("sequence", "categorical", names)
    every = Label("sequence", "categorical", ["-".join(pair) for pair in pairs])
    numbers = range(1, digits + 1)
    place = Label("frame", "continuous", unit="px")
    return {
        **{f"digit_{n}": one for n in numbers},
        "digits": every,
        **{f"{axis}_{n}": place for n in numbers for axis in "xy"},
    }


def _is_published(source: StrPath) -> bool:
    if source == "keras":
        return False
    path = existing(source)
    return path.is_file() and (
        path.suffix == ".npy" or unpacked(path, 6) == b"\x93NUMPY"
    )


def _published(path: StrPath, number: int, splits: Splits) -> Iterator[SequenceRecord]:
    names = [f"column-{column:05d}" for column in range(number)]
    split_of = assign_splits(names, splits.shares, splits.seed)
    for start in range(0, number, _CHUNK):
        # Mapped anew for each chunk: pages of an open map would pile up in memory.
        columns = _mapped(path)[:, start : min(start + _CHUNK, number)]
        frames = np.ascontiguousarray(columns.swapaxes(0, 1))[..., None]
        for column, sequence in enumerate(frames, start=start):
            yield SequenceRecord(
                name=names[column], frames=sequence, split=split_of[column]
            )


def _published_number(path: StrPath, sequences: int | None) -> int:
    array = _mapped(path)
    if array.dtype != np.uint8 or array.shape != (_LENGTH, *array.shape[1:2], 64, 64):
        raise InputError(
            f"{path}: holds {array.dtype} {array.shape}, but the published file is "
            f"uint8 ({_LENGTH}, N, 64, 64), time first; bring it to that form "
            "(np.swapaxes, np.squeeze), or give the published file"
        )
    number = array.shape[1] if sequences is None else sequences
    if not 3 <= number <= array.shape[1]:
        raise InputError(
            f"{path}: holds {array.shape[1]} sequences, but "
            + (f"{sequences} are asked for; " if sequences else "3 are needed; ")
            + ("ask for fewer" if sequences else "give a file with more")
        )
    return number


def _mapped(path: StrPath) -> np.memmap[Any, np.dtype[Any]]:
    try:
        # Never unpickles, unlike np.load it takes nothing but .npy files.
        return np.lib.format.open_memmap(path, mode="r")
    # NumPy's parser may raise anything on a broken header.
    except Exception as error:
        raise InputError(
            f"{path}: cannot be read as an array ({reason_of(error)}); give the "
            "published mnist_test_seq.npy, whole"
        ) from error
