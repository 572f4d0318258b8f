"""The judge: what a classifier sees in frames with one code kept, one drawn anew.

A single-frame form of the protocol of C-DSVAE and others, which judges sequences of 8
ordered frames: numbers of the two are not comparable one by one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.errors import InputError
from keras_ddr.evaluation.judge_scores import (
    JudgeScore,
    TargetScore,
    msd_score,
    target_score,
)
from keras_ddr.evaluation.judge_targets import choose_targets, look_alike_ceiling
from keras_ddr.evaluation.judge_training import TrainedJudge, train_judge
from keras_ddr.evaluation.measure import (
    Headline,
    Measure,
    aligned,
    number,
    numbers,
    option,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.evaluation.encoded import EncodedSplit
    from keras_ddr.evaluation.judge_targets import Target
    from keras_ddr.evaluation.measure import Material
    from keras_ddr.sequence_model import SequenceModel

__all__ = ["Judge", "JudgeScore", "TargetScore"]

_CHUNK = 256
_GRID, _IDENTITIES = np.linspace(0.02, 0.98, 9), 20  # as `plot_manifold` draws
_SETTINGS = {
    "held_out": "real",
    "reconstructed": "both kept",
    "fixed_dynamics": "z~ kept",
    "fixed_dynamics_raw": "z kept",
    "fixed_content": "f kept",
    "swapped": "f swapped",
    "fixed_dynamics_fitted": "f fitted",
}
_CERTAINTY = {
    "H(y|x)": "conditional",
    "H(y)": "marginal",
    "IS": "inception_score",
    "sure": "confidence",
}
_MSD = {"f": "static", "z~": "dynamic", "z": "dynamic_raw", "mean of f and z~": "mean"}


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
        super().__post_init__()
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
        owner = test.owner[rows]

        real = _predictions(judge, len(rows), lambda part: _real(test, rows[part]))
        found = {"held_out": real}
        for setting, (f, z) in _pairs(material, rows).items():
            found[setting] = _decoded(judge, model, f, z)
        settings: dict[str, Any] = dict.fromkeys(_SETTINGS)
        for setting, said in found.items():
            settings[setting] = {
                name: target_score(said[name], known, owner, seed)
                for name, known in truth.items()
            }
        drawn = found.get("fixed_dynamics_fitted")
        *attributes, action = (target.name for target in judge.targets)
        return JudgeScore(
            action=action,
            attributes=tuple(attributes),
            **settings,
            worst_cell=_worst_cell(judge, material, real),
            new_combinations=(
                None if drawn is None else _new(drawn, judge.targets, material.store)
            ),
            ceiling=look_alike_ceiling(test.store, test.sequences, judge.targets[-1]),
            steps=getattr(judge, "steps", None),
            msd=_msd_of(settings, attributes, [action]),
        )

    def lines(self, score: JudgeScore) -> list[str]:
        """See `Measure`."""
        settings = {text: getattr(score, name) for name, text in _SETTINGS.items()}
        shown = {text: found for text, found in settings.items() if found}
        accuracies, rows, widest = [], [], 0.0
        for name in [*score.attributes, score.action]:
            found = [setting[name] for setting in shown.values()]
            values = numbers(target.accuracy for target in found)
            widest = max(
                widest, *(t.interval[1] - t.interval[0] for t in found if t.interval), 0
            )
            accuracies.append([name, number(found[0].chance), *values])
            for text, key in _CERTAINTY.items():
                first = f"{name} (of {found[0].classes})" if text == "H(y|x)" else ""
                values = numbers(target.entropies[key] for target in found)
                rows.append([first, text, *values])
        msd = [[text, number(score.msd[name])] for text, name in _MSD.items()]
        frames = score.held_out[score.action].frames
        ceiling = (
            f"Some poses look the same, so that {score.ceiling or 1:.3f} is the most "
            f"that {score.action} can reach."
        )
        return [
            f"Judge: accuracy on {frames} frames. Real ones it never saw come first: "
            "nothing else can",
            "be trusted beyond that. Then decoded ones, with the other code drawn "
            "anew; or z~ kept",
            "and f of another sequence, or of the density that was fitted to codes.",
            *aligned(["named", "chance", *shown], accuracies),
            f"Half of the widest 95 % interval: {widest / 2:.3f}.",
            *([] if score.ceiling is None else [ceiling]),
            "Entropies of its probabilities in nats; IS = exp(H(y) − H(y|x)); sure: "
            "mean of the largest.",
            "Single frames: not comparable with published numbers, which are of "
            "sequences of 8 frames.",
            *aligned(["named", "measure", *shown], rows),
            *_told_draws(score),
            "",
            "MSD score: 1 − (|kept − 1| + |drawn − chance|) / 2, of the judge's "
            "accuracies",
            *aligned(["kept", "score"], msd),
        ]

    def _choose_targets(self, material: Material) -> list[Target]:
        """Targets of a new judge, the action last."""
        learned, judged = material.fit.sequences, material.test.sequences
        options = self.attributes, self.action
        attributes, action = choose_targets(material.store, learned, judged, *options)
        return [*attributes, action]

    def _train(self, material: Material) -> TrainedJudge:
        """A judge for this store."""
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

    def headlines(self, score: JudgeScore) -> dict[str, Headline]:
        """See `Measure`."""
        found = {}
        for text, part in (
            ("f of another", score.swapped),
            ("f drawn", score.fixed_dynamics_fitted),
        ):
            if part is not None:
                named = part[score.action]
                text = f"judge: {score.action}, {text}"
                found[text] = Headline(named.accuracy, named.interval)
        return found


def _msd_of(
    settings: Mapping[str, Any], attributes: list[str], action: list[str]
) -> dict[str, float]:
    """The MSD scores that follow from the judge's accuracies."""
    static = msd_score(settings["fixed_content"], attributes, action)
    dynamic = msd_score(settings["fixed_dynamics"], action, attributes)
    raw = msd_score(settings["fixed_dynamics_raw"], action, attributes)
    mean = (static + dynamic) / 2
    return {"static": static, "dynamic": dynamic, "dynamic_raw": raw, "mean": mean}


