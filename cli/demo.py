"""`ddr demo`."""

from __future__ import annotations

import pathlib
import time
from typing import TYPE_CHECKING

import click

from ddr_cli.arguments import backend_option, seed_option, whole_option
from ddr_cli.backend import seed_everything, select_backend
from ddr_cli.errors import Failure, Interrupted
from ddr_cli.progress import Counter, duration

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.sequence_model import SequenceModel


@click.command(short_help="Draw puppets, train on them, evaluate and plot.")
@click.option(
    "--out",
    type=click.Path(path_type=pathlib.Path),
    default="ddr-demo",
    show_default=True,
    help="Folder for the store, the run, the metrics and the pictures.",
)
@click.option("--overwrite", is_flag=True, help="Replace an older demo at --out.")
@whole_option("--identities", 600, "Number of puppets.", least=10)
@click.option(
    "--steps", type=click.IntRange(1), help="Training steps.  [default: of config tiny]"
)
@seed_option()
@backend_option
def demo(
    out: pathlib.Path,
    overwrite: bool,
    identities: int,
    steps: int | None,
    seed: int,
    backend: str | None,
) -> None:
    """See what the package does, in at most three minutes on two CPU cores.

    Puppets are drawn, each with four colours of its own, in poses given by the angles
    of arms and legs. A model is trained without any label; what it learned is then
    measured on puppets it has never seen, and shown in pictures.
    """
    began = time.monotonic()
    store_path, run_path = out / "puppets", out / "run"
    if out.exists() and not out.is_dir():
        raise Failure(f"{out} exists and is a file; choose another --out")
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise Failure(
            f"{out} is not empty; replace it with --overwrite, or choose another --out"
        )
    select_backend(backend)

    from ddr_cli.fit import train
    from keras_ddr import evaluation, runs
    from keras_ddr.datasets import Splits, puppets
    from keras_ddr.files import write_json

    out.mkdir(parents=True, exist_ok=True)
    store = puppets.prepare(
        store_path,
        identities=identities,
        splits=Splits(seed=seed),
        overwrite=overwrite,
        progress=Counter("puppets drawn"),
    )
    seed_everything(seed)
    run = runs.Run.create(
        run_path,
        store,
        "tiny",
        training={"steps": steps},
        seed=seed,
        overwrite=overwrite and run_path.exists(),
    )
    try:
        train(run, store)
    except Interrupted as error:
        raise Interrupted(
            f"{error.message}, which trains only; or start over with ddr demo "
            f"--overwrite --out {out}",
            error.exit_code - 128,
        ) from None
    model = run.model()
    encoded = Counter("sequences encoded")
    report = evaluation.evaluate(
        model,
        store,
        seed=seed,
        progress=lambda _, done, total: encoded(done, total) if total else None,
    )
    write_json(out / "metrics.json", report.to_dict())
    pictures = _draw(model, store, out, seed)
    click.echo(f"\n{report.table()}\n")
    for name, path in [("metrics", out / "metrics.json"), *pictures, ("run", run_path)]:
        click.echo(f"{name + ':':<16}{path}")
    click.echo(f"done in {duration(time.monotonic() - began)}")


def _draw(
    model: SequenceModel, store: FrameStore, out: pathlib.Path, seed: int
) -> list[tuple[str, pathlib.Path]]:
    from ddr_cli.plot import draw_manifold
    from keras_ddr import visualization
    from keras_ddr.visualization.explorer import explorer_page, save_explorer
    from keras_ddr.visualization.selection import pick_sequences

    shown = pick_sequences(store, 4, "test", model.frames_per_set, seed)
    figures = {
        "reconstruction": visualization.plot_reconstruction(model, store, shown),
        "manifold": draw_manifold(model, store, shown),
        "swap": visualization.plot_swap(model, store, split="test", seed=seed),
    }
    pictures = [
        (name, visualization.save_figure(figure, out / f"{name}.png"))
        for name, figure in figures.items()
    ]
    page = explorer_page(model, store, 6, split="test", seed=seed)
    return [*pictures, ("explorer", save_explorer(page, out / "explorer.html"))]
