"""Hidden Markov models against sums over all paths."""

import itertools

import numpy as np

from keras_ddr.mixture import GaussianMixture
from keras_ddr.states.markov import HiddenMarkov, smooth


def _by_paths(density, start, transitions):
    """Probabilities, expected changes and log-likelihood, path by path."""
    length, number = density.shape
    shares, changes, total = np.zeros((length, number)), np.zeros((number, number)), 0.0
    for path in itertools.product(range(number), repeat=length):
        steps = list(itertools.pairwise(path))
        weight = start[path[0]] * np.prod([transitions[step] for step in steps])
        weight *= np.exp(density[np.arange(length), path].sum())
        total += weight
        shares[np.arange(length), path] += weight
        for step in steps:
            changes[step] += weight
    return shares / total, changes / total, np.log(total)


def test_smoothing_is_the_sum_over_all_paths(rng):
    density = rng.normal(size=(2, 5, 3))
    start, transitions = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3), 3)
    lengths = 5, 3
    found = smooth(
        density, start, transitions, np.arange(5) < np.array(lengths)[:, None]
    )
    every = np.zeros((3, 3))
    for run, length in enumerate(lengths):
        shares, changes, total = _by_paths(density[run, :length], start, transitions)
        np.testing.assert_allclose(found.probabilities[run, :length], shares)
        np.testing.assert_allclose(found.log_prob[run].sum(), total)
        every += changes
    np.testing.assert_allclose(found.changes, every)


def test_far_from_every_state_is_still_a_number():
    states = GaussianMixture([1.0, 0.0], [[0.0], [1.0]], np.full((2, 1, 1), 1e-4))
    chain = HiddenMarkov.fit(states, [np.array([[1e3], [1.0], [-1e3]])])
    found = chain.responsibilities([np.array([[1e3], [1.0], [-1e3]])])
    np.testing.assert_allclose(found, [[0, 1], [0, 1], [1, 0]], atol=1e-9)


def _chain(rng, transitions, length):
    path = [0]
    for _ in range(length - 1):
        path.append(rng.choice(len(transitions), p=transitions[path[-1]]))
    return np.array(path)


def test_a_chain_is_found_again(rng):
    transitions = np.array([[0.9, 0.1, 0.0], [0.0, 0.8, 0.2], [0.5, 0.0, 0.5]])
    means = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    path = _chain(rng, transitions, 4000)
    points = means[path] + rng.normal(size=(4000, 2)) * 0.8
    states = GaussianMixture(np.full(3, 1 / 3), means, 0.64 * np.stack([np.eye(2)] * 3))
    chain = HiddenMarkov.fit(states, np.split(points, 40))
    seen = np.zeros((3, 3))
    np.add.at(seen, (path[:-1], path[1:]), 1)
    seen /= seen.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(chain.transitions, seen, atol=0.05)
    alone = states.responsibilities(points).argmax(axis=1)
    together = chain.responsibilities([points]).argmax(axis=1)
    assert (together != path).mean() < 0.6 * (alone != path).mean()
    flicker = [np.count_nonzero(np.diff(each)) for each in (path, together, alone)]
    assert flicker[1] < flicker[0] < flicker[2]
    swapped = chain.ordered([2, 0, 1]).responsibilities([points])
    np.testing.assert_allclose(swapped, chain.responsibilities([points])[:, [2, 0, 1]])
