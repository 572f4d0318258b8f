"""The judge: what a classifier sees in frames with one code kept, one drawn anew.

A single-frame form of the protocol of C-DSVAE and others, which judges sequences of 8
ordered frames: numbers of the two are not comparable one by one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.arguments import check_whole
from keras_ddr.errors import InputError
from keras_ddr.evaluation import intervals
from keras_ddr.evaluation.judge_scores import (
    JudgeScore,
    MSDScore,
    TargetScore,
    entropies,
    msd_score,
)
from keras_ddr.evaluation.judge_targets import choose_targets, look_alike_ceiling
from keras_ddr.evaluation.measure import Measure, option
from keras_ddr.evaluation.text_table import aligned, number, numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.evaluation.encoded import EncodedSplit
    from keras_ddr.evaluation.judge_targets import Target
    from keras_ddr.evaluation.judge_training import TrainedJudge
    from keras_ddr.evaluation.measure import Material

__all__ = ["Judge"]

_CHUNK = 256
_SETTINGS = {
    "held_out": "real",
    "reconstructed": "both kept",
    "fixed_dynamics": "z~ kept",
    "fixed_dynamics_raw": "z kept",
    "fixed_content": "f kept",
    "swapped": "f swapped",
}
_ENTROPIES = {"H(y|x)": "conditional", "H(y)": "marginal", "IS": "inception_score"}


@dataclasses.dataclass(frozen=True)
class Judge(Measure):
    """Train a judge on real frames, unless there is one, and let it judge.

    Attributes:
        steps: Training steps.
        attributes: Names of the sequence labels that it names, or one name; all
            categorical ones where `None`.
        action: Names of the frame labels that make the action together, or one name;
            "animation" and "direction", or else "pose", where `None`.
        frames: Largest number of frames that are judged in each setting.
        trained: `TrainedJudge` that `train_judge` made on this store, so that several
            models are seen by the same one; the options before `frames` are not used
            then.
    """

    steps: int = option(1000, "--judge-steps", "Training steps of the judge.")
    attributes: Collection[str] | None = option(
        None,
        "--attribute",
        "Sequence label that the judge names; may be given several times.  "
        "[default: all categorical ones]",
        several=True,
    )
    action: Collection[str] | None = option(
        None,
        "--action",
        "Frame label that the judge names; several are joined.  [default: animation "
        "with direction, or pose]",
        several=True,
    )
    frames: int = 2000
    trained: TrainedJudge | None = None

    name = "judge"
    about = (
        "what a classifier of real frames sees in frames with f or z drawn anew, and "
        "the MSD score"
    )
    counted = "steps of the judge"
    needs = frozenset({"codes", "fit"})

    def __post_init__(self) -> None:
        check_whole(steps=self.steps, frames=self.frames)
        if self.trained:
            object.__setattr__(self, "needs", Measure.needs)
        for field in ("attributes", "action"):
            names = getattr(self, field)
            if isinstance(names, str):
                object.__setattr__(self, field, (names,))

    def check(self, material: Material) -> None:
        """See `Measure`."""
        if self.trained:
            self.trained.check(material.store, material.test.sequences)
        elif self.attributes or self.action:
            self._choose_targets(material)

    def run(self, material: Material) -> JudgeScore:
        """See `Measure`."""
        judge = self.trained or self._train(material)
        model, test, seed = material.model, material.test, material.seed
        rows, truth = _choose_frames(test, judge.targets, self.frames, seed)
        generator = np.random.default_rng([seed, 4])
        f, z, scores = (test.frame_codes[code][rows] for code in ("f", "z", "z~"))
        new_f = model.draw_static(len(rows), generator)
        new_z = model.draw_dynamic(f, generator)
        pairs = {
            "reconstructed": (f, z),
            "fixed_dynamics": (new_f, model.unstandardize(new_f, scores)),
            "fixed_dynamics_raw": (new_f, z),
            "fixed_content": (f, new_z),
        }
        owner = test.owner[rows]
        if len(test.sequences) > 1:
            shift = generator.integers(1, len(test.sequences), size=len(rows))
            other_f = test.sequence_codes[(owner + shift) % len(test.sequences)]
            pairs["swapped"] = other_f, model.unstandardize(other_f, scores)

        def judged(
            images: Callable[[slice], NDArray[np.float32]],
        ) -> dict[str, TargetScore]:
            parts = [
                judge.predict(images(slice(start, start + _CHUNK)))
                for start in range(0, len(rows), _CHUNK)
            ]
            return {
                target.name: _score(
                    np.concatenate([part[target.name] for part in parts]),
                    truth[target.name],
                    owner,
                    seed,
                )
                for target in judge.targets
            }

        def decoded(setting: str) -> Callable[[slice], NDArray[np.float32]]:
            static, dynamic = pairs[setting]
            return lambda part: model.decode(static[part], dynamic[part])

        settings: dict[str, Any] = {
            "held_out": judged(lambda part: _real(test, rows[part]))
        }
        settings |= {setting: judged(decoded(setting)) for setting in pairs}
        *attributes, action = (target.name for target in judge.targets)
        return JudgeScore(
            action=action,
            attributes=tuple(attributes),
            **{"swapped": None, **settings},
            ceiling=look_alike_ceiling(test.store, test.sequences, judge.targets[-1]),
            steps=getattr(judge, "steps", None),
            msd=_msd_of(settings, attributes, action),
        )

    def lines(self, score: JudgeScore) -> list[str]:
        """See `Measure`."""
        settings = {text: getattr(score, name) for name, text in _SETTINGS.items()}
        shown = {text: found for text, found in settings.items() if found}
        targets = [*score.attributes, score.action]
        accuracies, rows = [], []
        for name in targets:
            found = [setting[name] for setting in shown.values()]
            values = [number(target.accuracy, target.interval) for target in found]
            accuracies.append([name, number(found[0].chance), *values])
            for text, attribute in _ENTROPIES.items():
                first = f"{name} (of {found[0].classes})" if text == "H(y|x)" else ""
                values = (getattr(target.entropies, attribute) for target in found)
                rows.append([first, text, *numbers(values)])
        msd = [
            ["f", number(score.msd.static)],
            ["z~", number(score.msd.dynamic)],
            ["z", number(score.msd.dynamic_raw)],
            ["mean of f and z~", number(score.msd.mean)],
        ]
        frames = score.held_out[score.action].frames
        ceiling = []
        if score.ceiling is not None:
            ceiling = [
                f"Some poses look the same, so that {score.ceiling:.3f} is the most "
                f"that {score.action} can reach."
            ]
        return [
            f"Judge: accuracy on {frames} frames. Real ones it never saw come first: "
            "nothing else can",
            "be trusted beyond that. Then decoded ones, with the other code drawn "
            "anew, or z~ kept",
            "and f of another sequence.",
            *aligned(["named", "chance", *shown], accuracies),
            *ceiling,
            "Entropies of its probabilities in nats; IS = exp(H(y) − H(y|x)). Single "
            "frames: not",
            "comparable with published numbers, which are of sequences of 8 frames.",
            *aligned(["named", "measure", *shown], rows),
            "",
            "MSD score: 1 − (|kept − 1| + |drawn − chance|) / 2, of the judge's "
            "accuracies",
            *aligned(["kept", "score"], msd),
        ]

    def _choose_targets(self, material: Material) -> list[Target]:
        """Targets of a new judge, the action last."""
        attributes, action = choose_targets(
            material.store,
            material.fit.sequences,
            material.test.sequences,
            self.attributes,
            self.action,
        )
        return [*attributes, action]

    def _train(self, material: Material) -> TrainedJudge:
        """A judge for this store."""
        from keras_ddr.evaluation.judge_training import train_judge

        targets = self._choose_targets(material)
        # Refuses test frames without labels before the judge is trained.
        _choose_frames(material.test, targets, self.frames, material.seed)
        return train_judge(
            material.store,
            material.fit.sequences,
            targets,
            steps=self.steps,
            seed=material.seed,
            progress=material.progress,
        )


def _msd_of(
    settings: Mapping[str, Mapping[str, TargetScore]],
    attributes: list[str],
    action: str,
) -> MSDScore:
    """The MSD scores that follow from the judge's accuracies."""

    def score(setting: str, kept: list[str], others: list[str]) -> float:
        found = settings[setting]
        return msd_score(
            [found[name].accuracy for name in kept],
            [found[name].accuracy for name in others],
            [found[name].chance for name in others],
        )

    static = score("fixed_content", attributes, [action])
    dynamic = score("fixed_dynamics", [action], attributes)
    raw = score("fixed_dynamics_raw", [action], attributes)
    return MSDScore(static, dynamic, raw, (static + dynamic) / 2)


