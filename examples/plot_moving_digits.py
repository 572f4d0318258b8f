"""Moving digits: what a thing is, and where
=========================================

In Moving MNIST handwritten digits cross a black frame and bounce off its walls. Here a
sequence is one digit on its way. All its frames share the digit and the hand that wrote
it: that is **f**. They differ in the place: that is **z**, and as a place has two
coordinates, the two numbers of z can hold it.

The digits can be MNIST's, from idx files that you have or as Keras downloads them:

.. code-block:: sh

   python examples/plot_moving_digits.py FOLDER   # of idx files, gzipped or not
   python examples/plot_moving_digits.py keras    # downloads 11 MB, once

In place of the argument you can set the environment variable ``MNIST``. Without either
the digits are the smaller ones that scikit-learn brings along, 1797 of 8×8 pixels,
enlarged. The published sequences, ``mnist_test_seq.npy``, show two digits each; make a
store of them with ``ddr preprocess mmnist``.
"""

import os
import pathlib
import sys

import cv2
import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from keras_ddr import DDR
from keras_ddr.data import FrameSets, write_arrays
from keras_ddr.datasets import moving_mnist
from keras_ddr.visualization import plot_manifold, plot_store, save_figure

out = pathlib.Path("out/moving_digits")
out.mkdir(parents=True, exist_ok=True)

# %%
# The data
# --------
# Digits are 28×28 pixels. The digits of scikit-learn become 20×20 with a border of 4,
# like those of MNIST.

source = (sys.argv[1:] or [os.environ.get("MNIST", "")])[0]
if source:
    images, classes = moving_mnist.load_digits(source)
else:
    print("digits of scikit-learn; name a folder of MNIST, or keras, for the real ones")
    small = load_digits()
    images = np.zeros((len(small.images), 28, 28), "uint8")
    for image, pixels in zip(images, small.images, strict=True):
        large = cv2.resize(pixels * (255 / 16), (20, 20), interpolation=cv2.INTER_CUBIC)
        image[4:24, 4:24] = np.clip(large, 0, 255).round()
    classes = small.target
print(len(images), "digits")

# %%
# The digits are split before they are set in motion, so that the digits of the test
# split are other handwriting than the model was trained on.

names, splits, clips, digits, places = [], [], [], [], []
pools = moving_mnist.split_digits(classes, (0.8, 0.1, 0.1))
for seed, (split, number) in enumerate({"train": 800, "val": 64, "test": 64}.items()):
    pool = pools[split]
    moves = moving_mnist.generate(
        images[pool], classes[pool], number, digits=1, random=seed
    )
    for count, (frames, chosen, positions) in enumerate(moves):
        names.append(f"{split}-{count:03d}")
        splits.append(split)
        clips.append(frames)
        digits.append(str(classes[pool[chosen[0]]]))
        places.append(positions[:, 0])
store = write_arrays(
    out / "store",
    clips,
    names=names,
    splits=splits,
    labels={
        "digit": digits,
        "x": [p[:, 0] for p in places],
        "y": [p[:, 1] for p in places],
    },
    overwrite=True,
)
save_figure(plot_store(store, sequences=4, frames=10, seed=2), out / "frames.png")

# %%
# Training
# --------
# Frames have one channel in place of three; all else is as for the puppets. The labels
# stay in the store; the model does not see them.

steps, epochs = 400, 5
keras.utils.set_random_seed(0)
model = DDR.from_preset("tiny", image_shape=(64, 64, 1))
rate = keras.optimizers.schedules.CosineDecay(
    0.0, (epochs - 1) * steps, warmup_target=7.5e-3, warmup_steps=steps
)
model.compile(keras.optimizers.Adam(rate, global_clipnorm=1e3))
train = FrameSets(store, batch_size=16, steps=steps)
val = FrameSets(store, batch_size=16, split="val", fixed=True)
model.fit(train, validation_data=val, epochs=epochs, verbose=2)

# %%
# The plane of z is the frame
# ---------------------------
# Every panel keeps the f of one digit and moves through z. The model learns the *where*
# within a minute: the digit moves a little from tile to neighbouring tile. The plane of
# z is a picture of the frame, though perhaps turned, mirrored and bent, and it is the
# same in each panel. The *what* takes far longer: so far f knows a digit's size, slant
# and outline, but not its strokes. The paper trains 60,000 steps, this page 2000.

chosen = []
for digit in "273":
    chosen.append(next(s for s in store.select("test") if s.labels["digit"] == digit))
codes = [model.encode(store.frames(sequence.index)) for sequence in chosen]
figure = plot_manifold(
    model,
    codes,
    grid=7,
    names=[f"a {sequence.labels['digit']} of the test split" for sequence in chosen],
    originals=[store.frames(sequence.index)[0] for sequence in chosen],
)
save_figure(figure, out / "manifold.png")
# sphinx_gallery_thumbnail_number = 2

# %%
# The next figure shows z of all test frames as points, coloured by the true place of
# the digit. Neighbours should have nearly the same colour on the left and on the right:
# then z tells column and row, whichever digit it is. Near the middle colours still mix
# a little, so that z does not tell the place to the pixel.

scores, positions = [], []
for sequence in store.select("test"):
    scores.append(model.encode(store.frames(sequence.index)).standardized)
    labels = store.frame_labels(sequence.index)
    positions.append(np.stack([labels["x"], labels["y"]], axis=1))
scores, positions = np.concatenate(scores), np.concatenate(positions)
figure, panels = plt.subplots(1, 2, figsize=(7, 3), layout="constrained", sharey=True)
for axes, values, name in zip(panels, positions.T, ("column", "row"), strict=True):
    points = axes.scatter(*scores.T, c=values, s=4, linewidths=0)
    figure.colorbar(points)
    axes.set(xlabel=r"$\tilde{z}_1$", title=f"{name} of the digit (pixels)")
    axes.spines[["top", "right"]].set_visible(False)
panels[0].set(ylabel=r"$\tilde{z}_2$")
figure.savefig(out / "places.png", dpi=200)
