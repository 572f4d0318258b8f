"""`ddr preprocess`: one command for each source of frames."""

import click

from ddr_cli.backend import select_backend
from ddr_cli.progress import Counter

__all__ = ["preprocess"]

_seed = click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
_overwrite = click.option(
    "--overwrite", is_flag=True, help="Replace a store that exists at STORE."
)


@click.group(short_help="Make a frame store from images, videos or nothing.")
def preprocess():
    """Make a frame store: a folder with frames, splits and labels.

    An existing STORE is refused unless --overwrite. The store appears when it is whole.
    """


@preprocess.command(short_help="Drawn puppets with known attributes and poses.")
@click.argument("store", type=click.Path())
@click.option(
    "--identities",
    type=click.IntRange(3),
    default=300,
    show_default=True,
    help="Number of puppets; each is drawn in every pose.",
)
@click.option(
    "--size",
    type=click.IntRange(16),
    default=64,
    show_default=True,
    help="Height and width in pixels, a multiple of 16.",
)
@_seed
@_overwrite
def puppets(store, identities, size, seed, overwrite):
    """Draw puppets into STORE: four colours a puppet, poses by arm and leg angle."""
    select_backend()
    from keras_ddr.datasets import puppets as source

    made = source.prepare(
        store,
        identities=identities,
        size=size,
        seed=seed,
        overwrite=overwrite,
        progress=Counter("puppets drawn"),
    )
    _report(made)


@preprocess.command(short_help="Sprites from the Universal LPC sprite sheets.")
@click.argument("source", type=click.Path())
@click.argument("store", type=click.Path())
@click.option(
    "--identities",
    type=click.IntRange(3),
    default=1296,
    show_default=True,
    help="Number of sprites, of the 6 × 6 × 6 × 6 combinations of body, legs, torso "
    "and hair; each has 178 frames.",
)
@_seed
@_overwrite
def sprites(source, store, identities, seed, overwrite):
    """Compose sprites into STORE from SOURCE, a clone of the LPC sheets.

    SOURCE is a folder of jrconway3/Universal-LPC-spritesheet. Its art is CC-BY-SA 3.0
    or GPL 3.0 with credits: mind that when you pass on sheets or a store.
    """
    select_backend()
    from keras_ddr.datasets import sprites as dataset

    made = dataset.prepare(
        store,
        source,
        identities=identities,
        seed=seed,
        overwrite=overwrite,
        progress=Counter("sprites composed"),
    )
    _report(made)


def _report(store):
    splits = ", ".join(
        f"{len(store.select(split))} {split}" for split in ("train", "val", "test")
    )
    size = "×".join(map(str, store.frame_shape))
    click.echo(
        f"{store.path}: {len(store)} sequences ({splits}), {store.num_frames} frames "
        f"of {size}"
    )
