"""Contact sheet of events: what the extremes of z look like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

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

    from keras_ddr.data.store import FrameStore
    from keras_ddr.events import Event

__all__ = ["plot_events"]

MOST_SEQUENCES = 40  # a picture of more rows is slow to draw and hard to open


@styled
def plot_events(
    store: FrameStore,
    events: Iterable[Event],
    most: int = 10,
    sequences: int = MOST_SEQUENCES,
) -> Figure:
    """Show the frames of events, one row a sequence, in the order of time.

    Args:
        store: `FrameStore` that the events are from.
        events: List of `events.Event`.
        most: Largest number of events of a sequence, the most prominent ones.
        sequences: Largest number of sequences, the first ones that have events.

    Returns:
        `matplotlib.figure.Figure`. The first frame of each row, set apart, is the one
        in the middle of the sequence, to compare with. Under each event stand its kind
        (up for a peak), component and time.

    Raises:
        InputError: There is no event to show.
    """
    rows: dict[str, list[Event]] = {}
    for event in events:
        rows.setdefault(event.sequence, []).append(event)
    if not rows:
        raise InputError("events: there is none to show; lower the prominence")
    rows = dict(list(rows.items())[:sequences])
    shape = store.frame_shape
    scale = whole_scale(max(shape[:2]), 0.5)
    columns = 1 + min(most, max(map(len, rows.values())))
    gap, margin, title, caption, apart = 6, 30, 44, 76, 40
    height, tile = shape[0] * scale, shape[1] * scale
    _, width = tiles_size(1, columns, shape, scale, gap)
    width = max(width + apart, 700)
    block = title + height + caption
    sheet = Sheet(width + 2 * margin, margin + len(rows) * block)
    names = shorten_all(list(rows), width - 320)
    for row, (name, found) in enumerate(rows.items()):
        [sequence] = pick_sequences(store, [name])
        strongest = sorted(found, key=lambda e: -e.prominence)[:most]
        shown = sorted(strongest, key=found.index)
        positions = [sequence.length // 2, *(e.position for e in shown)]
        frames = store.frames(sequence.index, positions)
        top = margin + row * block
        about = f"{len(shown)} of {len(found)} events"
        middle, right = top + title / 2 - 4, margin + width
        sheet.heading(margin, right, middle, names[row], about)
        left = margin + tile + gap + apart
        sheet.tiles(margin, top + title, frames[None, :1], scale, gap)
        sheet.tiles(left, top + title, frames[None, 1:], scale, gap)
        for column in range(len(frames)):
            left = margin + column * (tile + gap) + (apart if column else 0)
            lines = ["middle"] if not column else _caption(shown[column - 1])
            for line, text in enumerate(lines):
                y = top + title + height + 18 + 26 * line
                x = left + tile / 2
                sheet.text(x, y, text, ha="center", color=FADED, fontsize=5.5)
    return sheet.figure


def _caption(event: Event) -> list[str]:
    arrow = "▲" if event.kind == "peak" else "▼"
    timed = not np.isnan(event.time)
    when = f"{event.time:.2f} s" if timed else f"frame {event.source_frame}"
    return [f"{arrow} $z_{{{event.component + 1}}}$", when]
