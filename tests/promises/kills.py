"""Kill `ddr fit` at random moments, go on, and compare with a run left in peace.

    python tests/promises/kills.py --backend jax --kills 20 --seed 0

Every kill is a signal to a process of its own. After it the run folder is looked at as
it lies there, and the next process goes on with `ddr fit --resume`. At the end all
arrays of the last checkpoint and of model.keras (weights, optimizer and random state)
and all columns of history.csv but `seconds` must equal those of a run that nothing
disturbed. The variant "model.fit" does the same with a script that trains with the
callback `SaveAndResume`.
"""

import argparse
import collections
import contextlib
import csv
import io
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

BACKENDS = ("tensorflow", "jax", "torch")
STEPS, SAVE_EVERY = 35, 5  # an odd number of steps an epoch, so that accumulation cuts
_COMMON = (
    f"--config tiny --filters 4 --pair-filters 4 --hidden-units 8 --static-dim 4 "
    f"--frames-per-set 2 --batch-size 2 --steps {STEPS} --save-every {SAVE_EVERY}"
).split()
_PARTS = {
    "bfloat16": ["--mixed-precision", "bfloat16"],
    "float16": ["--mixed-precision", "float16"],
    "cosine": ["--schedule", "cosine"],
    "accumulate": ["--accumulate", "2"],
    "clipnorm": ["--clipnorm", "20"],
}
_PLAIN = {"--schedule": "constant", "--clipnorm": "0"}
VARIANTS = {
    "plain": [],
    "validation": [],
    **_PARTS,
    "together": [
        text
        for name in ("bfloat16", "cosine", "accumulate", "clipnorm")
        for text in _PARTS[name]
    ],
}
"""Name -> options of `ddr fit`; all but "plain" have sequences for validation."""
SCRIPT = "model.fit"

