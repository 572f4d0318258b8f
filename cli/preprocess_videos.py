"""`ddr preprocess affwild|affwild2|videos|images`: sources of many files."""

import functools
from collections.abc import Callable
from typing import Any

import click

from ddr_cli.backend import select_backend
from ddr_cli.errors import Interrupted
from ddr_cli.preprocess_options import (
    dataset,
    draw,
    options_of,
    refuse_unused,
    report,
    sorted_options,
)
from ddr_cli.progress import Counter


def _files(
    short_help: str, path: str = "root", counted: str = "videos"
) -> Callable[[Callable[[], None]], click.Command]:
    """A command for the data set that a function is named after."""

    def decorate(function: Callable[[], None]) -> click.Command:
        name = function.__name__

        @click.command(name, short_help=short_help)
        @click.argument(path, type=click.Path())
        @click.argument("store", type=click.Path())
        @options_of(dataset(name))
        @functools.wraps(function)
        def command(store: str, **given: Any) -> None:
            _make(name, given.pop(path), store, given, counted)

        return command

    return decorate


@_files("Your videos: faces, the middle, or whole frames.", "source")
def videos() -> None:
    """Read the videos at SOURCE into STORE.

    SOURCE is a video, a folder that is searched with all its subfolders, or a .txt file
    with one path a line. Frame labels hold the frame number and time in the video, and
    where the face was. STORE.report.csv says what became of each video. After an
    interruption the same command goes on from there.
    """


@_files("Pictures: a folder is a sequence.", counted="folders")
def images() -> None:
    """Read the folders of pictures below ROOT into STORE.

    Each folder is a sequence, in the natural order of the file names. 16 bits,
    palettes, transparency, CMYK and EXIF rotation are handled.
    """


@_files("Aff-Wild (2018): faces with valence and arousal.")
def affwild() -> None:
    """Read Aff-Wild, as distributed, from ROOT into STORE.

    Faces are cropped by the boxes that come with the videos (bboxes/…/ID/FRAME.pts),
    and by a detector where there are none. Valence and arousal become frame labels.
    """


@_files("Aff-Wild2, from its cropped_aligned pictures.", counted="folders")
def affwild2() -> None:
    """Read Aff-Wild2 from ROOT into STORE.

    ROOT holds cropped_aligned/VIDEO/00001.jpg and the annotation files. Two people of
    one video (VIDEO_left, VIDEO_right) become sequences of their own in one split.
    """


def _make(
    name: str, path: str, store: str, given: dict[str, Any], counted: str
) -> None:
    """Make a store, with progress, report and preview."""
    source = dataset(name)
    refuse_unused(source, given)
    finds_faces = given.get("crop", "face") == "face"
    if finds_faces and given.get("detector_model", "") is None:
        select_backend()  # Keras keeps, and downloads, the detector's file
    from keras_ddr.visualization.style import check_figure_path

    sheet = given["preview"]
    if sheet is not None:
        check_figure_path(sheet)  # before the work
    given["progress"] = Counter(f"{counted} read")
    try:
        made = source.prepare(
            store,
            path,
            overwrite=given["overwrite"],
            **sorted_options(source, given),
        )
    except KeyboardInterrupt:
        raise Interrupted(
            "interrupted; run the same command again to go on from here"
        ) from None
    report(made)
    from keras_ddr.datasets.pipeline import report_path

    click.echo(f"sources: {report_path(made.path)}")
    if name == "affwild":
        click.echo(
            f"the paper reports {source.PAPER_SEQUENCES} sequences; here are "
            f"{len(made)}"
        )
    if sheet is not None:
        draw(made, sheet)
