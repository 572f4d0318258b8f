"""Memory and speed of `ddr fit` on a store, with and without a memory limit.

    python benchmarks/memory.py STORE
    python benchmarks/memory.py STORE --backend jax --limit 3

Trains in processes of their own, each from a cold page cache: free, and in a control
group of so many GB in which the page cache counts, in turns. Prints the most memory
that is not of files (those of the store are the page cache's, which the system takes
back as it likes), the steps a second of both halves, and the ratio of the medians.
Linux only; the limit needs leave to make a control group, which root has.
"""

import argparse
import csv
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HALF = 120  # steps
CGROUPS = pathlib.Path("/sys/fs/cgroup")


def forget(store):
    """Take the store out of the page cache."""
    for file in pathlib.Path(store).iterdir():
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def control_group(gigabytes):
    """A new group with this limit, version 1 or 2; `None` where none can be made."""
    first = (CGROUPS / "memory").is_dir()
    parent = CGROUPS / "memory" if first else CGROUPS
    group = parent / f"keras-ddr-{os.getpid()}"
    try:
        group.mkdir()
        name = "memory.limit_in_bytes" if first else "memory.max"
        (group / name).write_text(str(int(gigabytes * 2**30)))
    except OSError as error:
        print(f"no control group could be made ({error}): nothing is limited")
        return None
    return group


def anonymous(pid):
    """Megabytes of a process that are not of files."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line[:8] == "RssAnon:") / 1024


def train(arguments, group=None):
    """Steps a second of both halves, and the most memory."""
    forget(arguments.store)

    def join():
        if group is not None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "RUN"
        command = [
            *(sys.executable, "-m", "ddr_cli.main", "fit", arguments.store),
            *("--config", arguments.config, "--steps", str(2 * HALF)),
            *("--save-every", str(HALF), "--out", str(run)),
            *(["--backend", arguments.backend] if arguments.backend else []),
        ]
        process = subprocess.Popen(command, preexec_fn=join, stdout=subprocess.DEVNULL)
        most = 0.0
        while process.poll() is None:
            most = max(most, anonymous(process.pid))
            time.sleep(0.1)
        if process.returncode:
            sys.exit(f"ddr fit ended with {process.returncode}")
        with (run / "history.csv").open() as file:
            seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    return [HALF / value for value in seconds], most


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store")
    parser.add_argument("--config", default="small", help="(%(default)s)")
    parser.add_argument("--backend", help="tensorflow, jax or torch")
    parser.add_argument("--limit", type=float, default=3.0, help="GB (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    arguments = parser.parse_args()
    group = control_group(arguments.limit)
    ways = {"free": None, f"{arguments.limit:g} GB": group}
    if group is None:
        ways = {"free": None}
    print(f"ddr fit --config {arguments.config}, {2 * HALF} steps, cold page cache")
    print(f"{'limit':12} {'steps a second':>16} {'MB beyond the page cache':>26}")
    found = {name: [] for name in ways}
    try:
        for _ in range(arguments.rounds):
            for name, chosen in ways.items():
                rates, most = train(arguments, chosen)
                found[name].append(rates)
                shown = ", ".join(f"{rate:.2f}" for rate in rates)
                print(f"{name:12} {shown:>16} {most:26.0f}", flush=True)
        if group is not None:
            halves = [
                statistics.median(limited) / statistics.median(free)
                for free, limited in zip(
                    *(zip(*rates, strict=True) for rates in found.values()), strict=True
                )
            ]
            print("limited / free: " + ", ".join(f"{ratio:.2f}" for ratio in halves))
    finally:
        if group is not None:
            group.rmdir()


if __name__ == "__main__":
    main()
