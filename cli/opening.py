"""A trained model and the store it is shown with, as most commands take them."""

from __future__ import annotations

import pathlib
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.sequence_model import SequenceModel
    from keras_ddr.typing import StrPath

__all__ = ["open_both"]


def open_both(
    run: StrPath, store: StrPath, split: str | None = None
) -> tuple[SequenceModel, FrameStore, str]:
    """Open a run and a store that fit each other.

    Args:
        run: Run folder or .keras file.
        store: Frame store.
        split: "train", "val", "test", "all", or None for the first of test, val and
            train that holds a sequence.

    Returns:
        Model, `FrameStore` and the split.
    """
    from keras_ddr.data import FrameStore
    from keras_ddr.evaluation.encoded import first_split
    from keras_ddr.runs import check_fits, load_model

    # The store first: it opens at once.
    store = FrameStore.open(store)
    model = load_model(run)
    check_fits(model, store)
    _warn_of_preparation(run, store)
    return model, store, split or first_split(store, model.frames_per_set) or "all"


def _warn_of_preparation(run: StrPath, store: FrameStore) -> None:
    """Say where frames were cut out in another way than those trained on."""
    from keras_ddr.runs import Run
    from keras_ddr.runs.stores import prepared_otherwise

    if (pathlib.Path(run) / "config.json").is_file():
        differs = prepared_otherwise(Run.open(run).config["store"], store)
        if differs:
            warnings.warn(
                f"{store.path} was prepared with {differs} as the frames that {run} "
                "was trained on; its codes mean something else",
                stacklevel=2,
            )
