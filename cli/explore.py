"""`ddr explore`."""

import click

from ddr_cli.arguments import MODEL, STORE
from ddr_cli.backend import backend_option, select_backend

__all__ = ["explore"]


@click.command(short_help="A page to play with: z, identities and sequences.")
@click.argument("run", type=MODEL)
@click.argument("store", type=STORE)
@click.argument("out", type=click.Path())
@click.option(
    "--sequences",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="Number of sequences.",
)
@click.option(
    "--sequence",
    "names",
    multiple=True,
    metavar="NAME",
    help="Name of a sequence; may be given several times, in place of a number.",
)
@click.option(
    "--frames",
    type=click.IntRange(2),
    default=150,
    show_default=True,
    help="Most frames of each sequence, evenly spread.",
)
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test", "all"]),
    help="Split that sequences are taken from.  [default: test, else val, else train]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="Of the random choice of sequences.",
)
@backend_option
def explore(
    run: str,
    store: str,
    out: str,
    sequences: int,
    names: tuple[str, ...],
    frames: int,
    split: str | None,
    seed: int,
    backend: str | None,
) -> None:
    """Write the page OUT.html, which opens in any browser and needs no network.

    RUN is a folder made by ddr fit, or a .keras file; STORE a frame store. The page
    holds frames of the sequences: pass it on only if you may pass on these.
    """
    select_backend(backend)
    from ddr_cli.opening import open_both
    from keras_ddr.files import check_output_path
    from keras_ddr.visualization.explorer import (
        SUFFIXES,
        explorer_page,
        save_explorer,
    )

    check_output_path(out, SUFFIXES)
    model, store, split = open_both(run, store, split)
    page = explorer_page(
        model, store, list(names) or sequences, frames, split=split, seed=seed
    )
    click.echo(save_explorer(page, out))
