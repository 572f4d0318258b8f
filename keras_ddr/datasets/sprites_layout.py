"""Layout of LPC sheets: which cell shows which pose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

CELL = 64
SHEET_WIDTH, SHEET_HEIGHT = 832, 1344
DIRECTIONS = ("up", "left", "down", "right")

# Animation: first row of the sheet, frames, directions (one row each).
_Rows: TypeAlias = Mapping[str, tuple[int, int, tuple[str, ...]]]

_ROWS: _Rows = {
    "spellcast": (0, 7, DIRECTIONS),
    "thrust": (4, 8, DIRECTIONS),
    "walk": (8, 9, DIRECTIONS),
    "slash": (12, 6, DIRECTIONS),
    "shoot": (16, 13, DIRECTIONS),
    "hurt": (20, 6, ("down",)),
}
# The character generator has these below.
_MORE_ROWS: _Rows = {
    "climb": (21, 6, ("up",)),
    "idle": (22, 2, DIRECTIONS),
    "jump": (26, 5, DIRECTIONS),
    "sit": (30, 3, DIRECTIONS),
    "emote": (34, 3, DIRECTIONS),
    "run": (38, 8, DIRECTIONS),
    "combat": (42, 2, DIRECTIONS),
    "1h_backslash": (46, 13, DIRECTIONS),
    "1h_halfslash": (50, 6, DIRECTIONS),
}
ANIMATIONS = tuple(_ROWS)
ALL_ANIMATIONS = (*ANIMATIONS, *_MORE_ROWS)

# Animation, direction, frame, row, column.
Pose: TypeAlias = tuple[str, str, int, int, int]


def _poses(rows: _Rows) -> tuple[Pose, ...]:
    return tuple(
        (animation, direction, column, first + number, column)
        for animation, (first, columns, directions) in rows.items()
        for number, direction in enumerate(directions)
        for column in range(columns)
    )


# In sheet order.
POSES = _poses(_ROWS)
ALL_POSES = POSES + _poses(_MORE_ROWS)


def pose_name(pose: Pose) -> str:
    """Class of the label `pose`, such as "walk-left-3"."""
    return f"{pose[0]}-{pose[1]}-{pose[2]}"


POSE_NAMES = tuple(map(pose_name, POSES))


def is_sheet(name: str, width: int, height: int) -> bool:
    """Whether a picture looks like a sheet of many cells: by its size, or its name."""
    if width % CELL or height % CELL:
        return False
    whole = width == SHEET_WIDTH and height >= SHEET_HEIGHT
    return whole or (name.lower() in ALL_ANIMATIONS and max(width, height) > CELL)


def directions_of(animation: str) -> tuple[str, ...]:
    """Directions of an animation, one row each."""
    return {**_ROWS, **_MORE_ROWS}[animation][2]
