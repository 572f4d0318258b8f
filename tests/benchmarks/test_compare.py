"""The bench: equal seconds, going on after a kill, and its tables."""

import csv
import importlib.util
import json
import sys
from pathlib import Path

import pytest

from keras_ddr.models import MODELS

_FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def _load(name):
    sys.path.insert(0, str(_FOLDER))
    spec = importlib.util.spec_from_file_location(name, _FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


compare, compare_tables = _load("compare"), _load("compare_tables")
PLAN = json.loads(compare.SETTINGS.read_text(encoding="utf-8"))


def test_the_list_names_what_there_is():
    from keras_ddr.evaluation import METRICS

    for system in PLAN["systems"].values():
        name = system["fit"][system["fit"].index("--model") + 1]
        config = system["fit"][system["fit"].index("--config") + 1]
        assert config in MODELS[name].presets
    for part in PLAN["data"].values():
        assert set(part["systems"]) <= set(PLAN["systems"])
        assert set(part["measures"]) <= set(METRICS)
        assert part.get("from", "clips") in PLAN["data"]
        assert part.get("judge", "clips") in PLAN["data"]


def test_wrong_words_are_named(capsys, tmp_path):
    for words, said in (
        ([], "say which folder"),
        ([str(tmp_path), "--only", "cats"], "'cats' is none of clips, "),
        ([str(tmp_path), "--only", "digits"], "--sources mnist=PATH"),
        ([str(tmp_path), "--tables"], "has no rows; run the bench first"),
    ):
        with pytest.raises(SystemExit) as ended:
            compare.main(words)
        assert ended.value.code == 2 and said in capsys.readouterr().err


def test_tables_hold_means_over_seeds(tmp_path):
    rows = [
        {
            **{"data": "moving", "system": system, "seed": str(seed), "failed": ""},
            "probes.pose.z~.value": str(value + 0.1 * seed),
            "milliseconds a step": "12",
        }
        for system, value in (("ddr", 0.7), ("dsvae", 0.5))
        for seed in (0, 1)
    ]
    page, figure = compare_tables.write(rows, PLAN, tmp_path, "val")
    text = page.read_text(encoding="utf-8").replace("\xa0", " ")
    assert "| `ddr` | 2 | .750 ± .071 |" in text and "| `dsvae` | 2 | .550" in text
    assert "Seen by the judge" not in text  # of what no system has there is no table
    assert figure.stat().st_size > 5000


@pytest.mark.slow
def test_it_trains_each_for_the_same_seconds_and_goes_on(tmp_path):
    small = ["--filters", "2", "--hidden-units", "8", "--batch-size", "4"]
    plan = {
        "systems": {
            "ddr": {"about": "", "fit": ["--model", "ddr", "--config", "tiny", *small]},
            "drnet": {"about": "", "fit": ["--model", "drnet", *small]},
        },
        "data": {
            "moving": {
                "about": "puppets",
                "store": ["puppets", "{store}", "--motion", "--identities", "20"]
                + ["--size", "16", "--length", "12"],
                "systems": ["ddr", "drnet"],
                "measures": ["reconstruction"],
                "minutes": 0.01,
                "seeds": [0],
            },
        },
    }
    settings, bench = tmp_path / "s.json", tmp_path / "bench"
    settings.write_text(json.dumps(plan))
    words = [str(bench), "--settings", str(settings)]
    assert compare.main([*words, "--systems", "ddr"]) == 0
    [first] = csv.DictReader((bench / "val.csv").open())
    assert compare.main(words) == 0
    rows = list(csv.DictReader((bench / "val.csv").open()))
    assert [row["system"] for row in rows] == ["ddr", "drnet"]
    assert rows[0]["reconstruction.mse"] == first["reconstruction.mse"] != ""
    steps = json.loads((bench / "steps.json").read_text())["moving"]
    for row in rows:
        assert int(row["steps"]) == steps[row["system"]]["steps"] >= 50
        assert float(row["megabytes"]) > 100 and int(row["weights"]) > 100
    with pytest.raises(SystemExit):  # no row of val for the other seed
        compare.main([*words, "--final", "--seeds", "1"])
