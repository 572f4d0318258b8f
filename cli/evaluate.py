"""`ddr evaluate`."""

import click

from ddr_cli.backend import backend_option, select_backend
from ddr_cli.progress import Counter

__all__ = ["evaluate"]


@click.command(short_help="What f and z know, and how well dynamics carry over.")
@click.argument("run", type=click.Path())
@click.argument("store", type=click.Path())
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    default="test",
    show_default=True,
    help="Split to score on.",
)
@click.option(
    "--fit-split",
    type=click.Choice(["train", "val", "test"]),
    default="train",
    show_default=True,
    help="Split that the probes are fitted on.",
)
@click.option(
    "--sequences",
    type=click.IntRange(2),
    help="Most sequences of each split, chosen at random.  [default: all]",
)
@click.option(
    "--out",
    metavar="FILE.json",
    type=click.Path(),
    help="Write all numbers to this file.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of every choice made here.",
)
@backend_option
def evaluate(run, store, split, fit_split, sequences, out, seed, backend):
    """Measure what the codes of RUN know of the labels of STORE.

    Each label is read from f, from z and from z~ (z as a standard score under p(z|f)),
    beside chance: f should know what stays in a sequence, z what changes. Where the
    store shows every identity in every pose, f of one sequence is decoded with z of
    another and compared with the true frame.
    """
    select_backend(backend)
    from ddr_cli.opening import open_both
    from keras_ddr import evaluation
    from keras_ddr.files import check_output_path, write_json

    if out is not None:
        check_output_path(out, [".json"])
    if split == fit_split:
        raise click.UsageError(
            "--split and --fit-split are the same; probes would be scored on what they "
            "were fitted on"
        )
    model, store, _ = open_both(run, store)
    report = evaluation.evaluate(
        model,
        store,
        split,
        fit_split,
        sequences,
        seed,
        progress=Counter("sequences encoded"),
    )
    click.echo(report.table())
    if out is not None:
        write_json(out, report.to_dict())
        click.echo(f"\nmetrics: {out}")
