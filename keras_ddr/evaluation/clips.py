"""Clips: what a judge sees in them with f or z drawn anew, as in published tables.

The protocol of Bai et al., "Contrastively Disentangled Sequential Variational
Autoencoder", 2021, and of those who compare with it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.evaluation.clip_cutting import cut_clips
from keras_ddr.evaluation.clip_scores import ClipRow, Seen, balanced, row_of
from keras_ddr.evaluation.equal_error_rate import persons_of
from keras_ddr.evaluation.measure import Measure, aligned, number, option
from keras_ddr.evaluation.swap import mean_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.evaluation.clip_cutting import ClipSet
    from keras_ddr.evaluation.clip_judge import ClipJudge
    from keras_ddr.evaluation.measure import Material
    from keras_ddr.typing import StrPath

__all__ = ["Clips", "ClipsScore"]

_WIDTH = 100  # of a table
_ROWS = {
    "real": "real clips",
    "reconstructed": "f and z kept",
    "static_prior": "f ~ p(f), z~ kept",
    "static_prior_raw": "f ~ p(f), z kept",
    "static_fitted": "f fitted, z~ kept",
    "static_fitted_raw": "f fitted, z kept",
    "static_other": "f of another, z~ kept",
    "static_other_raw": "f of another, z kept",
    "dynamic_prior": "f kept, z ~ p(z|f)",
    "drawn_prior": "f ~ p(f), z ~ p(z|f)",
    "drawn_fitted": "f and z~ fitted",
    "mean_image": "mean image",
}
_CERTAINTY = {"IS": "inception_score", "H(y|x)": "conditional", "H(y)": "marginal"}

# f `(n, static_dim)`, z `(n, T, dynamic_dim)`, and the clips that they were taken from,
# each `(n,)` or `None`.
_Codes: TypeAlias = tuple[Any, Any, Any, Any]


@dataclasses.dataclass(frozen=True)
class ClipsScore:
    """What a judge sees in clips.

    Attributes:
        action: Name of the target of clips.
        attributes: Names of the targets of sequences.
        classes: Dict name of a target → number of its classes.
        rows: Dict kind of clips → `ClipRow`: "real" (read this first: no other number
            can be trusted beyond it), "reconstructed", "static_prior" (f ~ p(f), z̃
            kept), "static_fitted" (f of the fitted density), "static_other" (f of a
            clip of another person), each also with "_raw" (z kept in place of z̃),
            "dynamic_prior" (f kept, z drawn), "drawn_prior" and "drawn_fitted" (both
            drawn), and "mean_image" (the floor). Some are absent where a model has no
            codes or no densities.
        clips: Number of clips.
        each: Number of clips of each action in the entropies.
        frames: Frames of a clip.
    """

    action: str
    attributes: tuple[str, ...]
    classes: dict[str, int]
    rows: dict[str, ClipRow]
    clips: int
    each: int
    frames: int


@dataclasses.dataclass(frozen=True)
class Clips(Measure):
    """Let a judge of clips see real clips, and clips with f or z drawn anew.

    Whole sequences are encoded, and their z cut into clips by the label `phase`, so
    that a sequence may hold one clip or several.

    Attributes:
        judge: `ClipJudge`, or the file of one, which `ddr judge` makes.
        draws: Number of draws of every code that is drawn.
    """

    judge: ClipJudge | StrPath | None = option(
        None, "--judge", "Judge of clips that ddr judge made.", file=True
    )
    draws: int = option(
        2, "--clip-draws", "Draws of every code that is drawn, for the judge of clips."
    )

    name = "clips"
    about = (
        "what a judge of clips (--judge) sees with f or z drawn anew: accuracy, IS, "
        "entropies, as in published tables"
    )
    counted = "clips judged"
    needs = frozenset()
    wants = frozenset({"codes"})
    by_default = False

    @functools.cached_property
    def _judge(self) -> ClipJudge:
        """The judge, loaded once."""
        from keras_ddr.evaluation.clip_judge import ClipJudge, load_clip_judge

        if self.judge is None:
            raise InputError(
                "clips: there is no judge; make one with ddr judge STORE FILE.keras, "
                "and give it as --judge FILE.keras, or Clips(judge=…)"
            )
        if isinstance(self.judge, ClipJudge):
            return self.judge
        return load_clip_judge(self.judge)

    def check(self, material: Material) -> None:
        """See `Measure`."""
        self._judge.check(material.store, material.test.sequences)

    def run(self, material: Material) -> ClipsScore:
        """See `Measure`."""
        judge, test = self._judge, material.test
        store, sequences = material.store, test.sequences
        clips = cut_clips(store, sequences, judge.targets, judge.frames)
        people = persons_of(sequences)[clips.owner]
        kinds = _kinds(material, clips, people)
        repeats = {kind: self.draws if random else 1 for kind, (random, _) in kinds}
        total, done = len(clips) * (1 + sum(repeats.values())), 0

        def seen(judged: int) -> None:
            nonlocal done
            done += judged
            material.progress(done, total)

        own = np.arange(len(clips))
        real = judge.judge(len(clips), clips.images, seen)
        found = {"real": [Seen(real, own, own)]}
        for place, (kind, (_, show)) in enumerate(kinds):
            found[kind] = []
            for draw in range(repeats[kind]):
                generator = np.random.default_rng([material.seed, 8, place, draw])
                images, *sources = show(generator)
                saw = judge.judge(len(clips), images, seen)
                found[kind].append(Seen(saw, *sources))
        mean = mean_image(store, material.fit.sequences, seed=material.seed)
        still = np.broadcast_to(mean, (1, clips.length, *mean.shape))
        floor = {
            name: np.repeat(p, len(clips), axis=0)
            for name, p in judge.probabilities(still).items()
        }
        found["mean_image"] = [Seen(floor, own, own)]
        *attributes, action = clips.truth
        classes = {target.name: len(target.classes) for target in judge.targets}
        each = len(balanced(clips.truth[action])) // len(
            np.unique(clips.truth[action][clips.truth[action] >= 0])
        )
        rows = {
            kind: row_of(draws, clips.truth, people, material.seed)
            for kind, draws in found.items()
        }
        names = action, tuple(attributes), classes
        return ClipsScore(*names, rows, len(clips), each, clips.length)

    def lines(self, score: ClipsScore) -> list[str]:
        """See `Measure`."""
        names = [score.action, *score.attributes]
        rows = [score.rows[kind] for kind in _ROWS if kind in score.rows]
        texts = [text for kind, text in _ROWS.items() if kind in score.rows]
        columns = {name: [_accuracy(row, name) for row in rows] for name in names}
        entropies = {
            text: [number(row.entropies[key]) for row in rows]
            for text, key in _CERTAINTY.items()
        }
        columns = {score.action: columns.pop(score.action), **entropies, **columns}
        chances = {name: number(1 / score.classes[name]) for name in names}
        halves = [
            (found[1] - found[0]) / 2
            for row in rows
            for found in row.intervals.values()
            if found is not None
        ]
        draws = max(row.draws for row in rows)
        return [
            f"Clips: accuracy of a judge on {score.clips} clips of {score.frames} "
            "frames. Real ones come first: nothing can",
            "be trusted beyond that. z should give the action and f the attributes: "
            "each is compared with",
            "the clip that gave that code. (In brackets: that code was drawn, and the "
            "class is that of the",
            "clip that gave the other code: chance is good.)",
            *_tables(["", *texts, "chance"], columns, chances),
            f"Half of the widest 95 % interval: {max(halves, default=0):.3f}. IS, "
            f"H(y|x) and H(y), in nats, of {score.action}, of",
            f"{score.each} clips of each. Means of {draws} draws.",
        ]


def _kinds(
    material: Material, clips: ClipSet, people: NDArray[np.integer]
) -> list[tuple[str, tuple[bool, Callable[..., Any]]]]:
    """Kinds of decoded clips: name, whether it is drawn, and how."""
    model = material.model
    kinds: dict[str, tuple[bool, Callable[..., Any]]] = {}
    if not _lacks_codes(model):
        for name, random, codes in _coded(material, clips, people):
            kinds[name] = random, functools.partial(_decoded, model, codes)
    densities = ["prior", *(["fitted"] if model.densities is not None else [])]
    for density in densities:
        show = functools.partial(_sampled, model, clips, density)
        kinds[f"drawn_{density}"] = True, show
    return list(kinds.items())


def _coded(
    material: Material, clips: ClipSet, people: NDArray[np.integer]
) -> Iterator[tuple[str, bool, Callable[[np.random.Generator], _Codes]]]:
    """Name, whether it is drawn, and codes of the kinds that keep a code of a clip."""
    model, test = material.model, material.test
    own = np.arange(len(clips))
    f = test.sequence_codes[clips.owner]
    z = clips.of_frames([codes.dynamic.mean for codes in test.codes], own)
    scores = clips.of_frames([codes.standardized for codes in test.codes], own)

    def prior(generator: np.random.Generator) -> Any:
        return model.draw_static(len(clips), generator), None

    def fitted(generator: np.random.Generator) -> Any:
        assert model.densities is not None
        return model.densities.static.sample(len(clips), generator), None

    def other(generator: np.random.Generator) -> Any:
        source = _others(people, generator)
        return f[source], source

    def kept(draw: Callable[[np.random.Generator], Any], raw: bool) -> Any:
        def codes(generator: np.random.Generator) -> _Codes:
            new, source = draw(generator)
            moved = z if raw else model.unstandardize(new[:, None], scores)
            return new, moved, source, own

        return codes

    def drawn(generator: np.random.Generator) -> _Codes:
        # Frames come first: models with an order draw along them.
        repeated = np.broadcast_to(f, (clips.length, *f.shape))
        dynamic = model.draw_dynamic(repeated, generator)
        return f, np.swapaxes(dynamic, 0, 1), own, None

    yield "reconstructed", False, lambda generator: (f, z, own, own)
    draws = {"static_prior": prior}
    if model.densities is not None:
        draws["static_fitted"] = fitted
    if len(np.unique(people)) > 1:
        draws["static_other"] = other
    for name, draw in draws.items():
        yield name, True, kept(draw, raw=False)
        yield f"{name}_raw", True, kept(draw, raw=True)
    yield "dynamic_prior", True, drawn


def _decoded(
    model: Any,
    codes: Callable[[np.random.Generator], _Codes],
    generator: np.random.Generator,
) -> tuple[Any, ...]:
    """Images of codes, as a function of the chosen clips, and where codes are from."""
    f, z, *sources = codes(generator)
    return lambda rows: model.decode(f[rows], z[rows]), *sources


def _sampled(
    model: Any, clips: ClipSet, density: str, generator: np.random.Generator
) -> tuple[Any, ...]:
    """Images of the model's own draws."""

    def images(rows: NDArray[np.integer]) -> NDArray[np.float32]:
        seed = int(generator.integers(2**31))
        return model.sample(len(rows), clips.length, seed, density)

    return images, None, None


