"""MoCoGAN: its losses by hand, whose gradients they are, and videos in order."""

import keras
import numpy as np
import pytest
from keras import ops

import gradients
from keras_ddr import InputError
from keras_ddr.models import MoCoGAN
from keras_ddr.models.base import as_numpy

pytestmark = pytest.mark.backend

_TINY = {
    "image_shape": (16, 16, 1),
    "static_dim": 3,
    "dynamic_dim": 4,
    "categories": 2,
    "frames_per_set": 3,
    "frame_stride": 1,
    "images_per_set": 2,
    "filters": 2,
    "encoder": True,
}
_OF_PART = {
    "generator_loss": {"motion", "generator"},
    "image_discriminator_loss": {"image_discriminator"},
    "video_discriminator_loss": {"video_discriminator"},
    "category_loss": {"motion", "generator", "video_discriminator"},
    "encoder_loss": {"reader"},
}
_NETWORKS = set().union(*_OF_PART.values())


@pytest.fixture(scope="module")
def model():
    model = MoCoGAN(**_TINY)
    model.compile(keras.optimizers.Adam(2e-4, 0.5))
    return model


def _frames(rng, sets=2):
    return rng.random((sets, 3, 16, 16, 1), "float32")


def _softplus(x):
    return np.log1p(np.exp(x))


def test_its_losses_are_those_by_hand(model, rng):
    frames = _frames(rng)
    outputs = model(frames, training=True)
    found = {k: as_numpy(v) for k, v in model.parts(frames, None, outputs).items()}
    by = {name: as_numpy(value) for name, value in outputs.items()}
    assert by["image_real"].shape == (2, 2, 1)  # 2 frames of one patch
    assert by["video_real"].shape == (2, 1, 3)  # real or not, and 2 categories
    for n in range(2):
        fools, tells = 0.0, {}
        for kind in ("image", "video"):
            real, drawn, passed = (
                by[f"{kind}_{name}"][n, :, 0] for name in ("real", "drawn", "passed")
            )
            np.testing.assert_allclose(drawn, passed, atol=1e-6)
            fools += -np.log(1 / (1 + np.exp(-passed))).mean()
            tells[kind] = _softplus(-real).mean() + _softplus(drawn).mean()
        assert found["generator_loss"][n] == pytest.approx(fools, rel=1e-5)
        for kind, value in tells.items():
            part = found[f"{kind}_discriminator_loss"][n]
            assert part == pytest.approx(value, rel=1e-5)
        read = by["video_drawn"][n, 0, 1:]
        category = by["codes"][n, 0, 3:5]
        assert sorted(category) == [0, 1]
        likelihood = (np.exp(read) / np.exp(read).sum())[category.argmax()]
        assert found["category_loss"][n] == pytest.approx(-np.log(likelihood), rel=1e-4)
        codes, seen = by["codes"][n], by["found"][n]
        error = np.square(seen[:, :3].mean(0) - codes[0, :3]).sum()
        error += np.square(seen[:, 3:] - codes[:, 3:]).sum(1).mean()
        assert found["encoder_loss"][n] == pytest.approx(error, rel=1e-5)


def test_each_network_learns_by_its_own_loss_alone(model, rng):
    frames = _frames(rng)
    place = {id(weight): k for k, weight in enumerate(model.trainable_weights)}
    assert len(place) == sum(
        len(getattr(model, n).trainable_weights) for n in _NETWORKS
    )
    for part, names in _OF_PART.items():

        def loss(part=part):
            outputs = model(frames, training=True)
            whole = model.compute_loss(frames, None, outputs)
            return ops.sum(model.parts(frames, None, outputs)[part]) + 0.0 * whole

        found = gradients.gradients(loss, model)
        moved = {
            name
            for name in _NETWORKS
            for weight in getattr(model, name).trainable_weights
            if np.abs(found[place[id(weight)]]).max() > 0
        }
        assert moved == names, part


def test_what_passes_for_real_also_sees_real_frames(model, rng):
    """The discriminator of videos sees the order of frames, that of images does not."""
    frames = _frames(rng)
    model.sampling.reset_evaluation()
    one, other = (model(x, training=False) for x in (frames, frames[:, ::-1].copy()))
    one, other = (as_numpy(x["video_real"]) for x in (one, other))
    assert np.abs(one - other).max() > 1e-4


