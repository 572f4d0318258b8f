"""Draws the figures of the study from its CSV before the pages are read."""

import csv
import json
import pathlib
import sys
import tempfile

_STUDY = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "study"


def draw(app):
    """Write `study/DATA-SPLIT-settings.png` and its like beside the pages."""
    sys.path.insert(0, str(_STUDY.parent))
    import study_tables

    plan = json.loads((_STUDY / "settings.json").read_text(encoding="utf-8"))
    folder = pathlib.Path(app.srcdir) / "study"
    folder.mkdir(exist_ok=True)
    for file in sorted(_STUDY.glob("*/*.csv")):
        with file.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        with tempfile.TemporaryDirectory() as made:
            made = pathlib.Path(made)
            _, *pictures = study_tables.write(rows, plan, made, file.stem)
            for picture in pictures:
                target = folder / f"{file.parent.name}-{picture.name}"
                target.write_bytes(picture.read_bytes())


def setup(app):
    """Draw once a build."""
    app.connect("builder-inited", draw)
    return {"parallel_read_safe": True}
