"""Values of a column of labels: numbers or classes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_ddr.typing import LabelValue

# Further words for a missing number, which may also be names of classes.
_MISSING_NUMBERS = {"na", "#na", "none", "-"}
_WITH_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
# A number with separators, a sign or a unit that no program reads for sure.
_LIKE_NUMBERS = re.compile(r"[+\-−–]?[\d.,'’\s]*\d[\d.,'’\s]*(?:[eE][+-]?\d+)?\s*%?")


def number(text: str) -> float | None:
    """A number as programs write it, or None."""
    try:
        # Python reads 1_2 as twelve, tables do not.
        return None if "_" in text else float(text)
    except ValueError:
        return None


def values_of(
    texts: Sequence[str], kind: str, decimal_comma: bool
) -> tuple[str, list[LabelValue], int | None]:
    """Kind of a column, its values, and the place of the one that does not fit.

    `kind` is "categorical", "continuous" or, to find out, "". A column of numbers has
    no other values: one that holds both, or what looks like a number and is none, is
    for its writer to decide.
    """
    if kind == "categorical":
        return kind, list(texts), None
    with_comma = [bool(_WITH_COMMA.fullmatch(text)) for text in texts]
    if decimal_comma and any(with_comma) and not any("." in text for text in texts):
        texts = [text.replace(",", ".") for text in texts]
    numbers = [number(text) for text in texts]
    known = [value is not None for value in numbers]
    odd = [
        place
        for place, text in enumerate(texts)
        if not known[place] and text.lower() not in _MISSING_NUMBERS
    ]
    if kind or any(known) or not texts:
        values = [v if v is not None and math.isfinite(v) else None for v in numbers]
        return "continuous", list(values), next(iter(odd), None)
    return "categorical", list(texts), first_like_a_number(texts)


def first_like_a_number(texts: Iterable[str]) -> int | None:
    """Place of the first text that looks like a number, or None."""
    looks = (bool(_LIKE_NUMBERS.fullmatch(text)) for text in texts)
    return next((place for place, found in enumerate(looks) if found), None)
