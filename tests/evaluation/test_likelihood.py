import types

import numpy as np
import pytest
from keras import ops

from keras_ddr.evaluation import Likelihood, evaluate
from keras_ddr.evaluation.likelihood import choose_sets


class Nothing:
    """A generator whose draws are all the mean."""

    def standard_normal(self, shape, dtype):
        return np.zeros(shape, dtype)


def sets_of(model, store, seed=0):
    sequences = store.select("all")
    positions = choose_sets(sequences, model, seed)
    return store.gather([s.index for s in sequences], positions)


@pytest.mark.backend
def test_parts_are_those_of_the_loss(model, store):
    model.compile()
    frames = np.concatenate([sets_of(model, store, seed) for seed in range(8)])
    wanted = model.evaluate(frames, verbose=0, return_dict=True)
    found = model.sampled_elbo(frames, np.random.default_rng(0))
    wanted = [
        -wanted["reconstruction_loss"],
        wanted["kl_dynamic"],
        wanted["kl_static"],
    ]
    # Both are means of draws of their own.
    error = np.sqrt(2 / len(found)) * found.std(axis=0)
    assert (np.abs(found.mean(axis=0) - wanted) < 4 * error + 1e-4).all()
    # The KL of f has no draw in it.
    assert found[:, 2].mean() == pytest.approx(wanted[2], rel=1e-4)
    certain = [model.sampled_elbo(frames[:2], Nothing()) for _ in range(2)]
    np.testing.assert_array_equal(*certain)


def test_sets_hold_distinct_frames_and_follow_from_the_seed(store):
    sequences = store.select("all")
    whole = types.SimpleNamespace(set_size=12, frame_order="random", frame_stride=1)
    sets = choose_sets(sequences, whole)
    assert (np.sort(sets, axis=1) == np.arange(12)).all()
    assert (sets == choose_sets(sequences, whole)).all()
    assert (sets != choose_sets(sequences, whole, seed=1)).any()
    window = types.SimpleNamespace(set_size=3, frame_order="ordered", frame_stride=4)
    windows = choose_sets(sequences, window)
    assert (np.diff(windows, axis=1) == 4).all()
    assert windows.min() == 0 and windows.max() == 11


def test_likelihood(model, store, material):
    sequences = store.select("train")
    calls = []
    given = {"split": "train", "metrics": Likelihood(sampled=4, samples=40)}
    report = evaluate(model, store, **given, progress=lambda *call: calls.append(call))
    score = report.likelihood
    few = material(model, store, sequences[:8])
    frames = store.gather(
        [s.index for s in sequences[:8]], choose_sets(sequences[:8], model)
    )
    found = model.sampled_elbo(frames, np.random.default_rng([0, 1]))
    in_nats_a_frame = (found @ [1, -1, -1]).mean() / model.frames_per_set
    of_few = Likelihood(sampled=1, samples=2).run(few)
    assert of_few.elbo == pytest.approx(in_nats_a_frame, rel=1e-5)
    parts = score.log_prob - score.kl_dynamic - score.kl_static
    assert score.elbo == pytest.approx(parts)
    assert (score.sets, score.sampled_sets) == (len(sequences), 4)
    assert score.interval[0] < score.elbo < score.interval[1]
    # More draws of f than one make the bound tighter.
    assert score.log_likelihood > score.sampled_elbo
    assert 1 <= score.effective_sample_size <= 40
    expected = [("likelihood", 0, 0), *(("likelihood", i, 4) for i in range(1, 5))]
    assert calls == expected
    assert evaluate(model, store, **given).likelihood == score


@pytest.mark.backend
def test_the_random_state_of_training_does_not_move(model, store, material):
    streams = model.sampling.training_stream, model.sampling.evaluation_stream
    before = [ops.convert_to_numpy(stream.state.value) for stream in streams]
    Likelihood(sampled=1, samples=2).run(material(model, store))
    after = [ops.convert_to_numpy(stream.state.value) for stream in streams]
    np.testing.assert_array_equal(before, after)
    model(store.frames(0, [0, 1, 2])[None], training=True)
    assert (ops.convert_to_numpy(streams[0].state.value) != before[0]).any()
