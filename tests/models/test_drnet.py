"""DrNet and its second stage: their losses by hand, and whom each part teaches."""

import keras
import numpy as np
import pytest
from keras import ops

import gradients
from keras_ddr import InputError
from keras_ddr.models import DrNet, DrNetPrediction

pytestmark = pytest.mark.backend

TINY = {
    "image_shape": (16, 16, 1),
    "static_dim": 3,
    "dynamic_dim": 2,
    "filters": 2,
    "hidden_units": 4,
}
# Tracing takes most of the time on TensorFlow; the tests of commands trace.
EAGER = {"run_eagerly": keras.backend.backend() == "tensorflow"}
CODERS = {"content_encoder", "pose_encoder", "decoder"}


@pytest.fixture
def frames(rng):
    return rng.random((5, 4, 16, 16, 1), "float32")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    model = DrNet(**TINY, seed=3)
    model.compile(keras.optimizers.Adam(1e-3), **EAGER)
    return model


def _array(x):
    return np.asarray(ops.convert_to_numpy(x), "float64")


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_the_loss_by_hand(model, frames):
    """Every part of every set, from what encoders, decoder and discriminator give."""
    parts = model.parts(ops.convert_to_tensor(frames), None, model(frames))
    found = {name: _array(part) for name, part in parts.items()}
    one, two = (_array(model.content_encoder(frames[:, i])) for i in (0, 1))
    pose, other = (_array(model.pose_encoder(frames[:, i])) for i in (2, 3))
    images = _array(model.decoder(np.hstack([one, pose]).astype("float32")))
    expected = ((images - frames[:, 2]) ** 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(found["reconstruction_loss"], expected, rtol=1e-4)
    expected = ((one - two) ** 2).mean(axis=1)
    np.testing.assert_allclose(found["similarity_loss"], expected, rtol=1e-4)

    def said(second):
        x = np.hstack([pose, second])
        *hidden, last = model.discriminator.layers
        for layer in hidden:
            kernel, bias = map(_array, layer.weights)
            x = np.maximum(x @ kernel + bias, 0)
        kernel, bias = map(_array, last.weights)
        return _sigmoid(x @ kernel + bias)[:, 0]

    # Without training nothing is drawn, and the partner is the next of the batch.
    foreign = said(np.roll(other, -1, axis=0))
    expected = -0.5 * np.log(1 - said(other)) - 0.5 * np.log(foreign)
    np.testing.assert_allclose(found["discriminator_loss"], expected, rtol=1e-4)
    expected = -0.5 * np.log(said(other)) - 0.5 * np.log(1 - said(other))
    np.testing.assert_allclose(found["adversarial_loss"], expected, rtol=1e-4)


def test_everyone_meets_another_clip_in_a_random_circle(model, frames):
    found = [
        ops.convert_to_numpy(model._partners(ops.convert_to_tensor(frames), True))
        for _ in range(12)
    ]
    for partners in found:
        assert sorted(partners) == list(range(5))
        place, visited = 0, []
        for _ in range(5):
            visited.append(place)
            place = partners[place]
        assert sorted(visited) == list(range(5)) and place == 0
    assert len({tuple(partners) for partners in found}) > 3


def _taught(model, x, name):
    """Gradients by weight of one part alone, 0 where it has none."""

    def part():
        outputs = model(x, training=True)
        value = ops.sum(model.parts(x, None, outputs)[name])
        return value + 0.0 * model.compute_loss(x, None, outputs)

    found = gradients.gradients(part, model)
    assert len(found) == len(model.trainable_weights)
    return dict(zip((w.path for w in model.trainable_weights), found, strict=True))


def test_each_part_teaches_those_it_is_meant_for(model, frames):
    meant = {
        "reconstruction_loss": CODERS,
        "similarity_loss": {"content_encoder"},
        "adversarial_loss": {"pose_encoder"},
        "discriminator_loss": {"discriminator"},
    }
    x = ops.convert_to_tensor(frames)
    for name, wanted in meant.items():
        taught = {
            part
            for path, gradient in _taught(model, x, name).items()
            for part in (*CODERS, "discriminator")
            if part in path.split("/") and np.abs(gradient).max() > 0
        }
        assert taught == wanted, name


def test_the_second_content_and_pose_are_targets(model, frames):
    """The gradient is the same where the encoders' outputs for these are numbers."""
    x = ops.convert_to_tensor(frames)
    target = ops.convert_to_tensor(ops.convert_to_numpy(model.content_encoder(x[:, 1])))
    other = ops.convert_to_tensor(ops.convert_to_numpy(model.pose_encoder(x[:, 3])))

    def numbers(outputs):
        content, pose = model.content_encoder(x[:, 0]), model.pose_encoder(x[:, 2])
        logit = model.discriminator(ops.concatenate([pose, other], axis=1))
        told = 0.5 * (ops.softplus(logit) + ops.softplus(-logit))
        return ops.sum(ops.mean(ops.square(content - target), axis=1)) + ops.sum(told)

    def ours(outputs):
        parts = model.parts(x, None, outputs)
        return ops.sum(parts["similarity_loss"]) + ops.sum(parts["adversarial_loss"])

    def of(loss):
        def whole():
            outputs = model(x)
            return loss(outputs) + 0.0 * model.compute_loss(x, None, outputs)

        return gradients.gradients(whole, model)

    for weight, a, b in zip(
        model.trainable_weights, of(ours), of(numbers), strict=True
    ):
        if "discriminator" not in weight.path:  # frozen in one, taught in the other
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def _same_weights(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_history_and_a_file(model, rng, tmp_path):
    """The loss is without the discriminator's; a file has the stream of pairs."""
    x = rng.integers(0, 256, (6, 4, 16, 16, 1), "uint8")
    history = model.fit(x, batch_size=6, verbose=0, validation_data=x).history
    for start in ("", "val_"):
        named = {k: history[f"{start}{k}"][0] for k in ("loss", *model.loss_parts)}
        whole = named["reconstruction_loss"] + named["similarity_loss"]
        whole += 0.1 * named["adversarial_loss"]
        assert named["loss"] == pytest.approx(whole, rel=1e-4)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.get_config() == model.get_config()
    _same_weights(model, loaded)
    x = ops.convert_to_tensor(x)
    for _ in range(2):  # the stream of pairs goes on
        one, other = (m._partners(x, True) for m in (model, loaded))
        assert list(ops.convert_to_numpy(one)) == list(ops.convert_to_numpy(other))


def test_codes(model, frames):
    """f is the mean content, whatever the order, and z the pose of each frame."""
    clip = frames.reshape(20, 16, 16, 1)
    codes, order = model.encode(clip), np.arange(20)[::-1]
    shuffled = model.encode(clip[order])
    content = _array(model.content_encoder(clip))
    np.testing.assert_allclose(codes.static.mean, content.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(shuffled.static.mean, codes.static.mean, atol=1e-5)
    np.testing.assert_allclose(
        shuffled.dynamic.mean, codes.dynamic.mean[order], atol=1e-5
    )
    images = model.decode(codes.static.mean, codes.dynamic.mean)
    pairs = np.hstack([np.repeat(codes.static.mean[None], 20, 0), codes.dynamic.mean])
    np.testing.assert_allclose(images, _array(model.decoder(pairs)), atol=1e-5)


def test_the_published_sizes():
    """Weights that are trained, counted by hand."""
    shapes = [4 * 4 * 3 * 64 + 64, 4 * 4 * 64 * 128 + 128, 4 * 4 * 128 * 256 + 256]
    convolutions = sum(shapes) + 4 * 4 * 256 * 512 + 512
    norms = 2 * (64 + 128 + 256 + 512)
    encoders = sum(
        convolutions + norms + 4 * 4 * 512 * d + d + 2 * d for d in (128, 10)
    )
    decoder = 4 * 4 * 138 * 512 + 512 + 16 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 3)
    decoder += 256 + 128 + 64 + 3 + norms
    discriminator = 20 * 512 + 512 + 512 * 512 + 512 + 512 + 1
    model = DrNet.from_preset("published")
    trained = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert trained == encoders + decoder + discriminator
    later = DrNetPrediction()
    lstm = 4 * 256 * (256 + 256 + 1)
    trained = sum(int(np.prod(w.shape)) for w in later.trainable_weights)
    assert trained == (138 + 1) * 256 + 2 * lstm + (256 + 1) * 10


@pytest.fixture(scope="module")
def later(model):
    keras.utils.set_random_seed(2)
    later = DrNetPrediction.begun_with(model, "small", window=5, hidden_units=6)
    later.compile(keras.optimizers.Adam(1e-2), **EAGER)
    return later


@pytest.mark.slow
def test_the_second_stage_leaves_the_codes_as_they_are(model, later, rng, tmp_path):
    x = rng.integers(0, 256, (4, 5, 16, 16, 1), "uint8")
    before = _array(later.predictor.last.kernel)
    later.fit(x, batch_size=4, epochs=4, verbose=0)
    assert np.abs(_array(later.predictor.last.kernel) - before).max() > 0
    later.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    _same_weights(later, loaded)
    for name in CODERS:
        _same_weights(getattr(model, name), getattr(later, name))


def _lstm(weights, xs):
    """Outputs of an LSTM, gates in the order input, forget, cell, output."""
    kernel, recurrent, bias = map(_array, weights)
    h = c = np.zeros(recurrent.shape[0])
    for x in xs:
        i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(c)
        yield h


def _next(later, content, poses):
    """By hand, the pose after each."""
    predictor = later.predictor
    kernel, bias = map(_array, predictor.first.weights)
    x = [np.hstack([pose, content]) @ kernel + bias for pose in poses]
    for layer in predictor.lstms:
        x = list(_lstm(layer.weights, x))
    kernel, bias = map(_array, predictor.last.weights)
    return np.tanh(np.array(x) @ kernel + bias)


def test_the_loss_and_the_frames_of_the_second_stage_by_hand(later, rng):
    x = rng.random((2, 5, 16, 16, 1), "float32")
    found = later.parts(x, None, later(x))["prediction_loss"]
    for clip, value in zip(x, _array(found), strict=True):
        codes = later.encode(clip)
        poses, content = codes.dynamic.mean, codes.static.mean
        predicted = _next(later, content, poses[:-1])
        assert value == pytest.approx(np.square(predicted - poses[1:]).mean(), rel=1e-3)
    for _ in range(3):
        poses = np.vstack([poses, _next(later, content, poses)[-1:]])
    images = later.predict_frames(x[1], 3, draws=2)
    assert images.shape == (2, 3, 16, 16, 1) and images.dtype == np.float32
    expected = later.decode(content, poses[5:].astype("float32"))
    np.testing.assert_allclose(images, [expected, expected], atol=1e-5)


def test_order_matters_to_the_second_stage_alone(later, rng):
    x = rng.random((2, 5, 16, 16, 1), "float32")
    one, other = (_array(later(part)["predicted"]) for part in (x, x[:, ::-1]))
    assert np.abs(one - other[:, ::-1]).max() > 0.1 * np.abs(one).max()


def test_bad_input(model, later, rng):
    with pytest.raises(InputError, match="goes on from a trained DrNet; give its run"):
        DrNetPrediction.from_preset("small")
    with pytest.raises(InputError, match="init: is a DrNetPrediction, and"):
        DrNetPrediction.begun_with(later)
    with pytest.raises(InputError, match="filters: a run that begins with a trained"):
        DrNetPrediction.begun_with(model, filters=3)
    with pytest.raises(InputError, match="window=1; it must be a whole number"):
        DrNetPrediction.begun_with(model, window=1)
    with pytest.raises(InputError, match="number=0; it must be a whole number"):
        later.predict_frames(rng.random((3, 16, 16, 1)), 0)
    with pytest.raises(InputError, match="adversarial_weight=-1; it must be a number"):
        DrNet(**TINY, adversarial_weight=-1)
