import numpy as np
import pytest
from moving_clips import ACTIONS, LENGTH, Codec, OnlyDraws, clip, write_clips

from keras_ddr import InputError
from keras_ddr.data import FrameStore, write_arrays
from keras_ddr.densities import fit_densities
from keras_ddr.evaluation import Clips, choose_targets, evaluate
from keras_ddr.evaluation.clip_cutting import cut_clips
from keras_ddr.evaluation.clip_judge import ClipJudge, load_clip_judge
from keras_ddr.evaluation.clip_judge_training import _initialize, train_clip_judge
from keras_ddr.evaluation.clip_scores import Seen, balanced, row_of
from keras_ddr.evaluation.judge_targets import Target

# Of the first clip of `test_a_judge_means_the_same_on_every_backend`.
HAIR = [0.318842, 0.681158]
ACTION = [0.146960, 0.432848, 0.378269, 0.041922]


@pytest.fixture(scope="module")
def clips(judged):
    return FrameStore.open(judged / "S")


@pytest.fixture(scope="module")
def characters(tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "characters"
    return write_clips(path, sequences="characters")


@pytest.fixture(scope="module")
def judge(judged):
    return load_clip_judge(judged / "judge.keras")


def targets_of(store):
    attributes, action = choose_targets(store, store.select(), action=["action"])
    return [*attributes, action]


# --- clips --------------------------------------------------------------------------


def test_clips_are_those_that_were_written(clips, characters):
    for store in (clips, characters):
        sequences = store.select("test")
        targets = targets_of(store)
        found = cut_clips(store, sequences, targets)
        images = found.images(np.arange(len(found)))
        assert images.shape == (3 * 6, LENGTH, 16, 16, 3)
        names = {t.name: np.array(t.classes)[found.truth[t.name]] for t in targets}
        for i, shown in enumerate(zip(*names.values(), strict=True)):
            numbers = [
                ("red", "green", "blue").index(shown[0]),
                ("black", "grey").index(shown[1]),
                ACTIONS.index(shown[2]),
            ]
            np.testing.assert_array_equal(np.rint(255 * images[i]), clip(*numbers))
        places = [np.arange(s.length) for s in sequences]
        np.testing.assert_array_equal(
            found.of_frames(places), found.start[:, None] + np.arange(LENGTH)
        )


def _of_frames(path, frames=8, **labels):
    pixels = np.zeros((2, frames, 16, 16, 3), "uint8")
    who = {"hair": ["a", "b"]}
    labels = {name: [np.array(column)] * 2 for name, column in labels.items()}
    return write_arrays(path, pixels, labels={**who, **labels})


def test_what_is_no_whole_clip_is_told(tmp_path):
    action = [0, 0, 0, 1, 1, 1, 0, 1]
    # One clip of each action, and two frames whose action changes.
    store = _of_frames(tmp_path / "S", phase=[0, 1, 2, 0, 1, 2, 0, 1], action=action)
    with pytest.warns(UserWarning, match="4 of 16 frames are in no whole clip of 3"):
        found = cut_clips(store, store.sequences, targets_of(store))
    assert found.start.tolist() == [0, 3] * 2
    assert found.owner.tolist() == [0, 0, 1, 1]
    assert found.truth["action"].tolist() == [0, 1] * 2
    shuffled = _of_frames(tmp_path / "T", phase=[1, 0, 2, 1, 0, 2, 1, 0], action=action)
    with pytest.raises(InputError, match="no clip of 3 frames"):
        cut_clips(shuffled, shuffled.sequences, targets_of(shuffled))
    plain = _of_frames(tmp_path / "P", action=action)
    with pytest.raises(InputError, match="no frame label 'phase'"):
        train_clip_judge(plain)
    none = _of_frames(tmp_path / "N", phase=np.full(8, np.nan), action=action)
    with pytest.raises(InputError, match="'phase' is missing everywhere"):
        train_clip_judge(none)


# --- scores -------------------------------------------------------------------------


def test_perfect_probabilities():
    action = np.tile(np.arange(9), 4)
    own = np.arange(36)
    seen = Seen({"hair": np.eye(2)[own % 2], "action": np.eye(9)[action]}, own, own)
    row = row_of([seen], {"hair": own % 2, "action": action}, own // 9, seed=0)
    assert row.accuracy == {"hair": 1, "action": 1} and row.of_other == {}
    assert row.entropies["inception_score"] == pytest.approx(9)
    assert row.entropies["conditional"] == 0
    assert row.entropies["marginal"] == pytest.approx(np.log(9))


def test_scores_equal_those_by_hand(rng):
    # Class 0 has 3 clips, class 1 two, class 2 four: the first two of each count.
    action = np.array([0, 2, 2, 1, 0, 2, -1, 1, 0, 2])
    hair = np.array([0, 1, 0, 1, 0, 1, 0, 1, -1, 0])
    assert balanced(action).tolist() == [0, 1, 2, 3, 4, 7]
    own, other = np.arange(10), np.roll(np.arange(10), 3)
    draws = [
        Seen(
            {
                "hair": rng.dirichlet(np.ones(2), 10),
                "action": rng.dirichlet(np.ones(3), 10),
            },
            other,
            own,
        )
        for _ in range(2)
    ]
    row = row_of(draws, {"hair": hair, "action": action}, own, seed=0)
    scores = {"inception_score": [], "conditional": [], "marginal": []}
    for seen in draws:
        p = np.stack([seen.probabilities["action"][i] for i in (0, 1, 2, 3, 4, 7)])
        mean = p.mean(axis=0)
        divergence = (p * (np.log(p) - np.log(mean))).sum(axis=1).mean()
        scores["inception_score"].append(np.exp(divergence))
        scores["conditional"].append(-(p * np.log(p)).sum(axis=1).mean())
        scores["marginal"].append(-(mean * np.log(mean)).sum())
    for name, values in scores.items():
        assert row.entropies[name] == pytest.approx(np.mean(values))

    def share(name, truth, source):
        named = [seen.probabilities[name].argmax(axis=1) for seen in draws]
        pairs = [(n[i], truth[source[i]]) for n in named for i in range(10)]
        return np.mean([a == b for a, b in pairs if b >= 0])

    assert row.accuracy["hair"] == share("hair", hair, other)
    assert row.accuracy["action"] == share("action", action, own)
    assert row.of_other["hair"] == share("hair", hair, own)
    assert row.of_other["action"] == share("action", action, other)


# --- the judge ----------------------------------------------------------------------


@pytest.mark.backend
def test_a_judge_means_the_same_on_every_backend(tmp_path, rng):
    targets = [Target(("hair",), "sequence", ["a", "b"])]
    targets += [Target(("animation", "direction"), "frame", list("cdef"))]
    judge = ClipJudge((32, 16, 3), 3, targets, filters=2, code_dim=4, units=5)
    _initialize(judge, 7)
    judge.set_weights([4 * weight for weight in judge.get_weights()])
    clips = rng.uniform(size=(5, 3, 32, 16, 3))
    found = judge.probabilities(clips)
    np.testing.assert_allclose(found["hair"][0], HAIR, rtol=1e-4)
    np.testing.assert_allclose(found["animation×direction"][0], ACTION, rtol=1e-4)
    # The order of the frames counts.
    other = judge.probabilities(clips[:, ::-1])
    assert not np.allclose(other["hair"], found["hair"], rtol=1e-4)
    judge.save(tmp_path / "judge.keras")
    loaded = load_clip_judge(tmp_path / "judge.keras")
    assert loaded.targets == judge.targets
    for name, probabilities in loaded.probabilities(clips).items():
        np.testing.assert_array_equal(probabilities, found[name])


@pytest.mark.backend
def test_a_judge_learns(judge, clips, characters):
    for store in (clips, characters):
        found = cut_clips(store, store.select("test"), judge.targets)
        named = judge.judge(len(found), found.images)
        for name, truth in found.truth.items():
            assert (named[name].argmax(axis=1) == truth).all(), name


@pytest.mark.slow
def test_the_seed_decides_on_the_judge(clips):
    one, same, other = (train_clip_judge(clips, steps=2, seed=s) for s in (3, 3, 4))
    images = np.random.default_rng(0).uniform(size=(2, LENGTH, 16, 16, 3))
    found = [x.probabilities(images)["action"] for x in (one, same, other)]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)
    assert not np.allclose(found[0], found[2], rtol=1e-3)


@pytest.mark.parametrize("change", ["size", "length", "classes", "labels"])
def test_a_judge_of_another_store(judge, change, tmp_path):
    frames = np.zeros((2, 5, 32 if change == "size" else 16, 16, 3), "uint8")
    count = 5 if change == "length" else LENGTH
    labels = {
        "colour": ["red", "pink" if change == "classes" else "blue"],
        "ground": ["black", "grey"],
        "action": [["down"] * 5] * 2,
        "phase": [np.arange(5) % count] * 2,
    }
    if change == "labels":
        del labels["ground"]
    store = write_arrays(
        tmp_path / "S", frames, splits=["train", "test"], labels=labels
    )
    said = {
        "size": r"trained on frames \(16, 16, 3\), but those of",
        "length": "trained on clips of 4 frames, but those of .* have 5",
        "classes": "it does not know colour 'pink'",
        "labels": "it names 'ground', but",
    }
    with pytest.raises(InputError, match=said[change]):
        judge.check(store, store.sequences)


# --- the measure --------------------------------------------------------------------


def rows_of(model, store, judge):
    return evaluate(model, store, metrics=Clips(judge=judge)).clips.rows


@pytest.mark.parametrize(
    "kind", [pytest.param("clips", marks=pytest.mark.slow), "characters"]
)
def test_codes_that_are_right(judge, request, kind):
    store = request.getfixturevalue(kind)
    model = Codec()
    fit_densities(model, store)
    rows = rows_of(model, store, judge)
    for row in ("real", "reconstructed", "static_other"):
        assert set(rows[row].accuracy.values()) == {1}, row
    for row in ("static_prior", "static_fitted"):
        assert rows[row].accuracy == {"action": 1}, row
        assert rows[row].of_other["colour"] < 0.8, row
    # z of another p(z | f) is decoded into another action where z~ is not.
    assert rows["static_other_raw"].accuracy["action"] < 0.9
    assert rows["static_other_raw"].accuracy["colour"] > 0.8
    assert rows["static_other_raw"].of_other["colour"] < 0.8
    drawn = rows["dynamic_prior"]
    assert drawn.accuracy == {"colour": 1, "ground": 1}
    assert drawn.of_other["action"] < 0.8
    # One action is drawn for all frames of a clip: it looks real.
    real = rows["real"].entropies
    assert drawn.entropies["conditional"] < 2 * real["conditional"] + 0.01
    assert drawn.entropies["inception_score"] > 0.6 * real["inception_score"]
    floor = rows["mean_image"]
    assert floor.accuracy["action"] == pytest.approx(1 / 3)
    assert floor.entropies["inception_score"] == pytest.approx(1)
    assert {"drawn_prior", "drawn_fitted"} < set(rows)


def test_an_action_in_f(judge, clips):
    # The clips of a person are sequences of their own, so that f may know the action.
    rows = rows_of(Codec("all in f"), clips, judge)
    assert rows["reconstructed"].accuracy["action"] == 1
    assert rows["static_other"].accuracy["action"] < 0.7
    assert rows["static_other"].of_other["action"] == 1
    assert rows["dynamic_prior"].of_other["action"] == 1
    assert "static_fitted" not in rows


def test_a_model_that_only_draws(judge, clips):
    rows = rows_of(OnlyDraws(), clips, judge)
    assert set(rows) == {"real", "drawn_prior", "mean_image"}
    drawn = rows["drawn_prior"]
    assert drawn.accuracy == drawn.of_other == drawn.intervals == {}
    # Always the same clip.
    assert drawn.entropies["inception_score"] == pytest.approx(1)


def test_the_table(judge, clips):
    report = evaluate(Codec(), clips, metrics=[Clips(judge=judge)])
    lines = report.table().splitlines()
    assert max(map(len, lines)) <= 100
    start = next(
        i for i, line in enumerate(lines) if line.lstrip().startswith("action")
    )
    names = [line[:20].strip() for line in lines[start + 2 : start + 12]]
    assert names[0] == "real clips" and names[-2:] == ["mean image", "chance"]
    [row] = [line for line in lines if line.startswith("f kept, z ~ p(z|f)")]
    assert "(" in row.split()[5]
    other = evaluate(Codec(), clips, metrics=["reconstruction"])
    assert other.clips is None and other.to_dict()["clips"] is None


def test_many_attributes_go_into_several_tables():
    names = [f"attribute number {i}" for i in range(12)]
    own = np.arange(6)
    shown = {n: np.eye(2)[own % 2] for n in [*names, "action"]}
    truth = {n: own % 2 for n in [*names, "action"]}
    row = row_of([Seen(shown, own, own)], truth, own, seed=0)
    from keras_ddr.evaluation.clips import ClipsScore

    classes = dict.fromkeys(truth, 2)
    score = ClipsScore("action", tuple(names), classes, {"real": row}, 6, 6, 8)
    lines = Clips().lines(score)
    assert max(map(len, lines)) <= 100
    assert all(any(name in line for line in lines) for name in names)


def test_the_judge_is_needed(clips, tmp_path):
    with pytest.raises(InputError, match="there is no judge; make one with ddr judge"):
        evaluate(Codec(), clips, metrics="clips")
    with pytest.raises(
        InputError, match=r"no\.keras is no file; give a judge of clips"
    ):
        evaluate(Codec(), clips, metrics=Clips(judge=tmp_path / "no.keras"))
