"""What each option of the model does: settings × seeds, one row of metrics each.

    python benchmarks/study.py --list
    python benchmarks/study.py puppets STUDY
    python benchmarks/study.py sprites STORE STUDY
    python benchmarks/study.py puppets STUDY --tables
    python benchmarks/study.py puppets STUDY --check mean 0

The settings are those of study/settings.json: each changes one thing of the paper's
configuration at a small width, or is a combination or a baseline. All have the same
steps, the same number of decoded frames a step, the same data and the same metrics,
those of `ddr evaluate`; probes and the judge are fitted on the split train.

STUDY/val.csv has a row for each setting, seed and way of encoding (`default` is that of
`ddr evaluate`). Choices are made on val; `--final` reads the split test, once, and
writes STUDY/test.csv. STUDY/runs holds a run folder for each setting and seed. The
study can be stopped and killed at any moment, and goes on when it is started again:
rows that are there are not made again.

`--tables` writes STUDY/val.md (or test.md) and figures from the CSV alone. `--check`
makes the rows of a setting and a seed again from nothing, in a temporary folder, and
compares: numbers may differ by the share `--tolerance` of what they are, and scores of
probes, axes and verification, which lie between 0 and 1, by as much in themselves; what
the judge says by 0.05 where that is more, because rounding within its training differs
from one time to the next. For another machine or other versions, which train other
weights, take the spread over the seeds as the tolerance.
"""

import argparse
import concurrent.futures
import csv
import gc
import json
import math
import multiprocessing
import os
import pathlib
import sys
import tempfile
import threading
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parent))

SETTINGS = pathlib.Path(__file__).with_name("study") / "settings.json"
DEFAULT = "default"
TOLERANCE = 1e-3
_KEY = ("setting", "seed", "encoding")
# The likelihood does not depend on the way of encoding, and a judge takes long.
_ENCODED_METRICS = ("reconstruction", "probes", "swap", "verification", "axis")
# Another machine or day may change these columns.
_INCIDENTAL = ("versions.", "seconds.", "threads")
# Metrics that have no scale of 1 around them.
_RELATIVE = ("swap", "reconstruction.mse", "likelihood")
_JUDGED = "judge."
_JUDGE_TOLERANCE = 0.05
_JUDGES = {}
# Arguments of a setting that are those of the objective.
_OBJECTIVE = {
    "kl_weight",
    "static_kl_weight",
    "kl_warmup",
    "free_bits",
    "independence_weight",
    "motion_weight",
    "change_weight",
}


# --- the list of settings ----------------------------------------------------------


def names_of(plan, data):
    """Settings of a data set, in the order of the list."""
    return [name for name, s in plan["settings"].items() if data in s["data"]]


def arguments(plan, data, name):
    """Arguments of the model and of the training, each a dict."""
    part, setting = plan["data"][data], plan["settings"][name]
    model = {**plan["base"], **part["model"], **setting["model"]}
    # The same number of decoded frames a step for every N.
    batch = part["frames_per_step"] // model["frames_per_set"]
    training = {
        **part["training"],
        "batch_size": batch,
        **setting.get("training", {}),
    }
    return model, training


def encodings_of(plan, data, name):
    """Ways of encoding to measure a setting with: name → arguments of `DDR.encode`."""
    ways = {DEFAULT: {}}
    chosen = plan["data"][data].get("encoded", {}).get(name, ())
    model, _ = arguments(plan, data, name)
    for way, options in plan["encodings"].items():
        possible = model["aggregation"] != "concat" or "frames_per_set" not in options
        if possible and (chosen == "all" or way in chosen):
            ways[way] = options
    return ways


def print_list(plan):
    for name, setting in plan["settings"].items():
        changed = {**setting["model"], **setting.get("training", {})}
        text = ", ".join(f"{k}={v}" for k, v in changed.items()) or "nothing changed"
        print(f"{name} ({setting['group']}; {', '.join(setting['data'])})")
        print(f"    {setting['about']}\n    {text}")
    print("\nbase: " + ", ".join(f"{k}={v}" for k, v in plan["base"].items()))
    for data, part in plan["data"].items():
        number = len(names_of(plan, data))
        print(f"\n{data}: {part['about']}; {number} settings, seeds {part['seeds']}")
        for key in ("store", "model", "training", "frames_per_step"):
            print(f"    {key}: {part.get(key) or 'as above'}")
    print("\nways of encoding:")
    for way, options in plan["encodings"].items():
        print(f"    {way}: " + ", ".join(f"{k}={v}" for k, v in options.items()))


# --- rows --------------------------------------------------------------------------


