"""Figures of states: frames of each, and how persons use them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.states.report import mean_over_persons
from keras_ddr.states.runs import person_of
from keras_ddr.visualization.style import (
    DPI,
    FADED,
    INK,
    NotebookFigure,
    Sheet,
    styled,
    tiles_size,
    to_rgb,
    whole_scale,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from keras_ddr.codes import Codes
    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.sequence_model import SequenceModel
    from keras_ddr.states.report import StateReport

__all__ = ["plot_state_use", "plot_states"]

_POINTS = "#0072b2"


@styled
def plot_states(
    model: SequenceModel,
    store: FrameStore,
    encoded: Iterable[tuple[Sequence, Codes]],
    report: StateReport,
    persons: int = 8,
) -> Figure:
    """Show frames of each state, and the same persons decoded at its centre.

    Args:
        model: A trained `SequenceModel`.
        store: `FrameStore` that the report is of.
        encoded: Pairs (`Sequence`, `Codes`) that it was made of.
        report: `StateReport`.
        persons: Most persons of a state.

    Returns:
        `matplotlib.figure.Figure`: a block a state, in which frames of different
        persons stand above their decoded centres; those nearest to the centre first.
    """
    encoded = list(encoded)
    shape = store.frame_shape
    scale = whole_scale(max(shape[:2]), 0.5)
    gap, margin, title, side = 6, 30, 44, 190
    height, tile = shape[0] * scale, shape[1] * scale
    found = [
        _nearest(encoded, report, k)[:persons] for k in range(len(report.states.names))
    ]
    _, width = tiles_size(1, max(1, *map(len, found)), shape, scale, gap)
    block = title + 2 * height + gap + 26
    sheet = Sheet(side + max(width, 700) + 2 * margin, margin + len(found) * block)
    use = np.nanmean(report.use, axis=0)
    for k, shown in enumerate(found):
        top = margin + k * block
        about = f"{use[k]:.0%} of the frames"
        right = margin + side + max(width, 700)
        middle = top + title / 2 - 4
        sheet.heading(margin, right, middle, report.states.names[k], about)
        for line, text in enumerate(("frames", "decoded\nat the centre")):
            y = top + title + line * (height + gap) + tile / 2
            sheet.text(margin, y, text, color=FADED, fontsize=6.0)
        if not shown:
            continue
        centre = report.states.gaussians.means[k].astype("float32")
        frames, decoded = [], []
        for i, position in shown:
            sequence, codes = encoded[i]
            frames.append(store.frames(sequence.index, [position])[0])
            f = codes.static.mean
            decoded.append(model.decode(f, model.unstandardize(f, centre[None]))[0])
        rows = np.stack([to_rgb(np.stack(frames)), to_rgb(np.stack(decoded))])
        sheet.tiles(margin + side, top + title, rows, scale, gap)
    return sheet.figure


def _nearest(
    encoded: list[tuple[Sequence, Codes]], report: StateReport, state: int
) -> list[tuple[int, int]]:
    """Places (sequence, frame) of the frame of each person nearest to the centre."""
    best: dict[str, tuple[float, int, int]] = {}
    for i, (sequence, codes) in enumerate(encoded):
        of_state = report.probabilities[i].argmax(axis=1) == state
        if not of_state.any():
            continue
        near = report.states.gaussians.component_log_prob(codes.standardized)[:, state]
        position = int(np.where(of_state, near, -np.inf).argmax())
        person, value = person_of(sequence), float(near[position])
        if person not in best or value > best[person][0]:
            best[person] = value, i, position
    return [(i, position) for _, i, position in sorted(best.values(), reverse=True)]


@styled
def plot_state_use(report: StateReport) -> Figure:
    """Show use, dwell times and transitions of states.

    Args:
        report: `StateReport`.

    Returns:
        `matplotlib.figure.Figure`: means over persons with 95 % intervals, the persons
        as dots, and the shares of the next states. Use alone where frames have no
        order.
    """
    names = report.states.names
    height = 0.9 + 0.16 * len(names)
    widths = [2.4, 2.4, height] if report.unit else [2.4]
    figure = NotebookFigure((sum(widths), height), dpi=DPI)
    ratios = {"width_ratios": widths}
    axes = figure.subplots(1, len(widths), squeeze=False, gridspec_kw=ratios)[0]
    _draw_values(axes[0], report.use, names, "use (share of frames)")
    if report.unit:
        text = f"mean dwell ({report.unit})"
        _draw_values(axes[1], report.mean_dwell, names, text)
        _draw_changes(axes[2], report)
    figure.tight_layout(pad=0.5)
    return figure


def _draw_values(
    axes: Axes, values: NDArray[np.float64], names: list[str], text: str
) -> None:
    """Persons as dots, means and intervals: a row a state."""
    spread = np.random.default_rng(0).uniform(-0.28, 0.28, values.shape[0])
    for k in range(len(names)):
        axes.scatter(
            values[:, k], k + spread, s=2, color=_POINTS, alpha=0.35, linewidths=0
        )
        mean, interval = mean_over_persons(values[:, k])
        if interval is not None:
            axes.plot(interval, [k, k], color=INK, linewidth=1.2)
        if mean is not None:
            axes.plot(mean, k, "o", color=INK, markersize=3)
    axes.set_yticks(range(len(names)), names, fontsize=6.0)
    axes.set(ylim=(len(names) - 0.5, -0.5), xlim=(0, None), xlabel=text)
    axes.tick_params(width=0.5, length=2, labelsize=6.0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _draw_changes(axes: Axes, report: StateReport) -> None:
    """Shares of the next state, a row a state that is left."""
    number = len(report.states.names)
    shares = np.full((number, number), np.nan)
    for k in range(number):
        for j in range(number):
            mean, _ = mean_over_persons(report.transitions[:, k, j])
            shares[k, j] = np.nan if mean is None or k == j else mean
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if number <= 10:
        for k, j in np.argwhere(np.isfinite(shares)):
            colour = "white" if shares[k, j] > 0.6 else INK
            text = f"{shares[k, j]:.2f}"
            axes.text(j, k, text, ha="center", va="center", color=colour, fontsize=5.0)
    numbers = [name.removeprefix("state ") for name in report.states.names]
    axes.set_xticks(range(number), numbers, fontsize=6.0)
    axes.set_yticks(range(number), numbers, fontsize=6.0)
    axes.set(xlabel="next state (share)", ylabel="state that ends")
    axes.tick_params(width=0.5, length=2)
