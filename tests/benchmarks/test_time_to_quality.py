"""The bench of training times: its list, and its tables."""

import json
import sys
from pathlib import Path

import keras
import pytest

from keras_ddr.presets import PRESETS

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import time_to_quality as bench

PLAN = json.loads(bench.SETTINGS.read_text(encoding="utf-8"))


def test_every_setting_is_an_optimizer_that_ends_at_no_rate():
    for name, setting in PLAN["settings"].items():
        made = bench.optimizer(setting, 0.01, 1000)
        rates = [float(made._learning_rate(step)) for step in (200, 790, 999)]
        assert rates[0] == max(rates) and rates[2] < 0.2 * rates[0], name
        assert keras.optimizers.deserialize(keras.optimizers.serialize(made))
    for part in PLAN["data"].values():
        assert part["preset"] in PRESETS


def test_tables_hold_means_over_seeds(tmp_path):
    shown = PLAN["data"]["puppets"]["shown"].values()
    rows = [
        {
            **{"data": "puppets", "setting": "muon", "steps": "500", "failed": ""},
            **{"seed": str(seed), "seconds": str(10 + seed)},
            **dict.fromkeys(shown, str(0.5 + seed / 4)),
        }
        for seed in (0, 1)
    ]
    failed = {**rows[0], "setting": "lion", "failed": "the loss is not finite"}
    figure, table = bench.write_tables([*rows, failed], PLAN, tmp_path, "val")
    assert "| muon | 500 | 2 | 10 | 0.6250 | 0.6250 | 0.6250 |" in table.read_text()
    assert "lion" not in table.read_text()
    assert figure.stat().st_size > 10_000


@pytest.mark.slow
def test_it_goes_on_and_reads_test_at_the_end(tmp_path, capsys, monkeypatch):
    plan = {
        "settings": {"muon": PLAN["settings"]["muon"]},
        "data": {
            "puppets": {
                **PLAN["data"]["puppets"],
                **{"steps": [3], "seeds": [0]},
                "store": ["puppets", "{store}", "--identities", "30", "--size", "32"],
            }
        },
    }
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(plan), encoding="utf-8")
    monkeypatch.setattr(bench, "SETTINGS", file)
    folder = tmp_path / "bench"
    with pytest.raises(SystemExit):
        bench.main([str(folder), "--final"])
    assert "has no row" in capsys.readouterr().err
    assert bench.main([str(folder)]) == 0
    assert "1 of 1 trainings" in capsys.readouterr().out
    assert bench.main([str(folder)]) == 0
    assert "0 of 1 trainings" in capsys.readouterr().out
    assert bench.main([str(folder), "--final"]) == 0
    assert (folder / "test.csv").is_file() and (folder / "val.csv").is_file()
