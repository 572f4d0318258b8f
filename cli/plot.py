"""`ddr plot`: figures of a trained model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ddr_cli.arguments import (
    Decorator,
    backend_option,
    joined,
    out_argument,
    prominence_option,
    run_argument,
    seed_option,
    sequences_options,
    smooth_option,
    split_option,
    store_argument,
    whole_option,
)
from ddr_cli.backend import select_backend
from ddr_cli.errors import Failure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from keras_ddr.data.store import FrameStore
    from keras_ddr.sequence_model import SequenceModel

__all__ = ["plot"]


@click.group(short_help="Figures of a trained model.")
def plot() -> None:
    """Draw figures of a trained model as .png, .pdf or .svg.

    RUN is a folder made by ddr fit, or a .keras file; STORE a frame store.
    """


def _figure(
    short_help: str, *options: Decorator, split: bool = True
) -> Callable[[Callable[..., Figure]], click.Command]:
    """A command that draws a figure of RUN and STORE and saves it to OUT.

    The function gets the model, the store and the options by name: `split` as asked for
    or the first that holds a sequence, `sequences` as a number or names.
    """

    def decorate(draw: Callable[..., Figure]) -> click.Command:
        @plot.command(draw.__name__, short_help=short_help)
        @joined(run_argument, store_argument, out_argument)
        @joined(*([split_option()] if split else []), *options)
        @joined(seed_option("Of every random choice."), backend_option)
        @functools.wraps(draw)
        def command(
            run: str, store: str, out: str, backend: str | None, **given: Any
        ) -> None:
            select_backend(backend)
            from ddr_cli.opening import open_both
            from keras_ddr.visualization import save_figure
            from keras_ddr.visualization.style import check_figure_path

            check_figure_path(out)  # before the work is done
            model, opened, found = open_both(run, store, given.get("split"))
            if split:
                given["split"] = found
            names = given.pop("names", None)
            if names:
                given["sequences"] = list(names)
            click.echo(save_figure(draw(model, opened, **given), out))

        return command

    return decorate


def _components(help: str) -> Decorator:
    return click.option(
        "--components",
        type=click.IntRange(1),
        nargs=2,
        default=(1, 2),
        show_default=True,
        help=help,
    )


def _code(help: str) -> Decorator:
    return click.option(
        "--code",
        type=click.Choice(["standardized", "raw"]),
        default="standardized",
        show_default=True,
        help=help,
    )


def _counted_from_0(components: tuple[int, ...], most: int) -> list[int]:
    """Components as Python counts them."""
    for component in components:
        if component > most:
            raise Failure(
                f"component {component}: z has {most}, counted from 1; choose another"
            )
    return [component - 1 for component in components]


@_figure(
    "Original frames over their reconstructions.",
    sequences_options(4, " for the pairs of rows"),
    whole_option("--frames", 8, "Frames of each sequence, evenly spread."),
)
def reconstruction(model: SequenceModel, store: FrameStore, **options: Any) -> Figure:
    """Draw original frames over their reconstructions into OUT."""
    from keras_ddr.visualization import plot_reconstruction

    return plot_reconstruction(model, store, **options)


@_figure(
    "The plane of z, decoded for several identities.",
    sequences_options(4, " for the identities"),
    whole_option("--grid", 9, "Values of each component of z.", least=2),
    _components(
        "The two components of z that vary, counted from 1; the others stay at the "
        "mean of p(z|f)."
    ),
    _code("The same standard scores of z under p(z|f) for all, or the same z."),
)
def manifold(
    model: SequenceModel,
    store: FrameStore,
    *,
    sequences: int | list[str],
    grid: int,
    components: tuple[int, int],
    code: str,
    split: str,
    seed: int,
) -> Figure:
    """Draw decoded grids of z for several identities side by side into OUT.

    The grid spans quantiles 2 % to 98 % of p(z|f).
    """
    components = _counted_from_0(components, max(2, model.dynamic_dim))
    from keras_ddr.visualization import plot_manifold
    from keras_ddr.visualization.selection import encode_shown, pick_sequences

    chosen = pick_sequences(store, sequences, split, model.frames_per_set, seed)
    shown = list(encode_shown(model, store, [(s, [0]) for s in chosen]))
    return plot_manifold(
        model,
        [identity.static for identity in shown],
        grid,
        components=components,
        standardized=code == "standardized",
        names=[sequence.name for sequence in chosen],
        originals=[identity.frames[0] for identity in shown],
    )


@_figure(
    "A component of z over a sequence, with its extremes.",
    click.option(
        "--sequence",
        "name",
        metavar="NAME",
        help="Name of the sequence.  [default: one at random]",
    ),
    whole_option("--component", 1, "Component of z, from 1."),
    whole_option("--frames", 8, "Most extremes whose frames are shown.", least=0),
    smooth_option,
    prominence_option,
)
def dynamics(
    model: SequenceModel,
    store: FrameStore,
    *,
    name: str | None,
    component: int,
    frames: int,
    split: str,
    seed: int,
    **options: float,
) -> Figure:
    """Draw a component of z over one sequence into OUT, frames at its extremes."""
    [component] = _counted_from_0((component,), model.dynamic_dim)
    from keras_ddr.visualization import plot_dynamics
    from keras_ddr.visualization.selection import pick_sequences

    if name is None:
        name = pick_sequences(store, 1, split, model.frames_per_set, seed)[0].name
    return plot_dynamics(model, store, name, component, frames, **options)


@_figure(
    "Identities of some sequences with dynamics of others.",
    sequences_options(5, " for the rows, which give f"),
    whole_option(
        "--dynamics", 8, "Number of columns: frames of other sequences, which give z."
    ),
    click.option(
        "--align",
        type=click.Choice(["none", "prior"]),
        default="prior",
        show_default=True,
        help="Carry z over as its standard score under p(z|f), or take it as it is "
        "(none).",
    ),
)
def swap(
    model: SequenceModel,
    store: FrameStore,
    *,
    sequences: int | list[str],
    dynamics: int,
    **options: Any,
) -> Figure:
    """Draw f of each row with z of each column into OUT, originals at the border."""
    from keras_ddr.visualization import plot_swap

    return plot_swap(model, store, sequences, dynamics, **options)


@_figure(
    "Frames that the model draws by itself.",
    whole_option("--sequences", 6, "Draws of f: the rows."),
    whole_option("--frames", 8, "Draws of z for each: the columns."),
    split=False,
)
def samples(model: SequenceModel, store: FrameStore, **options: int) -> Figure:
    """Draw new identities and their frames from the priors into OUT."""
    from keras_ddr.visualization import plot_samples

    return plot_samples(model, **options)


@_figure(
    "Scatter of z, coloured by a label.",
    sequences_options(8, " for the points"),
    click.option(
        "--label",
        metavar="NAME",
        help="Label that gives the colours, or sequence, person, source or split.  "
        "[default: the first label of frames]",
    ),
    _code("z as a standard score under p(z|f), or as it is."),
    _components("The two components of z, counted from 1."),
    whole_option("--frames", 200, "Most frames of each sequence, evenly spread."),
)
def latent(
    model: SequenceModel,
    store: FrameStore,
    *,
    code: str,
    components: tuple[int, int],
    **options: Any,
) -> Figure:
    """Draw the dynamic codes of frames as points into OUT."""
    from keras_ddr.visualization import plot_latent

    return plot_latent(
        model,
        store,
        components=_counted_from_0(components, max(2, model.dynamic_dim)),
        standardized=code == "standardized",
        **options,
    )
