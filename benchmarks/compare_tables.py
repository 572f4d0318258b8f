"""Tables and figures of the bench, from the rows of its CSV and nothing else."""

import statistics
from collections import defaultdict

import study_tables
from study_tables import column, probes, ratio, thousandths

__all__ = ["MEASURES", "write"]


def _mean_of(*names):
    """Mean of columns of those that a row has."""

    def measure(row):
        values = [float(row[name]) for name in names if row.get(name)]
        return statistics.fmean(values) if values else None

    return measure


# Heading, of what row, decimals, and which direction is good (0 for neither).
MEASURES = {
    "f: attributes": (probes("sequence", "f", "accuracy"), 3, 1),
    "z̃: attributes": (probes("sequence", "z~", "accuracy"), 3, -1),
    "z̃: pose": (
        _mean_of("probes.pose.z~.value", "probes.action.z~.value"),
        3,
        1,
    ),
    "z̃: angles, places": (probes("frame", "z~", "r2"), 3, 1),
    "f: angles, places": (probes("frame", "f", "r2"), 3, -1),
    "reconstruction": (thousandths("swap.reconstruction"), 2, -1),
    "swap z": (thousandths("swap.swap"), 2, -1),
    "swap z̃": (thousandths("swap.swap_prior"), 2, -1),
    "ratio": (ratio, 2, -1),
    "EER f": (column("verification.f.value"), 3, -1),
    "EER z̃": (column("verification.z~.value"), 3, 1),
    "PSNR": (column("prediction.best.psnr.value"), 2, 1),
    "SSIM": (column("prediction.best.ssim.value"), 3, 1),
    "ms a step": (column("milliseconds a step"), 0, 0),
    "steps": (column("steps"), 0, 0),
    "MB": (column("megabytes"), 0, 0),
    "weights": (column("weights"), 0, 0),
}
"""Heading → (function of a row, decimals, 1 where more is better and −1 where less)."""

_SHOWN = ("f: attributes", "z̃: attributes", "z̃: pose", "reconstruction", "swap z̃")
_NOTES = """\
Means over seeds ± the standard deviation between them (none with one seed); the CSV has
more, with intervals. Every system trained for the same seconds on one thread. Columns
are those of the study: f should know the attributes and z̃ should not; z̃ should know
the pose; squared errors, in thousandths, are of the same frames. A dash stands for what
a system has no codes for."""


def write(rows, plan, folder, split):
    """Write the tables and a figure for each data set; a list of their paths.

    Args:
        rows: List of dicts of texts, as in the CSV.
        plan: The list of systems and data.
        folder: `pathlib.Path` to write to.
        split: Name of the split, and of the files.
    """
    from keras_ddr.files import replacing
    from keras_ddr.visualization.style import save_figure

    by_data = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_data[row["data"]][row["system"]].append(row)
    lines, paths = [f"# The bench, split {split}", "", _NOTES], []
    for data, part in plan["data"].items():
        found = by_data.get(data, {})
        named = {f"`{s}`": found[s] for s in plan["systems"] if s in found}
        if not named:
            continue
        lines += ["", f"## {part['about'].capitalize()}", ""]
        lines += study_tables.table(named, MEASURES)
        figure = study_tables.figure_of(named, MEASURES, _shown(named))
        paths.append(save_figure(figure, folder / f"{split}-{data}.png"))
    failed = [row for row in rows if row["failed"]]
    if failed:
        lines += ["", "## Failed", ""]
        lines += [
            f"- {r['data']} `{r['system']}` {r['seed']}: {r['failed']}" for r in failed
        ]
    page = folder / f"{split}.md"
    with replacing(page) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [page, *paths]


def _shown(named):
    """Measures of the figure: those that some system has."""
    rows = [row for found in named.values() for row in found]
    return [h for h in _SHOWN if any(MEASURES[h][0](row) is not None for row in rows)]
