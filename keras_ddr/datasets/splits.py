"""Which sources are to train, to validate and to test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_ddr.data.splits import checked_shares
from keras_ddr.datasets.option_fields import Options, option

if TYPE_CHECKING:
    from keras_ddr.typing import StrPath


def _checked_shares(name: str, value: Any) -> tuple[float, ...]:
    return tuple(checked_shares(value).tolist())


@dataclass(frozen=True)
class Splits(Options):
    """How sequences are dealt out to train, val and test, and who is who.

    Shares are 0.8, 0.1 and 0.1, of puppets 0.7, 0.1 and 0.2, where they are not given.
    """

    shares: Sequence[float] = option(
        (),
        "Shares of the persons, or of the sources where persons are not known.",
        kind=float,
        flag="splits",
        least=0,
        most=1,
        metavar="TRAIN VAL TEST",
        check=_checked_shares,
    )
    seed: int = option(0, "Of all that is random.", kind=int, least=0, most=2**31 - 1)
    persons: str = option(
        "source",
        "folder: every folder right below the given one is a person, who then stays in "
        "one split.",
        choices=("source", "folder"),
    )
    labels: StrPath | None = option(
        None,
        "Your labels: columns source, frame (from 0, or blank) or start and end (in "
        "seconds), and any others; a column person keeps each person in one split.",
        metavar="FILE.csv",
    )

    def person_of(self, source: str) -> str:
        """The topmost folder of a source's path, or ""; a folder's ends with "/"."""
        person, slash, _ = source.partition("/")
        return person if slash and self.persons == "folder" else ""
