"""Measures of how well f and z are kept apart."""

from keras_ddr.evaluation.axis import AxisScore, dci, mutual_information_gap
from keras_ddr.evaluation.encoded import EncodedSplit
from keras_ddr.evaluation.judge import Judge, train_judge
from keras_ddr.evaluation.likelihood import LikelihoodScore, measure_likelihood
from keras_ddr.evaluation.msd import MSDScore, msd_score
from keras_ddr.evaluation.probes import ProbeScore, probe
from keras_ddr.evaluation.protocol import JudgeScore, entropies, judge_codes
from keras_ddr.evaluation.reconstruction import (
    ReconstructionScore,
    structural_similarity,
)
from keras_ddr.evaluation.report import METRICS, EvaluationReport, evaluate
from keras_ddr.evaluation.swap import SwapScore, swap_error
from keras_ddr.evaluation.targets import Target, choose_targets
from keras_ddr.evaluation.verification import (
    VerificationScore,
    equal_error_rate,
    verify,
)

__all__ = [
    "METRICS",
    "AxisScore",
    "EncodedSplit",
    "EvaluationReport",
    "Judge",
    "JudgeScore",
    "LikelihoodScore",
    "MSDScore",
    "ProbeScore",
    "ReconstructionScore",
    "SwapScore",
    "Target",
    "VerificationScore",
    "choose_targets",
    "dci",
    "entropies",
    "equal_error_rate",
    "evaluate",
    "judge_codes",
    "measure_likelihood",
    "msd_score",
    "mutual_information_gap",
    "probe",
    "structural_similarity",
    "swap_error",
    "train_judge",
    "verify",
]
