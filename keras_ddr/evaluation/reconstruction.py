"""How well frames come back from their codes: mean squared error and SSIM."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.arguments import check_whole
from keras_ddr.errors import InputError
from keras_ddr.evaluation import intervals
from keras_ddr.evaluation.measure import Measure
from keras_ddr.evaluation.text_table import aligned, number

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.evaluation.measure import Material
    from keras_ddr.typing import Interval

__all__ = [
    "Reconstruction",
    "ReconstructionScore",
    "squared_errors",
    "structural_similarity",
]

_WINDOW, _SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03


@dataclasses.dataclass(frozen=True)
class ReconstructionScore:
    """Frames against those decoded from the posterior means of f and z.

    Attributes:
        mse: Mean squared error, intensities in [0, 1].
        ssim: Mean structural similarity, at most 1.
        mse_interval: 95 % interval `(low, high)` from resampled sequences, or `None`.
        ssim_interval: The same of `ssim`.
        frames: Number of frames.
        sequences: Number of sequences they are from.
    """

    mse: float
    ssim: float
    mse_interval: Interval | None
    ssim_interval: Interval | None
    frames: int
    sequences: int


@dataclasses.dataclass(frozen=True)
class Reconstruction(Measure):
    """Decode frames from their own codes and compare; every sequence counts the same.

    Attributes:
        frames: Largest number of random frames of each sequence.
    """

    frames: int = 8

    name = "reconstruction"
    about = "mean squared error and SSIM"

    def __post_init__(self) -> None:
        check_whole(frames=self.frames)

    def run(self, material: Material) -> ReconstructionScore:
        """See `Measure`."""
        test, seed = material.test, material.seed
        generator = np.random.default_rng(seed)
        errors, similarities, count = [], [], 0
        for sequence, codes in zip(test.sequences, test.codes, strict=True):
            chosen = np.sort(generator.permutation(sequence.length)[: self.frames])
            truth = test.store.frames(sequence.index, chosen).astype("float32") / 255.0
            images = material.model.decode(
                codes.static.mean, codes.dynamic.mean[chosen]
            )
            errors.append(squared_errors(images, truth).mean())
            similarities.append(structural_similarity(images, truth).mean())
            count += len(chosen)
        return ReconstructionScore(
            mse=float(np.mean(errors)),
            ssim=float(np.mean(similarities)),
            mse_interval=intervals.mean_interval(errors, seed=seed),
            ssim_interval=intervals.mean_interval(similarities, seed=seed),
            frames=count,
            sequences=len(test.sequences),
        )

    def lines(self, score: ReconstructionScore) -> list[str]:
        """See `Measure`."""
        rows = [
            ["mse", number(score.mse, score.mse_interval, 5)],
            ["SSIM", number(score.ssim, score.ssim_interval)],
        ]
        return [
            f"Reconstruction of {score.frames} frames, intensities in [0, 1]",
            *aligned(["measure", "value"], rows),
        ]


def squared_errors(predicted: ArrayLike, truth: ArrayLike) -> NDArray[np.float64]:
    """Mean squared error `(n,)` of frames or of one image, against `(n, H, W, C)`."""
    difference = np.asarray(predicted, "float64") - truth
    return np.square(difference).mean(axis=(1, 2, 3))


def structural_similarity(
    predicted: ArrayLike, truth: ArrayLike
) -> NDArray[np.float64]:
    """Structural similarity index of images.

    Gaussian window of 11 × 11 pixels with σ = 1.5, K1 = 0.01, K2 = 0.03, data range
    1; the mean over the windows that lie within the image, and over the channels.

    Args:
        predicted: `(..., H, W, C)` in [0, 1], H and W at least 11.
        truth: Same shape.

    Returns:
        float64 `(...)`, in [−1, 1]; 1 for equal images.

    Raises:
        InputError: The shapes differ, or an image is smaller than the window.

    References:
        Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error
        visibility to structural similarity", 2004.
    """
    predicted, truth = np.asarray(predicted, "float64"), np.asarray(truth, "float64")
    if predicted.shape != truth.shape:
        raise InputError(f"images of shapes {predicted.shape} and {truth.shape} differ")
    if min(truth.shape[-3:-1]) < _WINDOW:
        raise InputError(
            f"images of shape {truth.shape} are smaller than the window of SSIM, "
            f"{_WINDOW} × {_WINDOW}"
        )
    mean_p, mean_t = _smooth(predicted), _smooth(truth)
    variance_p = _smooth(np.square(predicted)) - np.square(mean_p)
    variance_t = _smooth(np.square(truth)) - np.square(mean_t)
    covariance = _smooth(predicted * truth) - mean_p * mean_t
    c1, c2 = _K1**2, _K2**2
    index = (2 * mean_p * mean_t + c1) * (2 * covariance + c2)
    index /= (np.square(mean_p) + np.square(mean_t) + c1) * (
        variance_p + variance_t + c2
    )
    return index.mean(axis=(-3, -2, -1))


def _smooth(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted means of all windows that lie within the images."""
    from scipy.ndimage import correlate1d

    border = _WINDOW // 2
    weights = np.exp(-0.5 * np.square(np.arange(-border, border + 1) / _SIGMA))
    weights /= weights.sum()
    for axis in (-3, -2):
        images = correlate1d(images, weights, axis=axis)
    return images[..., border:-border, border:-border, :]