def _one_frame(
    model: SequenceModel, static: NDArray[np.float32], generator: np.random.Generator
) -> NDArray[np.float32]:
    """Z of a frame for each f `(n, static_dim)`; of ordered ones, any of a window."""
    if model.frame_order == "random":
        return model.draw_dynamic(static, generator)
    repeated = np.broadcast_to(static, (model.set_size, *static.shape))
    drawn = model.draw_dynamic(repeated, generator)
    times = generator.integers(model.set_size, size=len(static))
    return drawn[times, np.arange(len(static))]


def _pairs(
    material: Material, rows: NDArray[np.integer]
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """F and z to decode in each setting."""
    model, test = material.model, material.test
    generator = np.random.default_rng([material.seed, 4])
    f, z, scores = (test.frame_codes[code][rows] for code in ("f", "z", "z~"))
    new_f = model.draw_static(len(rows), generator)
    new_z = _one_frame(model, f, generator)
    pairs = {
        "reconstructed": (f, z),
        "fixed_dynamics": (new_f, model.unstandardize(new_f, scores)),
        "fixed_dynamics_raw": (new_f, z),
        "fixed_content": (f, new_z),
    }
    count = len(test.sequences)
    if count > 1:
        shift = generator.integers(1, count, size=len(rows))
        other_f = test.sequence_codes[(test.owner[rows] + shift) % count]
        pairs["swapped"] = other_f, model.unstandardize(other_f, scores)
    if model.densities is not None:
        new_f = model.densities.static.sample(len(rows), generator)
        pairs["fixed_dynamics_fitted"] = new_f, model.unstandardize(new_f, scores)
    return pairs


def _predictions(
    judge: TrainedJudge, number: int, images: Callable[[slice], NDArray[np.float32]]
) -> dict[str, NDArray[np.float64]]:
    """Probabilities of so many images, which are made a part at a time."""
    parts = [
        judge.predict(images(slice(start, start + _CHUNK)))
        for start in range(0, number, _CHUNK)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _decoded(
    judge: TrainedJudge,
    model: SequenceModel,
    f: NDArray[np.float32],
    z: NDArray[np.float32],
) -> dict[str, NDArray[np.float64]]:
    """Probabilities of decoded frames."""
    return _predictions(judge, len(f), lambda part: model.decode(f[part], z[part]))


def _worst_cell(
    judge: TrainedJudge, material: Material, real: Mapping[str, NDArray[np.float64]]
) -> float | None:
    """See `JudgeScore`."""
    model, static = material.model, material.test.sequence_codes
    if model.densities is None:
        return None
    generator = np.random.default_rng([material.seed, 7])
    static = static[np.sort(generator.permutation(len(static))[:_IDENTITIES])]
    axes = range(min(2, model.dynamic_dim))
    scores = model.densities.dynamic.grid(_GRID, axes).reshape(-1, model.dynamic_dim)
    f = np.repeat(static, len(scores), axis=0)
    z = model.unstandardize(f, np.tile(scores, (len(static), 1)))
    cells = _confidence(_decoded(judge, model, f, z)).reshape(len(static), -1)
    return float(cells.mean(axis=0).min() / _confidence(real).mean())


def _confidence(
    probabilities: Mapping[str, NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Largest probability of each image, the mean of all targets."""
    return np.mean([p.max(axis=1) for p in probabilities.values()], axis=0)


def _new(
    probabilities: Mapping[str, NDArray[np.float64]],
    targets: list[Target],
    store: FrameStore,
) -> float:
    """Share of frames whose attributes together are those of no sequence of train."""
    attributes = [target for target in targets if target.scope == "sequence"]
    known = {
        tuple(target.of_sequence(store, sequence)[0] for target in attributes)
        for sequence in store.select("train")
    }
    named = np.stack([probabilities[t.name].argmax(axis=1) for t in attributes], axis=1)
    return float(np.mean([tuple(row) not in known for row in named.tolist()]))


def _told_draws(score: JudgeScore) -> list[str]:
    """Lines on the fitted densities, if there are some."""
    if score.new_combinations is None or score.worst_cell is None:
        return []
    return [
        f"Of f drawn from the fitted density, {score.new_combinations:.3f} have "
        "attributes that occur together in no",
        "sequence of train. In the worst cell of a 9x9 manifold the judge is "
        f"{score.worst_cell:.3f} times as sure as of",
        "real frames.",
    ]


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
