"""A trained model and the store it is shown with, as most commands take them."""

from __future__ import annotations

import functools
import importlib
import pathlib
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ddr_cli.arguments import (
    Decorator,
    backend_option,
    joined,
    out_argument,
    overwrite_option,
    run_argument,
    store_argument,
)
from ddr_cli.backend import select_backend

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.sequence_model import SequenceModel
    from keras_ddr.typing import StrPath


def writing_command(
    short_help: str,
    module: str | None,
    *options: Decorator,
    group: click.Group | None = None,
) -> Callable[[Callable[..., Any]], click.Command]:
    """A command that writes OUT, a file with one of `module.SUFFIXES`, or a folder.

    The function gets the model of RUN, the STORE, OUT and the options by name: `split`
    as asked for or the first that holds a sequence, `sequences` as a number or names,
    `overwrite` if what exists is to be replaced; OUT is looked at before it is called.
    It returns what is said.
    """

    def decorate(write: Callable[..., Any]) -> click.Command:
        @(group or click).command(write.__name__, short_help=short_help)
        @joined(run_argument, store_argument, out_argument)
        @joined(*options, overwrite_option, backend_option)
        @functools.wraps(write)
        def command(
            run: str, store: str, out: str, backend: str | None, **given: Any
        ) -> None:
            select_backend(backend)
            from keras_ddr.files import check_output_folder, check_output_path

            # Before the work is done.
            if module is None:
                check_output_folder(out, given["overwrite"])
            else:
                suffixes = importlib.import_module(module).SUFFIXES
                check_output_path(out, suffixes, given["overwrite"])
            model, opened, split = open_both(run, store, given.get("split"))
            if "split" in given:
                given["split"] = split
            names = given.pop("names", None)
            if names:
                given["sequences"] = list(names)
            click.echo(write(model, opened, out, **given))

        return command

    return decorate


def open_both(
    run: StrPath, store: StrPath, split: str | None = None
) -> tuple[SequenceModel, FrameStore, str]:
    """A run and a store that fit each other, and the split asked for or the first."""
    from keras_ddr.data import FrameStore
    from keras_ddr.evaluation.encoded import first_split
    from keras_ddr.runs import check_fits, load_model

    # The store first: it opens at once.
    store = FrameStore.open(store)
    model = load_model(run)
    check_fits(model, store)
    _warn_of_preparation(run, store)
    return model, store, split or first_split(store, model.frames_per_set) or "all"


def named(files: list[pathlib.Path]) -> str:
    """Files that were written, in a few words."""
    first, *others = files
    if not others:
        return str(first)
    return f"{first} and {len(others)} more file{'s' * (len(others) > 1)}"


def _warn_of_preparation(run: StrPath, store: FrameStore) -> None:
    """Say where frames were cut out in another way than those trained on."""
    from keras_ddr.runs import Run
    from keras_ddr.runs.stores import prepared_otherwise

    if (pathlib.Path(run) / "config.json").is_file():
        differs = prepared_otherwise(Run.open(run).config["store"], store)
        if differs:
            warnings.warn(
                f"{store.path} was prepared with {differs} as the frames that {run} "
                "was trained on; its codes mean something else",
                stacklevel=2,
            )
