"""Frame stores: reading, writing, and the sets of frames that a model is fitted to."""

from typing import TYPE_CHECKING, Any

from keras_ddr.data.arrays import write_arrays
from keras_ddr.data.labels import Label
from keras_ddr.data.reordering import reordered
from keras_ddr.data.splits import assign_splits
from keras_ddr.data.store import FrameStore, Sequence
from keras_ddr.data.writer import SequenceRecord, StoreWriter, write_store

if TYPE_CHECKING:
    from keras_ddr.data.sets import FrameSets

__all__ = [
    "FrameSets",
    "FrameStore",
    "Label",
    "Sequence",
    "SequenceRecord",
    "StoreWriter",
    "assign_splits",
    "reordered",
    "write_arrays",
    "write_store",
]


def __getattr__(name: str) -> Any:
    # FrameSets needs Keras; reading and writing stores does not.
    if name == "FrameSets":
        from keras_ddr.data.sets import FrameSets

        return FrameSets
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