def flatten(content, prefix=""):
    """Nested dicts and lists as one dict: {"a": {"b": [1, 2]}} → a.b.0, a.b.1."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    flat = {}
    for key, value in items:
        name = f"{prefix}{key}"
        if isinstance(value, dict | list | tuple) and value:
            flat |= flatten(value, f"{name}.")
        elif not isinstance(value, dict | list | tuple):
            flat[name] = "" if value is None else str(value)
    return flat


def read_rows(file):
    """Rows of a CSV, each a dict of texts; none where there is no file."""
    if not file.is_file():
        return []
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def write_rows(file, rows, order):
    """Write rows, whole or not at all, in the order of the settings."""
    from keras_ddr.files import replacing

    def place(row):
        name, seed, way = (row[key] for key in _KEY)
        known = order.index(name) if name in order else len(order)
        return known, name, int(seed), way != DEFAULT

    rows = sorted(rows, key=place)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with replacing(file) as temporary:
        with temporary.open("w", newline="", encoding="utf-8") as lines:
            writer = csv.DictWriter(lines, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def key_of(row):
    return row["setting"], int(row["seed"]), row["encoding"]


def check_rows(file, rows, plan, data):
    """Refuse rows of other settings than those of the list."""
    from keras_ddr import InputError

    for row in rows:
        if row["setting"] not in plan["settings"]:
            continue
        model, training = arguments(plan, data, row["setting"])
        wanted = flatten({"model": model, "training": training})
        for name, value in wanted.items():
            if row.get(name) != value:
                raise InputError(
                    f"{file} has a row {row['setting']} with {name} {row.get(name)}, "
                    f"but the list of settings says {value}; take another folder"
                )


# --- one setting and one seed ------------------------------------------------------


def open_store(plan, data, path, folder):
    """The store of the study; puppets are drawn where they are not there."""
    from keras_ddr.data import FrameStore
    from keras_ddr.datasets import Splits, puppets

    if data == "puppets":
        path = folder / "store"
        if not path.exists():
            settings = dict(plan["data"][data]["store"])
            splits = Splits(settings.pop("splits"), seed=settings.pop("seed", 0))
            return puppets.prepare(path, splits=splits, **settings)
    return FrameStore.open(path)


def train(plan, data, store, folder, name, seed):
    """A run that is trained to its end, from wherever it is."""
    import keras

    from keras_ddr import runs

    path = folder / "runs" / f"{name}-{seed}"
    model, training = arguments(plan, data, name)
    training = {"optimizer": "adam", **training}
    parts = {"model": {}, "objective": {}, "training": training}
    for option, value in model.items():
        parts["objective" if option in _OBJECTIVE else "model"][option] = value
    _wait_until_free(path)
    if (path / "config.json").is_file():
        run = runs.Run.open(path)
        check_run(run, parts)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        keras.utils.set_random_seed(seed)
        run = runs.Run.create(path, store, "small", **parts, seed=seed)
    return runs.fit(run, store, verbose=0, report=None)


def check_run(run, parts):
    """Refuse a run of other settings than those of the list."""
    from keras_ddr import InputError, likelihoods

    model = run.config["model"]
    known = {
        "model": model["config"],
        "objective": model["compile_config"]["objective"]["config"],
        "training": run.config["training"],
    }
    for part, wanted in parts.items():
        for option, value in wanted.items():
            found = known[part].get(option)
            if option == "likelihood":
                found = found["class_name"]
                value = type(likelihoods.get(value)).__name__
            if found != value:
                raise InputError(
                    f"{run.path} was made with {option} {found!r}, but the list of "
                    f"settings says {value!r}; remove it, or take another folder"
                )


def _wait_until_free(path):
    """For a process of --jobs whose parent was killed: it ends within moments."""
    from keras_ddr import InputError
    from keras_ddr.files import locked

    for _ in range(100 if path.is_dir() else 0):
        try:
            with locked(path / ".lock", ""):
                return
        except InputError:
            time.sleep(0.1)


def make_rows(plan, data, store_path, folder, split, name, seed, ways):
    """Yield the rows of a setting and a seed, one for each name in `ways`."""
    import keras

    from keras_ddr import LossNotFinite, evaluation

    keras.backend.clear_session()
    store = open_store(plan, data, store_path, folder)
    model, training = arguments(plan, data, name)
    about = {
        "setting": name,
        "seed": str(seed),
        "encoding": DEFAULT,
        "data": data,
        "split": split,
        "store.sha256": store.meta.get("sha256") or "",
        **flatten({"model": model, "training": training}),
    }
    try:
        run = train(plan, data, store, folder, name, seed)
    except LossNotFinite as error:
        reason = str(error).splitlines()[0].replace(str(folder), "")
        for way in ways:
            yield {**about, "encoding": way, "failed": reason}
        return
    network = run.model()
    history = run.history()
    encodings = encodings_of(plan, data, name)
    judge_steps = plan["data"][data]["judge_steps"]
    for way in ways:
        began = time.perf_counter()
        metrics = _ENCODED_METRICS
        if way == DEFAULT:
            metrics = ["likelihood", *metrics]
            if judge_steps:
                metrics.append(judge_of(store, split, judge_steps))
        report = evaluation.evaluate(
            network, store, split, metrics=metrics, encoding=encodings[way]
        )
        content = report.to_dict()
        content["skipped"] = {
            item.what: item.reason.replace(str(store.path), "the store")
            for item in report.skipped
        }
        yield {
            **about,
            "encoding": way,
            "failed": "",
            "weights": str(network.count_params()),
            "best_step": str((run.best() or history[-1])["step"]),
            "backend": run.config["backend"],
            "threads": str(_threads()),
            **flatten({"versions": run.config["versions"]}),
            "seconds.train": f"{sum(row['seconds'] for row in history):.1f}",
            "seconds.evaluate": f"{time.perf_counter() - began:.1f}",
            **flatten(content),
        }
    del network
    gc.collect()


def judge_of(store, split, steps):
    """The judge that `evaluate` would train, once for all models of this process."""
    from keras_ddr import InputError
    from keras_ddr.evaluation import Judge, choose_targets, train_judge

    key = str(store.path), split
    if key not in _JUDGES:
        train = store.select("train")
        try:
            attributes, action = choose_targets(store, train, store.select(split))
        except InputError:  # `evaluate` says why there is none
            return Judge(steps)
        targets = [*attributes, action]
        _JUDGES[key] = train_judge(store, train, targets, steps=steps)
    return Judge(trained=_JUDGES[key])


def _threads():
    """Threads of this process: sums in another order make another training."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def _worker(threads, backend=None):
    """Of a process beside others: its share of the cores; it ends with its parent."""
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(threads)
    if backend:
        os.environ["KERAS_BACKEND"] = backend
    parent = multiprocessing.parent_process()

    def follow():
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _all_rows(*task):
    return list(make_rows(*task))


