"""Published models beside `DDR`, which know the seam alone.

`MODELS` has them by the names that `ddr fit --model` takes.
"""

from keras_ddr.model import DDR
from keras_ddr.models.base import PublishedModel
from keras_ddr.sequence_model import SequenceModel

__all__ = ["MODELS", "PublishedModel"]

MODELS: dict[str, type[SequenceModel]] = {"ddr": DDR}
"""Dict from a name to the class of a model."""
