"""Sequences drawn from the model: f and z of nobody in the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_ddr.visualization.style import FADED, Sheet, styled, tiles_size, whole_scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from keras_ddr.sequence_model import SequenceModel

__all__ = ["plot_samples"]


@styled
def plot_samples(
    model: SequenceModel,
    sequences: int = 6,
    frames: int = 8,
    seed: int = 0,
    density: str = "auto",
) -> Figure:
    """Show frames that the model draws: a row an identity, a column a draw of z.

    Args:
        model: A trained `SequenceModel`.
        sequences: Draws of f.
        frames: Draws of z for each.
        seed: Seed of all draws.
        density: As of `SequenceModel.sample`.
    """
    images = model.sample(sequences, frames, seed=seed, density=density)
    shape = model.image_shape
    scale = whole_scale(max(shape[:2]), 0.42)
    gap, margin, label = 6, 30, 200
    height, width = tiles_size(sequences, frames, shape, scale, gap)
    sheet = Sheet(label + width + margin, height + 2 * margin)
    sheet.tiles(label, margin, images, scale, gap)
    for row in range(sequences):
        y = margin + row * (shape[0] * scale + gap) + shape[0] * scale / 2
        sheet.text(label - 16, y, f"draw {row + 1} of f", ha="right", color=FADED)
    return sheet.figure
