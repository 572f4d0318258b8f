"""A model of about thirty lines that knows the seam alone."""

import math

import keras
import numpy as np
from keras import ops

from keras_ddr import Codes, DiagonalGaussian, SequenceModel


@keras.saving.register_keras_serializable(package="own_model")
class Plain(SequenceModel):
    """An autoencoder of dense layers: f is a mean over frames."""

    def __init__(self, image_shape=(64, 64, 3), static_dim=4, dynamic_dim=2, **kwargs):
        super().__init__(**kwargs)
        self.image_shape, self.frames_per_set = tuple(image_shape), 2
        self.static_dim, self.dynamic_dim = static_dim, dynamic_dim
        self.encoder = keras.layers.Dense(static_dim + dynamic_dim, name="encoder")
        self.decoder = keras.layers.Dense(
            math.prod(image_shape), activation="sigmoid", name="decoder"
        )

    def call(self, frames, training=None):
        number = frames.shape[1]
        flat = ops.reshape(ops.cast(frames, "float32") / 255, (-1, number, self.size))
        codes = self.encoder(flat)
        static = ops.mean(codes[..., : self.static_dim], axis=1, keepdims=True)
        codes = ops.concatenate(
            [ops.repeat(static, number, axis=1), codes[..., self.static_dim :]], axis=-1
        )
        return ops.concatenate([flat, self.decoder(codes), codes], axis=-1)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        seen, decoded = y_pred[..., : self.size], y_pred[..., self.size : 2 * self.size]
        return ops.mean(ops.sum(ops.square(seen - decoded), axis=-1))

    @property
    def size(self):
        return math.prod(self.image_shape)

    def encode(self, frames, *, seed=0, noise=0.0, **options):
        frames = np.asarray(frames)[None]
        scale = 1 if frames.dtype == np.uint8 else 255
        codes = ops.convert_to_numpy(self(frames * scale))[0, :, 2 * self.size :]
        static, dynamic = np.split(codes, [self.static_dim], axis=1)
        certain = [
            DiagonalGaussian(c, np.full_like(c, -9)) for c in (static[0], dynamic)
        ]
        return Codes(*certain)

    def decode_pairs(self, static, dynamic):
        codes = ops.convert_to_tensor(np.concatenate([static, dynamic], axis=1))
        return ops.convert_to_numpy(self.decoder(codes)).reshape(-1, *self.image_shape)

    def get_config(self):
        sizes = {"static_dim": self.static_dim, "dynamic_dim": self.dynamic_dim}
        return {**super().get_config(), "image_shape": self.image_shape, **sizes}


@keras.saving.register_keras_serializable(package="own_model")
class Ordered(Plain):
    """The same, of frames in order."""

    frame_order = "ordered"
