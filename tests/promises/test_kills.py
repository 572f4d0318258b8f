"""A handful of kills; `kills.py` does as many as one likes."""

import os

import keras
import pytest
from promises import kills

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals")


def test_a_killed_run_ends_like_one_that_was_not(tmp_path):
    """With validation, half precision, a schedule, averaged and clipped gradients."""
    harness = kills.Harness(tmp_path, keras.backend.backend(), seed=1)
    harness.run("together", 3)
    print("\n".join(harness.summary()))
    assert harness.tried == 3
    assert not harness.wrong
    assert harness.equal == harness.finished > 0
