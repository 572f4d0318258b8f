import copy
import dataclasses
import math

import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.data import write_arrays
from keras_ddr.evaluation import Judge, choose_targets, evaluate, train_judge
from keras_ddr.evaluation.judge_scores import TargetScore, entropies, msd_score
from keras_ddr.evaluation.judge_targets import look_alike_ceiling


def test_entropies_of_few_and_certain_probabilities(rng):
    # Five frames, one class never named, probabilities exactly 0 and 1.
    found = entropies(np.eye(4)[[0, 1, 1, 2, 0]])
    assert found["conditional"] == 0
    expected = -(0.8 * math.log(0.4) + 0.2 * math.log(0.2))
    assert found["marginal"] == pytest.approx(expected)
    assert found["inception_score"] == pytest.approx(math.exp(expected))
    assert entropies(np.eye(4)[[2]])["inception_score"] == 1
    for alpha in (0.01, 1, 100):
        p = rng.dirichlet(np.full(7, alpha), size=5).astype("float32")
        found = entropies(p)
        assert 1 - 1e-6 <= found["inception_score"] <= 7 + 1e-6
        ratio = math.exp(found["marginal"] - found["conditional"])
        assert found["inception_score"] == pytest.approx(ratio, rel=1e-6)
    assert entropies(np.eye(9))["marginal"] == pytest.approx(math.log(9))
    flat = entropies(np.full((3, 9), 1 / 9))
    assert flat["inception_score"] == pytest.approx(1)
    assert flat["conditional"] == pytest.approx(math.log(9))
    assert flat["confidence"] == pytest.approx(1 / 9)


def test_msd_score():
    def seen(*accuracies):
        chances = [0.0, 0.25, 0.5]
        found = zip("abc", accuracies, chances, strict=True)
        return {name: TargetScore(a, c, None, {}, 4, 1) for name, a, c in found}

    assert msd_score(seen(1, 0.25, 0.5), ["a"], ["b", "c"]) == 1
    # on = .2, off = mean of .5 and .1
    found = msd_score(seen(0.8, 0.75, 0.4), ["a"], ["b", "c"])
    assert found == pytest.approx(1 - 0.25)
    assert msd_score(seen(1, 0, 0), ["b", "c"], ["a"]) == 0


@pytest.mark.slow
def test_a_judge_learns_and_is_frozen(many):
    attributes, action = choose_targets(many, many.select("train"))
    targets = [*attributes, action]
    calls = []
    judge = train_judge(
        many,
        many.select("train"),
        targets,
        steps=180,
        progress=lambda *call: calls.append(call),
    )
    assert calls[-1] == (180, 180)
    assert judge.network.trainable_variables == []
    test = many.select("test")
    # 288 frames, no multiple of any batch: the last ones are judged as well.
    images = np.concatenate([many.frames(s.index) for s in test]) / 255.0
    found = judge.predict(images)
    for target in targets:
        truth = np.concatenate([target.of_sequence(many, s) for s in test])
        probabilities = found[target.name]
        assert probabilities.shape == (len(images), len(target.classes))
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        assert np.mean(probabilities.argmax(axis=1) == truth) > 0.7, target.name
    few = judge.predict(images[-5:])
    np.testing.assert_allclose(few["pose"], found["pose"][-5:], atol=1e-5)


@pytest.fixture(scope="module")
def trained(store):
    """A judge of hardly any training; tests leave it as it is."""
    attributes, action = choose_targets(store, store.select("train"))
    return train_judge(store, store.select("train"), [*attributes, action], steps=3)


@pytest.mark.slow
def test_one_judge_for_several_models(store, model, trained):
    judge = copy.copy(trained)
    own = evaluate(model, store, metrics=Judge(steps=3)).judge
    given = evaluate(model, store, metrics=Judge(trained=judge)).judge
    # Up to rounding within the two trainings.
    for name, score in own.held_out.items():
        other = given.held_out[name].entropies
        expected = score.entropies["conditional"]
        assert other["conditional"] == pytest.approx(expected, rel=1e-4)
    judge.predict = lambda images: {
        target.name: np.eye(len(target.classes))[np.zeros(len(images), int)]
        for target in judge.targets
    }
    sure = evaluate(model, store, metrics=Judge(trained=judge)).judge
    assert sure.steps == 3
    assert all(score.entropies["conditional"] == 0 for score in sure.swapped.values())
    assert sure.worst_cell == 1


@pytest.mark.slow
def test_a_judge_of_another_store(store, model, trained, tmp_path):
    small = write_arrays(
        tmp_path / "small", np.zeros((2, 3, 16, 16, 3), "uint8"), splits=["val", "test"]
    )
    plain = write_arrays(
        tmp_path / "plain",
        np.zeros((3, 3, *store.frame_shape), "uint8"),
        splits=["train", "val", "test"],
    )
    with pytest.raises(InputError, match="it names .* has no such label"):
        evaluate(model, plain, metrics=Judge(trained=trained))
    with pytest.raises(InputError, match=r"trained on frames \(\d+, \d+, 3\)"):
        trained.check(small, small.select("test"))
    judge = copy.copy(trained)
    *attributes, action = trained.targets
    judge.targets = [
        *attributes,
        dataclasses.replace(action, classes=action.classes[1:]),
    ]
    with pytest.raises(InputError, match=f"does not know pose '{action.classes[0]}'"):
        evaluate(model, store, metrics=Judge(trained=judge))


