"""`ddr fit`."""

from __future__ import annotations

import importlib
import inspect
import json
import pathlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from ddr_cli.arguments import (
    BACKENDS,
    MODEL,
    RUN,
    STORE,
    WITH_WEIGHTS,
    backend_option,
    joined,
    seed_option,
)
from ddr_cli.backend import devices, seed_everything, select_backend
from ddr_cli.errors import Interrupted
from ddr_cli.fit_settings import SETTINGS

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.runs import Run
    from keras_ddr.sequence_model import SequenceModel
    from keras_ddr.typing import StrPath

# Written out, so that help and usage errors need no keras; a test compares.
PRESET_NAMES = (
    *("mmnist", "sprites", "affwild", "recommended", "small", "tiny"),
    *("puppets", "people", "faces"),
)
MODEL_NAMES = (
    *("ddr", "neural_statistician", "dsvae", "fhvae", "drnet", "drnet_prediction"),
    *("mocogan", "svg"),
)
_WIDE = 10_000_000  # weights that are slow without a GPU
_UNCHANGED = {"model_class": "ddr", "given": {}}  # where nothing was given


class _Fit(click.Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if "unexpected extra argument" not in error.message:
                raise
            hint = "the folder of the new run goes after --out"
            raise click.UsageError(f"{error.message}; {hint}", ctx) from None


# Settings by the names of their arguments here.
_BY_NAME = {f"{g}__{s.key}": s for g, settings in SETTINGS.items() for s in settings}
_settings = joined(
    *(
        click.option(
            setting.option,
            name,
            type=setting.type,
            help=f"{setting.help}  [default: the configuration's]",
        )
        for name, setting in _BY_NAME.items()
    )
)


def _pairs(
    ctx: click.Context, option: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, Any]:
    """Names and values of --set; a value that is no JSON is a text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", ctx, option)
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


@click.command(cls=_Fit, short_help="Train a model on a frame store.")
@click.argument("store", required=False, type=STORE)
@click.option("--out", "out", metavar="RUN", help="Folder of the new run.")
@click.option(
    "--resume",
    metavar="RUN",
    type=RUN,
    help="Go on with a run as if it had never stopped, on its own backend unless "
    "--backend names another; STORE is needed if it moved.",
)
@click.option("--overwrite", is_flag=True, help="Replace a run that exists at --out.")
@click.option(
    "--model",
    "model_class",
    metavar=f"[{'|'.join(MODEL_NAMES)}|MODULE:CLASS]",
    default="ddr",
    show_default=True,
    help="Train another model, or a class of your own, a keras_ddr.SequenceModel.",
)
@click.option(
    "--config",
    "preset",
    metavar=f"[{'|'.join(PRESET_NAMES)}]",
    help="Architecture and training settings: the paper's for mmnist, sprites and "
    "affwild; tiny, small and recommended take a minute, a quarter of an hour and an "
    "hour of a CPU core. Other models have their own.  [default: small, or that of "
    "--init]",
)
@click.option(
    "--init",
    metavar="RUN",
    type=MODEL,
    help="Begin with the weights of a trained model, a run, a .keras file or a preset "
    f"that comes with some ({', '.join(WITH_WEIGHTS)}); its sizes stay.  [default: "
    "random weights]",
)
@_settings
@click.option(
    "--set",
    "given",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_pairs,
    help="Another argument of the model's class or of its objective, such as seed=1 or "
    'name="text"; may be repeated.',
)
@seed_option("Of initial weights, frame sets and draws.  [default: 0]", default=None)
@click.option(
    "--distribute",
    type=click.Choice(["none", "auto"]),
    default="none",
    show_default=True,
    help="Use one device, or share each batch among all of this machine.",
)
@backend_option
def fit(
    store: str | None,
    out: str | None,
    resume: str | None,
    distribute: str,
    backend: str | None,
    **options: Any,
) -> None:
    """Train on the sequences of STORE and keep everything in the folder RUN.

    \b
      ddr fit STORE --config small --out RUN
      ddr fit --resume RUN

    RUN holds config.json, model.keras (the best model on the split val), checkpoint/,
    history.csv and samples/ with pictures of reconstructions.
    """  # noqa: D301
    steps = None
    if resume is not None and out is None:
        steps = options.pop("training__steps")
        _refuse_changes(options)
        select_backend(backend or _recorded_backend(resume))
        from keras_ddr import runs

        run = runs.Run.open(resume)
    elif out is not None and resume is None:
        if store is None:
            raise click.UsageError("give the STORE to train on")
        if options["model_class"] == "ddr" and options["preset"] is not None:
            click.Choice(PRESET_NAMES).convert(options["preset"], None, None)
        select_backend(backend)
        run = _create(out, store, distribute, options)
    else:
        raise click.UsageError("give one of --out RUN (new) and --resume RUN (go on)")
    train(run, store, steps, distribute)


def train(
    run: Run,
    store: FrameStore | StrPath | None,
    steps: int | None = None,
    distribute: str = "none",
) -> None:
    """Train a run with progress on the terminal, and say where its results are."""
    import keras

    from ddr_cli.callbacks import FitProgress
    from keras_ddr import runs

    training = run.training
    progress = FitProgress(run.step(), steps or training.steps)
    progress.said_first = (
        f"training {run.path} on {keras.backend.backend()}: {progress.steps} steps of "
        f"{training.batch_size} sequences"
    )
    if run.weights >= _WIDE and all(name.startswith("cpu") for name in devices()):
        progress.said_first += (
            f"\nnote: no GPU is found, and with {run.weights / 1e6:.0f} million "
            "weights a step takes long without one; --config small is meant for CPUs"
        )
    try:
        runs.fit(
            run,
            store,
            steps=steps,
            callbacks=[progress],
            verbose=0,
            report=click.echo,
            distribute=distribute,
        )
    except runs.Stopped as stopped:
        raise Interrupted(
            f"{stopped}, which is saved; go on with ddr fit --resume {run.path}",
            stopped.signal,
        ) from None
    except KeyboardInterrupt:
        again = f"interrupted; go on with ddr fit --resume {run.path}"
        raise Interrupted(again) from None
    finally:
        progress.clear()
    which, best = "the last one", run.best()
    if best:
        which = f"best on val: step {best['step']}, {best['val_loss']:.2f}"
    click.echo(f"model: {run.path / 'model.keras'} ({which})")


def _create(out: str, store: str, distribute: str, options: dict[str, Any]) -> Run:
    """A new run of the options that were given."""
    from keras_ddr import runs
    from keras_ddr.presets import find_preset
    from keras_ddr.training.devices import choose_devices

    given: dict[str, dict[str, Any]] = {
        group: {s.key: options[f"{group}__{s.key}"] for s in settings}
        for group, settings in SETTINGS.items()
    }
    precision = given["model"]["dtype"] or "none"
    given["model"]["dtype"] = f"mixed_{precision}" if precision != "none" else None
    model_class, init = _model_class(options["model_class"]), options["init"]
    _refuse_unknown(model_class, given["model"], options["given"])
    for name, value in options["given"].items():
        group = "model" if name in _parameters(model_class) else "objective"
        given[group][name] = value
    preset = options["preset"] or _preset_of(init)
    chosen = {k: v for k, v in given["training"].items() if v is not None}
    defaults = find_preset(model_class.presets, preset).training
    training = runs.Training.of({**defaults, **chosen})
    # Refuses before a run is made.
    choose_devices(distribute, training.batch_size, training.accumulate)
    # Initial weights come from the global random state, which is a command's to set.
    seed_everything(options["seed"] or 0)
    return runs.Run.create(
        out,
        store,
        preset,
        model_class=model_class,
        init=init and runs.load_model(init),
        **given,
        seed=options["seed"] or 0,
        overwrite=options["overwrite"],
    )


def _preset_of(init: str | None) -> str:
    """The configuration of the model to begin with, if it has one."""
    from keras_ddr import runs

    if init is not None and init in WITH_WEIGHTS:
        return init
    if init and (pathlib.Path(init) / "config.json").is_file():
        return runs.Run.open(init).config["preset"]
    return "small"


def _model_class(name: str) -> type[SequenceModel]:
    """The class that --model names."""
    from keras_ddr import SequenceModel
    from keras_ddr.models import MODELS

    if name in MODELS:
        return MODELS[name]
    if ":" not in name:
        raise click.UsageError(
            f"--model {name}: is not known; use {', '.join(MODELS)}, or MODULE:CLASS "
            "for a class of your own"
        )
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise click.UsageError(
            f"--model {name}: {error}; give MODULE:CLASS of a module that Python finds "
            "(PYTHONPATH=. for one in this folder)"
        ) from None
    if not (isinstance(found, type) and issubclass(found, SequenceModel)):
        raise click.UsageError(f"--model {name}: is no keras_ddr.SequenceModel")
    return found


def _refuse_unknown(
    model_class: type[SequenceModel], given: dict[str, Any], pairs: dict[str, Any]
) -> None:
    """Refuse options that the constructor of a class does not take."""
    known = {*_parameters(model_class), "dtype"}
    options = {s.key: s.option for s in SETTINGS["model"] if given[s.key] is not None}
    if objective := model_class.objective_class:
        pairs = {n: v for n, v in pairs.items() if n not in _parameters(objective)}
    options |= {name: f"--set {name}" for name in pairs}
    for name, option in options.items():
        if name not in known:
            raise click.UsageError(
                f"{option}: {model_class.__name__} has no such setting; leave it out"
            )


def _parameters(function: Callable[..., Any]) -> Iterable[str]:
    """Names of the arguments of a class."""
    return inspect.signature(function).parameters


def _refuse_changes(options: dict[str, Any]) -> None:
    """Refuse what cannot change when a run goes on."""
    names = {name: setting.option for name, setting in _BY_NAME.items()}
    names |= {"model_class": "--model", "preset": "--config", "given": "--set"}
    values = {n: v for n, v in options.items() if v is not None and v is not False}
    values = {n: v for n, v in values.items() if v != _UNCHANGED.get(n)}
    given = [names.get(name, f"--{name}") for name in values]
    if given:
        raise click.UsageError(
            f"{', '.join(given)} cannot be changed with --resume; start a new run"
        )


def _recorded_backend(run: str) -> str | None:
    """The backend that a run was started on, so that it goes on exactly."""
    try:
        text = (pathlib.Path(run) / "config.json").read_text(encoding="utf-8")
        backend = json.loads(text)["backend"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return backend if backend in BACKENDS else None
