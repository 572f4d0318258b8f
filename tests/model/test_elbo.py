"""The loss is the paper's bound, with sums and means where they belong."""

import numpy as np
import pytest
from keras import ops

from keras_ddr import DiagonalGaussian

pytestmark = pytest.mark.backend


def _numpy(outputs):
    return {name: ops.convert_to_numpy(value) for name, value in outputs.items()}


def test_parts_against_numpy(small, sets):
    model = small()
    outputs = model(sets, training=True)
    parts = [ops.convert_to_numpy(p) for p in model.elbo_parts(sets, outputs)]
    out = _numpy(outputs)
    x = sets / 255.0
    logits = out["reconstruction_logits"].astype("float64")
    cross_entropy = -(x * logits - np.logaddexp(0, logits)).sum(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(parts[0], cross_entropy, rtol=1e-5)
    q = DiagonalGaussian(out["dynamic_mean"], out["dynamic_log_variance"])
    p = DiagonalGaussian(out["prior_mean"][:, None], out["prior_log_variance"][:, None])
    np.testing.assert_allclose(
        parts[1], q.kl_divergence(p).sum(axis=1), rtol=1e-4, atol=1e-5
    )
    f = DiagonalGaussian(out["static_mean"], out["static_log_variance"])
    np.testing.assert_allclose(parts[2], f.kl_divergence(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kl_weight", [1.0, 0.25])
def test_loss_is_the_mean_over_sets(small, sets, kl_weight):
    model = small(kl_weight=kl_weight)
    model.compile()
    outputs = model(sets)
    recon, kl_z, kl_f = (
        ops.convert_to_numpy(p) for p in model.elbo_parts(sets, outputs)
    )
    loss = float(model.compute_loss(sets, None, outputs))
    assert loss == pytest.approx((recon + kl_weight * (kl_z + kl_f)).mean(), rel=1e-5)


def test_a_weight_of_zero_leaves_a_set_out(small, sets):
    model = small()
    model.compile()
    outputs = model(sets)
    weights = np.array([1.0] * 8 + [0.0] * 4, "float32")
    padded = float(model.compute_loss(sets, None, outputs, weights))
    first = {name: value[:8] for name, value in outputs.items()}
    alone = float(model.compute_loss(sets[:8], None, first))
    assert padded == pytest.approx(alone, rel=1e-6)


def test_more_frames_and_pixels_add_up(small, sets):
    """Twice the frames, or four times the picture, is that many times the loss."""
    model = small(aggregation="mean")
    twice = np.concatenate([sets, sets], axis=1)
    one = model(sets)
    other = model(twice)
    # Zero logits: every pixel and channel costs log 2.
    for x, outputs, frames in ((sets, one, 3), (twice, other, 6)):
        outputs["reconstruction_logits"] *= 0
        reconstruction, _, _ = model.elbo_parts(x, outputs)
        np.testing.assert_allclose(
            ops.convert_to_numpy(reconstruction),
            frames * 16 * 16 * 3 * np.log(2),
            rtol=1e-5,
        )


def test_integers_and_floats_are_the_same_frames(small, sets):
    model = small()
    integers, floats = _numpy(model(sets)), _numpy(model(sets.astype("float32") / 255))
    for name in integers:
        np.testing.assert_allclose(integers[name], floats[name], atol=1e-5)


def test_the_mean_path_draws_nothing(small, sets):
    model = small()
    one, other = _numpy(model(sets)), _numpy(model(sets))
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
    drawn = _numpy(model(sets, training=True))
    difference = drawn["reconstruction_logits"] - one["reconstruction_logits"]
    assert np.abs(difference).max() > 1e-6


def test_mean_aggregation_is_blind_to_order(small, sets):
    model = small(aggregation="mean")
    outputs = _numpy(model(sets))
    order = [2, 0, 1]
    shuffled = _numpy(model(sets[:, order]))
    for name in ("static_mean", "static_log_variance", "prior_mean"):
        np.testing.assert_allclose(shuffled[name], outputs[name], atol=1e-5)
    for name in ("dynamic_mean", "reconstruction_logits"):
        np.testing.assert_allclose(shuffled[name], outputs[name][:, order], atol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "likelihood"),
    [
        ("float32", "bernoulli"),
        ("mixed_float16", "normal"),
        *(
            pytest.param(dtype, likelihood, marks=pytest.mark.slow)
            for dtype, likelihood in (
                ("float32", "continuous_bernoulli"),
                ("float32", "normal"),
                ("mixed_float16", "bernoulli"),
                ("mixed_float16", "continuous_bernoulli"),
                ("mixed_bfloat16", "continuous_bernoulli"),
            )
        ),
    ],
)
def test_extreme_pixels_stay_finite(small, dtype, likelihood):
    model = small(dtype=dtype, likelihood=likelihood)
    model.compile("adam")
    black, white = (
        np.zeros((4, 3, 16, 16, 3), "uint8"),
        np.full((4, 3, 16, 16, 3), 255, "uint8"),
    )
    history = model.fit(np.concatenate([black, white]), epochs=3, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values()), history
    for weight in model.trainable_weights:
        assert np.isfinite(ops.convert_to_numpy(weight)).all(), weight.path


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_extreme_codes_stay_finite(small, sets, dtype):
    """Log-variances far outside the bound, means of 1e4: still a finite loss."""
    model = small(dtype=dtype)
    model.compile("adam")
    for layer in (model.static_encoder, model.dynamic_encoder, model.prior):
        layer.head.dense.bias.assign(
            1e4 * np.resize([1, -1], layer.head.dense.bias.shape)
        )
    outputs = model(sets, training=True)
    for name, value in outputs.items():
        if name != "reconstruction_logits":
            assert np.isfinite(ops.convert_to_numpy(ops.cast(value, "float32"))).all()
    for part in model.elbo_parts(sets, outputs):
        assert np.isfinite(ops.convert_to_numpy(part)).all()
    assert np.isfinite(float(model.compute_loss(sets, None, outputs)))


@pytest.mark.slow
def test_codes_carry_something_after_a_short_fit(small, sets):
    model = small(aggregation="mean", static_kl_weight=0.1)
    model.compile("adam")
    model.optimizer.learning_rate = 1e-2
    history = model.fit(sets, epochs=200, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    codes = model.predict(sets, verbose=0)
    f, z = codes["static_mean"], codes["dynamic_mean"]

    def error(f, z):
        images = model.decode(np.repeat(f[:, None], 3, axis=1), z)
        return np.mean(np.square(images - sets / 255.0))

    # With the codes of another set they are other pictures.
    assert error(f, z) < 0.6 * error(np.roll(f, 1, axis=0), np.roll(z, 1, axis=0))


def test_what_follows_f_is_given_its_draw(small, sets):
    """The prior, q(z | f, x) and the decoder see the f that was drawn, not its mean."""
    model = small()
    model(sets)
    stream = model.sampling.training_stream.state
    before = ops.convert_to_numpy(stream)
    out = model(sets, training=True)
    stream.assign(before)
    f = model.sampling(out["static_mean"], out["static_log_variance"], training=True)
    features = model.frame_encoder(sets.astype("float32") / 255)
    for name, layer, inputs in (
        ("prior", model.prior, (f,)),
        ("dynamic", model.dynamic_encoder, (f, features)),
    ):
        for part, value in zip(("mean", "log_variance"), layer(*inputs), strict=True):
            np.testing.assert_allclose(
                ops.convert_to_numpy(out[f"{name}_{part}"]),
                ops.convert_to_numpy(value),
                atol=1e-5,
            )
    z = model.sampling(out["dynamic_mean"], out["dynamic_log_variance"], training=True)
    np.testing.assert_allclose(
        ops.convert_to_numpy(out["reconstruction_logits"]),
        ops.convert_to_numpy(model.frame_decoder(f, z)),
        atol=1e-4,
    )
