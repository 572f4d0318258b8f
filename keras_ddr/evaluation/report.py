"""Evaluation of a trained model on persons that it was not trained on."""

import dataclasses
import math

import numpy as np

from keras_ddr.data.store import CROP_LABELS, FRAME_LABELS
from keras_ddr.errors import InputError
from keras_ddr.evaluation import probes, swap

__all__ = ["CODES", "EvaluationReport", "Skipped", "evaluate"]

CODES = {"f": "linear", "z": "neighbours", "z~": "neighbours"}
"""The codes that are probed, and the estimator that reads each."""

_LINEAR_FRAMES = 4000  # frames that a linear probe of a frame label sees, at most
# Where a frame came from, not what it shows.
_BOOKKEEPING = (*FRAME_LABELS, *CROP_LABELS)


@dataclasses.dataclass(frozen=True)
class Skipped:
    """Something that could not be measured.

    Attributes:
        what: Name of the label or measure.
        reason: Why, in one line.
    """

    what: str
    reason: str


@dataclasses.dataclass(frozen=True)
class EvaluationReport:
    """What `evaluate` found.

    Attributes:
        probes: Dict label name → code ("f", "z", "z~") → `probes.ProbeScore`. z~ is
            the standard score of z under p(z | f).
        scopes: Dict label name → "sequence" or "frame".
        swap: `swap.SwapScore`, or `None` where it was skipped.
        skipped: List of `Skipped`.
        details: Dict of the split, the numbers of sequences and frames, and the seed.
    """

    probes: dict
    scopes: dict
    swap: swap.SwapScore | None
    skipped: list
    details: dict

    def to_dict(self):
        """Everything as nested dicts of plain values, ready for JSON."""
        return {
            "details": self.details,
            "probes": {
                label: {
                    "scope": self.scopes[label],
                    **{code: score.to_dict() for code, score in scores.items()},
                }
                for label, scores in self.probes.items()
            },
            "swap": self.swap.to_dict() if self.swap else None,
            "skipped": [dataclasses.asdict(item) for item in self.skipped],
        }

    def table(self):
        """The metrics as plain text, each beside what guessing gives."""
        rows = []
        for label, scores in self.probes.items():
            any_score = next(iter(scores.values()))
            unit = {"accuracy": "accuracy", "r2": "R²"}[any_score.metric]
            if any_score.classes:
                unit += f" of {any_score.classes}"
            rows.append([label, unit, *_cells(scores, "value", any_score)])
            if any_score.concordance is not None:
                rows.append(["", "CCC", *_cells(scores, "concordance", any_score)])
        details = self.details
        lines = [
            f"Read from the codes of {details['sequences']} {details['split']} "
            f"sequences ({details['frames']} frames); probes fitted on "
            f"{details['fit_sequences']} {details['fit_split']} sequences.",
            "f: linear probe; z and z~ (standard score of z under p(z|f)): "
            f"{probes.NEIGHBOURS} nearest neighbours.",
            "chance: 1 / classes, or 0 for R² and CCC; majority: always naming the "
            "most frequent class.",
            "",
            *_aligned(
                ["label", "measure", "chance", "majority", *(c for c in CODES)], rows
            ),
        ]
        if self.swap:
            lines += [
                "",
                f"Mean squared error of {self.swap.pairs} frames, intensities in "
                "[0, 1]",
                *_aligned(
                    ["predicted from", "mse"],
                    [
                        ["f of A, z of B", f"{self.swap.swap:.5f}"],
                        ["f of A, z~ of B", f"{self.swap.swap_prior:.5f}"],
                        ["f of A, z of A", f"{self.swap.reconstruction:.5f}"],
                        ["mean image", f"{self.swap.mean_image:.5f}"],
                    ],
                ),
            ]
        if self.skipped:
            lines += ["", "Not measured:"]
            lines += [f"  {item.what}: {item.reason}" for item in self.skipped]
        return "\n".join(lines)


def evaluate(
    model,
    store,
    split="test",
    fit_split="train",
    sequences=None,
    seed=0,
    *,
    max_frames=20_000,
    pairs=1000,
    progress=None,
):
    """Probe f, z and z~ for every label of a store, and measure the swap error.

    All codes are posterior means. Each sequence is encoded once. Labels of sequences
    and of frames are each read from all three codes: f should know the first and not
    the second, z the reverse.

    Args:
        model: A trained `DDR`.
        store: `FrameStore` with labels.
        split: Split to score on; its persons are not those of `fit_split`.
        fit_split: Split that the probes are fitted on.
        sequences: Largest number of sequences of each split (a random choice), or
            `None` for all.
        seed: Of every choice made here.
        max_frames: Largest number of frames that a probe is fitted on, and scored on
            (a random choice); a linear probe of a frame label sees at most 4000.
        pairs: Number of pairs for the swap error.
        progress: Called with (sequences encoded, all sequences), or `None`.

    Returns:
        `EvaluationReport`; what a store has no labels for is listed as skipped.

    Raises:
        InputError: A split is empty, or holds no sequence that is long enough.
    """
    generator = np.random.default_rng(seed)
    number = model.frames_per_set
    parts = {
        name: _choose(_select(store, name, number), sequences, generator)
        for name in dict.fromkeys([fit_split, split])
    }
    total = sum(len(part) for part in parts.values())
    encoded, done = {}, 0
    for name, part in parts.items():
        codes = []
        for sequence in part:
            codes.append(model.encode(store.frames(sequence.index), seed=seed))
            done += 1
            if progress is not None:
                progress(done, total)
        encoded[name] = _Encoded(store, part, codes, max_frames, generator)
    fit, test = encoded[fit_split], encoded[split]
    found, scopes, skipped = {}, {}, []
    labels = {k: v for k, v in store.label_info.items() if k not in _BOOKKEEPING}
    for label, info in labels.items():
        if info["kind"] not in ("categorical", "continuous", "periodic"):
            skipped.append(Skipped(label, f"labels of kind {info['kind']!r}"))
            continue
        try:
            found[label] = _probe_label(fit, test, label, info)
            scopes[label] = info["scope"]
        except InputError as error:
            skipped.append(Skipped(label, str(error)))
    if not labels:
        skipped.append(Skipped("probes", "the store has no labels"))
    score = None
    try:
        score = swap.swap_error(
            model,
            store,
            test.sequences,
            codes=test.codes,
            fit_sequences=fit.sequences,
            pairs=pairs,
            seed=seed,
        )
    except InputError as error:
        skipped.append(Skipped("swap error", str(error)))
    details = {
        "split": split,
        "fit_split": fit_split,
        "sequences": len(test.sequences),
        "fit_sequences": len(fit.sequences),
        "frames": int(len(test.frame_codes["z"])),
        "fit_frames": int(len(fit.frame_codes["z"])),
        "max_frames": max_frames,
        "seed": seed,
    }
    return EvaluationReport(found, scopes, score, skipped, details)


