"""Presets that come with weights."""

import numpy as np
import pytest

from keras_ddr import DDR, InputError
from keras_ddr.code_densities import Densities, IndependentSubspaces
from keras_ddr.datasets import Splits, puppets
from keras_ddr.mixture import GaussianMixture
from keras_ddr.presets import load_weights, save_weights

pytestmark = pytest.mark.backend


def test_the_puppets_of_the_preset_are_known(tmp_path):
    # Puppets of another seed; what a model knows does not come from its random weights.
    store = puppets.prepare(tmp_path / "S", identities=10, splits=Splits(seed=5))
    frames = store.frames(0)[::12]
    trained = DDR.from_preset("puppets")
    random = DDR.from_preset("puppets", weights=False)
    errors = []
    for model in (trained, random):
        codes = model.encode(frames)
        images = model.decode(codes.static.mean, codes.dynamic.mean)
        errors.append(np.square(images - frames / 255.0).mean())
    assert errors[0] < 0.005 < 0.03 < errors[1]
    static, dynamic, _ = trained.densities
    codes = trained.encode(frames)
    prior = -0.5 * (np.square(codes.static.mean) + np.log(2 * np.pi)).sum()
    assert static.log_prob(codes.static.mean[None])[0] > prior + 20
    several = [trained.encode(store.frames(i)[::12]).standardized for i in range(3)]
    assert dynamic.log_prob(np.concatenate(several)).mean() > -4


def test_weights_keep_half_of_their_precision(small, tmp_path, monkeypatch):
    one, other = small(seed=1), small(seed=1)
    for weight in other.weights:
        weight.assign(np.zeros(weight.shape, "float32"))
    mixture = GaussianMixture.fit(np.eye(4)[:, :2])
    one.densities = Densities(IndependentSubspaces.of(mixture), mixture)
    file = save_weights(one, tmp_path / "one.npz")
    monkeypatch.setattr("keras_ddr.presets.WEIGHTS", file.parent)
    load_weights(other, "one", file.name)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a.astype("float16").astype("float32"), b)
    np.testing.assert_allclose(other.densities.dynamic.covariances, mixture.covariances)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("small", {}, "'small' comes without weights; give weights=False"),
        ("puppets", {"image_shape": (32, 32, 3)}, r"for frames of \(64, 64, 3\)"),
        ("puppets", {"static_dim": 3}, "a model of its own sizes"),
    ],
)
def test_weights_that_do_not_fit_are_refused(name, arguments, message):
    with pytest.raises(InputError, match=message):
        DDR.from_preset(name, weights=True, **arguments)
    assert DDR.from_preset(name, weights=False, **arguments).built
