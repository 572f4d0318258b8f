"""Who and what, without labels: puppets and ``model.fit``
=======================================================

A puppet is a drawn jumping jack. Its colours are the same in all of its frames, the
angles of its arms and legs are not. Here a model learns to tell the two apart. It sees
frames of many puppets in no order and without any label, and finds

* **f**, one vector for each puppet: the colours that its frames share, that is, who it
  is;
* **z**, two numbers for each frame: the angles that differ between its frames, that is,
  what the puppet is doing.

In Keras's terms, `keras_ddr.DDR` is a variational autoencoder with two codes in place
of one. It is compiled, fitted and saved like any Keras model.
"""

import pathlib

import keras
import matplotlib.pyplot as plt

from keras_ddr import DDR
from keras_ddr.data import FrameSets
from keras_ddr.datasets import puppets
from keras_ddr.visualization import (
    plot_latent,
    plot_manifold,
    plot_store,
    plot_swap,
    save_figure,
)

out = pathlib.Path("out/puppets")
out.mkdir(parents=True, exist_ok=True)

# %%
# The data
# --------
# Frames live in a *store*, a folder with one array of all frames and a table of the
# sequences. This one holds 300 puppets, each in the same 96 poses. A store knows which
# sequences are for training, for validation and for testing; no puppet of the test
# split is ever trained on.

store = puppets.prepare(out / "store", identities=300, overwrite=True)
print(store)
save_figure(plot_store(store, sequences=4, frames=10, seed=1), out / "frames.png")

# %%
# One row is one sequence. For a store of your own arrays there is
# ``keras_ddr.data.write_arrays(folder, list_of_arrays)``.
#
# The model is not fed whole sequences but *sets* of three frames, drawn at random from
# each of 16 sequences. Two frames of a set differ in z only, and the model is told
# nothing else about the difference between f and z.

steps, epochs = 400, 5
train = FrameSets(store, batch_size=16, steps=steps)
val = FrameSets(store, batch_size=16, split="val", fixed=True)
(batch,) = train[0]
print(batch.dtype, batch.shape, "(sets, frames, height, width, channels)")

# %%
# Training
# --------
# The loss is built in: it is the negative of the variational bound (ELBO), in nats a
# set of three frames. The preset ``tiny`` is for two minutes on a CPU, ``small``
# for twenty minutes; ``sprites`` and others are the paper's and want a GPU. Few
# steps go furthest with a high learning rate that rises first and then falls.

keras.utils.set_random_seed(0)
model = DDR.from_preset("tiny")
rate = keras.optimizers.schedules.CosineDecay(
    0.0, (epochs - 1) * steps, warmup_target=7.5e-3, warmup_steps=steps
)
model.compile(keras.optimizers.Adam(rate, global_clipnorm=1e3))
history = model.fit(train, validation_data=val, epochs=epochs, verbose=2).history
model.save(out / "model.keras")

# %%
# The history holds the loss and its three parts. ``reconstruction_loss`` says how badly
# frames are rebuilt from their codes. ``kl_static`` and ``kl_dynamic`` say how many
# nats f and the three z carry: a code whose part stays at 0 is not used. On the left,
# training and validation stay together: the model works on puppets that it was not
# trained on.

figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.6), layout="constrained")
number = range(1, epochs + 1)
left.plot(number, history["loss"], marker="o", label="train")
left.plot(number, history["val_loss"], marker="s", label="validation")
left.set(xlabel="epoch", ylabel="loss (nats a set)", xticks=number)
right.plot(number, history["val_kl_static"], marker="o", label="f")
right.plot(number, history["val_kl_dynamic"], marker="s", label="z of three frames")
right.set(xlabel="epoch", ylabel="KL from the prior (nats)", xticks=number)
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
figure.savefig(out / "history.png", dpi=200)

# %%
# What z means
# ------------
# `encode` finds f of a sequence and z of each of its frames. Now fix f and move through
# the plane of z: every panel is one puppet of the test split, every tile a decoded
# picture. Look for two things: the colours stay the same within a panel, and the same
# place in each panel shows the same pose. Above a panel stands a real frame of its
# puppet.

people = store.select("test")[5::20]
codes = [model.encode(store.frames(person.index)) for person in people]
print("f:", codes[0].static.mean.shape, " z:", codes[0].dynamic.mean.shape)
figure = plot_manifold(
    model,
    codes,
    grid=6,
    originals=[store.frames(person.index)[0] for person in people],
)
save_figure(figure, out / "manifold.png")

# %%
# Nobody told the model about angles, but the store knows them. If z is the pose, then
# frames with nearby angles lie at nearby places, whoever they show: the colours in this
# plane of the z of eight test puppets should run smoothly from one end to the other.
# The axes are z̃, z as a standard score under the learned prior p(z | f), since z itself
# cannot be compared between sequences.

figure = plot_latent(model, store, "arm_angle", sequences=8, split="test")
save_figure(figure, out / "latent.png")

# %%
# Swapping
# --------
# Since f and z are apart, they can be put together anew: each row keeps the f of the
# puppet at the left, each column takes the z of the frame on top. Only the borders are
# frames of the store; the model draws all other tiles. Hands and arms stay a little
# blurred after 2000 steps.

figure = plot_swap(model, store, identities=4, dynamics=8, split="test", align="prior")
save_figure(figure, out / "swap.png")
# sphinx_gallery_thumbnail_number = 5
