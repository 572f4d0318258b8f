"""Options of `ddr preprocess`, made of the fields that Python takes, and its output."""

from __future__ import annotations

import csv
import functools
import importlib
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ddr_cli.arguments import Decorator, joined, overwrite_option
from ddr_cli.backend import select_backend, without_backend
from ddr_cli.errors import Interrupted
from ddr_cli.progress import FileCounter

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore

preview_option = click.option(
    "--preview",
    metavar="FILE",
    type=click.Path(),
    help="Write a contact sheet of the frames (.png, .pdf or .svg).",
)


def dataset(name: str) -> ModuleType:
    """The module of a data set, without Keras."""
    without_backend()
    return importlib.import_module(f"keras_ddr.datasets.{name}")


def options_of(source: ModuleType) -> Decorator:
    """The options of a data set: fields that its `prepare` takes and its offer uses."""
    options = [
        _option(name, about, source.OFFER.defaults.get(name, default))
        for cls in _classes(source).values()
        for name, about, default in _fields(cls)
        if source.OFFER.takes(name, about)
    ]
    return joined(*options, preview_option, overwrite_option)


def _classes(source: ModuleType) -> dict[str, Any]:
    """Arguments of `prepare` that are classes of options."""
    parameters = inspect.signature(source.prepare).parameters.values()
    return {
        parameter.name: type(parameter.default)
        for parameter in parameters
        if hasattr(parameter.default, "option_fields")
    }


def _fields(cls: Any) -> list[tuple[str, Any, Any]]:
    return [
        (name, about, cls.__dataclass_fields__[name].default)
        for name, about in cls.option_fields().items()
    ]


def _option(name: str, about: Any, default: Any) -> Decorator:
    flag = f"--{(about.flag or name).replace('_', '-')}"
    text = about.help
    if about.unset and not default:
        default, text = None, f"{text}  [default: {about.unset}]"
    shared: dict[str, Any] = {
        "default": default,
        "show_default": default is not None,
        "help": text,
    }
    if about.kind is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", name, **shared)
    kind: Any = None
    if about.choices:
        kind = click.Choice([str(choice) for choice in about.choices])
        shared["default"] = str(default)
    elif about.kind is int:
        kind = click.IntRange(about.least, about.most)
    elif about.kind is float:
        open_at = {"min_open": "(" in about.open, "max_open": ")" in about.open}
        kind = click.FloatRange(about.least, about.most, **open_at)
    elif (about.metavar or "").startswith("FILE"):
        kind = click.Path()
    if isinstance(default, tuple):
        shared["nargs"] = len(default)
    return click.option(flag, name, type=kind, metavar=about.metavar, **shared)


