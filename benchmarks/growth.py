"""What grows with what: frames a set, the length of a sequence, the size of a store.

    python benchmarks/growth.py
    python benchmarks/growth.py --only sets store

Four tables, each measured round after round in turns, with medians and spread:

- `sets`: a training step with N = 3, 6, 12 and 24 frames a set, at as many frames a
  step. Linear in frames means that a frame costs the same.
- `encode`: `DDR.encode` of T frames, beside the training forward pass over sets of N
  frames that cover as many.
- `store`: memory and steps a second of training from stores of 10³ to 10⁶ frames, made
  as sparse files, so that they take no space; each in a process of its own.
- `input`: frames a second that FrameSets reads alone, from a warm page cache and from a
  cold one, beside what configuration tiny takes.
"""

import argparse
import contextlib
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

PARTS = ("sets", "encode", "store", "input")


def in_turns(functions, rounds):
    """Seconds of each function, round after round; called once before."""
    seconds = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(rounds):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def spread(values, digits=3):
    """Median with the least and the most."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def random_frames(*shape):
    import numpy as np

    return np.random.default_rng(0).integers(256, size=shape, dtype="uint8")


def sets(arguments):
    """Cost of a frame of a step for growing N."""
    from keras_ddr import DDR

    steps, frames = 4, 96
    functions = {}
    for number in (3, 6, 12, 24):
        model = DDR.from_preset("small", frames_per_set=number)
        model.compile()
        batch = frames // number
        x = random_frames(steps * batch, number, 64, 64, 3)
        functions[number] = lambda model=model, x=x, batch=batch: model.fit(
            x, batch_size=batch, shuffle=False, verbose=0
        )
    seconds = in_turns(functions, arguments.rounds)
    base = statistics.median(seconds[3])
    print(f"\na step of {frames} frames, configuration small (mean)")
    print(f"{'N':>4} {'sets':>5} {'milliseconds a frame':>26} {'× N = 3':>8}")
    for number, values in seconds.items():
        each = [1e3 * value / steps / frames for value in values]
        ratio = statistics.median(values) / base
        print(f"{number:4} {frames // number:5} {spread(each):>26} {ratio:8.2f}")


def encode(arguments):
    """Seconds of encoding T frames."""
    import numpy as np

    from keras_ddr import DDR

    model = DDR.from_preset("small")
    model.compile()
    number, batch = model.frames_per_set, 32
    covered = number * batch
    lengths = (100, covered, 400, 800, 1600)
    frames = random_frames(lengths[-1], 64, 64, 3)
    functions = {
        length: lambda n=length: model.encode(frames[:n]) for length in lengths
    }

    # What a training step computes before its gradient, over sets that hold every frame
    # once, and 16 times, so that f is known from as many sets of every frame.
    def forward(times):
        generator = np.random.default_rng(0)
        for _ in range(times):
            cover = generator.permutation(covered).reshape(batch, number)
            model.test_on_batch(frames[cover])

    for times in (1, 16):
        functions[f"cover {times}"] = lambda n=times: forward(n)
    seconds = in_turns(functions, arguments.rounds)
    print("\nencoding T frames with 16 sets, configuration small")
    print(f"{'T':>5} {'seconds':>24} {'milliseconds a frame':>21}")
    for length in lengths:
        values = seconds[length]
        each = 1e3 * statistics.median(values) / length
        print(f"{length:5} {spread(values):>24} {each:21.2f}")
    print(
        f"{covered} frames through the forward pass of training, in sets of {number}:"
    )
    for times in (1, 16):
        values = seconds[f"cover {times}"]
        ratio = statistics.median(values) / statistics.median(seconds[covered])
        print(f"  every frame in {times:2}: {spread(values)} s, {ratio:.1f} × as long")


def sparse_store(path, frames, length=100):
    """A store of black frames in a sparse file: as the writer's, without its bytes."""
    import numpy as np

    from keras_ddr.data import write_arrays

    number = frames // length
    small = np.zeros((number, 1, 64, 64, 3), "uint8")
    # The writer knows the other files; frames are put in their place.
    store = write_arrays(path, small)
    folder = pathlib.Path(store.path)
    rows = (folder / "sequences.csv").read_text().splitlines()
    header = rows[0].split(",")
    start, end = header.index("start"), header.index("length")
    lines = [rows[0]]
    for k, row in enumerate(rows[1:]):
        cells = row.split(",")
        cells[start], cells[end] = str(k * length), str(length)
        lines.append(",".join(cells))
    (folder / "sequences.csv").write_text("\n".join(lines) + "\n")
    shape = (number * length, 64, 64, 3)
    np.lib.format.open_memmap(folder / "frames.npy", "w+", "uint8", shape).flush()
    with np.load(folder / "labels.npz") as stored:
        labels = {k: np.resize(v, number * length) for k, v in stored.items()}
    np.savez(folder / "labels.npz", **labels)
    meta = json.loads((folder / "meta.json").read_text())
    for name in [key for key in meta if "sha256" in key]:
        del meta[name]
    meta["frames"] = number * length
    (folder / "meta.json").write_text(json.dumps(meta))
    return path


