"""A handful of kills; `kills.py` does as many as one likes."""

import os

import keras
import pytest
from promises import kills

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals")


@pytest.fixture
def harness(tmp_path):
    return kills.Harness(tmp_path, keras.backend.backend(), seed=1, signals=True)


def assert_kept(harness, tried):
    print("\n".join(harness.summary()))
    assert harness.tried == tried
    assert not harness.wrong
    assert harness.equal == harness.finished > 0


@pytest.mark.slow
def test_a_killed_run_ends_like_one_that_was_not(harness):
    """With validation, half precision, a schedule, averaged and clipped gradients."""
    harness.run("together", 5)
    assert_kept(harness, 5)


@pytest.mark.slow
def test_a_killed_script_ends_like_one_that_was_not(tmp_path):
    harness = kills.Harness(tmp_path, keras.backend.backend(), seed=1)
    harness.run(kills.SCRIPT, 2)
    assert_kept(harness, 2)
