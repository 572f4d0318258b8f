"""Components of z over a sequence, with the frames at their extremes (Figure 4b)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.ticker import MaxNLocator

from keras_ddr.errors import InputError
from keras_ddr.events import curve_places, find_events, smooth_curve
from keras_ddr.visualization.selection import pick_sequences
from keras_ddr.visualization.style import (
    DPI,
    FADED,
    INK,
    NotebookFigure,
    shorten,
    styled,
    to_rgb,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.sequence_model import SequenceModel

__all__ = ["plot_dynamics"]

_CURVE, _EVENT = "#0072b2", "#d55e00"  # told apart by the colour-blind too
_WIDTH, _HEIGHT = 6.8, 2.8  # inches: two columns of a page
_TILE = 0.5  # inches


@styled
def plot_dynamics(
    model: SequenceModel,
    store: FrameStore,
    sequence: int | str,
    component: int = 0,
    frames: int = 8,
    *,
    width: float = 2.0,
    prominence: float = 0.5,
) -> Figure:
    """Show one component of z over a sequence and the frames at its extremes.

    Args:
        model: A trained `SequenceModel`.
        store: `FrameStore` with frames of the model's image shape.
        sequence: Name or index of a sequence.
        component: Component of z, from 0.
        frames: Largest number of extremes whose frames are shown, the most prominent.
        width: Standard deviation of the smoothing, in frames.
        prominence: Least prominence of an extreme, in standard scores of z.

    Returns:
        `matplotlib.figure.Figure`: z̃ of each frame as a thin line, smoothed as a thick
        one; triangles mark peaks, whose frames stand above, and valleys, below. The
        axis is time in seconds where the store knows it, else the number of the frame.
        The line is broken where frames are missing.

    Raises:
        InputError: The sequence is not in the store, or the component does not exist.
    """
    (chosen,) = pick_sequences(store, [sequence], None, model.frames_per_set)
    images = store.frames(chosen.index)
    codes = model.encode(images)
    labels = store.frame_labels(chosen.index)
    if not 0 <= component < model.dynamic_dim:
        raise InputError(
            f"component={component}; z has {model.dynamic_dim} components, from 0"
        )
    options: dict[str, Any] = {"width": width, "prominence": prominence}
    events = find_events(chosen, codes, labels, components=[component], **options)
    order, places = curve_places(labels["source_frame"])
    place_of = dict(zip(order.tolist(), places.tolist(), strict=True))
    values = codes.standardized[order, component]
    every = np.arange(places[-1] + 1)
    smooth = smooth_curve(values, places, width)
    x, name = _axis(labels, order, places)
    missing = ~np.isin(every, places)

    figure = NotebookFigure((_WIDTH, _HEIGHT), dpi=DPI)
    axes = figure.add_axes((0.075, 0.14, 0.91, 0.78))
    raw = np.full(len(every), np.nan)
    raw[places] = values
    axes.plot(x, raw, color=_CURVE, linewidth=0.5, alpha=0.45)
    axes.plot(x, np.where(missing, np.nan, smooth), color=_CURVE, linewidth=1.2)
    low, high = float(np.nanmin(raw)), float(np.nanmax(raw))
    if high - low < 1e-3:  # all the same: a line in the middle
        low, high = low - 0.5, high + 0.5
    span = high - low
    strongest = sorted(events, key=lambda e: -e.prominence)[:frames]
    # Room above and below, where frames are shown.
    kinds = {event.kind for event in strongest}
    room = [0.9 if kind in kinds else 0.1 for kind in ("valley", "peak")]
    axes.set_ylim(low - room[0] * span, high + room[1] * span)
    axes.set_xlim(x[0], x[-1] if x[-1] > x[0] else x[0] + 1)
    axes.set(xlabel=name, ylabel=rf"$\tilde{{z}}_{component + 1}$")
    title = shorten(chosen.name, 0.9 * _WIDTH * DPI)
    axes.set_title(title, loc="left", weight="bold", parse_math=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_yticks(_ticks(low, high))
    for kind, marker, level in (
        ("peak", "^", high + 0.5 * span),
        ("valley", "v", low - 0.5 * span),
    ):
        found = [place_of[e.position] for e in events if e.kind == kind]
        style: dict[str, Any] = {"marker": marker, "markersize": 3.5, "color": _EVENT}
        axes.plot(x[found], smooth[found], linestyle="none", **style)
        shown = sorted(place_of[e.position] for e in strongest if e.kind == kind)
        for at, where in zip(shown, _spread(x[shown], axes), strict=True):
            image = images[order[np.searchsorted(places, at)]]
            _place(axes, image, (x[at], smooth[at]), (where, level))
    return figure


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers beside the curve: those of the whole axis may all miss it."""
    edge = 0.05 * (high - low)
    ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(t) for t in ticks if low - edge <= t <= high + edge]


def _axis(
    labels: Mapping[str, NDArray[Any]],
    order: NDArray[np.integer],
    places: NDArray[np.integer],
) -> tuple[NDArray[np.float64], str]:
    """Times or numbers at all places of a curve, and the name of the axis."""
    every = np.arange(places[-1] + 1)
    times = np.asarray(labels["time"])[order]
    if np.isfinite(times).all() and len(times) > 1:
        return np.interp(every, places, times), "time (s)"
    numbers = np.asarray(labels["source_frame"])[order]
    if (numbers < 0).any():  # numbers are missing
        return every.astype(float), "frame"
    return np.interp(every, places, numbers), "frame"


def _spread(places: NDArray[Any], axes: Axes) -> NDArray[Any]:
    """Move ascending places apart, as little as can be, until frames do not overlap."""
    from sklearn.isotonic import isotonic_regression

    first, last = axes.get_xlim()
    least = (last - first) * _TILE * 1.08 / (_WIDTH * 0.91)
    low, high = first + least / 2, last - least / 2
    if len(places) * least > last - first:
        return np.linspace(low, high, len(places))
    apart = least * np.arange(len(places))
    limits = {"y_min": low, "y_max": high - apart[-1:].sum()}
    return (
        isotonic_regression(places - apart, **limits) + apart if len(apart) else apart
    )


def _place(
    axes: Axes,
    image: NDArray[np.uint8],
    point: tuple[float, float],
    where: tuple[float, float],
) -> None:
    image = to_rgb(image)
    zoom = _TILE * DPI / max(image.shape[:2]) * 72 / DPI
    box = AnnotationBbox(
        OffsetImage(image, zoom=zoom, interpolation="nearest"),
        point,
        xybox=where,
        pad=0.0,
        bboxprops={"edgecolor": INK, "linewidth": 0.4},
        arrowprops={"arrowstyle": "-", "color": FADED, "linewidth": 0.5},
    )
    axes.add_artist(box)
