"""`ddr info`."""

import importlib.metadata
import pathlib
import platform

import click

from ddr_cli.arguments import (
    BACKENDS,
    STORE_OR_RUN,
    backend_option,
    overwrite_option,
)
from ddr_cli.backend import devices, select_backend, without_backend
from ddr_cli.errors import printable

_OPENCV = "opencv-python", "opencv-python-headless"
_PACKAGES = ("keras", *BACKENDS, "numpy", *_OPENCV, "scikit-learn", "matplotlib")


@click.command(short_help="Versions, backend and devices; what a store or run holds.")
@click.argument("path", required=False, type=STORE_OR_RUN)
@click.option(
    "--preview",
    metavar="FILE",
    type=click.Path(),
    help="Write a contact sheet of a store (.png, .pdf or .svg).",
)
@overwrite_option
@backend_option
def info(
    path: str | None, preview: str | None, overwrite: bool, backend: str | None
) -> None:
    """Show versions, the backend and its devices, or what is in PATH.

    PATH is a frame store or a run folder.
    """
    is_run = path is not None and (pathlib.Path(path) / "config.json").is_file()
    if preview is not None and (path is None or is_run):
        raise click.UsageError("--preview needs a frame store")
    if preview is not None:
        without_backend()
        from keras_ddr.visualization.style import check_figure_path

        check_figure_path(preview, overwrite)
    if path is not None and not is_run:
        without_backend()
        lines = _store(path)
    else:
        select_backend(backend)
        lines = _environment() if path is None else _run(path)
    width = max(map(len, lines))
    for name, value in lines.items():
        click.echo(f"{printable(name):<{width}}  {printable(value)}")
    if preview is not None and path is not None:
        from ddr_cli.preprocess_options import draw
        from keras_ddr.data import FrameStore

        draw(FrameStore.open(path), preview)


def _environment() -> dict[str, object]:
    import keras

    import keras_ddr

    place = pathlib.Path(keras_ddr.__file__).parent
    lines: dict[str, object] = {
        "keras_ddr": f"{keras_ddr.__version__} in {place}",
        "python": platform.python_version(),
    }
    for package in _PACKAGES:
        try:
            lines[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            lines[package] = "not installed"
    lines["backend"] = keras.backend.backend()
    lines["devices"] = ", ".join(devices()) or "none found"
    return lines


def _store(path: str) -> dict[str, object]:
    from keras_ddr.data import FrameStore

    store = FrameStore.open(path)
    lengths = {sequence.length for sequence in store.sequences}
    span = " to ".join(str(end) for end in sorted({min(lengths), max(lengths)}))
    size = "×".join(map(str, store.frame_shape))
    lines: dict[str, object] = {
        "store": store.path,
        "dataset": store.dataset,
        "frames": f"{store.num_frames} of {size}",
        "sequences": f"{len(store)}, {span} frames long"
        + ("" if store.ordered else ", in no order in time"),
    }
    for split in ("train", "val", "test"):
        chosen = store.select(split)
        people = {sequence.person for sequence in chosen} - {""}
        of_people = f" of {len(people)} persons" if people else ""
        number = f"{len(chosen)} sequence{'' if len(chosen) == 1 else 's'}"
        lines[f"  {split}"] = number + of_people
    for label, about in store.labels.items():
        classes = f", {len(about.classes)} classes" if about.classes else ""
        unit = f", {about.unit}" if about.unit else ""
        lines[f"label {label}"] = f"{about.scope}, {about.kind}{classes}{unit}"
    if store.meta.get("licence"):
        lines["licence"] = store.meta["licence"]
    return lines


def _run(path: str) -> dict[str, object]:
    from keras_ddr.runs import Run

    run = Run.open(path)
    model, training = run.config["model"], run.config["training"]
    sizes = {k: v for k, v in model["config"].items() if not isinstance(v, dict)}
    lines = {
        "run": run.path,
        "config": run.config.get("preset"),
        "backend": run.config.get("backend"),
        "store": run.config["store"]["path"],
        "class": model["class_name"],
        "model": ", ".join(f"{name} {value}" for name, value in sizes.items()),
        "training": ", ".join(f"{name} {value}" for name, value in training.items()),
        "done": f"step {run.step()} of {run.training.steps}",
    }
    rows, best = run.history(), run.best()
    if rows:
        lines["last loss"] = f"{rows[-1]['loss']:.2f}"
    if best:
        lines["best val_loss"] = f"{best['val_loss']:.2f} at step {best['step']}"
    return lines
