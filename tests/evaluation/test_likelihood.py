import numpy as np
import pytest
from keras import ops

from keras_ddr.evaluation import measure_likelihood
from keras_ddr.evaluation.likelihood import choose_sets, elbo_of_sets


class Nothing:
    """A generator whose draws are all the mean."""

    def standard_normal(self, shape, dtype):
        return np.zeros(shape, dtype)


def sets_of(model, store, seed=0):
    sequences = store.select("all")
    positions = choose_sets(sequences, model.frames_per_set, seed)
    return store.gather([s.index for s in sequences], positions)


def test_parts_are_those_of_the_model(model, store):
    frames = sets_of(model, store)
    outputs = model(frames, training=False)
    expected = [ops.convert_to_numpy(p) for p in model.elbo_parts(frames, outputs)]
    found = elbo_of_sets(model, frames, Nothing()).T
    for part, wanted, sign in zip(found, expected, (-1, 1, 1), strict=True):
        np.testing.assert_allclose(part, sign * wanted, rtol=1e-5, atol=1e-4)


def test_mean_is_that_of_evaluate(model, store):
    model.compile()
    frames = np.concatenate([sets_of(model, store, seed) for seed in range(8)])
    wanted = model.evaluate(frames, verbose=0, return_dict=True)
    found = elbo_of_sets(model, frames, np.random.default_rng(0))
    wanted = [
        -wanted["reconstruction_loss"],
        wanted["kl_dynamic"],
        wanted["kl_static"],
    ]
    # Both are means of draws of their own.
    error = np.sqrt(2 / len(found)) * found.std(axis=0)
    assert (np.abs(found.mean(axis=0) - wanted) < 4 * error + 1e-4).all()


def test_sets_hold_distinct_frames_and_follow_from_the_seed(store):
    sequences = store.select("all")
    sets = choose_sets(sequences, 12)
    assert (np.sort(sets, axis=1) == np.arange(12)).all()
    assert (sets == choose_sets(sequences, 12)).all()
    assert (sets != choose_sets(sequences, 12, seed=1)).any()


def test_likelihood(model, store):
    sequences = store.select("train")
    calls = []
    score = measure_likelihood(
        model,
        store,
        sequences,
        sampled=4,
        samples=40,
        done=lambda *call: calls.append(call),
    )
    few = sequences[:8]
    frames = store.gather(
        [s.index for s in few], choose_sets(few, model.frames_per_set)
    )
    found = elbo_of_sets(model, frames, np.random.default_rng([0, 1]))
    in_nats_a_frame = (found @ [1, -1, -1]).mean() / model.frames_per_set
    of_few = measure_likelihood(model, store, few, sampled=1, samples=2)
    assert of_few.elbo == pytest.approx(in_nats_a_frame, rel=1e-5)
    parts = score.log_prob - score.kl_dynamic - score.kl_static
    assert score.elbo == pytest.approx(parts)
    assert (score.sets, score.sampled_sets) == (len(sequences), 4)
    assert score.interval[0] < score.elbo < score.interval[1]
    # More draws of f than one make the bound tighter.
    assert score.log_likelihood > score.sampled_elbo
    assert 1 <= score.effective_sample_size <= 40
    assert calls == [(i, 4) for i in range(1, 5)]
    again = measure_likelihood(model, store, sequences, sampled=4, samples=40)
    assert again == score


def test_the_random_state_of_training_does_not_move(model, store):
    streams = model.sampling.training_stream, model.sampling.evaluation_stream
    before = [ops.convert_to_numpy(stream.state.value) for stream in streams]
    measure_likelihood(model, store, store.select("test"), sampled=1, samples=2)
    after = [ops.convert_to_numpy(stream.state.value) for stream in streams]
    np.testing.assert_array_equal(before, after)
    model(store.frames(0, [0, 1, 2])[None], training=True)
    assert (ops.convert_to_numpy(streams[0].state.value) != before[0]).any()
