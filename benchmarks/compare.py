"""Published systems on one bench: the same data, seconds of training and measures.

    python benchmarks/compare.py --list
    python benchmarks/compare.py BENCH --sources lpc=CLONE mnist=FOLDER
    python benchmarks/compare.py BENCH --only clips --systems ddr dsvae --seeds 0
    python benchmarks/compare.py BENCH --tables
    python benchmarks/compare.py BENCH --final

The list of systems and data is compare/settings.json. Each training is a `ddr fit` on
one thread, and every system gets the same CPU seconds on the same data: a short
training of each is timed first, and BENCH/steps.json keeps how many steps that makes,
so that they do not change afterwards. Rows are what `ddr evaluate` prints; choices are
made on val, and `--final` reads the split test, once. A data set may list measures for
`val` alone, where no choice needs the others.

BENCH/val.csv has a row for each data, system and seed, BENCH/stores the stores,
BENCH/runs the runs. The bench can be stopped and killed at any moment, and goes on when
it is started again. `--jobs 2` trains two systems at a time.
"""

import argparse
import concurrent.futures
import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import study

SETTINGS = pathlib.Path(__file__).with_name("compare") / "settings.json"
_TIMED = 100  # steps that are timed, after as many in which everything is compiled
_KEY = ("data", "system", "seed")
# Seconds are those of the processor, so that whatever else runs does not count.
_DDR = (
    "import time; time.perf_counter = time.process_time; "
    "from ddr_cli.main import ddr; ddr()"
)


# --- the list ----------------------------------------------------------------------


def trainings(plan, options):
    """(data, system, seed) of all trainings that are asked for."""
    for data, part in plan["data"].items():
        if options.only and data not in options.only:
            continue
        for system in part["systems"]:
            if options.systems and system not in options.systems:
                continue
            for seed in part["seeds"] if options.seeds is None else options.seeds:
                yield data, system, seed


def print_list(plan):
    for name, system in plan["systems"].items():
        print(f"{name}: {system['about']}\n    ddr fit STORE {' '.join(system['fit'])}")
    for name, part in plan["data"].items():
        print(f"\n{name}: {part['about']}")
        for key in ("store", "from", "reorder", "systems", "minutes", "seeds"):
            if key in part:
                print(f"    {key}: {part[key]}")


# --- one command -------------------------------------------------------------------


