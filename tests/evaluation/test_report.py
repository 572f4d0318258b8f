import json

import keras
import numpy as np
import pytest

from keras_ddr import DDR, InputError
from keras_ddr.data import Label, SequenceRecord, write_arrays, write_store
from keras_ddr.evaluation import (
    METRICS,
    Judge,
    Likelihood,
    Measure,
    Probes,
    Reconstruction,
    Swap,
    evaluate,
)

FEW = Probes(), Swap(pairs=50)
QUICK = {"likelihood": Likelihood(samples=8), "swap": FEW[1], "judge": Judge(steps=5)}
USUAL = [
    name
    for name, measure in METRICS.items()
    if measure.by_default and name != "prediction"  # DDR predicts nothing
]
ALL = [QUICK.get(name, name) for name in USUAL]


@pytest.fixture(scope="module")
def report(model, store):
    return evaluate(model, store, metrics=FEW)


def test_every_label_is_read_from_every_code(report, store):
    wanted = set(store.labels) - {"source_frame", "time"}
    assert set(report.probes) == wanted
    for label, scores in report.probes.items():
        assert set(scores) == {"f", "z", "z~"}
        kind = store.labels[label].kind
        metric = "accuracy" if kind == "categorical" else "r2"
        assert {score.metric for score in scores.values()} == {metric}
    assert report.skipped == []


def test_items_are_sequences_for_f_and_frames_for_z(report, store):
    train, test = store.select("train"), store.select("test")
    frames = sum(sequence.length for sequence in test)
    hair = report.probes["hair"]
    assert (hair["f"].fitted, hair["f"].scored) == (len(train), len(test))
    assert hair["z"].scored == hair["z~"].scored == frames
    assert {score.scored for score in report.probes["pose"].values()} == {frames}


def test_f_cannot_know_the_frame(report):
    # f is the same for all frames of a sequence, and every pose is shown once in each.
    assert report.probes["pose"]["f"].value == pytest.approx(1 / 12)
    assert report.probes["pose"]["f"].chance == 1 / 12
    assert report.probes["arm_angle"]["f"].value == pytest.approx(0, abs=1e-6)


def test_the_report_is_json_and_a_table(report):
    content = json.loads(json.dumps(report.to_dict()))
    assert content["probes"]["hair"]["z~"]["chance"] == 1 / 6
    assert content["probes"]["hair"]["scope"] == "sequence"
    assert content["swap"]["pairs"] == 50
    table = report.table()
    for text in ("hair", "accuracy of 6", "CCC", "chance", "majority", "mean image"):
        assert text in table
    assert max(len(line) for line in table.splitlines()) < 100


def test_the_same_seed_gives_the_same_report(model, store, report):
    assert evaluate(model, store, metrics=FEW).to_dict() == report.to_dict()


def test_limits_of_sequences_and_frames(model, store):
    calls = []
    report = evaluate(
        model,
        store,
        sequences=3,
        max_frames=20,
        metrics=["probes", Swap(pairs=5)],
        progress=lambda *call: calls.append(call),
    )
    assert report.details["sequences"] == report.details["fit_sequences"] == 3
    assert report.probes["pose"]["z"].fitted == 20
    assert report.probes["pose"]["z"].scored == 20
    encoding = [("encoding", i, 6) for i in range(1, 7)]
    begun = [(name, 0, 0) for name in ("encoding", "probes", "swap")]
    assert calls == [begun[0], *encoding, *begun[1:]]


@pytest.fixture(scope="module")
def odd_store(store, tmp_path_factory):
    """Labels of all kinds with gaps, and no label `pose`."""
    number, generator = 12, np.random.default_rng(0)
    valence = [generator.uniform(-1, 1, 12) for _ in range(number)]
    valence[0][:] = np.nan
    return write_arrays(
        tmp_path_factory.mktemp("stores") / "odd",
        [store.frames(i) for i in range(number)],
        splits=["train", "test"] * 6,
        labels={
            "valence": valence,
            "age": list(generator.uniform(20, 60, number)),
            "mood": ["glad", "glad", "sad", "sad", None, None] * 2,
            "planet": ["earth"] * number,
            "action": [np.array([-1, 0, 1, 2] * 3)] * number,
        },
    )


