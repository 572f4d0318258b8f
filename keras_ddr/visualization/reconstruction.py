"""Frames of a few sequences over what the model makes of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.visualization.selection import pick_shown
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

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.sequence_model import SequenceModel

__all__ = ["plot_reconstruction"]


@styled
def plot_reconstruction(
    model: SequenceModel,
    store: FrameStore,
    sequences: int | Iterable[int | str | Sequence] = 4,
    frames: int | Collection[int] = 8,
    *,
    split: str | None = None,
    seed: int | None = None,
) -> Figure:
    """Show originals over reconstructions from posterior means.

    Args:
        model: A trained `SequenceModel`.
        store: `FrameStore` with frames of the model's image shape.
        sequences: How many sequences, or a list of their names or indices.
        frames: How many frames of each, evenly spread, or a list of positions.
        split: Split that a number of sequences is taken from; `None` for all.
        seed: Seed of a random choice of sequences; evenly spread where `None`.

    Returns:
        `matplotlib.figure.Figure`. The mean squared error of the frames shown, on
        intensities in [0, 1], stands over each pair of rows.

    Raises:
        InputError: A sequence or frame is not in the store or does not fit the model.
    """
    blocks = pick_shown(model, store, sequences, frames, split, seed)
    shape = model.image_shape
    columns = max(len(shown.frames) for shown in blocks)
    scale = whole_scale(max(shape[:2]), 0.42)
    gap, margin, label, title = 6, 30, 260, 50
    height, width = tiles_size(2, columns, shape, scale, gap)
    block = title + height + margin
    sheet = Sheet(label + width + margin, margin + len(blocks) * block)
    # Few frames leave no room for both texts over them.
    left = label if width > 700 else margin
    names = [shown.sequence.name for shown in blocks]
    names = shorten_all(names, label + width - left - 220)
    for number, shown in enumerate(blocks):
        top = margin + number * block
        images = model.decode(shown.static, shown.dynamic)
        error = np.mean(np.square(shown.frames / 255.0 - images))
        middle, about = top + title / 2 - 4, f"mse {error:.4f}"
        sheet.heading(left, label + width, middle, names[number], about)
        rows: dict[str, Any] = {"original": shown.frames, "reconstruction": images}
        for line, (text, row) in enumerate(rows.items()):
            y = top + title + line * (shape[0] * scale + gap)
            sheet.tiles(label, y, row[None], scale, gap)
            middle = y + shape[0] * scale / 2
            sheet.text(label - 16, middle, text, ha="right", color=FADED)
    return sheet.figure
