"""Your own likelihood and your own frame encoder
==============================================

Two parts of the model are often worth changing. The *likelihood* p(x | f, z) says how
far a decoded picture may be from the real one, and at what price. The *frame encoder*
turns each frame into the features that **f** (what the frames of a sequence share) and
**z** (what is particular to one of them) are computed from. Both are ordinary Keras
layers.
"""

import pathlib

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import ops

from keras_ddr import DDR
from keras_ddr.data import FrameSets
from keras_ddr.datasets import puppets
from keras_ddr.likelihoods import Likelihood

out = pathlib.Path("out/own_parts")
out.mkdir(parents=True, exist_ok=True)

# %%
# A likelihood
# ------------
# Subclass `keras_ddr.likelihoods.Likelihood` and define ``log_prob``, nats an image
# given the outputs of the decoder, and ``mean``, the picture to show. This one is the
# Bernoulli of the paper within a disc and ignores the pixels outside, so that f and z
# need not describe a restless background at the corners. Ignored pixels are shown in
# white.
#
# Registered with Keras, it is saved and loaded with the model. A likelihood may have
# weights; it makes them in ``build``, as any layer does.


def disc(height, width):
    """Which pixels lie within the largest ellipse, bool `(height, width)`."""
    y, x = np.mgrid[1 : 2 * height : 2, 1 : 2 * width : 2]
    return np.hypot(y / height - 1, x / width - 1) <= 1


@keras.saving.register_keras_serializable(package="example")
class DiscBernoulli(Likelihood):
    """Bernoulli on intensities, of the pixels within a disc."""

    def log_prob(self, outputs, x):
        """Nats an image, `(...)`; outputs and x are `(..., H, W, C)`."""
        outputs, x = ops.cast(outputs, "float32"), ops.cast(x, "float32")
        pixels = x * outputs - ops.softplus(outputs)
        return ops.sum(pixels * self._inside(outputs), axis=(-3, -2, -1))

    def mean(self, outputs):
        """Expected intensities `(..., H, W, C)`, 1 where nothing is known of them."""
        inside = self._inside(outputs)
        return inside * ops.sigmoid(ops.cast(outputs, "float32")) + (1 - inside)

    def _inside(self, outputs):
        height, width = outputs.shape[-3:-1]
        return ops.convert_to_tensor(disc(height, width)[..., None], "float32")


# %%
# A frame encoder
# ---------------
# Any Keras layer or model that takes frames ``(batch, height, width, channels)`` in
# [0, 1] and gives maps ``(batch, rows, columns, features)`` is a frame encoder as it
# is; so are the networks of ``keras.applications`` with their top off. It gives maps
# and not vectors because the pairs of a set are compared place by place. This one looks
# at frames at half their size, which saves three quarters of the work where frames are
# large.


def coarse_encoder(filters):
    """Three strided convolutions over frames of half the size."""
    down = {"strides": 2, "padding": "same", "activation": "leaky_relu"}
    return keras.Sequential(
        [
            keras.layers.AveragePooling2D(2),
            *(
                keras.layers.Conv2D(filters, 4, kernel_initializer="he_normal", **down)
                for _ in range(3)
            ),
        ]
    )


# %%
# Two trainings
# -------------
# The model as it is and one with both new parts, on the same puppets in the same order.
# Parts are arguments of `DDR` that stand beside the preset, and are saved with the
# model: the models below are those that were loaded from their files.

store = puppets.prepare(out / "store", identities=300, overwrite=True)
steps, epochs = 250, 4
models = {}
for name in ("as it is", "own parts"):
    keras.utils.set_random_seed(0)
    parts = {}
    if name == "own parts":
        parts = {"likelihood": DiscBernoulli(), "frame_encoder": coarse_encoder(24)}
    model = DDR.from_preset("tiny", image_shape=store.frame_shape, **parts)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, (epochs - 1) * steps, warmup_target=7.5e-3, warmup_steps=steps
    )
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=1e3))
    sets = FrameSets(store, batch_size=16, steps=steps)
    history = model.fit(sets, epochs=epochs, verbose=0).history
    model.save(out / "model.keras")
    models[name] = keras.saving.load_model(out / "model.keras")
    parameters = model.frame_encoder.count_params()
    losses = ", ".join(f"{loss:.0f}" for loss in history["loss"])
    print(f"{name}: loss {losses}; frame encoder of {parameters:,} weights")

# %%
# Losses of different likelihoods are different quantities and must not be compared.
# Pictures can be: frames of a test puppet above the reconstructions of each model, with
# the mean squared error within the disc over all test frames. Hands are blurred after
# so few steps; look whether your own parts do as well within the disc.

tests = store.select("test")
puppet = tests[5]
frames = store.frames(puppet.index)
shown = np.linspace(0, len(frames) - 1, 9).astype(int)
rows, titles = [frames[shown] / 255], ["original"]
inside = disc(*frames.shape[1:3])
for name, model in models.items():
    errors = []
    for sequence in tests:
        real = store.frames(sequence.index) / 255
        codes = model.encode(store.frames(sequence.index))
        rebuilt = model.decode(codes.static.mean, codes.dynamic.mean)
        errors.append(np.mean(np.square(rebuilt - real)[:, inside]))
        if sequence is puppet:
            rows.append(rebuilt[shown])
    titles.append(f"{name}\nmse {np.mean(errors):.4f}")
figure, panels = plt.subplots(len(rows), 1, figsize=(8, 2.9), layout="constrained")
for axes, row, title in zip(panels, rows, titles, strict=True):
    axes.imshow(
        np.concatenate(
            np.pad(row, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1), axis=1
        ),
        interpolation="nearest",
    )
    axes.set_ylabel(title, rotation=0, ha="right", va="center")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
figure.savefig(out / "reconstructions.png", dpi=200)