def test_missing_labels_are_left_out(model, odd_store):
    report = evaluate(model, odd_store)
    assert report.probes["valence"]["z"].fitted == 5 * 12
    assert report.probes["valence"]["z"].scored == 6 * 12
    assert report.probes["valence"]["z"].concordance is not None
    assert report.probes["action"]["z"].fitted == 6 * 9
    assert report.probes["action"]["z"].classes == 3
    assert report.probes["mood"]["f"].fitted == 4
    assert report.probes["mood"]["z"].fitted == 4 * 12
    assert report.probes["age"]["f"].metric == "r2"


@pytest.mark.slow
def test_linear_probes_of_frame_labels_see_a_random_choice(model, store):
    found = evaluate(model, store, metrics=Probes(linear_frames=24))
    assert found.probes["pose"]["f"].fitted == found.probes["pose"]["f"].scored == 24
    assert found.probes["pose"]["z"].scored == 12 * len(store.select("test"))
    # Every second frame would name even poses only.
    assert found.probes["pose"]["f"].majority < 1 / 4


def test_a_frame_label_that_is_missing_everywhere_is_skipped(model, store, tmp_path):
    data = write_arrays(
        tmp_path / "store",
        [store.frames(i) for i in range(4)],
        splits=["train", "train", "test", "test"],
        labels={"valence": [np.full(12, np.nan)] * 4},
    )
    [skipped, _] = evaluate(model, data).skipped
    assert (skipped.what, "no item" in skipped.reason) == ("valence", True)


def test_what_was_not_measured_is_said(model, odd_store):
    report = evaluate(model, odd_store)
    reasons = {item.what: item.reason for item in report.skipped}
    assert "does not vary" in reasons["planet"]
    assert "'pose'" in reasons["swap"]
    assert report.swap is None
    assert "Not measured:" in report.table()


def test_a_split_without_sequences_is_refused(model, store, tmp_path):
    data = write_arrays(tmp_path / "train-only", [store.frames(0)] * 3)
    with pytest.raises(InputError, match="split 'test'; its splits are train"):
        evaluate(model, data, "test")


def test_a_store_that_is_all_train_is_scored(model, store, tmp_path):
    data = write_arrays(tmp_path / "train-only", [store.frames(0)] * 3)
    report = evaluate(model, data, metrics=["motion", "probes"])
    assert report.details["split"] == "train" and report.motion is not None
    assert [item.what for item in report.skipped] == ["probes"]
    assert "too few to say" in report.table()


def test_new_videos_need_nothing_to_fit_on(model, store, tmp_path):
    frames = [store.frames(i) for i in range(4)]
    pose = store.frame_labels(0)["pose"]
    data = write_arrays(
        tmp_path / "test-only",
        frames,
        splits={"train": 0, "val": 0, "test": 1},
        labels={"pose": [pose] * 4},
    )
    report = evaluate(model, data, metrics=ALL)
    unfitted = "there is no sequence in the split 'train' to fit on"
    assert {(item.what, item.reason) for item in report.skipped} == {
        (name, unfitted) for name in ("probes", "axis", "draws", "judge")
    }
    assert report.details["fit_sequences"] == report.details["fit_frames"] == 0
    assert "fitted" not in report.table().splitlines()[0]
    # The rest is as it would be beside a split to fit on, but for the mean image.
    alone = evaluate(model, data, fit_split="test", metrics="reconstruction")
    assert report.reconstruction == alone.reconstruction
    assert report.swap.pairs == 50
    with pytest.raises(InputError, match="split 'train'; its splits are test"):
        evaluate(model, data, metrics="probes")


@pytest.fixture(scope="module")
def everything(model, store):
    return evaluate(model, store, metrics=ALL)


def test_all_metrics_in_one_report(everything, report):
    content = json.loads(json.dumps(everything.to_dict(), allow_nan=False))
    assert everything.skipped == []
    for name in USUAL:
        assert content[name] is not None, name
    assert content["details"]["metrics"] == list(USUAL)
    assert content["probes"] == json.loads(json.dumps(report.to_dict()))["probes"]
    assert list(content["judge"])[:3] == ["action", "attributes", "held_out"]
    low, high = content["probes"]["hair"]["z"]["interval"]
    assert low < content["probes"]["hair"]["z"]["value"] < high
    table = everything.table()
    sections = [
        "Likelihood",
        "Reconstruction",
        "Probes",
        "Swap",
        "Verification",
        "Axes",
        "Draws",
        "Judge",
        "MSD score",
    ]
    starts = [line.split(":")[0] for line in table.splitlines()]
    places = [
        next(i for i, start in enumerate(starts) if start.startswith(section))
        for section in sections
    ]
    assert places == sorted(places)
    assert max(len(line) for line in table.splitlines()) <= 100
    assert "None" not in table and "nan" not in table


