"""`ddr info`."""

import importlib.metadata
import pathlib
import platform
from collections.abc import Sequence

import click

from ddr_cli.arguments import BACKENDS, STORE_OR_RUN, backend_option
from ddr_cli.backend import devices, select_backend, without_backend
from ddr_cli.errors import printable

__all__ = ["info"]

_PACKAGES = (
    "keras",
    *BACKENDS,
    "numpy",
    "opencv-python",
    "opencv-python-headless",
    "scikit-learn",
    "matplotlib",
)


@click.command(short_help="Versions, backend and devices; what a store or run holds.")
@click.argument("path", required=False, type=STORE_OR_RUN)
@click.option(
    "--preview",
    metavar="FILE",
    type=click.Path(),
    help="Write a contact sheet of a store (.png, .pdf or .svg).",
)
@backend_option
def info(path: str | None, preview: str | None, backend: str | None) -> None:
    """Show versions, the backend and its devices, or what is in PATH.

    PATH is a frame store or a run folder.
    """
    is_run = path is not None and (pathlib.Path(path) / "config.json").is_file()
    if preview is not None and (path is None or is_run):
        raise click.UsageError("--preview needs a frame store")
    if path is not None and not is_run:
        without_backend()
        lines = _store(path)
    else:
        select_backend(backend)
        lines = _environment() if path is None else _run(path)
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        click.echo(f"{printable(name):<{width}}  {printable(value)}")
    if preview is not None and path is not None:
        from ddr_cli.preprocess_options import draw
        from keras_ddr.data import FrameStore

        draw(FrameStore.open(path), preview)


def _environment() -> list[tuple[str, object]]:
    import keras

    import keras_ddr

    place = pathlib.Path(keras_ddr.__file__).parent
    lines: list[tuple[str, object]] = [
        ("keras_ddr", f"{keras_ddr.__version__} in {place}"),
        ("python", platform.python_version()),
    ]
    for package in _PACKAGES:
        try:
            lines.append((package, importlib.metadata.version(package)))
        except importlib.metadata.PackageNotFoundError:
            lines.append((package, "not installed"))
    lines.append(("backend", keras.backend.backend()))
    lines.append(("devices", ", ".join(devices()) or "none found"))
    return lines


def _store(path: str) -> list[tuple[str, object]]:
    from keras_ddr.data import FrameStore

    store = FrameStore.open(path)
    lengths = [sequence.length for sequence in store.sequences]
    lines = [
        ("store", store.path),
        ("dataset", store.dataset),
        ("frames", f"{store.num_frames} of {_size(store.frame_shape)}"),
        ("sequences", f"{len(store)}, {_span(lengths)} frames long"),
    ]
    for split in ("train", "val", "test"):
        chosen = store.select(split)
        people = {sequence.person for sequence in chosen} - {""}
        of_people = f" of {len(people)} persons" if people else ""
        number = f"{len(chosen)} sequence{'' if len(chosen) == 1 else 's'}"
        lines.append((f"  {split}", number + of_people))
    for label, about in store.labels.items():
        classes = f", {len(about.classes)} classes" if about.classes else ""
        unit = f", {about.unit}" if about.unit else ""
        lines.append((f"label {label}", f"{about.scope}, {about.kind}{classes}{unit}"))
    if store.meta.get("licence"):
        lines.append(("licence", store.meta["licence"]))
    return lines


def _span(numbers: Sequence[int]) -> str:
    least, most = min(numbers), max(numbers)
    return str(least) if least == most else f"{least} to {most}"


def _run(path: str) -> list[tuple[str, object]]:
    from keras_ddr.runs import Run

    run = Run.open(path)
    model, training = run.config["model"], run.config["training"]
    sizes = {k: v for k, v in model["config"].items() if not isinstance(v, dict)}
    rows = run.history()
    lines = [
        ("run", run.path),
        ("config", run.config.get("preset")),
        ("backend", run.config.get("backend")),
        ("store", run.config["store"]["path"]),
        ("class", model["class_name"]),
        ("model", ", ".join(f"{name} {value}" for name, value in sizes.items())),
        ("training", ", ".join(f"{name} {value}" for name, value in training.items())),
        ("done", f"step {run.step()} of {run.training.steps}"),
    ]
    best = run.best()
    if rows:
        lines.append(("last loss", f"{rows[-1]['loss']:.2f}"))
    if best:
        text = f"{best['val_loss']:.2f} at step {best['step']}"
        lines.append(("best val_loss", text))
    return lines


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
