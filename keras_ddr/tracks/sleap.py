"""Tracks that SLEAP writes: the analysis file, an HDF5 file of dense arrays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.tracks.track import Points, Track, check_number, rows_of_points

if TYPE_CHECKING:
    from numpy.typing import NDArray

USUAL_SCORE = 0.0  # points that are too unlikely are left out by SLEAP itself
_MOST_NAMES = 1 << 20
_MOST_IN_ALL = 1 << 30  # points that are read one track after the other
# Axes of the array `tracks`, in the orders in which SLEAP has written it.
_ORDERS = (
    ("track", "xy", "node", "frame"),
    ("frame", "track", "node", "xy"),
    ("frame", "node", "xy", "track"),
)


def is_analysis(file: Any) -> bool:
    """Whether an open HDF5 file is an analysis file."""
    return "node_names" in file and hasattr(file.get("tracks"), "shape")


def read_h5(path: str, file: Any, how: Points) -> list[Track]:
    """The tracks of an analysis file; frames count from 0."""
    nodes = _texts(path, file["node_names"])
    names = _texts(path, file.get("track_names", ()))
    parts = how.chosen(path, nodes)
    places = file["tracks"]
    order = _order(path, places, len(nodes), len(names))
    size = dict(zip(order, places.shape, strict=True))
    check_number(path, 3 * size["frame"] * len(parts))
    check_number(path, size["track"] * size["frame"] * len(parts), _MOST_IN_ALL)
    scores = file.get("point_scores")
    wanted = tuple(axis for axis in order if axis != "xy")
    if scores is not None and scores.shape != tuple(size[axis] for axis in wanted):
        scores = None
    chosen = sorted(nodes.index(part) for part in parts)
    back = [chosen.index(nodes.index(part)) for part in parts]
    tracks = []
    for number in range(size["track"]):
        at = {"track": number, "node": chosen}
        points = np.ones((size["frame"], len(parts), 3))
        points[..., :2] = _part(places, order, at, ("frame", "node", "xy"))[:, back]
        if scores is not None and how.min_likelihood is not None:
            points[..., 2] = _part(scores, wanted, at, ("frame", "node"))[:, back]
        rows = rows_of_points(how.seen(points, USUAL_SCORE), parts, how)
        name = names[number] if names else ""
        keys = np.arange(size["frame"])
        tracks.append(Track.of_rows(path, name, keys, rows, False))
    return tracks


def _part(
    data: Any, order: tuple[str, ...], at: dict[str, Any], result: tuple[str, ...]
) -> NDArray[np.floating]:
    """A part of a data set, its axes in another order."""
    values = data[tuple(at.get(axis, slice(None)) for axis in order)]
    left = [axis for axis in order if axis != "track"]
    return np.transpose(values, [left.index(axis) for axis in result])


def _order(path: str, places: Any, nodes: int, tracks: int) -> tuple[str, ...]:
    """The order of the axes: as the file says, else the one that fits."""
    said = places.attrs.get("dims")
    orders = [tuple(json.loads(said)), *_ORDERS] if said is not None else _ORDERS
    for order in orders:
        if len(places.shape) == 4 and set(order) == set(_ORDERS[0]):
            size = dict(zip(order, places.shape, strict=True))
            # Without names of tracks there is one animal.
            if (size["xy"], size["node"], size["track"]) == (2, nodes, tracks or 1):
                return order
    raise InputError(
        f"{path}: its array tracks has the shape {places.shape}, which does not fit "
        f"{tracks or 1} tracks of {nodes} nodes; export the analysis file again"
    )


def _texts(path: str, names: Any) -> list[str]:
    check_number(path, len(names), _MOST_NAMES)
    return [n.decode() if isinstance(n, bytes) else str(n) for n in names]
