"""`ddr compare`."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import click

from ddr_cli.arguments import (
    JUDGE,
    MODEL,
    WITH_WEIGHTS,
    backend_option,
    numbers_option,
    overwrite_option,
    seed_option,
    split_option,
    store_argument,
)
from ddr_cli.backend import select_backend
from ddr_cli.evaluate import MeasureName, Stages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from keras_ddr.evaluation import Measure


@click.command(short_help="Runs side by side: one table, one figure, what differs.")
@click.argument("runs", nargs=-1, required=True, type=MODEL)
@store_argument
@split_option(None, "Split to score on.", whole=False)
@click.option(
    "--only",
    "metrics",
    type=MeasureName(),
    multiple=True,
    help="Compare by this measure of ddr evaluate; may be given several times.  "
    "[default: all but the judge]",
)
@click.option(
    "--judge",
    metavar="FILE",
    type=JUDGE,
    help="Judge of clips that ddr judge made, to compare by clips, too.",
)
@click.option(
    "--sequences",
    type=click.IntRange(2),
    help="Most sequences of each split, chosen at random.  [default: all]",
)
@click.option(
    "--figure",
    metavar="FILE",
    type=click.Path(),
    help="Draw the table (.png, .pdf or .svg).",
)
@numbers_option
@overwrite_option
@seed_option("Of every choice made here.")
@backend_option
def compare(
    runs: tuple[str, ...],
    store: str,
    metrics: tuple[str, ...],
    judge: str | None,
    figure: str | None,
    out: str | None,
    overwrite: bool,
    backend: str | None,
    **options: Any,
) -> None:
    """Measure several RUNs on the same sequences of STORE, and say how they differ.

    \b
      ddr compare RUN RUN STORE --figure comparison.png

    Measures are those of ddr evaluate.
    """  # noqa: D301
    if len(set(runs)) < len(runs):
        raise click.UsageError("a RUN is given twice; give each once")
    select_backend(backend)
    from ddr_cli.opening import open_both
    from keras_ddr import evaluation
    from keras_ddr.files import check_output_path, write_json

    if out is not None:
        check_output_path(out, [".json"], overwrite)
    if figure is not None:
        check_output_path(figure, [".png", ".pdf", ".svg"], overwrite)
    models = {}
    for name, run in _named(runs).items():
        models[name], opened, _ = open_both(run, store)
    known = evaluation.METRICS
    usual = [n for n, measure in known.items() if measure.by_default and n != "judge"]
    chosen: list[str | Measure] = [name for name in metrics or usual if name != "clips"]
    if judge is not None or "clips" in metrics:
        chosen.append(evaluation.Clips(judge=judge))
    progress = _Progress(known.values())
    found = evaluation.compare(models, opened, progress, metrics=chosen, **options)
    progress.end()
    if out is not None:
        write_json(out, found.to_dict())
    if figure is not None:
        from keras_ddr.visualization import plot_comparison, save_figure

        save_figure(plot_comparison(found.headlines), figure)
    click.echo("\n".join([*_settings(_named(runs)), "", found.table()]))
    for name, path in (("figure", figure), ("numbers", out)):
        if path is not None:
            click.echo(f"{name}: {path}")


def _named(runs: Iterable[str]) -> dict[str, str]:
    """Runs by the names of their folders, or by their paths where these are alike."""
    paths = [pathlib.Path(run) for run in runs]
    short = {path.name for path in paths}
    if len(short) < len(paths):
        return {str(path): str(path) for path in paths}
    return {path.name: str(path) for path in paths}


def _settings(runs: Mapping[str, str]) -> list[str]:
    """Lines on the settings in which runs differ."""
    from keras_ddr.runs import Run, differences

    folders = {
        name: Run.open(path)
        for name, path in runs.items()
        if path not in WITH_WEIGHTS and pathlib.Path(path).is_dir()
    }
    if len(folders) < 2:
        return []
    found = differences(folders)
    if not found:
        return ["The runs have the same settings."]
    lines = ["Settings that differ:"]
    width = max(map(len, found))
    for setting, values in found.items():
        texts = (f"{name} {value or 'none'}" for name, value in values.items())
        lines.append(f"  {setting:<{width}}  {', '.join(texts)}")
    return lines


class _Progress:
    """Says what is measured of which model; called as `compare` does."""

    def __init__(self, measures: Iterable[type[Measure]]) -> None:
        self._counted = {measure.name: measure.counted for measure in measures}
        self._name: str | None = None
        self._stages: Stages | None = None

    def __call__(self, name: str, stage: str, done: int, total: int) -> None:
        """Begin with a stage of a model, or show that `done` of `total` are done."""
        if name != self._name or self._stages is None:
            self.end()
            click.echo(f"{name}:")
            self._name, self._stages = name, Stages(self._counted)
        self._stages(stage, done, total)

    def end(self) -> None:
        """The last stage is over."""
        if self._stages is not None:
            self._stages.end()
