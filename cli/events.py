"""`ddr events`."""

import click

from ddr_cli.backend import backend_option, select_backend
from ddr_cli.progress import Counter

__all__ = ["events"]


@click.command(short_help="Peaks and valleys of z: a first list of moments to look at.")
@click.argument("run", type=click.Path())
@click.argument("store", type=click.Path())
@click.argument("out", type=click.Path())
@click.option(
    "--sequence",
    "names",
    multiple=True,
    metavar="NAME",
    help="Name of a sequence; may be given several times.  [default: all of the split]",
)
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test", "all"]),
    default="all",
    show_default=True,
    help="Split that sequences are taken from.",
)
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
@backend_option
def events(
    run,
    store,
    out,
    names,
    split,
    components,
    smooth,
    prominence,
    distance,
    sheet,
    backend,
):
    """Write the extremes of the dynamics of the sequences of STORE to OUT.csv.

    A row an event: sequence, component of z, peak or valley, frame, time, z and its
    prominence, and the labels of the frame. Rows are in the order of sequences and
    time.
    """
    select_backend(backend)
    from ddr_cli.opening import open_both
    from keras_ddr.encoding import label_texts
    from keras_ddr.events import find_events, write_events
    from keras_ddr.files import check_output_path
    from keras_ddr.visualization import save_figure
    from keras_ddr.visualization.events import plot_events
    from keras_ddr.visualization.selection import pick_sequences
    from keras_ddr.visualization.style import check_figure_path

    check_output_path(out, [".csv"])
    if sheet is not None:
        check_figure_path(sheet)
    model, store, split = open_both(run, store, split)
    number = model.frames_per_set
    chosen = pick_sequences(store, list(names) or len(store), split, number)
    progress = Counter("sequences encoded")
    found, labels = [], []
    for done, sequence in enumerate(chosen, start=1):
        codes = model.encode(store.frames(sequence.index))
        known = store.frame_labels(sequence.index)
        of_sequence = find_events(
            sequence,
            codes,
            known,
            components=[c - 1 for c in components] or None,
            width=smooth,
            prominence=prominence,
            distance=distance,
        )
        found += of_sequence
        labels += [
            label_texts(store, sequence, known, event.position) for event in of_sequence
        ]
        progress(done, len(chosen))
    click.echo(f"{write_events(out, found, labels)}: {len(found)} events")
    if sheet is not None and found:
        click.echo(f"sheet: {save_figure(plot_events(store, found), sheet)}")
