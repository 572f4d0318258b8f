"""`ddr plot`: figures of a trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ddr_cli.arguments import (
    backend_option,
    joined,
    out_argument,
    run_argument,
    seed_option,
    sequences_options,
    split_option,
    store_argument,
)
from ddr_cli.backend import select_backend
from ddr_cli.errors import Failure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from keras_ddr.data.store import FrameStore
    from keras_ddr.model import DDR

__all__ = ["plot"]


@click.group(short_help="Figures of a trained model.")
def plot() -> None:
    """Draw figures of a trained model as .png, .pdf or .svg.

    RUN is a folder made by ddr fit, or a .keras file; STORE a frame store.
    """


_plot_arguments = joined(run_argument, store_argument, out_argument)
_plot_options = joined(seed_option("Of every random choice."), backend_option)


@plot.command(short_help="Original frames over their reconstructions.")
@_plot_arguments
@split_option()
@sequences_options(4, " for the pairs of rows")
@click.option(
    "--frames",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="Frames of each sequence, evenly spread.",
)
@_plot_options
def reconstruction(
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
    """Draw original frames over their reconstructions into OUT."""
    model, store, split = _open(run, store, out, split, backend)
    from keras_ddr.visualization import plot_reconstruction

    figure = plot_reconstruction(
        model, store, list(names) or sequences, frames, split=split, seed=seed
    )
    _save(figure, out)


@plot.command(short_help="The plane of z, decoded for several identities.")
@_plot_arguments
@split_option()
@sequences_options(4, " for the identities")
@click.option(
    "--grid",
    type=click.IntRange(2),
    default=9,
    show_default=True,
    help="Values of each component of z.",
)
@click.option(
    "--components",
    type=click.IntRange(1),
    nargs=2,
    default=(1, 2),
    show_default=True,
    help="The two components of z that vary, counted from 1; the others stay at the "
    "mean of p(z|f).",
)
@click.option(
    "--code",
    type=click.Choice(["standardized", "raw"]),
    default="standardized",
    show_default=True,
    help="The same standard scores of z under p(z|f) for all, or the same z.",
)
@_plot_options
def manifold(
    run: str,
    store: str,
    out: str,
    sequences: int,
    names: tuple[str, ...],
    grid: int,
    components: tuple[int, int],
    code: str,
    split: str | None,
    seed: int,
    backend: str | None,
) -> None:
    """Draw decoded grids of z for several identities side by side into OUT.

    The grid spans quantiles 2 % to 98 % of p(z|f).
    """
    model, store, split = _open(run, store, out, split, backend)
    _check_components(max(2, model.dynamic_dim), *components)
    from keras_ddr.visualization import plot_manifold
    from keras_ddr.visualization.selection import encode_shown, pick_sequences

    shown = pick_sequences(
        store, list(names) or sequences, split, model.frames_per_set, seed
    )
    encoded = [encode_shown(model, store, sequence, [0]) for sequence in shown]
    figure = plot_manifold(
        model,
        [codes for _, codes, _ in encoded],
        grid,
        components=[component - 1 for component in components],
        standardized=code == "standardized",
        names=[sequence.name for sequence in shown],
        originals=[frames[rows[0]] for frames, _, rows in encoded],
    )
    _save(figure, out)


@plot.command(short_help="A component of z over a sequence, with its extremes.")
@_plot_arguments
@split_option()
@click.option(
    "--sequence",
    "name",
    metavar="NAME",
    help="Name of the sequence.  [default: one at random]",
)
@click.option(
    "--component",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Component of z, from 1.",
)
@click.option(
    "--frames",
    type=click.IntRange(0),
    default=8,
    show_default=True,
    help="Most extremes whose frames are shown.",
)
@click.option(
    "--smooth",
    type=click.FloatRange(0),
    default=2.0,
    show_default=True,
    help="Standard deviation of the smoothing, in frames.",
)
@click.option(
    "--prominence",
    type=click.FloatRange(0),
    default=0.5,
    show_default=True,
    help="Least prominence of an extreme, in standard scores of z under p(z|f).",
)
@_plot_options
def dynamics(
    run: str,
    store: str,
    out: str,
    name: str | None,
    component: int,
    frames: int,
    smooth: float,
    prominence: float,
    split: str | None,
    seed: int,
    backend: str | None,
) -> None:
    """Draw a component of z over one sequence into OUT, frames at its extremes."""
    model, store, split = _open(run, store, out, split, backend)
    from keras_ddr.visualization import plot_dynamics
    from keras_ddr.visualization.selection import pick_sequences

    _check_components(model.dynamic_dim, component)
    if name is None:
        name = pick_sequences(store, 1, split, model.frames_per_set, seed)[0].name
    figure = plot_dynamics(
        model,
        store,
        name,
        component - 1,
        frames,
        width=smooth,
        prominence=prominence,
    )
    _save(figure, out)


@plot.command(short_help="Identities of some sequences with dynamics of others.")
@_plot_arguments
@split_option()
@sequences_options(5, " for the rows, which give f")
@click.option(
    "--dynamics",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="Number of columns: frames of other sequences, which give z.",
)
@click.option(
    "--align",
    type=click.Choice(["none", "prior"]),
    default="prior",
    show_default=True,
    help="Carry z over as its standard score under p(z|f), or take it as it is (none).",
)
@_plot_options
def swap(
    run: str,
    store: str,
    out: str,
    sequences: int,
    names: tuple[str, ...],
    dynamics: int,
    align: str,
    split: str | None,
    seed: int,
    backend: str | None,
) -> None:
    """Draw f of each row with z of each column into OUT, originals at the border."""
    model, store, split = _open(run, store, out, split, backend)
    from keras_ddr.visualization import plot_swap

    figure = plot_swap(
        model,
        store,
        list(names) or sequences,
        dynamics,
        align=align,
        split=split,
        seed=seed,
    )
    _save(figure, out)


@plot.command(short_help="Frames that the model draws by itself.")
@_plot_arguments
@click.option(
    "--sequences",
    type=click.IntRange(1),
    default=6,
    show_default=True,
    help="Draws of f: the rows.",
)
@click.option(
    "--frames",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="Draws of z for each: the columns.",
)
@_plot_options
def samples(
    run: str,
    store: str,
    out: str,
    sequences: int,
    frames: int,
    seed: int,
    backend: str | None,
) -> None:
    """Draw new identities and their frames from the priors into OUT."""
    model, _, _ = _open(run, store, out, None, backend)
    from keras_ddr.visualization import plot_samples

    _save(plot_samples(model, sequences, frames, seed), out)


@plot.command(short_help="Scatter of z, coloured by a label.")
@_plot_arguments
@split_option()
@sequences_options(8, " for the points")
@click.option(
    "--label",
    metavar="NAME",
    help="Label that gives the colours, or sequence, person, source or split.  "
    "[default: the first label of frames]",
)
@click.option(
    "--code",
    type=click.Choice(["standardized", "raw"]),
    default="standardized",
    show_default=True,
    help="z as a standard score under p(z|f), or as it is.",
)
@click.option(
    "--components",
    type=click.IntRange(1),
    nargs=2,
    default=(1, 2),
    show_default=True,
    help="The two components of z, counted from 1.",
)
@click.option(
    "--frames",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help="Most frames of each sequence, evenly spread.",
)
@_plot_options
def latent(
    run: str,
    store: str,
    out: str,
    sequences: int,
    names: tuple[str, ...],
    label: str | None,
    code: str,
    components: tuple[int, int],
    frames: int,
    split: str | None,
    seed: int,
    backend: str | None,
) -> None:
    """Draw the dynamic codes of frames as points into OUT."""
    model, store, split = _open(run, store, out, split, backend)
    _check_components(max(2, model.dynamic_dim), *components)
    from keras_ddr.visualization import plot_latent

    figure = plot_latent(
        model,
        store,
        label,
        list(names) or sequences,
        frames,
        components=[component - 1 for component in components],
        standardized=code == "standardized",
        split=split,
        seed=seed,
    )
    _save(figure, out)


def _open(
    run: str, store: str, out: str, split: str | None, backend: str | None
) -> tuple[DDR, FrameStore, str]:
    """Model, store and split; the cheapest checks come first."""
    select_backend(backend)
    from ddr_cli.opening import open_both
    from keras_ddr.visualization.style import check_figure_path

    check_figure_path(out)
    return open_both(run, store, split)


def _check_components(most: int, *components: int) -> None:
    for component in components:
        if component > most:
            raise Failure(
                f"component {component}: z has {most}, counted from 1; choose another"
            )


def _save(figure: Figure, out: str) -> None:
    from keras_ddr.visualization import save_figure

    click.echo(save_figure(figure, out))
