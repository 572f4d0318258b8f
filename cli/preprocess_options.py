"""Options and output that the commands of `ddr preprocess` share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from ddr_cli.arguments import Decorator, joined, seed_option
from ddr_cli.errors import Interrupted

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore

__all__ = [
    "cropping_options",
    "detector_options",
    "length_options",
    "overwrite_option",
    "preview",
    "report",
    "user_options",
    "work_options",
]

overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace a store that exists at STORE."
)


_size = click.option(
    "--size",
    type=click.IntRange(16),
    default=64,
    show_default=True,
    help="Height and width of the frames, a multiple of 16.",
)
_channels = click.option(
    "--channels",
    type=click.Choice(["1", "3"]),
    default="3",
    show_default=True,
    help="3 for colour, 1 for grey.",
)
_margin = click.option(
    "--margin",
    type=click.FloatRange(-0.4, 2, min_open=True),
    default=0.2,
    show_default=True,
    help="Added on every side of a face, as share of its longer side.",
)


def cropping_options(margin: bool = True) -> Decorator:
    """Size and channels of the frames, and the margin around faces."""
    return joined(*([_margin] if margin else []), _size, _channels)


detector_options = joined(
    click.option(
        "--detector-model",
        metavar="FILE",
        type=click.Path(),
        help="YuNet as ONNX file (face_detection_yunet_2023mar.onnx).  [default: "
        "downloaded once, 230 kB]",
    ),
    click.option(
        "--detector-size",
        type=click.IntRange(32),
        default=320,
        show_default=True,
        help="Longest side to which frames are reduced for the search; larger finds "
        "smaller faces, and takes longer.",
    ),
    click.option(
        "--threshold",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        default=0.7,
        show_default=True,
        help="Least score of a face.",
    ),
)
detect_every_option = click.option(
    "--detect-every",
    type=click.IntRange(1, 10),
    default=4,
    show_default=True,
    help="Search every so many frames while faces move little, and interpolate "
    "between; quick motion is searched frame by frame anyway.",
)


def length_options(least: int, most: int | None, gap: bool = True) -> Decorator:
    """Lengths of sequences, with their defaults."""
    limits = [
        click.option(
            "--min-length",
            type=click.IntRange(1),
            default=least,
            show_default=True,
            help="Leave out sequences of fewer frames, of those that are kept.",
        ),
        click.option(
            "--max-length",
            type=click.IntRange(1),
            default=most,
            show_default=most is not None,
            help="Most frames of a sequence."
            + ("" if most else "  [default: any number]"),
        ),
        click.option(
            "--long",
            type=click.Choice(["split", "first", "thin"]),
            default="split",
            show_default=True,
            help="Longer ones: split into equal parts, keep the first frames, or thin "
            "out to frames at equal distances.",
        ),
    ]
    if gap:
        limits.append(
            click.option(
                "--max-gap",
                type=click.IntRange(0),
                default=5,
                show_default=True,
                help="Most frames in a row without the face within a sequence.",
            )
        )
    return joined(*limits)


user_options = joined(
    click.option(
        "--labels",
        metavar="FILE.csv",
        type=click.Path(),
        help="Your labels: columns source, frame (number from 0, or blank), and any "
        "others; a column person keeps each person in one split.",
    ),
    click.option(
        "--persons",
        type=click.Choice(["source", "folder"]),
        default="source",
        show_default=True,
        help="folder: every folder right below the given one is a person, who then "
        "stays in one split.",
    ),
)


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


work_options = joined(
    click.option(
        "--workers",
        type=click.IntRange(1),
        help="Processes, one core each.  [default: all cores]",
    ),
    click.option(
        "--dask",
        metavar="ADDRESS",
        help="Work on the Dask cluster whose scheduler is there, such as "
        "tcp://host:8786; its workers need the same paths and this package.",
    ),
    click.option(
        "--preview",
        metavar="FILE",
        type=click.Path(),
        help="Write a contact sheet of the frames (.png, .pdf or .svg).",
    ),
    click.option(
        "--splits",
        type=click.FloatRange(0, 1),
        nargs=3,
        default=(0.8, 0.1, 0.1),
        show_default=True,
        metavar="TRAIN VAL TEST",
        help="Shares of the persons, or of the sources where persons are not known.",
    ),
    seed_option(),
    overwrite_option,
)


@contextlib.contextmanager
def preview(path: str | None) -> Iterator[Callable[[FrameStore], None]]:
    """Check where the contact sheet goes before the work, and draw it after.

    Args:
        path: File, or `None` for no picture.

    Yields:
        A function that takes the store.
    """
    from keras_ddr.visualization.style import check_figure_path

    made: list[FrameStore] = []
    if path is not None:
        check_figure_path(path)
    try:
        yield made.append
    except KeyboardInterrupt:
        raise Interrupted(
            "interrupted; run the same command again to go on from here"
        ) from None
    if path is not None and made:
        draw(made[0], path)


def draw(store: FrameStore, path: str) -> None:
    """Write the contact sheet of a store and say where it is."""
    from keras_ddr.visualization import plot_store, save_figure

    click.echo(f"preview: {save_figure(plot_store(store, 40), path)}")


def report(store: FrameStore, table: bool = False) -> None:
    """Say what a new store holds.

    Args:
        store: `FrameStore`.
        table: Whether there is a table of its sources beside it.
    """
    splits = ", ".join(
        f"{len(store.select(split))} {split}" for split in ("train", "val", "test")
    )
    size = "×".join(map(str, store.frame_shape))
    click.echo(
        f"{store.path}: {len(store)} sequences ({splits}), {store.num_frames} frames "
        f"of {size}"
    )
    if table:
        from keras_ddr.datasets.pipeline import report_path

        click.echo(f"sources: {report_path(store.path)}")
