"""Frame stores: reading, writing, and the sets of frames that a model is fitted to."""

from keras_ddr.data.sets import FrameSets
from keras_ddr.data.store import FrameStore, Sequence
from keras_ddr.data.writer import (
    SequenceRecord,
    StoreWriter,
    assign_splits,
    write_store,
)

__all__ = [
    "FrameSets",
    "FrameStore",
    "Sequence",
    "SequenceRecord",
    "StoreWriter",
    "assign_splits",
    "write_store",
]
