"""A film of several identities that walk over the plane of z̃ together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter1d

from keras_ddr.visualization.explorer_plane import fitted_density, pairs_of_components
from keras_ddr.visualization.manifold import check_components
from keras_ddr.visualization.render_layout import (
    USUAL_RATE,
    Film,
    Layout,
    save_film,
)
from keras_ddr.visualization.selection import pick_shown
from keras_ddr.visualization.style import FADED, INK, styled

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.sequence_model import SequenceModel
    from keras_ddr.typing import StrPath

__all__ = ["render_walk"]

_FRAMES = 200  # of a walk, 8 seconds
_CONTEXT = 200  # frames of each sequence that the map shows
_TURNS = 2, 3  # to and fro along the first and the second component
_REACH = 0.45  # of the mass, to either side of the middle
_SMOOTHED = 0.01  # of the walk, standard deviation
_COLUMNS = 4
_DOT = "#d1495b"


def render_walk(
    model: SequenceModel,
    store: FrameStore,
    path: StrPath,
    sequences: int | Iterable[int | str | Sequence] = 3,
    *,
    components: tuple[int, int] | None = None,
    split: str | None = None,
    seed: int | None = None,
    film: Film | None = None,
) -> Path:
    """Write a film of identities that take the same z̃ at each moment.

    z̃ walks to and fro over two of its components, along quantiles 5 % to 95 % of the
    first, and of the second given the first, by the model's fitted density or by one of
    the frames that a map beside the pictures shows; so it stays where frames lie. It
    ends where it began.

    Args:
        model: As of `render_reconstruction`, and so are the others.
        store: Likewise.
        path: Likewise.
        sequences: How many sequences give the identities, or a list of their names or
            indices.
        components: The two components of z̃, from 0; those that change pictures most
            where `None`.
        split: Likewise.
        seed: Likewise.
        film: Likewise; `start` changes nothing.

    Returns:
        As of `render_reconstruction`.

    Raises:
        InputError: Likewise, or a component does not exist.
    """
    film = film or Film()
    path = film.check(path)
    shown = pick_shown(model, store, sequences, _CONTEXT, split, seed)
    static = np.stack([each.static for each in shown])
    if components is None:
        axes = pairs_of_components(model, list(static))[0]
    else:
        axes = check_components(components, model.dynamic_dim)
    scores = np.concatenate([each.standardized for each in shown])
    fitted = None if model.densities is None else model.densities.dynamic
    density = fitted_density(scores, fitted)
    shares = walk_shares(film.frames or _FRAMES)[:, : len(axes)]
    way = density.at_quantiles(shares, axes)
    way = gaussian_filter1d(way, _SMOOTHED * len(way), axis=0, mode="wrap")
    # The map first.
    columns = min(_COLUMNS, len(shown) + 1)
    places = [divmod(k + 1, columns) for k in range(len(shown))]
    layout = Layout(model.image_shape, -(-(len(shown) + 1) // columns), columns, film)

    def images(numbers: NDArray[np.integer]) -> dict[tuple[int, int], NDArray[Any]]:
        z = model.unstandardize(static[:, None], way[numbers])
        return dict(zip(places, model.decode(static, z), strict=True))

    names = layout.cut([each.sequence.name for each in shown])
    for place, name in zip(places, names, strict=True):
        layout.write(*place, name)
    layout.write(0, 0, "frames, and the walk")
    dots = _draw_map(layout, scores, way, axes)
    radius = max(3, layout.height // 40)

    def finish(canvas: NDArray[np.uint8], number: int) -> None:
        x, y = dots[number]
        picture = Image.fromarray(canvas)
        box = x - radius, y - radius, x + radius, y + radius
        ImageDraw.Draw(picture).ellipse(box, fill=_DOT, outline="white", width=1)
        canvas[:] = np.asarray(picture)

    fps = film.fps or USUAL_RATE
    return save_film(path, layout, images, len(way), fps, film, finish)


def walk_shares(count: int) -> NDArray[np.float64]:
    """Shares of the mass below the places of a closed walk, `(count, 2)`."""
    time = 2 * np.pi * np.arange(count) / count
    return 0.5 + _REACH * np.sin(np.outer(time, _TURNS))


@styled
def _draw_map(
    layout: Layout,
    scores: NDArray[np.float32],
    way: NDArray[np.float32],
    axes: tuple[int, ...],
) -> NDArray[np.float64]:
    """Draw frames and the walk at the first place; pixels of the walk `(count, 2)`."""
    (left, top), sheet = layout.corner(0, 0), layout.sheet
    space = layout.width // 10
    corner = (
        (left + space) / sheet.width,
        1 - (top + layout.height - space) / sheet.height,
    )
    size = (layout.width - space) / sheet.width, (layout.height - space) / sheet.height
    area: Axes = sheet.figure.add_axes((*corner, *size))
    points, line = (_on_plane(z, axes) for z in (scores, way))
    area.plot(*points.T, ".", color=FADED, alpha=0.35, markersize=1, markeredgewidth=0)
    area.plot(*np.concatenate([line, line[:1]]).T, color=INK, linewidth=0.3)
    area.set(xticks=[], yticks=[])
    area.spines[:].set_linewidth(0.2)
    style = {"fontsize": space * 0.6 * 72 / 300, "color": FADED}
    label = r"$\tilde{{z}}_{{{}}}$"
    middle = left + space + (layout.width - space) / 2
    bottom = top + layout.height - space / 2
    sheet.text(middle, bottom, label.format(axes[0] + 1), ha="center", **style)
    if len(axes) == 2:
        y = top + (layout.height - space) / 2
        sheet.text(left + space / 2, y, label.format(axes[1] + 1), ha="center", **style)
    area.get_xlim(), area.get_ylim()  # Matplotlib finds them when it is asked
    pixels = area.transData.transform(line)
    return np.stack([pixels[:, 0], sheet.height - pixels[:, 1]], axis=1)


def _on_plane(
    scores: NDArray[np.float32], axes: tuple[int, ...]
) -> NDArray[np.float32]:
    """Two coordinates of each z̃; 0 is the second one where there is one component."""
    points = scores[:, list(axes)]
    return points if len(axes) == 2 else np.pad(points, [(0, 0), (0, 1)])
