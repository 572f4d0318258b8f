"""Seconds of a training step: this package beside other ways to write the same model.

    python benchmarks/train_step.py
    python benchmarks/train_step.py --widths 32 64 256 --only ddr:jax torch

Each entrant is a process of its own, that compiles once. They take turns, round after
round, so that whatever else the machine does falls on all of them alike; shown are the
median of the rounds, their spread, and ratios to the hand-written PyTorch version and
to the floor. The floor is the arithmetic of one step over the rate at which the same
number of threads multiplies large matrices, measured in the same rounds.

Entrants: `ddr:BACKEND`, this package; `stock:BACKEND`, stock Keras layers and training
step; `torch` and `tensorflow`, without Keras. Those whose backend is not installed are
left out. Every round trains on fresh random frames; a step includes what a user's loop
includes: handing over uint8 frames, the loss, and the optimizer. `--mixed-precision`
is for entrants of Keras and the floor; others stay in float32. On an NVIDIA GPU
float32 is computed as TF32 where the library does so by itself.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

BACKENDS = ("tensorflow", "jax", "torch")
ENTRANTS = (
    *(f"ddr:{backend}" for backend in BACKENDS),
    *(f"stock:{backend}" for backend in BACKENDS),
    "torch",
    "tensorflow",
    "floor",
)
# Rows and columns of the matrices of the floor.
_SIZE, _SIZE_ON_GPU = 2048, 8192


def step_flops(width, static_dim, frames, number):
    """Floating-point operations of a step on `frames` frames in sets of `number`.

    Matrix products only, forward and twice as much backward, with pairs that are
    factorised: no form of this model needs fewer.
    """
    hidden, pairs = 512, number * (number - 1) // 2
    maps = 16 * (3 * width) * 32**2 + 16 * width**2 * (16**2 + 8**2 + 4**2)
    dynamic = (16 * width + static_dim) * hidden + hidden**2 + 4 * hidden
    start = (static_dim + 2) * 16 * width
    halves = 9 * width * 4 * width * 16
    a_set = 9 * pairs * 2 * width * 2 * width * 16
    a_set += 32 * width * hidden + hidden * 2 * static_dim
    a_set += static_dim * hidden + hidden**2 + 4 * hidden
    a_frame = 2 * maps + dynamic + start + halves
    return 3 * 2 * (frames * a_frame + frames // number * a_set)


def make(name, arguments):
    """The training function of an entrant and its number of weights.

    For the floor it is the number of operations of a matrix product instead.
    """
    sizes = arguments.width, arguments.static_dim, arguments.frames_per_set
    if name == "floor":
        return _multiply(arguments)
    kind, _, backend = name.partition(":")
    if backend and arguments.mixed_precision:
        import keras

        keras.mixed_precision.set_global_policy(arguments.mixed_precision)
    if kind == "ddr":
        return _ddr(*sizes, arguments)
    module = {"stock": "stock_keras"}.get(kind, f"plain_{kind}")
    return importlib.import_module(f"rivals.{module}").make(*sizes)


def _ddr(width, static_dim, number, arguments):
    import keras

    import keras_ddr

    keras.utils.set_random_seed(0)
    model = keras_ddr.DDR(
        static_dim=static_dim,
        frames_per_set=number,
        filters=width,
        pair_filters=2 * width,
        aggregation=arguments.aggregation,
    )
    model.compile()

    def train(frames, batch):
        history = model.fit(frames, batch_size=batch, shuffle=False, verbose=0)
        return history.history["loss"][-1]

    return train, model.count_params()


def _multiply(arguments):
    """As many large matrix products as there are batches, with the fastest library."""
    import torch

    # What every backend does with float32 on a GPU: in convolutions, or everywhere.
    torch.backends.cuda.matmul.allow_tf32 = True
    gpu = torch.cuda.is_available()
    half = (arguments.mixed_precision or "").removeprefix("mixed_")
    kind = getattr(torch, half) if half else torch.float32
    size = _SIZE_ON_GPU if gpu else _SIZE
    a = torch.rand(size, size, device="cuda" if gpu else "cpu").to(kind)

    def multiply(frames, batch):
        for _ in range(0, len(frames), batch):
            a @ a
        if gpu:
            torch.cuda.synchronize()
        return float("nan")

    return multiply, 2 * size**3


def serve(name, arguments):
    """Read commands "steps" from stdin; answer with seconds of a step and the loss."""
    import numpy as np

    generator = np.random.default_rng(0)
    train, weights = make(name, arguments)
    for line in sys.stdin:
        steps = int(line)
        shape = (steps * arguments.batch, arguments.frames_per_set, 64, 64, 3)
        frames = generator.integers(256, size=shape, dtype="uint8")
        began = time.perf_counter()
        loss = train(frames, arguments.batch)
        seconds = (time.perf_counter() - began) / steps
        print(json.dumps([seconds, loss, weights]), flush=True)


class Entrant:
    """A process that trains when it is asked to."""

    def __init__(self, name, width, arguments):
        self.name, self.seconds = name, []
        # oneDNN as in the commands of the package, on all kinds of processors.
        environment = {"TF_ENABLE_ONEDNN_OPTS": "1", **os.environ}
        environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
        _, _, backend = name.partition(":")
        if backend:
            environment["KERAS_BACKEND"] = backend
        command = [sys.executable, __file__, "--serve", name, "--width", str(width)]
        for option in (
            "static_dim",
            "frames_per_set",
            "batch",
            "aggregation",
            "mixed_precision",
        ):
            value = getattr(arguments, option)
            if value is not None:
                command += ["--" + option.replace("_", "-"), str(value)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if arguments.debug else subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def run(self, steps):
        """Take steps; seconds of one."""
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended; --debug shows what it said")
        seconds, self.loss, self.weights = json.loads(line)
        return seconds

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def race(width, arguments):
    """Let all entrants take turns, and print a table; a list of rows."""
    entrants = []
    for name in arguments.only:
        entrant = Entrant(name, width, arguments)
        entrant.run(arguments.steps)  # compiles
        entrant.run(arguments.steps)
        entrants.append(entrant)
    for _ in range(arguments.rounds):
        for entrant in entrants:
            entrant.seconds.append(entrant.run(arguments.steps))
    for entrant in entrants:
        entrant.close()
    frames = arguments.batch * arguments.frames_per_set
    flops = step_flops(width, arguments.static_dim, frames, arguments.frames_per_set)
    medians = {}
    for entrant in entrants:
        if entrant.name == "floor":
            scale = flops / entrant.weights
            entrant.weights = 0
            entrant.seconds = [scale * seconds for seconds in entrant.seconds]
        medians[entrant.name] = statistics.median(entrant.seconds)
    print(
        f"\nwidth {width}: {arguments.batch} sets of {arguments.frames_per_set} "
        f"frames, {flops / 1e9:.1f} GFLOP a step"
    )
    print(
        f"{'entrant':18} {'seconds':>8} {'least':>7} {'most':>7} {'× torch':>8} "
        f"{'× floor':>8} {'weights':>11} {'loss':>8}"
    )
    rows = []
    for entrant in entrants:
        seconds = medians[entrant.name]
        ratios = [
            seconds / medians[other] if other in medians else float("nan")
            for other in ("torch", "floor")
        ]
        print(
            f"{entrant.name:18} {seconds:8.3f} {min(entrant.seconds):7.3f} "
            f"{max(entrant.seconds):7.3f} {ratios[0]:8.2f} {ratios[1]:8.2f} "
            f"{entrant.weights:11,} {entrant.loss:8.0f}",
            flush=True,
        )
        rows.append([width, entrant.name, *entrant.seconds])
    return rows


def installed(name):
    """Whether what an entrant needs can be imported."""
    kind, _, backend = name.partition(":")
    module = {"floor": "torch"}.get(kind, backend or kind)
    return importlib.util.find_spec(module) is not None


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--static-dim", type=int, default=256)
    parser.add_argument("--frames-per-set", type=int, default=3)
    parser.add_argument("--batch", type=int, default=40, help="sets (%(default)s)")
    parser.add_argument("--steps", type=int, default=4, help="of a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="(%(default)s)")
    parser.add_argument("--only", nargs="+", choices=ENTRANTS, default=ENTRANTS)
    parser.add_argument("--aggregation", default="concat", help="(%(default)s)")
    parser.add_argument("--mixed-precision", help="mixed_bfloat16, mixed_float16")
    parser.add_argument("--out", type=pathlib.Path, help="CSV of all rounds")
    parser.add_argument("--debug", action="store_true", help="show warnings")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--width", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.serve, arguments)
    arguments.only = [name for name in arguments.only if installed(name)]
    rows = [row for width in arguments.widths for row in race(width, arguments)]
    if arguments.out:
        lines = (",".join(map(str, row)) for row in rows)
        arguments.out.write_text("width,entrant,seconds...\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
