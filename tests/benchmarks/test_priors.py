"""The bench of priors: a learned p(f) against closed forms, and rows of a small run."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from keras_ddr.gaussian import DiagonalGaussian

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import priors as bench

PLAN = json.loads(bench.SETTINGS.read_text(encoding="utf-8"))


def test_the_learned_prior_is_the_mixture_that_is_drawn_from(rng):
    sizes = {"static_dim": 4, "filters": 6, "pair_filters": 6, "hidden_units": 8}
    model = bench.MixturePriorDDR((32, 32, 3), **sizes)
    for weight in (model.portions, model.centres, model.log_variances):
        weight.assign(rng.normal(size=weight.shape))
    frames = rng.uniform(size=(5, 3, 32, 32, 3)).astype("float32")
    outputs = model(frames, training=True)
    f = ops.convert_to_numpy(outputs["static_draw"])
    expected = model.mixture().log_prob(f)
    found = ops.convert_to_numpy(outputs["static_log_prior"])
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    _, ratio = bench.MixtureELBO().kl_terms(outputs)
    parts = (
        ops.convert_to_numpy(outputs[f"static_{n}"]) for n in ("mean", "log_variance")
    )
    posterior = DiagonalGaussian(*parts).log_prob(f)
    np.testing.assert_allclose(
        ops.convert_to_numpy(ratio)[:, 0], posterior - expected, rtol=1e-3, atol=1e-3
    )


@pytest.mark.slow
def test_rows_are_made_once(tmp_path, monkeypatch, capsys):
    data = {
        **PLAN["data"]["puppets"],
        **{"steps": 2, "seeds": [0], "judge_steps": 2},
        "store": ["puppets", "{store}", "--identities", "80"],
    }
    file = tmp_path / "settings.json"
    plan = {"settings": PLAN["settings"], "data": {"puppets": data}}
    file.write_text(json.dumps(plan), encoding="utf-8")
    monkeypatch.setattr(bench, "SETTINGS", file)
    for expected in (len(PLAN["settings"]), 0):
        assert bench.main([str(tmp_path / "bench")]) == 0
        assert capsys.readouterr().out.count("puppets ") == expected
    rows = bench.study.read_rows(tmp_path / "bench" / "val.csv")
    assert [row["setting"] for row in rows] == list(PLAN["settings"])
