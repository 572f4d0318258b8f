"""True frames over those that a model predicts from the first of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from keras_ddr.errors import InputError
from keras_ddr.visualization.selection import pick_sequences
from keras_ddr.visualization.style import (
    FADED,
    Sheet,
    shorten_all,
    styled,
    tiles_size,
    whole_scale,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.sequence_model import SequenceModel

__all__ = ["plot_prediction"]

_GIVEN = "#0072b2"
_OTHERS = 2  # draws beside the best one
_GAP, _MARGIN, _LABEL, _TITLE = 6, 30, 230, 50


@styled
def plot_prediction(
    model: SequenceModel,
    store: FrameStore,
    sequences: int | Iterable[int | str | Sequence] = 3,
    past: int | None = None,
    future: int | None = None,
    draws: int = 20,
    *,
    split: str | None = None,
    seed: int | None = None,
) -> Figure:
    """Show true frames over predicted ones: columns are frames in time.

    Args:
        model: A trained `SequenceModel` with a method `predict_frames`.
        store: `FrameStore` with frames of the model's image shape.
        sequences: How many sequences, or a list of their names or indices.
        past: Frames that are given, the first of a sequence; the number of the model's
            training where `None`, or 5.
        future: Frames that are predicted; likewise, or 10.
        draws: Predictions of each sequence. The one with the least squared error is
            shown, and the first two others.
        split: Split that a number of sequences is taken from; `None` for all.
        seed: Seed of the draws and of a random choice of sequences; evenly spread where
            `None`.

    Returns:
        `matplotlib.figure.Figure`. A bar marks the frames that are given; the mean
        squared error of the best draw, on intensities in [0, 1], stands over it.

    Raises:
        InputError: The model predicts no frames, or a sequence is too short.
    """
    if not hasattr(model, "predict_frames"):
        raise InputError(
            f"{type(model).__name__} has no predict_frames; take a model that predicts "
            "frames (ddr fit --model svg)"
        )
    past = getattr(model, "past", 5) if past is None else past
    future = getattr(model, "future", 10) if future is None else future
    length = past + future
    chosen = pick_sequences(store, sequences, split, length, seed)
    rows = 1 + min(draws, 1 + _OTHERS)
    shape = model.image_shape
    scale = whole_scale(max(shape[:2]), 0.34)
    height, width = tiles_size(rows, length, shape, scale, _GAP)
    block = _TITLE + height + _MARGIN
    sheet = Sheet(_LABEL + width + _MARGIN, _MARGIN + len(chosen) * block)
    names = shorten_all([sequence.name for sequence in chosen], width - 420)
    for k, sequence in enumerate(chosen):
        frames = store.frames(sequence.index, np.arange(length))
        drawn = model.predict_frames(frames[:past], future, draws, seed=seed or 0)
        _block(sheet, _MARGIN + k * block, scale, names[k], frames, drawn)
    return sheet.figure


def _block(
    sheet: Sheet,
    top: float,
    scale: int,
    name: str,
    frames: NDArray[np.uint8],
    drawn: NDArray[np.float32],
) -> None:
    """The rows of one sequence: `frames` `(T, H, W, C)`, `drawn` those at the end."""
    draws, future = drawn.shape[:2]
    past = len(frames) - future
    errors = np.square(drawn - frames[past:] / 255.0).mean(axis=(1, 2, 3, 4))
    best = int(errors.argmin())
    others = [k for k in range(draws) if k != best][:_OTHERS]
    high, wide = (size * scale + _GAP for size in frames.shape[1:3])
    right = _LABEL + len(frames) * wide - _GAP
    about = f"mse {errors[best]:.4f}, best of {draws}" if draws > 1 else ""
    sheet.heading(_LABEL, right, top + _TITLE / 2 - 4, name, about)
    top += _TITLE
    sheet.tiles(_LABEL, top, frames[None], scale, _GAP)
    predicted = _LABEL + past * wide
    sheet.tiles(predicted, top + high, drawn[[best, *others]], scale, _GAP)
    texts = ["true", "best draw" if draws > 1 else "predicted"]
    for row, text in enumerate([*texts, *("another draw" for _ in others)]):
        # Names of predictions stand beside them, where no frame is.
        left, y = (predicted if row else _LABEL) - 16, top + row * high + high / 2
        sheet.text(left, y, text, ha="right", color=FADED)
    y, ends = 1 - (top - 7) / sheet.height, (_LABEL, predicted - _GAP)
    sheet.figure.add_artist(
        Line2D([x / sheet.width for x in ends], [y, y], color=_GIVEN, linewidth=1.5)
    )
    sheet.text(_LABEL - 16, top - 7, "given", ha="right", color=_GIVEN)