def assert_same(one, other):
    """Equal; what a judge says, up to rounding, which its training may change."""
    assert one.keys() == other.keys()
    for name in one:
        if name == "judge":
            numbers, others = _leaves(one[name]), _leaves(other[name])
            assert numbers.keys() == others.keys()
            for place, value in numbers.items():
                if isinstance(value, float):
                    value = pytest.approx(value, rel=1e-4, abs=1e-4)
                assert others[place] == value, place
        else:
            assert one[name] == other[name], name


def _leaves(content, prefix=""):
    """Nested dicts and lists as one dict."""
    if not isinstance(content, dict | list | tuple):
        return {prefix: content}
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    found = {}
    for key, value in pairs:
        found |= _leaves(value, f"{prefix}.{key}")
    return found


@pytest.mark.slow
def test_the_same_seed_gives_the_same_metrics(everything, model, store):
    again = evaluate(model, store, metrics=ALL)
    assert_same(again.to_dict(), everything.to_dict())
    other = evaluate(model, store, metrics=FEW[1], seed=1)
    assert other.swap != everything.swap


@pytest.mark.slow
@pytest.mark.parametrize("name", USUAL)
def test_one_metric_alone_is_the_same(everything, model, store, name):
    stages = {}
    alone = evaluate(
        model,
        store,
        metrics=QUICK.get(name, name),
        progress=lambda stage, *_: stages.setdefault(stage),
    ).to_dict()
    expected = everything.to_dict()
    assert_same({name: alone[name]}, {name: expected[name]})
    others = set(USUAL) - {name}
    assert {alone[other] for other in others} == {None}
    assert list(stages) == (["encoding"] if name != "likelihood" else []) + [name]


def test_unknown_metrics_are_refused(model, store):
    with pytest.raises(InputError, match="metrics=beauty; choose among likelihood"):
        evaluate(model, store, metrics=["probes", "beauty"])
    with pytest.raises(InputError, match="metrics=none"):
        evaluate(model, store, metrics=[])
    with pytest.raises(InputError, match="metrics=swap is given twice"):
        evaluate(model, store, metrics=["swap", Swap(pairs=5)])


@pytest.mark.slow
def test_one_sequence_in_each_split(model, store, tmp_path):
    data = write_arrays(
        tmp_path / "two",
        [store.frames(i) for i in range(2)],
        splits=["train", "test"],
        labels={"mood": ["glad", "sad"], "pose": [np.arange(12)] * 2},
    )
    report = evaluate(model, data, metrics=ALL)
    reasons = {item.what: item.reason for item in report.skipped}
    assert set(reasons) == {"mood", "swap", "verification", "axis", "draws", "judge"}
    assert "at least two people" in reasons["swap"]
    assert "at least two persons" in reasons["verification"]
    assert report.likelihood.interval is None
    assert "±." not in report.table()
    json.dumps(report.to_dict(), allow_nan=False)


def test_constant_factors_are_left_out_of_axes(model, store, tmp_path):
    data = write_arrays(
        tmp_path / "constant",
        [store.frames(i) for i in range(4)],
        splits=["train", "test"] * 2,
        labels={"a": [np.linspace(0, 1, 12)] * 4, "b": [np.full(12, 2.5)] * 4},
    )
    report = evaluate(model, data, metrics=["axis"])
    assert set(report.axis["z"].gaps) == {"a"}
    assert [item.what for item in report.skipped] == ["axis of b"]
    assert report.axis["z"].disentanglement is None
    assert "axis of b: the factor does not vary" in report.table()


