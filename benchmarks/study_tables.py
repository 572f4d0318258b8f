"""Tables and figures of the study, from the rows of its CSV and nothing else."""

import math
import statistics
from collections import defaultdict

import numpy as np

__all__ = ["MEASURES", "column", "figure_of", "probes", "summary", "table", "write"]

DEFAULT = "default"


def _number(row, name):
    text = row.get(name, "")
    return float(text) if text else None


def probes(scope, code, metric):
    """Mean over the labels of a scope of what is read from a code."""

    def measure(row):
        labels = [
            name.split(".")[1]
            for name, text in row.items()
            if name.startswith("probes.") and name.endswith(".scope") and text == scope
        ]
        values = [
            _number(row, f"probes.{label}.{code}.value")
            for label in labels
            if row.get(f"probes.{label}.{code}.metric") == metric
        ]
        return statistics.fmean(values) if values else None

    return measure


def column(name):
    return lambda row: _number(row, name)


def thousandths(name):
    def measure(row):
        value = _number(row, name)
        return None if value is None else 1000 * value

    return measure


def ratio(row):
    swapped = _number(row, "swap.swap_prior")
    own = _number(row, "swap.reconstruction")
    return swapped / own if swapped is not None and own else None


def _sequence_elbo(row):
    """Nats a frame of T frames with one f, from the ELBO of sets of N."""
    names = ("likelihood.elbo", "likelihood.kl_static")
    elbo, static = (_number(row, name) for name in names)
    if elbo is None or row["model.likelihood"] != "bernoulli":
        return None
    share = int(row["model.frames_per_set"]) / _LENGTHS[row["data"]]
    return elbo + static * (1 - share)


_LENGTHS = {"puppets": 96, "sprites": 178}
# Heading, of what row, decimals, and which direction is good (0 for neither).
MEASURES = {
    "f: attributes": (probes("sequence", "f", "accuracy"), 3, 1),
    "z̃: attributes": (probes("sequence", "z~", "accuracy"), 3, -1),
    "z̃: pose": (column("probes.pose.z~.value"), 3, 1),
    "z̃: angles": (probes("frame", "z~", "r2"), 3, 1),
    "reconstruction": (thousandths("swap.reconstruction"), 2, -1),
    "swap z": (thousandths("swap.swap"), 2, -1),
    "swap z̃": (thousandths("swap.swap_prior"), 2, -1),
    "ratio": (ratio, 2, -1),
    "EER z̃": (column("verification.z~.value"), 3, 1),
    "MSD": (column("judge.msd.mean"), 3, 1),
    "ELBO": (_sequence_elbo, 1, 1),
    "KL f": (column("likelihood.kl_static"), 1, 0),
    "KL z": (column("likelihood.kl_dynamic"), 1, 0),
}
"""Heading → (function of a row, decimals, 1 where more is better and −1 where less)."""

# As many columns as fit a page; the CSV has the others.
_TABLED = (
    *("f: attributes", "z̃: attributes", "z̃: pose"),
    *("reconstruction", "swap z", "swap z̃", "ratio"),
)
_SHOWN = (
    "f: attributes",
    "z̃: attributes",
    "z̃: pose",
    "reconstruction",
    "swap z̃",
    "ratio",
)
# A factor is a distance here, so that a bad setting does not hide the others.
_LOGARITHMIC = ("reconstruction", "swap z̃")
_NOTES = """\
Means over seeds ± the standard deviation between them (none with one seed). f should
know the attributes, and z̃, the standard score of z under p(z | f), should not; z̃
should know the pose. The mean squared errors, in thousandths, are of the same frames:
reconstruction with f and z of A; swap with f of A and z of B in A's pose, as it is or
carried over as z̃. The ratio is that of swap z̃ to reconstruction. The CSV has more:
intervals, angles, equal error rates, MSD scores, the ELBO and its parts."""


def summary(rows, measure):
    """Mean and standard deviation over rows, each `None` where there is none."""
    values = [measure(row) for row in rows]
    values = [value for value in values if value is not None and math.isfinite(value)]
    if not values:
        return None, None
    spread = statistics.stdev(values) if len(values) > 1 else None
    return statistics.fmean(values), spread


