"""Scatter of the dynamic codes, coloured by a label."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from keras_ddr.data.labels import Label
from keras_ddr.errors import InputError
from keras_ddr.visualization import selection
from keras_ddr.visualization.style import DPI, shorten_all, styled

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.model import DDR

__all__ = ["plot_latent"]

# Colours of Okabe and Ito, told apart by nearly everyone; shapes help further.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#000000")
_SHAPES = "os^Dv<>P"
_MISSING = "#c8c8c8"
_WIDTH, _HEIGHT = 3.35, 3.0  # inches: one column of a page
_LEGEND = 0.17 * _WIDTH * DPI  # pixels for a name in the legend
# What of a sequence may give the colours, where no label is named so.
_ORIGINS = {
    "sequence": "name",
    "person": "person",
    "source": "source",
    "split": "split",
}
_ORIGIN = Label("sequence", "categorical")


@styled
def plot_latent(
    model: DDR,
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
        model: A trained `DDR`.
        store: `FrameStore` with frames of the model's image shape.
        label: Name of a label of frames or sequences that gives the colours, or
            "sequence", "person", "source" or "split"; default the first label of
            frames, or the sequence where there is none.
        sequences: How many sequences, or a list of their names or indices.
        frames: Most frames of each, evenly spread.
        components: The two components of z, from 0. A model with a single one is drawn
            against the number of the frame.
        standardized: z̃, the standard score under p(z | f); else z as it is.
        split: Split that a number of sequences is taken from; `None` for all.
        seed: Of a random choice of sequences; evenly spread where `None`.

    Returns:
        `matplotlib.figure.Figure`. Categories have colours and shapes, up to 14 of
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
    shown = selection.pick_sequences(
        store, sequences, split, model.frames_per_set, seed
    )
    origins, classes = None, about.classes or ()
    if label not in store.labels:
        origins = [getattr(sequence, _ORIGINS[label]) or "?" for sequence in shown]
        classes = list(dict.fromkeys(origins))
    points, values = [], []
    for number, sequence in enumerate(shown):
        positions = selection.pick_frames(sequence, frames)
        _, codes, rows = selection.encode_shown(model, store, sequence, positions)
        z = (codes.standardized if standardized else codes.dynamic.mean)[rows]
        if model.dynamic_dim == 1:
            z = np.stack([positions, z[:, 0]], axis=1)
        else:
            z = z[:, list(components)]
        points.append(z)
        values.append(
            about.numbers(store.label_values(sequence.index, label, positions))
            if origins is None
            else np.full(len(positions), float(classes.index(origins[number])))
        )
    points, values = np.concatenate(points), np.concatenate(values)

    figure = Figure((_WIDTH, _HEIGHT), dpi=DPI)
    axes = figure.add_axes((0.15, 0.14, 0.58, 0.8))
    missing = np.isnan(values)
    style: dict[str, Any] = {"s": 5, "linewidths": 0, "rasterized": len(points) > 5000}
    axes.scatter(*points[missing].T, color=_MISSING, **style)
    present, known = points[~missing], values[~missing]
    if classes and len(classes) <= 2 * len(_COLOURS):
        handles, named = [], []
        numbers = np.unique(known).astype(int)
        names = shorten_all([classes[k] for k in numbers], _LEGEND, 5.5, "normal")
        for k, name in zip(numbers, names, strict=True):
            name = name.replace("$", r"\$")
            drawn = axes.scatter(
                *present[known == k].T,
                color=_COLOURS[k % len(_COLOURS)],
                marker=_SHAPES[(k + k // len(_COLOURS)) % len(_SHAPES)],
                label=name,
                **style,
            )
            handles.append(drawn)
            named.append(name)
        # Of labels that it collects itself matplotlib leaves out those with "_".
        axes.legend(
            handles,
            named,
            title=None if label == "sequence" else label,
            loc="upper left",
            bbox_to_anchor=(1.02, 1.02),
            frameon=False,
            fontsize=5.5,
            title_fontsize=6.0,
            handletextpad=0.1,
            borderaxespad=0.0,
            markerscale=1.6,
        )
    elif len(known):
        cyclic = about.kind == "periodic"
        name = "twilight" if cyclic else "viridis"
        drawn = axes.scatter(
            present[:, 0],
            present[:, 1],
            c=known,
            cmap=matplotlib.colormaps[name],
            **style,
        )
        bar = figure.colorbar(drawn, cax=figure.add_axes((0.77, 0.14, 0.035, 0.8)))
        unit = f" ({about.unit})" if about.unit else ""
        bar.set_label(f"{label}{unit}" + (" (class number)" if classes else ""))
        bar.outline.set_visible(False)
    tilde = r"\tilde{z}" if standardized else "z"
    if model.dynamic_dim == 1:
        axes.set_xlabel("frame")
        axes.set_ylabel(f"${tilde}_1$")
    else:
        axes.set_xlabel(f"${tilde}_{components[0] + 1}$")
        axes.set_ylabel(f"${tilde}_{components[1] + 1}$")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure


def _label_of(store: FrameStore, label: str | None) -> tuple[str, Label]:
    """The label that colours stand for, or what of the sequence does."""
    if label is None:
        named = [
            name
            for name, about in store.content_labels.items()
            if about.scope == "frame"
        ]
        if not named:
            label = "sequence"
        else:
            label = named[0]
    if label in _ORIGINS and label not in store.labels:
        return label, _ORIGIN
    if label not in store.labels:
        known = ", ".join([*store.labels, *_ORIGINS])
        raise InputError(f"label: {store.path} has no label {label!r}; it has {known}")
    return label, store.labels[label]
