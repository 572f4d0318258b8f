"""SVG against NumPy, its steps against the whole at once, and what it refuses."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ddr import InputError
from keras_ddr.models import SVG

pytestmark = pytest.mark.backend

_SIZES = {"past": 2, "future": 3, "dynamic_dim": 2, "code_dim": 5, "filters": 2}


def _model(**changes):
    keras.utils.set_random_seed(3)
    model = SVG((16, 16, 1), **{**_SIZES, "hidden_units": 4, "seed": 5, **changes})
    random = np.random.default_rng(1)
    # The initial ones are so small that nothing would depend on anything.
    for weight in model.trainable_weights:
        weight.assign(random.normal(0.1, 0.8, weight.shape))
    return model


@pytest.fixture(scope="module")
def made():
    """Models of both kinds, whose weights stay."""
    return {prior: _model(prior=prior, beta=0.5) for prior in ("learned", "fixed")}


@pytest.fixture
def frames(rng):
    return rng.random((2, 5, 16, 16, 1), "float32")


def _numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor), "float64")


def _recurrent(layer, x):
    """Outputs `(B, T, n)` of a `Recurrent`, gate by gate."""
    weights = iter([_numpy(w) for w in layer.weights if "seed" not in w.path])
    x = x @ next(weights) + next(weights)
    for _ in range(layer.layers):
        kernel, recurrent, bias = next(weights), next(weights), next(weights)
        h = c = np.zeros((len(x), layer.units))
        outputs = []
        for t in range(x.shape[1]):
            gates = x[:, t] @ kernel + h @ recurrent + bias
            i, f, g, o = np.split(gates, 4, axis=1)
            i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
            c = f * c + i * np.tanh(g)
            h = o * np.tanh(c)
            outputs.append(h)
        x = np.stack(outputs, axis=1)
    x = x @ next(weights) + next(weights)
    return np.tanh(x) if layer.activation == "tanh" else x


def _encoded(model, frames):
    """Vectors `(B, T, n)`, and the maps of each time."""
    each = [model.encoder(frames[:, t]) for t in range(frames.shape[1])]
    return np.stack([_numpy(code) for code, _ in each], axis=1), [m for _, m in each]


def _decoded(model, codes, maps):
    """Images of times 1, 2, …, each with the maps of the last frame given by then."""
    images = []
    for t in range(codes.shape[1]):
        code = ops.convert_to_tensor(codes[:, t].astype("float32"))
        images.append(_numpy(model.decoder(code, maps[min(t, model.past - 1)])))
    return np.stack(images, axis=1)


@pytest.mark.parametrize("prior", ["learned", "fixed"])
def test_the_loss_is_that_computed_by_hand(made, frames, prior):
    model = made[prior]
    codes, maps = _encoded(model, frames)
    mean, log_variance = np.split(_recurrent(model.posterior, codes[:, 1:]), 2, axis=-1)
    other, other_log = np.zeros_like(mean), np.zeros_like(mean)
    if prior == "learned":
        found = _recurrent(model.learned_prior, codes[:, :-1])
        other, other_log = np.split(found, 2, axis=-1)
    kl = (other_log - log_variance) / 2 - 0.5
    kl += (np.exp(log_variance) + (mean - other) ** 2) / (2 * np.exp(other_log))
    joined = np.concatenate([codes[:, :-1], mean], axis=-1)
    images = _decoded(model, _recurrent(model.predictor, joined), maps)
    errors = np.square(images - frames[:, 1:])
    outputs = model(frames)  # with means in place of draws
    seen = ops.convert_to_tensor(frames)
    parts = {k: _numpy(v) for k, v in model.parts(seen, None, outputs).items()}
    np.testing.assert_allclose(
        parts["prediction_loss"], errors.sum(axis=(1, 2, 3, 4)), rtol=1e-4
    )
    np.testing.assert_allclose(parts["kl_dynamic"], kl.sum(axis=(1, 2)), rtol=1e-4)
    # H · W · C times the published one: means over pixels, and 0.5 of the KL.
    model.compile()
    loss = float(_numpy(model.compute_loss(seen, None, outputs)))
    published = errors.mean(axis=(2, 3, 4)).sum(axis=1) + 0.5 * kl.sum(axis=(1, 2))
    assert loss == pytest.approx(256 * published.mean(), rel=1e-4)


@pytest.mark.parametrize("prior", ["learned", "fixed"])
def test_frame_after_frame_is_as_the_whole_sequence(made, frames, prior):
    model = made[prior]
    given, number, draws = frames[0, :2], 3, 4
    predicted = model.predict_frames(given, number, draws, seed=9)
    assert predicted.shape == (4, 3, 16, 16, 1) and predicted.dtype == np.float32
    assert np.ptp(predicted, axis=0).max() > 1e-3  # draws differ
    noise = np.random.default_rng(9).standard_normal((draws, 4, 2), "float32")
    given = np.broadcast_to(given, (draws, *given.shape))
    codes, maps = _encoded(model, np.concatenate([given, predicted], axis=1))
    mean, log_variance = np.split(_recurrent(model.posterior, codes[:, 1:]), 2, axis=-1)
    z = mean + np.exp(log_variance / 2) * noise
    later = noise
    if prior == "learned":
        found = _recurrent(model.learned_prior, codes[:, :-1])
        mean, log_variance = np.split(found, 2, axis=-1)
        later = mean + np.exp(log_variance / 2) * noise
    z = np.concatenate([z[:, :1], later[:, 1:]], axis=1)
    joined = np.concatenate([codes[:, :-1], z], axis=-1)
    images = _decoded(model, _recurrent(model.predictor, joined), maps)
    np.testing.assert_allclose(predicted, images[:, 1:], atol=1e-5)


def test_draws_follow_from_the_seed_and_one_frame_is_enough(made, frames):
    given = np.rint(255 * frames[0, :1]).astype("uint8")
    one, again, other, floats = (
        made["learned"].predict_frames(x, 2, draws=4, seed=seed)
        for x, seed in [(given, 1), (given, 1), (given, 2), (given / 255, 1)]
    )
    np.testing.assert_array_equal(one, again)
    np.testing.assert_allclose(one, floats, atol=1e-6)
    assert np.abs(one - other).max() > 1e-3


def test_weights_of_the_published_size():
    model = SVG.from_preset("published")
    convolutions = [(1, 64), (64, 128), (128, 256), (256, 512), (512, 128)]
    encoder = sum(16 * a * b + b + 2 * b for a, b in convolutions)
    # With twice the channels where maps are joined, and no normalisation at the end.
    convolutions = [(128, 512), (1024, 256), (512, 128), (256, 64)]
    decoder = sum(16 * a * b + b + 2 * b for a, b in convolutions) + 16 * 128 + 1

    def recurrent(inputs, lstms, outputs):
        dense = (inputs + 1) * 256 + 257 * outputs
        return dense + lstms * 4 * 256 * (256 + 256 + 1)

    expected = encoder + decoder + recurrent(138, 2, 128) + 2 * recurrent(128, 1, 20)
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == expected
    assert model.part_weights["kl_dynamic"] == pytest.approx(1e-4 * 64 * 64)
    assert model.set_size == 15 and model.frame_order == "ordered"


@pytest.mark.slow
def test_it_is_saved_with_its_draws(made, frames, tmp_path):
    model = made["learned"]
    model(frames, training=True)  # moves the stream
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.get_config() == model.get_config()
    one, other = (m.predict_frames(frames[0, :2], 3, 4) for m in (model, loaded))
    np.testing.assert_allclose(one, other, atol=1e-6)
    one, other = (m(frames, training=True) for m in (model, loaded))
    np.testing.assert_allclose(
        _numpy(one["images"]), _numpy(other["images"]), atol=1e-5
    )


def test_the_order_of_frames_counts(made, frames):
    model = made["learned"]
    one, other = (
        _numpy(model.parts(ops.convert_to_tensor(x), None, model(x))["kl_dynamic"])
        for x in (frames, np.ascontiguousarray(frames[:, ::-1]))
    )
    assert np.abs(one - other).max() > 0.01


@pytest.mark.slow
def test_half_precision(frames):
    model = _model(dtype="mixed_bfloat16")
    model.compile()
    outputs = model(frames, training=True)
    assert np.isfinite(_numpy(model.compute_loss(frames, None, outputs)))


def test_what_cannot_be_used_is_refused_in_one_line(made, frames):
    with pytest.raises(InputError, match="prior='none'"):
        SVG(prior="none")
    with pytest.raises(InputError, match="past=0; it must be a whole number"):
        SVG(past=0)
    model = made["learned"]
    for given in (model.encode, lambda x: model.decode(x, x), model.swap):
        arguments = (frames, frames) if given == model.swap else (frames,)
        with pytest.raises(InputError, match="SVG predicts frames and has no static"):
            given(*arguments)
    with pytest.raises(InputError, match="SVG predicts frames"):
        model.sample()
    with pytest.raises(InputError, match="number=0"):
        model.predict_frames(frames[0], 0)
    with pytest.raises(InputError, match=r"frames has shape \(2, 5, 16, 16, 1\)"):
        model.predict_frames(frames, 1)
