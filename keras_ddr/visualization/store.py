"""A frame store at a glance."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from keras_ddr.visualization.selection import pick_frames, pick_sequences
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

__all__ = ["plot_store"]


@styled
def plot_store(
    store: FrameStore,
    sequences: int | Iterable[int | str | Sequence] = 16,
    frames: int | Collection[int] = 10,
    *,
    split: str | None = None,
    seed: int | None = None,
) -> Figure:
    """Show frames of a store, one row a sequence: a contact sheet.

    Args:
        store: `FrameStore`.
        sequences: How many sequences, or a list of their names or indices.
        frames: How many frames of each, evenly spread from the first to the last.
        split: Split that a number of sequences is taken from; `None` for all.
        seed: Seed of a random choice of sequences; evenly spread where `None`.

    Returns:
        `matplotlib.figure.Figure` with the name, split and length of each sequence.

    Raises:
        InputError: A sequence is not in the store.
    """
    shown = pick_sequences(store, sequences, split, 1, seed)
    rows = [store.frames(s.index, pick_frames(s, frames)) for s in shown]
    shape = store.frame_shape
    scale = whole_scale(max(shape[:2]), 0.42)
    gap, margin, title = 6, 30, 44
    columns = max(len(images) for images in rows)
    height, width = tiles_size(1, columns, shape, scale, gap)
    width = max(width, 700)
    block = title + height + margin // 2
    sheet = Sheet(width + 2 * margin, margin + len(rows) * block)
    for row, (sequence, images) in enumerate(zip(shown, rows, strict=True)):
        top = margin + row * block
        middle = top + title / 2 - 4
        about = f"{sequence.split}, {sequence.length} frames"
        sheet.title(margin, middle, shorten(sequence.name, width - 300))
        sheet.text(margin + width, middle, about, ha="right", color=FADED)
        sheet.tiles(margin, top + title, images[None], scale, gap)
    return sheet.figure
