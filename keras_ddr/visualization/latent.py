"""Scatter of the dynamic codes, coloured by a label."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.data.labels import Label
from keras_ddr.errors import InputError
from keras_ddr.visualization.selection import pick_shown
from keras_ddr.visualization.style import (
    DPI,
    NotebookFigure,
    shorten,
    shorten_all,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.sequence_model import SequenceModel

__all__ = ["plot_latent"]

# Colours of Okabe and Ito, told apart by nearly everyone, with a dark red in place of
# their yellow, which is pale on white; shapes help further.
_COLOURS = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#000000"),
    "#882255",
)
_SHAPES = "os^DvPX*"
_MISSING = "#c8c8c8"
_WIDTH, _HEIGHT = 3.35, 3.0  # inches: one column of a page
_LEGEND = 0.17 * _WIDTH * DPI  # pixels for a name in the legend
_BESIDE = 0.75 * _HEIGHT * DPI  # pixels for a name along an axis
# Attributes of a sequence that may give the colours, where no label has their name.
_ORIGINS = {"sequence": "name"} | {n: n for n in ("person", "source", "split")}
_ORIGIN = Label("sequence", "categorical")


@styled
def plot_latent(
    model: SequenceModel,
    store: FrameStore,
    label: str | None = None,
    sequences: int | Iterable[int | str | Sequence] = 8,
    frames: int | Collection[int] = 200,
    *,
    components: tuple[int, int] | list[int] = (0, 1),
    standardized: bool = True,
    split: str | None = None,
    seed: int | None = None,
) -> Figure:
    """Show the dynamic codes of the frames of some sequences in a plane.

    Args:
        model: A trained `SequenceModel`.
        store: `FrameStore` with frames of the model's image shape.
        label: Name of a label of frames or sequences that gives the colours, or
            "sequence", "person", "source" or "split"; default the first label of
            frames, or the sequence where there is none.
        sequences: As of `plot_reconstruction`, and so are `frames`, `split` and `seed`.
        frames: Likewise.
        components: The two components of z, from 0. A model with a single one is drawn
            against the number of the frame.
        standardized: Whether z̃ is shown, or else z as it is.
        split: Likewise.
        seed: Likewise.

    Returns:
        `matplotlib.figure.Figure`. Categories have colours and shapes, up to 16 of
        them a legend; more are numbered along a colour map, as are continuous labels;
        periodic ones get a cyclic map. Frames without the label are grey.

    Raises:
        InputError: The label, a sequence or a component does not exist.
    """
    if any(not 0 <= c < max(2, model.dynamic_dim) for c in components):
        raise InputError(
            f"components={tuple(components)}; z has {model.dynamic_dim} components, "
            "from 0"
        )
    label, about = _label_of(store, label)
    blocks = pick_shown(model, store, sequences, frames, split, seed)
    origins, classes = None, about.classes or ()
    if label not in store.labels:
        origins = [getattr(b.sequence, _ORIGINS[label]) or "?" for b in blocks]
        classes = list(dict.fromkeys(origins))
    points, values = [], []
    for number, shown in enumerate(blocks):
        z = shown.standardized if standardized else shown.dynamic
        if model.dynamic_dim == 1:
            points.append(np.stack([shown.positions, z[:, 0]], axis=1))
        else:
            points.append(z[:, list(components)])
        if origins is None:
            stored = store.label_values(shown.sequence.index, label, shown.positions)
            values.append(about.numbers(stored))
        else:
            values.append(np.full(len(z), float(classes.index(origins[number]))))
    points, values = np.concatenate(points), np.concatenate(values)

    figure = NotebookFigure((_WIDTH, _HEIGHT), dpi=DPI)
    axes = figure.add_axes((0.19, 0.14, 0.54, 0.8))
    missing = np.isnan(values)
    style: dict[str, Any] = {"s": 5, "linewidths": 0, "rasterized": len(points) > 5000}
    axes.scatter(*points[missing].T, color=_MISSING, **style)
    present, known = points[~missing], values[~missing]
    if classes and len(classes) <= 2 * len(_COLOURS):
        title = None if label == "sequence" else shorten(label, _LEGEND, 6.0, "normal")
        _draw_classes(axes, present, known.astype(int), classes, title, style)
    elif len(known):
        cmap = "twilight" if about.kind == "periodic" else "viridis"
        drawn = axes.scatter(present[:, 0], present[:, 1], c=known, cmap=cmap, **style)
        bar = figure.colorbar(drawn, cax=figure.add_axes((0.77, 0.14, 0.035, 0.8)))
        unit = f" ({about.unit})" if about.unit else ""
        about_bar = f"{label}{unit}" + (" (class number)" if classes else "")
        bar.set_label(shorten(about_bar, _BESIDE, weight="normal"), parse_math=False)
        bar.outline.set_visible(False)
    tilde = r"\tilde{z}" if standardized else "z"
    named = [f"${tilde}_{component + 1}$" for component in components]
    if model.dynamic_dim == 1:
        named = ["frame", f"${tilde}_1$"]
    axes.set(xlabel=named[0], ylabel=named[1])
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure


def _draw_classes(
    axes: Axes,
    points: NDArray[Any],
    numbers: NDArray[np.integer],
    classes: Collection[str],
    title: str | None,
    style: dict[str, Any],
) -> None:
    """Points in the colours and shapes of their classes, and a legend."""
    shown = np.unique(numbers)
    names = shorten_all([list(classes)[k] for k in shown], _LEGEND, 5.5, "normal")
    names = [name.replace("$", r"\$") for name in names]
    handles = [
        axes.scatter(
            *points[numbers == k].T,
            label=name,
            **{**_look(k), **style},
        )
        for k, name in zip(shown, names, strict=True)
    ]
    # Given by name: Matplotlib leaves labels that begin with "_" out of a legend.
    axes.legend(
        handles,
        names,
        title=title,
        loc="upper left",
        bbox_to_anchor=(1.02, 1.02),
        frameon=False,
        fontsize=5.5,
        title_fontsize=6.0,
        handletextpad=0.1,
        borderaxespad=0.0,
        markerscale=1.6,
    )


def _look(number: int) -> dict[str, Any]:
    """Colour and shape of a class; those of a colour are far apart in their order."""
    shape = (number + 3 * (number // len(_COLOURS))) % len(_SHAPES)
    return {"color": _COLOURS[number % len(_COLOURS)], "marker": _SHAPES[shape]}


def _label_of(store: FrameStore, label: str | None) -> tuple[str, Label]:
    """The label that gives the colours, and its meaning."""
    if label is None:
        of_frames = (n for n, v in store.content_labels.items() if v.scope == "frame")
        label = next(of_frames, "sequence")
    if label in store.labels:
        return label, store.labels[label]
    if label in _ORIGINS:
        return label, _ORIGIN
    known = ", ".join([*store.labels, *_ORIGINS])
    raise InputError(f"label: {store.path} has no label {label!r}; it has {known}")
