"""Run folders: a training with its settings, history, checkpoints and pictures.

::

    config.json       all arguments, versions, backend and seed
    model.keras       the best model on val (the last one where there is no val)
    checkpoint/       epoch-000006.keras, from which training goes on exactly
    history.csv       one row an epoch
    samples/          step-003000.png: reconstructions during training
    .lock             held by the process that trains

An epoch is `save_every` steps. Everything is written under a temporary name and moved
into place, so that a run which is killed at any moment can go on.
"""

from keras_ddr.runs.differences import differences
from keras_ddr.runs.fitting import fit
from keras_ddr.runs.folder import Run
from keras_ddr.runs.models import check_fits, load_model, verify
from keras_ddr.runs.settings import Training
from keras_ddr.signals import Stopped

__all__ = [
    "Run",
    "Stopped",
    "Training",
    "check_fits",
    "differences",
    "fit",
    "load_model",
    "verify",
]