def write(rows, plan, folder, split):
    """Write the tables and the figures of a split; a list of their paths.

    Args:
        rows: List of dicts of texts, as in the CSV.
        plan: The list of settings.
        folder: `pathlib.Path` to write to.
        split: Name of the split, and of the files.
    """
    from keras_ddr.files import replacing
    from keras_ddr.visualization.style import save_figure

    of_settings, of_ways = defaultdict(list), defaultdict(list)
    for row in rows:
        if row["encoding"] == DEFAULT:
            of_settings[row["setting"]].append(row)
        of_ways[row["setting"], row["encoding"]].append(row)
    order = [name for name in plan["settings"] if name in of_settings]
    groups = dict.fromkeys(plan["settings"][name]["group"] for name in order)
    lines = [f"# The study on {rows[0]['data']}, split {split}", "", _NOTES]
    base = order[0]
    shown = {heading: MEASURES[heading] for heading in _TABLED}
    for group in groups:
        named = {
            f"`{name}`": of_settings[name]
            for name in order
            if name == base or plan["settings"][name]["group"] == group
        }
        lines += ["", f"## {group[0].upper()}{group[1:]}", "", *table(named, shown)]
    # Those that were encoded in more than one way.
    several = [n for n in order if sum(name == n for name, _ in of_ways) > 1]
    ways = {
        name: {
            f"`{way}`": of_ways[name, way]
            for way in (DEFAULT, *plan["encodings"])
            if (name, way) in of_ways
        }
        for name in several
    }
    for name, named in ways.items():
        lines += ["", f"## Encoding, `{name}`", "", *table(named, shown)]
    failed = [row for row in rows if row["failed"]]
    if failed:
        lines += ["", "## Failed", ""]
        lines += [f"- `{r['setting']}` {r['seed']}: {r['failed']}" for r in failed]
    page = folder / f"{split}.md"
    with replacing(page) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    paths = [page]
    named = {name: of_settings[name] for name in order}
    paths.append(save_figure(figure_of(named), folder / f"{split}-settings.png"))
    if ways:
        named = {
            f"{name}, {way.strip('`')}": found
            for name, of_way in ways.items()
            for way, found in of_way.items()
        }
        paths.append(save_figure(figure_of(named), folder / f"{split}-encoding.png"))
    return paths


def table(named, measures=MEASURES):
    """Markdown lines of a table, a row for each name; empty columns are left out."""
    cells = {}
    for heading, (measure, digits, _) in measures.items():
        texts = [_cell(*summary(rows, measure), digits) for rows in named.values()]
        if any(texts):
            cells[heading] = texts
    header = ["", "seeds", *cells]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for i, (name, rows) in enumerate(named.items()):
        number = sum(not row["failed"] for row in rows)
        row = [name, str(number), *(texts[i] or "–" for texts in cells.values())]
        lines.append("| " + " | ".join(row) + " |")
    return lines


def _cell(mean, spread, digits):
    if mean is None:
        return ""
    text = _plain(mean, digits)
    # With spaces that no line ends at.
    return text if spread is None else f"{text}\xa0±\xa0{_plain(spread, digits)}"


def _plain(value, digits):
    """Without the zero before the point."""
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def figure_of(named, measures=MEASURES, shown=_SHOWN):
    """Dots for the seeds, a bar for their mean, a line for the first row's mean."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    from keras_ddr.visualization.style import FADED, INK, STYLE

    with matplotlib.rc_context(STYLE):
        height = 0.7 + 0.15 * len(named)
        figure = Figure((1.8 + 0.8 * len(shown), height))
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        places = np.arange(len(named))
        for panel, heading in zip(panels, shown, strict=True):
            measure, _, good = measures[heading]
            for place, rows in zip(places, named.values(), strict=True):
                values = [v for row in rows if (v := measure(row)) is not None]
                if not values:
                    continue
                mean = statistics.fmean(values)
                if place == 0:
                    panel.axvline(mean, color=FADED, linewidth=0.5, linestyle=":")
                panel.plot(
                    values, [place] * len(values), ".", color=FADED, markersize=3
                )
                panel.plot(mean, place, "|", color=INK, markersize=6)
            arrow = {1: " →", -1: " ←", 0: ""}[good]
            panel.set_title(heading + arrow)
            panel.tick_params(width=0.5, length=2)
            panel.grid(axis="y", linewidth=0.2)
            if heading in _LOGARITHMIC:
                panel.set_xscale("log")
                panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
                panel.xaxis.set_minor_formatter(NullFormatter())
        panels[0].set_yticks(places, list(named))
        panels[0].set_ylim(len(named) - 0.4, -0.6)
        figure.tight_layout()
    return figure
