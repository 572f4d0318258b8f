"""The neural statistician: its parts by hand, and the weights that change."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from keras_ddr import InputError
from keras_ddr.models import NeuralStatistician
from keras_ddr.models.neural_statistician import AnnealedELBO, PixelNormal
from keras_ddr.models.statistician_layers import WholeGaussian

pytestmark = pytest.mark.backend

_TINY = {"static_dim": 3, "dynamic_dim": 2, "filters": 2, "hidden_units": 4}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    made = NeuralStatistician((16, 16, 1), frames_per_set=2, **_TINY)
    adam = keras.optimizers.Adam(1e-2)
    # Tracing its many layers takes TensorFlow longer than these few steps.
    eagerly = keras.backend.backend() == "tensorflow"
    made.compile(adam, AnnealedELBO(halve_every=2), run_eagerly=eagerly)
    return made


def _outputs(rng):
    shapes = {"static": (3, 4), "dynamic": (3, 2, 5), "prior": (3, 5)}
    found = {
        f"{name}_{of}": rng.normal(size=shape).astype("float32")
        for name, shape in shapes.items()
        for of in ("mean", "log_variance")
    }
    return {**found, "reconstruction_logits": rng.normal(size=(3, 2, 16, 16, 1))}


@pytest.mark.parametrize(("step", "w"), [(1, 2), (4, 2), (5, 1.5), (9, 1.25), (99, 1)])
def test_the_loss_by_hand(rng, step, w):
    outputs = {k: ops.convert_to_tensor(v, "float32") for k, v in _outputs(rng).items()}
    frames = rng.random((3, 2, 16, 16, 1)).astype("float32")
    likelihood = PixelNormal()
    likelihood.build((None, 2, 16, 16, 1), (None, 2, 16, 16, 1))
    loss, parts = AnnealedELBO(halve_every=4)(
        frames, outputs, likelihood, 1 / 3, ops.convert_to_tensor(float(step))
    )
    log_variance = np.clip(ops.convert_to_numpy(likelihood.log_variance), -4, 3)
    mean = 1 / (1 + np.exp(-ops.convert_to_numpy(outputs["reconstruction_logits"])))
    of_x = stats.norm.logpdf(frames, mean, np.exp(log_variance / 2)).sum() / 3
    assert float(parts["reconstruction_loss"]) == pytest.approx(-of_x, rel=1e-4)
    kl = sum(float(parts[f"kl_{name}"]) for name in ("static", "dynamic"))
    assert float(loss) == pytest.approx(-w * of_x + kl / w, rel=1e-4)


def test_a_gaussian_is_normalised_as_a_whole(rng):
    layer = WholeGaussian(3)
    mean, log_variance = layer(rng.normal(size=(7, 5)).astype("float32"), training=True)
    whole = np.concatenate(
        [ops.convert_to_numpy(mean), ops.convert_to_numpy(log_variance)]
    )
    assert whole.mean() == pytest.approx(0, abs=1e-5)
    assert whole.std() == pytest.approx(1, abs=1e-2)
    assert [tuple(w.shape) for w in layer.norm.trainable_weights] == [(1,), (1,)]


def test_published_size():
    counted = NeuralStatistician.from_preset("published").trainable_weights
    groups = [(3, 32), (32, 64), (64, 128), (128, 256)]
    # Kernels with biases, and two weights a channel that is normalised.
    encoder = sum(9 * (a * b + 2 * b * b) + 9 * b for a, b in groups)
    dense = 1000 * 1000 + 1000
    statistic = 4096 * 1000 + 1000 + 2 * dense + 6000 + 1001 * 1024 + 2
    of_z = 513 * 1000 + dense + 2000 + 1001 * 32 + 2  # p(z | f), and more in q
    posterior = 4097 * 1000 + of_z
    groups = [(256, 256), (256, 128), (128, 64), (64, 32)]
    decoder = 17 * 1000 + 513 * 1000 + dense + 1001 * 4096 + 32 * 3 + 3
    decoder += sum(9 * (a * b + b * b) + 4 * b * b + 9 * b for a, b in groups)
    expected = encoder + statistic + posterior + of_z + decoder + 64 * 64 * 3
    assert sum(int(np.prod(w.shape)) for w in counted) == expected


@pytest.mark.slow
def test_training_counts_steps_and_normalises_by_the_batch(model, rng, tmp_path):
    frames = rng.integers(0, 256, (6, 2, 16, 16, 1), "uint8")
    before = [np.array(w) for w in model.get_weights()]
    history = model.fit(frames, batch_size=2, verbose=0).history
    assert float(ops.convert_to_tensor(model._step)) == 3
    total = sum(
        history[k][0] for k in ("reconstruction_loss", "kl_static", "kl_dynamic")
    )
    assert history["loss"][0] == pytest.approx(total, rel=1e-5)
    for weight, old in zip(model.weights, before, strict=True):
        # A dense layer in front of a normalisation has a bias without a gradient.
        changed = not np.array_equal(ops.convert_to_numpy(weight), old)
        assert changed or weight.path.endswith(("bias", "state")), weight.path
    # Normalised by what was seen in training, a set does not depend on its batch.
    means = ops.convert_to_numpy(model(frames)["static_mean"])
    one = ops.convert_to_numpy(model(frames[:1])["static_mean"])
    np.testing.assert_allclose(one[0], means[0], atol=1e-5)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.get_config() == model.get_config()
    assert loaded.objective == model.objective
    again = ops.convert_to_numpy(loaded(frames)["static_mean"])
    np.testing.assert_allclose(again, means, atol=1e-6)


def test_frames_have_no_order_and_any_number(model, rng):
    frames = rng.integers(0, 256, (5, 16, 16, 1), "uint8")
    order = rng.permutation(5)
    codes, other = (model.encode(x, frames_per_set=5) for x in (frames, frames[order]))
    np.testing.assert_allclose(other.static.mean, codes.static.mean, atol=1e-5)
    np.testing.assert_allclose(other.dynamic.mean, codes.dynamic.mean[order], atol=1e-5)
    assert model.decode(codes.static.mean, codes.dynamic.mean).shape == frames.shape


def test_arguments_that_cannot_be_used():
    for arguments, said in (
        ({"image_shape": (20, 16, 1)}, r"image_shape=\(20, 16, 1\)"),
        ({"hidden_units": 0}, "hidden_units=0; it must be a whole number"),
        ({"static_dim": 1.5}, "static_dim=1.5; it must be a whole number"),
    ):
        with pytest.raises(InputError, match=said):
            NeuralStatistician(**{**_TINY, **arguments})
    with pytest.raises(InputError, match="halve_every=0; it must be a whole number"):
        AnnealedELBO(halve_every=0)
