"""Readers for the tests of the pipeline: files that say what is to happen."""

import os
import signal
import time
from dataclasses import dataclass

import numpy as np

from keras_ddr import InputError
from keras_ddr.datasets import Cropping, Lengths
from keras_ddr.datasets.parts import Clip, Outcome
from keras_ddr.datasets.reading import Plan


@dataclass(frozen=True)
class ScriptPlan(Plan):
    """Frames of 16x16 pixels; `log` is a file for the names of what is read."""

    cropping: Cropping = Cropping(size=16)
    lengths: Lengths = Lengths()
    log: str = ""


def read_script(source, plan, spool):
    """Read a text file with one order a line: "frames N", "raise", "die", …."""
    with open(source.path, encoding="utf-8") as file:
        orders = [line.split() for line in file if line.strip()]
    if plan.log:
        # One write of few bytes, so that processes do not mix their lines.
        with open(plan.log, "a", encoding="utf-8") as file:
            file.write(f"{source.name}\n")
    result = Outcome()
    for order, *numbers in orders:
        if order == "frames":
            count = int(numbers[0])
            rows = [
                spool.add(
                    np.full((16, 16, 3), (len(source.name) + n) % 256, np.uint8), n
                ).row
                for n in range(count)
            ]
            frame = np.arange(count)
            labels = {"source_frame": frame, "time": frame / 25, "level": frame / 2}
            result.clips.append(Clip(np.array(rows), labels))
            result.frames_read += count
            result.frames_found += count
        elif order == "note":
            result.notes = "something is odd"
        elif order == "nothing":
            result.skipped = "nothing to see"
        elif order == "refuse":
            raise InputError(f"{source.path}: is broken")
        elif order == "raise":
            raise RuntimeError("two\nlines")
        elif order == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif order == "sleep":
            time.sleep(float(numbers[0]))
        elif order == "count-modules":
            import sys

            result.notes = " ".join(sorted({"keras", "tensorflow"} & set(sys.modules)))
    return result
