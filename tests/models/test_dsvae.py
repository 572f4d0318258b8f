"""DSVAE against a computation by hand, and what depends on the order of frames."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from keras_ddr import InputError
from keras_ddr.code_densities import Densities, IndependentSubspaces
from keras_ddr.layers import GaussianSampling
from keras_ddr.mixture import GaussianMixture
from keras_ddr.models import DSVAE

pytestmark = pytest.mark.backend

_SIZES = {
    "image_shape": (16, 16, 1),
    "static_dim": 3,
    "dynamic_dim": 2,
    "frames_per_set": 4,
    "filters": 2,
    "feature_dim": 5,
    "hidden_units": 4,
}
_FORMS = {
    "shared": {},
    "full": {"posterior": "full", "prior_history": "inferred"},
    "factorised": {"posterior": "factorised", "prior_history": "inferred"},
}


@functools.cache
def _model(form):
    keras.utils.set_random_seed(1)
    model = DSVAE(**_SIZES, **_FORMS[form])
    rng = np.random.default_rng(5)
    for weight in model.trainable_weights:
        # Biases are 0 at the start, and must count.
        shift = 0.3 * rng.standard_normal(tuple(weight.shape))
        weight.assign(ops.convert_to_numpy(weight) + shift.astype("float32"))
    model.compile(run_eagerly=True)
    return model


@pytest.fixture(
    params=["shared", "full", pytest.param("factorised", marks=pytest.mark.slow)],
)
def form(request):
    return _model(request.param)


@pytest.fixture
def published():
    return _model("shared")


@pytest.fixture(scope="module")
def windows():
    return np.random.default_rng(0).random((3, 4, 16, 16, 1), "float32")


# --- by hand --------------------------------------------------------------------------


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def _weights(layer):
    return [ops.convert_to_numpy(w) for w in layer.trainable_weights]


def _lstm_step(x, h, c, kernel, recurrent, bias):
    i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4, axis=-1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


def _lstm(x, *weights):
    """Outputs of each step, for x `(B, N, …)`."""
    h = c = np.zeros((len(x), len(weights[1])))
    outputs = []
    for t in range(x.shape[1]):
        h, c = _lstm_step(x[:, t], h, c, *weights)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def _both_ways(layer, x):
    weights = _weights(layer)
    backward = _lstm(x[:, ::-1], *weights[3:])[:, ::-1]
    return _lstm(x, *weights[:3]), backward


def _gaussian(layer, x):
    kernel, bias = _weights(layer)
    mean, raw = np.split(x @ kernel + bias, 2, axis=-1)
    return mean, 7 * np.tanh(raw / 7)


def _static(model, features):
    forward, backward = _both_ways(model.sequence_encoder, features)
    ends = np.concatenate([forward[:, -1], backward[:, 0]], axis=-1)
    found = _gaussian(model.static_head, ends)
    return [_leaky(part) if model.posterior == "shared" else part for part in found]


def _dynamic(model, features, f):
    if model.posterior == "factorised":
        kernel, bias = _weights(model.dynamic_hidden)
        return _gaussian(model.dynamic_head, _leaky(features @ kernel + bias))
    layer, x = model.sequence_encoder, features
    if model.posterior == "full":
        tiled = np.repeat(f[:, None], features.shape[1], axis=1)
        layer, x = model.dynamic_encoder, np.concatenate([features, tiled], axis=-1)
    x = np.concatenate(_both_ways(layer, x), axis=-1)
    kernel, recurrent, bias = _weights(model.dynamic_recurrence)
    h, hidden = np.zeros((len(x), len(recurrent))), []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ kernel + h @ recurrent + bias)
        hidden.append(h)
    return _gaussian(model.dynamic_head, np.stack(hidden, axis=1))


def _prior(model, noise, inferred=None):
    """Means, log-variances and draws of the prior, for noise `(B, N, dim)`."""
    z = np.zeros(noise[:, 0].shape)
    states = [(np.zeros((len(z), model.hidden_units)),) * 2 for _ in model.prior_cells]
    found = []
    for t in range(noise.shape[1]):
        x = z
        for k, cell in enumerate(model.prior_cells):
            states[k] = _lstm_step(x, *states[k], *_weights(cell))
            x = states[k][0]
        mean, log_variance = _gaussian(model.prior_head, x)
        z = mean + np.exp(log_variance / 2) * noise[:, t]
        found.append((mean, log_variance, z))
        if inferred is not None:
            z = inferred[:, t]
    return [np.stack(part, axis=1) for part in zip(*found, strict=True)]


def _kl(mean, log_variance, other_mean, other_log_variance):
    ratio = np.exp(log_variance - other_log_variance)
    difference = (mean - other_mean) ** 2 / np.exp(other_log_variance)
    return 0.5 * (ratio + difference - 1 - log_variance + other_log_variance)


def _features(model, frames):
    flat = model.frame_encoder(frames.reshape(-1, *frames.shape[2:]), training=False)
    return ops.convert_to_numpy(flat).reshape(*frames.shape[:2], -1)


def test_the_loss_is_that_of_a_computation_by_hand(form, windows):
    """With draws: the noise of f, of z, and of the prior's own path, in this order."""
    model, number = form, len(windows)
    noises = GaussianSampling(seed=0)
    f_noise, z_noise, prior_noise = (
        ops.convert_to_numpy(noises(zeros, zeros))
        for zeros in (np.zeros((number, 3)), *[np.zeros((number, 4, 2))] * 2)
    )
    features = _features(model, windows)
    static = _static(model, features)
    f = static[0] + np.exp(static[1] / 2) * f_noise
    dynamic = _dynamic(model, features, f)
    z = dynamic[0] + np.exp(dynamic[1] / 2) * z_noise
    inferred = z if model.prior_history == "inferred" else None
    prior = _prior(model, prior_noise, inferred)[:2]
    codes = np.concatenate([z, np.repeat(f[:, None], 4, axis=1)], axis=-1)
    images = model.frame_decoder(codes.reshape(-1, 5).astype("float32"))
    images = ops.convert_to_numpy(images).reshape(windows.shape)
    expected = {
        "reconstruction_loss": ((windows - images) ** 2).sum() / number,
        "kl_static": _kl(*static, 0, 0).sum() / number,
        "kl_dynamic": _kl(*dynamic, *prior).sum() / number,
    }
    found = model.evaluate(windows, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(sum(expected.values()), rel=1e-4)
    for name, value in expected.items():
        assert value > 0.1 and found[name] == pytest.approx(value, rel=1e-4), name


def test_the_prior_draws_as_it_has_learned(published):
    """Time is the first axis; f is no part of it."""
    static = np.zeros((5, 2, 3, 3), "float32")
    found = published.draw_dynamic(static, np.random.default_rng(2))
    noise = np.random.default_rng(2).standard_normal((5, 2, 3, 2), "float32")
    by_rows = noise.reshape(5, 6, 2).swapaxes(0, 1)
    expected = _prior(published, by_rows)[2].swapaxes(0, 1)
    np.testing.assert_allclose(found, expected.reshape(found.shape), atol=1e-5)


def test_numbers_of_weights_of_the_published_sizes():
    model = DSVAE.from_preset("published")
    lstm = {
        "one way": 4 * ((128 + 256) * 256 + 256),
        "prior": 4 * ((32 + 256) * 256 + 256) + 4 * ((256 + 256) * 256 + 256),
    }
    heads = (512 * 512 + 512) + 2 * (256 * 64 + 64)
    recurrence = 512 * 256 + 256 * 256 + 256
    decoder = 16 * (288 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3)
    decoder += 3 * (512 + 256 + 128 + 64) + 3
    expected = 3_807_424 + 2 * lstm["one way"] + lstm["prior"]
    expected += heads + recurrence + decoder
    counted = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert counted == expected == 11_027_331


# --- codes ----------------------------------------------------------------------------


def test_codes_of_a_long_sequence_come_from_windows(form, rng):
    frames = rng.integers(0, 256, (7, 16, 16, 1), "uint8")
    codes = form.encode(frames)
    windows = np.stack([frames[k : k + 4] for k in range(4)])
    features = _features(form, windows / np.float32(255))
    mean, log_variance = _static(form, features)
    np.testing.assert_allclose(codes.static.mean, mean.mean(axis=0), atol=1e-5)
    variance = np.exp(log_variance).mean(axis=0) + mean.var(axis=0)
    np.testing.assert_allclose(codes.static.variance, variance, rtol=1e-4)
    f = np.repeat(codes.static.mean[None], 4, axis=0)
    mean, log_variance = _dynamic(form, features, f)
    at = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (3, 2), (3, 3)]  # window, place
    expected = np.stack([mean[place] for place in at])
    np.testing.assert_allclose(codes.dynamic.mean, expected, atol=1e-5)
    expected = np.stack([log_variance[place] for place in at])
    np.testing.assert_allclose(codes.dynamic.log_variance, expected, atol=1e-5)
    np.testing.assert_array_equal(codes.standardized, codes.dynamic.mean)
    noisy = form.encode(frames, noise=1.0, seed=3).dynamic.mean
    assert not np.allclose(noisy, codes.dynamic.mean, atol=1e-3)
    again = form.encode(frames / np.float32(255), noise=1.0, seed=3).dynamic.mean
    np.testing.assert_allclose(again, noisy, atol=1e-5)