# Loads what every `ddr fit` loads first and forks one for each line that it reads: most
# of the time of a short run would be that of loading. Keras would load TensorFlow on
# every backend. A child tells on SIGUSR1 what it is doing.
_SERVER = """
import faulthandler, importlib, json, os, random, runpy, signal, sys
sys.modules.update(dict.fromkeys({blocked!r}))
for name in ("ddr_cli.fit", "keras_ddr.runs", "keras_ddr.visualization", "h5py",
             "matplotlib.backends.backend_agg"):
    importlib.import_module(name)
import numpy
from ddr_cli.main import ddr
for line in sys.stdin:
    trace, log, arguments = json.loads(line)
    child = os.fork()
    if not child:
        faulthandler.register(signal.SIGUSR1, open(trace, "w"))
        # Background jobs of a shell ignore Ctrl-C, and so would all that they start.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(output, number)
        os.close(0)
        # As in processes that were started one by one.
        random.seed()
        numpy.random.seed()
        if arguments[0].endswith(".py"):
            sys.argv = arguments
            runpy.run_path(arguments[0], run_name="__main__")
            sys.exit()
        ddr.main(arguments)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
_LIMIT = 900  # seconds after which a process that should have ended counts as hung


class Wrong(AssertionError):
    """A promise that was not kept."""


def make_store(path, validation):
    """A store of small frames full of noise.

    Args:
        path: Where.
        validation: Whether it has sequences for validation.
    """
    import numpy as np

    from keras_ddr.data import write_arrays

    shape = (8, 5, 16, 16, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, "uint8")
    splits = ["train"] * 6 + ["val" if validation else "train"] * 2
    write_arrays(path, frames, splits=splits)


class Server:
    """Starts processes, one at a time; a context manager.

    Args:
        folder: Where they run.
        backend: One of `BACKENDS`.
    """

    def __init__(self, folder, backend):
        self.folder = folder
        self.backend = backend

    def __enter__(self):
        blocked = [] if self.backend == "tensorflow" else ["tensorflow"]
        environment = {**os.environ, "KERAS_BACKEND": self.backend}
        environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
        # Compiling takes most of the time of a short run: less of it, and only once.
        environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "true"
        environment["JAX_COMPILATION_CACHE_DIR"] = str(self.folder / "compiled")
        environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        environment["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER.format(blocked=blocked)],
            env=environment,
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *error):
        self._process.communicate()

    def start(self, arguments):
        """Start `ddr` with these arguments; returns a `Process`."""
        trace, log = self.folder / "trace", self.folder / "log"
        trace.unlink(missing_ok=True)
        order = json.dumps([str(trace), str(log), arguments])
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        return Process(self._process.stdout, trace, log)


class Process:
    """A `ddr` in its own process.

    Attributes:
        pid: Its number.
        code: The exit code, or None while it lives.
        began: When it was started, as `time.monotonic`.
        asked: How often it was asked to end.
    """

    def __init__(self, pipe, trace, log):
        self._trace, self._log = trace, log
        self.began = time.monotonic()
        self.pid = int(pipe.readline())
        self.code = None
        self.asked = 0
        self._end = threading.Thread(target=self._note_end, args=(pipe,), daemon=True)
        self._end.start()

    def _note_end(self, pipe):
        self.code = int(pipe.readline())

    def send(self, number):
        """Send a signal, if it still lives."""
        if self.code is None:
            self.asked += number in (signal.SIGTERM, signal.SIGINT)
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self):
        """Wait for its end, and say what it wrote."""
        self._end.join(_LIMIT)
        if self.code is None:
            self.send(signal.SIGKILL)
            raise Wrong(f"it did not end within {_LIMIT} s: {self.output()}")
        return self.output()

    def output(self):
        """All that it wrote."""
        return self._log.read_text(errors="replace")

    def doing(self):
        """Names of files and functions that it is in."""
        self.send(signal.SIGUSR1)
        end = time.monotonic() + 1
        while self.code is None and time.monotonic() < end:
            if self._trace.exists() and self._trace.stat().st_size:
                break
        return self._trace.read_text() if self._trace.exists() else ""


# --- what lies in a run folder ------------------------------------------------------


def temporary_files(run):
    """Files with a temporary name: path -> process number."""
    found = {}
    for folder in (run, run / "checkpoint", run / "samples"):
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                if name.startswith(".") and ".tmp-" in name:
                    owner = name.partition(".tmp-")[2].partition(".")[0]
                    found[folder / name] = int(owner.rpartition("-")[2])
    return found


def kind(path):
    """What a temporary file will be."""
    name = path.name.partition(".tmp-")[0]
    if path.parent.name == "samples":
        return "picture"
    if name.startswith(".epoch-"):
        return "checkpoint"
    return {".model": "model.keras", ".config": "config"}.get(name, "history")


def rows(run):
    """History without the times; what is there at any moment must be a whole table."""
    file = run / "history.csv"
    if not file.exists():
        return []
    with file.open(newline="") as lines:
        table = list(csv.DictReader(lines))
    for row in table:
        if row.pop("seconds", None) is None or None in row or None in row.values():
            raise Wrong(f"{file} is not whole: {row}")
    return table


def arrays(path):
    """All that a .keras file holds but times: name -> bytes, type and shape."""
    import h5py

    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith(".h5"):
                with h5py.File(io.BytesIO(content)) as file:

                    def note(place, item, name=name):
                        if isinstance(item, h5py.Dataset):
                            value = item[()]
                            about = str(value.dtype), value.shape
                            found[f"{name}/{place}"] = (value.tobytes(), *about)

                    file.visititems(note)
            elif name != "metadata.json":
                found[name] = json.loads(content)
                if name == "progress.json":
                    for part in (found[name], *found[name]["history"]):
                        part.pop("seconds", None)
    return found


def checkpoints(run):
    """Its checkpoints, the newest last; those of the callback lie in the folder."""
    return sorted([*run.glob("epoch-*.keras"), *run.glob("checkpoint/epoch-*.keras")])


def epochs(run):
    """Number of epochs that are saved."""
    return int(checkpoints(run)[-1].name[6:12]) if checkpoints(run) else 0


def differences(run, whole):
    """Name what differs between two runs that have ended."""
    found = []
    histories = [folder / "history.json" for folder in (run, whole)]
    if histories[1].exists():
        a, b = (json.loads(file.read_text()) for file in histories)
        if a != b or len(b["val_loss"]) != STEPS // SAVE_EVERY:
            found.append(f"history: {a}, not {b}")
    elif rows(run) != rows(whole):
        pairs = zip(rows(run), rows(whole), strict=False)
        first = next((a for a, b in pairs if a != b), {"epoch": "the end"})
        found.append(f"history.csv from epoch {first['epoch']}")
    ours, theirs = checkpoints(run)[-1], checkpoints(whole)[-1]
    if ours.name != theirs.name:
        found.append(f"checkpoint {ours.name}, not {theirs.name}")
    for what, a, b in (
        ("checkpoint", ours, theirs),
        ("model.keras", run / "model.keras", whole / "model.keras"),
    ):
        a, b = arrays(a), arrays(b)
        names = sorted(n for n in a.keys() | b.keys() if a.get(n) != b.get(n))
        for state in ("/optimizer/vars/0", "sampling/vars/training"):
            if not any(name.endswith(state) for name in b):
                found.append(f"{what} lacks {state}")
        if names:
            found.append(f"{what}: {len(names)} of {len(b)} entries, {names[0]}")
    return found


def check_folder(run, process):
    """Hold what lies there right after a kill to what is promised."""
    from keras_ddr import runs

    if not (run / "checkpoint").exists():
        for path in checkpoints(run):
            runs.load_model(path)
        return {p for p, number in temporary_files(run).items() if number != process}
    if (run / "model.keras").exists():
        runs.load_model(run / "model.keras")
    # Before it goes on a process removes what others left; a new one has its number.
    strangers = {p for p, number in temporary_files(run).items() if number != process}
    if not (run / "config.json").exists():
        return strangers
    problems = runs.verify(run)
    # True between the first row and the first model.
    excused = (
        ("model.keras: is missing", "does not list") if len(rows(run)) == 1 else ()
    )
    untrue = [t for t in problems if not any(e in t for e in excused)]
    if untrue:
        raise Wrong(f"ddr verify says {untrue}")
    return strangers


# --- the moments --------------------------------------------------------------------


class Moments:
    """Chooses when to strike, and says what was hit."""

    def __init__(self, random_state, startup, epoch):
        self._random = random_state
        self.startup, self.epoch = startup, epoch

    def wait(self, process, run, done, aimed):
        """Wait for a random moment, if the process does not end before.

        Args:
            process: `Process`.
            run: Its folder.
            done: Epochs when it began.
            aimed: None, or what kind of file it should write at that moment.

        Returns:
            What it was doing then, as `Process.doing` says it.
        """
        if aimed == "start-up":
            self._sleep(process, self._random.uniform(0.05, 1) * self.startup)
            return process.doing()
        more = self._random.randrange(2)
        while process.code is None and epochs(run) < done + more:
            time.sleep(0.005)
        if aimed is not None:
            self._for_file(process, run, aimed)
            return ""
        if more:
            self._sleep(process, self._random.uniform(0, self.epoch))
        else:
            end = self.startup + self._random.uniform(0, 2 * self.epoch)
            self._sleep(process, end - (time.monotonic() - process.began))
        return process.doing()

    def _for_file(self, process, run, aimed):
        # Some files are there so shortly that the moment can be missed.
        last = epochs(run) + 1
        while process.code is None and epochs(run) <= last:
            for path, number in temporary_files(run).items():
                if number == process.pid and kind(path) == aimed:
                    # Most of the time of a checkpoint goes into its archive.
                    longest = {"checkpoint": 0.1, "picture": 0.1}.get(aimed, 0)
                    time.sleep(self._random.uniform(0, longest))
                    return

    @staticmethod
    def _sleep(process, seconds):
        end = time.monotonic() + seconds
        while process.code is None and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.01))


def place(files, trace):
    """What a process was doing, by its temporary files and functions."""
    for path in files:
        return f"writing of {kind(path)}"
    functions = {line.rpartition(" in ")[2] for line in trace.splitlines()}
    if "evaluate" in functions:
        return "validation"
    if "on_epoch_end" in functions:
        return "saving, between files"
    return "training step" if "trainer.py" in trace else "start-up"


_AIMS = (None, "checkpoint", None, "picture", "history", None, "model.keras")
_KILL, _TERM, _INT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
# One in three kills; others ask to end, and some come while another is heeded.
_SIGNALS = [
    *[(_KILL,)] * 3,
    *[(_TERM,)] * 2,
    (_INT,),
    (_TERM, _TERM),
    (_INT, _INT),
    (_TERM, _INT),
    (_TERM, _KILL),
]


def _command(variant, store, run, backend):
    """Arguments that begin a run, or the path of the script and its arguments."""
    if variant == SCRIPT:
        script = pathlib.Path(__file__).with_name("train.py")
        numbers = [str(STEPS // SAVE_EVERY), str(SAVE_EVERY)]
        return [str(script.resolve()), str(store), run.name, *numbers]
    options = [*_COMMON, *VARIANTS[variant]]
    for name, value in _PLAIN.items():
        if name not in options:
            options += [name, value]
    return ["fit", str(store), *options, "--backend", backend, "--out", run.name]


class Harness:
    """Kills of one backend, in one folder.

    Args:
        folder: Empty folder to work in.
        backend: One of `BACKENDS`, the one that runs in this process.
        seed: Of the moments.
        report: Called with a line of text for every kill.
        signals: Whether SIGTERM and SIGINT come among the kills.
    """

    def __init__(self, folder, backend, seed=0, report=print, signals=False):
        self.folder = pathlib.Path(folder).resolve()
        self.backend = backend
        self.random = random.Random(seed)
        self.report = report
        self._signals = _SIGNALS if signals else [(_KILL,)]
        self.places = collections.Counter()
        self.ends = collections.Counter()
        self.tried = self.resumed = self.equal = self.finished = 0
        self.wrong = []
        self._count = 0

    def run(self, variant, kills):
        """Kill runs of a variant until there were so many kills.

        Args:
            variant: Key of `VARIANTS`, or `SCRIPT`.
            kills: How many, at least 1.
        """
        store = self.folder / ("no-val" if variant == "plain" else "val")
        if not store.exists():
            make_store(store, validation=variant != "plain")
        self._aims = (None, "checkpoint") if variant == SCRIPT else _AIMS
        whole = self.folder / f"{variant}-whole"
        with Server(self.folder, self.backend) as server:
            moments = self._undisturbed(
                server, _command(variant, store, whole, self.backend), whole
            )
            # On a slow machine a run may end before it is struck.
            for _ in range(2 * kills + 2):
                if kills <= 0:
                    break
                self._count += 1
                run = self.folder / f"{variant}-{self._count}"
                command = _command(variant, store, run, self.backend)
                kills -= self._one(server, run, command, kills, moments)
                if found := differences(run, whole):
                    self.wrong.append(f"{run.name}: {'; '.join(found)}")
                else:
                    self.equal += 1
                self.finished += 1

    def _undisturbed(self, server, command, whole):
        process = server.start(command)
        while process.code is None and not epochs(whole):
            time.sleep(0.02)
        startup = time.monotonic() - process.began
        output = process.wait()
        if process.code != 0:
            raise Wrong(f"a run that nothing disturbed failed: {output}")
        # A start is slow, and the first epoch of a process compiles.
        epoch = (time.monotonic() - process.began - startup) / (STEPS / SAVE_EVERY - 1)
        return Moments(self.random, startup, epoch)

    def _one(self, server, run, command, kills, moments):
        """Kill one run until it ends or was killed often enough; then let it end."""
        struck = 0
        while True:
            process = server.start(command)
            done = epochs(run)
            where = ""
            if struck < kills:
                where = self._strike(process, run, done, moments)
            output = process.wait()
            self._check_end(process, run, output)
            if process.code == 0:
                if left := temporary_files(run):
                    raise Wrong(f"{run.name}: {sorted(left)} left behind")
                self.resumed += struck > 0
                return struck
            struck += 1
            self.tried += 1
            # Every kill but the last was followed by one that went on.
            self.resumed += struck > 1
            self.places[where] += 1
            self.ends[process.code] += 1
            strangers = check_folder(run, process.pid)
            if strangers and where != "start-up":
                raise Wrong(f"{run.name}: {sorted(strangers)} left after going on")
            self.report(
                f"{self.tried:3} {run.name}: {where}, after {epochs(run)} epochs, "
                f"exit code {process.code}"
            )
            if (run / "config.json").exists():
                command = ["fit", "--resume", run.name]

    def _strike(self, process, run, done, moments):
        # One in ten while it starts, and a good half of the others while it saves.
        aimed = "start-up"
        if self.random.random() > 0.1:
            aimed = self._aims[self.tried % len(self._aims)]
        first, *others = self.random.choice(self._signals)
        trace = moments.wait(process, run, done, aimed)
        files = []
        if first != signal.SIGKILL:
            files = self._files_of(process, run)
        process.send(first)
        for number in others:
            time.sleep(self.random.uniform(0, 0.5))
            process.send(number)
        if first == signal.SIGKILL:
            process.wait()
            files = self._files_of(process, run)
        return place(files, trace)

    @staticmethod
    def _files_of(process, run):
        return [
            p for p, number in temporary_files(run).items() if number == process.pid
        ]

    @staticmethod
    def _check_end(process, run, output):
        """Hold the exit code and the last line to what is promised."""
        code = process.code
        # The question what it is doing kills one that cannot answer yet.
        problem = code not in (0, -signal.SIGKILL, -signal.SIGUSR1)
        if code in (130, 143):
            *_, last = output.splitlines()
            asked = f"; go on with ddr fit --resume {run.name}"
            begun = any(line.startswith("training ") for line in output.splitlines())
            problem = not last.startswith("ddr: ") or begun and asked not in last
        # Before there is anything to save, a signal has its usual effect, as has a
        # second one at any time.
        elif code in (-signal.SIGTERM, -signal.SIGINT):
            problem = "step " in output and process.asked < 2
        # Python tells of an interrupt within a callback of its garbage collector.
        ignored = r"Exception ignored in.*?KeyboardInterrupt"
        if problem or "Traceback" in re.sub(ignored, "", output, flags=re.DOTALL):
            raise Wrong(f"{run.name} ended with {code}: {output}")

    def summary(self):
        """Lines that say what was tried and what came of it."""
        lines = [
            f"{self.backend}: {self.tried} kills tried, {self.resumed} resumed; "
            f"{self.finished} runs ended, {self.equal} equal"
        ]
        lines += [f"  {n:3} {where}" for where, n in self.places.most_common()]
        lines += [f"  {n:3} exit code {code}" for code, n in self.ends.most_common()]
        return lines + [f"  wrong: {text}" for text in self.wrong]


def main():
    """Run the harness and print its tally."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=BACKENDS, default="tensorflow")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signals", action="store_true", help="SIGTERM, SIGINT too")
    parser.add_argument("--variant", choices=[*VARIANTS, SCRIPT], action="append")
    arguments = parser.parse_args()
    os.environ["KERAS_BACKEND"] = arguments.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    variants = arguments.variant or list(VARIANTS)
    with tempfile.TemporaryDirectory() as folder:
        harness = Harness(
            folder, arguments.backend, arguments.seed, signals=arguments.signals
        )
        for number, variant in enumerate(variants):
            left = arguments.kills - harness.tried
            kills = -(-left // (len(variants) - number))
            if kills > 0:
                try:
                    harness.run(variant, kills)
                except Wrong as error:
                    harness.wrong.append(str(error))
        print("\n".join(harness.summary()), flush=True)
    sys.exit(1 if harness.wrong else 0)


if __name__ == "__main__":
    main()
