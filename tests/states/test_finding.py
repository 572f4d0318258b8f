"""States of points whose clusters are known."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from keras_ddr import InputError
from keras_ddr.states import find_states

_SPLITS = ["train"] * 6 + ["val"] * 4
_CENTRES = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])


def _blobs(rng, sequences=10, frames=60):
    true = rng.choice(3, p=[0.2, 0.5, 0.3], size=(sequences, frames))
    return _CENTRES[true] + rng.normal(size=(sequences, frames, 2)), true


def test_clusters_are_found_and_sorted_by_their_use(store_of, of_z, rng):
    z, true = _blobs(rng)
    done = []
    store = store_of(10, 60, splits=_SPLITS)
    found = find_states(
        store, of_z(store, z), progress=lambda *counts: done.append(counts)
    )
    assert found.names == ["state 1", "state 2", "state 3"]
    assert found.chosen.stability > 0.9 and done[-1] == (11, 11)
    # The one with most frames is the one at (5, 0).
    np.testing.assert_allclose(found.gaussians.means, _CENTRES[[1, 2, 0]], atol=0.35)
    states = found.predict(z[0])
    np.testing.assert_allclose(states.sum(axis=1), 1)
    assert adjusted_rand_score(true[0], states.argmax(axis=1)) > 0.85
    fewer = found.trials[0]
    assert not fewer.allowed or fewer.behind > fewer.error > 0
    with pytest.raises(InputError, match="no order in time, which a hidden Markov"):
        store.ordered = False
        find_states(store, [], method="hmm")


def test_without_val_the_score_is_the_bic(store_of, of_z, rng):
    z, _ = _blobs(rng, 2, 100)
    store = store_of(2, 100)
    found = find_states(store, of_z(store, z), states=3)
    points, fit = z.reshape(-1, 2), found.gaussians
    # Three means, covariances and shares: 3 · (2 + 3) + 2 numbers.
    expected = fit.log_prob(points).mean() - 0.5 * 17 * np.log(200) / 200
    assert found.chosen.score == pytest.approx(expected, abs=1e-6)


def test_a_continuum_has_no_stable_number(store_of, of_z, rng):
    store = store_of(10, 60, splits=_SPLITS)
    found = find_states(store, of_z(store, rng.normal(size=(10, 60, 2))), states=8)
    assert found.chosen.stability < 0.8 and len(found.trials) == 1


def test_neighbours_in_time_are_heeded(store_of, of_z, rng):
    true = np.repeat(rng.integers(3, size=(10, 6)), 10, axis=1)
    z = 0.5 * _CENTRES[true] + rng.normal(size=(10, 60, 2))
    store = store_of(10, 60, splits=_SPLITS)
    rand = {}
    for method in ("mixture", "hmm"):
        found = find_states(store, of_z(store, z), states=3, method=method)
        states = np.stack([found.predict(each).argmax(axis=1) for each in z])
        rand[method] = adjusted_rand_score(true.ravel(), states.ravel())
    assert rand["hmm"] > rand["mixture"] + 0.1


def test_what_cannot_be_used(store_of, of_z, rng):
    store = store_of(2, 9)
    encoded = of_z(store, rng.normal(size=(2, 9, 2)))
    for options, message in (
        ({"states": 1}, "states=1; it must be a whole number of at least 2"),
        ({"states": 4}, "states=4: needs 5 frames a state, and there are 18 to fit"),
        ({"method": "k-means"}, "method='k-means'; use one of mixture, hmm"),
    ):
        with pytest.raises(InputError, match=message):
            find_states(store, encoded, **options)
    assert find_states(store, encoded).chosen.number in (2, 3)
    encoded = of_z(store, np.full((2, 9, 2), np.nan))
    with pytest.raises(InputError, match="sequence-0: z holds NaN"):
        find_states(store, encoded)
