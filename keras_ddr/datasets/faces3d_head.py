"""Heads of people: geometry of the ICT face model with hair, eyes and colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from keras_ddr.datasets.faces3d_drawing import (
    Shape,
    blend,
    grid_quads,
    inside,
    linear,
    openness,
    rotation,
    sphere,
    stroke,
    turned,
)
from keras_ddr.datasets.faces3d_model import EXPRESSIONS, shape_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from keras_ddr.datasets.faces3d_model import FaceModel


def _named(text: str) -> dict[str, tuple[float, ...]]:
    """Class -> sRGB colour, from names and hexadecimal numbers."""
    words = text.split()
    return {
        name: tuple(bytes.fromhex(colour))
        for name, colour in zip(words[::2], words[1::2], strict=True)
    }


# Attribute -> class -> colour, or numbers that describe a form.
ATTRIBUTES: dict[str, dict[str, tuple[float, ...]]] = {
    "skin": _named(
        "porcelain f6d4c2 fair e8b89c olive d0a076 tan b27a54 brown 84563c deep 56382c"
    ),
    "hair": _named(
        "black 1e1b1d brown 563826 chestnut 74301e blond dab26c ginger c0662e "
        "grey b2b2b6"
    ),
    # Height of the hairline, depth of its corners, thickness at the top and at the
    # sides, height where long hair ends.
    "cut": {
        "cropped": (10.6, 0.3, 0.3, 0.2, 99),
        "short": (10.2, 0.0, 1.0, 0.5, 99),
        "quiff": (10.8, 0.4, 2.0, 0.4, 99),
        "receding": (11.6, 1.6, 0.4, 0.4, 99),
        "bob": (7.6, 0.3, 1.0, 1.1, -6),
        "long": (10.8, -0.4, 0.8, 0.9, -16),
    },
    # Half the thickness, rise of the arch, point of the brow where it begins.
    "brows": {
        "thin": (0.22, 0.0, 0),
        "arched": (0.28, 0.45, 0),
        "straight": (0.34, -0.25, 0),
        "thick": (0.46, 0.0, 0),
        "bushy": (0.58, 0.1, 0),
        "short": (0.42, 0.0, 1),
    },
    "iris": _named(
        "blue 4880be green 548c54 hazel 966e34 brown 5c341c dark 261812 grey 828e96"
    ),
    "lips": _named(
        "rose d86a78 red b81424 coral f07848 nude b89070 plum 601848 mauve a06cb0"
    ),
}
"""Attributes of a person: classes and what is drawn of them."""

# Vertices of landmarks, and numbers of vertices by part, from the model's README.
_LIPS = (5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841)
_BROWS = ((268, 493, 1914, 2044, 1401), (2509, 2734, 4114, 4240, 3615))
_LIDS = ((1507, 1542, 1537, 1528), (3742, 3751, 3756, 3721))
# Eye (left, right) -> lid (upper, lower) -> two vertices.
_OPENING = np.array([[[3751, 3756], [3732, 3725]], [[1542, 1537], [1511, 1518]]])
_SOCKET, _GUMS, _TEETH = range(11248, 13294), range(14062, 17039), range(17039, 21451)
_EYE_SOCKETS = range(13294, 14062)
_SCLERAS = (range(21451, 22221), range(23021, 23791))
_FACE_END, _SKIN_END, _LOWER_TEETH = 9409, 11248, 19247
# Rings of an eyeball in degrees from the middle of the pupil.
_RINGS = np.array([0, 11, 14, 20, 26, 30, 45, 65, 90, 115])
_SECTORS = 20
_ROWS, _COLUMNS = 9, 25  # of long hair
_JAW = EXPRESSIONS.index("jawOpen")
_BLINK = [EXPRESSIONS.index(f"eyeBlink_{side}") for side in "LR"]


class Head:
    """The face model made ready for drawing: what is never seen is left out.

    Vertices are those of the body (skin, mouth), a second layer of the scalp that hair
    lifts, two eyeballs, and long hair from outside and from inside.
    """

    def __init__(self, model: FaceModel) -> None:
        rest, quads = model.neutral, model.quads
        quads = quads[_drawn(rest, quads)]
        used = np.unique(quads)
        group = _merged(rest[used], used)
        quads = group[np.searchsorted(used, quads)]
        distinct = np.sort(quads, 1)
        quads = quads[(np.diff(distinct, axis=1) > 0).sum(1) > 1]
        count = group.max() + 1
        mean = csr_array(
            (1 / np.bincount(group)[group], (group, np.arange(len(used)))),
            shape=(count, len(used)),
        ).astype(np.float32)
        shapes = np.concatenate(
            [rest[None], model.identities, model.expressions]
        ).transpose(1, 0, 2)
        means = (mean @ shapes[used].reshape(len(used), -1)).reshape(count, -1, 3)
        parts = [means, *(shapes[list(part)] for part in _SCLERAS)]
        shapes = np.ascontiguousarray(np.concatenate(parts).transpose(1, 0, 2))
        self.mean, self.identities, self.expressions = (
            shapes[0],
            shapes[1 : 1 + len(model.identities)],
            shapes[1 + len(model.identities) :],
        )
        self._place = np.full(len(rest), -1)
        self._place[used] = group
        self.kind = np.zeros(count, int)
        self.kind[group] = used  # a vertex of the model for each of ours
        body = self.mean[:count]
        x, y, z = body.T
        ears = (np.abs(x) > 7.6) & (y < 3.9) & (z > -1.6)
        near = _hairline(x, y, z, high=7.6, corners=0.0) > -1.5
        scalp = near & ~ears & (self.kind < _SKIN_END)
        hair_quads = quads[scalp[quads].all(1)]
        self._scalp = np.unique(hair_quads)
        self.scalp = scalp
        # Skin that hair may hide: not where polygons go on beyond the scalp.
        self._covered = ~np.isin(self._scalp, quads[~scalp[quads].all(1)])
        self._count = count
        self._cap = slice(count, count + len(self._scalp))
        self._eyes = slice(self._cap.stop, self._cap.stop + 2 * len(_RINGS) * _SECTORS)
        self._fall = slice(self._eyes.stop, self._eyes.stop + 2 * _ROWS * _COLUMNS)
        ball = grid_quads(len(_RINGS), _SECTORS, round_=True) + self._eyes.start
        fall = grid_quads(_ROWS, _COLUMNS) + self._fall.start
        parts = [
            quads,
            np.searchsorted(self._scalp, hair_quads) + count,
            ball,
            ball + len(_RINGS) * _SECTORS,
            fall[:, ::-1],
            fall + _ROWS * _COLUMNS,
        ]
        self.quads = np.ascontiguousarray(np.concatenate(parts).T, np.intp)
        self._around = csr_array(
            (
                np.ones(self.quads.size, np.float32),
                (self.quads.ravel(), np.tile(np.arange(self.quads.shape[1]), 4)),
            ),
            shape=(self._fall.stop, self.quads.shape[1]),
        )
        self.rest = np.concatenate([body, body[self._scalp]])
        self._sky = self._open_sky(model)

    def _open_sky(self, model: FaceModel) -> list[NDArray[np.float32]]:
        """Openness of the vertices with the mouth closed and open."""
        bald = self.quads[:, (self.quads < self._cap.start).all(0)]
        eyes = (self.quads >= self._eyes.start) & (self.quads < self._eyes.stop)
        solid = np.concatenate([bald, self.quads[:, eyes.all(0)]], 1)
        skies = []
        for jaw in (0.0, 1.0):
            points = self.points(self.mean, shape_weights({"jawOpen": jaw}))
            sky = openness(points, self.normals(points), solid)
            sky[self._cap] = 1
            sky[self._fall] = 1
            sky[self._fall.start + _ROWS * _COLUMNS :] = 0.35
            skies.append(sky)
        return skies

    def landmarks(self, numbers: tuple[int, ...]) -> NDArray[np.float32]:
        """Places (L, 3) in the mean face of vertices of the model."""
        return self.rest[self._place[list(numbers)]]

    def eyes(self, likeness: NDArray[np.float32]) -> NDArray[np.float32]:
        """How far the left and the right eye are open, (2,)."""
        lids = likeness[self._place[_OPENING], 1]
        return (lids[:, 0] - lids[:, 1]).mean(1)

    def eyeballs(self, shape: NDArray[np.float32]) -> list[tuple[NDArray[Any], float]]:
        """Centre (3,) and radius of both eyeballs; gaze turns them in `points`."""
        balls = []
        for part in np.split(shape[self._count :], [len(_SCLERAS[0])]):
            low, high = part.min(0), part.max(0)
            # A little smaller than that of the model, which comes through its lids.
            radius = float((high[:2] - low[:2]).mean()) * 0.485
            front = high[2] - 0.06 - radius
            balls.append((np.array([*(low[:2] + high[:2]) / 2, front]), radius))
        return balls

    def sunk(self, closed: NDArray[np.float32]) -> list[float]:
        """How far back eyeballs have to be for closed lids to cover them."""
        depths = []
        for blink, (centre, radius) in zip(_BLINK, self.eyeballs(closed), strict=True):
            moved = np.linalg.norm(self.expressions[blink, : self._count], axis=1)
            lid = closed[: self._count][moved > 0.3] - centre
            depths.append(
                max(0.0, 1.3 * float(radius - np.linalg.norm(lid, axis=1).min()))
            )
        return depths

    def points(
        self,
        likeness: NDArray[np.float32],
        weights: NDArray[np.float32],
        gaze: tuple[float, float] = (0.0, 0.0),
        sunk: Sequence[float] = (0.0, 0.0),
    ) -> NDArray[np.float32]:
        """Vertices (V, 3) of a bald head with an expression; gaze in radians."""
        whole = _sum(likeness, self.expressions, weights)
        body = whole[: self._count]
        ball = turned(sphere(_RINGS, _SECTORS), rotation(*gaze, 0)).T
        balls = [
            (centre - (0, 0, depth) + radius * ball).astype(np.float32)
            for (centre, radius), depth in zip(self.eyeballs(whole), sunk, strict=True)
        ]
        fall = np.zeros((2 * _ROWS * _COLUMNS, 3), np.float32)
        return np.concatenate([body, body[self._scalp], *balls, fall])

    def normals(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normals (V, 3) of length 1 of a smooth surface."""
        a, b, c, d = (points.take(corner, 0) for corner in self.quads)
        normals = self._around @ np.cross(c - a, d - b)
        length = np.sqrt((normals * normals).sum(1, keepdims=True))
        return normals / np.maximum(length, 1e-12)


