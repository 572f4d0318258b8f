"""All measures of `evaluate`, in their order; a new one is added here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from keras_ddr.errors import InputError
from keras_ddr.evaluation.clips import Clips
from keras_ddr.evaluation.draws import Draws
from keras_ddr.evaluation.equal_error_rate import Verification
from keras_ddr.evaluation.judge import Judge
from keras_ddr.evaluation.likelihood import Likelihood
from keras_ddr.evaluation.mig_dci import Axis
from keras_ddr.evaluation.motion import Motion
from keras_ddr.evaluation.prediction import Prediction
from keras_ddr.evaluation.probes import Probes
from keras_ddr.evaluation.reconstruction import Reconstruction
from keras_ddr.evaluation.swap import Swap

if TYPE_CHECKING:
    from keras_ddr.evaluation.measure import Measure

__all__ = ["METRICS"]

METRICS: dict[str, type[Measure]] = {
    measure.name: measure
    for measure in (
        Likelihood,
        Reconstruction,
        Prediction,
        Motion,
        Probes,
        Swap,
        Verification,
        Axis,
        Draws,
        Judge,
        Clips,
    )
}
"""Dict name → class of a measure."""


def choose_measures(metrics: str | Measure | Iterable[str | Measure]) -> list[Measure]:
    """Measures as given or by name, in the order of `METRICS`, others last."""
    if metrics == "all":
        metrics = [name for name, measure in METRICS.items() if measure.by_default]
    elif isinstance(metrics, str) or not isinstance(metrics, Iterable):
        metrics = [metrics]
    metrics = list(dict.fromkeys(metrics))
    names = [m if isinstance(m, str) else getattr(m, "name", str(m)) for m in metrics]
    runs = (metric for metric in metrics if hasattr(metric, "run"))
    known = METRICS.keys() | {getattr(metric, "name", "") for metric in runs}
    unknown = [name for name in names if name not in known]
    if unknown or not metrics:
        raise InputError(
            f"metrics={', '.join(unknown) or 'none'}; choose among {', '.join(METRICS)}"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"metrics={twice[0]} is given twice; give it once")
    order = {name: place for place, name in enumerate(METRICS)}
    chosen = [METRICS[m]() if isinstance(m, str) else m for m in metrics]
    return sorted(chosen, key=lambda measure: order.get(measure.name, len(order)))
