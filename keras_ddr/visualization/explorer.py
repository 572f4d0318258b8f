"""One page to play with: looks and motion of sequences, put together anew."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from keras_ddr.arguments import check_whole
from keras_ddr.errors import InputError
from keras_ddr.evaluation.motion import LITTLE, median_explained, motion_explained
from keras_ddr.events import find_events
from keras_ddr.files import check_output_path, replacing
from keras_ddr.visualization.explorer_plane import (
    fitted_density,
    make_plane,
    pairs_of_components,
)
from keras_ddr.visualization.selection import encode_shown, pick_frames, pick_sequences
from keras_ddr.visualization.style import shorten_all, to_rgb

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.data import FrameStore, Label, Sequence
    from keras_ddr.sequence_model import SequenceModel
    from keras_ddr.typing import Progress, StrPath
    from keras_ddr.visualization.explorer_plane import Plane
    from keras_ddr.visualization.selection import Shown

__all__ = ["explorer_page", "save_explorer"]

SUFFIXES = (".html",)
_COLUMNS = 16  # frames side by side in an atlas, if they are not wide
_SIDE = 16_383  # pixels of a WebP picture
_LIMIT = 10_000_000  # bytes of a page
# Decoded pictures of 64x64 pixels, or as many pixels in larger ones.
_ON_PLANES = 3000
_OF_MOTIONS = 5000
_USUAL = 64 * 64
_FEWEST = 8  # frames of a motion that is worth playing
_QUALITIES = (88, 78, 65, 50, 35)
_THUMB = 270  # pixels that a short name takes, at the resolution of figures
_FOLDER = Path(__file__).with_name("explorer_page")
_SCRIPTS = ("state", "pictures", "map", "timeline", "saving", "controls")


def explorer_page(
    model: SequenceModel,
    store: FrameStore,
    sequences: int | Iterable[int | str | Sequence] = 8,
    frames: int | Collection[int] = 150,
    *,
    drawn: int = 2,
    split: str | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
) -> str:
    """Make a page on which looks and motion of sequences are put together anew.

    The page holds everything: it opens from disk and asks nobody for anything. A map
    shows where frames lie on a plane of z̃; at the place of the pointer every identity
    shows the picture decoded at the nearest point of a grid. Any identity takes over
    the motion of any sequence; curves of z̃ have their peaks and valleys marked.

    Args:
        model: As of `plot_reconstruction`, and so are the others.
        store: Likewise.
        sequences: Likewise.
        frames: Likewise; 4080 of 64x64 fit.
        drawn: Identities beside those of the sequences whose f is drawn from the
            model's fitted density; none where the model has no densities.
        split: Likewise.
        seed: Likewise; and of the drawn identities.
        progress: Called with (identities decoded, all).

    Returns:
        HTML as text, at most 10 MB for 8 sequences of 64x64 frames.

    Raises:
        InputError: A sequence is not in the store or does not fit the model, or frames
            are too many for one picture.
    """
    check_whole(0, drawn=drawn)
    side = max(model.image_shape[:2])
    columns = max(1, min(_COLUMNS, _SIDE // side))
    chosen = pick_sequences(store, sequences, split, model.frames_per_set, seed)
    chosen.sort(key=lambda sequence: _natural(sequence.name))
    wanted = [(sequence, pick_frames(sequence, frames)) for sequence in chosen]
    _check_room(wanted, columns * (_SIDE // side))
    encoded = encode_shown(model, store, wanted)
    static = _identities(model, encoded, drawn, seed)
    planes = _planes(model, encoded, static, columns * (_SIDE // side))
    kept = _kept(model, encoded, len(static))
    pictures = _decode(model, encoded, static, planes, kept, progress)
    data: dict[str, Any] = {
        "size": list(model.image_shape[:2]),
        "components": model.dynamic_dim,
        "columns": columns,
        "fitted": model.densities is not None,
        "ordered": store.ordered,
        "labels": _label_kinds(store, encoded),
        "weak": _weak(pictures),
        "planes": [plane.to_json() for plane in planes],
        "clips": _clips(store, encoded, kept),
        "drawn": len(static) - len(encoded),
    }
    for quality in _QUALITIES:
        data["pictures"] = _compressed(pictures, columns, quality)
        # A name must not end the script that holds it.
        text = json.dumps(data, allow_nan=False).replace("<", "\\u003c")
        if len(text) < _LIMIT * 0.985:
            break
    return _joined(text)


def save_explorer(page: str, path: StrPath, *, overwrite: bool = True) -> Path:
    """Write a page of `explorer_page` to a .html file, whole or not at all."""
    path = check_output_path(path, SUFFIXES, overwrite)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _joined(data: str) -> str:
    """The page of its parts."""
    parts = {
        "STYLE": (_FOLDER / "page.css").read_text(encoding="utf-8"),
        "SCRIPT": "".join(
            (_FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS
        ),
        "DATA": data,
    }
    page = (_FOLDER / "page.html").read_text(encoding="utf-8")
    return re.sub(r"/\*([A-Z]+)\*/", lambda found: parts[found[1]], page)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts clip 2 before clip 10."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts]


def _check_room(wanted: list[tuple[Sequence, NDArray[np.integer]]], most: int) -> None:
    """Say where frames of a sequence are too many for one picture."""
    for sequence, positions in wanted:
        if len(positions) > most:
            raise InputError(
                f"frames: {len(positions)} of {sequence.name!r} do not fit into one "
                f"picture; give at most {most}"
            )


def _identities(
    model: SequenceModel, encoded: list[Shown], drawn: int, seed: int | None
) -> list[NDArray[np.float32]]:
    """Codes f of the sequences, and of the drawn identities."""
    static = [shown.static for shown in encoded]
    if model.densities is not None and drawn:
        generator = np.random.default_rng(seed or 0)
        static += list(model.densities.static.sample(drawn, generator))
    return static


def _planes(
    model: SequenceModel,
    encoded: list[Shown],
    static: list[NDArray[np.float32]],
    room: int,
) -> list[Plane]:
    """Planes of the components that change pictures most, the first of them first."""
    scores = np.concatenate([shown.standardized for shown in encoded])
    fitted = model.densities.dynamic if model.densities is not None else None
    density = fitted_density(scores, fitted)
    pairs = pairs_of_components(model, static)
    most = _tiles(model, _ON_PLANES) // (len(static) * len(pairs))
    return [make_plane(density, pair, scores, min(most, room)) for pair in pairs]


def _tiles(model: SequenceModel, number: int) -> int:
    """So many pictures of the usual size, in pictures of the model's size."""
    height, width = model.image_shape[:2]
    return int(number * min(1.0, _USUAL / (height * width)))


