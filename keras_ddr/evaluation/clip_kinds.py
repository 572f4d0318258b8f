"""Kinds of clips to judge: which code was kept, which one was drawn, and how."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.evaluation.clip_cutting import ClipSet
    from keras_ddr.evaluation.measure import Material
    from keras_ddr.sequence_model import SequenceModel

# Clips that a code was taken from, `(n,)`, or `None` where it was drawn.
_Source: TypeAlias = "NDArray[np.integer] | None"
# Images of the chosen clips.
_Images: TypeAlias = "Callable[[NDArray[np.integer]], NDArray[np.float32]]"
_New: TypeAlias = "Callable[[np.random.Generator], tuple[NDArray[np.float32], _Source]]"


@dataclasses.dataclass(frozen=True)
class ClipKind:
    """Clips of one kind.

    Attributes:
        name: Key of `ClipsScore.rows`.
        drawn: Whether they differ from draw to draw.
        show: Function from a generator to the images, as a function of the numbers of
            some clips, and to the clips that f and z were taken from, `(n,)` or `None`.
    """

    name: str
    drawn: bool
    show: Callable[[np.random.Generator], tuple[_Images, _Source, _Source]]


def clip_kinds(
    material: Material, clips: ClipSet, people: NDArray[np.integer]
) -> list[ClipKind]:
    """All kinds that a model allows; `people` are those of the clips."""
    model = material.model
    kinds = [] if model.lacks_codes else _coded(material, clips, people)
    for density in ("prior", "fitted"):
        if density == "prior" or model.densities is not None:
            show = functools.partial(_sampled, model, clips.length, density)
            kinds.append(ClipKind(f"drawn_{density}", True, show))
    return kinds


def _sampled(
    model: SequenceModel, length: int, density: str, generator: np.random.Generator
) -> tuple[_Images, None, None]:
    """Clips that the model draws itself."""

    def images(rows: NDArray[np.integer]) -> NDArray[np.float32]:
        seed = int(generator.integers(2**31))
        return model.sample(len(rows), length, seed, density)

    return images, None, None


def _coded(
    material: Material, clips: ClipSet, people: NDArray[np.integer]
) -> list[ClipKind]:
    """Kinds that keep a code of each clip."""
    model, test, number = material.model, material.test, len(clips)
    own = np.arange(number)
    f = test.sequence_codes[clips.owner]
    z = clips.of_frames([codes.dynamic.mean for codes in test.codes])
    scores = clips.of_frames([codes.standardized for codes in test.codes])

    def decoded(static: Any, dynamic: Any, *sources: _Source) -> Any:
        return lambda rows: model.decode(static[rows], dynamic[rows]), *sources

    def other_f(new: _New, raw: bool, generator: np.random.Generator) -> Any:
        static, source = new(generator)
        dynamic = z if raw else model.unstandardize(static[:, None], scores)
        return decoded(static, dynamic, source, own)

    def other_z(generator: np.random.Generator) -> Any:
        # Frames come first: models with an order draw along them.
        repeated = np.broadcast_to(f, (clips.length, *f.shape))
        dynamic = model.draw_dynamic(repeated, generator)
        return decoded(f, np.swapaxes(dynamic, 0, 1), own, None)

    def of_another(generator: np.random.Generator) -> Any:
        source = _of_others(people, generator)
        return f[source], source

    new_f: dict[str, _New] = {
        "static_prior": lambda generator: (model.draw_static(number, generator), None)
    }
    densities = model.densities
    if densities is not None:
        new_f["static_fitted"] = lambda generator: (
            densities.static.sample(number, generator),
            None,
        )
    if len(np.unique(people)) > 1:
        new_f["static_other"] = of_another
    kinds = [ClipKind("reconstructed", False, lambda _: decoded(f, z, own, own))]
    for name, new in new_f.items():
        for kind, raw in ((name, False), (f"{name}_raw", True)):
            kinds.append(ClipKind(kind, True, functools.partial(other_f, new, raw)))
    return [*kinds, ClipKind("dynamic_prior", True, other_z)]


def _of_others(
    people: NDArray[np.integer], generator: np.random.Generator
) -> NDArray[np.integer]:
    """For each clip a random one of another person, `(n,)`."""
    found = np.empty(len(people), int)
    for person in np.unique(people):
        own = people == person
        found[own] = generator.choice(np.flatnonzero(~own), size=own.sum())
    return found
