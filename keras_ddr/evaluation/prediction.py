"""How well the frames that follow are predicted: PSNR and SSIM of the best of draws."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.evaluation import intervals
from keras_ddr.evaluation.equal_error_rate import persons_of
from keras_ddr.evaluation.measure import Measure, aligned, number, option
from keras_ddr.evaluation.reconstruction import structural_similarity
from keras_ddr.evaluation.swap import mean_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.evaluation.measure import Material
    from keras_ddr.typing import Interval

__all__ = ["Prediction", "PredictionScore", "Similarity"]

_NAMES = {
    "best": "best draw",
    "mean": "mean of draws",
    "last_frame": "last frame",
    "mean_image": "mean image",
}
_LEAST_ERROR = 1e-10  # of a PSNR of 100 dB; equal frames have an infinite one
_COLUMNS = 10  # steps in the table


@dataclasses.dataclass(frozen=True)
class Similarity:
    """Likeness of predicted and true frames, means over sequences and steps.

    Attributes:
        best: Of the draw of each sequence that is most alike in the mean of its steps.
        mean: Mean of all draws.
        last_frame: Of the last given frame, repeated.
        mean_image: Of the mean frame of the training part.
        intervals: Dict name of these four → its interval, over persons.
        curves: Dict name → means of each step, from the first predicted frame on.
    """

    best: float
    mean: float
    last_frame: float
    mean_image: float
    intervals: dict[str, Interval | None]
    curves: dict[str, list[float]]


@dataclasses.dataclass(frozen=True)
class PredictionScore:
    """Predicted frames against the true ones.

    Attributes:
        psnr: `Similarity` in dB: −10 log10 of the mean squared error of a frame,
            intensities in [0, 1]; at most 100.
        ssim: `Similarity` as structural similarity, at most 1. It has a best draw of
            its own.
        left_out: Number of sequences that are too short.
    """

    psnr: Similarity
    ssim: Similarity
    past: int
    future: int
    draws: int
    sequences: int
    left_out: int


@dataclasses.dataclass(frozen=True)
class Prediction(Measure):
    """Predict the frames that follow the first ones of each sequence.

    Attributes:
        past: Frames that are given.
        future: Frames that are predicted.
        draws: Times that they are drawn.
    """

    past: int = option(5, "--past", "Frames that are given to predict others from.")
    future: int = option(10, "--future", "Frames that are predicted.")
    draws: int = option(20, "--best-of", "Predictions, of which the best counts.")

    name = "prediction"
    about = "PSNR and SSIM of predicted frames, the best of several draws"
    counted = "sequences predicted"
    needs = frozenset[str]()
    methods = ("predict_frames",)

    def run(self, material: Material) -> PredictionScore:
        """See `Measure`."""
        test, seed, length = material.test, material.seed, self.past + self.future
        chosen = [s for s in test.sequences if s.length >= length]
        if not chosen:
            raise InputError(
                f"no sequence has {self.past} + {self.future} frames; give fewer with "
                "--past and --future"
            )
        mean = mean_image(material.store, material.fit.sequences, seed=seed)
        generator = np.random.default_rng([seed, 7])
        found: dict[str, list[dict[str, NDArray[np.float64]]]] = {
            "psnr": [],
            "ssim": [],
        }
        for done, sequence in enumerate(chosen, start=1):
            frames = test.store.frames(sequence.index, np.arange(length))
            past, truth = frames[: self.past], frames[self.past :] / 255.0
            drawn = material.model.predict_frames(
                past, self.future, self.draws, seed=int(generator.integers(2**31))
            )
            others = {"last_frame": past[-1] / 255.0, "mean_image": mean}
            for name, measured in (("psnr", _psnr), ("ssim", structural_similarity)):
                of_draws = measured(drawn, np.broadcast_to(truth, drawn.shape))
                curves = {
                    "best": of_draws[of_draws.mean(axis=1).argmax()],
                    "mean": of_draws.mean(axis=0),
                }
                for other, image in others.items():
                    curves[other] = measured(np.broadcast_to(image, truth.shape), truth)
                found[name].append(curves)
            material.progress(done, len(chosen))
        persons = persons_of(chosen)
        return PredictionScore(
            psnr=_similarity(found["psnr"], persons, seed),
            ssim=_similarity(found["ssim"], persons, seed),
            past=self.past,
            future=self.future,
            draws=self.draws,
            sequences=len(chosen),
            left_out=len(test.sequences) - len(chosen),
        )

    def lines(self, score: PredictionScore) -> list[str]:
        """See `Measure`."""
        of = {"PSNR (dB)": (score.psnr, 2), "SSIM": (score.ssim, 3)}
        rows = []
        for title, (found, digits) in of.items():
            cells = [
                number(getattr(found, name), found.intervals[name], digits)
                for name in _NAMES
            ]
            rows.append([title, *cells])
        count = min(score.future, _COLUMNS)
        steps = np.linspace(0, score.future - 1, count).round().astype(int)
        curves = [
            [f"{title}, {_NAMES[name]}"]
            + [f"{found.curves[name][k]:.{digits}f}" for k in steps]
            for title, (found, digits) in of.items()
            for name in ("best", "last_frame")
        ]
        return [
            f"Prediction of {score.future} frames from the first {score.past}, "
            f"in {score.sequences} sequence{'' if score.sequences == 1 else 's'}; the "
            f"best of {score.draws} draws",
            *aligned(["likeness", *_NAMES.values()], rows),
            *aligned(["frame predicted", *(str(k + 1) for k in steps)], curves),
            *_left_out(score),
        ]


def _left_out(score: PredictionScore) -> list[str]:
    """A line for sequences that are too short."""
    if not score.left_out:
        return []
    return [
        f"{score.left_out} more of fewer than {score.past + score.future} frames are "
        "left out."
    ]


def _psnr(predicted: ArrayLike, truth: ArrayLike) -> NDArray[np.float64]:
    """Peak signal-to-noise ratio `(...)` of images `(..., H, W, C)`, in dB."""
    error = np.square(np.asarray(predicted, "float64") - truth).mean(axis=(-3, -2, -1))
    return -10 * np.log10(np.maximum(error, _LEAST_ERROR))


def _similarity(
    found: list[dict[str, NDArray[np.float64]]],
    persons: NDArray[np.integer],
    seed: int,
) -> Similarity:
    """Means over sequences, from the curves of each."""
    curves = {name: np.stack([each[name] for each in found]) for name in _NAMES}
    means: Mapping[str, float] = {n: float(c.mean()) for n, c in curves.items()}
    return Similarity(
        **means,
        intervals={
            name: intervals.mean_interval(curve.mean(axis=1), persons, seed)
            for name, curve in curves.items()
        },
        curves={name: curve.mean(axis=0).tolist() for name, curve in curves.items()},
    )
