"""Examples with short trainings, for a build that only checks that they run."""

import pathlib
import re
import shutil

# How the examples say it, and what is said instead.
_TRAININGS = {
    r"\bsteps, epochs = \d+, \d+": "steps, epochs = 2, 2",
    r'"--steps", \d+, "--save-every", \d+': '"--steps", 20, "--save-every", 10',
}


def shortened(examples, folder):
    """Copy the folder of examples to another, with hardly any training."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(examples, folder, ignore=shutil.ignore_patterns("out"))
    found = dict.fromkeys(_TRAININGS, 0)
    for path in pathlib.Path(folder).glob("plot_*.py"):
        code = path.read_text(encoding="utf-8")
        for pattern, short in _TRAININGS.items():
            code, number = re.subn(pattern, short, code)
            found[pattern] += number
        path.write_text(code, encoding="utf-8")
    missing = [pattern for pattern, number in found.items() if not number]
    if missing:
        raise ValueError(f"{examples}: no training is written as {missing}")
    return str(folder)
