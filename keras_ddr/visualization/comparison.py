"""Models side by side: a panel a measure, a row a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from keras_ddr.errors import InputError
from keras_ddr.visualization.style import (
    FADED,
    INK,
    NotebookFigure,
    shorten_all,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from keras_ddr.evaluation.measure import Headline

__all__ = ["plot_comparison"]

_COLUMNS, _PANEL = 4, 1.45  # panels side by side, and inches of each
_NAME = 300  # pixels of the name of a model


@styled
def plot_comparison(headlines: Mapping[str, Mapping[str, Headline]]) -> Figure:
    """Show by how much models differ, with 95 % intervals.

    Args:
        headlines: `Comparison.headlines`: dict name of a measure → dict name of a model
            → `Headline`.

    Raises:
        InputError: There is nothing to show.
    """
    if not headlines:
        raise InputError("nothing could be measured of any of the models")
    models = list(dict.fromkeys(name for found in headlines.values() for name in found))
    columns = min(_COLUMNS, len(headlines))
    rows = -(-len(headlines) // columns)
    height = 0.52 + 0.15 * len(models)
    figure = NotebookFigure((1.1 + _PANEL * columns, 0.15 + height * rows))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    names = shorten_all(models, _NAME, weight="normal")
    for number, panel in enumerate(panels):
        if number >= len(headlines):
            panel.set_axis_off()
            continue
        text = list(headlines)[number]
        _draw(panel, headlines[text], models)
        more = next(iter(headlines[text].values())).better > 0
        side = ("better →", "right") if more else ("← better", "left")
        panel.set_title(text, fontsize=6.0)
        panel.set_xlabel(side[0], loc=side[1], fontsize=5.5, labelpad=1)
        panel.set_yticks(range(len(models)), names if number % columns == 0 else [])
    figure.tight_layout(pad=0.4)
    return figure


def _draw(panel: Axes, found: Mapping[str, Headline], models: list[str]) -> None:
    """Values and intervals of one measure; the best is dark."""
    best = max(part.better * part.value for part in found.values())
    for place, name in enumerate(models):
        if name not in found:
            panel.text(0.5, place, "–", transform=panel.get_yaxis_transform())
            continue
        part = found[name]
        colour = INK if part.better * part.value == best else FADED
        if part.interval is not None:
            panel.plot(part.interval, [place] * 2, color=colour, linewidth=0.7)
        panel.plot(part.value, place, "o", color=colour, markersize=2.5)
    panel.set_ylim(len(models) - 0.5, -0.5)
    panel.tick_params(width=0.5, length=2, labelsize=6.0)
    panel.locator_params(axis="x", nbins=3)
    panel.margins(x=0.15)
    panel.grid(axis="y", linewidth=0.2)
    panel.set_axisbelow(True)
