"""Puppets: drawn jumping jacks with known colours and known poses.

A dataset without downloads for trying the method and for testing it: four colours make
the identity, the angles of arms and legs make the pose, and every identity is shown in
every pose of a grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from keras_ddr.arguments import check_size, check_whole
from keras_ddr.data.labels import Label
from keras_ddr.data.writer import write_store
from keras_ddr.datasets.identities import choose_identities, counted, draw_identities
from keras_ddr.datasets.option_fields import Offer
from keras_ddr.datasets.splits import Splits
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.typing import Progress, StrPath

    _Number: TypeAlias = float | NDArray[Any]

__all__ = ["ATTRIBUTES", "prepare", "render"]

ATTRIBUTES = {
    "skin": {
        "pale": (255, 224, 196),
        "tan": (222, 160, 106),
        "brown": (126, 76, 48),
        "green": (128, 190, 88),
        "blue": (112, 164, 232),
        "rose": (240, 130, 160),
    },
    "hair": {
        "black": (38, 34, 44),
        "blond": (246, 206, 74),
        "ginger": (214, 88, 34),
        "white": (240, 240, 244),
        "violet": (132, 70, 190),
        "teal": (24, 150, 144),
    },
    "shirt": {
        "red": (214, 48, 52),
        "yellow": (248, 200, 46),
        "green": (52, 150, 76),
        "blue": (48, 98, 204),
        "white": (242, 242, 238),
        "plum": (112, 40, 104),
    },
    "trousers": {
        "navy": (34, 48, 102),
        "khaki": (188, 164, 104),
        "orange": (236, 118, 36),
        "grey": (128, 134, 142),
        "lilac": (182, 140, 218),
        "moss": (84, 112, 44),
    },
}
"""Attributes of a puppet, and the colours (red, green, blue) of their classes."""
# Degrees from hanging down, outward, where the grid of poses begins and ends.
ARM_ANGLES, LEG_ANGLES = (15.0, 160.0), (3.0, 70.0)
OFFER = Offer(
    "puppets", unused=("persons", "labels"), defaults={"shares": (0.7, 0.1, 0.2)}
)
_NAMES = tuple(ATTRIBUTES)
_INK = np.array([44, 38, 50], np.float32)
_SHOES = np.array([86, 62, 56], np.float32)


def prepare(
    store_path: StrPath,
    *,
    identities: int = 300,
    size: int = 64,
    arms: int = 12,
    legs: int = 8,
    splits: Splits = Splits(),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FrameStore:
    """Make a frame store of puppets.

    Every identity is one sequence of arms x legs frames (size, size, 3), in the order
    of the grid (legs fastest), and a person of its own. Frame labels: `arm_angle` and
    `leg_angle` (degrees) and `pose` (number on the grid, classes such as
    "arms-3-legs-5"); `source_frame` is that number too and `time` is NaN. Sequence
    labels: `skin`, `hair`, `shirt`, `trousers`, 6 classes each.

    Args:
        store_path: Folder to make.
        identities: Number of different colourings, 6 to 1296, chosen at random such
            that every colour occurs.
        size: Height and width in pixels, a multiple of 16.
        arms: Number of arm angles, evenly spaced from 15 to 160 degrees.
        legs: Number of leg angles, evenly spaced from 3 to 70 degrees.
        splits: Shares of the identities for train, val and test, and the seed of that
            choice and of the split.
        overwrite: Whether to replace a store that exists.
        progress: Called as progress(done, total) with numbers of identities.

    Raises:
        InputError: An argument cannot be used, or the store exists.
    """
    check_whole(arms=arms, legs=legs)
    check_size(size=size)
    splits = OFFER.settle(splits)
    chosen = choose_identities([6] * 4, identities, splits.shares, splits.seed)
    arm_angles = np.repeat(np.linspace(*ARM_ANGLES, arms), legs)
    leg_angles = np.tile(np.linspace(*LEG_ANGLES, legs), arms)
    frame_labels = {
        "arm_angle": arm_angles.astype(np.float32),
        "leg_angle": leg_angles.astype(np.float32),
        "pose": np.arange(arms * legs, dtype=np.int32),
    }
    draw = Poses(arm_angles, leg_angles, size).coloured
    records = draw_identities(chosen, ATTRIBUTES, draw, frame_labels)
    return write_store(
        store_path,
        counted(records, identities, progress),
        dataset="puppets",
        frame_shape=(size, size, 3),
        labels=labels_of(arms, legs),
        arguments={
            "identities": identities,
            "size": size,
            "arms": arms,
            "legs": legs,
            **OFFER.noted(splits),
        },
        seed=splits.seed,
        licence="Drawn by keras_ddr; free to use.",
        ordered=False,
        overwrite=overwrite,
    )


def labels_of(arms: int, legs: int) -> dict[str, Label]:
    """Labels of puppets whose poses are those of a grid of angles."""
    labels = {
        name: Label("sequence", "categorical", list(classes))
        for name, classes in ATTRIBUTES.items()
    }
    for name in ("arm_angle", "leg_angle"):
        labels[name] = Label("frame", "continuous", unit="degrees")
    poses = [f"arms-{a}-legs-{b}" for a in range(arms) for b in range(legs)]
    labels["pose"] = Label("frame", "categorical", poses)
    return labels


def render(
    attributes: Mapping[str, str],
    arm_angle: ArrayLike,
    leg_angle: ArrayLike,
    size: int = 64,
) -> NDArray[np.uint8]:
    """Draw one puppet in any pose.

    Args:
        attributes: Class name of `ATTRIBUTES` for each of skin, hair, shirt, trousers.
        arm_angle: Degrees from hanging down, outward; number or array (T,).
        leg_angle: Likewise.
        size: Height and width in pixels.

    Returns:
        uint8 array (size, size, 3), or (T, size, size, 3) for arrays of angles.

    Raises:
        InputError: An attribute is missing or unknown, or an angle not finite.
    """
    for name, classes in ATTRIBUTES.items():
        if attributes.get(name) not in classes:
            raise InputError(
                f"attributes: {name} is {attributes.get(name)!r}, but must be one of "
                f"{', '.join(classes)}"
            )
    arms, legs = np.broadcast_arrays(arm_angle, leg_angle)
    if arms.ndim > 1 or not (np.isfinite(arms).all() and np.isfinite(legs).all()):
        raise InputError(
            "arm_angle, leg_angle: must be finite numbers or arrays (T,) of them"
        )
    frames = Poses(arms.reshape(-1), legs.reshape(-1), size).coloured(attributes)
    return frames if arms.ndim else frames[0]


class Poses:
    """The geometry of some poses, ready to be coloured.

    Drawing is linear in the colours: an image is a base plus, for each attribute, a
    weight map times its colour. The maps depend on the pose only, so that they are
    drawn once for all identities.
    """

    def __init__(
        self, arm_angles: NDArray[Any], leg_angles: NDArray[Any], size: int
    ) -> None:
        # In chunks, so that memory does not grow with the number of poses.
        chunks = [slice(start, start + 32) for start in range(0, len(arm_angles), 32)]
        drawn = [_draw(arm_angles[c], leg_angles[c], int(size)) for c in chunks]
        self.base = np.concatenate([drawing.base for drawing in drawn])
        self.weights = np.concatenate([drawing.weights for drawing in drawn])

    def coloured(self, attributes: Mapping[str, str]) -> NDArray[np.uint8]:
        """The poses (P, size, size, 3) of a puppet."""
        colours = np.array(
            [ATTRIBUTES[name][attributes[name]] for name in _NAMES], np.float32
        )
        image = self.weights @ colours
        image += self.base
        return np.rint(image, out=image).astype(np.uint8)


class _Drawing:
    """P pictures painted part by part, as a base and a weight for each attribute."""

    def __init__(self, number: int, size: int) -> None:
        # Everything is drawn in units of 1/64 of the picture.
        ticks = (np.arange(size, dtype=np.float32) + 0.5) * (64 / size)
        self.x, self.y = ticks[None, None, :], ticks[None, :, None]
        self.pixels = size / 64
        self.base = np.empty((number, size, size, 3), np.float32)
        self.weights = np.zeros((number, size, size, len(_NAMES)), np.float32)

    def paint(
        self,
        distance: NDArray[Any],
        colour: str | NDArray[Any],
        shade: _Number = 1.0,
        outline: float = 0.72,
        opacity: float = 1.0,
    ) -> None:
        """Paint where `distance` (P or 1, H, W) is negative.

        A colour is the name of an attribute or a fixed (r, g, b). Towards its border
        a part gets darker by the factor `outline`.
        """
        cover = np.clip(0.5 - distance * self.pixels, 0, 1)[..., None] * opacity
        inner = np.clip((-distance - 0.35) / 1.1, 0, 1)
        shade = (shade * (outline + (1 - outline) * inner))[..., None]
        self.base *= 1 - cover
        self.weights *= 1 - cover
        if isinstance(colour, str):
            self.weights[..., _NAMES.index(colour)] += (cover * shade)[..., 0]
        else:
            self.base += cover * shade * colour

    def circle(self, x: _Number, y: _Number, radius: float) -> NDArray[Any]:
        return np.hypot(self.x - x, self.y - y) - radius

    def ellipse(self, x: float, y: float, a: float, b: float) -> NDArray[Any]:
        # Near the border this is close to the distance, which is all that is needed.
        u, v = (self.x - x) / a, (self.y - y) / b
        length = np.hypot(u, v)
        slope = np.hypot(u / a, v / b)
        return length * (length - 1) / np.maximum(slope, 1e-6)

    def limb(
        self, x0: _Number, y0: _Number, x1: _Number, y1: _Number, radius: float
    ) -> NDArray[Any]:
        """Distance to a capsule between two points, (P, 1, 1) each or numbers."""
        dx, dy = x1 - x0, y1 - y0
        along = ((self.x - x0) * dx + (self.y - y0) * dy) / (dx * dx + dy * dy)
        along = np.clip(along, 0, 1)
        return np.hypot(self.x - x0 - along * dx, self.y - y0 - along * dy) - radius

    def torso(
        self, x: float, y: float, top: float, low: float, height: float, radius: float
    ) -> NDArray[Any]:
        """Distance to a rounded trapezium, half as wide as `top` and `low` say."""
        across = np.abs(self.x - x)
        slant = (low - top) / (2 * height)
        side = (across - top - slant * (self.y - y + height)) / np.hypot(1, slant)
        level = np.abs(self.y - y) - height
        side, level = side + radius, level + radius
        outside = np.hypot(np.maximum(side, 0), np.maximum(level, 0))
        return outside + np.minimum(np.maximum(side, level), 0) - radius


def _draw(arm_angles: NDArray[Any], leg_angles: NDArray[Any], size: int) -> _Drawing:
    arms = np.deg2rad(np.asarray(arm_angles, np.float32))[:, None, None]
    legs = np.deg2rad(np.asarray(leg_angles, np.float32))[:, None, None]
    d = _Drawing(len(arms), size)
    _background(d)
    # Lit from the left, slightly from above. Never above 1: colours must stay in range.
    light = np.minimum(1.08 - 0.0045 * (d.x - 16) - 0.0015 * d.y, 1.0)
    for side in (-1, 1):
        hip = 32 + side * 3.6
        foot_x = hip + side * 14.2 * np.sin(legs)
        foot_y = 42.5 + 14.2 * np.cos(legs)
        # Feet point outward.
        toe_x = foot_x + side * 2.2 * np.cos(legs)
        toe_y = foot_y - 2.2 * np.sin(legs)
        d.paint(d.limb(foot_x, foot_y, toe_x, toe_y, 2.7), _SHOES, light)
        d.paint(d.limb(hip, 42.5, foot_x, foot_y, 3.2), "trousers", light)
    # The seat joins the legs; it has no border of its own.
    d.paint(d.limb(28.6, 42.0, 35.4, 42.0, 3.2), "trousers", light, outline=1.0)
    d.paint(d.limb(32, 22, 32, 27, 2.4), "skin", light * 0.86)
    d.paint(d.torso(32, 34, 7.4, 6.4, 9.0, 3.4), "shirt", light)
    for side in (-1, 1):
        shoulder_x, shoulder_y = 32 + side * 6.4, 28.4
        hand_x = shoulder_x + side * 15.0 * np.sin(arms)
        hand_y = shoulder_y + 15.0 * np.cos(arms)
        cuff_x = shoulder_x + side * 9.0 * np.sin(arms)
        cuff_y = shoulder_y + 9.0 * np.cos(arms)
        d.paint(d.limb(cuff_x, cuff_y, hand_x, hand_y, 2.0), "skin", light)
        d.paint(d.circle(hand_x, hand_y, 2.8), "skin", light)
        d.paint(d.limb(shoulder_x, shoulder_y, cuff_x, cuff_y, 2.8), "shirt", light)
    _head(d, light)
    return d


def _background(d: _Drawing) -> None:
    glow = np.exp(-((d.x - 30) ** 2 + (d.y - 26) ** 2) / 1100)
    tone = 0.80 + 0.16 * glow - 0.0006 * d.y
    d.base[:] = tone[..., None] * np.array([232, 238, 246], np.float32)
    shadow = np.clip(1 - np.hypot((d.x - 32) / 22, (d.y - 60.5) / 2.8), 0, 1)
    d.base *= 1 - 0.30 * (shadow * (2 - shadow))[..., None]


def _head(d: _Drawing, light: NDArray[Any]) -> None:
    d.paint(d.ellipse(32, 14.2, 8.9, 9.2), "hair", light)
    for side in (-1, 1):
        d.paint(d.circle(32 + side * 7.4, 17.0, 1.7), "skin", light * 0.94)
    face = np.maximum(d.ellipse(32, 16.4, 7.2, 7.4), 11.6 - d.y - 0.10 * (d.x - 32))
    d.paint(face, "skin", light, outline=0.86)
    for side in (-1, 1):
        d.paint(d.ellipse(32 + side * 2.9, 16.2, 0.95, 1.25), _INK, outline=1.0)
        cheek = d.circle(32 + side * 4.6, 19.0, 1.3)
        d.paint(cheek, np.array([236, 92, 92]), outline=1.0, opacity=0.30)
    # The smile is the lower part of a ring.
    smile = np.abs(np.hypot(d.x - 32, d.y - 17.4) - 3.0) - 0.45
    smile = np.maximum(smile, np.abs(d.x - 32) - 2.2)
    d.paint(np.maximum(smile, 18.6 - d.y), _INK, outline=1.0, opacity=0.85)
