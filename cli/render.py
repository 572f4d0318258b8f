"""`ddr render`: films of a trained model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ddr_cli.arguments import (
    Decorator,
    code_option,
    components_option,
    counted_from_0,
    seed_option,
    sequences_options,
    split_option,
    whole_option,
)
from ddr_cli.opening import writing_command
from ddr_cli.progress import Counter

if TYPE_CHECKING:
    from keras_ddr.sequence_model import SequenceModel

_OF_FILM = ("frames", "start", "fps", "scale", "pixels", "lossless", "overwrite")


@click.group(short_help="Films of a trained model.")
def render() -> None:
    """Write a film of a trained model as .mp4, .webm, .gif or .webp.

    RUN is a folder made by ddr fit, or a .keras file; STORE a frame store. An .mp4 is
    H.264 where PyAV is installed (pip install av), else VP9, which browsers play; .webm
    needs PyAV. A .gif or .webp repeats for ever.
    """


def _film_command(
    short_help: str, frames: int, *options: Decorator, part: bool = True
) -> Callable[[Callable[..., Any]], click.Command]:
    """A command that writes OUT; `part`: of a sequence, which has frames and a rate."""
    start = whole_option("--start", 0, "First frame of the sequence, from 0.", least=0)
    rate = "that of the source, else 25" if part else "25"
    return writing_command(
        short_help,
        "keras_ddr.media.moving",
        *options,
        whole_option("--frames", frames, "Most frames of the film.", least=2),
        *([start] if part else []),
        click.option(
            "--fps",
            type=click.FloatRange(0.1),
            help=f"Frames a second.  [default: {rate}]",
        ),
        click.option(
            "--scale",
            type=click.IntRange(1),
            help="Times that frames are enlarged.  [default: to about 256 pixels]",
        ),
        click.option(
            "--pixels",
            is_flag=True,
            help="Enlarge pixels to squares, as for sprites, and smooth nothing.",
        ),
        click.option("--lossless", is_flag=True, help="Lose nothing; .webp only."),
        split_option(),
        seed_option("Of the random choice of sequences."),
        group=render,
    )


def _write(function: Callable[..., Any], *of: Any, **options: Any) -> str:
    """Have a function write a film; the line on what it wrote."""
    from keras_ddr.visualization import Film

    said: list[str] = []
    given = {name: options.pop(name) for name in _OF_FILM if name in options}
    film = Film(**given, progress=Counter("frames drawn"), report=said.append)
    function(*of, **options, film=film)
    return said[-1]


@_film_command(
    "A sequence beside its reconstruction.",
    300,
    click.option(
        "--sequence",
        metavar="NAME",
        help="Name of the sequence.  [default: one at random]",
    ),
)
def reconstruction(model: SequenceModel, *given: Any, **options: Any) -> str:
    """Write a film of a sequence beside its reconstruction into OUT."""
    from keras_ddr.visualization import render_reconstruction

    return _write(render_reconstruction, model, *given, **options)


@_film_command(
    "One's looks with another's motion.",
    300,
    click.option(
        "--static",
        metavar="NAME",
        multiple=True,
        help="Name of a sequence that gives its looks, f; may be given several times.  "
        "[default: one at random]",
    ),
    click.option(
        "--dynamic",
        metavar="NAME",
        help="Name of the sequence that gives its motion, z.  [default: one at random]",
    ),
    code_option("Carry z over as its standard score under p(z|f), or as it is."),
    click.option(
        "--moving",
        is_flag=True,
        help="Show looks in their own motion, and not as a still.",
    ),
)
def swap(
    model: SequenceModel,
    *given: Any,
    static: tuple[str, ...],
    code: str,
    **options: Any,
) -> str:
    """Write a film of A, of B, and of A with the motion of B into OUT."""
    from keras_ddr.visualization import render_swap

    options["standardized"] = code == "standardized"
    return _write(render_swap, model, *given, static=static or None, **options)


@_film_command(
    "Several identities that walk over the plane of z together.",
    200,
    sequences_options(3, " for the identities"),
    components_option(
        "The two components of z that vary, counted from 1.  [default: those that "
        "change pictures most]",
        None,
    ),
    part=False,
)
def walk(
    model: SequenceModel,
    *given: Any,
    components: tuple[int, int] | None,
    **options: Any,
) -> str:
    """Write a film of identities that take the same poses together into OUT.

    A map beside them shows the walk: to and fro between quantiles 5 % and 95 % of the
    frames of train. It ends where it began.
    """
    from keras_ddr.visualization import render_walk

    if components:
        options["components"] = counted_from_0(components, max(2, model.dynamic_dim))
    return _write(render_walk, model, *given, **options)
