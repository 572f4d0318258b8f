"""`ddr evaluate`; its measures describe themselves."""

from __future__ import annotations

import dataclasses
import functools
import time
from typing import TYPE_CHECKING, Any

import click

from ddr_cli.arguments import (
    JUDGE,
    backend_option,
    numbers_option,
    overwrite_option,
    run_argument,
    seed_option,
    split_option,
    store_argument,
)
from ddr_cli.backend import select_backend, without_backend
from ddr_cli.progress import Counter, duration

if TYPE_CHECKING:
    from keras_ddr.evaluation import Measure


class _Command(click.Command):
    """Adds what the measures say of themselves, once help or options are asked for."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Options of the command and of the measures, and --help."""
        *own, about = super().get_params(ctx)
        return [*own, *_options(), about]

    def format_help_text(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the docstring, then a line for each measure."""
        super().format_help_text(ctx, formatter)
        with formatter.section("Measures"):
            formatter.write_dl([(name, m.about) for name, m in _measures().items()])


def _measures() -> dict[str, type[Measure]]:
    """The measures there are, without loading Keras."""
    without_backend()
    from keras_ddr.evaluation import METRICS

    return METRICS


@functools.cache
def _options() -> list[click.Option]:
    """Option --only, and those of the measures themselves."""
    only = click.Option(
        ["--only", "metrics"],
        type=click.Choice(list(_measures())),
        multiple=True,
        help="Measure this; may be given several times.  [default: everything; clips "
        "with --judge]",
    )
    return [only, *(option for *_, option in _options_of_measures())]


@functools.cache
def _options_of_measures() -> list[tuple[str, str, click.Option]]:
    """Name of a measure, its field, and the option that sets this field."""
    found = []
    for name, measure in _measures().items():
        for field in dataclasses.fields(measure):  # type: ignore[arg-type]
            about = field.metadata
            if "flag" not in about:
                continue
            several, kind = about["several"], click.IntRange(1)
            metavar, default = None, f"  [default: {field.default}]"
            if several:
                kind, metavar, default = str, "LABEL", ""
            elif about["file"]:
                kind, metavar, default = JUDGE, "FILE", ""
            option = click.Option(
                [about["flag"], f"{name}_{field.name}"],
                type=kind,
                multiple=several,
                metavar=metavar,
                help=about["help"] + default,
            )
            found.append((name, field.name, option))
    return found


@click.command(
    cls=_Command, short_help="What f and z know, and how well dynamics carry over."
)
@run_argument
@store_argument
@split_option(None, "Split to score on.", whole=False)
@split_option(
    "train",
    "Split that probes, forests and the judge are fitted on.",
    name="--fit-split",
    whole=False,
)
@click.option(
    "--sequences",
    type=click.IntRange(2),
    help="Most sequences of each split, chosen at random.  [default: all]",
)
@click.option(
    "--noise",
    type=click.FloatRange(0),
    help="Measure codes as ddr encode --noise writes them.  [default: 0]",
)
@numbers_option
@overwrite_option
@seed_option("Of every choice made here.")
@backend_option
def evaluate(
    run: str,
    store: str,
    out: str | None,
    overwrite: bool,
    noise: float | None,
    backend: str | None,
    metrics: tuple[str, ...],
    **options: Any,
) -> None:
    """Measure what RUN has learned, on sequences of STORE.

    z~ is z as a standard score under p(z|f). f should know what stays in a sequence,
    z~ what changes. What the labels of STORE do not allow is left out and said.
    """
    measures = _chosen(metrics, options)
    select_backend(backend)
    from ddr_cli.opening import open_both
    from keras_ddr import evaluation
    from keras_ddr.files import check_output_path, write_json

    if out is not None:
        check_output_path(out, [".json"], overwrite)
    model, opened, _ = open_both(run, store)
    stages = Stages({measure.name: measure.counted for measure in measures})
    report = evaluation.evaluate(
        model,
        opened,
        metrics=measures,
        encoding=None if noise is None else {"noise": noise},
        progress=stages,
        **options,
    )
    stages.end()
    try:
        if out is not None:
            write_json(out, report.to_dict())
    finally:  # also on a full disk
        click.echo(f"\n{report.table()}")
    if out is not None:
        click.echo(f"\nmetrics: {out}")


def _chosen(metrics: tuple[str, ...], options: dict[str, Any]) -> list[Measure]:
    """Measures with the options that are theirs, which are taken out of `options`."""
    known = _measures()
    chosen = metrics or [name for name in known if known[name].by_default]
    given: dict[str, dict[str, Any]] = {name: {} for name in chosen}
    for name, field, option in _options_of_measures():
        value = options.pop(f"{name}_{field}")
        if not value:
            continue
        if name not in given and metrics:
            flag = option.opts[0]
            raise click.UsageError(f"{flag} is of the {name}; add --only {name}")
        given.setdefault(name, {})[field] = value
    return [known[name](**fields) for name, fields in given.items()]


class MeasureName(click.ParamType):
    """Name of a measure; which there are is looked up when one is given."""

    name = "measure"

    def convert(self, value: Any, *context: Any) -> Any:
        """Refuse a name that is not known."""
        return click.Choice(list(_measures())).convert(value, *context)


class Stages:
    """Says what is measured, and how long it took; called with (stage, done, all)."""

    def __init__(self, counted: dict[str, str]) -> None:
        self._counted = {"encoding": "sequences encoded", **counted}
        self._name: str | None = None
        self._counter: Counter | None = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Begin with a stage, or show that `done` of `total` are done in it."""
        if stage != self._name:
            self.end()
            self._name, self._began = stage, time.monotonic()
            counted = self._counted[stage]
            self._counter = Counter(counted) if counted else None
        if total and self._counter is not None:
            self._counter(done, total)

    def end(self) -> None:
        """The stage is over."""
        if self._name not in (None, "encoding"):
            click.echo(f"{self._name}  {duration(time.monotonic() - self._began)}")
        self._name = None
