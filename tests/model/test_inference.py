"""encode, decode, sample, swap and the log-likelihood."""

import os
import subprocess
import sys
import tracemalloc

import keras
import numpy as np
import pytest
from keras import ops

from keras_ddr import DiagonalGaussian, InputError
from keras_ddr.inference import _choose_sets

pytestmark = pytest.mark.backend

_EVERY_PART = """
import numpy as np
from keras_ddr import DDR

model = DDR((16, 16, 1), 2, filters=2, pair_filters=2, hidden_units=2)
codes = model.encode(np.zeros((3, 16, 16, 1), "uint8"))
model.decode(codes.static.mean, codes.dynamic.mean)
model.sample(sequences=2, frames=2)
"""


@pytest.fixture
def sequence(rng):
    return rng.integers(0, 256, (70, 16, 16, 3), dtype="uint8")


def test_encode_equals_the_forward_pass(small, sets):
    """One set of all frames: the same posterior as `predict`, for any order."""
    model = small(aggregation="mean")
    expected = model.predict(sets[:1], verbose=0)
    codes = model.encode(sets[0], sets=1)
    np.testing.assert_allclose(codes.static.mean, expected["static_mean"][0], atol=1e-5)
    np.testing.assert_allclose(
        codes.static.log_variance, expected["static_log_variance"][0], atol=1e-4
    )
    np.testing.assert_allclose(
        codes.dynamic.mean, expected["dynamic_mean"][0], atol=1e-5
    )
    np.testing.assert_allclose(codes.prior.mean, expected["prior_mean"][0], atol=1e-5)
    image = model.decode(codes.static.mean, codes.dynamic.mean)
    np.testing.assert_allclose(image, expected["reconstruction"][0], atol=1e-5)


def test_encode_shapes_seeds_and_lengths(small, sequence):
    model = small(dynamic_dim=3)
    for length in (3, 64, 65, 70):
        codes = model.encode(sequence[:length])
        assert codes.static.mean.shape == (4,)
        assert codes.dynamic.log_variance.shape == (length, 3)
        assert codes.prior.mean.shape == (3,)
        assert codes.standardized.shape == (length, 3)
        assert codes.dynamic.mean.dtype == np.float32
    one, same = model.encode(sequence, seed=1), model.encode(sequence, seed=1)
    np.testing.assert_array_equal(one.static.mean, same.static.mean)
    other = model.encode(sequence, seed=2)
    assert np.abs(one.static.mean - other.static.mean).max() > 1e-7


def test_standardized_is_the_standard_score(small, sequence):
    codes = small().encode(sequence)
    expected = (codes.dynamic.mean - codes.prior.mean) / codes.prior.stddev
    np.testing.assert_allclose(codes.standardized, expected, rtol=1e-5)


def test_noise_is_that_of_the_posterior(small, rng):
    model = small()
    frames = rng.integers(0, 256, (2, 300, 16, 16, 3), "uint8")
    plain = model.encode(frames[0])
    noisy = model.encode(frames[0], noise=0.5)
    scores = (noisy.dynamic.mean - plain.dynamic.mean) / plain.dynamic.stddev
    # Bounds of five standard errors of 600 values.
    assert abs(scores.mean()) < 0.11 and abs(scores.std() - 0.5) < 0.08
    for part in ("static", "prior"):
        np.testing.assert_array_equal(
            getattr(noisy, part).mean, getattr(plain, part).mean
        )
    np.testing.assert_array_equal(noisy.dynamic.variance, plain.dynamic.variance)
    again = model.encode(frames[0], noise=0.5)
    np.testing.assert_array_equal(again.dynamic.mean, noisy.dynamic.mean)
    twice = model.encode(frames[0], noise=1.0)
    np.testing.assert_allclose(
        twice.dynamic.mean - plain.dynamic.mean,
        2 * (noisy.dynamic.mean - plain.dynamic.mean),
        atol=1e-5,
    )
    # What two sequences have in common at a place must not survive in its noise.
    other = model.encode(frames[1], noise=0.5)
    others = other.dynamic.mean - model.encode(frames[1]).dynamic.mean
    correlation = np.corrcoef(scores.ravel(), others.ravel())[0, 1]
    assert abs(correlation) < 0.25
    with pytest.raises(InputError, match="noise=-1"):
        model.encode(frames[0], noise=-1)


