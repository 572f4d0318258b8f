"""Drawing of meshes: a z-buffer in NumPy, made for many small polygons.

Triangles of a head are as small as pixels at the sizes of frames, so that all pixels of
all triangles are handled at once, without a loop over triangles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_FAR = np.iinfo(np.int64).max
# Barycentric coordinates may be this far below 0: rounding leaves no gap then.
_SLACK = np.float32(1e-4)
_PIVOT = np.array([0, 0, -2], np.float32)
_HEIGHT, _CENTRE = 24.5, 2.4  # of the picture and its middle, in the head's units
_SKY, _SKY_SIZE = 40, 160  # directions from which light may come; pixels


@dataclass(frozen=True)
class Scene:
    """Light, background and framing.

    `light` is the direction to it, `ambient` the share that comes from everywhere,
    `background` sRGB from the top to the bottom, or of a grid (rows, columns, 3) that
    is interpolated; `shift` in heights of the picture.
    """

    light: tuple[float, ...] = (-0.4, 0.55, 0.75)
    ambient: float = 0.4
    tint: tuple[float, ...] = (1.0, 1.0, 1.0)
    background: ArrayLike = ((150, 160, 172), (206, 210, 214))
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)


class Shape(NamedTuple):
    """A person with an expression, to be drawn in any pose; all float32.

    `points`, `normals` and linear `colours` (V, 3); `gloss` (2, V) of skin and hair.
    """

    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    colours: NDArray[np.float32]
    gloss: NDArray[np.float32]


class Surface:
    """The nearest triangle of every covered pixel, as `rasterise` finds it.

    `pixels` (P,) are the covered ones, row by row; `corners` (3, P) the vertices of
    their triangles, `weights` (3, P) barycentric; `depth` (P,) grows with distance.
    """

    def __init__(self, pixels: Any, corners: Any, weights: Any, depth: Any) -> None:
        self.pixels, self.corners = pixels, corners
        self.weights, self.depth = weights, depth

    def interpolate(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values (V, C) of vertices at the covered pixels, (P, C)."""
        a, b, c = self.corners
        u, v, w = self.weights[:, :, None]
        return values.take(a, 0) * u + values.take(b, 0) * v + values.take(c, 0) * w


def rasterise(
    points: NDArray[np.float32], quads: NDArray[np.integer], size: int
) -> Surface:
    """Find what is seen at the centre of every pixel.

    `points` float32 (3, V) are x to the right and y down in pixels, and depth; `quads`
    (4, Q) are counter-clockwise as seen from the front, others are left out.
    """
    # Most polygons turn away or lie between the centres of pixels.
    x, y = ([axis.take(corner) for corner in quads] for axis in points[:2])
    area = (x[3] - x[1]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[3] - y[1])
    _, width = _span(x, size)
    _, height = _span(y, size)
    kept = np.flatnonzero((area > 0) & (width > 0) & (height > 0))
    a, b, c, d = quads.take(kept, 1)
    corners = np.concatenate([np.stack([a, b, c]), np.stack([a, c, d])], 1)
    x, y = (axis.take(corners) for axis in points[:2])
    ax, bx, ay, by = x[1] - x[0], x[2] - x[0], y[1] - y[0], y[2] - y[0]
    area = bx * ay - ax * by
    left, width = _span(x, size)
    top, height = _span(y, size)
    kept = np.flatnonzero((area > 0) & (width > 0) & (height > 0))
    left, width, top, height, area, x0, y0 = (
        v.take(kept) for v in (left, width, top, height, area, x[0], y[0])
    )
    counts = width * height
    # One row a fragment: a triangle and a pixel of its bounding box.
    of = np.repeat(np.arange(len(kept)), counts)
    place = np.arange(len(of), dtype=np.int32)
    place -= (np.cumsum(counts, dtype=np.int32) - counts).take(of)
    wide = width.take(of)
    down = place // wide
    row, column = top.take(of) + down, left.take(of) + (place - down * wide)
    # Barycentric coordinates are linear in x and y.
    ax, bx, ay, by = (side.take(kept) / area for side in (ax, bx, ay, by))
    dx = column - (x0 - np.float32(0.5)).take(of)
    dy = row - (y0 - np.float32(0.5)).take(of)
    v = dy * bx.take(of) - dx * by.take(of)
    w = dx * ay.take(of) - dy * ax.take(of)
    u = 1 - v - w
    inside = np.flatnonzero((u >= -_SLACK) & (v >= -_SLACK) & (w >= -_SLACK))
    weights = np.stack([u.take(inside), v.take(inside), w.take(inside)])
    corners = corners.take(kept.take(of.take(inside)), 1)
    depth = (weights * points[2].take(corners)).sum(0)
    # The nearest fragment of a pixel has the least key: depth first, then its number.
    low, high = points[2].min(), points[2].max()
    keys = ((depth - low) * (2**30 / max(high - low, 1e-9))).astype(np.int64)
    keys = (keys << 32) + np.arange(len(keys))
    nearest = np.full(size * size, _FAR)
    np.minimum.at(nearest, row.take(inside) * size + column.take(inside), keys)
    pixels = np.flatnonzero(nearest != _FAR)
    seen = nearest[pixels] & 0xFFFFFFFF
    return Surface(pixels, corners.take(seen, 1), weights.take(seen, 1), depth[seen])


