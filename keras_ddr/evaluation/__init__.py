"""Measures of how well f and z are kept apart."""

from keras_ddr.evaluation.probes import ProbeScore, probe
from keras_ddr.evaluation.report import EvaluationReport, evaluate
from keras_ddr.evaluation.swap import SwapScore, swap_error

__all__ = [
    "EvaluationReport",
    "ProbeScore",
    "SwapScore",
    "evaluate",
    "probe",
    "swap_error",
]
