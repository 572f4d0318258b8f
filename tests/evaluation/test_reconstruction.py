import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.evaluation import Reconstruction
from keras_ddr.evaluation.reconstruction import structural_similarity

pytestmark = pytest.mark.backend


def directly(a, b):
    """SSIM of two pictures (H, W), window after window."""
    distance = np.arange(11) - 5
    weights = np.exp(-np.add.outer(distance**2, distance**2) / (2 * 1.5**2))
    weights /= weights.sum()
    found = []
    for y in range(a.shape[0] - 10):
        for x in range(a.shape[1] - 10):
            p, t = a[y : y + 11, x : x + 11], b[y : y + 11, x : x + 11]
            mean_p, mean_t = (weights * p).sum(), (weights * t).sum()
            var_p = (weights * (p - mean_p) ** 2).sum()
            var_t = (weights * (t - mean_t) ** 2).sum()
            covariance = (weights * (p - mean_p) * (t - mean_t)).sum()
            found.append(
                (2 * mean_p * mean_t + 1e-4)
                * (2 * covariance + 9e-4)
                / ((mean_p**2 + mean_t**2 + 1e-4) * (var_p + var_t + 9e-4))
            )
    return np.mean(found)


def test_similarity_is_that_of_all_windows(rng):
    truth = rng.uniform(size=(2, 16, 19, 3))
    predicted = np.clip(truth + 0.2 * rng.standard_normal(truth.shape), 0, 1)
    expected = [
        np.mean([directly(p[..., c], t[..., c]) for c in range(3)])
        for p, t in zip(predicted, truth, strict=True)
    ]
    found = structural_similarity(predicted, truth)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_similarity_of_known_pictures(rng):
    truth = rng.uniform(size=(16, 16, 1))
    assert structural_similarity(truth, truth) == pytest.approx(1)
    assert structural_similarity(1 - truth, truth) < 0
    # Flat pictures: only the means are left, (2 ab + c1) / (a² + b² + c1).
    flat = structural_similarity(np.full((11, 11, 1), 0.5), np.full((11, 11, 1), 0.1))
    assert flat == pytest.approx((0.1 + 1e-4) / (0.26 + 1e-4))


def test_what_has_no_similarity(rng):
    with pytest.raises(InputError, match="smaller than the window"):
        structural_similarity(np.zeros((10, 16, 1)), np.zeros((10, 16, 1)))


def test_errors_equal_those_computed_by_hand(model, store, material):
    sequences = store.select("test")
    encoded = material(model, store)
    codes = [model.encode(store.frames(s.index)) for s in sequences]
    score = Reconstruction(frames=100).run(encoded)
    errors = [
        np.mean(
            (
                model.decode(c.static.mean, c.dynamic.mean)
                - store.frames(s.index) / 255.0
            )
            ** 2
        )
        for c, s in zip(codes, sequences, strict=True)
    ]
    assert score.mse == pytest.approx(np.mean(errors))
    assert (score.frames, score.sequences) == (12 * len(sequences), len(sequences))
    assert score.mse_interval[0] < score.mse < score.mse_interval[1]
    few = Reconstruction(frames=2).run(encoded)
    assert few.frames == 2 * len(sequences)
