"""`ddr events`."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ddr_cli.arguments import (
    media_option,
    prominence_option,
    seed_option,
    sequences_options,
    smooth_option,
    split_option,
    whole_option,
)
from ddr_cli.opening import named, writing_command
from ddr_cli.progress import Counter

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.events import Event
    from keras_ddr.sequence_model import SequenceModel


@writing_command(
    "Peaks and valleys of z: a first list of moments to look at.",
    "keras_ddr.events",
    sequences_options(None),
    split_option("all"),
    click.option(
        "--component",
        "components",
        type=click.IntRange(1),
        multiple=True,
        help="Component of z, from 1; may be given several times.  [default: all]",
    ),
    smooth_option,
    prominence_option,
    whole_option(
        "--distance", 5, "Least distance of two events of one kind, in frames."
    ),
    click.option(
        "--sheet",
        metavar="FILE",
        type=click.Path(),
        help="Write a contact sheet of the most prominent ones (.png, .pdf or .svg).",
    ),
    media_option("OUT"),
    seed_option("Of the choice of sequences and of the frames that f is taken from."),
)
def events(
    model: SequenceModel,
    store: FrameStore,
    out: str,
    *,
    sequences: int | list[str] | None,
    split: str,
    components: tuple[int, ...],
    sheet: str | None,
    media: str | None,
    overwrite: bool,
    seed: int,
    **options: Any,
) -> str:
    """Write the extremes of the dynamics of the sequences of STORE to OUT.

    OUT.csv has a row an event: sequence, component of z, peak or valley, frame, time, z
    and its prominence, the share of the sequence's motion that z explains, and the
    labels of the frame. Rows are in the order of sequences and time.

    Other files are for tools in which people annotate: OUT.boris (a project of BORIS),
    OUT.tsv (a table like its aggregated events), OUT.eaf (ELAN), OUT.TextGrid (Praat),
    OUT.srt or OUT.vtt (subtitles), OUT.nwb. They count seconds of the video. All but
    the first two are about one video: of several, each gets a file, OUT-VIDEO.eaf.
    """
    import numpy as np

    from keras_ddr.encoding import encode_sequences, label_texts
    from keras_ddr.evaluation.motion import LITTLE, sequence_motion
    from keras_ddr.events import find_events
    from keras_ddr.visualization.selection import pick_sequences
    from keras_ddr.visualization.style import check_figure_path

    if sheet is not None:
        check_figure_path(sheet, overwrite)
    chosen = None
    if sequences:
        picked = pick_sequences(store, sequences, split, model.frames_per_set, seed)
        by_index = {sequence.index: sequence for sequence in picked}
        chosen = [by_index[index] for index in sorted(by_index)]
    searched = [c - 1 for c in components] or range(model.dynamic_dim)
    looked_at = chosen or store.require(split, model.frames_per_set)
    write = _writer(store, out, looked_at, media, overwrite)
    found, labels, quiet, missed = [], [], {}, {}
    for sequence, codes in encode_sequences(
        model,
        store,
        split,
        seed=seed,
        progress=Counter("sequences encoded"),
        sequences=chosen,
    ):
        known = store.frame_labels(sequence.index)
        share = sequence_motion(model, store, sequence, codes, seed=seed).explained
        if share < LITTLE:
            missed[sequence.name] = share
        events = find_events(
            sequence,
            codes,
            known,
            components=searched,
            motion_explained=share,
            **options,
        )
        if not events:
            spans = np.ptp(codes.standardized[:, list(searched)], axis=0)
            quiet[sequence.name] = spans.max()
        found += events
        labels += label_texts(store, sequence, [event.position for event in events])
    said = [f"{write(found, labels)}: {len(found)} events"]
    if quiet:
        name, span = next(iter(quiet.items()))
        where = f"{len(quiet)} of the sequences: {name} first"
        said.append(
            f"no events in {name if len(quiet) == 1 else where}, where z covers "
            f"{span:.2g} standard scores; smaller --prominence or --smooth finds "
            "smaller ones"
        )
    if missed:
        name = min(missed, key=missed.__getitem__)
        where = f"{len(missed)} of the sequences, whose events miss much: {name} first"
        if len(missed) == 1:
            where = f"{name}, whose events miss much"
        said.append(
            f"z explains little of what moves in {where}, with {missed[name]:.2f} of "
            "its motion; more training, or --dynamic-dim, may find it"
        )
    if sheet is not None:
        said.append(_draw(store, found, sheet))
    return "\n".join(said)


def _writer(
    store: FrameStore,
    out: str,
    sequences: list[Sequence],
    media: str | None,
    overwrite: bool,
) -> Callable[[list[Event], list[dict[str, str]]], str]:
    """A function that writes events and their labels, and gives what it wrote.

    Files that cannot be written are refused here, before the work is done.
    """
    from keras_ddr.events import TABLE, event_intervals, write_events
    from keras_ddr.exports import Timeline, write_intervals
    from keras_ddr.exports.writing import paths_of

    if pathlib.Path(out).suffix.lower() == TABLE:
        return lambda events, labels: str(write_events(out, events, labels))
    timelines = {s.name: Timeline(s, store.frame_labels(s.index)) for s in sequences}
    paths_of(out, timelines.values(), media, overwrite)

    def write(events: list[Event], labels: list[dict[str, str]]) -> str:
        intervals = [
            interval
            for name, of_sequence in itertools.groupby(events, lambda e: e.sequence)
            for interval in event_intervals(timelines[name], of_sequence)
        ]
        files = write_intervals(
            out, intervals, timelines.values(), media=media, overwrite=overwrite
        )
        return named(files)

    return write


def _draw(store: FrameStore, found: list[Event], path: str) -> str:
    """Write the contact sheet, and say where it is."""
    from keras_ddr.visualization import save_figure
    from keras_ddr.visualization.events import MOST_SEQUENCES, plot_events

    if not found:
        return f"sheet: {path} is not written, since there are no events to show"
    number = len({event.sequence for event in found})
    most = f" (the first {MOST_SEQUENCES} of {number} sequences)"
    written = save_figure(plot_events(store, found), path)
    return f"sheet: {written}{most if number > MOST_SEQUENCES else ''}"
