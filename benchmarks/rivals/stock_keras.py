"""From stock Keras layers and Keras's own training step, pair after pair."""

import itertools

import keras
from keras import layers, ops

SLOPE = 0.2
HIDDEN = 512


class Elbo(keras.Model):
    """Its outputs are what the loss needs."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        logits, f_mean, f_log, z_mean, z_log, p_mean, p_log = y_pred
        x = ops.cast(x, "float32") / 255.0
        entropy = ops.sum(ops.softplus(logits) - x * logits, axis=(1, 2, 3, 4))
        p_mean, p_log = p_mean[:, None], p_log[:, None]
        kl_z = 0.5 * (
            p_log
            - z_log
            + (ops.exp(z_log) + ops.square(z_mean - p_mean)) * ops.exp(-p_log)
            - 1.0
        )
        kl_f = 0.5 * (ops.exp(f_log) + ops.square(f_mean) - 1.0 - f_log)
        return ops.mean(entropy + ops.sum(kl_z, axis=(1, 2)) + ops.sum(kl_f, axis=1))


class Draw(layers.Layer):
    """A reparameterised draw."""

    def __init__(self):
        super().__init__()
        self.stream = keras.random.SeedGenerator(0)

    def call(self, mean, log_variance):
        noise = keras.random.normal(ops.shape(mean), seed=self.stream)
        return mean + ops.exp(0.5 * log_variance) * noise


class Head(layers.Layer):
    """Mean and bounded log-variance."""

    def __init__(self, dim):
        super().__init__()
        self.dense = layers.Dense(2 * dim)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        mean, log_variance = ops.split(self.dense(x), 2, axis=-1)
        return mean, 7.0 * ops.tanh(log_variance / 7.0)


def make(width, static_dim, number):
    frames = keras.Input((number, 64, 64, 3), dtype="uint8")
    x = layers.Rescaling(1 / 255)(frames)
    x = ops.reshape(x, (-1, 64, 64, 3))
    for _ in range(4):
        x = layers.Conv2D(width, 4, strides=2, padding="same")(x)
        x = layers.LeakyReLU(SLOPE)(x)
    features = ops.reshape(x, (-1, number, 4, 4, width))
    pair = layers.Conv2D(2 * width, 3, padding="same", activation="relu")
    pairs = [
        pair(layers.Concatenate()([features[:, i], features[:, j]]))
        for i, j in itertools.combinations(range(number), 2)
    ]
    x = layers.Conv2D(2 * width, 3, padding="same", activation="relu")(
        layers.Concatenate()(pairs)
    )
    x = layers.Dense(HIDDEN, activation="relu")(layers.Flatten()(x))
    f_mean, f_log = Head(static_dim)(x)
    f = Draw()(f_mean, f_log)
    repeated = layers.RepeatVector(number)(f)
    x = layers.Concatenate()(
        [repeated, ops.reshape(features, (-1, number, 16 * width))]
    )
    for _ in range(2):
        x = layers.Dense(HIDDEN, activation="relu")(x)
    z_mean, z_log = Head(2)(x)
    z = Draw()(z_mean, z_log)
    x = f
    for _ in range(2):
        x = layers.Dense(HIDDEN, activation="relu")(x)
    p_mean, p_log = Head(2)(x)
    x = layers.Dense(16 * width)(layers.Concatenate()([repeated, z]))
    x = ops.reshape(layers.LeakyReLU(SLOPE)(x), (-1, 4, 4, width))
    for _ in range(3):
        x = layers.Conv2DTranspose(width, 4, strides=2, padding="same")(x)
        x = layers.LeakyReLU(SLOPE)(x)
    x = layers.Conv2DTranspose(3, 4, strides=2, padding="same")(x)
    logits = ops.reshape(x, (-1, number, 64, 64, 3))
    model = Elbo(frames, [logits, f_mean, f_log, z_mean, z_log, p_mean, p_log])
    model.compile(keras.optimizers.Adam(1e-4))

    def train(frames, batch):
        history = model.fit(frames, batch_size=batch, verbose=0, shuffle=False)
        return history.history["loss"][-1]

    return train, model.count_params()
