"""Clips: what a judge sees in them with f or z drawn anew, as in published tables.

The protocol of Bai et al., "Contrastively Disentangled Sequential Variational
Autoencoder", 2021, and of those who compare with it.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.evaluation.clip_cutting import cut_clips
from keras_ddr.evaluation.clip_kinds import clip_kinds
from keras_ddr.evaluation.clip_scores import ClipRow, Seen, balanced, row_of
from keras_ddr.evaluation.equal_error_rate import persons_of
from keras_ddr.evaluation.measure import Headline, Measure, aligned, number, option
from keras_ddr.evaluation.swap import mean_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.evaluation.clip_cutting import ClipSet
    from keras_ddr.evaluation.clip_judge import ClipJudge
    from keras_ddr.evaluation.measure import Material
    from keras_ddr.typing import StrPath

__all__ = ["ClipRow", "Clips", "ClipsScore"]

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


@dataclasses.dataclass(frozen=True)
class ClipsScore:
    """Scores of clips that a judge has seen.

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
        balanced: Number of clips that the entropies are of, as many of each action.
        frames: Frames of a clip.
    """

    action: str
    attributes: tuple[str, ...]
    classes: dict[str, int]
    rows: dict[str, ClipRow]
    clips: int
    balanced: int
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
        1, "--clip-draws", "Draws of every code that is drawn, for the judge of clips."
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
        judge, sequences = self._judge, material.test.sequences
        clips = cut_clips(material.store, sequences, judge.targets, judge.frames)
        people = persons_of(sequences)[clips.owner]
        found = self._see(material, clips, people)
        rows = {
            kind: row_of(draws, clips.truth, people, material.seed)
            for kind, draws in found.items()
        }
        *attributes, action = clips.truth
        return ClipsScore(
            action,
            tuple(attributes),
            {target.name: len(target.classes) for target in judge.targets},
            rows,
            clips=len(clips),
            balanced=len(balanced(clips.truth[action])),
            frames=clips.length,
        )

    def _see(
        self, material: Material, clips: ClipSet, people: NDArray[np.integer]
    ) -> dict[str, list[Seen]]:
        """Classes that the judge sees in each kind of clips, draw after draw."""
        judge, number = self._judge, len(clips)
        kinds = clip_kinds(material, clips, people)
        repeats = {kind.name: self.draws if kind.drawn else 1 for kind in kinds}
        total, seen = number * (1 + sum(repeats.values())), 0

        def done(judged: int) -> None:
            nonlocal seen
            seen += judged
            material.progress(seen, total)

        own = np.arange(number)
        found = {"real": [Seen(judge.judge(number, clips.images, done), own, own)]}
        for kind in kinds:
            found[kind.name] = []
            for draw in range(repeats[kind.name]):
                # No kind's draws depend on which others there are.
                seeds = [material.seed, 8, draw, *kind.name.encode()]
                generator = np.random.default_rng(seeds)
                images, *sources = kind.show(generator)
                saw = judge.judge(number, images, done)
                found[kind.name].append(Seen(saw, *sources))
        mean = mean_image(material.store, material.fit.sequences, seed=material.seed)
        still = np.broadcast_to(mean, (1, clips.length, *mean.shape))
        one = judge.probabilities(still)
        same = {name: np.repeat(p, number, axis=0) for name, p in one.items()}
        return {**found, "mean_image": [Seen(same, own, own)]}

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
            f"{score.balanced} clips, as many of each; mean of "
            f"{draws} draw{'s' * (draws > 1)}.",
        ]

    def headlines(self, score: ClipsScore) -> dict[str, Headline]:
        """See `Measure`."""
        found = {}
        kept = ("static_other", "static_fitted", "static_prior", "dynamic_prior")
        for kind in ("real", *kept):
            if kind in score.rows:
                row = score.rows[kind]
                for name, value in row.accuracy.items():
                    text = f"clips: {name}, {_ROWS[kind]}"
                    found[text] = Headline(value, row.intervals[name])
        for kind in ("static_prior", "drawn_prior"):
            if kind in score.rows:
                value = score.rows[kind].entropies["inception_score"]
                found[f"clips: IS, {_ROWS[kind]}"] = Headline(value)
        return found


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