def test_the_order_of_frames_counts(published, rng):
    frames = rng.integers(0, 256, (4, 16, 16, 1), "uint8")
    order = np.array([2, 0, 3, 1])
    one, other = published.encode(frames), published.encode(frames[order])
    assert np.abs(one.static.mean - other.static.mean).max() > 1e-3
    moved = one.dynamic.mean[order] - other.dynamic.mean
    assert np.abs(moved).max() > 1e-3


def test_samples_move_also_where_densities_were_fitted(published):
    drawn = np.random.default_rng(4)
    of_f, of_z = (
        GaussianMixture(np.ones(1), np.full((1, dim), 9.0), np.eye(dim)[None] * 1e-6)
        for dim in (3, 2)
    )
    published.densities = Densities(IndependentSubspaces.of(of_f), of_z)
    try:
        found = published.sample(2, frames=6, seed=4)
    finally:
        published.densities = None
    static = of_f.sample(2, drawn)
    repeated = np.broadcast_to(static, (6, 2, 3))
    z = published.draw_dynamic(repeated, drawn).swapaxes(0, 1)
    np.testing.assert_allclose(found, published.decode(static, z), atol=1e-5)


def test_sequences_shorter_than_a_window(published):
    with pytest.raises(InputError) as error:
        published.encode(np.zeros((3, 16, 16, 1), "uint8"))
    assert "frames holds 3 frames; this model compares 4" in str(error.value)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            {"posterior": "mean"},
            "posterior='mean'; use one of shared, full, factorised",
        ),
        ({"prior_history": 1}, "prior_history=1; use one of drawn, inferred"),
        ({"feature_dim": 0}, "feature_dim=0; it must be a whole number of at least 1"),
    ],
)
def test_arguments_that_cannot_be_used(options, line):
    with pytest.raises(InputError) as error:
        DSVAE(**{**_SIZES, **options})
    assert str(error.value) == line


# --- files ----------------------------------------------------------------------------


def test_saved_and_loaded_it_is_the_same(published, windows, tmp_path):
    published.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.get_config() == published.get_config()
    assert loaded.evaluate(windows, verbose=0) == published.evaluate(windows, verbose=0)
