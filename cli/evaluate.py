"""`ddr evaluate`."""

import time
from typing import Any

import click

from ddr_cli.arguments import (
    backend_option,
    run_argument,
    seed_option,
    split_option,
    store_argument,
)
from ddr_cli.backend import select_backend
from ddr_cli.progress import Counter, duration

__all__ = ["evaluate"]

_METRICS = (
    "likelihood",
    "reconstruction",
    "probes",
    "swap",
    "verification",
    "axis",
    "judge",
)
_FITTED = ("probes", "axis", "judge")  # on frames of the other split
_COUNTED = {
    "encoding": "sequences encoded",
    "likelihood": "log-likelihoods found",
    "judge": "steps of the judge",
}


@click.command(short_help="What f and z know, and how well dynamics carry over.")
@run_argument
@store_argument
@split_option("test", "Split to score on.", whole=False)
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
    "--only",
    "metrics",
    type=click.Choice(_METRICS),
    multiple=True,
    help="Measure this; may be given several times.  [default: everything]",
)
@click.option(
    "--attribute",
    "attributes",
    metavar="LABEL",
    multiple=True,
    help="Sequence label that the judge names; may be given several times.  "
    "[default: all categorical ones]",
)
@click.option(
    "--action",
    metavar="LABEL",
    multiple=True,
    help="Frame label that the judge names; several are joined.  [default: animation "
    "with direction, or pose]",
)
@click.option(
    "--judge-steps",
    type=click.IntRange(1),
    help="Training steps of the judge.  [default: 1000]",
)
@click.option(
    "--noise",
    type=click.FloatRange(0),
    help="Measure codes as ddr encode --noise writes them.  [default: 0]",
)
@click.option(
    "--out",
    metavar="FILE.json",
    type=click.Path(),
    help="Write all numbers to this file.",
)
@seed_option("Of every choice made here.")
@backend_option
def evaluate(
    run: str,
    store: str,
    split: str,
    fit_split: str,
    sequences: int | None,
    metrics: tuple[str, ...],
    attributes: tuple[str, ...],
    action: tuple[str, ...],
    judge_steps: int | None,
    noise: float | None,
    out: str | None,
    seed: int,
    backend: str | None,
) -> None:
    """Measure what RUN has learned, on sequences of STORE.

    \b
    likelihood      ELBO and its parts, importance-sampled log p(x)
    reconstruction  mean squared error and SSIM
    probes          each label read from f, z and z~, beside chance
    swap            f of one sequence with z of another, against the true frame
    verification    equal error rate: is it the same person?
    axis            MIG and DCI: one component of z for each factor?
    judge           what a classifier of real frames sees in frames with f or z
                    drawn anew, and the MSD score

    z~ is z as a standard score under p(z|f). f should know what stays in a sequence,
    z~ what changes. What the labels of STORE do not allow is left out and said.
    """  # noqa: D301
    select_backend(backend)
    from ddr_cli.opening import open_both
    from keras_ddr import evaluation
    from keras_ddr.files import check_output_path, write_json

    if out is not None:
        check_output_path(out, [".json"])
    fitted = [name for name in metrics or _FITTED if name in _FITTED]
    if split == fit_split and fitted:
        raise click.UsageError(
            f"--split and --fit-split are the same; {', '.join(fitted)} would be "
            "scored on what they were fitted on (--only reconstruction would not)"
        )
    if metrics and "judge" not in metrics:
        for option, value in (
            ("--attribute", attributes),
            ("--action", action),
            ("--judge-steps", judge_steps),
        ):
            if value:
                raise click.UsageError(f"{option} is of the judge; add --only judge")
    model, store, _ = open_both(run, store)
    stages = _Stages()
    options: dict[str, Any] = {}
    if judge_steps is not None:
        options["judge_steps"] = judge_steps
    if noise is not None:
        options["encoding"] = {"noise": noise}
    report = evaluation.evaluate(
        model,
        store,
        split,
        fit_split,
        sequences,
        seed,
        metrics=metrics or "all",
        attributes=attributes or None,
        action=action or None,
        progress=stages.progress,
        stage=stages.begin,
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


class _Stages:
    """Says what is measured, and how long it took."""

    def __init__(self) -> None:
        self._name: str | None = None
        self._counter: Counter | None = None

    def begin(self, name: str) -> None:
        """Begin with a stage of this name; the one before has ended."""
        self.end()
        self._name, self._began = name, time.monotonic()
        self._counter = Counter(_COUNTED[name]) if name in _COUNTED else None

    def progress(self, done: int, total: int) -> None:
        """Show that `done` of `total` are done in this stage."""
        if self._counter is not None:
            self._counter(done, total)

    def end(self) -> None:
        """The stage is over."""
        if self._name not in (None, "encoding"):
            click.echo(f"{self._name}  {duration(time.monotonic() - self._began)}")
        self._name = None
