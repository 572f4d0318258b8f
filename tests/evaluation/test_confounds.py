import numpy as np
import pytest

from keras_ddr import Codes, InputError
from keras_ddr.data import write_arrays
from keras_ddr.evaluation import Leak, confounds
from keras_ddr.evaluation.held_out import _stretch, balanced, deal_out, held_out
from keras_ddr.gaussian import DiagonalGaussian
from keras_ddr.sequence_model import SequenceModel


class Planted(SequenceModel):
    """Codes are normal numbers; the camera, the first pixel, is added to some.

    `deep` is how far z lies apart, `width` the standard deviation of its posterior.
    """

    frames_per_set, static_dim, dynamic_dim = 1, 3, 2
    image_shape = (16, 16, 1)

    def __init__(self, where, deep=3.0, width=0.01, spread=1.0):
        super().__init__()
        self.where, self.deep, self.width, self.spread = where, deep, width, spread

    def encode(self, frames, *, seed=0, noise=0.0):
        camera = float(frames[0, 0, 0, 0] > 127)
        draw = np.random.default_rng(list(frames[0].tobytes()[1:9])).standard_normal
        f, z = draw(3), self.spread * draw((len(frames), 2))
        f[0] += 6 * camera * ("f" in self.where)
        z[:, 0] += self.deep * camera * ("z" in self.where)
        z += noise * self.width * draw(z.shape)
        parts = [
            DiagonalGaussian(x.astype("float32"), np.full(x.shape, s, "float32"))
            for x, s in ((f, -14), (z, 2 * np.log(self.width)))
        ]
        return Codes(*parts)


