"""Identities of some sequences with the dynamics of others, as a matrix."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.arguments import check_choice, check_whole
from keras_ddr.errors import InputError
from keras_ddr.visualization.selection import (
    encode_shown,
    one_of_each,
    pick_frames,
    pick_sequences,
    seen_well,
)
from keras_ddr.visualization.style import FADED, Sheet, styled, tiles_size, whole_scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.sequence_model import SequenceModel
    from keras_ddr.typing import ImageShape

__all__ = ["plot_swap"]

_CAPTION = 420  # pixels of the longest text over the columns


@styled
def plot_swap(
    model: SequenceModel,
    store: FrameStore,
    identities: int | Iterable[int | str | Sequence] = 5,
    dynamics: int | Iterable[tuple[int | str | Sequence, int]] = 8,
    *,
    align: str = "prior",
    split: str | None = None,
    seed: int = 0,
) -> Figure:
    """Decode f of each row with z of each column.

    Args:
        model: A trained `SequenceModel`.
        store: `FrameStore` with frames of the model's image shape.
        identities: How many sequences give f, or a list of their names or indices.
        dynamics: How many frames give z, each of another sequence where there are
            enough, or a list of pairs (name or index of a sequence, position).
        align: "prior" carries z over as z̃, which sequences have in common; "none"
            takes z as it is.
        split: Split that numbers of sequences are taken from; `None` for all.
        seed: Seed of the random choices.

    Returns:
        `matplotlib.figure.Figure`: originals of the identities at the left, of the
        dynamics on top, and the decoded combinations.

    Raises:
        InputError: A sequence or frame is not in the store or does not fit the model.
    """
    check_choice(("none", "prior"), align=align)
    number = model.frames_per_set
    rows = pick_sequences(store, identities, split, number, seed)
    columns = _pick_dynamics(store, dynamics, rows, split, number, seed)
    left = encode_shown(model, store, [(sequence, [0]) for sequence in rows])
    top = encode_shown(model, store, [(s, [place]) for s, place in columns])
    static = np.stack([shown.static for shown in left])
    if align == "prior":
        scores = np.concatenate([shown.standardized for shown in top])
        z = model.unstandardize(static[:, None], scores)
    else:
        z = np.concatenate([shown.dynamic for shown in top])
    images = model.decode(static[:, None], z)
    rows_of, columns_of = (np.concatenate([s.frames for s in p]) for p in (left, top))
    return _draw(rows_of, columns_of, images, model.image_shape, align)


def _draw(
    left: NDArray[Any],
    top: NDArray[Any],
    images: NDArray[np.float32],
    shape: ImageShape,
    align: str,
) -> Figure:
    rows, columns = images.shape[:2]
    scale = whole_scale(max(shape[:2]), 0.42)
    gap, space, margin, label = 4, 24, 30, 60
    height, width = tiles_size(rows, columns, shape, scale, gap)
    tile_height, tile_width = shape[0] * scale, shape[1] * scale
    x = margin + label + tile_width + space
    y = margin + label + tile_height + space
    sheet = Sheet(x + max(width, _CAPTION) + margin, y + height + margin)
    sheet.tiles(x, margin + label, top[None], scale, gap)
    sheet.tiles(margin + label, y, left[:, None], scale, gap)
    sheet.tiles(x, y, images, scale, gap)
    how = "z of" if align == "none" else "z (as standard score) of"
    place, align = (x + width / 2, "center") if width > _CAPTION else (x, "left")
    sheet.text(place, margin + label / 2, how, ha=align, color=FADED)
    middle = {"ha": "center", "color": FADED, "rotation": 90}
    sheet.text(margin + label / 2, y + height / 2, "f of", **middle)
    return sheet.figure


def _pick_dynamics(
    store: FrameStore,
    dynamics: int | Iterable[tuple[int | str | Sequence, int]],
    rows: list[Sequence],
    split: str | None,
    min_length: int,
    seed: int,
) -> list[tuple[Sequence, int]]:
    if not isinstance(dynamics, int | np.integer):
        pairs = []
        for item, position in dynamics:
            [sequence] = pick_sequences(store, [item], None, min_length)
            [position] = pick_frames(sequence, [position])
            pairs.append((sequence, int(position)))
        if not pairs:
            raise InputError("dynamics is empty; give at least one frame")
        return pairs
    check_whole(dynamics=dynamics)
    generator = np.random.default_rng([seed, 1])
    taken = {sequence.index for sequence in rows}
    found = store.select(split=split, min_length=min_length)
    # Others first: a swap with a sequence's own z is a reconstruction.
    others = [s for s in found if s.index not in taken] or found or rows
    others = one_of_each(others, dynamics)
    order = generator.permutation(len(others))
    number = min(dynamics, len(order))
    kept = seen_well(store, [others[i] for i in order[:number]], others, seed)
    sequences = [kept[i % number] for i in range(dynamics)]
    return [(s, int(generator.integers(s.length))) for s in sequences]
