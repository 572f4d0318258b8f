import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.data import write_arrays
from keras_ddr.evaluation import Swap, swap

pytestmark = pytest.mark.backend


@pytest.fixture(scope="session")
def pair(tmp_path_factory):
    """Two sequences of three frames, the poses of the second in another order."""
    frames = np.random.default_rng(3).integers(0, 256, (2, 3, 32, 32, 3), "uint8")
    return write_arrays(
        tmp_path_factory.mktemp("stores") / "pair",
        frames,
        labels={"pose": [np.array([0, 1, 2]), np.array([2, 0, 1])]},
    )


def test_all_errors_equal_those_computed_by_hand(model, pair, material):
    # With one value of `pairs` far above the possible pairs, all are drawn.
    score = Swap(pairs=2000).run(material(model, pair, pair.sequences))
    codes = [model.encode(pair.frames(i)) for i in range(2)]
    frames = [pair.frames(i) / 255.0 for i in range(2)]
    mean = np.concatenate(frames).mean(axis=0)
    partner = [[1, 2, 0], [2, 0, 1]]  # frame of the other sequence in the same pose
    found = {"swap": [], "swap_prior": [], "reconstruction": [], "mean_image": []}
    for a, b in ((0, 1), (1, 0)):
        images = {
            "swap": model.swap(codes[a], codes[b]),
            "swap_prior": model.swap(codes[a], codes[b], align="prior"),
        }
        own = model.decode(codes[a].static.mean, codes[a].dynamic.mean)
        for i, j in enumerate(partner[a]):
            images["reconstruction"] = {j: own[i]}
            images["mean_image"] = {j: mean}
            for name, image in images.items():
                found[name].append(np.mean((image[j] - frames[a][i]) ** 2))
    for name, values in found.items():
        assert getattr(score, name) == pytest.approx(np.mean(values), rel=0.015), name
    assert score.pairs == 2000


def test_true_frames_come_from_any_sequence_of_a_person(
    model, pair, material, tmp_path
):
    """Two people, each pose in a sequence of its own, as in clips of one action."""
    frames = np.stack([pair.frames(0), pair.frames(1)])
    store = write_arrays(
        tmp_path / "clips",
        np.repeat(frames.reshape(6, 1, 32, 32, 3), 3, axis=1),
        labels={"pose": np.repeat([[0], [1], [2], [2], [0], [1]], 3, axis=1)},
        persons=["a", "a", "a", "b", "b", "b"],
    )
    score = Swap(pairs=4000).run(material(model, store, store.sequences))
    codes = [model.encode(store.frames(i)) for i in range(6)]
    truth = {(i // 3, int(store.frame_labels(i)["pose"][0])): i for i in range(6)}
    expected, own = [], []
    for a in range(6):
        for b in range(3) if a > 2 else range(3, 6):
            c = truth[a // 3, int(store.frame_labels(b)["pose"][0])]
            image = model.swap(codes[a], codes[b])[0]
            expected.append(np.mean((image - store.frames(c)[0] / 255.0) ** 2))
            own.append(
                np.mean(
                    (model.swap(codes[c], codes[c])[0] - store.frames(c)[0] / 255.0)
                    ** 2
                )
            )
    assert score.swap == pytest.approx(np.mean(expected), rel=0.015)
    assert score.reconstruction == pytest.approx(np.mean(own), rel=0.015)


def test_the_choice_of_pairs_follows_from_the_seed(model, store, material):
    given = [material(model, store, seed=seed) for seed in (0, 0, 1)]
    scores = [Swap(pairs=20).run(part) for part in given]
    assert scores[0] == scores[1] != scores[2]


def test_mean_image_is_that_of_the_frames(pair, store):
    everything = np.concatenate([pair.frames(0), pair.frames(1)]) / 255.0
    mean = swap.mean_image(pair, pair.sequences)
    np.testing.assert_allclose(mean, everything.mean(axis=0), atol=1e-12)
    few = swap.mean_image(store, store.sequences, frames=10)
    assert few.shape == (32, 32, 3) and 0 <= few.min() <= few.max() <= 1


def test_what_cannot_be_swapped_is_refused(model, store, pair, material, tmp_path):
    apart = write_arrays(
        tmp_path / "apart",
        [pair.frames(0), pair.frames(1)],
        labels={"pose": [np.array([0, 1, 2]), np.array([3, 4, 5])]},
    )
    for measure, data, sequences, message in (
        (Swap(label="gesture"), pair, pair.sequences, "no frame label 'gesture'"),
        (Swap(label="hair"), store, store.sequences[:2], "no frame label 'hair'"),
        (Swap(), pair, pair.sequences[:1], "at least two people"),
        (Swap(pairs=5), apart, apart.sequences, "no two people share"),
    ):
        with pytest.raises(InputError, match=message):
            measure.run(material(model, data, sequences))