def _store(path, people=24, per=1, **labels):
    """Noise, with a first pixel for the camera; half of the people have each camera."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (people * per, 8, 16, 16, 1), "uint8")
    persons = np.repeat(np.arange(people), per)
    cameras = persons % 2 if per == 1 else np.arange(len(persons)) % 2
    frames[:, :, 0, 0, 0] = 255 * cameras[:, None]
    labels = {"camera": [("left", "right")[c] for c in cameras], **labels}
    persons = [f"person {p}" for p in persons]
    return write_arrays(path, list(frames), labels=labels, persons=persons)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return _store(tmp_path_factory.mktemp("stores") / "S", 40)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("f", "f gives the camera away (1.00, 1.00 to 1.00; chance .50), so compare"),
        ("z", "z~ gives it away (.9"),
        ("nowhere", "z~ shows no sign of it (.5"),
    ],
)
def test_what_is_planted_is_found_where_it_is(store, where, said):
    found = confounds(Planted(where), store, "camera")
    assert {code for code, leak in found.leaks.items() if leak.found} == {
        "f": {"f"},
        "z": {"z", "z~"},
        "nowhere": set(),
    }[where]
    assert said in found.advice()
    assert found.people == {"left": 20, "right": 20} and found.crossed == 0
    nested = "Nobody has more than one camera" in " ".join(found.notes())
    assert nested == (where != "nowhere")
    assert max(map(len, found.table().splitlines())) <= 100


def test_noise_that_hides_what_is_small(store):
    small = {"deep": 0.3, "spread": 0.05}
    found = confounds(Planted("z", **small, width=2.0), store, "camera")
    assert found.leaks["z~"].found and not found.noisy["z~"].found
    assert "by the codes of ddr encode --noise 1" in found.advice()
    found = confounds(Planted("z", **small), store, "camera", noise=0.5)
    assert "and still does with --noise 0.5" in found.advice()
    found = confounds(Planted("z", **small), store, "camera", noise=0)
    assert not found.noisy and "--noise" not in found.table()


def test_people_that_several_cameras_saw(tmp_path):
    found = confounds(Planted("fz"), _store(tmp_path / "S", 12, 4), "camera")
    assert found.crossed == 12 and found.people == {"left": 12, "right": 12}
    assert found.leaks["f"].found and not found.notes()


def test_nothing_is_found_in_codes_of_nobody():
    """Of 24 tests at a level of 2.5 % hardly more than two; codes keep to people."""
    claims = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        persons = np.repeat(np.arange(16), 2)
        names = rng.permutation(np.array(["a", "b"] * 8))[persons]
        folds = deal_out(names, persons, seed)
        habits = rng.standard_normal((16, 2))[persons]
        owner = np.repeat(np.arange(32), 5)
        z = habits[owner] / 2 + rng.standard_normal((160, 2))
        for codes, of in ((habits, np.arange(32)), (z, owner)):
            shares = held_out(codes, of, names, folds, "neighbours")
            claims += balanced(shares, names, persons).found
    assert claims <= 2


def test_who_someone_is_does_not_help():
    """Codes that name the person are of no use: all of a person are held out."""
    persons = np.repeat(np.arange(10), 3)
    names = np.array(["a", "b"] * 5)[persons]
    folds = deal_out(names, persons, 0)
    assert all(len(set(folds[persons == p])) == 1 for p in range(10))
    shares = held_out(np.eye(10)[persons], np.arange(30), names, folds, "linear")
    assert balanced(shares, names, persons).value <= 0.5


def test_a_frequent_class_is_not_named_for_all():
    """Nine of ten are "a", and codes say nothing: chance is a half, not nine tenths."""
    rng = np.random.default_rng(0)
    persons = np.arange(400)
    names = np.where(persons % 10, "a", "b")
    folds = deal_out(names, persons, 0)
    codes = rng.standard_normal((400, 2))
    for estimator in ("linear", "neighbours"):
        shares = held_out(codes, persons, names, folds, estimator)
        leak = balanced(shares, names, persons)
        assert leak.chance == 0.5 and leak.value == pytest.approx(0.5, abs=0.1)
        assert 0.1 < shares[names == "b"].mean() < 0.9


def test_scores_by_hand():
    shares, names = [1.0, 0.5, 0.25, np.nan], ["a", "a", "b", "b"]
    leak = balanced(shares, names, [0, 1, 2, 3])
    assert leak.value == (0.75 + 0.25) / 2 and leak.interval is None
    # Many people, in five folds: Nadeau and Bengio's √(1 + 5/4).
    assert _stretch(1e9, 5) == pytest.approx(1.5)
    # Eight degrees of freedom: √(9/8) · 2.306 / 1.960.
    assert _stretch(8, 5) == pytest.approx(1.5 * 1.0607 * 2.306 / 1.960, rel=1e-3)
    assert Leak(0.6, 0.5, (0.4, 0.8)).unclear
    assert not Leak(0.6, 0.5, (0.4, 0.7)).unclear


def test_people_that_are_few(tmp_path):
    store = _store(tmp_path / "S", 6, label=["x"] * 3 + ["y"] * 2 + ["z"])
    found = confounds(Planted("f"), store, "camera")
    assert found.leaks["f"].value == 1 and not found.leaks["f"].found
    assert found.advice().startswith("It stays open whether f knows the camera (1.00;")
    assert "Too few people" in found.table()
    assert confounds(Planted("f"), store, "label").left_out == ["z"]


def test_what_is_refused(tmp_path):
    labels = {
        "who": [f"w{k}" for k in range(4)],
        "same": ["x"] * 4,
        "none": [None, None, "", ""],
        "age": [1.0, 2.0, 3.0, 4.0],
        "mood": [np.arange(8) % 2] * 4,
    }
    store = _store(tmp_path / "S", 4, **labels)
    for label, message in (
        ("session", "has no label 'session'; it has camera, who, same$"),
        ("mood", "label 'mood' is one of frames"),
        ("age", "'age' has numbers, and classes are needed; .* age:categorical"),
        ("same", "'same' is 'x' in all 4 sequences"),
        ("who", "have one person each, so who and person cannot be told apart"),
    ):
        with pytest.raises(InputError, match=message):
            confounds(Planted("f"), store, label)
    with pytest.raises(InputError, match="noise=-1"):
        confounds(Planted("f"), store, "camera", noise=-1)
    frames, mood = np.zeros((2, 8, 16, 16, 1), "uint8"), [np.arange(8) % 2] * 2
    bare = write_arrays(tmp_path / "T", list(frames), labels={"mood": mood})
    with pytest.raises(InputError, match="has none of sequences; .* by ddr label"):
        confounds(Planted("f"), bare, "camera")
