"""`ddr preprocess puppets|sprites|mmnist`: data sets that are drawn or composed."""

import click

from ddr_cli.arguments import seed_option
from ddr_cli.backend import select_backend
from ddr_cli.preprocess_options import (
    dataset,
    default_of,
    overwrite_option,
    report,
)
from ddr_cli.progress import Counter

__all__ = ["mmnist", "puppets", "sprites"]

_puppets, _sprites, _mmnist = map(dataset, ("puppets", "sprites", "moving_mnist"))


@click.command(short_help="Drawn puppets with known attributes and poses.")
@click.argument("store", type=click.Path())
@click.option(
    "--identities",
    type=click.IntRange(3),
    default=default_of(_puppets.prepare, "identities"),
    show_default=True,
    help="Number of puppets; each is drawn in every pose.",
)
@click.option(
    "--size",
    type=click.IntRange(16),
    default=default_of(_puppets.prepare, "size"),
    show_default=True,
    help="Height and width in pixels, a multiple of 16.",
)
@seed_option()
@overwrite_option
def puppets(store: str, identities: int, size: int, seed: int, overwrite: bool) -> None:
    """Draw puppets into STORE: four colours a puppet, poses by arm and leg angle."""
    made = _puppets.prepare(
        store,
        identities=identities,
        size=size,
        splits=dataset("splits").Splits(seed=seed),
        overwrite=overwrite,
        progress=Counter("puppets drawn"),
    )
    report(made)


@click.command(short_help="Sprites from the Universal LPC sprite sheets.")
@click.argument("source", type=click.Path())
@click.argument("store", type=click.Path())
@click.option(
    "--identities",
    type=click.IntRange(3),
    default=default_of(_sprites.prepare, "identities"),
    show_default=True,
    help="Number of sprites, of the 6 × 6 × 6 × 6 combinations of body, legs, torso "
    "and hair; each has 178 frames.",
)
@seed_option()
@overwrite_option
def sprites(
    source: str, store: str, identities: int, seed: int, overwrite: bool
) -> None:
    """Compose sprites into STORE from SOURCE, a clone of the LPC sheets.

    SOURCE is a folder of jrconway3/Universal-LPC-spritesheet. Its art is CC-BY-SA 3.0
    or GPL 3.0 with credits: mind that when you pass on sheets or a store.
    """
    made = _sprites.prepare(
        store,
        source,
        identities=identities,
        seed=seed,
        overwrite=overwrite,
        progress=Counter("sprites composed"),
    )
    report(made)


@click.command(short_help="Moving MNIST, as published or from MNIST digits.")
@click.argument("source", type=click.Path())
@click.argument("store", type=click.Path())
@click.option(
    "--sequences",
    type=click.IntRange(3),
    help="Number of sequences.  [default: all that were published, or 10000 made]",
)
@click.option(
    "--length",
    type=click.IntRange(2),
    help="Frames of a sequence that is made.  [default: 20]",
)
@click.option(
    "--digits",
    type=click.IntRange(1, 3),
    help="Digits in a sequence that is made.  [default: 2]",
)
@seed_option()
@overwrite_option
def mmnist(
    source: str,
    store: str,
    sequences: int | None,
    length: int | None,
    digits: int | None,
    seed: int,
    overwrite: bool,
) -> None:
    """Make Moving MNIST into STORE: digits that move straight and bounce off the walls.

    SOURCE is the published mnist_test_seq.npy, or MNIST digits to make sequences from:
    an idx file of images (labels beside it; .gz or not), a folder of such files, or the
    word keras for keras.datasets.mnist, which is downloaded.
    """
    if source == "keras":
        select_backend()
    given = {"sequences": sequences, "length": length, "digits": digits}
    made = _mmnist.prepare(
        store,
        source,
        **{name: value for name, value in given.items() if value is not None},
        splits=dataset("splits").Splits(seed=seed),
        overwrite=overwrite,
        progress=Counter("sequences written"),
    )
    report(made)
