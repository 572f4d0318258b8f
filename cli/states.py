"""`ddr states`."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import click

from ddr_cli.arguments import choice_option, media_option, seed_option
from ddr_cli.opening import writing_command
from ddr_cli.progress import Counter

if TYPE_CHECKING:
    from keras_ddr.codes import Codes
    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.exports import Timeline
    from keras_ddr.sequence_model import SequenceModel

_LOOKED_AT = 20  # sequences, for the share of motion that z explains


@writing_command(
    "States: clusters of z, their use, bouts, transitions, and groups.",
    None,
    click.option(
        "--states",
        "number",
        type=click.IntRange(2),
        help="Number of states.  [default: chosen on val]",
    ),
    choice_option(
        "--method",
        ["mixture", "hmm"],
        "mixture",
        "A mixture of Gaussians, or a hidden Markov model of the same Gaussians, whose "
        "states flicker less; it needs frames in order.",
    ),
    click.option(
        "--groups",
        metavar="LABEL",
        help="Test whether groups of persons, by this label of sequences, differ in "
        "the use of states.",
    ),
    click.option(
        "--annotations",
        metavar="FILE",
        type=click.Path(),
        help="Also write the bouts for a tool in which people annotate: .boris, .tsv, "
        ".eaf, .TextGrid, .srt, .vtt or .nwb.",
    ),
    media_option("FILE"),
    seed_option("Of the choice of frames, the fits and the permutations."),
)
def states(
    model: SequenceModel,
    store: FrameStore,
    out: str,
    *,
    number: int | None,
    method: str,
    groups: str | None,
    annotations: str | None,
    media: str | None,
    overwrite: bool,
    seed: int,
) -> str:
    """Find states of the frames of STORE, and write them into the folder OUT.

    States are clusters of z as a standard score under p(z|f), fitted to train, "state
    1" the one with most frames. OUT gets states.csv (a row a frame), bouts.csv (a row
    an interval), summary.json, states.png (frames of each state) and use.png. What is
    printed are means over persons with 95 % intervals over them.
    """
    from keras_ddr import states as rooms
    from keras_ddr.encoding import encode_sequences
    from keras_ddr.exports import write_intervals
    from keras_ddr.states.finding import check_method
    from keras_ddr.states.groups import groups_of
    from keras_ddr.visualization import save_figure
    from keras_ddr.visualization.states import plot_state_use, plot_states

    # Before the work is done.
    check_method(store, method)
    if groups is not None:
        groups_of(store, store.sequences, groups)
    if annotations is not None:
        timelines = _timelines(store, annotations, media, overwrite)
    progress = Counter("sequences encoded")
    encoded = list(encode_sequences(model, store, seed=seed, progress=progress))
    found = rooms.find_states(
        store,
        encoded,
        states=number,
        method=method,
        seed=seed,
        progress=Counter("numbers of states tried"),
    )
    report = rooms.describe_states(store, encoded, found, groups=groups, seed=seed)
    folder = pathlib.Path(out)
    written = rooms.write_states(folder, store, report, overwrite=overwrite)
    figures = {
        "states.png": plot_states(model, store, encoded, report),
        "use.png": plot_state_use(report),
    }
    written += [save_figure(each, folder / name) for name, each in figures.items()]
    if annotations is not None:
        written += write_intervals(
            annotations,
            rooms.bout_intervals(timelines, report.bouts),
            timelines,
            media=media,
            overwrite=overwrite,
        )
    said = [report.table(), *_unexplained(model, store, encoded, seed), ""]
    return "\n".join([*said, *map(str, written)])


def _unexplained(
    model: SequenceModel,
    store: FrameStore,
    encoded: list[tuple[Sequence, Codes]],
    seed: int,
) -> list[str]:
    """A line where z follows little of what moves, from some of the sequences."""
    from keras_ddr.evaluation.motion import LITTLE, median_explained, sequence_motion

    few = encoded[:: -(-len(encoded) // _LOOKED_AT)]
    share = median_explained(
        sequence_motion(model, store, *each, seed=seed).explained for each in few
    )
    if not share < LITTLE:
        return []
    return [
        f"z explains {share:.2f} of what moves (median of {len(few)} sequences): "
        "states of the rest are not found; more training, or --dynamic-dim, may help"
    ]


def _timelines(
    store: FrameStore, annotations: str, media: str | None, overwrite: bool
) -> list[Timeline]:
    """A timeline of each sequence; refuses files that could not be written later."""
    from keras_ddr.exports import Timeline
    from keras_ddr.exports.writing import paths_of

    timelines = [Timeline(s, store.frame_labels(s.index)) for s in store.sequences]
    paths_of(annotations, timelines, media, overwrite)
    return timelines
