"""`ddr explore`."""

import click

from ddr_cli.arguments import (
    backend_option,
    out_argument,
    run_argument,
    seed_option,
    sequences_options,
    split_option,
    store_argument,
    whole_option,
)
from ddr_cli.backend import select_backend

__all__ = ["explore"]


@click.command(short_help="A page to play with: z, identities and sequences.")
@run_argument
@store_argument
@out_argument
@sequences_options(8)
@whole_option("--frames", 150, "Most frames of each sequence, evenly spread.", least=2)
@split_option()
@seed_option("Of the random choice of sequences.")
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
