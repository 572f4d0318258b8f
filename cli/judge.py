"""`ddr judge`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ddr_cli.arguments import (
    backend_option,
    overwrite_option,
    seed_option,
    store_argument,
)
from ddr_cli.backend import select_backend
from ddr_cli.progress import Counter

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.evaluation.clip_judge import ClipJudge


@click.command(short_help="A judge of clips, for ddr evaluate --judge.")
@store_argument
@click.argument("out", metavar="OUT.keras", type=click.Path())
@click.option(
    "--size",
    type=click.Choice(["small", "published"]),
    default="small",
    show_default=True,
    help="Sizes of the network: for two CPU cores, or those of the published judge, "
    "which want a GPU.",
)
@click.option(
    "--steps",
    type=click.IntRange(1),
    help="Training steps.  [default: 800 of small, 7100 of published]",
)
@click.option(
    "--attribute",
    "attributes",
    metavar="LABEL",
    multiple=True,
    help="Sequence label that it names; may be given several times.  [default: all "
    "categorical ones]",
)
@click.option(
    "--action",
    metavar="LABEL",
    multiple=True,
    help="Frame label that it names; several are joined.  [default: action]",
)
@overwrite_option
@seed_option("Of its weights and batches.")
@backend_option
def judge(
    store: str,
    out: str,
    size: str,
    steps: int | None,
    attributes: tuple[str, ...],
    action: tuple[str, ...],
    overwrite: bool,
    seed: int,
    backend: str | None,
) -> None:
    """Train a judge on the real clips of train, and write it to OUT.keras.

    It names the attributes of a sequence and the action of a clip. A clip is a run of
    frames that the frame label phase counts 0, 1, …; ddr preprocess sprites9 makes such
    a store. The judge is tried on val and test at the end: no number that it gives
    later can be trusted beyond that.
    """
    select_backend(backend)
    from keras_ddr.data import FrameStore
    from keras_ddr.evaluation.clip_judge_training import train_clip_judge
    from keras_ddr.files import check_output_path, replacing

    check_output_path(out, [".keras"], overwrite)
    opened = FrameStore.open(store)
    trained = train_clip_judge(
        opened,
        size=size,
        steps=steps,
        attributes=attributes or None,
        action=action or None,
        seed=seed,
        progress=Counter("training steps"),
    )
    with replacing(out) as temporary:
        trained.save(temporary)
    for line in _tried(trained, opened):
        click.echo(line)
    click.echo(f"judge: {out}")


def _tried(judge: ClipJudge, store: FrameStore) -> list[str]:
    """A table of its accuracies on the clips of val and test."""
    from keras_ddr.evaluation.clip_cutting import cut_clips
    from keras_ddr.evaluation.measure import aligned, number

    rows = []
    for split in ("val", "test"):
        sequences = store.select(split)
        if not sequences:
            continue
        clips = cut_clips(store, sequences, judge.targets, judge.frames)
        found = judge.judge(len(clips), clips.images)
        right = [
            (found[name].argmax(axis=1) == truth)[truth >= 0]
            for name, truth in clips.truth.items()
        ]
        shares = [number(part.mean()) if len(part) else "" for part in right]
        rows.append([split, str(len(clips)), *shares])
    if not rows:
        return ["No clip of val or test is there to try it on."]
    names = [target.name for target in judge.targets]
    return ["", "Accuracy on real clips", *aligned(["split", "clips", *names], rows)]
