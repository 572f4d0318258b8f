"""`ddr preprocess affwild|affwild2|videos|images`: what is read from many files."""

from typing import Any

import click
from click.core import ParameterSource

from ddr_cli.backend import select_backend, without_backend
from ddr_cli.preprocess_options import (
    cores,
    cropping_options,
    detect_every_option,
    detector_options,
    length_options,
    preview,
    report,
    user_options,
    work_options,
)
from ddr_cli.progress import Counter

__all__ = ["COMMANDS"]

_crop = ["face", "center", "none"]
_OF_FACES = ("people", "align", "margin", "max_gap")
_align = click.option(
    "--align",
    type=click.Choice(["box", "eyes"]),
    default="box",
    show_default=True,
    help="Cut a square around the face, or also turn and scale it by eyes, nose and "
    "mouth, so that where the head is does not fill z.",
)


@click.command(short_help="Your videos: faces, the middle, or whole frames.")
@click.argument("source", type=click.Path())
@click.argument("store", type=click.Path())
@click.option(
    "--crop",
    type=click.Choice(_crop),
    default="face",
    show_default=True,
    help="Follow faces, take the largest square in the middle, or whole frames.",
)
@click.option(
    "--people",
    type=click.Choice(["largest", "all"]),
    default="largest",
    show_default=True,
    help="One person at any time (whose face fills most of the video), or everyone.",
)
@_align
@cropping_options()
@click.option(
    "--fps",
    type=click.FloatRange(0, min_open=True),
    help="Keep so many frames a second, by their time stamps.  [default: all frames]",
)
@click.option(
    "--cuts/--no-cuts",
    default=True,
    show_default=True,
    help="End a sequence where the video cuts to another picture.",
)
@length_options(20, 450)
@detector_options
@detect_every_option
@user_options
@work_options
def videos(source: str, store: str, **options: Any) -> None:
    """Read the videos at SOURCE into STORE.

    SOURCE is a video, a folder that is searched with all its subfolders, or a .txt file
    with one path a line. Frame labels hold the frame number and time in the video, and
    where the face was. STORE.report.csv says what became of each video. After an
    interruption the same command goes on from there.
    """
    from_files("videos", source, store, options)


@click.command(short_help="Pictures: a folder is a sequence.")
@click.argument("root", type=click.Path())
@click.argument("store", type=click.Path())
@click.option(
    "--crop",
    type=click.Choice(_crop),
    default="none",
    show_default=True,
    help="Cut out faces, take the largest square in the middle, or whole pictures.",
)
@_align
@cropping_options()
@length_options(3, None, gap=False)
@detector_options
@user_options
@work_options
def images(root: str, store: str, **options: Any) -> None:
    """Read the folders of pictures below ROOT into STORE.

    Each folder is a sequence, in the natural order of the file names. 16 bits,
    palettes, transparency, CMYK and EXIF rotation are handled.
    """
    from_files("images", root, store, options)


@click.command(short_help="Aff-Wild (2018): faces with valence and arousal.")
@click.argument("root", type=click.Path())
@click.argument("store", type=click.Path())
@cropping_options()
@length_options(20, 450)
@detector_options
@detect_every_option
@work_options
def affwild(root: str, store: str, **options: Any) -> None:
    """Read Aff-Wild, as distributed, from ROOT into STORE.

    Faces are cropped by the boxes that come with the videos (bboxes/…/ID/FRAME.pts),
    and by a detector where there are none. Valence and arousal become frame labels.
    """
    from_files("affwild", root, store, options)


@click.command(short_help="Aff-Wild2, from its cropped_aligned pictures.")
@click.argument("root", type=click.Path())
@click.argument("store", type=click.Path())
@cropping_options(margin=False)
@length_options(20, 450)
@work_options
def affwild2(root: str, store: str, **options: Any) -> None:
    """Read Aff-Wild2 from ROOT into STORE.

    ROOT holds cropped_aligned/VIDEO/00001.jpg and the annotation files. Two people of
    one video (VIDEO_left, VIDEO_right) become sequences of their own in one split.
    """
    from_files("affwild2", root, store, options)


COMMANDS = (affwild, affwild2, videos, images)


def from_files(name: str, source: str, store: str, options: dict[str, Any]) -> None:
    """Run the data set of that name, with its progress, report and preview."""
    _refuse_unused(options)
    finds_faces = options.get("crop", "face") == "face"
    if finds_faces and options.get("detector_model", "") is None:
        select_backend()  # Keras keeps, and downloads, the detector's file
    else:
        without_backend()
    import importlib

    dataset = importlib.import_module(f"keras_ddr.datasets.{name}")
    sheet = options.pop("preview")
    options["workers"] = options["workers"] or cores()
    options["channels"] = int(options["channels"])
    what = "folders" if name in ("images", "affwild2") else "videos"
    with preview(sheet) as show:
        made = dataset.prepare(
            store, source, **options, progress=Counter(f"{what} read")
        )
        report(made, table=True)
        if name == "affwild":
            click.echo(
                f"the paper reports {dataset.PAPER_SEQUENCES} sequences; here are "
                f"{len(made)}"
            )
        show(made)


def _refuse_unused(options: dict[str, Any]) -> None:
    """Refuse options that were given and would change nothing."""
    context = click.get_current_context()
    given = {
        parameter.name: parameter.opts[0]
        for parameter in context.command.params
        if parameter.name
        and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    }
    crop = options.get("crop", "face")
    unused = [given[name] for name in _OF_FACES if crop != "face" and name in given]
    if unused:
        raise click.UsageError(
            f"{', '.join(unused)}: changes nothing with --crop {crop}; add "
            "--crop face, or leave it out"
        )
    if options["dask"] and "workers" in given:
        raise click.UsageError(
            "--workers: changes nothing with --dask, whose workers are those of the "
            "cluster; leave it out"
        )
