"""`ddr preprocess` for what is drawn or composed."""

import inspect
from types import ModuleType
from typing import Any

import click

from ddr_cli.arguments import Decorator, overwrite_option, seed_option
from ddr_cli.backend import select_backend
from ddr_cli.preprocess_options import (
    dataset,
    from_files,
    report,
    was_given,
)
from ddr_cli.progress import Counter

_puppets, _moving = dataset("puppets"), dataset("puppets_motion")
_sprites, _sprites9 = dataset("sprites"), dataset("sprites9")
_mmnist = dataset("moving_mnist")


def _number(
    source: ModuleType, flag: str, help: str, least: int, most: int | None = None
) -> Decorator:
    """An option with the default of `prepare`."""
    default = inspect.signature(source.prepare).parameters[flag[2:]].default
    return click.option(
        flag,
        type=click.IntRange(least, most),
        default=default,
        show_default=default is not None,
        help=help,
    )


def _make(source: ModuleType, counted: str, *paths: str, **given: Any) -> None:
    """Make a store with progress, and say what it holds; `None` is the default."""
    parameters = inspect.signature(source.prepare).parameters
    if "splits" in parameters:
        given["splits"] = dataset("splits").Splits(seed=given.pop("seed"))
    given = {name: value for name, value in given.items() if value is not None}
    report(source.prepare(*paths, **given, progress=Counter(counted)))


@click.command(short_help="Drawn puppets with known attributes and poses.")
@click.argument("store", type=click.Path())
@_number(_puppets, "--identities", "Number of puppets; each is drawn in every pose.", 3)
@_number(_puppets, "--size", "Height and width in pixels, a multiple of 16.", 16)
@click.option("--motion", is_flag=True, help="Puppets that move, 25 frames a second.")
@_number(_moving, "--length", "Frames of a sequence, with --motion.", 1)
@_number(_moving, "--clips", "Sequences of each puppet, with --motion.", 1)
@seed_option()
@overwrite_option
def puppets(store: str, motion: bool, length: int, clips: int, **given: Any) -> None:
    """Draw puppets into STORE: four colours a puppet, poses by arm and leg angle.

    Every puppet is drawn in every pose of a grid, in no order in time; with --motion
    arms and legs follow smooth paths instead, other ones in each sequence.
    """
    if motion:
        about = {"length": length, "clips": clips, **given}
        return _make(_moving, "sequences drawn", store, **about)
    for name in ("length", "clips"):
        if was_given(name):
            raise click.UsageError(
                f"--{name}: changes nothing without --motion; add it, or leave "
                f"--{name} out"
            )
    return _make(_puppets, "puppets drawn", store, **given)


@click.command(short_help="Sprites: LPC sheets, or exports of the LPC generator.")
@click.argument("source", type=click.Path())
@click.argument("store", type=click.Path())
@_number(
    _sprites,
    "--identities",
    "Number of sprites, of the 6 × 6 × 6 × 6 combinations of body, legs, torso and "
    "hair; each has 178 frames.",
    3,
)
@seed_option()
@overwrite_option
def sprites(source: str, store: str, **given: Any) -> None:
    """Compose sprites into STORE from SOURCE, or cut out those that are there.

    SOURCE is a clone of jrconway3/Universal-LPC-spritesheet, or a folder of characters
    that the LPC character generator exported: whole sheets, or archives by animation or
    by frame, unpacked, a folder each. Its art is CC-BY-SA 3.0
    or GPL 3.0 with credits: mind that when you pass on sheets or a store.
    """
    _make(_sprites, "sprites composed", store, source, **given)


@click.command(short_help="Sprites as published for comparison: clips, 9 actions.")
@click.argument("source", type=click.Path())
@click.argument("store", type=click.Path())
@click.option(
    "--sequences",
    type=click.Choice(["clips", "characters"]),
    default="clips",
    show_default=True,
    help="Whether a sequence is a clip of 8 frames, or the 9 clips of a character.",
)
@_number(
    _sprites9,
    "--identities",
    "Number of characters, of 1296; fewer are the first ones of each split.",
    3,
)
@_number(_sprites9, "--val", "How many of the 1000 characters to train validate.", 0)
@overwrite_option
def sprites9(source: str, store: str, **given: Any) -> None:
    """Compose the clips that published systems are compared by into STORE.

    1296 characters walk, cast spells and slash, seen from the front, left and right: 8
    frames each. The split is the published one, but for val. SOURCE is a clone of
    jrconway3/Universal-LPC-spritesheet, whose art is CC-BY-SA 3.0 or GPL 3.0 with
    credits: mind that when you pass on sheets or a store.
    """
    _make(_sprites9, "sequences written", store, source, **given)


@click.command(short_help="Moving MNIST, as published or from MNIST digits.")
@click.argument("source", type=click.Path())
@click.argument("store", type=click.Path())
@_number(
    _mmnist,
    "--sequences",
    "Number of sequences.  [default: all that were published, or 10000 made]",
    3,
)
@_number(_mmnist, "--length", "Frames of a sequence that is made.", 2)
@_number(_mmnist, "--digits", "Digits in a sequence that is made.", 1, 3)
@seed_option()
@overwrite_option
def mmnist(source: str, store: str, **given: Any) -> None:
    """Make Moving MNIST into STORE: digits that move straight and bounce off the walls.

    SOURCE is the published mnist_test_seq.npy, or MNIST digits to make sequences from:
    an idx file of images (labels beside it; .gz or not), a folder of such files, or the
    word keras for keras.datasets.mnist, which is downloaded.
    """
    if source == "keras":
        select_backend()
    _make(_mmnist, "sequences written", store, source, **given)


@from_files("Faces drawn from the ICT face model, all known of them.", counted="people")
def faces3d() -> None:
    """Draw faces into STORE from ROOT, a clone of ICT-FaceKit (MIT licence).

    Each person is a sequence: with the grid 7 yaws × 3 pitches × 8 expressions, the
    same for everybody. Nobody real is shown. After an interruption the same command
    goes on from there.
    """
