"""A store of small puppets, and settings of a run that takes seconds."""

import keras
import pytest

from keras_ddr import runs
from keras_ddr.datasets import puppets
from keras_ddr.runs import fitting

MODEL = {
    "frames_per_set": 3,
    "static_dim": 4,
    "filters": 8,
    "pair_filters": 8,
    "hidden_units": 16,
}
TRAINING = {"batch_size": 4, "steps": 8, "save_every": 2}


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "puppets"
    return puppets.prepare(path, identities=24, size=32, arms=4, legs=3)


def create_run(path, store, model=None, training=None, **arguments):
    keras.utils.set_random_seed(0)
    return runs.Run.create(
        path,
        store,
        "tiny",
        model={**MODEL, **(model or {})},
        training={**TRAINING, **(training or {})},
        **arguments,
    )


@pytest.fixture(autouse=True)
def without_pictures(request, monkeypatch):
    """Most tests look at none, and each run would compile what draws its first one."""
    if "pictures" not in request.keywords:
        monkeypatch.setattr(fitting._Recorder, "_picture", lambda self: None)


@pytest.fixture
def create(store, tmp_path):
    """Factory of runs with the same initial weights."""

    def make(name="run", data=None, **arguments):
        return create_run(tmp_path / name, data or store, **arguments)

    return make


@pytest.fixture(scope="session")
def whole(store, tmp_path_factory):
    """A run that was never interrupted; tests leave it as it is."""
    run = create_run(tmp_path_factory.mktemp("runs") / "whole", store)
    return runs.fit(run, verbose=0, report=None)
