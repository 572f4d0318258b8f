"""One scale to 8 bits for a file, a folder or all, looked for before reading."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.media.scaling import MOST_FRAMES, Sample, bounds_for, widest

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from keras_ddr.datasets.reading import Cropping
    from keras_ddr.datasets.work import Work
    from keras_ddr.media.scaling import Limits


_FEW = 4  # sources that are looked at before processes would have started


@dataclass
class Looked:
    """A file, or a folder of pictures, as it was found before it is read.

    Attributes:
        limits: of its values; None where they have the range of their type.
        frames: number of frames that are scaled.
        about: whatever else the reader has to know.
        problem: why it cannot be read, in one line.
    """

    limits: Limits | None = None
    frames: int = 0
    about: Any = None
    problem: str = ""


def look_at_all(
    look: Callable[..., Looked], tasks: Mapping[str, tuple[Any, ...]], work: Work
) -> dict[str, Looked]:
    """Call `look` for each source, name -> arguments, where the work is done."""
    found: dict[str, Looked] = {}

    def finished(name: str, looked: Looked | None, problem: str | None) -> None:
        found[name] = looked or Looked(problem=problem or "")

    if work.dask is None and len(tasks) <= _FEW:
        work = replace(work, workers=0)
    work.run(look, tasks, finished, list)
    return {name: found[name] for name in tasks}


def limits_of(
    frames: Callable[[Sequence[int]], Iterator[NDArray[Any]]],
    number: int,
    dtype: DTypeLike,
    scale: str | None,
    apart: bool = False,
) -> Limits | None:
    """The limits for `number` frames, which `frames` reads by their places.

    Percentiles are those of at most 256 frames at equal distances; 0% and 100% are the
    extremes of all. `apart`: channels have limits of their own.
    """
    bounds = bounds_for(scale, dtype)
    if bounds is None:
        return None
    low, high = bounds
    if not low.percent and not high.percent:
        return ((low.number, high.number),)
    whole = any(bound.percent and bound.number in (0, 100) for bound in bounds)
    count = number if whole else min(number, MOST_FRAMES)
    sample = Sample()
    for frame in frames(np.linspace(0, number - 1, count).astype(int).tolist()):
        sample.add(frame, apart)
    return sample.limits(low, high)


def settled(
    looked: Mapping[str, Looked], cropping: Cropping, what: str
) -> tuple[dict[str, Limits | None], dict[str, Any]]:
    """Limits by source, and what the store notes of them; a default is said once."""
    limits = {name: found.limits for name, found in looked.items()}
    known = {name: each for name, each in limits.items() if each is not None}
    if cropping.scale_of == "all" and known:
        one = widest(list(known.values()))
        known = dict.fromkeys(known, one)
        limits |= known
    scaled = [found for name, found in looked.items() if name in known]
    if known and cropping.scale is None:
        name, pairs = next(iter(known.items()))
        shown = ", ".join(f"{low:.6g}:{high:.6g}" for low, high in pairs)
        each = "all together" if cropping.scale_of == "all" else f"each {what}"
        some = f"{len(scaled)} {what}" + "s" * (len(scaled) != 1)
        warnings.warn(
            f"scale: {sum(found.frames for found in scaled)} frames of {some} "
            "have more than 8 bits; values from the percentile 0.01% to "
            f"99.99% of {each} ({shown} in {name}) became 0 to 255; --scale LOW:HIGH "
            "sets them",
            stacklevel=3,
        )
    return limits, {"scaled_from": {n: [list(p) for p in v] for n, v in known.items()}}
