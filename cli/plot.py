"""`ddr plot`: figures of a trained model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ddr_cli.arguments import (
    Decorator,
    choice_option,
    code_option,
    components_option,
    counted_from_0,
    prominence_option,
    seed_option,
    sequences_options,
    smooth_option,
    split_option,
    whole_option,
)
from ddr_cli.opening import writing_command

if TYPE_CHECKING:
    import pathlib

    from matplotlib.figure import Figure

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.sequence_model import SequenceModel


@click.group(short_help="Figures of a trained model.")
def plot() -> None:
    """Draw figures of a trained model as .png, .pdf or .svg.

    RUN is a folder made by ddr fit, or a .keras file; STORE a frame store.
    """


def _figure(
    short_help: str, *options: Decorator, split: bool = True
) -> Callable[[Callable[..., Figure]], click.Command]:
    """A command that saves to OUT the figure that a function draws of RUN and STORE."""

    def decorate(draw: Callable[..., Figure]) -> click.Command:
        @writing_command(
            short_help,
            "keras_ddr.visualization.style",
            *([split_option()] if split else []),
            *options,
            seed_option("Of every random choice."),
            group=plot,
        )
        @functools.wraps(draw)
        def save(
            model: SequenceModel,
            store: FrameStore,
            out: str,
            *,
            overwrite: bool,
            **given: Any,
        ) -> pathlib.Path:
            from keras_ddr.visualization import save_figure

            return save_figure(draw(model, store, **given), out, overwrite=overwrite)

        return save

    return decorate


def _plane(model: SequenceModel, options: dict[str, Any]) -> dict[str, Any]:
    """Options --components and --code as Python knows them."""
    components, code = options.pop("components"), options.pop("code")
    components = counted_from_0(components, max(2, model.dynamic_dim))
    standardized = code == "standardized"
    return {**options, "components": components, "standardized": standardized}


@_figure(
    "Original frames over their reconstructions.",
    sequences_options(4, " for the pairs of rows"),
    whole_option("--frames", 8, "Frames of each sequence, evenly spread."),
)
def reconstruction(model: SequenceModel, store: FrameStore, **options: Any) -> Figure:
    """Draw original frames over their reconstructions into OUT."""
    from keras_ddr.visualization import plot_reconstruction

    return plot_reconstruction(model, store, **options)


def _number(flag: str, help: str, default: int) -> Decorator:
    """A whole number that the model knows."""
    about = f"{help}  [default: those of its training, or {default}]"
    return click.option(flag, type=click.IntRange(1), help=about)


@_figure(
    "True frames over those predicted from the first.",
    sequences_options(3, " for the blocks of rows"),
    _number("--past", "Frames that are given.", 5),
    _number("--future", "Frames that are predicted.", 10),
    whole_option("--best-of", 20, "Predictions; the best and two others are shown."),
)
def prediction(
    model: SequenceModel, store: FrameStore, *, best_of: int, **options: Any
) -> Figure:
    """Draw true frames over predicted ones, for a model that predicts, into OUT."""
    from keras_ddr.visualization import plot_prediction

    return plot_prediction(model, store, draws=best_of, **options)


@_figure(
    "The plane of z, decoded for several identities.",
    sequences_options(4, " for the identities"),
    whole_option("--grid", 9, "Values of each component of z.", least=2),
    components_option(
        "The two components of z that vary, counted from 1; the others stay where they "
        "are likely with these."
    ),
    code_option("The same standard scores of z under p(z|f) for all, or the same z."),
)
def manifold(
    model: SequenceModel,
    store: FrameStore,
    *,
    sequences: int | list[str],
    split: str,
    seed: int,
    **options: Any,
) -> Figure:
    """Draw decoded grids of z for several identities side by side into OUT.

    The grid spans quantiles 2 % to 98 % of the frames of train, rows given their
    column, or of p(z|f) for a model without densities and with --code raw.
    """
    from keras_ddr.visualization.selection import pick_sequences

    options = _plane(model, options)
    chosen = pick_sequences(store, sequences, split, model.frames_per_set, seed)
    return draw_manifold(model, store, chosen, **options)


def draw_manifold(
    model: SequenceModel, store: FrameStore, chosen: list[Sequence], **options: Any
) -> Figure:
    """The plane of z for the identities of sequences, with their first frames."""
    from keras_ddr.visualization import plot_manifold
    from keras_ddr.visualization.selection import encode_shown

    shown = encode_shown(model, store, [(s, [0]) for s in chosen])
    return plot_manifold(
        model,
        [identity.static for identity in shown],
        names=[sequence.name for sequence in chosen],
        originals=[identity.frames[0] for identity in shown],
        **options,
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
    [component] = counted_from_0((component,), model.dynamic_dim)
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
        "--column",
        "columns",
        type=(str, click.IntRange(0)),
        multiple=True,
        metavar="NAME FRAME",
        help="Name of a sequence and number of a frame in it, from 0, that give z of a "
        "column; may be given several times, in place of a number.",
    ),
    choice_option(
        "--align",
        ["none", "prior"],
        "prior",
        "Carry z over as its standard score under p(z|f), or take it as it is (none).",
    ),
)
def swap(
    model: SequenceModel,
    store: FrameStore,
    *,
    sequences: Any,
    columns: tuple[tuple[str, int], ...],
    **options: Any,
) -> Figure:
    """Draw f of each row with z of each column into OUT, originals at the border."""
    from keras_ddr.visualization import plot_swap

    if columns:
        options["dynamics"] = columns
    return plot_swap(model, store, sequences, **options)


@_figure(
    "Frames that the model draws by itself.",
    whole_option("--sequences", 6, "Draws of f: the rows."),
    whole_option("--frames", 8, "Draws of z for each: the columns."),
    click.option(
        "--density",
        type=click.Choice(["fitted", "prior"]),
        help="Draw f and z from where codes of train are, or from p(f) and p(z|f).  "
        "[default: fitted, where the model finds codes]",
    ),
    split=False,
)
def samples(
    model: SequenceModel, store: FrameStore, *, density: str | None, **options: int
) -> Figure:
    """Draw new identities and their frames into OUT."""
    from keras_ddr.visualization import plot_samples

    density = density or ("prior" if model.lacks_codes else "fitted")
    if density == "fitted" and model.densities is None:
        from keras_ddr.densities import fit_densities

        fit_densities(model, store)
    return plot_samples(model, density=density, **options)


@_figure(
    "Scatter of z, coloured by a label.",
    sequences_options(8, " for the points"),
    click.option(
        "--label",
        metavar="NAME",
        help="Label that gives the colours, or sequence, person, source or split.  "
        "[default: the first label of frames]",
    ),
    code_option("z as a standard score under p(z|f), or as it is."),
    components_option("The two components of z, counted from 1."),
    whole_option("--frames", 200, "Most frames of each sequence, evenly spread."),
)
def latent(model: SequenceModel, store: FrameStore, **options: Any) -> Figure:
    """Draw the dynamic codes of frames as points into OUT."""
    from keras_ddr.visualization import plot_latent

    return plot_latent(model, store, **_plane(model, options))
