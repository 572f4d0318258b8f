"""Where an animal is, which way it looks and how long it is, frame by frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MOST_VALUES = 1 << 26
"""Numbers that are held at once of a file: 256 MB in single precision."""


@dataclass(frozen=True)
class Points:
    """Which body parts place an animal, and from which likelihood on they count."""

    front: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    min_likelihood: float | None = None  # None: as the program that tracked has it

    def chosen(self, path: str, parts: Sequence[str]) -> list[str]:
        """The parts that are needed: those of front and back, else all of the file."""
        if not self.front:
            return list(parts)
        for option, names in (("front", self.front), ("back", self.back)):
            for name in names:
                if name not in parts:
                    raise InputError(
                        f"{path}: has no body part {name!r} ({option}); its parts are "
                        f"{', '.join(parts)}"
                    )
        return [*self.front, *self.back]

    def seen(self, points: NDArray[np.floating], usual: float) -> NDArray[np.floating]:
        """Points (..., 2) of x, y, likelihood (..., 3), NaN where that is too low."""
        least = usual if self.min_likelihood is None else self.min_likelihood
        places = points[..., :2]
        places[~(points[..., 2] >= least)] = np.nan
        places[~np.isfinite(places).all(axis=-1)] = np.nan
        return places


@dataclass
class Track:
    """One animal in one video; rows are the frames where it is known to be."""

    name: str
    keys: NDArray[np.floating]  # (N,), rising: numbers of frames, or seconds
    centre: NDArray[np.floating]  # (N, 2), pixels
    angle: NDArray[np.floating]  # (N,), degrees from x to y; NaN: not known
    length: NDArray[np.floating]  # (N,), pixels; NaN: not known
    reach: float | None = None  # of seconds: how far a frame may be from its row

    @classmethod
    def of_rows(
        cls, path: str, name: str, keys: ArrayLike, rows: ArrayLike, by_time: bool
    ) -> Self:
        """A track of rows (N, 4) of x, y, angle, length; those without x, y go."""
        keys, rows = np.asarray(keys, np.float64), np.asarray(rows, np.float64)
        order = np.argsort(keys, kind="stable")
        keys, rows = keys[order], rows.reshape(-1, 4)[order]
        steps = np.diff(keys)
        if len(steps) and not steps.min() > 0:
            unit = "time" if by_time else "frame"
            twice = keys[int(steps.argmin())]
            raise InputError(
                f"{path}: has {unit} {twice:g} twice for {name or 'the animal'}; give "
                "each animal one row a frame, and a column animal where there are more"
            )
        reach = None
        if by_time:  # stamps of videos are in milliseconds
            reach = max(float(np.median(steps)) / 2 if len(steps) else 0.0, 1e-3)
        known = np.isfinite(rows[:, :2]).all(axis=1)
        keys, rows = keys[known], rows[known]
        name = " ".join(name.split())
        return cls(name, keys, rows[:, :2], rows[:, 2], rows[:, 3], reach)

    def stretched(self, across: float, down: float) -> Self:
        """The same in a picture whose pixels were made wider or higher."""
        turn = np.radians(np.nan_to_num(self.angle, nan=45.0))
        ahead = np.stack([across * np.cos(turn), down * np.sin(turn)])
        angle = np.where(
            np.isnan(self.angle), np.nan, np.degrees(np.arctan2(ahead[1], ahead[0]))
        )
        return replace(
            self,
            centre=(self.centre + 0.5) * (across, down) - 0.5,
            angle=angle,
            length=self.length * np.hypot(*ahead),
        )

    def row(self, number: int, time: float) -> int | None:
        """The row of a frame, by its number or by its time."""
        key, reach = (number, 0.0) if self.reach is None else (time, self.reach)
        keys = self.keys
        if not len(keys) or not keys[0] - reach <= key <= keys[-1] + reach:
            return None  # also where the time is not known
        place = int(np.searchsorted(keys, key))
        around = [k for k in (place - 1, place) if 0 <= k < len(keys)]
        nearest = min(around, key=lambda k: abs(keys[k] - key))
        return nearest if abs(keys[nearest] - key) <= reach else None


def rows_of_points(
    points: NDArray[np.floating], parts: Sequence[str], how: Points
) -> NDArray[np.float64]:
    """Rows (N, 4) of x, y, angle, length from places (N, P, 2) of body parts.

    With front and back the centre is in the middle between them and the length is their
    distance. Else the centre is the median of the parts, where half of them are seen,
    and the length twice the distance to the farthest.
    """
    points = points.astype(np.float64)
    rows = np.full((len(points), 4), np.nan)
    if how.front:
        front, back = (
            points[:, [parts.index(name) for name in names]].mean(axis=1)
            for names in (how.front, how.back)
        )
        ahead = front - back
        rows[:, :2] = (front + back) / 2
        rows[:, 2] = np.degrees(np.arctan2(ahead[:, 1], ahead[:, 0]))
        rows[:, 3] = np.hypot(*ahead.T)
        rows[~(rows[:, 3] > 0)] = np.nan
        return rows
    seen = np.isfinite(points).all(axis=2)
    enough = np.flatnonzero(seen.sum(axis=1) >= max(1, math.ceil(len(parts) / 2)))
    if len(enough):
        known = np.where(seen[enough, :, None], points[enough], np.nan)
        centre = np.nanmedian(known, axis=1)
        apart = np.linalg.norm(known - centre[:, None], axis=2)
        rows[enough, :2] = centre
        rows[enough, 3] = 2 * np.nanmax(apart, axis=1)
    return rows


def check_number(path: str, values: int, most: int = MOST_VALUES) -> None:
    """Refuse to take more numbers from a file than a reader should hold."""
    if values > most:
        raise InputError(
            f"{path}: holds {values:,} numbers of body parts, more than {most:,} that "
            "are read; name two parts (--front, --back), or divide the file"
        )