# --- the study ---------------------------------------------------------------------


def run_study(plan, options):
    """Make all rows that are missing; a list of them all."""
    from keras_ddr import InputError
    from keras_ddr.files import locked

    data, folder, split = options.data, options.folder, options.split
    names = options.only or names_of(plan, data)
    seeds = plan["data"][data]["seeds"] if options.seeds is None else options.seeds
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock", f"{folder} is used by another study now; wait"):
        file = folder / f"{split}.csv"
        rows = read_rows(file)
        check_rows(file, rows, plan, data)
        # Before processes of --jobs look for it.
        open_store(plan, data, options.store, folder)
        done = {key_of(row) for row in rows}
        tasks = []
        for seed in seeds:
            for name in names:
                ways = [
                    way
                    for way in encodings_of(plan, data, name)
                    if (name, seed, way) not in done
                ]
                if ways:
                    tasks.append(
                        (plan, data, options.store, folder, split, name, seed, ways)
                    )
        if options.final:
            chosen = {key_of(row) for row in read_rows(folder / "val.csv")}
            for *_, name, seed, _ in tasks:
                if (name, seed, DEFAULT) not in chosen:
                    raise InputError(
                        f"{folder / 'val.csv'} has no row {name} {seed}; test is read "
                        "at the end, once all rows are there without --final"
                    )
        print(f"{len(tasks)} of {len(names) * len(seeds)} trainings to do", flush=True)
        for number, found in enumerate(_results(tasks, options.jobs), start=1):
            for row in found:
                rows.append(row)
                write_rows(file, rows, list(plan["settings"]))
                _tell(row, number, len(tasks))
    return rows


def _results(tasks, jobs):
    """For each task an iterable of its rows."""
    if jobs == 1:
        for task in tasks:
            yield make_rows(*task)
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    pool = concurrent.futures.ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), _worker, (threads,)
    )
    try:
        futures = [pool.submit(_all_rows, *task) for task in tasks]
        for future in concurrent.futures.as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _tell(row, number, total):
    text = f"{number}/{total} {row['setting']} {row['seed']} {row['encoding']}: "
    if row["failed"]:
        text += row["failed"]
    else:
        text += f"{row['seconds.train']} + {row['seconds.evaluate']} s"
    print(text, flush=True)


def differences(old, new, tolerance):
    """Names of columns in which two rows differ, with both texts.

    What is measured since the old row was written is not compared.
    """
    found = {}
    for name in old:
        if name.startswith(_INCIDENTAL):
            continue
        before, after = old[name], new.get(name, "")
        if before != after and not _close(name, before, after, tolerance):
            found[name] = before, after
    return found


def _close(name, before, after, tolerance):
    try:
        before, after = float(before), float(after)
    except ValueError:
        return False
    if name.startswith(_JUDGED):
        tolerance = max(tolerance, _JUDGE_TOLERANCE)
    least = 0.0 if name.startswith(_RELATIVE) else tolerance
    return math.isclose(before, after, rel_tol=tolerance, abs_tol=least)


