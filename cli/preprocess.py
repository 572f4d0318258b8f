"""`ddr preprocess`: one command for each source of frames."""

import importlib

import click

__all__ = ["preprocess"]

# Loaded when they are asked for: their options come from the package.
_COMMANDS = {
    "affwild": "ddr_cli.preprocess_videos",
    "affwild2": "ddr_cli.preprocess_videos",
    "images": "ddr_cli.preprocess_videos",
    "mmnist": "ddr_cli.preprocess_drawn",
    "puppets": "ddr_cli.preprocess_drawn",
    "sprites": "ddr_cli.preprocess_drawn",
    "videos": "ddr_cli.preprocess_videos",
}


class _Sources(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        return getattr(importlib.import_module(_COMMANDS[name]), name)


@click.group(
    cls=_Sources, short_help="Make a frame store from images, videos or nothing."
)
def preprocess() -> None:
    """Make a frame store: a folder with frames, splits and labels.

    An existing STORE is refused unless --overwrite. The store appears when it is whole.
    """
