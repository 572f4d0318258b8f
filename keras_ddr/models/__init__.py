"""Published models beside `DDR`, which know the seam alone.

`MODELS` has them by the names that `ddr fit --model` takes.
"""

from keras_ddr.model import DDR
from keras_ddr.models.base import PublishedModel
from keras_ddr.models.fhvae import FHVAE
from keras_ddr.models.neural_statistician import NeuralStatistician
from keras_ddr.sequence_model import SequenceModel

__all__ = ["FHVAE", "MODELS", "NeuralStatistician", "PublishedModel"]

MODELS: dict[str, type[SequenceModel]] = {
    "ddr": DDR,
    "neural_statistician": NeuralStatistician,
    "fhvae": FHVAE,
}
"""Dict from a name to the class of a model."""
