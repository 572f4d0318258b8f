"""Measures of how well f and z are kept apart.

Each measure is a class with its options, in a file of its own; `measures.py` lists
them. Libraries that take long to load are imported when a measure runs.
"""

from typing import TYPE_CHECKING, Any

from keras_ddr.evaluation.encoded import EncodedSplit
from keras_ddr.evaluation.equal_error_rate import Verification, equal_error_rate
from keras_ddr.evaluation.fixed_probes import ProbeScore, probe
from keras_ddr.evaluation.judge import Judge
from keras_ddr.evaluation.judge_scores import entropies, msd_score
from keras_ddr.evaluation.judge_targets import Target, choose_targets
from keras_ddr.evaluation.likelihood import Likelihood
from keras_ddr.evaluation.measure import Material, Measure
from keras_ddr.evaluation.measures import METRICS
from keras_ddr.evaluation.mig_dci import Axis, dci, mutual_information_gap
from keras_ddr.evaluation.motion import Motion, motion_explained
from keras_ddr.evaluation.probes import Probes
from keras_ddr.evaluation.reconstruction import Reconstruction, structural_similarity
from keras_ddr.evaluation.report import EvaluationReport, evaluate
from keras_ddr.evaluation.swap import Swap

if TYPE_CHECKING:
    from keras_ddr.evaluation.judge_training import TrainedJudge, train_judge

__all__ = [
    "METRICS",
    "Axis",
    "EncodedSplit",
    "EvaluationReport",
    "Judge",
    "Likelihood",
    "Material",
    "Measure",
    "Motion",
    "ProbeScore",
    "Probes",
    "Reconstruction",
    "Swap",
    "Target",
    "TrainedJudge",
    "Verification",
    "choose_targets",
    "dci",
    "entropies",
    "equal_error_rate",
    "evaluate",
    "motion_explained",
    "msd_score",
    "mutual_information_gap",
    "probe",
    "structural_similarity",
    "train_judge",
]


def __getattr__(name: str) -> Any:
    # Training a judge needs Keras; the names of the measures do not.
    if name in ("TrainedJudge", "train_judge"):
        from keras_ddr.evaluation import judge_training

        return getattr(judge_training, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