def _real(test: EncodedSplit, rows: NDArray[np.integer]) -> NDArray[np.float32]:
    """Frames of these rows as intensities in [0, 1]."""
    indices = np.array([sequence.index for sequence in test.sequences])
    positions = test.position[rows][:, None]
    frames = test.store.gather(indices[test.owner[rows]], positions)[:, 0]
    return frames.astype(np.float32) / np.float32(255)


def _choose_frames(
    test: EncodedSplit, targets: list[Target], frames: int, seed: int
) -> tuple[NDArray[np.integer], dict[str, NDArray[np.integer]]]:
    """Rows of frames, and their class numbers (−1 for none) for each target."""
    sequences = test.sequences
    truth = {
        target.name: test.kept([target.of_sequence(test.store, s) for s in sequences])
        for target in targets
    }
    rows = np.flatnonzero(np.any([part >= 0 for part in truth.values()], axis=0))
    order = np.random.default_rng([seed, 3]).permutation(len(rows))[:frames]
    rows = rows[np.sort(order)]
    for name, part in truth.items():
        if not (part[rows] >= 0).any():
            raise InputError(f"no frame to judge has the label {name}")
    return rows, {name: part[rows] for name, part in truth.items()}


def _score(
    probabilities: NDArray[np.float64],
    truth: NDArray[np.integer],
    owner: NDArray[np.integer],
    seed: int,
) -> TargetScore:
    known = truth >= 0
    probabilities, truth, owner = probabilities[known], truth[known], owner[known]
    right = probabilities.argmax(axis=1) == truth
    classes = probabilities.shape[1]
    return TargetScore(
        accuracy=float(right.mean()),
        chance=1.0 / classes,
        interval=intervals.mean_interval(right, owner, seed),
        entropies=entropies(probabilities),
        classes=classes,
        frames=len(truth),
    )
