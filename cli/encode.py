"""`ddr encode`."""

import click

from ddr_cli.arguments import (
    backend_option,
    number_option,
    out_argument,
    run_argument,
    seed_option,
    split_option,
    store_argument,
)
from ddr_cli.backend import select_backend
from ddr_cli.progress import Counter

__all__ = ["encode"]


@click.command(short_help="f and z of all sequences and frames, as .npz or .csv.")
@run_argument
@store_argument
@out_argument
@split_option("all")
@click.option(
    "--sets",
    type=click.IntRange(1),
    help="Random sets of frames that f of a sequence is taken from.  [default: that of "
    "the model, 16 of DDR]",
)
@seed_option("Of the choice of these sets, and of --noise.")
@number_option(
    "--noise",
    0.0,
    "Random noise on z in standard deviations of its posterior, against appearance "
    "that can be guessed from z; 1 draws z from the posterior.",
)
@backend_option
def encode(
    run: str,
    store: str,
    out: str,
    split: str,
    sets: int | None,
    seed: int,
    noise: float,
    backend: str | None,
) -> None:
    """Write the codes of the sequences of STORE to OUT.npz or OUT.csv.

    Means and variances of f and z, z as a standard score under p(z|f), the frame's
    number and time in its source, and all labels. The .csv has a row a frame; the .npz
    is read with numpy.load.
    """
    select_backend(backend)
    from ddr_cli.opening import open_both
    from keras_ddr.encoding import SUFFIXES, write_codes
    from keras_ddr.files import check_output_path

    check_output_path(out, SUFFIXES)
    model, store, split = open_both(run, store, split)
    options = {"seed": seed, "noise": noise}
    if sets is not None:
        options["sets"] = sets
    progress = Counter("sequences encoded")
    click.echo(write_codes(out, model, store, split, progress=progress, **options))