def test_the_published_sizes_are_those_of_the_paper():
    model = MoCoGAN.from_preset("published")
    normal = {"generator": 2 * (512 + 256 + 128 + 64)}
    normal["image_discriminator"] = 2 * (128 + 256)
    normal["video_discriminator"] = 2 * (128 + 256 + 512)
    of_time = 4 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512)
    convolutions = {
        "generator": 16 * (60 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3),
        "image_discriminator": 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256),
        "video_discriminator": 16 * of_time,
    }
    for name, number in convolutions.items():
        network = getattr(model, name)
        found = sum(int(np.prod(w.shape)) for w in network.trainable_weights)
        assert found == number + normal[name], name
    # Three gates of ten units, each with its input, its state and two biases.
    assert model.motion.count_params() == 3 * 10 * (10 + 10 + 2)
    assert model.dynamic_dim + model.static_dim == 60
    assert (model.set_size, model.frame_stride) == (16, 2)


@pytest.mark.parametrize("frames", [1, 8, 18])
def test_windows_of_any_length(frames):
    """One logit a video of up to 16 frames; more have several."""
    options = {**_TINY, "images_per_set": 1, "encoder": False, "categories": 0}
    model = MoCoGAN(**{**options, "frames_per_set": frames})
    found = model(np.zeros((2, frames, 16, 16, 1), "uint8"))["video_real"]
    assert found.shape == (2, max(1, frames - 15), 1)


def test_draws_are_videos_of_one_category(model):
    static = model.draw_static(2, np.random.default_rng(0))
    repeated = np.broadcast_to(static, (5, 2, 3))
    dynamic = model.draw_dynamic(repeated, np.random.default_rng(1))
    assert dynamic.shape == (5, 2, 4)
    np.testing.assert_array_equal(dynamic[1:, :, :2], dynamic[:-1, :, :2])
    assert np.all(dynamic[..., :2].sum(-1) == 1)
    # By hand: the path of the first video, of the noise in the order of its draws.
    drawn = np.random.default_rng(1)
    state, path = (drawn.standard_normal(s, "float32") for s in ((2, 2), (2, 5, 2)))
    kernel, recurrent, bias = (ops.convert_to_numpy(w) for w in model.motion.weights)
    for t in range(5):
        x = path[:, t] @ kernel + bias[0]
        h = state @ recurrent + bias[1]
        z, r = (1 / (1 + np.exp(-(x + h)[:, k : k + 2])) for k in (0, 2))
        state = z * state + (1 - z) * np.tanh(x[:, 4:] + r * h[:, 4:])
        np.testing.assert_allclose(dynamic[t, :, 2:], state, atol=1e-5)
    videos = model.sample(2, 5, seed=3)
    assert videos.shape == (2, 5, 16, 16, 1)
    assert videos.min() >= 0 and videos.max() <= 1


def test_codes_are_found_where_there_is_an_encoder(model, rng):
    frames = _frames(rng)[0]
    codes = model.encode(frames)
    assert codes.static.mean.shape == (3,) and codes.dynamic.mean.shape == (3, 4)
    backwards = model.encode(frames[::-1])
    np.testing.assert_allclose(backwards.dynamic.mean[::-1], codes.dynamic.mean, 1e-5)
    plain = MoCoGAN(**{**_TINY, "encoder": False})
    with pytest.raises(InputError, match="MoCoGAN has no encoder: it only draws"):
        plain.encode(frames)


def test_saving_keeps_it_and_its_draws(model, rng, tmp_path):
    frames = _frames(rng)
    model(frames, training=True)  # the stream goes on
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(loaded.sample(2, 3), model.sample(2, 3), atol=1e-6)
    one, other = (m(frames, training=True) for m in (model, loaded))
    for name in one:
        values = (as_numpy(outputs[name]) for outputs in (one, other))
        np.testing.assert_allclose(*values, atol=1e-5, err_msg=name)
    assert float(loaded.optimizer.beta_1) == 0.5


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"categories": 4}, "categories=4; it must be a whole number 0 to 3"),
        ({"images_per_set": 4}, "images_per_set=4; it must be a whole number 1 to 3"),
    ],
)
def test_sizes_that_cannot_be(wrong, said):
    with pytest.raises(InputError, match=said):
        MoCoGAN(**{**_TINY, **wrong})


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "float32"])
def test_a_step_of_training(rng, dtype):
    model = MoCoGAN(**_TINY, dtype=dtype)
    model.compile()
    history = model.fit(_frames(rng), batch_size=2, verbose=0).history
    assert set(history) == {"loss", *_OF_PART}
    assert np.isfinite(history["loss"]).all()
