"""`ddr encode`."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import click

from ddr_cli.arguments import number_option, seed_option, split_option
from ddr_cli.opening import named, writing_command
from ddr_cli.progress import Counter

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.sequence_model import SequenceModel


@writing_command(
    "f and z of all sequences and frames, as .npz, .csv, .parquet or .nwb.",
    "keras_ddr.encoding",
    split_option("all"),
    click.option(
        "--sets",
        type=click.IntRange(1),
        help="Random sets of frames that f of a sequence is taken from.  [default: "
        "that of the model, 16 of DDR]",
    ),
    seed_option("Of the choice of these sets, and of --noise."),
    number_option(
        "--noise",
        0.0,
        "Random noise on z in standard deviations of its posterior, against appearance "
        "that can be guessed from z; 1 draws z from the posterior.",
    ),
)
def encode(model: SequenceModel, store: FrameStore, out: str, **options: Any) -> str:
    """Write the codes of the sequences of STORE to OUT.

    Means and variances of f and z, z as a standard score under p(z|f), the frame's
    number and time in its source, and all labels. OUT.csv has a row a frame, and so has
    OUT.parquet, which needs PyArrow; OUT.npz is read with numpy.load. OUT.nwb, which
    needs PyNWB, has a series a sequence, and no labels; it is about one video: of
    several, each gets a file of its own, OUT-VIDEO.nwb.
    """
    from keras_ddr.encoding import BY_RECORDING, write_codes, write_codes_by_recording

    if options["sets"] is None:
        del options["sets"]
    options["progress"] = Counter("sequences encoded")
    if pathlib.Path(out).suffix.lower() != BY_RECORDING:
        return str(write_codes(out, model, store, **options))
    return named(write_codes_by_recording(out, model, store, **options))
