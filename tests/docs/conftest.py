import pytest


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A folder with what the pages speak of: STORE, and RUN that was trained on it."""
    from keras_ddr import runs
    from keras_ddr.datasets import puppets

    folder = tmp_path_factory.mktemp("pages")
    store = puppets.prepare(folder / "STORE", identities=10)
    small = {"filters": 4, "pair_filters": 4, "hidden_units": 8, "static_dim": 4}
    run = runs.Run.create(
        folder / "RUN",
        store,
        "tiny",
        model=small,
        training={"steps": 4, "save_every": 2},
    )
    runs.fit(run, verbose=0, report=None)
    return folder