@pytest.mark.slow
def test_the_seed_decides_on_the_judge(store):
    # Equal results of one seed: test_report.
    _, action = choose_targets(store, store.select("train"))
    images = store.frames(0) / 255.0
    first, other = (
        train_judge(store, store.select("train"), [action], steps=3, seed=seed).predict(
            images
        )["pose"]
        for seed in (0, 1)
    )
    assert not np.allclose(first, other)


@pytest.fixture(scope="module")
def sprites_like(store, tmp_path_factory):
    """Labels like those of sprites; poses 0 and 1 look the same."""
    number = 6
    animation = np.array([0, 1] * 6, "int32")
    return write_arrays(
        tmp_path_factory.mktemp("stores") / "sprites-like",
        [store.frames(i) for i in range(number)],
        splits=["train", "test"] * 3,
        labels={
            "hair": ["black", "black", None, "red", "red", "black"],
            "planet": ["earth"] * number,
            "animation": [animation] * number,
            "direction": [np.repeat([0, 1, -1], 4).astype("int32")] * number,
            "pose": [np.arange(12, dtype="int32")] * number,
            "pose_distinct": [np.maximum(np.arange(12), 1).astype("int32")] * number,
        },
    )


def test_targets_join_labels_and_leave_gaps(sprites_like):
    train = sprites_like.select("train")
    attributes, action = choose_targets(sprites_like, train)
    assert [target.name for target in attributes] == ["hair"]
    assert (action.name, action.scope) == ("animation×direction", "frame")
    assert len(action.classes) == 4
    numbers = action.of_sequence(sprites_like, train[0])
    assert (numbers[8:] == -1).all() and (numbers[:8] >= 0).all()
    assert len(set(numbers[:4])) == 2 and not set(numbers[:4]) & set(numbers[4:8])
    hair = [attributes[0].of_sequence(sprites_like, s) for s in train]
    assert [set(part.tolist()) for part in hair] == [{0}, {-1}, {1}]
    _, pose = choose_targets(sprites_like, train, action=["pose"])
    assert len(pose.classes) == 12


@pytest.mark.slow
def test_a_class_that_is_never_learned_counts_as_wrong(store, model, tmp_path):
    data = write_arrays(
        tmp_path / "store",
        [store.frames(i) for i in range(4)],
        splits=["train", "train", "test", "test"],
        labels={"mood": ["a", "b", "c", "c"], "pose": [np.arange(12)] * 4},
    )
    [mood], _ = choose_targets(data, data.select("train"), data.select("test"))
    assert mood.classes == ["a", "b", "c"]
    judge = evaluate(model, data, metrics=Judge(steps=20)).judge
    assert judge.held_out["mood"].accuracy == 0
    assert judge.held_out["mood"].chance == 1 / 3


def test_ceiling_of_frames_that_look_the_same(sprites_like, store):
    sequences = sprites_like.select("test")
    _, action = choose_targets(sprites_like, sequences)
    # Frames 0 and 1 look the same and have different actions: 7 of 8 can be right.
    assert look_alike_ceiling(sprites_like, sequences, action) == pytest.approx(7 / 8)
    _, pose = choose_targets(store, store.select("train"))
    assert look_alike_ceiling(store, store.select("test"), pose) is None


def test_what_cannot_be_judged(sprites_like, model, store, tmp_path):
    train = sprites_like.select("train")
    with pytest.raises(InputError, match="no categorical sequence label 'age'"):
        choose_targets(sprites_like, train, attributes=["age"])
    with pytest.raises(InputError, match="no categorical frame label 'hair'"):
        choose_targets(sprites_like, train, action=["hair"])
    with pytest.raises(InputError, match="varies in training"):
        choose_targets(sprites_like, train, attributes=["planet"])
    plain = write_arrays(
        tmp_path / "plain",
        [store.frames(i) for i in range(4)],
        splits=["train", "test"] * 2,
    )
    report = evaluate(model, plain, metrics=["judge"])
    [skipped] = report.skipped
    assert skipped.what == "judge" and "no frame label for the action" in skipped.reason
    assert report.judge is None


@pytest.mark.slow
def test_a_judge_of_frames_with_gaps(sprites_like, model):
    report = evaluate(model, sprites_like, metrics=Judge(steps=2))
    # A third of the frames has no direction.
    found = report.judge.held_out
    assert found["hair"].frames == 3 * 12
    assert found["animation×direction"].frames == 3 * 8
    assert report.judge.ceiling == pytest.approx(7 / 8)
    assert "0.875 is the most that animation×direction can reach" in report.table()
