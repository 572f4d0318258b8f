"""Swap error: one sequence's f with another's z, compared with the true picture."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.evaluation import intervals

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.sequence_model import Codes
    from keras_ddr.model import DDR
    from keras_ddr.typing import Interval

__all__ = ["SwapScore", "mean_image", "squared_errors", "swap_error"]

_CHUNK = 256


@dataclasses.dataclass(frozen=True)
class SwapScore:
    """Mean squared errors on intensities in [0, 1], all on the same true frames.

    Attributes:
        swap: Error of f of A with z of a frame of B, z taken as it is.
        swap_prior: The same with z carried over as its standard score under p(z | f).
        reconstruction: Error of f of A with z of A's own frame.
        mean_image: Error of always predicting the mean frame of the training part.
        pairs: Number of pairs (A, frame of B).
        intervals: Dict name of an error → its 95 % interval `(low, high)` from
            resampled sequences, or `None` with fewer than three sequences.
    """

    swap: float
    swap_prior: float
    reconstruction: float
    mean_image: float
    pairs: int
    intervals: dict[str, Interval | None] = dataclasses.field(default_factory=dict)


def swap_error(
    model: DDR,
    store: FrameStore,
    sequences: list[Sequence],
    *,
    codes: list[Codes] | None = None,
    mean: NDArray[np.floating] | None = None,
    fit_sequences: list[Sequence] | None = None,
    label: str = "pose",
    pairs: int = 1000,
    seed: int = 0,
) -> SwapScore:
    """Decode f of one sequence with z of another and compare with the truth.

    The truth is the stored frame of A with the same `label` as the frame of B, so
    that the store must show every identity in (nearly) every pose.

    Args:
        model: A trained `DDR`.
        store: `FrameStore` with a categorical frame label named `label`.
        sequences: List of the `Sequence` to draw A and B from, at least two.
        codes: List of their `Codes`; encoded here where `None`.
        mean: Mean image `(H, W, C)` in [0, 1] of the training part.
        fit_sequences: Sequences to take the mean image from where `mean` is `None`.
        label: Name of the frame label that says which frames show the same.
        pairs: Number of random pairs, A ≠ B.
        seed: Of the choice of pairs.

    Returns:
        `SwapScore`.

    Raises:
        InputError: The label is missing, or no frame can be paired.
    """
    if label not in store.labels or store.labels[label].scope != "frame":
        raise InputError(f"{store.path} has no frame label {label!r} to pair frames by")
    if len(sequences) < 2:
        raise InputError("swapping takes at least two sequences")
    if codes is None:
        codes = [model.encode(store.frames(s.index)) for s in sequences]
    if mean is None:
        mean = mean_image(store, fit_sequences or sequences, seed=seed)
    chosen = _choose_pairs(store, sequences, label, pairs, seed)
    parts: list[list[NDArray[np.float64]]] = [[] for _ in range(4)]
    for start in range(0, len(chosen), _CHUNK):
        part = chosen[start : start + _CHUNK]
        truth = np.stack(
            [store.frames(sequences[a].index, [i])[0] for a, i, _, _ in part]
        )
        truth = truth.astype("float32") / 255.0
        static = np.stack([codes[a].static.mean for a, _, _, _ in part])
        own = np.stack([codes[a].dynamic.mean[i] for a, i, _, _ in part])
        other = np.stack([codes[b].dynamic.mean[j] for _, _, b, j in part])
        aligned = np.stack(
            [codes[a].prior.sample(codes[b].standardized[j]) for a, _, b, j in part]
        )
        images = [model.decode(static, z) for z in (other, aligned, own)] + [mean]
        for found, predicted in zip(parts, images, strict=True):
            found.append(squared_errors(predicted, truth))
    errors = dict(
        zip(
            ("swap", "swap_prior", "reconstruction", "mean_image"),
            map(np.concatenate, parts),
            strict=True,
        )
    )
    first, _, second, _ = np.transpose(chosen)
    return SwapScore(
        **{name: float(values.mean()) for name, values in errors.items()},
        pairs=len(chosen),
        intervals={
            name: intervals.pair_interval(values, first, second, seed)
            for name, values in errors.items()
        },
    )


def squared_errors(predicted: ArrayLike, truth: ArrayLike) -> NDArray[np.float64]:
    """Mean squared error of each frame.

    Args:
        predicted: Intensities in [0, 1], `(n, H, W, C)` or one image `(H, W, C)`.
        truth: `(n, H, W, C)`.

    Returns:
        float64 `(n,)`, means over pixels and channels.
    """
    difference = np.asarray(predicted, "float64") - truth
    return np.square(difference).mean(axis=(1, 2, 3))


def mean_image(
    store: FrameStore, sequences: list[Sequence], frames: int = 2000, seed: int = 0
) -> NDArray[np.float64]:
    """Mean of random frames.

    Args:
        store: `FrameStore`.
        sequences: List of `Sequence`.
        frames: Number of frames to draw at most, spread over the sequences.
        seed: Of the choice.

    Returns:
        `(H, W, C)` float64 in [0, 1].
    """
    generator = np.random.default_rng(seed)
    if len(sequences) > frames:
        order = generator.permutation(len(sequences))[:frames]
        sequences = [sequences[i] for i in order]
    each = max(1, frames // len(sequences))
    total, number = np.zeros(store.frame_shape), 0
    for sequence in sequences:
        taken = generator.permutation(sequence.length)[:each]
        total += store.frames(sequence.index, np.sort(taken)).sum(
            axis=0, dtype="float64"
        )
        number += len(taken)
    return total / (255.0 * number)


def _choose_pairs(
    store: FrameStore, sequences: list[Sequence], label: str, pairs: int, seed: int
) -> list[tuple[int, int, int, int]]:
    """List of (A, frame of A, B, frame of B) with equal labels; indices in lists."""
    generator = np.random.default_rng(seed)
    values = [store.frame_labels(s.index)[label] for s in sequences]
    known = [store.labels[label].present(column) for column in values]
    chosen: list[tuple[int, int, int, int]] = []
    # Some draws find no partner where a pose is not stored for everyone.
    for _ in range(10 * pairs):
        if len(chosen) == pairs:
            break
        a, b = generator.choice(len(sequences), size=2, replace=False)
        j = generator.integers(len(values[b]))
        if not known[b][j]:
            continue
        same = np.flatnonzero(values[a] == values[b][j])
        if len(same):
            chosen.append((a, int(generator.choice(same)), b, int(j)))
    if not chosen:
        raise InputError(f"no two sequences share a value of the frame label {label!r}")
    return chosen
