"""`ddr preprocess`: one command for each source of frames."""

import click

from ddr_cli.arguments import Lazy

# Loaded when they are asked for: their options come from the package.
_COMMANDS = {
    "affwild": "preprocess_videos",
    "affwild2": "preprocess_videos",
    "arrays": "preprocess_videos",
    "faces3d": "preprocess_drawn",
    "images": "preprocess_videos",
    "mmnist": "preprocess_drawn",
    "puppets": "preprocess_drawn",
    "sprites": "preprocess_drawn",
    "sprites9": "preprocess_drawn",
    "videos": "preprocess_videos",
}


@click.group(
    cls=Lazy,
    modules=_COMMANDS,
    short_help="Make a frame store from images, videos or nothing.",
)
def preprocess() -> None:
    """Make a frame store: a folder with frames, splits and labels.

    An existing STORE is refused unless --overwrite. The store appears when it is whole.
    """