@pytest.mark.slow
def test_another_way_of_encoding_reaches_all_that_is_read_from_codes(store, material):
    keras.utils.set_random_seed(1)
    sizes = {"static_dim": 4, "filters": 6, "pair_filters": 6, "hidden_units": 8}
    model = DDR((32, 32, 3), aggregation="mean", **sizes)
    ways = [None, {"sets": 2}, {"frames_per_set": 5}, {"combine": "product"}]
    found = [
        evaluate(model, store, encoding=way, metrics=ALL[:-1]).to_dict() for way in ways
    ]
    for name in ("reconstruction", "swap", "verification"):
        values = {json.dumps(report[name]) for report in found}
        assert len(values) == len(ways), name
    assert all(report["likelihood"] == found[0]["likelihood"] for report in found)
    assert [report["details"]["encoding"] for report in found] == [{}, *ways[1:]]
    test = store.select("test")
    by_hand = Reconstruction().run(material(model, store, test, sets=2))
    assert found[1]["reconstruction"]["mse"] == pytest.approx(by_hand.mse, rel=1e-5)


def test_a_way_of_encoding_that_cannot_be_used_is_refused(model, store):
    with pytest.raises(InputError, match="encoding of DDR: .*'number'"):
        evaluate(model, store, encoding={"number": 3})
    with pytest.raises(InputError, match="takes the 3 of training"):
        evaluate(model, store, encoding={"frames_per_set": 4})
    with pytest.raises(InputError, match="no sequence of at least 13 frames"):
        evaluate(model, store, encoding={"frames_per_set": 13})


def test_values_that_stand_for_none_are_no_factors(model, store, tmp_path):
    def scores(gap):
        generator = np.random.default_rng(0)
        values = generator.uniform(-1, 1, (2, 12, 12)).astype("float32")
        values[:, :, ::3] = gap
        names = ["a", "b"]
        missing = None if np.isnan(gap) else gap
        made = write_store(
            tmp_path / f"S{gap}",
            [
                SequenceRecord(
                    f"s{k}",
                    store.frames(k),
                    split=("train", "test")[k % 2],
                    frame_labels={n: values[i, k] for i, n in enumerate(names)},
                )
                for k in range(12)
            ],
            labels={n: Label("frame", "continuous", missing=missing) for n in names},
        )
        return evaluate(model, made, metrics="axis").to_dict()["axis"]

    assert scores(-5.0) == scores(np.nan)


def test_nothing_is_scored_on_what_it_was_fitted_on(model, store):
    with pytest.raises(InputError, match="split='train' is also fit_split.* probes"):
        evaluate(model, store, "train", metrics="probes")
    report = evaluate(model, store, "train", metrics=[Swap(pairs=5), "probes"])
    assert report.swap.pairs == 5
    [skipped] = report.skipped
    assert skipped.what == "probes" and "it was fitted on" in skipped.reason


def test_a_report_is_printed_as_its_table(report):
    assert str(report) == report.table()


def test_persons_of_one_sequence_are_told(model, store):
    scores = evaluate(model, store, metrics="verification")
    found = scores.verification["f"]
    assert found.halved == found.persons
    assert f"{found.halved} of {found.persons} persons have one" in scores.table()


def test_one_sequence_is_told(model, store):
    found = evaluate(model, store, metrics="reconstruction", sequences=1)
    assert "Measured on 1 sequence of test" in found.table()
    assert "test holds 1 person: too few" in found.table()


class Brightness(Measure):
    """A measure of one's own."""

    name = "brightness"

    def run(self, material):
        return float(np.mean([c.static.mean.mean() for c in material.test.codes]))

    def lines(self, score):
        return [f"Brightness: {score:.3f}"]


def test_a_measure_of_ones_own(model, store):
    report = evaluate(model, store, metrics=["reconstruction", Brightness()])
    assert report.scores["brightness"] == report.to_dict()["brightness"]
    assert report.table().splitlines()[-1].startswith("Brightness: ")
    assert report.details["metrics"] == ["reconstruction", "brightness"]


def test_a_model_without_a_likelihood(codec, many):
    report = evaluate(codec("oracle"), many, metrics=["likelihood"])
    [skipped] = report.skipped
    assert (skipped.what, skipped.reason) == ("likelihood", "Codec has no sampled_elbo")
    [skipped] = evaluate(codec("oracle"), many, metrics=["prediction"]).skipped
    assert skipped.reason == "Codec has no predict_frames"
