"""`ddr confounds`."""

from __future__ import annotations

from typing import Any

import click

from ddr_cli.arguments import (
    backend_option,
    numbers_option,
    overwrite_option,
    run_argument,
    seed_option,
    split_option,
    store_argument,
)
from ddr_cli.backend import select_backend
from ddr_cli.progress import Counter


@click.command(short_help="Do codes give away the session, camera or batch?")
@run_argument
@store_argument
@click.option(
    "--label",
    metavar="NAME",
    required=True,
    help="Label of sequences, such as session, camera or batch.",
)
@split_option("all", "Split to look at.")
@click.option(
    "--sequences",
    type=click.IntRange(2),
    help="Most sequences, chosen at random.  [default: all]",
)
@click.option(
    "--noise",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Read z also with this noise of ddr encode; 0 leaves that out.",
)
@numbers_option
@overwrite_option
@seed_option("Of every choice made here.")
@backend_option
def confounds(
    run: str,
    store: str,
    label: str,
    out: str | None,
    overwrite: bool,
    backend: str | None,
    **options: Any,
) -> None:
    """Say whether f and z~ of RUN give away how sequences of STORE were recorded.

    \b
      ddr confounds RUN STORE --label camera

    Probes read the label from codes of people that they were not fitted on, with and
    without noise on z, and a sentence says what to do.
    """  # noqa: D301
    select_backend(backend)
    from ddr_cli.opening import open_both
    from keras_ddr import evaluation
    from keras_ddr.files import check_output_path, write_json

    if out is not None:
        check_output_path(out, [".json"], overwrite)
    model, opened, _ = open_both(run, store)
    found = evaluation.confounds(
        model, opened, label, progress=Counter("sequences encoded"), **options
    )
    try:
        if out is not None:
            write_json(out, found.to_dict())
    finally:  # also on a full disk
        click.echo(f"\n{found.table()}")
    if out is not None:
        click.echo(f"\nnumbers: {out}")
