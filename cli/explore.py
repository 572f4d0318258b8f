"""`ddr explore`."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

from ddr_cli.arguments import seed_option, sequences_options, split_option, whole_option
from ddr_cli.opening import writing_command
from ddr_cli.progress import Counter

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.sequence_model import SequenceModel


@writing_command(
    "A page to play with: one's looks, another's motion.",
    "keras_ddr.visualization.explorer",
    sequences_options(8),
    whole_option(
        "--frames", 150, "Most frames of each sequence, evenly spread.", least=2
    ),
    whole_option("--drawn", 2, "Identities that the model makes up.", least=0),
    split_option(),
    seed_option("Of the random choice of sequences."),
)
def explore(
    model: SequenceModel,
    store: FrameStore,
    out: str,
    *,
    overwrite: bool,
    **options: Any,
) -> pathlib.Path:
    """Write the page OUT.html, which opens in any browser and needs no network.

    RUN is a folder made by ddr fit, or a .keras file; STORE a frame store. The page
    lends the motion of one sequence to the looks of another, shows the pictures at
    each place of a map of motion, and marks moments on a timeline. It holds frames of
    the sequences: pass it on only if you may pass on these.
    """
    from keras_ddr.visualization.explorer import explorer_page, save_explorer

    progress = Counter("identities decoded")
    page = explorer_page(model, store, progress=progress, **options)
    return save_explorer(page, out, overwrite=overwrite)