def store(arguments):
    """Training from stores of all sizes, in processes of their own."""
    print("\ntraining 60 steps of configuration tiny from a store")
    print(
        f"{'frames':>9} {'steps a second':>15} {'MB beyond the page cache':>25} "
        f"{'to open (s)':>12}"
    )
    for frames in (10**3, 10**4, 10**5, 10**6):
        with tempfile.TemporaryDirectory() as folder:
            path = sparse_store(os.path.join(folder, "S"), frames)
            line = subprocess.run(
                [sys.executable, __file__, "--serve", path],
                check=True,
                capture_output=True,
                text=True,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            ).stdout.splitlines()[-1]
        found = json.loads(line)
        print(
            f"{frames:9,} {found['steps']:15.1f} {found['memory']:25.0f} "
            f"{found['open']:12.2f}",
            flush=True,
        )


def serve(path):
    """Train from one store; what it took."""
    from keras_ddr import DDR
    from keras_ddr.data import FrameSets, FrameStore

    model = DDR.from_preset("tiny")
    model.compile()
    model.train_on_batch(random_frames(32, 3, 64, 64, 3))
    began = time.perf_counter()
    opened = FrameSets(FrameStore.open(path), 3, 32, split="all", steps=60)
    opening = time.perf_counter() - began
    model.fit(opened, epochs=1, verbose=0)
    began = time.perf_counter()
    model.fit(opened, epochs=2, initial_epoch=1, verbose=0)
    print(
        json.dumps(
            {
                "steps": 60 / (time.perf_counter() - began),
                "memory": _anonymous(),
                "open": opening,
            }
        )
    )


def _anonymous():
    """Megabytes of this process that are not file pages."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/self/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def input(arguments):
    """Frames a second of FrameSets alone, and of training."""
    from keras_ddr import DDR
    from keras_ddr.data import FrameSets, write_arrays

    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        made = write_arrays(
            os.path.join(folder, "S"), random_frames(200, 100, 64, 64, 3)
        )
        file = pathlib.Path(made.path) / "frames.npy"
        sets = FrameSets(made, 3, 32, split="all", steps=200, max_queue_size=8)

        def read(cold):
            if cold:
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
                    os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            for index in range(len(sets)):
                sets[index]

        model = DDR.from_preset("tiny")
        model.compile()
        steps = FrameSets(made, 3, 32, split="all", steps=20)
        seconds = in_turns(
            {
                "FrameSets, warm": lambda: read(False),
                "FrameSets, cold": lambda: read(True),
                "training, tiny": lambda: model.fit(steps, verbose=0),
            },
            arguments.rounds,
        )
    print("\nframes a second")
    number = {"training, tiny": 20}
    rates = {
        name: [number.get(name, 200) * 32 * 3 / value for value in values]
        for name, values in seconds.items()
    }
    base = statistics.median(rates["training, tiny"])
    for name, values in rates.items():
        ratio = statistics.median(values) / base
        print(f"{name:16} {spread(values, 0):>26} {ratio:6.1f} ×")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--folder", help="for the store of `input`, on the disk to try")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # As in the commands of the package, on all kinds of processors.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if arguments.serve:
        return serve(arguments.serve)
    for part in arguments.only:
        globals()[part](arguments)


if __name__ == "__main__":
    main()
