"""The networks of the models, as Keras layers: tensors in, tensors out."""

from keras_ddr.layers.components import (
    ComponentsDecoder,
    ComponentsDynamicEncoder,
    ComponentsEncoder,
    PrincipalComponents,
)
from keras_ddr.layers.convolution import DownConvolution, UpConvolution
from keras_ddr.layers.dcgan import DCGANDecoder, DCGANEncoder
from keras_ddr.layers.dynamic_encoder import DynamicEncoder
from keras_ddr.layers.frame_decoder import FrameDecoder
from keras_ddr.layers.frame_encoder import FrameEncoder
from keras_ddr.layers.gaussian_head import GaussianHead
from keras_ddr.layers.pooled_encoder import PooledStaticEncoder
from keras_ddr.layers.prior import ConditionalGaussianPrior, StandardGaussianPrior
from keras_ddr.layers.sampling import GaussianSampling
from keras_ddr.layers.static_encoder import PairwiseStaticEncoder
from keras_ddr.layers.warping_decoder import WarpingDecoder

__all__ = [
    "ComponentsDecoder",
    "ComponentsDynamicEncoder",
    "ComponentsEncoder",
    "ConditionalGaussianPrior",
    "DCGANDecoder",
    "DCGANEncoder",
    "DownConvolution",
    "DynamicEncoder",
    "FrameDecoder",
    "FrameEncoder",
    "GaussianHead",
    "GaussianSampling",
    "PairwiseStaticEncoder",
    "PooledStaticEncoder",
    "PrincipalComponents",
    "StandardGaussianPrior",
    "UpConvolution",
    "WarpingDecoder",
]
