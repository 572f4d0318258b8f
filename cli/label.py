"""`ddr label`."""

import click

from ddr_cli.arguments import overwrite_option, store_argument
from ddr_cli.backend import without_backend
from ddr_cli.preprocess_options import draw, preview_option, report


@click.command(short_help="Labels, people and splits of a table, for a store there is.")
@store_argument
@click.argument("table", type=click.Path())
@click.argument("new", type=click.Path())
@preview_option
@overwrite_option
def label(
    store: str, table: str, new: str, preview: str | None, overwrite: bool
) -> None:
    """Make a store NEW of the frames of STORE, with the labels of TABLE.

    TABLE is a CSV file as for ddr preprocess --labels: a column source (a video, a
    person or a sequence: clip.mp4, clip#person2, clip#1), frame, time, or start and
    end, and any labels. A column person names people, so that two who are one become
    one; split moves them, and none leaves them out. All else stays. The frames are
    shared, not copied, where the file system allows that. With --overwrite NEW may be
    STORE.
    """
    without_backend()
    from keras_ddr.datasets.relabelling import relabel
    from keras_ddr.visualization.style import check_figure_path

    if preview is not None:
        check_figure_path(preview, overwrite)
    made = relabel(store, table, new, overwrite=overwrite)
    report(made)
    if preview is not None:
        draw(made, preview)
