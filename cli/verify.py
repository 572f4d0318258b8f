"""`ddr verify`."""

import pathlib

import click

from ddr_cli.arguments import STORE_OR_RUN
from ddr_cli.backend import select_backend, without_backend
from ddr_cli.errors import one_line
from ddr_cli.progress import Counter


@click.command(short_help="Whether a store or run is what was written, byte by byte.")
@click.argument("path", type=STORE_OR_RUN)
@click.pass_context
def verify(context: click.Context, path: str) -> None:
    """Read all files at PATH and compare them with its checksums.

    PATH is a frame store, a folder of stores, a run folder or a .keras file. Every
    damaged file is named in a line, and the exit code is 1 then.
    """
    progress = Counter("MB read")
    place = pathlib.Path(path)
    if place.is_file() or any(
        (place / name).exists() for name in ("config.json", "checkpoint")
    ):
        select_backend()
        from keras_ddr import runs

        problems = runs.verify(path, progress)
    else:
        without_backend()
        from keras_ddr.data.store import verify_store

        problems = verify_store(path, progress)
    progress.clear()
    for problem in problems:
        click.echo(f"ddr: error: {one_line(problem)}", err=True)
    if problems:
        context.exit(1)
    click.echo(f"{one_line(path)}: ok")
