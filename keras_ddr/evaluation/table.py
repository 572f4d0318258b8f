"""An evaluation report as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from keras_ddr.evaluation import probes

if TYPE_CHECKING:
    from keras_ddr.evaluation.axis import AxisScore
    from keras_ddr.evaluation.likelihood import LikelihoodScore
    from keras_ddr.evaluation.msd import MSDScore
    from keras_ddr.evaluation.protocol import JudgeScore
    from keras_ddr.evaluation.reconstruction import ReconstructionScore
    from keras_ddr.evaluation.report import EvaluationReport
    from keras_ddr.evaluation.swap import SwapScore
    from keras_ddr.evaluation.verification import VerificationScore
    from keras_ddr.typing import Interval

__all__ = ["table"]

_PLUS_MINUS = "±: half of the 95 % interval, from resampled sequences."


def table(report: EvaluationReport) -> str:
    """Text of an `EvaluationReport`, lines of at most 100 characters but for reasons.

    Args:
        report: `EvaluationReport`.

    Returns:
        Lines joined by newlines.
    """
    sections = [
        _likelihood(report.likelihood),
        _reconstruction(report.reconstruction),
        _probes(report),
        _swap(report.swap),
        _verification(report.verification),
        _axis(report.axis),
        _judge(report.judge),
        _msd(report.msd),
    ]
    details = report.details
    fitted = details["fit_sequences"]
    number = details["sequences"]
    lines = [
        f"Measured on {number} sequence{'' if number == 1 else 's'} of "
        f"{details['split']} ({details['frames']} frames)"
        + (f"; fitted on {fitted} of {details['fit_split']}." if fitted else "."),
        *(["One sequence says nothing of others."] if number == 1 else []),
        f"z~: standard score of z under p(z|f). {_PLUS_MINUS}",
    ]
    for section in sections:
        if section:
            lines += ["", *section]
    if report.skipped:
        lines += ["", "Not measured:"]
        lines += [f"  {item.what}: {item.reason}" for item in report.skipped]
    return "\n".join(lines)


def _likelihood(score: LikelihoodScore | None) -> list[str]:
    if score is None:
        return []
    value = _with(f"{score.log_likelihood:.2f}", score.log_likelihood_interval, 2)
    return [
        f"Likelihood of {score.sets} sets of {score.frames_per_set} frames, nats a "
        "frame",
        *_aligned(
            ["measure", "value"],
            [
                ["ELBO", _with(f"{score.elbo:.2f}", score.interval, 2)],
                ["  log p(x|f,z)", f"{score.log_prob:.2f}"],
                ["  KL of z", f"{score.kl_dynamic:.2f}"],
                ["  KL of f, divided by the frames", f"{score.kl_static:.2f}"],
                [f"log p(x) of {score.sampled_sets} sets", value],
                ["  ELBO of these", f"{score.sampled_elbo:.2f}"],
                [
                    f"  effective of {score.samples} draws",
                    f"{score.effective_sample_size:.1f}",
                ],
            ],
        ),
    ]


def _reconstruction(score: ReconstructionScore | None) -> list[str]:
    if score is None:
        return []
    return [
        f"Reconstruction of {score.frames} frames, intensities in [0, 1]",
        *_aligned(
            ["measure", "value"],
            [
                ["mse", _with(f"{score.mse:.5f}", score.mse_interval, 5)],
                ["SSIM", _with(f"{score.ssim:.3f}", score.ssim_interval)],
            ],
        ),
    ]


def _probes(report: EvaluationReport) -> list[str]:
    if not report.probes:
        return []
    rows = []
    for label, scores in report.probes.items():
        any_score = next(iter(scores.values()))
        unit = {"accuracy": "accuracy", "r2": "R²"}[any_score.metric]
        if any_score.classes:
            unit += f" of {any_score.classes}"
        majority = any_score.majority
        rows.append(
            [
                label,
                unit,
                f"{any_score.chance:.3f}",
                "" if majority is None else f"{majority:.3f}",
                *(_with(f"{s.value:.3f}", s.interval) for s in scores.values()),
            ]
        )
        if any_score.concordance is not None:
            values = (
                _with(f"{s.concordance:.3f}", s.concordance_interval)
                for s in scores.values()
            )
            rows.append(["", "CCC", "0.000", "", *values])
    codes = list(next(iter(report.probes.values())))
    return [
        "Probes: what is read from the codes. f: linear; z and z~: "
        f"{probes.NEIGHBOURS} nearest neighbours.",
        "chance: 1 / classes, or 0 for R² and CCC; majority: always naming the most "
        "frequent class.",
        *_aligned(["label", "measure", "chance", "majority", *codes], rows),
    ]


def _swap(score: SwapScore | None) -> list[str]:
    if score is None:
        return []
    rows = [
        ["f of A, z of B", "swap"],
        ["f of A, z~ of B", "swap_prior"],
        ["f of A, z of A", "reconstruction"],
        ["mean image", "mean_image"],
    ]
    return [
        f"Swap: mean squared error of {score.pairs} frames, intensities in [0, 1]",
        *_aligned(
            ["predicted from", "mse"],
            [
                [
                    text,
                    _with(f"{getattr(score, name):.5f}", score.intervals.get(name), 5),
                ]
                for text, name in rows
            ],
        ),
    ]


def _verification(scores: Mapping[str, VerificationScore] | None) -> list[str]:
    if scores is None:
        return []
    score = scores["f"]
    within = (
        [
            f"{score.halved} of {score.persons} persons have one sequence only: their "
            "pairs are parts of it."
        ]
        if score.halved
        else []
    )
    return [
        f"Verification: equal error rate of {score.genuine} pairs of one person and "
        f"{score.impostors} of two",
        *within,
        *_aligned(
            ["measure", "chance", *scores],
            [
                [
                    "equal error rate",
                    "0.500",
                    *(_with(f"{s.value:.3f}", s.interval) for s in scores.values()),
                ]
            ],
        ),
    ]


def _axis(scores: Mapping[str, AxisScore] | None) -> list[str]:
    if scores is None:
        return []
    names = list(scores["z"].gaps)
    rows = [["MIG", *(f"{s.mig:.3f}" for s in scores.values())]]
    rows += [
        [f"  {name}", *(f"{s.gaps[name]:.3f}" for s in scores.values())]
        for name in names
    ]
    for text, attribute in (
        ("DCI disentanglement", "disentanglement"),
        ("DCI completeness", "completeness"),
    ):
        values = [getattr(s, attribute) for s in scores.values()]
        rows.append([text, *("" if v is None else f"{v:.3f}" for v in values)])
    rows += [
        [
            f"DCI informativeness, R² of {name}",
            *(f"{s.informativeness[name]:.3f}" for s in scores.values()),
        ]
        for name in names
    ]
    return [
        "Axes: one component of z for each factor? 1 is perfect.",
        *_aligned(["measure", *scores], rows),
    ]


def _judge(score: JudgeScore | None) -> list[str]:
    if score is None:
        return []
    settings = {
        "real": score.held_out,
        "both kept": score.reconstructed,
        "z~ kept": score.fixed_dynamics,
        "z kept": score.fixed_dynamics_raw,
        "f kept": score.fixed_content,
        "f swapped": score.swapped,
    }
    shown = {text: found for text, found in settings.items() if found}
    targets = [*score.attributes, score.action]
    frames = score.held_out[score.action].frames
    lines = [
        f"Judge: accuracy on {frames} frames. Real ones it never saw come first: "
        "nothing else can",
        "be trusted beyond that. Then decoded ones, with the other code drawn anew, or "
        "z~ kept",
        "and f of another sequence.",
        *_aligned(
            ["named", "chance", *shown],
            [
                [
                    name,
                    f"{score.held_out[name].chance:.3f}",
                    *(
                        _with(f"{found[name].accuracy:.3f}", found[name].interval)
                        for found in shown.values()
                    ),
                ]
                for name in targets
            ],
        ),
    ]
    if score.ceiling is not None:
        lines.append(
            f"Some poses look the same, so that {score.ceiling:.3f} is the most that "
            f"{score.action} can reach."
        )
    rows = []
    for name in targets:
        for text, attribute in (
            ("H(y|x)", "conditional"),
            ("H(y)", "marginal"),
            ("IS", "inception_score"),
        ):
            values = [
                getattr(found[name].entropies, attribute) for found in shown.values()
            ]
            rows.append(
                [
                    f"{name} (of {score.held_out[name].classes})"
                    if text == "H(y|x)"
                    else "",
                    text,
                    *(f"{value:.3f}" for value in values),
                ]
            )
    return [
        *lines,
        "Entropies of its probabilities in nats; IS = exp(H(y) − H(y|x)). Single "
        "frames: not",
        "comparable with published numbers, which are of sequences of 8 frames.",
        *_aligned(["named", "measure", *shown], rows),
    ]


def _msd(score: MSDScore | None) -> list[str]:
    if score is None:
        return []
    return [
        "MSD score: 1 − (|kept − 1| + |drawn − chance|) / 2, of the judge's accuracies",
        *_aligned(
            ["kept", "score"],
            [
                ["f", f"{score.static:.3f}"],
                ["z~", f"{score.dynamic:.3f}"],
                ["z", f"{score.dynamic_raw:.3f}"],
                ["mean of f and z~", f"{score.mean:.3f}"],
            ],
        ),
    ]


def _with(text: str, interval: Interval | None, digits: int = 3) -> str:
    """A number with half of its interval."""
    if interval is None:
        return text
    half = f"{(interval[1] - interval[0]) / 2:.{digits}f}"
    return f"{text} ±{half.removeprefix('0')}"


def _aligned(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a table: the first columns to the left, numbers to the right."""
    table = [header, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    texts = 2 if header[1] == "measure" else 1
    lines = []
    for row in table:
        cells = [
            cell.ljust(width) if i < texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return lines
