"""Draws what results and study say, each in one picture, from their own numbers.

python docs/_ext/messages.py FOLDER
"""

import csv
import pathlib
import re
import sys

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_BLUE, _ORANGE = "#0072b2", "#d55e00"
# Setting of the study -> the same in words.
_STEPS = {
    "vae": "frames one by one, no sets",
    "unordered_dsvae": "sets, but the same p(z) for everybody",
    "paper": "the paper: sets of 3, and p(z | f)",
    "mean-n_6": "sets of 6",
    "mean-n_6-kl_z_2": "sets of 6, KL of z × 2 (small)",
}


def _style():
    import matplotlib

    from keras_ddr.visualization.style import STYLE

    return matplotlib.rc_context({**STYLE, "font.size": 8.0, "axes.titlesize": 8.0})


def _figure(width, height):
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained")


def tables(page):
    """Scores of reading labels from codes, of every table of a page that has them.

    Returns:
        List of dicts from a label to its numbers for "chance", "f" and "z̃".
    """
    found = []
    text = page.read_text(encoding="utf-8").replace("−", "-")
    for table in re.findall(
        r"^\| read from .*?(?=\n\n)", text, re.DOTALL | re.MULTILINE
    ):
        head, _, *rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
        if len(head) == 5:
            named = [row for row in rows if "merged" not in row[0]]
            numbers = [map(float, row[1:]) for row in named]
            found.append(
                {
                    row[0]: dict(zip(head[1:], of_row, strict=True))
                    for row, of_row in zip(named, numbers, strict=True)
                }
            )
    return found


def who_and_what(page):
    """Dots on a line for each label: chance, what f knows and what z̃ knows."""
    names = "sprites that training never saw", "puppets that training never saw"
    known = dict(zip(names, tables(page), strict=True))
    with _style():
        figure = _figure(4.2, 4.0)
        sizes = [len(labels) for labels in known.values()]
        panels = figure.subplots(len(known), 1, sharex=True, height_ratios=sizes)
        for panel, (name, labels) in zip(panels, known.items(), strict=True):
            for place, numbers in enumerate(labels.values()):
                panel.plot([0, 1], [place] * 2, color="#dddddd", linewidth=1, zorder=0)
                dots = (
                    ("chance", "chance", "|", "#222222"),
                    ("f", "f, of a sequence", "o", _BLUE),
                    ("z̃", "z̃, of a frame", "s", _ORANGE),
                )
                for code, shown, marker, colour in dots:
                    panel.plot(
                        numbers[code],
                        place,
                        marker,
                        color=colour,
                        markersize=6,
                        label=None if place else shown,
                        linestyle="none",
                    )
            panel.set_yticks(range(len(labels)), [_plain(label) for label in labels])
            panel.set_ylim(len(labels) - 0.5, -0.5)
            panel.set_title(name, loc="left", fontweight="bold")
            panel.spines[:].set_visible(False)
            panel.tick_params(length=0)
        panels[-1].set_xlabel("accuracy of reading it from the code; R² of angles")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=3, frameon=False)
    return figure


def _plain(label):
    return re.sub(r" \((mean of the four|skin)\)", "", label).replace(
        "skin, hair, shirt, trousers", "four colours"
    )


def ladder(rows):
    """Bars for what each step brings: the error of swaps, and the pose read from z̃.

    Args:
        rows: Dict from "sprites" and "puppets" to the rows of their CSV.
    """
    sys.path.insert(0, str(_ROOT / "benchmarks"))
    import study_tables

    columns = {
        "swap z̃": "error of swaps, ×1000 (less is better)",
        "z̃: pose": "pose read from z̃ (more is better)",
    }
    with _style():
        figure = _figure(4.6, 4.2)
        grid = figure.subplots(len(rows), len(columns), sharex="col", sharey=True)
        for across, (data, of_data) in zip(grid, rows.items(), strict=True):
            usual = [row for row in of_data if row["encoding"] == study_tables.DEFAULT]
            for panel, (heading, words) in zip(across, columns.items(), strict=True):
                measure = study_tables.MEASURES[heading][0]
                for place, setting in enumerate(_STEPS):
                    of_setting = [row for row in usual if row["setting"] == setting]
                    mean, _ = study_tables.summary(of_setting, measure)
                    last = setting == list(_STEPS)[-1]
                    panel.barh(place, mean, 0.4, color=_ORANGE if last else _BLUE)
                    panel.text(mean, place, f" {mean:.2f}", va="center", fontsize=7)
                panel.spines[["top", "right", "bottom", "left"]].set_visible(False)
                panel.set_xticks([])
                panel.margins(x=0.15)
                if panel in grid[-1]:
                    panel.set_xlabel(words)
            for place, words in enumerate(_STEPS.values()):
                across[0].text(0, place - 0.28, words, va="bottom", fontsize=7)
            across[0].set_ylim(len(_STEPS) - 0.6, -0.8)
            across[0].set_yticks([])
            across[0].set_title(data, loc="left", fontweight="bold")
    return figure


def draw(folder):
    """Write `who-and-what.png` and `ladder.png` into a folder."""
    from keras_ddr.visualization.style import save_figure

    folder = pathlib.Path(folder)
    folder.mkdir(exist_ok=True)
    rows = {}
    for data in ("sprites", "puppets"):
        file = _ROOT / "benchmarks" / "study" / data / "val.csv"
        with file.open(newline="", encoding="utf-8") as lines:
            rows[data] = list(csv.DictReader(lines))
    save_figure(ladder(rows), folder / "ladder.png")
    page = _ROOT / "docs" / "results.md"
    save_figure(who_and_what(page), folder / "who-and-what.png")


def setup(app):
    """Draw once a build."""
    app.connect("builder-inited", lambda app: draw(pathlib.Path(app.srcdir) / "study"))
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    draw(sys.argv[1])
