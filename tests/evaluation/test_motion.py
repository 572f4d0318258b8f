import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.data import write_arrays
from keras_ddr.evaluation import Motion, motion_explained
from keras_ddr.evaluation.motion import principal_motion


def test_share_by_hand(rng):
    truth = rng.uniform(size=(5, 16, 16, 3))
    predicted = rng.uniform(size=truth.shape)
    moved = truth - truth.mean(axis=0)
    error = moved - (predicted - predicted.mean(axis=0))
    expected = 1 - np.square(error).sum() / np.square(moved).sum()
    assert motion_explained(predicted, truth) == pytest.approx(expected, rel=1e-5)


def test_an_error_that_all_frames_share_does_not_count(rng):
    truth = rng.uniform(size=(5, 16, 16, 3))
    looks = rng.uniform(size=truth.shape[1:])
    assert motion_explained(truth + looks, truth) == pytest.approx(1)
    assert motion_explained(np.stack([looks] * 5), truth) == pytest.approx(0, abs=1e-6)
    with pytest.raises(InputError, match="differ"):
        motion_explained(truth[:4], truth)


def test_components_explain_the_share_of_their_pictures(rng):
    from sklearn.decomposition import PCA

    truth = rng.uniform(size=(9, 16, 16, 3))
    flat = truth.reshape(9, -1)
    pca = PCA(2).fit(flat)
    pictures = pca.inverse_transform(pca.transform(flat)).reshape(truth.shape)
    expected = motion_explained(pictures, truth)
    assert principal_motion(truth, 2) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("kind", "share"), [("oracle", 1), ("all in f", 0)])
def test_codecs_whose_z_is_known(codec, many, material, kind, share):
    score = Motion().run(material(codec(kind), many))
    assert score.explained == pytest.approx(share, abs=1e-6)
    for sequence in score.sequences:
        assert sequence.explained == pytest.approx(share, abs=1e-6)
        assert 0 < sequence.principal < 1
    if kind == "oracle":
        assert score.mse == 0 < score.still_mse
    said = "\n".join(Motion().lines(score))
    assert ("less than 0.3 of the motion of" in said) == (not share)
    assert all(len(line) <= 100 for line in said.splitlines())


def test_where_nothing_moves(model, material, tmp_path, rng):
    still = rng.integers(256, size=(2, 1, 32, 32, 3), dtype=np.uint8)
    store = write_arrays(tmp_path / "still", np.repeat(still, 4, axis=1))
    with pytest.raises(InputError, match="nothing moves"):
        Motion().run(material(model, store, sequences=store.sequences))
