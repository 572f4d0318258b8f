"""Arguments, options and groups that several commands share, each defined once."""

import importlib
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import click

from ddr_cli.errors import Failure, one_line

BACKENDS = ("tensorflow", "jax", "torch")
# Presets that come with weights, written out: a test compares.
WITH_WEIGHTS = ("puppets",)

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


class Lazy(click.Group):
    """Commands by name; the module of each is loaded when it is asked for."""

    def __init__(self, *args: Any, modules: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in order."""
        return list(self.modules)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, if there is one."""
        if name not in self.modules:
            return None
        module = importlib.import_module(f"ddr_cli.{self.modules[name]}")
        return getattr(module, name)


class _Existing(click.Path):
    """A path that has to exist; its absence is said before Keras is imported."""

    def __init__(self, missing: str, names: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._missing, self._names = missing, names

    def convert(self, value: Any, *context: Any) -> Any:
        path = pathlib.Path(os.fsdecode(super().convert(value, *context)))
        there = os.path.lexists(path) or value in self._names
        if not there and not _being_replaced(path):
            raise Failure(f"{one_line(path)}: {self._missing}")
        return value


def _being_replaced(path: pathlib.Path) -> bool:
    """Whether a folder of that name may come back within moments."""
    try:
        beside = os.listdir(path.parent)
    except OSError:
        return False
    kinds = tuple(f".{path.name}.{kind}-" for kind in ("old", "tmp"))
    return any(name.startswith(kinds) for name in beside)


STORE = _Existing("no such frame store; make one with ddr preprocess")
RUN = _Existing("no such run; start one with ddr fit STORE --out RUN")
MODEL = _Existing(
    "no such run; make one with ddr fit, or give a .keras file, or a preset that comes "
    f"with weights ({', '.join(WITH_WEIGHTS)})",
    WITH_WEIGHTS,
)
JUDGE = _Existing("no such judge; make one with ddr judge STORE FILE.keras")
STORE_OR_RUN = _Existing(
    "there is neither a frame store nor a run; make them with ddr preprocess and "
    "ddr fit"
)


def joined(*decorators: Decorator) -> Decorator:
    """Make one decorator of several; help lists their options in this order."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


run_argument = click.argument("run", type=MODEL)
store_argument = click.argument("store", type=STORE)
out_argument = click.argument("out", type=click.Path())

backend_option = click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    help="Keras backend.  [default: KERAS_BACKEND or keras.json, else tensorflow]",
)


def whole_option(flag: str, default: int, help: str, least: int = 1) -> Decorator:
    """An option that takes a whole number."""
    kind = click.IntRange(least)
    return click.option(flag, type=kind, default=default, show_default=True, help=help)


def choice_option(flag: str, choices: list[str], default: str, help: str) -> Decorator:
    """An option that takes one of some words."""
    kind = click.Choice(choices)
    return click.option(flag, type=kind, default=default, show_default=True, help=help)


def code_option(help: str) -> Decorator:
    """The option --code: z̃, or z."""
    return choice_option("--code", ["standardized", "raw"], "standardized", help)


def components_option(help: str, default: tuple[int, int] | None = (1, 2)) -> Decorator:
    """The option --components: two of z, counted from 1."""
    kind: dict[str, Any] = {"type": click.IntRange(1), "nargs": 2, "default": default}
    shown = default is not None
    return click.option("--components", **kind, show_default=shown, help=help)


def counted_from_0(components: tuple[int, ...], most: int) -> list[int]:
    """Components as Python counts them."""
    if max(components) > most:
        raise Failure(
            f"component {max(components)}: z has {most}, counted from 1; choose another"
        )
    return [component - 1 for component in components]


def number_option(
    flag: str, default: float, help: str, name: str | None = None
) -> Decorator:
    """An option that takes a number of at least 0; `name` is that of its argument."""
    return click.option(
        flag,
        name or flag.removeprefix("--"),
        type=click.FloatRange(0),
        default=default,
        show_default=True,
        help=help,
    )


smooth_option = number_option(
    "--smooth", 2.0, "Standard deviation of the smoothing, in frames.", name="width"
)
prominence_option = number_option(
    "--prominence",
    0.5,
    "Least prominence of an extreme, in standard scores of z under p(z|f).",
)


overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace what exists already."
)


def numbers_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--out`, the file of all numbers of a command that prints a table."""
    return click.option(
        "--out",
        metavar="FILE.json",
        type=click.Path(),
        help="Write all numbers to this file.",
    )(function)


def media_option(where: str) -> Decorator:
    """`--media`, the videos that files for annotation link; `where` is the default."""
    return click.option(
        "--media",
        metavar="FOLDER",
        type=click.Path(),
        help="Folder that the videos were read from, for .boris and .eaf to link them."
        f"  [default: that of {where}]",
    )


def seed_option(help: str | None = None, default: int | None = 0) -> Decorator:
    """The option --seed; `help` names the choices that follow from it."""
    return click.option(
        "--seed",
        type=click.IntRange(0, 2**31 - 1),
        default=default,
        show_default=default is not None,
        help=help,
    )


def split_option(
    default: str | None = None,
    help: str = "Split that sequences are taken from.",
    name: str = "--split",
    whole: bool = True,
) -> Decorator:
    """The option --split or another of this kind; `whole` allows "all"."""
    return click.option(
        name,
        type=click.Choice(["train", "val", "test", *(["all"] if whole else [])]),
        default=default,
        show_default=default is not None,
        help=help + ("" if default else "  [default: test, else val, else train]"),
    )


def sequences_options(default: int | None, use: str = "") -> Decorator:
    """The options --sequences (number, `None` for all) and --sequence (names)."""
    return joined(
        click.option(
            "--sequences",
            type=click.IntRange(1),
            default=default,
            show_default=default is not None,
            help=f"Number of sequences{use}, chosen at random, but not dark or still."
            + ("" if default else "  [default: all of the split]"),
        ),
        click.option(
            "--sequence",
            "names",
            multiple=True,
            metavar="NAME",
            help=f"Name of a sequence{use}; may be given several times, in place of a "
            "number.",
        ),
    )