def check(plan, options, name, seed):
    """Make the rows of a setting and a seed again; whether they are the same."""
    from keras_ddr import InputError

    file = options.folder / f"{options.split}.csv"
    old = {
        row["encoding"]: row
        for row in read_rows(file)
        if key_of(row)[:2] == (name, seed)
    }
    if not old:
        raise InputError(f"{file} has no row of {name} with seed {seed}")
    check_rows(file, old.values(), plan, options.data)
    same = True
    with tempfile.TemporaryDirectory() as folder:
        task = (options.store, pathlib.Path(folder), options.split, name, seed)
        for row in _made_alike(old, plan, options.data, *task, list(old)):
            expected = old[row["encoding"]]
            for column, value in expected.items():
                if column.startswith("versions.") and value != row.get(column):
                    print(f"note: {column} was {value} and is {row.get(column)}")
            differing = differences(expected, row, options.tolerance)
            for column, (before, after) in differing.items():
                print(f"{row['encoding']}: {column} was {before} and is {after}")
            same = same and not differing
    said = "the same" if same else "NOT the same"
    print(f"{name} {seed}: {said}, tolerance {options.tolerance:g}")
    return same


def _made_alike(old, *task):
    """Rows made anew with the backend and the number of threads of old ones."""
    row = next(iter(old.values()))
    alike = int(row.get("threads") or _threads()), row.get("backend")
    with concurrent.futures.ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), _worker, alike
    ) as pool:
        return pool.submit(_all_rows, *task).result()


def parse(texts):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", choices=["puppets", "sprites"])
    parser.add_argument("paths", nargs="*", type=pathlib.Path, metavar="[STORE] STUDY")
    parser.add_argument("--only", nargs="+", metavar="SETTING", help="[all]")
    parser.add_argument("--seeds", nargs="+", type=int, help="[those of the list]")
    parser.add_argument("--jobs", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--split", choices=["val", "test"], default="val")
    parser.add_argument("--final", action="store_true", help="read the split test")
    parser.add_argument("--check", nargs=2, metavar=("SETTING", "SEED"))
    parser.add_argument(
        "--tolerance", type=float, default=TOLERANCE, help="(%(default)s)"
    )
    parser.add_argument("--tables", action="store_true", help="from the CSV alone")
    parser.add_argument("--list", action="store_true", help="show the settings")
    parser.add_argument("--settings", type=pathlib.Path, default=SETTINGS)
    options = parser.parse_args(texts)
    plan = json.loads(options.settings.read_text(encoding="utf-8"))
    if options.list:
        return parser, plan, options
    if options.data is None:
        parser.error("say which data: puppets STUDY, or sprites STORE STUDY")
    # Only making rows of sprites takes a store.
    wanted = 2 if options.data == "sprites" and not options.tables else 1
    if len(options.paths) != wanted:
        usage = "sprites STORE STUDY" if wanted == 2 else f"{options.data} STUDY"
        parser.error(f"{len(options.paths)} paths; use it as: {usage}")
    options.folder = options.paths[-1]
    options.store = options.paths[0] if wanted == 2 else None
    if options.final:
        options.split = "test"
    elif options.split == "test" and not options.tables and not options.check:
        parser.error("the split test is read with --final, once choices are made")
    known = names_of(plan, options.data)
    asked = [*(options.only or ()), *(options.check or ())[:1]]
    for name in asked:
        if name not in known:
            parser.error(f"setting {name!r} is none of {', '.join(known)}")
    if options.check and not options.check[1].isdecimal():
        parser.error(f"seed {options.check[1]!r} is no whole number")
    if options.jobs < 1 or min(options.seeds or [0]) < 0:
        parser.error("--jobs counts from 1 and --seeds from 0")
    return parser, plan, options


def main(texts=None):
    parser, plan, options = parse(texts)
    if options.list:
        print_list(plan)
        return 0
    from keras_ddr import InputError

    try:
        if options.check:
            name, seed = options.check
            return 0 if check(plan, options, name, int(seed)) else 1
        if options.tables:
            import study_tables

            file = options.folder / f"{options.split}.csv"
            rows = read_rows(file)
            if not rows:
                raise InputError(f"{file} has no rows; run the study first")
            check_rows(file, rows, plan, options.data)
            for path in study_tables.write(rows, plan, options.folder, options.split):
                print(path)
            return 0
        rows = run_study(plan, options)
    except InputError as error:
        parser.error(str(error))
    except KeyboardInterrupt as error:
        print(f"{error or 'interrupted'}; start it again to go on", file=sys.stderr)
        return 130
    return 1 if any(row["failed"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
