"""Frames of a few sequences over what the model makes of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.visualization import selection
from keras_ddr.visualization.style import (
    FADED,
    Sheet,
    shorten,
    styled,
    tiles_size,
    whole_scale,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.model import DDR

__all__ = ["plot_reconstruction"]


@styled
def plot_reconstruction(
    model: DDR,
    store: FrameStore,
    sequences: int | Iterable[int | str | Sequence] = 4,
    frames: int | Collection[int] = 8,
    *,
    split: str | None = None,
    seed: int | None = None,
) -> Figure:
    """Show originals over reconstructions from posterior means.

    Args:
        model: A trained `DDR`.
        store: `FrameStore` with frames of the model's image shape.
        sequences: How many sequences, or a list of their names or indices.
        frames: How many frames of each, evenly spread, or a list of positions.
        split: Split that a number of sequences is taken from; `None` for all.
        seed: Of a random choice of sequences; evenly spread where `None`.

    Returns:
        `matplotlib.figure.Figure`. The mean squared error of the frames shown, on
        intensities in [0, 1], stands over each pair of rows.

    Raises:
        InputError: A sequence or frame is not in the store or does not fit the model.
    """
    shown = selection.pick_sequences(
        store, sequences, split, model.frames_per_set, seed
    )
    blocks = []
    for sequence in shown:
        positions = selection.pick_frames(sequence, frames)
        originals, codes, rows = selection.encode_shown(
            model, store, sequence, positions
        )
        originals = originals[rows]
        images = model.decode(codes.static.mean, codes.dynamic.mean[rows])
        blocks.append((sequence, originals, images))
    shape = model.image_shape
    columns = max(len(originals) for _, originals, _ in blocks)
    scale = whole_scale(max(shape[:2]), 0.42)
    gap, margin, label, title = 6, 30, 260, 50
    height, width = tiles_size(2, columns, shape, scale, gap)
    sheet = Sheet(
        label + width + margin, margin + len(blocks) * (title + height + margin)
    )
    for row, (sequence, originals, images) in enumerate(blocks):
        top = margin + row * (title + height + margin)
        error = np.mean(np.square(originals / 255.0 - images))
        number = f"mse {error:.4f}"
        # Few frames leave no room for both texts over them.
        left = label if width > 700 else margin
        name = shorten(sequence.name, label + width - left - 220)
        middle = top + title / 2 - 4
        sheet.text(left, middle, name, weight="bold", parse_math=False)
        sheet.text(label + width, middle, number, ha="right", color=FADED)
        for line, (images_of_row, text) in enumerate(
            ((originals, "original"), (images, "reconstruction"))
        ):
            y = top + title + line * (shape[0] * scale + gap)
            sheet.tiles(label, y, images_of_row[None], scale, gap)
            sheet.text(
                label - 16, y + shape[0] * scale / 2, text, ha="right", color=FADED
            )
    return sheet.figure
