"""`ddr fit`."""

from __future__ import annotations

import json
import pathlib
from typing import TYPE_CHECKING, Any

import click

from ddr_cli.arguments import BACKENDS, RUN, STORE, backend_option
from ddr_cli.backend import devices, seed_everything, select_backend
from ddr_cli.errors import Interrupted

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.runs import Run
    from keras_ddr.typing import StrPath

__all__ = ["CONFIG_NAMES", "fit"]

# Written out, so that help and usage errors need no keras; a test compares.
CONFIG_NAMES = ("mmnist", "sprites", "affwild", "recommended", "small", "tiny")
_WIDE = 192  # filters that are slow without a GPU
_OF_CONFIG = "  [default: the configuration's]"

_TRAINING = {
    "steps",
    "batch_size",
    "learning_rate",
    "schedule",
    "clipnorm",
    "accumulate",
    "save_every",
}


class _Fit(click.Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if "unexpected extra argument" not in error.message:
                raise
            hint = "the folder of the new run goes after --out"
            raise click.UsageError(f"{error.message}; {hint}", ctx) from None


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
    "--config",
    type=click.Choice(CONFIG_NAMES),
    help="Architecture and training settings: the paper's for mmnist, sprites and "
    "affwild; small and tiny suit a CPU, recommended a GPU.  [default: small]",
)
@click.option(
    "--steps",
    type=click.IntRange(1),
    help="Training steps in all. With --resume, another number is possible only where "
    "the schedule is constant: a cosine decay depends on its last step." + _OF_CONFIG,
)
@click.option(
    "--batch-size", type=click.IntRange(1), help="Sequences in a batch." + _OF_CONFIG
)
@click.option(
    "--lr",
    "learning_rate",
    type=click.FloatRange(0, min_open=True),
    help="Learning rate of Adam." + _OF_CONFIG,
)
@click.option(
    "--schedule",
    type=click.Choice(["constant", "cosine"]),
    help="Learning rate over time: constant, or cosine decay to 0." + _OF_CONFIG,
)
@click.option(
    "--clipnorm",
    type=click.FloatRange(0),
    help="Largest norm of the gradient of all weights together; 0 for any."
    + _OF_CONFIG,
)
@click.option(
    "--accumulate",
    type=click.IntRange(1),
    help="Steps whose gradients are averaged before the weights change: batches larger "
    "than memory allows.  [default: 1]",
)
@click.option(
    "--mixed-precision",
    "precision",
    type=click.Choice(["none", "bfloat16", "float16"]),
    help="Compute in half precision, with weights and losses in float32: for recent "
    "GPUs.  [default: none]",
)
@click.option(
    "--save-every",
    type=click.IntRange(1),
    help="Steps between checkpoints; each comes with a validation, a row of "
    "history.csv and a picture.  [default: 500]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    help="Of initial weights, frame sets and draws.  [default: 0]",
)
@click.option(
    "--static-dim", type=click.IntRange(1), help="Dimensions of f." + _OF_CONFIG
)
@click.option(
    "--dynamic-dim", type=click.IntRange(1), help="Dimensions of z." + _OF_CONFIG
)
@click.option(
    "--frames-per-set",
    type=click.IntRange(1),
    help="N, frames drawn from each sequence; 1 with --aggregation pooled only."
    + _OF_CONFIG,
)
@click.option(
    "--filters",
    type=click.IntRange(1),
    help="Channels of the frame encoder and decoder." + _OF_CONFIG,
)
@click.option(
    "--pair-filters",
    type=click.IntRange(1),
    help="Channels of the convolutions over pairs of frames." + _OF_CONFIG,
)
@click.option(
    "--hidden-units", type=click.IntRange(1), help="Units of dense layers." + _OF_CONFIG
)
@click.option(
    "--aggregation",
    type=click.Choice(["concat", "mean", "pooled"]),
    help="How frames are joined for f: pairs with concat (the paper) or mean, which "
    "does not depend on the order of the frames; single frames with pooled."
    + _OF_CONFIG,
)
@click.option(
    "--dynamic-frames",
    type=click.Choice(["shared", "distinct"]),
    help="Decode the frames from which f comes (shared, the paper), or N others."
    + _OF_CONFIG,
)
@click.option(
    "--dynamic-prior",
    type=click.Choice(["conditional", "standard"]),
    help="p(z | f): learned (conditional, the paper) or a standard normal."
    + _OF_CONFIG,
)
@click.option(
    "--likelihood",
    type=click.Choice(["bernoulli", "continuous_bernoulli", "normal"]),
    help="Of a frame given f and z; bernoulli is the paper's." + _OF_CONFIG,
)
@click.option(
    "--kl-weight",
    type=click.FloatRange(0),
    help="Factor on both KL terms; 1 is the ELBO." + _OF_CONFIG,
)
@click.option(
    "--static-kl-weight",
    type=click.FloatRange(0),
    help="Further factor on the KL of f: N frames pay for one f; of a sequence of T "
    "frames they would pay N / T of it." + _OF_CONFIG,
)
@click.option(
    "--kl-warmup",
    type=click.IntRange(0),
    help="Steps in which --kl-weight rises from 0, against a posterior that collapses "
    "early.  [default: 0]",
)
@click.option(
    "--free-bits",
    type=click.FloatRange(0),
    help="Nats that each dimension of f and of z may take for nothing, against a "
    "posterior that collapses.  [default: 0]",
)
@click.option(
    "--independence-weight",
    type=click.FloatRange(0),
    help="Nats a frame for each unit of distance between the codes of one sequence and "
    "those of all; about 10 helps to find all of the dynamics." + _OF_CONFIG,
)
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
    overwrite: bool,
    distribute: str,
    backend: str | None,
    steps: int | None,
    **settings: Any,
) -> None:
    """Train on the sequences of STORE and keep everything in the folder RUN.

    \b
      ddr fit STORE --config small --out RUN
      ddr fit --resume RUN

    RUN holds config.json, model.keras (the best model on the split val), checkpoint/,
    history.csv and samples/ with pictures of reconstructions.
    """  # noqa: D301
    if resume is not None and out is None:
        _refuse_changes(settings, overwrite)
        select_backend(backend or _recorded_backend(resume))
        from keras_ddr import runs

        run = runs.Run.open(resume)
    elif out is not None and resume is None:
        if store is None:
            raise click.UsageError("give the STORE to train on")
        select_backend(backend)
        run = _create(out, store, steps, overwrite, settings, distribute)
        steps = None
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

    training, filters = run.config["training"], run.config["model"]["filters"]
    progress = FitProgress(run.step(), steps or training["steps"])
    progress.said_first = (
        f"training {run.path} on {keras.backend.backend()}: {progress.steps} steps of "
        f"{training['batch_size']} sets of {run.config['model']['frames_per_set']} "
        "frames"
    )
    if filters >= _WIDE and all(name.startswith("cpu") for name in devices()):
        progress.said_first += (
            f"\nnote: no GPU is found, and with {filters} filters a step takes "
            "long without one; --config small is meant for CPUs"
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
        raise Interrupted(
            f"interrupted; go on with ddr fit --resume {run.path}"
        ) from None
    finally:
        progress.clear()
    best = run.best()
    which = "the last one"
    if best:
        which = f"best on val: step {best['step']}, {best['val_loss']:.2f}"
    click.echo(f"model: {run.path / 'model.keras'} ({which})")


def _create(
    out: str,
    store: str,
    steps: int | None,
    overwrite: bool,
    settings: dict[str, Any],
    distribute: str,
) -> Run:
    from keras_ddr import configs, runs
    from keras_ddr.training.devices import choose_devices

    settings["steps"] = steps
    precision = settings.pop("precision") or "none"
    if precision != "none":
        settings["dtype"] = f"mixed_{precision}"
    config = settings.pop("config") or "small"
    seed = settings.pop("seed") or 0
    batch_size = settings["batch_size"] or configs.get(config)["training"]["batch_size"]
    # Refuses before a run is made.
    choose_devices(distribute, batch_size, settings["accumulate"] or 1)
    # Initial weights come from the global random state, which is a command's to set.
    seed_everything(seed)
    return runs.Run.create(
        out,
        store,
        config,
        model={k: v for k, v in settings.items() if k not in _TRAINING},
        training={k: v for k, v in settings.items() if k in _TRAINING},
        seed=seed,
        overwrite=overwrite,
    )


def _refuse_changes(settings: dict[str, Any], overwrite: bool) -> None:
    names = {"learning_rate": "--lr", "precision": "--mixed-precision"}
    given = [
        names.get(name, "--" + name.replace("_", "-"))
        for name, value in settings.items()
        if value is not None
    ]
    if overwrite:
        given.append("--overwrite")
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
