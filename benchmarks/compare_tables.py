"""Tables and figures of the bench, from the rows of its CSV and nothing else."""

import statistics
from collections import defaultdict

import study_tables
from study_tables import column, probes, ratio, thousandths

__all__ = ["GROUPS", "MEASURES", "write"]


def _judged(kind, what):
    """The accuracy of the action, or the mean of the attributes, of a kind of clips."""

    def measure(row):
        action = row.get("clips.action")
        start = f"clips.rows.{kind}.accuracy."
        found = {
            name.removeprefix(start): float(text)
            for name, text in row.items()
            if name.startswith(start) and text
        }
        of_action = found.pop(action, None)
        if what == "action":
            return of_action
        return statistics.fmean(found.values()) if found else None

    return measure


# Heading, of what row, decimals, and which direction is good (0 for neither).
GROUPS = {
    "Seen by the judge of clips": {
        "real: action": (_judged("real", "action"), 3, 1),
        "real: attributes": (_judged("real", "attributes"), 3, 1),
        "f and z kept: action": (_judged("reconstructed", "action"), 3, 1),
        "attributes": (_judged("reconstructed", "attributes"), 3, 1),
        "f of another: action": (_judged("static_other", "action"), 3, 1),
        "f fitted: action": (_judged("static_fitted", "action"), 3, 1),
        "f ~ p(f): action": (_judged("static_prior", "action"), 3, 1),
        "IS": (column("clips.rows.static_prior.entropies.inception_score"), 2, 1),
        "z ~ p(z|f): attributes": (_judged("dynamic_prior", "attributes"), 3, 1),
    },
    "Codes": {
        "f: attributes": (probes("sequence", "f", "accuracy"), 3, 1),
        "z̃: attributes": (probes("sequence", "z~", "accuracy"), 3, -1),
        "z̃: pose": (column("probes.pose.z~.value"), 3, 1),
        "z̃: action": (column("probes.action.z~.value"), 3, 1),
        "z̃: angles, places": (probes("frame", "z~", "r2"), 3, 1),
        "f: angles, places": (probes("frame", "f", "r2"), 3, -1),
        "reconstruction": (thousandths("swap.reconstruction"), 2, -1),
        "swap z": (thousandths("swap.swap"), 2, -1),
        "swap z̃": (thousandths("swap.swap_prior"), 2, -1),
        "ratio": (ratio, 2, -1),
        "EER f": (column("verification.f.value"), 3, -1),
        "EER z̃": (column("verification.z~.value"), 3, 1),
    },
    "Prediction": {
        "PSNR": (column("prediction.psnr.best"), 2, 1),
        "last frame": (column("prediction.psnr.last_frame"), 2, 0),
        "SSIM": (column("prediction.ssim.best"), 3, 1),
        "last frame: SSIM": (column("prediction.ssim.last_frame"), 3, 0),
    },
    "Cost": {
        "steps": (column("steps"), 0, 0),
        "ms a step": (column("milliseconds a step"), 0, 0),
        "MB": (column("megabytes"), 0, 0),
        "weights": (column("weights"), 0, 0),
    },
}
"""Table → heading → (function of a row, decimals, 1 where more is better or −1)."""
MEASURES = {name: part for group in GROUPS.values() for name, part in group.items()}

_SHOWN = (
    *("f of another: action", "f: attributes", "z̃: attributes", "z̃: pose"),
    *("reconstruction", "swap z̃"),
)
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
        rows_of = [row for part in named.values() for row in part]
        if not named:
            continue
        lines += ["", f"## {part['about'].capitalize()}", ""]
        for group, measures in GROUPS.items():
            if any(
                m(row) is not None for row in rows_of for m, *_ in measures.values()
            ):
                lines += [f"### {group}", "", *study_tables.table(named, measures), ""]
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