def _others(
    people: NDArray[np.integer], generator: np.random.Generator
) -> NDArray[np.integer]:
    """For each clip a random one of another person, `(n,)`."""
    found = np.empty(len(people), int)
    for person in np.unique(people):
        own = people == person
        found[own] = generator.choice(np.flatnonzero(~own), size=own.sum())
    return found


def _lacks_codes(model: Any) -> bool:
    return bool(getattr(model, "lacks_codes", ""))


def _accuracy(row: ClipRow, name: str) -> str:
    """Accuracy of a target; in brackets where its code was drawn."""
    if name in row.accuracy:
        return number(row.accuracy[name])
    return f"({number(row.of_other[name])})" if name in row.of_other else ""


def _tables(
    first: list[str], columns: dict[str, list[str]], chances: dict[str, str]
) -> list[str]:
    """Lines of one table, or of several below each other where it is too wide."""
    cells = {n: [n, *column, chances.get(n, "")] for n, column in columns.items()}
    lines: list[str] = []
    while cells:
        parts, width = [first], max(map(len, first))
        for name in list(cells):
            width += 2 + max(map(len, cells[name]))
            if width > _WIDTH and len(parts) > 1:
                break
            parts.append(cells.pop(name))
        header, *rows = zip(*parts, strict=True)
        lines += [""] * bool(lines) + aligned(header, rows)
    return lines
