"""How well frames come back from their codes: mean squared error and SSIM."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.evaluation import intervals
from keras_ddr.evaluation.measure import Headline, Measure, aligned, number

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.evaluation.measure import Material
    from keras_ddr.typing import Interval

__all__ = ["Reconstruction", "ReconstructionScore"]

_WINDOW, _SIGMA = 11, 1.5  # of SSIM, in pixels
_C1, _C2 = 0.01**2, 0.03**2  # for a data range of 1


@dataclasses.dataclass(frozen=True)
class ReconstructionScore:
    """Frames against those decoded from the posterior means of f and z.

    Attributes:
        mse: Mean squared error, intensities in [0, 1].
        ssim: Mean structural similarity, at most 1.
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

    def run(self, material: Material) -> ReconstructionScore:
        """See `Measure`."""
        test, seed = material.test, material.seed
        generator = np.random.default_rng(seed)
        errors, similarities, count = [], [], 0
        for sequence, codes in zip(test.sequences, test.codes, strict=True):
            chosen = np.sort(generator.permutation(sequence.length)[: self.frames])
            truth = test.store.frames(sequence.index, chosen).astype("float32") / 255.0
            z = codes.dynamic.mean[chosen]
            images = material.model.decode(codes.static.mean, z)
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
        head = f"Reconstruction of {score.frames} frames, intensities in [0, 1]"
        return [head, *aligned(["measure", "value"], rows)]

    def headlines(self, score: ReconstructionScore) -> dict[str, Headline]:
        """See `Measure`."""
        return {
            "reconstruction, mse": Headline(score.mse, score.mse_interval, -1, 5),
            "reconstruction, SSIM": Headline(score.ssim, score.ssim_interval),
        }


def squared_errors(predicted: ArrayLike, truth: ArrayLike) -> NDArray[np.float64]:
    """Mean squared error `(n,)` of frames or of one image, against `(n, H, W, C)`."""
    difference = np.asarray(predicted, "float64") - truth
    return np.square(difference).mean(axis=(1, 2, 3))


def structural_similarity(
    predicted: ArrayLike, truth: ArrayLike
) -> NDArray[np.float64]:
    """Structural similarity `(...)` of images `(..., H, W, C)` in [0, 1].

    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility
    to structural similarity", 2004: the mean over the windows that lie within an image,
    and over the channels.
    """
    predicted, truth = np.asarray(predicted, "float64"), np.asarray(truth, "float64")
    if min(truth.shape[-3:-1]) < _WINDOW:
        raise InputError(
            f"images of shape {truth.shape} are smaller than the window of SSIM, "
            f"{_WINDOW} × {_WINDOW}"
        )
    mean_p, mean_t = _smooth(predicted), _smooth(truth)
    variance_p = _smooth(np.square(predicted)) - np.square(mean_p)
    variance_t = _smooth(np.square(truth)) - np.square(mean_t)
    covariance = _smooth(predicted * truth) - mean_p * mean_t
    index = (2 * mean_p * mean_t + _C1) * (2 * covariance + _C2)
    index /= np.square(mean_p) + np.square(mean_t) + _C1
    index /= variance_p + variance_t + _C2
    return index.mean(axis=(-3, -2, -1))


def _smooth(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted means of all windows that lie within the images."""
    from scipy.ndimage import gaussian_filter

    border = _WINDOW // 2
    images = gaussian_filter(images, _SIGMA, radius=border, axes=(-3, -2))
    return images[..., border:-border, border:-border, :]
