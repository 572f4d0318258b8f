"""A frame store at a glance."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from keras_ddr.visualization.selection import pick_frames, pick_sequences
from keras_ddr.visualization.style import (
    Sheet,
    shorten_all,
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

    Sequences and frames are chosen as by `plot_reconstruction`; their name, split and
    length stand over them.
    """
    shown = pick_sequences(store, sequences, split, 1, seed, apart=False)
    rows = [store.frames(s.index, pick_frames(s, frames)) for s in shown]
    shape = store.frame_shape
    scale = whole_scale(max(shape[:2]), 0.42)
    gap, margin, title = 6, 30, 44
    columns = max(len(images) for images in rows)
    height, width = tiles_size(1, columns, shape, scale, gap)
    width = max(width, 700)
    block = title + height + margin // 2
    sheet = Sheet(width + 2 * margin, margin + len(rows) * block)
    names = shorten_all([sequence.name for sequence in shown], width - 300)
    for row, (sequence, images) in enumerate(zip(shown, rows, strict=True)):
        top = margin + row * block
        about = f"{sequence.split}, {sequence.length} frames"
        middle, right = top + title / 2 - 4, margin + width
        sheet.heading(margin, right, middle, names[row], about)
        sheet.tiles(margin, top + title, images[None], scale, gap)
    return sheet.figure
