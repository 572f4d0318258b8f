"""Models side by side: the numbers of `evaluate`, and which is best."""

import json

import pytest

from keras_ddr import InputError
from keras_ddr.evaluation import Comparison, Headline, Reconstruction, compare, evaluate


def test_the_numbers_are_those_of_evaluate(model, store):
    found = compare({"one": model}, store, metrics=["probes", "swap", "reconstruction"])
    report = evaluate(model, store, metrics=["probes", "swap", "reconstruction"])
    hair = report.probes["hair"]
    assert found.headlines["hair from f"]["one"].value == hair["f"].value
    assert found.headlines["hair from f"]["one"].better == 1
    assert found.headlines["hair from z~"]["one"].better == -1
    assert found.headlines["arm_angle from f"]["one"].better == -1
    assert found.headlines["swap, z~"]["one"].value == report.swap.swap_prior
    assert found.best("hair from f") == set()
    assert json.loads(json.dumps(found.to_dict()))["headlines"].keys()


def _made(number):
    """Scores of several models in two measures."""
    names = [f"model-{i}" for i in range(number)]
    better = {n: Headline(0.1 * i, (0.0, 1.0)) for i, n in enumerate(names)}
    less = {n: Headline(0.1 * i, None, -1, 5) for i, n in enumerate(names[:-1])}
    reports = dict.fromkeys(names, _Report())
    return Comparison(reports, {"likeness": better, "error": less})


class _Report:
    details = {"sequences": 3, "split": "test", "frames": 9}
    skipped = ()


def test_the_best_of_each_row_is_marked_by_what_is_better():
    found = _made(3)
    assert found.best("likeness") == {"model-2"}
    assert found.best("error") == {"model-0"}
    rows = found.table().splitlines()
    assert [row.count("*") for row in rows if row[:1] in "+-" and row[1:2] == " "] == [
        1,
        1,
    ]
    assert next(r for r in rows if r.startswith("- error")).endswith("-")


def test_many_models_make_several_tables_of_a_page_wide():
    lines = _made(12).table().splitlines()
    assert max(map(len, lines)) <= 100
    assert sum(line.startswith("+ likeness") for line in lines) > 1
    for name in (f"model-{i}" for i in range(12)):
        assert sum(f"{name} " in f"{line} " for line in lines) == 1


def test_no_models(store):
    with pytest.raises(InputError, match="models is empty"):
        compare({}, store, metrics=[Reconstruction()])