def _span(places: Any, size: int) -> tuple[Any, Any]:
    """First pixel and number of pixels whose centres lie between some corners."""
    low, high = places[0], places[0]
    for place in places[1:]:
        low, high = np.minimum(low, place), np.maximum(high, place)
    first = np.ceil(np.maximum(low, 0) - np.float32(0.5)).astype(np.int32)
    end = np.ceil(np.minimum(high, size) - np.float32(0.5)).astype(np.int32)
    return first, end - first


def openness(
    points: NDArray[np.float32], normals: NDArray[np.float32], quads: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Share of the sky that vertices (V, 3) with these normals see, 0 to 1."""
    low, high = points.min(0), points.max(0)
    middle, half = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    scale = _SKY_SIZE / 2 / half
    open_, total = np.zeros(len(points), np.float32), np.full(len(points), 1e-6)
    for turn in _directions(_SKY):
        x, y, z = turned(points - middle, turn)
        facing = np.maximum(turned(normals, turn)[2], 0)
        screen = np.stack([(half + x) * scale, (half - y) * scale, -z])
        surface = rasterise(screen.astype(np.float32), quads, _SKY_SIZE)
        depth = np.full(_SKY_SIZE * _SKY_SIZE, np.float32(np.inf))
        depth[surface.pixels] = surface.depth
        place = np.clip(screen[:2].astype(int), 0, _SKY_SIZE - 1)
        seen = -z <= depth[place[1] * _SKY_SIZE + place[0]] + half / 60
        open_ += facing * seen
        total += facing
    return (open_ / total).astype(np.float32)


def _directions(number: int) -> list[NDArray[np.float32]]:
    """Rotations that look from all sides, evenly."""
    height = 1 - (np.arange(number) + 0.5) * 2 / number
    around = np.arange(number) * np.pi * (3 - 5**0.5)
    return [rotation(a, np.arcsin(h), 0) for a, h in zip(around, height, strict=True)]


def rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float32]:
    """Matrix (3, 3) of a head that looks to the right, up, and leans left; radians."""
    (a, b, c), (d, e, f) = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    about_y = np.array([[a, 0, d], [0, 1, 0], [-d, 0, a]])
    about_x = np.array([[1, 0, 0], [0, b, e], [0, -e, b]])
    about_z = np.array([[c, -f, 0], [f, c, 0], [0, 0, 1]])
    return (about_z @ about_x @ about_y).astype(np.float32)


def turned(points: NDArray[np.float32], turn: NDArray[np.float32]) -> NDArray[Any]:
    """Points (V, 3) after a rotation, as (3, V)."""
    # Not a matrix product: libraries for these differ in the last bit.
    x, y, z = np.ascontiguousarray(points.T)
    return np.stack([x * row[0] + y * row[1] + z * row[2] for row in turn])


def reduce_by(picture: NDArray[Any], factor: int) -> NDArray[Any]:
    """Means over squares of `factor` pixels; (H, W, C) becomes smaller by that."""
    height, width, channels = picture.shape
    rows = picture.reshape(height // factor, factor, -1).sum(1)
    rows = rows.reshape(-1, width // factor, factor, channels).sum(2)
    return rows * np.float32(1 / factor**2)


def picture(
    shape: Shape,
    quads: NDArray[np.intp],
    pose: tuple[float, float, float],
    scene: Scene,
    size: int,
    finer: int = 2,
) -> NDArray[np.uint8]:
    """Draw a head, uint8 (size, size, 3), turned by yaw, pitch and roll in radians."""
    turn = rotation(*pose)
    x, y, z = turned(shape.points - _PIVOT, turn)
    large = size * finer
    scale = np.float32(large / _HEIGHT * scene.zoom)
    screen = np.stack(
        [
            x * scale + np.float32(large * (0.5 + scene.shift[0])),
            np.float32(large * (0.5 + scene.shift[1]) + _CENTRE * scale) - y * scale,
            -z,
        ]
    )
    surface = rasterise(screen, quads, large)
    bright, shine = _light(turned(shape.normals, turn), turn, shape.gloss, scene)
    colours = shape.colours * bright[:, None] + shine[:, None]
    colours *= np.array(scene.tint, np.float32)
    ground = linear(scene.background)
    image = enlarged(ground.reshape(len(ground), -1, 3), large).reshape(-1, 3)
    image[surface.pixels] = surface.interpolate(colours)
    image = reduce_by(image.reshape(large, large, 3), finer)
    coded = np.clip(image, 0, 1) ** np.float32(1 / 2.2) * np.float32(255)
    return np.rint(coded).astype(np.uint8)


def enlarged(grid: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """A picture (size, size, C) between the values of a grid (rows, columns, C)."""
    for axis in (0, 1):
        last = grid.shape[axis] - 1
        place = np.linspace(0, last, size, dtype=np.float32)
        low = np.minimum(place.astype(int), max(last - 1, 0))
        share = (place - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        start, end = (grid.take(n, axis) for n in (low, np.minimum(low + 1, last)))
        grid = start + (end - start) * share.astype(np.float32)
    return grid


def _light(
    normals: NDArray[np.float32],
    turn: NDArray[np.float32],
    gloss: NDArray[np.float32],
    scene: Scene,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Light that reaches vertices with normals (3, V), and their shine."""
    light = np.array(scene.light, np.float32)
    light /= np.sqrt((light * light).sum())
    half = light + np.array([0, 0, 1], np.float32)
    half /= np.sqrt((half * half).sum())
    x, y, z = normals
    # Light wraps around a head a little, and the sky is brighter than the ground.
    ambient = np.float32(scene.ambient)
    bright = np.maximum(
        x * light[0] + y * light[1] + z * light[2] + np.float32(0.25), 0
    )
    bright *= (1 - ambient) * np.float32(0.95)
    bright += ambient * (np.float32(0.8) + np.float32(0.2) * y)
    facing = np.maximum(x * half[0] + y * half[1] + z * half[2], 0)
    shine = gloss[0] * np.where(gloss[0] > 0.1, _power(facing, 7), _power(facing, 4))
    # Hair shines in a ring across strands, which run down from the crown.
    hair = np.flatnonzero(gloss[1])
    normal, down = normals[:, hair], -turn[:, 1]
    along = (normal * down[:, None]).sum(0)
    strand = down[:, None] - along * normal
    length = np.maximum((strand * strand).sum(0), np.float32(1e-6))
    across = 1 - (strand * half[:, None]).sum(0) ** 2 / length
    shine[hair] += gloss[1, hair] * _power(across, 4) * facing[hair]
    return bright, shine


def _power(values: NDArray[np.float32], doublings: int) -> NDArray[np.float32]:
    for _ in range(doublings):
        values = values * values
    return values


def linear(colour: Any) -> NDArray[np.float32]:
    """Linear light, 0 to 1, of an sRGB colour, 0 to 255."""
    return ((np.asarray(colour, np.float32) / 255) ** 2.2).astype(np.float32)


def stroke(
    points: NDArray[Any], line: NDArray[Any], half: NDArray[Any]
) -> NDArray[Any]:
    """Cover by a stroke along a line, half as wide as said for each of its points."""
    cover = np.zeros(len(points))
    for part in range(len(line) - 1):
        distance, along = _to_segment(points, line[part], line[part + 1])
        width = half[part] + (half[part + 1] - half[part]) * along
        cover = np.maximum(cover, np.clip((width - distance) / 0.2 + 0.5, 0, 1))
    return cover


def inside(points: NDArray[Any], outline: NDArray[Any], soft: float) -> NDArray[Any]:
    """1 inside a polygon seen from the front, 0 outside, with a soft border."""
    x, y = points[:, 0], points[:, 1]
    inside = np.zeros(len(points), bool)
    distance = np.full(len(points), np.inf)
    for start, end in zip(outline, np.roll(outline, -1, 0), strict=True):
        crosses = (start[1] > y) != (end[1] > y)
        slope = (end[0] - start[0]) / (end[1] - start[1] or 1)
        inside ^= crosses & (x < start[0] + (y - start[1]) * slope)
        distance = np.minimum(distance, _to_segment(points, start, end)[0])
    return np.clip(0.5 + np.where(inside, distance, -distance) / soft / 2, 0, 1)


def _to_segment(points: NDArray[Any], start: Any, end: Any) -> tuple[Any, Any]:
    """Distance to a segment seen from the front, and the place along it, 0 to 1."""
    x, y = points[:, 0] - start[0], points[:, 1] - start[1]
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip((x * dx + y * dy) / (dx * dx + dy * dy), 0, 1)
    return np.hypot(x - along * dx, y - along * dy), along


def blend(paint: NDArray[Any], colour: NDArray[Any], cover: NDArray[Any]) -> None:
    """Cover colours (V, 3) by one, as much as `cover` (V,) says."""
    paint += cover[:, None] * (colour - paint)


def sphere(rings: NDArray[Any], sectors: int) -> NDArray[np.float32]:
    """Vertices of a ball of radius 1, rings at angles from ahead in degrees."""
    polar = np.deg2rad(np.repeat(rings, sectors))
    around = np.tile(np.arange(sectors) * (2 * np.pi / sectors), len(rings))
    flat = np.sin(polar)
    ball = [flat * np.cos(around), flat * np.sin(around), np.cos(polar)]
    return np.stack(ball, 1).astype(np.float32)


def grid_quads(rows: int, columns: int, round_: bool = False) -> NDArray[np.intp]:
    """Polygons (Q, 4) of vertices in rows, joined at their ends if round."""
    row, column = np.mgrid[: rows - 1, : columns if round_ else columns - 1]
    a, after = row * columns, (column + 1) % columns
    corners = [a + column, a + columns + column, a + columns + after, a + after]
    return np.stack(corners, -1).reshape(-1, 4)
