"""Priors that are learned with the model or after it, beside those of the package.

    python benchmarks/priors.py BENCH --sources lpc=CLONE
    python benchmarks/priors.py BENCH --only puppets --seeds 0
    python benchmarks/priors.py BENCH --final --sources lpc=CLONE

Settings and data are those of priors/settings.json. BENCH/val.csv has a row for each
data set, setting and seed, with the measures of `ddr evaluate`; `--final` reads the
split test into BENCH/test.csv. Rows that are there are not made again.

`learned`: the KL of f is that to a mixture whose weights, means and variances train
with the model, estimated with the draw of f that is decoded. `fitted` leaves z̃ as
p(z | f) has it, and `aligned` is the package as it is.
"""

import argparse
import dataclasses
import functools
import json
import os
import pathlib
import sys
import time

os.environ.update(OMP_NUM_THREADS="1", TF_NUM_INTRAOP_THREADS="1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import compare
import keras
import numpy as np
import study
from keras import ops

from keras_ddr import DDR, ELBO, evaluation, runs
from keras_ddr.code_densities import IndependentSubspaces
from keras_ddr.data import FrameStore
from keras_ddr.densities import fit_densities
from keras_ddr.evaluation import Judge, choose_targets, train_judge
from keras_ddr.mixture import GaussianMixture
from keras_ddr.presets import PRESETS

SETTINGS = pathlib.Path(__file__).with_name("priors") / "settings.json"
_KEY = ("data", "setting", "seed")
_COMPONENTS = 100


# --- p(f) learned with the model ---------------------------------------------------


@keras.saving.register_keras_serializable(package="benchmark")
class MixturePriorDDR(DDR):
    """`DDR` whose p(f) is a mixture that trains with it."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        shape = (_COMPONENTS, self.static_dim)
        normal = keras.initializers.RandomNormal(seed=0)
        self.portions = self.add_weight(shape=shape[:1], initializer="zeros", name="w")
        self.centres = self.add_weight(shape=shape, initializer=normal, name="m")
        self.log_variances = self.add_weight(shape=shape, initializer="zeros", name="v")

    def forward_pass(self, frames, draw):
        """As of `DDR`, with the draw of f and its log-density under p(f)."""
        drawn = []

        def keeping(mean, log_variance):
            drawn.append(draw(mean, log_variance))
            return drawn[-1]

        outputs = super().forward_pass(frames, keeping)
        prior = [self.portions, self.centres, self.log_variances]
        outputs["static_log_prior"] = _log_mixture(drawn[0], *prior)
        outputs["static_draw"] = drawn[0]
        return outputs

    def mixture(self):
        """p(f) as the density that `sample` and the judge draw from."""
        shares, centres, log_variances = (
            ops.convert_to_numpy(part)
            for part in (ops.softmax(self.portions), self.centres, self.log_variances)
        )
        covariances = np.exp(log_variances)[:, None] * np.eye(self.static_dim)
        shares = shares.astype("float64")
        mixture = GaussianMixture(shares / shares.sum(), centres, covariances)
        return IndependentSubspaces.of(mixture)


def _log_mixture(f, shares, centres, log_variances):
    squares = ops.square(f[:, None] - centres) * ops.exp(-log_variances)
    parts = -0.5 * ops.sum(squares + log_variances + np.log(2 * np.pi), axis=-1)
    return ops.logsumexp(ops.log_softmax(shares) + parts, axis=1)


@keras.saving.register_keras_serializable(package="benchmark")
@dataclasses.dataclass(frozen=True)
class MixtureELBO(ELBO):
    """The ELBO with KL(q(f | x) ‖ p(f)) from the one draw of f."""

    def kl_terms(self, outputs):
        """As of `ELBO`, f in one term of all its dimensions."""
        dynamic, _ = super().kl_terms(outputs)
        mean, log_variance, f = (
            outputs[f"static_{name}"] for name in ("mean", "log_variance", "draw")
        )
        squares = ops.square(f - mean) * ops.exp(-log_variance)
        posterior = -0.5 * (squares + log_variance + np.log(2 * np.pi))
        log_ratio = ops.sum(posterior, axis=1) - outputs["static_log_prior"]
        return dynamic, log_ratio[:, None]


# --- rows --------------------------------------------------------------------------


def trained(plan, bench, store, data, learned, seed):
    """The run of a seed, with N(0, I) or a learned p(f), trained to its end."""
    part = plan["data"][data]
    preset = PRESETS[part["preset"]]
    path = bench / "runs" / f"{data}-{'learned' if learned else 'fitted'}-{seed}"
    keras.backend.clear_session()
    if not (path / "config.json").is_file():
        keras.utils.set_random_seed(seed)
        kind, objective = (MixturePriorDDR, MixtureELBO) if learned else (DDR, ELBO)
        model = kind(store.frame_shape, **preset.model)
        weights = {**preset.objective, **part.get("objective", {})}
        training = {**preset.training, **part.get("training", {})}
        training["steps"] = part["steps"]
        kept = {k: v for k, v in training.items() if k in ("batch_size", "steps")}
        model.compile(_optimizer(training), objective=objective(**weights))
        path.parent.mkdir(parents=True, exist_ok=True)
        runs.Run.create(path, store, model=model, training=kept, seed=seed)
    return runs.fit(path, store, verbose=0, report=None)


def _optimizer(training):
    from keras_ddr.runs.settings import Training

    return Training(**training).make_optimizer()


def make_row(plan, bench, store, split, point, judge):
    """Train, unless it is done, and measure: one row."""
    data, setting, seed = point
    run = trained(plan, bench, store, data, setting == "learned", seed)
    model, history = run.model(), run.history()
    fit_densities(model, store, seed, alignment=setting.startswith("aligned"))
    if setting == "learned":
        model.densities = model.densities._replace(static=model.mixture())
    encoding = {"noise": 1.0} if setting.endswith("-noise") else {}
    metrics = ["reconstruction", "probes", "swap"]
    if not encoding:
        metrics += ["draws", judge()]
    report = evaluation.evaluate(
        model, store, split, metrics=metrics, encoding=encoding
    )
    best = run.best() or history[-1]
    parts = ("val_reconstruction_loss", "val_kl_dynamic", "val_kl_static")
    return {
        **dict(zip(_KEY, map(str, point), strict=True)),
        "encoding": study.DEFAULT,
        "steps": str(best["step"]),
        "elbo": str(-sum(best[part] for part in parts)),
        **study.flatten(report.to_dict()),
    }


def judge_of(store, split, steps):
    """A judge of the store, trained when it is first asked for."""
    train = store.select("train")
    attributes, action = choose_targets(store, train, store.select(split))
    targets = [*attributes, action]
    return Judge(trained=train_judge(store, train, targets, steps=steps))


def run_bench(plan, options):
    """Make all rows that are missing."""
    split = "test" if options.final else "val"
    file = options.bench / f"{split}.csv"
    options.bench.mkdir(parents=True, exist_ok=True)
    rows = study.read_rows(file)
    done = {tuple(row[name] for name in _KEY) for row in rows}
    for data, part in plan["data"].items():
        if options.only and data not in options.only:
            continue
        path = compare.prepare(plan, data, options.bench, options.sources)
        store = FrameStore.open(path)
        judge = functools.cache(
            functools.partial(judge_of, store, split, part["judge_steps"])
        )
        for seed in part["seeds"] if options.seeds is None else options.seeds:
            for setting in options.settings or plan["settings"]:
                point = data, setting, seed
                if tuple(map(str, point)) in done:
                    continue
                began = time.process_time()
                rows.append(make_row(plan, options.bench, store, split, point, judge))
                ordered = sorted(rows, key=lambda row: row["data"])
                study.write_rows(file, ordered, list(plan["settings"]))
                print(*point, f"{time.process_time() - began:.0f} s", flush=True)


def main(texts=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bench", type=pathlib.Path, metavar="BENCH")
    parser.add_argument("--sources", nargs="+", default=[], metavar="NAME=PATH")
    parser.add_argument("--only", nargs="+", metavar="DATA", help="[all]")
    parser.add_argument("--settings", nargs="+", metavar="SETTING", help="[all]")
    parser.add_argument("--seeds", nargs="+", type=int, help="[those of the list]")
    parser.add_argument("--final", action="store_true", help="read the split test")
    options = parser.parse_args(texts)
    options.sources = dict(pair.split("=", 1) for pair in options.sources)
    run_bench(json.loads(SETTINGS.read_text(encoding="utf-8")), options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