def _kept(model: SequenceModel, encoded: list[Shown], identities: int) -> list[int]:
    """Frames of each motion that other identities show, 0 where these are too few."""
    most = _tiles(model, _OF_MOTIONS) // max(1, (identities - 1) * len(encoded))
    numbers = [min(len(shown.positions), most) for shown in encoded]
    return [
        number if number >= min(len(shown.positions), _FEWEST) else 0
        for number, shown in zip(numbers, encoded, strict=True)
    ]


def _decode(
    model: SequenceModel,
    encoded: list[Shown],
    static: list[NDArray[np.float32]],
    planes: list[Plane],
    kept: list[int],
    progress: Progress | None,
) -> dict[str, list[Any]]:
    """All pictures of the page as bytes, by what they show.

    Returns:
        Dict with `filmed`, for each sequence; `planes`, for each identity and plane;
        `motions`, for each identity and sequence: of its own all frames, of another
        one as many as are kept, evenly spread, or `None`.
    """

    def decoded(f: NDArray[np.float32], scores: ArrayLike) -> NDArray[np.uint8]:
        return to_rgb(model.decode(f, model.unstandardize(f, scores)))

    def motion(identity: int, number: int) -> NDArray[np.uint8] | None:
        shown = encoded[number]
        if identity == number:
            return to_rgb(model.decode(shown.static, shown.dynamic))
        last = len(shown.positions) - 1
        frames = np.linspace(0, last, kept[number]).round().astype(int)
        return (
            decoded(static[identity], shown.standardized[frames])
            if kept[number]
            else None
        )

    pictures: dict[str, list[Any]] = {"planes": [], "motions": []}
    for k, f in enumerate(static):
        pictures["planes"].append([decoded(f, plane.scores) for plane in planes])
        pictures["motions"].append([motion(k, i) for i in range(len(encoded))])
        if progress is not None:
            progress(k + 1, len(static))
    return {**pictures, "filmed": [to_rgb(shown.frames) for shown in encoded]}


