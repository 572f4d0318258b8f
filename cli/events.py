"""`ddr events`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ddr_cli.arguments import (
    backend_option,
    out_argument,
    prominence_option,
    run_argument,
    seed_option,
    sequences_options,
    smooth_option,
    split_option,
    store_argument,
    whole_option,
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
@smooth_option
@prominence_option
@whole_option("--distance", 5, "Least distance of two events of one kind, in frames.")
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
    names: tuple[str, ...],
    components: tuple[int, ...],
    sheet: str | None,
    backend: str | None,
    **options: Any,
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
    split, seed = options.pop("split"), options.pop("seed")
    wanted = list(dict.fromkeys(names)) or options["sequences"]
    del options["sequences"]
    model, opened, split = open_both(run, store, split)
    chosen = None
    if wanted:
        chosen = pick_sequences(opened, wanted, split, model.frames_per_set, seed)
        chosen.sort(key=lambda sequence: sequence.index)
    searched = [c - 1 for c in components] or range(model.dynamic_dim)
    progress = Counter("sequences encoded")
    found, labels, quiet = [], [], {}
    encoded = encode_sequences(
        model, opened, split, seed=seed, progress=progress, sequences=chosen
    )
    for sequence, codes in encoded:
        known = opened.frame_labels(sequence.index)
        events = find_events(sequence, codes, known, components=searched, **options)
        if not events:
            spans = np.ptp(codes.standardized[:, list(searched)], axis=0)
            quiet[sequence.name] = spans.max()
        found += events
        positions = [event.position for event in events]
        labels += label_texts(opened, sequence, positions)
    click.echo(f"{write_events(out, found, labels)}: {len(found)} events")
    if quiet:
        name, span = next(iter(quiet.items()))
        click.echo(
            f"no events in {len(quiet)} of the sequences: {name} first, where z "
            f"covers {span:.2g} standard scores; smaller --prominence or --smooth "
            "finds smaller ones"
        )
    if sheet is not None:
        _draw(opened, found, sheet)


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