def test_combining_sets(small, sequence):
    model = small(aggregation="mean")
    members = _choose_sets(70, 3, 5, 0, disjoint=False)
    assert members.shape == (5, 3)
    assert all(len(set(row)) == 3 for row in members)
    posteriors = [model.encode(sequence[row], sets=1).static for row in members]
    means = np.stack([p.mean for p in posteriors])
    variances = np.stack([p.variance for p in posteriors])
    mixture = model.encode(sequence, sets=5).static
    np.testing.assert_allclose(mixture.mean, means.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(
        mixture.variance, variances.mean(axis=0) + means.var(axis=0), rtol=1e-4
    )

    members = _choose_sets(70, 3, 100, 0, disjoint=True)
    assert members.shape == (23, 3) and len(set(members.flat)) == 69
    members = _choose_sets(70, 3, 5, 0, disjoint=True)
    posteriors = [model.encode(sequence[row], sets=1).static for row in members]
    precisions = np.stack([1 / p.variance for p in posteriors])
    means = np.stack([p.mean for p in posteriors])
    product = model.encode(sequence, sets=5, combine="product").static
    precision = np.maximum(precisions.sum(axis=0) - 4, 1)
    np.testing.assert_allclose(1 / product.variance, precision, rtol=1e-3)
    np.testing.assert_allclose(
        product.mean, (precisions * means).sum(axis=0) / precision, atol=1e-4
    )
    assert (product.variance <= 1 + 1e-6).all()


def test_decode_shapes(small, rng):
    model = small()
    f, z = rng.random((5, 4)), rng.random((5, 7, 2))
    images = model.decode(f, z)
    assert images.shape == (5, 7, 16, 16, 3)
    assert images.min() >= 0 and images.max() <= 1
    np.testing.assert_allclose(model.decode(f[2], z[2]), images[2], atol=1e-6)
    np.testing.assert_allclose(model.decode(f, z[:, 0]), images[:, 0], atol=1e-6)
    np.testing.assert_allclose(model.decode(f[0], z[0, 0]), images[0, 0], atol=1e-6)
    assert model.decode(f[:0], z[:0]).shape == (0, 7, 16, 16, 3)
    with pytest.raises(InputError, match="its last axis must be 2"):
        model.decode(f, rng.random((5, 3)))
    with pytest.raises(InputError, match="do not belong together"):
        model.decode(f, rng.random((6, 2)))


def test_sample(small):
    model = small()
    images = model.sample(3, 5, seed=1)
    assert images.shape == (3, 5, 16, 16, 3)
    np.testing.assert_array_equal(images, model.sample(3, 5, seed=1))
    assert np.abs(images - model.sample(3, 5, seed=2)).max() > 0


def test_samples_come_from_the_prior(small):
    model = small()
    model.sample()  # builds it
    head = model.prior.head.dense
    head.kernel.assign(np.zeros(head.kernel.shape))

    def images(log_variance):
        head.bias.assign(np.array([2.0, -1.0, log_variance, log_variance]))
        return model.sample(2, 4, seed=3)

    # The log-variance is bounded to −7, a deviation of .03.
    narrow, wide = images(-1e4), images(3.0)
    assert np.abs(narrow - narrow[:, :1]).max() < 0.1 * np.abs(wide - wide[:, :1]).max()
    static = np.random.default_rng(3).standard_normal((2, 4), "float32")
    expected = model.decode(static, np.broadcast_to([2.0, -1.0], (2, 2)))
    far = np.abs(expected[0] - expected[1]).max()
    assert np.abs(narrow[:, 0] - expected).max() < 0.2 * far


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous_bernoulli", "normal"])
def test_images_are_the_means_of_the_likelihood(small, rng, likelihood):
    model = small(likelihood=likelihood)
    # More than are decoded at once.
    f = rng.normal(0, 3, (70, 4)).astype("float32")
    z = rng.normal(0, 3, (70, 2)).astype("float32")
    outputs = ops.convert_to_numpy(model.frame_decoder(f, z[:, None]))[:, 0]
    logits = 100 * outputs.astype("float64")
    last = model.frame_decoder.deconvolutions[-1]
    for weight in last.weights:
        weight.assign(100 * ops.convert_to_numpy(weight))
    images = model.decode(f, z)
    half = 0.5 * logits
    with np.errstate(divide="ignore", invalid="ignore"):
        means = {
            "bernoulli": 0.5 + 0.5 * np.tanh(half),
            "continuous_bernoulli": 0.5 + 0.5 / np.tanh(half) - 1 / logits,
        }
    clear = np.abs(logits) > 0.1  # where the formula keeps its digits
    assert clear.mean() > 0.5
    expected = means.get(likelihood, means["bernoulli"])
    np.testing.assert_allclose(images[clear], expected[clear], atol=2e-4)


def test_swap(small, sequence):
    model = small()
    one, other = sequence[:10], sequence[10:25]
    images = model.swap(one, other)
    assert images.shape == (15, 16, 16, 3)
    f, z = model.encode(one), model.encode(other)
    np.testing.assert_allclose(
        images, model.decode(f.static.mean, z.dynamic.mean), atol=1e-6
    )
    aligned = model.swap(f, z, align="prior")
    carried = f.prior.mean + f.prior.stddev * z.standardized
    np.testing.assert_allclose(aligned, model.decode(f.static.mean, carried), atol=1e-6)
    # A sequence swapped with itself is its reconstruction, either way.
    np.testing.assert_allclose(
        model.swap(f, f), model.swap(f, f, align="prior"), atol=1e-5
    )
    with pytest.raises(InputError, match="align='both'"):
        model.swap(one, other, align="both")


def test_bad_sequences(small, sequence):
    model = small()
    for frames, message in (
        (sequence[:2], "holds 2 frames; this model compares 3"),
        (sequence[0], "takes one sequence"),
        (sequence[..., :1], "takes one sequence"),
        (sequence.astype("float32"), "floats must lie in"),
    ):
        with pytest.raises(InputError, match=message):
            model.encode(frames)
    with pytest.raises(InputError, match="combine='sum'"):
        model.encode(sequence, combine="sum")
    with pytest.raises(InputError, match="sets=0"):
        model.encode(sequence, sets=0)
    for call in (model.encode, model.log_likelihood):
        with pytest.raises(InputError, match="seed=-1"):
            call(sequence[:3], seed=-1)
    with pytest.raises(InputError, match="seed=-1"):
        model.sample(seed=-1)


def test_tensors_are_taken_and_nothing_is_made_of_nothing(small, sequence):
    model = small()
    codes = model.encode(sequence)
    again = model.encode(keras.ops.convert_to_tensor(sequence))
    np.testing.assert_array_equal(again.dynamic.mean, codes.dynamic.mean)
    assert model.prior_of(np.zeros((0, 4))).mean.shape == (0, 2)


@pytest.mark.slow
def test_encoding_takes_no_copy_of_a_long_sequence(small, rng):
    model = small()
    frames = rng.integers(0, 256, (6_000, 16, 16, 3), "uint8")
    model.encode(frames[:100], noise=1.0)
    tracemalloc.start()
    codes = model.encode(frames, noise=1.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert codes.dynamic.mean.shape == (6_000, 2)
    # Its maps are of 1 × 1 × 6 floats a frame; the frames as floats would be 18 MB.
    assert peak < 4 * frames.size / 2


def test_encoding_follows_the_weights(small, sets):
    model = small()
    before = model.encode(sets[0]).static.mean
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(sets, epochs=1, verbose=0)
    assert np.abs(model.encode(sets[0]).static.mean - before).max() > 1e-4


# --- log-likelihood ---


@pytest.fixture
def one_dimensional(small, sets):
    """dim f = dim z = 1, trained a little so that the posterior means something."""
    model = small(
        image_shape=(16, 16, 1), static_dim=1, dynamic_dim=1, frames_per_set=2
    )
    frames = sets[:, :2, :, :, :1]
    model.compile(keras.optimizers.Adam(2e-3))
    model.fit(frames, epochs=80, verbose=0)
    return model, frames


def _by_quadrature(model, frames):
    """log p(x_1, …, x_N) on a grid of f and z."""
    f = np.linspace(-6, 6, 121, dtype="float32")[:, None]
    prior = model.prior_of(f)
    steps = np.linspace(-6, 6, 121, dtype="float32")
    z = prior.mean[:, None] + prior.stddev[:, None] * steps[None, :, None]
    pairs = np.repeat(f, 121, axis=0), z.reshape(-1, 1, 1)
    outputs = ops.convert_to_numpy(model.outputs(*map(ops.convert_to_tensor, pairs)))
    outputs = outputs[:, 0]
    log_p = np.stack(
        [
            ops.convert_to_numpy(
                model.likelihood.log_prob(outputs, np.broadcast_to(x, outputs.shape))
            ).reshape(121, 121)
            for x in frames / 255.0
        ],
        axis=-1,
    ).astype("float64")
    standard = DiagonalGaussian(np.zeros(1), np.zeros(1))
    # In steps of σ the prior of z is standard normal.
    log_z = standard.log_prob(steps[:, None].astype("float64")) + np.log(0.1)
    log_f = standard.log_prob(f.astype("float64")) + np.log(0.1)
    per_frame = np.logaddexp.reduce(log_p + log_z[None, :, None], axis=1)
    return np.logaddexp.reduce(per_frame.sum(axis=1) + log_f) / len(frames)


def test_log_likelihood_against_quadrature(one_dimensional):
    model, frames = one_dimensional
    for index in (0, 5):
        exact = _by_quadrature(model, frames[index])
        estimate = model.log_likelihood(frames[index], samples=512, dynamic_samples=8)
        assert estimate.effective_sample_size > 20
        assert estimate.value == pytest.approx(exact, abs=0.05)


@pytest.mark.slow
def test_log_likelihood_is_above_the_elbo(one_dimensional):
    model, frames = one_dimensional
    copies = np.repeat(frames[:1], 512, axis=0)
    elbo = -model.evaluate(copies, batch_size=128, verbose=0, return_dict=True)["loss"]
    few = model.log_likelihood(frames[0], samples=512)
    assert few.value > elbo / 2
    # With one draw of f the expectation is the ELBO itself.
    single = [model.log_likelihood(frames[0], 1, seed=s).value for s in range(100)]
    spread = np.std(single) / 10
    assert np.mean(single) == pytest.approx(elbo / 2, abs=5 * spread)


def test_log_likelihood_seed_and_errors(small, sets):
    model = small()
    one = model.log_likelihood(sets[0], samples=40, dynamic_samples=2, seed=1)
    assert one == model.log_likelihood(sets[0], samples=40, dynamic_samples=2, seed=1)
    assert 1 <= one.effective_sample_size <= 40
    with pytest.raises(InputError, match="samples=0"):
        model.log_likelihood(sets[0], samples=0)
    with pytest.raises(InputError, match="holds 4 frames; a set has 3"):
        model.log_likelihood(np.concatenate([sets[0], sets[1][:1]]))


@pytest.mark.slow
def test_compiling_every_part_is_no_retracing():
    """TensorFlow takes the parts for one program, and warns of the fifth."""
    pytest.importorskip("tensorflow")
    result = subprocess.run(
        [sys.executable, "-c", _EVERY_PART],
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "retracing" not in result.stderr
