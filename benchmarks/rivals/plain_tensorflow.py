"""TensorFlow without Keras: `tf.nn`, one `tf.function`, and Adam in a few lines."""

import itertools
import math

import tensorflow as tf

SLOPE = 0.2
HIDDEN = 512


class Model(tf.Module):
    def __init__(self, width, static_dim, number):
        super().__init__()
        self.width, self.number = width, number
        pairs = number * (number - 1) // 2
        self.pairs = list(itertools.combinations(range(number), 2))
        self.down = [weights(4, 4, c, width) for c in (3, width, width, width)]
        self.pair = weights(3, 3, 2 * width, 2 * width)
        self.set = weights(3, 3, pairs * 2 * width, 2 * width)
        self.static = [weights(32 * width, HIDDEN), weights(HIDDEN, 2 * static_dim)]
        self.dynamic = head(static_dim + 16 * width)
        self.prior = head(static_dim)
        self.start = weights(static_dim + 2, 16 * width)
        # Transposed kernels hold outputs before inputs.
        self.up = [
            (kernel, tf.Variable(tf.zeros(outputs)))
            for outputs in (width, width, width, 3)
            for kernel, _ in [weights(4, 4, outputs, width)]
        ]

    def loss(self, frames):
        """Negative ELBO of `(B, N, 64, 64, 3)` in [0, 1]."""
        batch, number = tf.shape(frames)[0], self.number
        x = tf.reshape(frames, (-1, 64, 64, 3))
        for kernel, bias in self.down:
            x = tf.nn.bias_add(tf.nn.conv2d(x, kernel, 2, "SAME"), bias)
            x = tf.nn.leaky_relu(x, SLOPE)
        maps = tf.reshape(x, (-1, number, 4, 4, self.width))
        # All pairs as one batch.
        pairs = tf.stack(
            [tf.concat([maps[:, i], maps[:, j]], -1) for i, j in self.pairs], axis=1
        )
        kernel, bias = self.pair
        pairs = tf.reshape(pairs, (-1, 4, 4, 2 * self.width))
        pairs = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(pairs, kernel, 1, "SAME"), bias))
        joined = tf.reshape(pairs, (batch, len(self.pairs), 4, 4, 2 * self.width))
        joined = tf.reshape(
            tf.transpose(joined, (0, 2, 3, 1, 4)),
            (batch, 4, 4, len(self.pairs) * 2 * self.width),
        )
        kernel, bias = self.set
        joined = tf.nn.relu(
            tf.nn.bias_add(tf.nn.conv2d(joined, kernel, 1, "SAME"), bias)
        )
        f_mean, f_log = dense(tf.reshape(joined, (batch, -1)), self.static)
        f = draw(f_mean, f_log)
        repeated = tf.repeat(f[:, None], number, axis=1)
        flat = tf.reshape(maps, (batch, number, 16 * self.width))
        z_mean, z_log = dense(tf.concat([repeated, flat], -1), self.dynamic)
        z = draw(z_mean, z_log)
        p_mean, p_log = (part[:, None] for part in dense(f, self.prior))
        kernel, bias = self.start
        x = tf.nn.leaky_relu(tf.concat([repeated, z], -1) @ kernel + bias, SLOPE)
        x = tf.reshape(x, (-1, 4, 4, self.width))
        for step, (kernel, bias) in enumerate(self.up, start=1):
            size, outputs = 4 * 2**step, kernel.shape[2]
            shape = (batch * number, size, size, outputs)
            x = tf.nn.conv2d_transpose(x, kernel, shape, 2, "SAME") + bias
            if step < len(self.up):
                x = tf.nn.leaky_relu(x, SLOPE)
        x = tf.reshape(x, (batch, number, 64, 64, 3))
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(frames, x)
        variance = tf.exp(z_log) + tf.square(z_mean - p_mean)
        kl_z = 0.5 * (p_log - z_log + variance * tf.exp(-p_log) - 1.0)
        kl_f = 0.5 * (tf.exp(f_log) + tf.square(f_mean) - 1.0 - f_log)
        total = sum(map(tf.reduce_sum, (entropy, kl_z, kl_f)))
        return total / tf.cast(batch, tf.float32)


def weights(*shape):
    scale = math.sqrt(2 / math.prod(shape[:-1]))
    return tf.Variable(tf.random.normal(shape) * scale), tf.Variable(
        tf.zeros(shape[-1])
    )


def head(inputs):
    return [weights(inputs, HIDDEN), weights(HIDDEN, HIDDEN), weights(HIDDEN, 4)]


def dense(x, layers):
    for kernel, bias in layers[:-1]:
        x = tf.nn.relu(x @ kernel + bias)
    kernel, bias = layers[-1]
    mean, log_variance = tf.split(x @ kernel + bias, 2, axis=-1)
    return mean, 7.0 * tf.tanh(log_variance / 7.0)


def draw(mean, log_variance):
    return mean + tf.exp(0.5 * log_variance) * tf.random.normal(tf.shape(mean))


def make(width, static_dim, number):
    tf.random.set_seed(0)
    model = Model(width, static_dim, number)
    variables = model.trainable_variables
    moments = [
        (tf.Variable(tf.zeros_like(v)), tf.Variable(tf.zeros_like(v)))
        for v in variables
    ]
    count = tf.Variable(0.0)

    @tf.function
    def step(frames):
        with tf.GradientTape() as tape:
            loss = model.loss(tf.cast(frames, tf.float32) / 255.0)
        gradients = tape.gradient(loss, variables)
        count.assign_add(1.0)
        rate = 1e-4 * tf.sqrt(1.0 - tf.pow(0.999, count)) / (1.0 - tf.pow(0.9, count))
        for variable, gradient, (first, second) in zip(
            variables, gradients, moments, strict=True
        ):
            first.assign_add(0.1 * (gradient - first))
            second.assign_add(0.001 * (tf.square(gradient) - second))
            variable.assign_sub(rate * first / (tf.sqrt(second) + 1e-7))
        return loss

    def train(frames, batch):
        for start in range(0, len(frames), batch):
            loss = step(frames[start : start + batch])
        return float(loss)

    return train, sum(math.prod(v.shape) for v in variables)
