"""`ddr events`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ddr_cli.arguments import (
    backend_option,
    out_argument,
    run_argument,
    seed_option,
    sequences_options,
    split_option,
    store_argument,
)
from ddr_cli.backend import select_backend
from ddr_cli.progress import Counter

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.events import Event

__all__ = ["events"]


@click.command(short_help="Peaks and valleys of z: a first list of moments to look at.")
@run_argument
@store_argument
@out_argument
@sequences_options(None)
@split_option("all")
@click.option(
    "--component",
    "components",
    type=click.IntRange(1),
    multiple=True,
    help="Component of z, from 1; may be given several times.  [default: all]",
)
@click.option(
    "--smooth",
    type=click.FloatRange(0),
    default=2.0,
    show_default=True,
    help="Standard deviation of the smoothing, in frames.",
)
@click.option(
    "--prominence",
    type=click.FloatRange(0),
    default=0.5,
    show_default=True,
    help="Least prominence, in standard scores of z under p(z|f).",
)
@click.option(
    "--distance",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="Least distance of two events of one kind, in frames.",
)
@click.option(
    "--sheet",
    metavar="FILE",
    type=click.Path(),
    help="Write a contact sheet of the most prominent ones (.png, .pdf or .svg).",
)
@seed_option("Of the choice of sequences and of the frames that f is taken from.")
@backend_option
def events(
    run: str,
    store: str,
    out: str,
    sequences: int | None,
    names: tuple[str, ...],
    split: str,
    components: tuple[int, ...],
    smooth: float,
    prominence: float,
    distance: int,
    sheet: str | None,
    seed: int,
    backend: str | None,
) -> None:
    """Write the extremes of the dynamics of the sequences of STORE to OUT.csv.

    A row an event: sequence, component of z, peak or valley, frame, time, z and its
    prominence, and the labels of the frame. Rows are in the order of sequences and
    time.
    """
    select_backend(backend)
    import numpy as np

    from ddr_cli.opening import open_both
    from keras_ddr.encoding import encode_sequences, label_texts
    from keras_ddr.events import find_events, write_events
    from keras_ddr.files import check_output_path
    from keras_ddr.visualization.selection import pick_sequences
    from keras_ddr.visualization.style import check_figure_path

    check_output_path(out, [".csv"])
    if sheet is not None:
        check_figure_path(sheet)
    model, store, split = open_both(run, store, split)
    chosen = None
    wanted = list(dict.fromkeys(names)) or sequences
    if wanted:
        chosen = pick_sequences(store, wanted, split, model.frames_per_set, seed)
        chosen.sort(key=lambda sequence: sequence.index)
    searched = [c - 1 for c in components] or range(model.dynamic_dim)
    progress = Counter("sequences encoded")
    found, labels, quiet = [], [], {}
    encoded = encode_sequences(
        model, store, split, seed=seed, progress=progress, sequences=chosen
    )
    for sequence, codes in encoded:
        of_sequence = find_events(
            sequence,
            codes,
            store.frame_labels(sequence.index),
            components=searched,
            width=smooth,
            prominence=prominence,
            distance=distance,
        )
        if not of_sequence:
            spans = np.ptp(codes.standardized[:, list(searched)], axis=0)
            quiet[sequence.name] = spans.max()
        found += of_sequence
        labels += label_texts(
            store, sequence, [event.position for event in of_sequence]
        )
    click.echo(f"{write_events(out, found, labels)}: {len(found)} events")
    if quiet:
        name, span = next(iter(quiet.items()))
        click.echo(
            f"no events in {len(quiet)} of the sequences: {name} first, where z "
            f"covers {span:.2g} standard scores; smaller --prominence or --smooth "
            "finds smaller ones"
        )
    if sheet is not None:
        _draw(store, found, sheet)


def _draw(store: FrameStore, found: list[Event], path: str) -> None:
    from keras_ddr.visualization import save_figure
    from keras_ddr.visualization.events import MOST_SEQUENCES, plot_events

    if not found:
        click.echo(f"sheet: {path} is not written, since there are no events to show")
        return
    number = len({event.sequence for event in found})
    most = f" (the first {MOST_SEQUENCES} of {number} sequences)"
    written = save_figure(plot_events(store, found), path)
    click.echo(f"sheet: {written}{most if number > MOST_SEQUENCES else ''}")
