"""Published models beside `DDR`, which know the seam alone.

`MODELS` has them by the names that `ddr fit --model` takes.
"""

from keras_ddr.model import DDR
from keras_ddr.models.base import PublishedModel
from keras_ddr.models.drnet import DrNet
from keras_ddr.models.drnet_prediction import DrNetPrediction
from keras_ddr.models.dsvae import DSVAE
from keras_ddr.models.fhvae import FHVAE
from keras_ddr.models.mocogan import MoCoGAN
from keras_ddr.models.neural_statistician import NeuralStatistician
from keras_ddr.models.svg import SVG
from keras_ddr.sequence_model import SequenceModel

__all__ = [
    "DSVAE",
    "FHVAE",
    "MODELS",
    "SVG",
    "DrNet",
    "DrNetPrediction",
    "MoCoGAN",
    "NeuralStatistician",
    "PublishedModel",
]

MODELS: dict[str, type[SequenceModel]] = {
    "ddr": DDR,
    "neural_statistician": NeuralStatistician,
    "dsvae": DSVAE,
    "fhvae": FHVAE,
    "drnet": DrNet,
    "drnet_prediction": DrNetPrediction,
    "mocogan": MoCoGAN,
    "svg": SVG,
}
"""Dict from a name to the class of a model."""
