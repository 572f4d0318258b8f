"""One page to play with: a plane of z, decoded identities, and the sequences."""

from __future__ import annotations

import base64
import io
import itertools
import json
import math
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from keras_ddr.errors import InputError
from keras_ddr.files import check_output_path, replacing
from keras_ddr.visualization.manifold import grid_scores
from keras_ddr.visualization.selection import encode_shown, pick_frames, pick_sequences
from keras_ddr.visualization.style import to_rgb

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.data import FrameStore, Label, Sequence
    from keras_ddr.sequence_model import SequenceModel
    from keras_ddr.typing import StrPath
    from keras_ddr.visualization.selection import Shown

__all__ = ["explorer_page", "save_explorer"]

SUFFIXES = (".html",)
_COLUMNS = 16  # frames side by side in an atlas, if they are not wide
_SIDE = 16_383  # pixels of a WebP picture
_LIMIT = 10_000_000  # bytes of a page
_TILES = 3000  # decoded pictures of all planes together
_GRIDS = (21, 19, 17, 15, 13, 11, 9, 7, 5)
_QUALITIES = (88, 78, 65, 50, 35)
_TEMPLATE = Path(__file__).with_name("explorer.html")


def explorer_page(
    model: SequenceModel,
    store: FrameStore,
    sequences: int | Iterable[int | str | Sequence] = 8,
    frames: int | Collection[int] = 150,
    *,
    split: str | None = None,
    seed: int | None = None,
) -> str:
    """Make a page that shows what z does to each identity.

    The page holds everything: it opens from disk and asks nobody for anything. A plane
    of z̃ shows the frames of a sequence as points; at the place of the pointer every
    identity shows the picture decoded at the nearest point of a grid.

    Args:
        model: As of `plot_reconstruction`, and so are the others.
        store: Likewise.
        sequences: Likewise.
        frames: Likewise; 4080 of 64x64 fit.
        split: Likewise.
        seed: Likewise.

    Returns:
        HTML as text, at most 10 MB for 8 sequences of 64x64 frames.

    Raises:
        InputError: A sequence is not in the store or does not fit the model, or frames
            are too many for one picture.
    """
    side = max(model.image_shape[:2])
    columns = max(1, min(_COLUMNS, _SIDE // side))
    most = columns * (_SIDE // side)
    chosen = pick_sequences(store, sequences, split, model.frames_per_set, seed)
    wanted = [(sequence, pick_frames(sequence, frames)) for sequence in chosen]
    for sequence, positions in wanted:
        if len(positions) > most:
            raise InputError(
                f"frames: {len(positions)} of {sequence.name!r} do not fit into one "
                f"picture; give at most {most}"
            )
    encoded = encode_shown(model, store, wanted)
    scores = np.concatenate([shown.standardized for shown in encoded])
    # Nearly all frames lie on the plane, and the prior's mass does.
    limit = float(np.clip(np.quantile(np.abs(scores), 0.99), 2.0, 4.0))
    power = min(2, model.dynamic_dim)
    pairs = list(itertools.combinations(range(min(model.dynamic_dim, 6)), power))
    tiles = min(_TILES / (len(chosen) * len(pairs)), (_SIDE // side) ** power)
    grid = next((g for g in _GRIDS if g**power <= tiles), _GRIDS[-1])
    about = [_about(store, shown) for shown in encoded]
    rebuilt = [model.decode(shown.static, shown.dynamic) for shown in encoded]
    ticks = np.linspace(-limit, limit, grid, dtype="float32")
    # Rows go up with the second component.
    scores = np.stack([grid_scores(ticks, p, model.dynamic_dim)[::-1] for p in pairs])
    scores = scores.reshape(len(pairs), -1, model.dynamic_dim)
    planes = [
        [model.decode(f, model.unstandardize(f, plane)) for plane in scores]
        for f in (shown.static for shown in encoded)
    ]
    for quality in _QUALITIES:
        data = {
            "size": list(model.image_shape[:2]),
            "components": model.dynamic_dim,
            "pairs": [(*pair, None)[:2] for pair in pairs],
            "grid": grid,
            "limit": limit,
            "columns": columns,
            "sequences": [
                {
                    **about[k],
                    "originals": _atlas(shown.frames, columns, quality),
                    "rebuilt": _atlas(rebuilt[k], columns, quality),
                    "planes": [_atlas(plane, grid, quality) for plane in planes[k]],
                }
                for k, shown in enumerate(encoded)
            ],
        }
        # A name must not end the script that holds it.
        text = json.dumps(data, allow_nan=False).replace("<", "\\u003c")
        if len(text) < _LIMIT * 0.99:
            break
    return _TEMPLATE.read_text(encoding="utf-8").replace("/*DATA*/", text)


def save_explorer(page: str, path: StrPath) -> Path:
    """Write a page of `explorer_page` to a .html file, whole or not at all."""
    path = check_output_path(path, SUFFIXES)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _about(store: FrameStore, shown: Shown) -> dict[str, Any]:
    """Facts of a sequence and its frames, as plain values."""
    sequence, positions = shown.sequence, shown.positions
    known = store.frame_labels(sequence.index)
    labels = {
        name: _plain(known[name][positions], label)
        for name, label in store.content_labels.items()
        if label.scope == "frame"
    }
    for name, value in sequence.labels.items():
        if isinstance(value, str) or (value is not None and math.isfinite(value)):
            labels[name] = [value] * len(positions)
    times = known["time"][positions].tolist()
    return {
        "name": sequence.name,
        "frames": len(positions),
        "z": np.round(shown.standardized.astype(float), 4).tolist(),
        "number": known["source_frame"][positions].tolist(),
        "time": [round(t, 3) if math.isfinite(t) else None for t in times],
        "labels": labels,
    }


def _plain(values: NDArray[Any], label: Label) -> list[Any]:
    """Values of frames as JSON has them: `None` where there is none."""
    if label.kind == "categorical":
        return label.names(values)
    return [
        float(f"{value:.4g}") if math.isfinite(value) else None
        for value in label.numbers(values).tolist()
    ]


def _atlas(images: ArrayLike, columns: int, quality: int) -> str:
    """Pictures side by side in one WebP picture, as an address that holds it."""
    images = to_rgb(images)
    count, height, width, _ = images.shape
    images = np.pad(images, [(0, -count % columns), (0, 0), (0, 0), (0, 0)])
    sheet = images.reshape(-1, columns, height, width, 3).swapaxes(1, 2)
    sheet = sheet.reshape(-1, columns * width, 3)
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "WEBP", quality=quality, method=3)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