def sorted_options(source: ModuleType, given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `prepare` from name -> value of all options; None is the default."""
    arguments = {}
    for argument, cls in _classes(source).items():
        values = {
            name: about.kind(given[name]) if about.choices else given[name]
            for name, about, _ in _fields(cls)
            if given.get(name) is not None and was_given(name)
        }
        if "workers" in cls.__dataclass_fields__:
            cores = os.cpu_count() or 1
            if hasattr(os, "sched_getaffinity"):  # those that this process may use
                cores = len(os.sched_getaffinity(0))
            shown = given["progress"]
            told = {"progress": shown, "frames": shown.frames}
            values = {"workers": cores, **values, **told}
        arguments[argument] = cls(**values)
    return arguments


def was_given(name: str) -> bool:
    """Whether an option was given: only then its value may differ from the default."""
    source = click.get_current_context().get_parameter_source(name)
    return source is not ParameterSource.DEFAULT


def _crop_of(values: Mapping[str, Any]) -> str:
    """The crop that options ask for; sources without a choice crop faces."""
    if values.get("tracks") is not None:
        return "tracks"
    return values.get("crop", "face")


def refuse_unused(source: ModuleType, values: Mapping[str, Any]) -> None:
    """Refuse options that were given and would change nothing."""
    context = click.get_current_context()
    flags = {
        parameter.name or "": parameter.opts[0] for parameter in context.command.params
    }
    given = {
        name: flag
        for name, flag in flags.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    crop = _crop_of(values)
    if crop == "tracks" and "crop" in given:
        raise click.UsageError(
            "--crop: changes nothing with --tracks, whose animals are cut out; leave "
            "one of them out"
        )
    fields = [field for cls in _classes(source).values() for field in _fields(cls)]
    for name, about, _ in fields:
        if name in given and about.crops and crop not in about.crops:
            how = "--tracks" if crop == "tracks" else f"--crop {crop}"
            other = "--tracks FILE" if about.crops[0] == "tracks" else "--crop face"
            advice = "" if crop == "tracks" else f"add {other}, or "
            raise click.UsageError(
                f"{given[name]}: changes nothing with {how}; {advice}leave it out"
            )
    if values["dask"] and "workers" in given:
        raise click.UsageError(
            "--workers: changes nothing with --dask, whose workers are those of the "
            "cluster; leave it out"
        )


def from_files(
    short_help: str, path: str = "root", counted: str = "videos"
) -> Callable[[Callable[[], None]], click.Command]:
    """A command for the data set that a function is named after."""

    def decorate(function: Callable[[], None]) -> click.Command:
        name = function.__name__

        @click.command(name, short_help=short_help)
        @click.argument(path, type=click.Path())
        @click.argument("store", type=click.Path())
        @options_of(dataset(name))
        @functools.wraps(function)
        def command(store: str, **given: Any) -> None:
            _make(name, given.pop(path), store, given, counted)

        return command

    return decorate


def _make(
    name: str, path: str, store: str, given: dict[str, Any], counted: str
) -> None:
    """Make a store, with progress, report and preview."""
    source = dataset(name)
    refuse_unused(source, given)
    if _crop_of(given) == "face" and given.get("detector_model", "") is None:
        select_backend()  # Keras keeps, and downloads, the detector's file
    from keras_ddr.datasets.pipeline import report_path
    from keras_ddr.visualization.style import check_figure_path

    sheet = given["preview"]
    if sheet is not None:
        check_figure_path(sheet, given["overwrite"])  # before the work
    given["progress"] = FileCounter(f"{counted} read")
    try:
        made = source.prepare(
            store,
            path,
            overwrite=given["overwrite"],
            **sorted_options(source, given),
        )
    except KeyboardInterrupt:
        raise Interrupted(
            "interrupted; run the same command again to go on from here"
        ) from None
    report(made)
    click.echo(_sources(report_path(made.path)))
    if name == "affwild":
        click.echo(
            f"the paper reports {source.PAPER_SEQUENCES} sequences; here are "
            f"{len(made)}"
        )
    if sheet is not None:
        draw(made, sheet)


def _sources(report: Path) -> str:
    """Where the report of the sources is, and how many of them gave nothing."""
    with open(report, encoding="utf-8", errors="surrogateescape", newline="") as file:
        skipped = [bool(row["skipped"]) for row in csv.DictReader(file)]
    more = f" ({sum(skipped)} of {len(skipped)} skipped)" if any(skipped) else ""
    return f"sources: {report}{more}"


def draw(store: FrameStore, path: str) -> None:
    """Write the contact sheet of a store and say where it is."""
    from keras_ddr.visualization import plot_store, save_figure

    click.echo(f"preview: {save_figure(plot_store(store, 40), path)}")


def report(store: FrameStore) -> None:
    """Say what a new store holds."""
    counts = {split: len(store.select(split)) for split in ("train", "val", "test")}
    splits = ", ".join(f"{count} {split}" for split, count in counts.items())
    size = "×".join(map(str, store.frame_shape))
    click.echo(
        f"{store.path}: {len(store)} sequences ({splits}), {store.num_frames} frames "
        f"of {size}"
    )
