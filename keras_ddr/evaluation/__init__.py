"""Measures of how well f and z are kept apart.

Each measure is a class with its options, in a file of its own; `measures.py` lists
them. Libraries that take long to load are imported when a measure runs.
"""

from keras_ddr.evaluation.clips import Clips
from keras_ddr.evaluation.comparison import Comparison, compare
from keras_ddr.evaluation.confounding import Confound, confounds
from keras_ddr.evaluation.draws import Draws
from keras_ddr.evaluation.encoded import EncodedSplit
from keras_ddr.evaluation.equal_error_rate import Verification
from keras_ddr.evaluation.fixed_probes import ProbeScore, probe
from keras_ddr.evaluation.held_out import Leak
from keras_ddr.evaluation.judge import Judge
from keras_ddr.evaluation.judge_targets import choose_targets
from keras_ddr.evaluation.judge_training import TrainedJudge, train_judge
from keras_ddr.evaluation.likelihood import Likelihood
from keras_ddr.evaluation.measure import Headline, Material, Measure, Skipped
from keras_ddr.evaluation.measures import METRICS
from keras_ddr.evaluation.mig_dci import Axis
from keras_ddr.evaluation.motion import Motion, motion_explained
from keras_ddr.evaluation.prediction import Prediction
from keras_ddr.evaluation.probes import Probes
from keras_ddr.evaluation.reconstruction import Reconstruction
from keras_ddr.evaluation.report import EvaluationReport, evaluate
from keras_ddr.evaluation.swap import Swap

__all__ = [
    "METRICS",
    "Axis",
    "Clips",
    "Comparison",
    "Confound",
    "Draws",
    "EncodedSplit",
    "EvaluationReport",
    "Headline",
    "Judge",
    "Leak",
    "Likelihood",
    "Material",
    "Measure",
    "Motion",
    "Prediction",
    "ProbeScore",
    "Probes",
    "Reconstruction",
    "Skipped",
    "Swap",
    "TrainedJudge",
    "Verification",
    "choose_targets",
    "compare",
    "confounds",
    "evaluate",
    "motion_explained",
    "probe",
    "train_judge",
]