class Figure:
    """One person's face, hair and colours; `quads` (4, Q) are what may be seen."""

    def __init__(
        self, head: Head, identity: NDArray[np.float32], attributes: Mapping[str, Any]
    ) -> None:
        self._head = head
        self._look = {
            name: classes[attributes[name]] for name, classes in ATTRIBUTES.items()
        }
        self._likeness = _sum(head.mean, head.identities, identity)
        # Eyes that open wider have to close further.
        self._blink = np.clip(head.eyes(self._likeness) / head.eyes(head.mean), 1, 2)
        closed = np.zeros(len(EXPRESSIONS), np.float32)
        closed[_BLINK] = self._blink
        self._sunk = head.sunk(_sum(self._likeness, head.expressions, closed))
        self._lift = self._hair()
        self._end = self._look["cut"][4]
        self._colours, self._gloss = self._paint()
        self.quads = self._seen()

    def shape(
        self, weights: NDArray[np.float32], gaze: tuple[float, float] = (0.0, 0.0)
    ) -> Shape:
        """The person with an expression (E,), looking by yaw and pitch in radians."""
        head, weights = self._head, weights.copy()
        weights[_BLINK] *= self._blink
        points = head.points(self._likeness, weights, gaze, self._sunk)
        normals = head.normals(points)
        points[head._cap] += self._lift[:, None] * normals[head._cap]
        if self._end < 0:
            points[head._fall] = _long_hair(points[: head._cap.stop], self._end)
        closed, opened = head._sky
        jaw = weights[_JAW]
        sky = closed + (opened - closed) * np.float32(min(jaw, 1.0))
        light = (np.float32(0.3) + np.float32(0.7) * sky) * self._lit(sky)
        return Shape(
            points,
            head.normals(points),
            self._colours * light[:, None],
            self._gloss * sky,
        )

    def _lit(self, sky: NDArray[np.float32]) -> NDArray[np.float32]:
        """Less light than the sky alone gives within the mouth."""
        inside = np.ones(len(sky), np.float32)
        mouth = self._head.kind > _SKIN_END
        inside[: len(mouth)][mouth] = np.clip(0.2 + 2 * sky[: len(mouth)][mouth], 0, 1)
        teeth = np.isin(self._head.kind, _TEETH)
        inside[: len(mouth)][teeth] = 1.5
        return inside

    def _hair(self) -> NDArray[np.float32]:
        """Height of the hair above the scalp, below 0 where there is none."""
        high, corners, top, side, _ = self._look["cut"]
        x, y, z = self._head.rest[self._head._cap].T
        inside = _hairline(x, y, z, high, corners)
        up = np.clip((y - 5) / 8, 0, 1)
        thick = side + (top - side) * up * up * (3 - 2 * up)
        rise = np.clip(inside / 1.8, 0, 1)
        lift = np.where(
            inside > 0, 0.06 + thick * np.sqrt(rise), np.maximum(inside, -0.4) - 0.06
        )
        return lift.astype(np.float32)

    def _seen(self) -> NDArray[np.intp]:
        """All polygons but hair below the skin and skin below hair."""
        head = self._head
        hidden = np.zeros(head._fall.stop, bool)
        hidden[head._cap] = self._lift <= 0
        hidden[head._scalp[head._covered & (self._lift > 0.12)]] = True
        hidden[head._fall] = self._end > 0
        return np.ascontiguousarray(head.quads[:, ~hidden[head.quads].all(0)])

    def _paint(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Linear colours (V, 3) and gloss (2, V) of all vertices."""
        head, look = self._head, self._look
        skin, hair, iris, lips = (
            linear(look[name]) for name in ("skin", "hair", "iris", "lips")
        )
        rest, kind = head.rest[: head._count], head.kind
        x, y, z = rest.T
        paint = np.tile(skin, (head._count, 1))
        for px, py, size in ((-4.6, -0.5, 2.4), (4.6, -0.5, 2.4), (0, 0.2, 1.4)):
            glow = np.exp(-((x - px) ** 2 + (y - py) ** 2) / size**2) * (z > 5)
            blend(paint, skin * (1.15, 0.74, 0.72), glow * 0.3)
        face = kind < _FACE_END
        # The scalp shows through at the hairline.
        high, corners = look["cut"][:2]
        cover = np.clip(_hairline(x, y, z, high, corners) / 0.9 + 0.4, 0, 1)
        blend(paint, hair * 0.8, cover * (kind < _SKIN_END) * head.scalp)
        outline = head.landmarks(_LIPS)
        cover = inside(rest, outline, 0.18) * face * (z > 9)
        blend(paint, skin * 0.25 + lips * 0.75, cover)
        half, rise, first = look["brows"]
        for line in _BROWS:
            middle = head.landmarks(line) + (0, 0.25, 0)
            middle[:, 1] += rise * np.array([0, 0.8, 1, 0.4, -0.2])
            width = half * np.array([0.45, 0.85, 1.05, 1.1, 1.0])
            cover = stroke(rest, middle[int(first) :], width[int(first) :])
            blend(paint, hair * 0.5, cover * face * (z > 5) * 0.92)
        for line in _LIDS:
            cover = stroke(rest, head.landmarks(line), np.full(4, 0.1))
            blend(paint, skin * 0.12, cover * face * 0.8)
        for part, colour in (
            (_SOCKET, (120, 48, 46)),
            (_EYE_SOCKETS, (222, 150, 140)),
            (_GUMS, (188, 92, 92)),
            (_TEETH, (240, 236, 226)),
        ):
            paint[np.isin(kind, part)] = linear(colour)
        angle = np.tile(np.repeat(_RINGS, _SECTORS), 2)
        eye = np.tile(linear((240, 238, 234)), (len(angle), 1))
        eye[angle < 30] = iris
        eye[angle == 26] *= 0.35
        eye[angle < 12] = 0.003
        cap = hair * _strands(head.rest[head._cap])[:, None]
        fall = (
            hair
            * np.tile(1 + 0.25 * np.sin(np.arange(_COLUMNS) * 2.4), 2 * _ROWS)[:, None]
        )
        gloss = np.zeros((2, head._fall.stop), np.float32)
        gloss[0, : head._count] = 0.05 * face
        gloss[0, head._eyes] = 0.5
        shine = 0.04 + 0.3 * hair.mean()
        gloss[1, head._cap] = shine
        gloss[1, head._fall.start : head._fall.start + _ROWS * _COLUMNS] = shine
        colours = np.concatenate([paint, cap, eye, fall]).astype(np.float32)
        return colours, gloss


def _drawn(rest: NDArray[np.float32], quads: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Polygons of the skin and of sockets, and what a mouth shows."""
    number, centre = quads.min(1), rest[quads].mean(1)
    a, b, c, d = (rest[corner] for corner in quads.T)
    normal = np.cross(c - a, d - b)
    shown = (np.abs(centre[:, 0]) < 2.6) & (centre[:, 2] > 7)
    teeth = np.isin(number, _TEETH) & shown & (normal[:, 2] > 0)
    # The lip would leave single lower teeth at the sides.
    teeth &= (number < _LOWER_TEETH) | (np.abs(centre[:, 0]) < 1.5)
    gums = np.isin(number, _GUMS) & shown & ((normal[:, 2] > 0) | (normal[:, 1] > 0))
    return (number < _GUMS.start) | teeth | gums


def _merged(points: NDArray[np.float32], numbers: NDArray[Any]) -> NDArray[np.intp]:
    """Groups of vertices that are drawn as one: fewer where nothing is small."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    eyes = (x > 0.9) & (x < 6.6) & (y > 1.8) & (y < 7.4) & (z > 5)
    mouth = (x < 4) & (y > -6.5) & (y < -1.2) & (z > 7)
    nose = (x < 2) & (y > -1.6) & (y < 2.5) & (z > 8)
    ears = (x > 7) & (y > -3) & (y < 4.5) & (np.abs(z) < 3)
    fine = eyes | mouth | nose | ears | np.isin(numbers, _TEETH)
    side = np.where(fine, 1e-3, 0.55)
    part = np.digitize(numbers, [_SOCKET.start, _GUMS.start, _TEETH.start])
    cells = np.column_stack([np.floor(points / side[:, None]), part])
    return np.unique(cells, axis=0, return_inverse=True)[1].reshape(-1)


def _hairline(x: Any, y: Any, z: Any, high: float, corners: float) -> NDArray[Any]:
    """Distance from the hairline in the mean face, above 0 where there is hair."""
    arc = high - 0.035 * x * x + corners * np.exp(-(((np.abs(x) - 4.5) / 1.6) ** 2))
    # Behind the ears, sideburns before them, temples.
    side = np.interp(
        y, [-5, -4, -1, 3.7, 4.0, 6, 8, 10], [-9, -2.4, -1.7, -1.2, 2.4, 3, 4.4, 6]
    )
    return np.minimum(np.maximum(y - arc, (side - z) * 0.8), 2.0)


def _strands(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Brightness of strands that run down from the crown."""
    around = np.arctan2(points[:, 0], points[:, 2] - 2)
    return 1 + 0.1 * np.sin(23 * around) + 0.1 * np.sin(13 * around + points[:, 1])


def _long_hair(bald: NDArray[np.float32], end: float) -> NDArray[np.float32]:
    """Vertices of hair that falls from the temples and the back of a head."""
    x, y, z = bald.T
    near = (y > -2) & (y < 9)
    wide, back = np.abs(x[near]).max() + 0.7, z[near].min() - 0.25
    around = np.linspace(-2.2, 2.2, _COLUMNS)
    depth = np.where(np.cos(around) > 0, back - 1.0, -5.0)
    down = np.array([9.5, 8, 6.5, 5, 3, 0, -3, -6, -9])
    down[4:] = 3 + (down[4:] - 3) * (3 - end) / 12
    factor = np.interp(
        down, [end, end + 2, end + 5, 5, 8, 9.5], [0.9, 0.99, 1, 1, 0.93, 0.85]
    )
    wave = 1 + 0.012 * np.sin(around * 14)
    outer = np.stack(
        [
            np.outer(factor, wide * wave * np.sin(around)),
            np.repeat(down[:, None], _COLUMNS, 1),
            1.0 + np.outer(factor, depth * wave * np.cos(around)),
        ],
        -1,
    ).reshape(-1, 3)
    return np.concatenate([outer, outer * (0.97, 1, 0.97)]).astype(np.float32)


def _sum(
    base: NDArray[np.float32], shapes: NDArray[np.float32], weights: NDArray[Any]
) -> NDArray[np.float32]:
    """Base plus weighted shapes; added in one order, so equal on every machine."""
    total = base.copy()
    for place in np.flatnonzero(weights):
        total += shapes[place] * np.float32(weights[place])
    return total