class _Encoded:
    """Codes and labels of one split; frames are a random choice of all frames."""

    def __init__(self, store, sequences, codes, max_frames, generator):
        self.store = store
        self.sequences = sequences
        self.codes = codes
        f = np.stack([c.static.mean for c in codes])
        lengths = [sequence.length for sequence in sequences]
        self._owner = np.repeat(np.arange(len(sequences)), lengths)
        self._position = np.concatenate([np.arange(length) for length in lengths])
        kept = np.arange(len(self._owner))
        if len(kept) > max_frames:
            kept = np.sort(generator.choice(kept, size=max_frames, replace=False))
        self._owner, self._position = self._owner[kept], self._position[kept]
        self._rank = generator.permutation(len(kept))
        self.sequence_codes = f
        self.frame_codes = {
            "f": f[self._owner],
            "z": np.concatenate([c.dynamic.mean for c in codes])[kept],
            "z~": np.concatenate([c.standardized for c in codes])[kept],
        }

    def items(self, label, info, code):
        """Codes and label values of all items that have the label."""
        if info["scope"] == "sequence":
            values = [sequence.labels.get(label) for sequence in self.sequences]
            present = np.array([not _is_missing(v, info) for v in values])
            values = np.array(
                [v if p else "" for v, p in zip(values, present, strict=True)]
            )
            codes = self.sequence_codes
            if code != "f":
                codes = self.frame_codes[code]
                present, values = present[self._owner], values[self._owner]
        else:
            codes = self.frame_codes[code]
            values = self._frame_values(label)
            present = np.array([not _is_missing(v, info) for v in values.tolist()])
        codes, values = codes[present], values[present]
        if info["kind"] != "categorical":
            values = values.astype("float64")
        if code == "f" and info["scope"] == "frame":
            # f is the same for all frames of a sequence, so that more rows add time
            # (a linear probe of 178 poses takes many minutes) and no knowledge.
            rank = self._rank[present]
            chosen = np.sort(np.argsort(rank)[:_LINEAR_FRAMES])
            codes, values = codes[chosen], values[chosen]
        return codes, values

    def _frame_values(self, label):
        values = None
        for owner, sequence in enumerate(self.sequences):
            mask = self._owner == owner
            stored = np.asarray(self.store.frame_labels(sequence.index)[label])
            if values is None:
                values = np.empty(len(self._owner), stored.dtype)
            values[mask] = stored[self._position[mask]]
        return values


def _probe_label(fit, test, label, info):
    classes = info.get("classes")
    period = probes.period_of(info.get("unit")) if info["kind"] == "periodic" else None
    return {
        code: probes.probe(
            *fit.items(label, info, code),
            *test.items(label, info, code),
            info["kind"],
            estimator,
            classes=len(classes) if classes else None,
            period=period,
        )
        for code, estimator in CODES.items()
    }


def _is_missing(value, info):
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    if isinstance(value, str) and not value:
        return True
    return info.get("missing") is not None and value == info["missing"]


def _select(store, split, number):
    sequences = store.select(split=split, min_length=number)
    if not sequences:
        splits = sorted({sequence.split for sequence in store.sequences})
        raise InputError(
            f"{store.path} has no sequence of at least {number} frames in the split "
            f"{split!r}; its splits are {', '.join(splits) or 'none'}"
        )
    return sequences


def _choose(sequences, number, generator):
    if number is None or number >= len(sequences):
        return list(sequences)
    chosen = generator.choice(len(sequences), size=number, replace=False)
    return [sequences[i] for i in np.sort(chosen)]


def _cells(scores, attribute, any_score):
    chance = any_score.chance if attribute == "value" else 0.0
    majority = any_score.majority if attribute == "value" else None
    return [
        f"{chance:.3f}",
        "" if majority is None else f"{majority:.3f}",
        *(f"{getattr(score, attribute):.3f}" for score in scores.values()),
    ]


def _aligned(header, rows):
    """Lines of a table: the first columns to the left, numbers to the right."""
    table = [header, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    texts = 2 if len(header) > 2 else 1
    lines = []
    for row in table:
        cells = [
            cell.ljust(width) if i < texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return lines