def _weak(pictures: dict[str, list[Any]]) -> float | None:
    """Share of what moves that z explains, where it is little."""
    share = median_explained(
        motion_explained(pictures["motions"][k][k] / 255, filmed / 255)
        for k, filmed in enumerate(pictures["filmed"])
    )
    return round(share, 3) if share < LITTLE else None


def _compressed(pictures: Any, columns: int, quality: int) -> Any:
    """The same lists, and an atlas in the place of each array."""
    if isinstance(pictures, dict):
        return {k: _compressed(v, columns, quality) for k, v in pictures.items()}
    if isinstance(pictures, list):
        return [_compressed(part, columns, quality) for part in pictures]
    return None if pictures is None else _atlas(pictures, columns, quality)


def _clips(
    store: FrameStore, encoded: list[Shown], kept: list[int]
) -> list[dict[str, Any]]:
    """Facts of the sequences, their frames and events, as plain values."""
    short = shorten_all([shown.sequence.name for shown in encoded], _THUMB)
    return [
        {"short": name, "kept": number, **_about(store, shown)}
        for name, number, shown in zip(short, kept, encoded, strict=True)
    ]


def _about(store: FrameStore, shown: Shown) -> dict[str, Any]:
    """Facts of one sequence."""
    sequence, positions = shown.sequence, shown.positions
    known = {
        name: values[positions]
        for name, values in store.frame_labels(sequence.index).items()
    }
    labels = {
        name: _plain(known[name], label)
        for name, label in store.content_labels.items()
        if label.scope == "frame"
    }
    for name, value in sequence.labels.items():
        if isinstance(value, str) or (value is not None and math.isfinite(value)):
            value = value if isinstance(value, str) else _short(value)
            labels[name] = [value] * len(positions)
    times = known["time"].tolist()
    return {
        "name": sequence.name,
        "source": sequence.source,
        "who": sequence.person or sequence.source or sequence.name,
        "frames": len(positions),
        "z": np.round(shown.standardized.astype(float), 4).tolist(),
        "number": known["source_frame"].tolist(),
        "time": [round(t, 3) if math.isfinite(t) else None for t in times],
        "labels": labels,
        "events": [
            {"frame": event.position, "component": event.component, "kind": event.kind}
            for event in find_events(sequence, shown.codes, known)
        ],
    }


def _label_kinds(store: FrameStore, encoded: list[Shown]) -> dict[str, dict[str, Any]]:
    """Scope, kind and unit of the labels that have a value, by name."""
    return {
        name: {"scope": label.scope, "kind": label.kind, "unit": label.unit}
        for name, label in store.content_labels.items()
        if label.scope == "frame"
        or any(shown.sequence.labels.get(name) is not None for shown in encoded)
    }


def _plain(values: NDArray[Any], label: Label) -> list[Any]:
    """Values of frames as JSON has them: `None` where there is none."""
    if label.kind == "categorical":
        return label.names(values)
    return [
        _short(value) if math.isfinite(value) else None
        for value in label.numbers(values).tolist()
    ]


def _short(value: float) -> float:
    """A number to read, of three digits, or all those before the point."""
    return round(value, max(0, 2 - math.floor(math.log10(abs(value) or 1))))


def _atlas(images: NDArray[np.uint8], columns: int, quality: int) -> str:
    """Pictures side by side in one WebP picture, as an address that holds it."""
    count, height, width, _ = images.shape
    images = np.pad(images, [(0, -count % columns), (0, 0), (0, 0), (0, 0)])
    sheet = images.reshape(-1, columns, height, width, 3).swapaxes(1, 2)
    sheet = sheet.reshape(-1, columns * width, 3)
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "WEBP", quality=quality, method=2)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
