"""What training descends beside the ELBO, and that the history shows none of it."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from keras_ddr import DiagonalGaussian, InputError
from keras_ddr.objective import dependence

pytestmark = pytest.mark.backend


def _loss(model, sets, training=True, weights=None):
    outputs = model(sets)
    return float(model.compute_loss(sets, None, outputs, weights, training=training))


def _kl_terms(model, sets):
    """KL of each dimension, (B, N, dim z) and (B, dim f), from the definition."""
    out = {name: ops.convert_to_numpy(value) for name, value in model(sets).items()}

    def gaussian(name, axis=()):
        pair = (out[f"{name}_{part}"] for part in ("mean", "log_variance"))
        return DiagonalGaussian(
            *(np.expand_dims(a.astype("float64"), axis) for a in pair)
        )

    q, p, f = gaussian("dynamic"), gaussian("prior", 1), gaussian("static")

    def kl(m, v, m0, v0):
        return np.log(np.sqrt(v0 / v)) + (v + (m - m0) ** 2) / (2 * v0) - 0.5

    return (
        kl(q.mean, q.variance, p.mean, p.variance),
        kl(f.mean, f.variance, 0.0, 1.0),
    )


@pytest.mark.parametrize("high", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_free_bits_against_numpy(small, sets, high, weighted):
    plain = small()
    plain.compile()
    weights = np.arange(1.0, 13.0, dtype="float32") if weighted else None
    share = np.full(12, 1 / 12) if weights is None else weights / weights.sum()
    dynamic, static = _kl_terms(plain, sets)
    dynamic = np.tensordot(share, dynamic.mean(axis=1), 1)
    static = np.tensordot(share, static, 1)
    terms = np.concatenate([dynamic, static])
    free = 10.0 if high else float(np.median(terms))
    assert terms.min() < free
    more = 3 * np.maximum(dynamic, free).sum() + np.maximum(static, free).sum()
    more -= 3 * dynamic.sum() + static.sum()
    model = small(free_bits=free)
    model.compile()
    model.set_weights(plain.get_weights())
    expected = _loss(plain, sets, weights=weights) + more
    assert _loss(model, sets, weights=weights) == pytest.approx(expected, rel=1e-5)
    untouched = _loss(model, sets, training=False, weights=weights)
    assert untouched == pytest.approx(_loss(plain, sets, weights=weights), rel=1e-6)


def test_warm_up_rises_in_equal_parts(small, sets):
    plain, model = small(), small(kl_warmup=4, kl_weight=0.5)
    for each in (plain, model):
        each.compile()
    for target, source in zip(
        model.trainable_weights, plain.trainable_weights, strict=True
    ):
        target.assign(source)
    outputs = plain(sets)
    recon, kl_z, kl_f = (
        ops.convert_to_numpy(part).mean() for part in plain.elbo_parts(sets, outputs)
    )
    assert _loss(model, sets, training=False) == pytest.approx(
        recon + 0.5 * (kl_z + kl_f), rel=1e-5
    )
    found = []
    for _ in range(6):
        assert model.warming_up == (len(found) < 4)
        outputs = plain(sets)
        found.append(float(model.compute_loss(sets, None, outputs)))
    factors = 0.5 * np.array([1, 2, 3, 4, 4, 4]) / 4
    np.testing.assert_allclose(found, recon + factors * (kl_z + kl_f), rtol=1e-5)


@pytest.mark.slow
def test_fit_counts_its_steps_and_saves_them(small, sets, tmp_path):
    model = small(kl_warmup=9)
    model.compile()
    model.fit(sets, batch_size=4, epochs=2, verbose=0)
    assert float(model._step) == 6
    assert model.warming_up
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert (loaded.objective.kl_warmup, float(loaded._step)) == (9, 6)
    loaded.fit(sets, batch_size=4, verbose=0)
    model.evaluate(sets, verbose=0)
    assert (float(loaded._step), float(model._step)) == (9, 6)
    assert not loaded.warming_up


def test_the_static_weight_is_of_the_kl_of_f_alone(small, sets):
    plain = small()
    plain.compile()
    model = small(kl_weight=0.5, static_kl_weight=0.25)
    model.compile()
    model.set_weights(plain.get_weights())
    recon, kl_z, kl_f = (
        ops.convert_to_numpy(part).mean()
        for part in plain.elbo_parts(sets, plain(sets))
    )
    expected = recon + 0.5 * (kl_z + 0.25 * kl_f)
    for training in (True, False):
        loss = _loss(model, sets, training=training)
        assert loss == pytest.approx(expected, rel=1e-5)


def _plain_dependence(codes, weights):
    """Mean distances from the definition, a pair at a time."""
    found = {True: [], False: []}
    for (b, n), (c, m) in itertools.product(np.ndindex(codes.shape[:2]), repeat=2):
        if (b, n) != (c, m):
            weight = weights[b] if b == c else weights[b] * weights[c]
            distance = np.linalg.norm(codes[b, n].astype("float64") - codes[c, m])
            found[b == c].append((weight, distance))
    within, across = (
        np.average([d for _, d in pairs], weights=[w for w, _ in pairs])
        for pairs in (found[True], found[False])
    )
    return across - within


def test_dependence_is_the_energy_distance():
    random = np.random.default_rng(0)
    codes = random.normal(size=(12, 3, 2)).astype("float32")
    codes += random.normal(size=(12, 1, 2)).astype("float32")
    even = float(dependence(ops.convert_to_tensor(codes), 1 / 12))
    assert even == pytest.approx(_plain_dependence(codes, np.ones(12)), rel=1e-4)
    weights = random.uniform(size=12).astype("float32")
    weights[3] = 0.0
    uneven = float(dependence(ops.convert_to_tensor(codes), weights))
    assert uneven == pytest.approx(_plain_dependence(codes, weights), rel=1e-4)
    codes[3] += 100.0
    assert float(dependence(ops.convert_to_tensor(codes), weights)) == uneven


def test_one_set_alone_depends_on_nothing():
    # What is left of the differences are errors of rounding, which must not be divided.
    random = np.random.default_rng(0)
    for weights in (1.0, [1.0], [0.0, 0.7, 0.0]):
        sets = 1 if weights == 1.0 else len(weights)
        for _ in range(20):
            codes = random.normal(size=(sets, 6, 2)).astype("float32")
            found = dependence(ops.convert_to_tensor(codes), np.float32(weights))
            assert float(found) == 0.0


def test_dependence_of_what_is_independent_is_0_in_the_mean():
    codes = np.random.default_rng(0).normal(size=(400, 2, 2)).astype("float32")
    assert abs(float(dependence(ops.convert_to_tensor(codes), 1.0))) < 0.1
    codes[:, 1] = codes[:, 0]
    # The mean distance of two points of a standard normal in two dimensions.
    whole = float(dependence(ops.convert_to_tensor(codes), 1.0))
    assert whole == pytest.approx(np.sqrt(np.pi), rel=0.05)


def test_the_loss_has_the_dependence_of_the_relative_code(small, sets):
    plain = small()
    plain.compile()
    model = small(independence_weight=7.0)
    model.compile()
    model.set_weights(plain.get_weights())
    weights = np.arange(12.0, dtype="float32")
    out = {name: ops.convert_to_numpy(value) for name, value in plain(sets).items()}
    relative = out["dynamic_mean"] - out["prior_mean"][:, None]
    relative /= np.exp(0.5 * out["prior_log_variance"])[:, None]
    more = 7.0 * 3 * _plain_dependence(relative, weights)
    assert abs(more) > 0.01
    expected = _loss(plain, sets, weights=weights) + more
    assert _loss(model, sets, weights=weights) == pytest.approx(expected, rel=1e-5)
    untouched = _loss(model, sets, training=False, weights=weights)
    assert untouched == pytest.approx(_loss(plain, sets, weights=weights), rel=1e-6)


def _moving(frames, images):
    moved, shown = (x - x.mean(axis=1, keepdims=True) for x in (frames, images))
    return np.square(moved - shown).sum(axis=(1, 2, 3, 4))


def _unexplained(frames, images):
    """Number of frames times the mean share over all ordered pairs."""

    def distances(x):
        return np.square(x[:, :, None] - x[:, None]).sum(axis=(3, 4, 5))

    change, number = distances(frames), frames.shape[1]
    apart = ~np.eye(number, dtype=bool)
    shares = distances(images - frames) / (change + change[:, apart].mean() / 1000)
    return number * shares[:, apart].mean(axis=1)


@pytest.mark.parametrize(
    ("name", "error"), [("motion_weight", _moving), ("change_weight", _unexplained)]
)
def test_the_loss_has_the_error_of_what_moves(small, sets, name, error):
    plain = small()
    plain.compile()
    model = small(**{name: 5.0})
    model.compile()
    model.set_weights(plain.get_weights())
    weights = np.arange(12.0, dtype="float32")
    frames = np.asarray(model.intensities(sets))
    images = 1 / (
        1 + np.exp(-ops.convert_to_numpy(plain(sets)["reconstruction_logits"]))
    )
    more = 5.0 * np.average(error(frames, images), weights=weights)
    assert more > 1
    expected = _loss(plain, sets, weights=weights) + more
    assert _loss(model, sets, weights=weights) == pytest.approx(expected, rel=1e-5)
    untouched = _loss(model, sets, training=False, weights=weights)
    assert untouched == pytest.approx(_loss(plain, sets, weights=weights), rel=1e-6)


@pytest.mark.slow
def test_training_with_the_penalty_makes_the_code_independent(small, sets):
    def relative(**arguments):
        keras.utils.set_random_seed(1)
        model = small(**arguments)
        model.compile(keras.optimizers.Adam(1e-2))
        model.fit(sets, batch_size=12, epochs=60, verbose=0)
        out = model(sets)
        codes = ops.convert_to_numpy(out["dynamic_mean"] - out["prior_mean"][:, None])
        codes /= np.exp(0.5 * ops.convert_to_numpy(out["prior_log_variance"]))[:, None]
        return _plain_dependence(codes, np.ones(12)) / codes.std()

    assert relative(independence_weight=100.0) < 0.5 * relative()


def test_the_history_shows_the_elbo(small, sets):
    """As of a model of the same weights and draws without any of it."""

    def logs(**arguments):
        keras.utils.set_random_seed(2)
        model = small(**arguments)
        model.compile(keras.optimizers.SGD(0.0))
        return model.fit(sets, batch_size=4, verbose=0, shuffle=False).history

    plain = logs()
    changed = logs(
        kl_warmup=100, free_bits=10.0, independence_weight=10.0, motion_weight=10.0
    )
    assert changed.keys() == plain.keys()
    for name, values in plain.items():
        assert changed[name] == pytest.approx(values, rel=1e-5), name
    names = ("reconstruction_loss", "kl_static", "kl_dynamic")
    assert plain["loss"][0] == pytest.approx(sum(plain[k][0] for k in names), rel=1e-6)


@pytest.mark.slow
def test_training_follows_what_was_asked(small, sets):
    """At first warm-up is a training almost without KL, free bits one without it."""

    def kl(**arguments):
        keras.utils.set_random_seed(1)
        model = small(**arguments)
        model.compile(keras.optimizers.Adam(1e-2))
        model.fit(sets, batch_size=4, epochs=30, verbose=0)
        logs = model.evaluate(sets, verbose=0, return_dict=True)
        return logs["kl_static"] + logs["kl_dynamic"]

    elbo = kl(kl_weight=4.0)
    assert kl(kl_weight=4.0, kl_warmup=10**6) > 2 * elbo
    assert kl(kl_weight=4.0, free_bits=10.0) > 2 * elbo


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kl_warmup": -1}, "kl_warmup=-1"),
        ({"kl_warmup": 2.5}, "kl_warmup=2.5"),
        ({"free_bits": -0.1}, "free_bits=-0.1"),
        ({"free_bits": float("nan")}, "free_bits=nan"),
        ({"kl_weight": float("inf")}, "kl_weight=inf"),
        ({"static_kl_weight": -1.0}, "static_kl_weight=-1"),
        ({"independence_weight": -1.0}, "independence_weight=-1"),
        ({"motion_weight": -1.0}, "motion_weight=-1"),
        (
            {
                "independence_weight": 1.0,
                "aggregation": "pooled",
                "frames_per_set": 1,
            },
            "frames_per_set of at least 2",
        ),
    ],
)
def test_what_cannot_be_is_refused(small, arguments, message):
    with pytest.raises(InputError, match=message):
        small(**arguments).compile()
