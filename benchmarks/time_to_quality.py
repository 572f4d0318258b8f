"""How good a model is after how many seconds of training, by optimizer and schedule.

    python benchmarks/time_to_quality.py --list
    python benchmarks/time_to_quality.py BENCH --sources lpc=CLONE ict=CLONE
    python benchmarks/time_to_quality.py BENCH --only puppets --settings adam muon
    python benchmarks/time_to_quality.py BENCH --tables
    python benchmarks/time_to_quality.py BENCH --final --settings adam muon

The list is time_to_quality/settings.json. A point of a curve is a training of its own,
since the learning rate of each falls to 0 at its last step. Seconds are those of the
processor in training alone, on one thread, so that other work counts little; measures
are those of `ddr evaluate`. BENCH/val.csv has a row for each data set, setting, number
of steps and seed; choices are made on val, and `--final` reads the split test, once,
into BENCH/test.csv. The bench goes on where it was stopped: rows that are there are not
made again. `--tables` writes a table and a figure for each data set from the CSV.
"""

import argparse
import json
import os
import pathlib
import sys
import time

os.environ.update(OMP_NUM_THREADS="1", TF_NUM_INTRAOP_THREADS="1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import compare
import study

SETTINGS = pathlib.Path(__file__).with_name("time_to_quality") / "settings.json"
_KEY = ("data", "setting", "steps", "seed")
_MEASURES = ("reconstruction", "probes", "swap")


def points(plan, options):
    """(data, setting, steps, seed) of all trainings that are asked for."""
    for data, part in plan["data"].items():
        if options.only and data not in options.only:
            continue
        for steps in part["steps"]:
            if options.steps and steps not in options.steps:
                continue
            for seed in part["seeds"] if options.seeds is None else options.seeds:
                for name in options.settings or plan["settings"]:
                    yield data, name, steps, seed


def print_list(plan):
    for kind in ("settings", "data"):
        for name, entry in plan[kind].items():
            rest = ", ".join(f"{k}={v}" for k, v in entry.items() if k != "about")
            print(f"{name}: {entry['about']}\n    {rest}")


def optimizer(setting, rate, steps):
    """The optimizer of a setting; of the rate of Adam it takes a share."""
    import keras

    from keras_ddr.optimizers import Muon

    schedules, warmup = keras.optimizers.schedules, min(200, steps // 10)
    rate *= setting.get("rate", 1.0)
    if setting.get("schedule") == "stable":  # down in five stairs, in the last fifth
        stairs = [steps * (20 + k) // 25 for k in range(5)]
        rates = [rate * (5 - k) / 6 for k in range(5)]
        schedule = schedules.PiecewiseConstantDecay(
            [warmup, *stairs], [0.3 * rate, rate, *rates]
        )
    else:
        schedule = schedules.CosineDecay(
            0.1 * rate, steps - warmup, warmup_target=rate, warmup_steps=warmup
        )
    kind = setting["optimizer"]
    made = Muon if kind == "keras_ddr>Muon" else getattr(keras.optimizers, kind)
    return made(schedule, global_clipnorm=1e3, **setting.get("arguments", {}))


def train(plan, bench, store, point):
    """The run of a point, trained to its end from wherever it is."""
    import keras

    from keras_ddr import DDR, ELBO, runs
    from keras_ddr.presets import PRESETS

    data, name, steps, seed = point
    path = bench / "runs" / "-".join(map(str, point))
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    if (path / "config.json").is_file():
        return runs.fit(path, store, verbose=0, report=None)
    part = plan["data"][data]
    preset = PRESETS[part["preset"]]
    model = DDR.from_preset(
        part["preset"], image_shape=store.frame_shape, weights=False
    )
    made = optimizer(plan["settings"][name], part["rate"], steps)
    weights = part.get("objective", preset.objective)
    weights = {**weights, **plan["settings"][name].get("objective", {})}
    model.compile(made, objective=ELBO(**weights))
    training = {"batch_size": preset.training["batch_size"], "steps": steps}
    path.parent.mkdir(parents=True, exist_ok=True)
    run = runs.Run.create(path, store, model=model, training=training, seed=seed)
    return runs.fit(run, store, verbose=0, report=None)


def make_row(plan, bench, split, store, point):
    """Train, unless its run is there, and measure: one row."""
    from keras_ddr import LossNotFinite, evaluation

    row = dict(zip(_KEY, map(str, point), strict=True))
    row |= {"encoding": study.DEFAULT, "failed": ""}
    try:
        run = train(plan, bench, store, point)
    except LossNotFinite as error:
        return {**row, "failed": str(error).splitlines()[0].replace(str(bench), "")}
    report = evaluation.evaluate(run.model(), store, split, metrics=_MEASURES)
    history = run.history()
    return {
        **row,
        "seconds": f"{sum(line['seconds'] for line in history):.1f}",
        "val_loss": str((run.best() or history[-1]).get("val_loss", "")),
        **study.flatten(report.to_dict()),
    }


def run_bench(plan, options):
    """Make all rows that are missing; a list of them all."""
    from keras_ddr import InputError
    from keras_ddr.data import FrameStore

    bench, file = options.bench, options.bench / f"{options.split}.csv"
    rows = study.read_rows(file)
    done = {tuple(row[name] for name in _KEY) for row in rows}
    wanted = list(points(plan, options))
    left = [point for point in wanted if tuple(map(str, point)) not in done]
    if options.final:
        chosen = study.read_rows(bench / "val.csv")
        known = {tuple(row[name] for name in _KEY) for row in chosen}
        for point in left:
            if tuple(map(str, point)) not in known:
                raise InputError(
                    f"{bench / 'val.csv'} has no row {point}; make it first"
                )
    print(f"{len(left)} of {len(wanted)} trainings to do", flush=True)
    bench.mkdir(parents=True, exist_ok=True)
    for point in left:
        path = compare.prepare(plan, point[0], bench, options.sources)
        store = FrameStore.open(path)
        rows.append(make_row(plan, bench, options.split, store, point))
        _write(file, rows, plan)
        said = rows[-1]["failed"] or f"{rows[-1]['seconds']} s"
        print(f"{' '.join(map(str, point))}: {said}", flush=True)
    return rows


def _write(file, rows, plan):
    """Rows in the order of the list, in the file of another `study`."""
    order = list(plan["settings"])
    study.write_rows(file, sorted(rows, key=lambda row: row["data"]), order)


# --- tables ------------------------------------------------------------------------


def curves(rows, plan, data):
    """For each setting and number of steps: seconds and what is shown, seeds' means."""
    shown = list(plan["data"][data]["shown"].values())
    for name in plan["settings"]:
        for steps in plan["data"][data]["steps"]:
            same = [
                row
                for row in rows
                if (row["data"], row["setting"], row["steps"], row["failed"])
                == (data, name, str(steps), "")
            ]
            if same:
                means = [
                    sum(float(row[column]) for row in same) / len(same)
                    for column in ("seconds", *shown)
                ]
                yield name, steps, len(same), means


def write_tables(rows, plan, folder, split):
    """A table of all, and a figure for each data set; yields their paths."""
    import matplotlib.pyplot as plt

    lines = []
    for data in dict.fromkeys(row["data"] for row in rows):
        shown, found = plan["data"][data]["shown"], list(curves(rows, plan, data))
        head = ["setting", "steps", "seeds", "seconds", *shown]
        lines += [f"## {data}", "", _line(head), _line(["---"] * len(head))]
        for name, steps, seeds, (seconds, *values) in found:
            cells = [name, steps, seeds, f"{seconds:.0f}"]
            lines.append(_line([*cells, *(f"{value:.4f}" for value in values)]))
        lines.append("")
        figure, axes = plt.subplots(
            1, len(shown), figsize=(4 * len(shown), 3.5), layout="constrained"
        )
        for number, (axis, title) in enumerate(zip(axes, shown, strict=True), start=1):
            for name in dict.fromkeys(entry[0] for entry in found):
                own = [means for other, *_, means in found if other == name]
                x, y = [m[0] for m in own], [m[number] for m in own]
                axis.plot(x, y, "o-", label=name)
            axis.set(xlabel="seconds of one core", title=title)
        axes[0].legend()
        figure.savefig(folder / f"{data}.{split}.png", dpi=120)
        plt.close(figure)
        yield folder / f"{data}.{split}.png"
    (folder / f"{split}.md").write_text("\n".join(lines), encoding="utf-8")
    yield folder / f"{split}.md"


def _line(cells):
    return f"| {' | '.join(map(str, cells))} |"


# --- the command -------------------------------------------------------------------


def parse(texts):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bench", nargs="?", type=pathlib.Path, metavar="BENCH")
    parser.add_argument("--sources", nargs="+", default=[], metavar="NAME=PATH")
    parser.add_argument("--only", nargs="+", metavar="DATA", help="[all]")
    parser.add_argument("--settings", nargs="+", metavar="SETTING", help="[all]")
    parser.add_argument("--steps", nargs="+", type=int, help="[those of the list]")
    parser.add_argument("--seeds", nargs="+", type=int, help="[those of the list]")
    parser.add_argument("--final", action="store_true", help="read the split test")
    parser.add_argument("--tables", action="store_true", help="from the CSV alone")
    parser.add_argument("--list", action="store_true", help="show settings and data")
    options = parser.parse_args(texts)
    plan = json.loads(SETTINGS.read_text(encoding="utf-8"))
    if options.bench is None and not options.list:
        parser.error("say which folder: time_to_quality.py BENCH")
    options.split = "test" if options.final else "val"
    options.sources = dict(pair.split("=", 1) for pair in options.sources)
    for names, known in ((options.only, "data"), (options.settings, "settings")):
        for name in names or ():
            if name not in plan[known]:
                parser.error(f"{name!r} is none of {', '.join(plan[known])}")
    return parser, plan, options


def main(texts=None):
    parser, plan, options = parse(texts)
    if options.list:
        print_list(plan)
        return 0
    from keras_ddr import InputError

    try:
        if options.tables:
            rows = study.read_rows(options.bench / f"{options.split}.csv")
            for path in write_tables(rows, plan, options.bench, options.split):
                print(path)
            return 0
        rows = run_bench(plan, options)
    except (InputError, RuntimeError) as error:
        parser.error(str(error))
    except KeyError as error:
        parser.error(f"say where the sources are: --sources {error.args[0]}=PATH")
    except KeyboardInterrupt:
        print("interrupted; start it again to go on", file=sys.stderr)
        return 130
    return 1 if any(row["failed"] for row in rows) else 0


if __name__ == "__main__":
    time.perf_counter = time.process_time  # before anything imports it
    sys.exit(main())
