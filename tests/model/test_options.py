"""Each option of the model does what it says; none is passed over."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ddr import DDR, DiagonalGaussian, InputError
from keras_ddr.model_files import check_model_file

pytestmark = pytest.mark.backend


def _numpy(outputs):
    return {name: ops.convert_to_numpy(value) for name, value in outputs.items()}


def test_distinct_frames_have_their_roles(small, sets):
    """f follows from the first N frames alone, what is decoded from the others."""
    model = small(dynamic_frames="distinct", frames_per_set=2, aggregation="mean")
    assert model.set_size == 4
    frames = np.concatenate([sets, sets[:, :1]], axis=1)
    out = _numpy(model(frames))
    assert out["reconstruction_logits"].shape == (12, 2, 16, 16, 3)
    assert out["dynamic_mean"].shape == (12, 2, 2)
    other_f, other_z = frames.copy(), frames.copy()
    other_f[:, 0] = 255 - other_f[:, 0]
    other_z[:, 3] = 255 - other_z[:, 3]
    moved_f, moved_z = _numpy(model(other_f)), _numpy(model(other_z))
    assert np.abs(moved_f["static_mean"] - out["static_mean"]).max() > 1e-3
    np.testing.assert_array_equal(moved_z["static_mean"], out["static_mean"])
    np.testing.assert_allclose(
        moved_z["dynamic_mean"][:, 0], out["dynamic_mean"][:, 0], atol=1e-6
    )
    assert np.abs(moved_z["dynamic_mean"] - out["dynamic_mean"])[:, 1].max() > 1e-3
    # The same weights on shared frames: f as there, z as of a set of the others.
    shared = small(frames_per_set=2, aggregation="mean")
    shared.set_weights(model.get_weights())
    np.testing.assert_allclose(
        _numpy(shared(frames[:, :2]))["static_mean"], out["static_mean"], atol=1e-6
    )


def test_the_loss_of_distinct_frames_is_that_of_the_decoded_ones(small, sets):
    model = small(dynamic_frames="distinct", frames_per_set=2, aggregation="concat")
    frames = np.concatenate([sets, sets[:, :1]], axis=1)
    outputs = model(frames)
    x = frames[:, 2:] / 255.0
    logits = ops.convert_to_numpy(outputs["reconstruction_logits"]).astype("float64")
    expected = -(x * logits - np.logaddexp(0, logits)).sum(axis=(1, 2, 3, 4))
    found = ops.convert_to_numpy(model.elbo_parts(frames, outputs)[0])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.slow
def test_distinct_frames_are_trained_on_in_sets_of_2n(small, sets):
    model = small(dynamic_frames="distinct", frames_per_set=2, aggregation="mean")
    model.compile()
    with pytest.raises(InputError, match=r"takes \(sets, 4, 16, 16, 3\)"):
        model.fit(sets, verbose=0)
    frames = np.concatenate([sets, sets[:, :1]], axis=1)
    history = model.fit(
        frames, batch_size=4, validation_data=frames[:4], epochs=1, verbose=0
    ).history
    assert np.isfinite(list(history.values())).all()
    codes = model.encode(sets[0])
    assert codes.dynamic.mean.shape == (3, 2)


@pytest.mark.slow
def test_a_run_draws_sets_of_2n(tmp_path):
    from keras_ddr import runs
    from keras_ddr.data import write_arrays

    frames = np.random.default_rng(0).integers(0, 256, (6, 5, 16, 16, 3), "uint8")
    splits = ["train"] * 4 + ["val"] * 2
    store = write_arrays(tmp_path / "store", frames, splits=splits)
    sizes = {"static_dim": 4, "filters": 4, "pair_filters": 4, "hidden_units": 8}
    options = {"dynamic_frames": "distinct", "frames_per_set": 2}
    training = {"steps": 2, "batch_size": 2}
    run = runs.Run.create(
        tmp_path / "run", store, "tiny", model={**sizes, **options}, training=training
    )
    model, _ = run.restore()
    assert run.sets(model, store, 1)[0][0].shape == (2, 4, 16, 16, 3)
    run = runs.fit(run, verbose=0, report=None)
    assert run.history()[0]["val_loss"] is not None
    assert runs.load_model(run.path).dynamic_frames == "distinct"
    options["frames_per_set"] = 3
    with pytest.raises(InputError, match="fewer frames than the 6 of a set"):
        runs.Run.create(tmp_path / "other", store, "tiny", model={**sizes, **options})


def test_a_standard_prior_is_one_and_is_used(small, sets):
    model = small(dynamic_prior="standard")
    out = _numpy(model(sets))
    assert out["prior_mean"].shape == (12, 2)
    assert not out["prior_mean"].any()
    assert not out["prior_log_variance"].any()
    kl = ops.convert_to_numpy(model.elbo_parts(sets, model(sets))[1])
    q = DiagonalGaussian(out["dynamic_mean"], out["dynamic_log_variance"])
    np.testing.assert_allclose(kl, q.kl_divergence().sum(axis=1), rtol=1e-4, atol=1e-5)
    assert len(model.trainable_weights) < len(small().trainable_weights)
    codes = model.encode(sets[0])
    np.testing.assert_array_equal(codes.standardized, codes.dynamic.mean)


def test_pooled_frames_are_not_compared(small, sets):
    """The mean over frames is taken before anything joins them."""
    model = small(aggregation="pooled")
    out = _numpy(model(sets))
    backwards = _numpy(model(sets[:, ::-1]))
    np.testing.assert_allclose(
        backwards["static_mean"], out["static_mean"], rtol=1e-4, atol=1e-5
    )
    # A frame and itself again are that frame alone.
    single = small(aggregation="pooled", frames_per_set=1)
    single.set_weights(model.get_weights())
    np.testing.assert_allclose(
        _numpy(model(np.repeat(sets[:, :1], 3, axis=1)))["static_mean"],
        _numpy(single(sets[:, :1]))["static_mean"],
        rtol=1e-4,
        atol=1e-5,
    )
    kernel = model.static_encoder.frame_convolution.kernel
    assert tuple(kernel.shape) == (3, 3, 6, 5)


def test_pooling_against_numpy():
    """With kernels that pass one pixel on: relu, mean over frames, relu, dense."""
    from keras_ddr.layers import PooledStaticEncoder

    features = np.random.default_rng(0).normal(size=(2, 3, 2, 2, 4)).astype("float32")
    layer = PooledStaticEncoder(3, filters=5, hidden_units=6)
    layer.build((None, 3, 2, 2, 4))
    for convolution in (layer.frame_convolution, layer.set_convolution):
        kernel = np.zeros(convolution.kernel.shape, "float32")
        size = kernel.shape[2:]
        kernel[1, 1] = np.random.default_rng(1).normal(size=size)
        convolution.kernel.assign(kernel)
    first, second = (
        ops.convert_to_numpy(c.kernel)[1, 1]
        for c in (layer.frame_convolution, layer.set_convolution)
    )
    maps = np.maximum(np.maximum(features @ first, 0).mean(axis=1) @ second, 0)
    expected = layer.head(layer.dense(maps.reshape(2, -1)))
    for found, wanted in zip(layer(features), expected, strict=True):
        np.testing.assert_allclose(
            *map(ops.convert_to_numpy, (found, wanted)), rtol=1e-4, atol=1e-5
        )


@pytest.mark.slow
def test_a_vae_of_frames_trains(small, sets):
    """One frame a set, pooled, and a standard prior: nothing of a sequence is used."""
    model = small(aggregation="pooled", frames_per_set=1, dynamic_prior="standard")
    model.compile(keras.optimizers.Adam(1e-2))
    frames = sets.reshape(36, 1, 16, 16, 3)
    losses = model.fit(frames, batch_size=12, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert model.encode(sets[0]).static.mean.shape == (4,)


def test_the_number_of_frames_at_encoding_may_be_another(small, sets):
    model = small(aggregation="mean")
    frames = sets.reshape(36, 16, 16, 3)[:8]
    codes = {n: model.encode(frames, sets=1, frames_per_set=n) for n in (None, 3, 6, 8)}
    np.testing.assert_array_equal(codes[None].static.mean, codes[3].static.mean)
    assert not np.allclose(codes[6].static.mean, codes[3].static.mean, rtol=1e-3)
    # All frames at once are all frames at once, whatever their order.
    again = model.encode(frames, sets=1, frames_per_set=8, seed=5)
    np.testing.assert_allclose(
        again.static.mean, codes[8].static.mean, rtol=1e-4, atol=1e-5
    )
    with pytest.raises(InputError, match="holds 8 frames|at least 9"):
        model.encode(frames, frames_per_set=9)
    with pytest.raises(InputError, match="frames_per_set=1;"):
        model.encode(frames, frames_per_set=1)
    with pytest.raises(InputError, match="at least 3, or give frames_per_set=2$"):
        model.encode(frames[:2])
    with pytest.raises(InputError, match="at least 3$"):
        small().encode(frames[:2])
    with pytest.raises(InputError, match="aggregation 'concat'. takes the 3"):
        small().encode(frames, frames_per_set=4)


OPTIONS = {
    "aggregation": "pooled",
    "dynamic_frames": "distinct",
    "dynamic_prior": "standard",
    "decoder": "warping",
}


def test_options_are_saved(small, sets, tmp_path):
    model = small(**OPTIONS)
    path = tmp_path / "model.keras"
    model.save(path)
    check_model_file(path)
    loaded = keras.models.load_model(path)
    for name, value in OPTIONS.items():
        assert getattr(loaded, name) == value
        with pytest.raises(InputError, match=f"{name}='no'; use one of .*{value}"):
            DDR((16, 16, 3), **{name: "no"})
    frames = np.concatenate([sets, sets], axis=1)
    for name, value in _numpy(model(frames)).items():
        np.testing.assert_allclose(_numpy(loaded(frames))[name], value, atol=1e-6)


def test_one_frame_cannot_be_compared(small):
    with pytest.raises(InputError, match="frames_per_set=1; it must be .* at least 2"):
        small(frames_per_set=1)