def ddr(*arguments, log):
    """Run `ddr` on one thread; its peak memory in megabytes."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), "1")
    environment = {**os.environ, **one, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", _DDR, *map(str, arguments)]
    with open(log, "a", encoding="utf-8") as lines:
        process = subprocess.Popen(command, stdout=lines, stderr=lines, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        last = log.read_text(encoding="utf-8").strip().splitlines()[-1]
        raise RuntimeError(f"ddr {' '.join(command[3:])}: {last}")
    return usage.ru_maxrss / 1024


def prepare(plan, data, bench, sources):
    """The store of a data set, made where it is not there."""
    from keras_ddr.data import FrameStore, reordered

    part, store = plan["data"][data], bench / "stores" / data
    if store.exists():
        return store
    store.parent.mkdir(parents=True, exist_ok=True)
    if "from" in part:
        source = prepare(plan, part["from"], bench, sources)
        reordered(FrameStore.open(source), store, **part["reorder"])
        return store
    words = [word.format(store=store, **sources) for word in part["store"]]
    ddr("preprocess", *words, log=bench / "preprocess.log")
    return store


def judge(plan, data, bench, sources):
    """Options of `ddr evaluate` for the judge of a data set, trained once."""
    name = plan["data"][data].get("judge")
    if name is None:
        return []
    file = bench / "stores" / f"{name}.judge.keras"
    if not file.exists():
        ddr("judge", prepare(plan, name, bench, sources), file, log=bench / "judge.log")
    return ["--judge", file]


# --- equal seconds -----------------------------------------------------------------


def count_steps(plan, data, bench, store, systems):
    """Steps of each system in the minutes of a data set; found once, and kept."""
    file = bench / "steps.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    found = known.setdefault(data, {})
    for system in systems:
        if system not in found:
            seconds = _timed(plan, data, bench, store, system)
            steps = 60 * plan["data"][data]["minutes"] / seconds
            found[system] = {"steps": max(50, round(steps, -1)), "seconds": seconds}
            file.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
            print(f"{data}, {system}: {seconds:.3f} s a step", flush=True)
    return {system: int(found[system]["steps"]) for system in systems}


def _timed(plan, data, bench, store, system):
    """Seconds of a step, without those in which everything is compiled."""
    run = bench / "timed"
    shutil.rmtree(run, ignore_errors=True)
    words = ["--steps", 2 * _TIMED, "--save-every", _TIMED, "--out", run]
    ddr("fit", store, *_fit(plan, data, system), *words, log=bench / "timed.log")
    _, row = study.read_rows(run / "history.csv")
    shutil.rmtree(run)
    return float(row["seconds"]) / _TIMED


def _fit(plan, data, system):
    """Options of `ddr fit` for a system on a data set."""
    more = plan["data"][data].get("fit", {})
    return [*plan["systems"][system]["fit"], *more.get(system, more.get("all", []))]


# --- one training ------------------------------------------------------------------


def make_row(plan, bench, key, steps, split, judged, trained=None):
    """Train, or go on, and measure: the row of a data set, a system and a seed.

    `trained` is the row of val, where there is one: then nothing is left to train.
    """
    data, system, seed = key
    store, run = bench / "stores" / data, bench / "runs" / f"{data}-{system}-{seed}"
    run.parent.mkdir(parents=True, exist_ok=True)
    log = run.with_suffix(".log")
    row = {"data": data, "system": system, "seed": str(seed), "split": split}
    row |= {"steps": str(steps), "failed": ""}
    try:
        if trained:
            memory = float(trained["megabytes"])
        elif (run / "config.json").is_file():
            memory = ddr("fit", "--resume", run, log=log)
        else:
            words = ["--steps", steps, "--seed", seed, "--out", run]
            memory = ddr("fit", store, *_fit(plan, data, system), *words, log=log)
        part = plan["data"][data]
        measures = part.get(split, part["measures"])
        metrics = run.with_suffix(f".{split}.json")
        only = [word for name in measures for word in ("--only", name)]
        if "clips" in measures:
            only += judged
        words = ["--split", split, *only, *part.get("evaluate", []), "--out", metrics]
        ddr("evaluate", run, store, *words, "--overwrite", log=log)
    except RuntimeError as error:
        said = re.sub(re.escape(str(bench)) + "/?", "", str(error))
        return {**row, "failed": said.replace("\n", " ")}
    history = study.read_rows(run / "history.csv")
    seconds = sum(float(line["seconds"]) for line in history)
    content = json.loads(metrics.read_text(encoding="utf-8"))
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    return {
        **row,
        "weights": str(config["weights"]),
        "seconds": f"{seconds:.0f}",
        "milliseconds a step": f"{1000 * seconds / steps:.0f}",
        "megabytes": f"{memory:.0f}",
        **study.flatten({"versions": config["versions"]}),
        **study.flatten(content),
    }


def write_rows(file, rows, plan):
    """Write rows, whole or not at all, in the order of the list."""
    from keras_ddr.files import replacing

    places = [list(plan["data"]), list(plan["systems"])]

    def place(row):
        return places[0].index(row["data"]), places[1].index(row["system"]), row["seed"]

    columns = list(dict.fromkeys(name for row in rows for name in row))
    with (
        replacing(file) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as lines,
    ):
        writer = csv.DictWriter(lines, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=place))


def run_bench(plan, options):
    """Make all rows that are missing; a list of them all."""
    from keras_ddr import InputError
    from keras_ddr.files import locked

    bench, split = options.bench, options.split
    bench.mkdir(parents=True, exist_ok=True)
    with locked(bench / ".lock", f"{bench} is used by another process now; wait"):
        file = bench / f"{split}.csv"
        rows = [row for row in study.read_rows(file) if not row["failed"]]
        done = {tuple(row[name] for name in _KEY) for row in rows}
        wanted = list(trainings(plan, options))
        left = [(d, s, n) for d, s, n in wanted if (d, s, str(n)) not in done]
        chosen = {}
        if options.final:
            known = study.read_rows(bench / "val.csv")
            chosen = {tuple(row[name] for name in _KEY): row for row in known}
            for data, system, seed in left:
                if (data, system, str(seed)) not in chosen:
                    raise InputError(
                        f"{bench / 'val.csv'} has no row {data} {system} {seed}; test "
                        "is read at the end, once all rows are there without --final"
                    )
        print(f"{len(left)} of {len(wanted)} trainings to do", flush=True)
        tasks = []
        for data in dict.fromkeys(data for data, *_ in left):
            own = [key for key in left if key[0] == data]
            store = prepare(plan, data, bench, options.sources)
            judged = judge(plan, data, bench, options.sources)
            systems = list(dict.fromkeys(system for _, system, _ in own))
            steps = count_steps(plan, data, bench, store, systems)
            for key in own:
                found = chosen.get((*key[:2], str(key[2])))
                tasks.append((plan, bench, key, steps[key[1]], split, judged, found))
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            futures = [pool.submit(make_row, *task) for task in tasks]
            try:
                for future in concurrent.futures.as_completed(futures):
                    rows.append(future.result())
                    write_rows(file, rows, plan)
                    row = rows[-1]
                    said = row["failed"] or f"{row['seconds']} s"
                    print(f"{row['data']} {row['system']} {row['seed']}: {said}")
            finally:
                pool.shutdown(cancel_futures=True)
    return rows


def parse(texts):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bench", nargs="?", type=pathlib.Path, metavar="BENCH")
    parser.add_argument("--sources", nargs="+", default=[], metavar="NAME=PATH")
    parser.add_argument("--only", nargs="+", metavar="DATA", help="[all]")
    parser.add_argument("--systems", nargs="+", metavar="SYSTEM", help="[all]")
    parser.add_argument("--seeds", nargs="+", type=int, help="[those of the list]")
    parser.add_argument("--jobs", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--final", action="store_true", help="read the split test")
    parser.add_argument("--tables", action="store_true", help="from the CSV alone")
    parser.add_argument("--list", action="store_true", help="show the systems and data")
    parser.add_argument("--settings", type=pathlib.Path, default=SETTINGS)
    options = parser.parse_args(texts)
    plan = json.loads(options.settings.read_text(encoding="utf-8"))
    if options.bench is None and not options.list:
        parser.error("say which folder: compare.py BENCH")
    options.split = "test" if options.final else "val"
    pairs = [pair.partition("=") for pair in options.sources]
    options.sources = {name: path for name, _, path in pairs}
    for names, known in ((options.only, "data"), (options.systems, "systems")):
        for name in names or ():
            if name not in plan[known]:
                parser.error(f"{name!r} is none of {', '.join(plan[known])}")
    needed = {
        word[1:-1]
        for data, *_ in trainings(plan, options)
        for word in plan["data"][data].get("store", ())
        if word.startswith("{") and word != "{store}"
    }
    missing = sorted(needed - set(options.sources))
    if missing and not (options.list or options.tables):
        parser.error(f"say where the sources are: --sources {missing[0]}=PATH")
    return parser, plan, options


def main(texts=None):
    parser, plan, options = parse(texts)
    if options.list:
        print_list(plan)
        return 0
    from keras_ddr import InputError

    try:
        if options.tables:
            import compare_tables

            rows = study.read_rows(options.bench / f"{options.split}.csv")
            if not rows:
                raise InputError(f"{options.bench} has no rows; run the bench first")
            for path in compare_tables.write(rows, plan, options.bench, options.split):
                print(path)
            return 0
        rows = run_bench(plan, options)
    except (InputError, RuntimeError) as error:
        parser.error(str(error))
    except KeyboardInterrupt as error:
        print(f"{error or 'interrupted'}; start it again to go on", file=sys.stderr)
        return 130
    return 1 if any(row["failed"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
