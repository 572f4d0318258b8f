"""Codes as features: a scikit-learn pipeline
==========================================

Labels are dear, frames are cheap. A model that was trained on many frames without a
label gives features that need few labels: **f** for questions about a whole sequence
("which colour is the shirt?"), **z** for questions about a frame ("how high are the
arms?"). This example asks both, with ordinary scikit-learn estimators.
"""

import pathlib
import random

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from keras_ddr import DDR
from keras_ddr.data import FrameSets
from keras_ddr.datasets import puppets

out = pathlib.Path("out/scikit_learn")
out.mkdir(parents=True, exist_ok=True)

# %%
# A model without labels
# ----------------------
# 300 puppets; 210 of them are for training. The model sees none of the labels in the
# store.

store = puppets.prepare(out / "store", identities=300, arms=8, legs=6, overwrite=True)
steps, epochs = 400, 5
keras.utils.set_random_seed(0)
model = DDR.from_preset("tiny", image_shape=store.frame_shape)
rate = keras.optimizers.schedules.CosineDecay(
    0.0, (epochs - 1) * steps, warmup_target=7.5e-3, warmup_steps=steps
)
model.compile(keras.optimizers.Adam(rate, global_clipnorm=1e3))
model.fit(FrameSets(store, batch_size=16, steps=steps), epochs=epochs, verbose=2)

# %%
# A question about sequences
# --------------------------
# ``encode`` takes a sequence and gives its codes, so one line makes a transformer of
# it: clips go in, and a row of f comes out for each. The result is a pipeline to fit,
# to cross-validate and to search. (Clips may differ in length; f has one size.)


def static_codes(clips):
    """Give f of each clip, `(clips, static_dim)`."""
    return np.stack([model.encode(frames).static.mean for frames in clips])


classifier = make_pipeline(
    FunctionTransformer(static_codes),
    StandardScaler(),
    LogisticRegression(max_iter=1000),
)
# The store has its puppets in the order of their colours.
train = random.Random(0).sample(store.select("train"), 192)
test = store.select("test")
clips = {
    name: [store.frames(s.index) for s in part]
    for name, part in (("train", train), ("test", test))
}
classifier.fit(clips["train"][:60], [s.labels["shirt"] for s in train[:60]])
score = classifier.score(clips["test"], [s.labels["shirt"] for s in test])
print(f"{score:.0%} of the shirts of test puppets are named rightly")

# %%
# How many labels does it take? Each curve shows the accuracy of one attribute of test
# puppets, named from f, against the number of labelled training puppets.

numbers = (12, 24, 48, 96, 192)
codes = {name: static_codes(part) for name, part in clips.items()}
accuracy = {}
for attribute in puppets.ATTRIBUTES:
    known = [s.labels[attribute] for s in train]
    asked = [s.labels[attribute] for s in test]
    estimator = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    accuracy[attribute] = [
        estimator.fit(codes["train"][:n], known[:n]).score(codes["test"], asked)
        for n in numbers
    ]
    print(attribute, *(f"{share:.2f}" for share in accuracy[attribute]))

# %%
# A question about frames
# -----------------------
# For z the unit is the frame. Take z̃, z as a standard score under p(z | f)
# (``codes.standardized``), which means the same for every puppet. With twelve labelled
# puppets, the two numbers of z̃ are compared here with two numbers that know nothing of
# identities, the first principal components of the pixels.


def frames_of(sequences):
    """Pixels, z̃ and arm angles of all frames of some sequences."""
    pixels, scores, angles = [], [], []
    for sequence in sequences:
        frames = store.frames(sequence.index)
        pixels.append(frames.reshape(len(frames), -1) / 255)
        scores.append(model.encode(frames).standardized)
        angles.append(store.frame_labels(sequence.index)["arm_angle"])
    return np.concatenate(pixels), np.concatenate(scores), np.concatenate(angles)


pixels, scores, angles = frames_of(train[:12])
test_pixels, test_scores, test_angles = frames_of(test)
from_scores = make_pipeline(StandardScaler(), KNeighborsRegressor(15))
from_pixels = make_pipeline(PCA(2), StandardScaler(), KNeighborsRegressor(15))
predicted = {
    "z of a frame": from_scores.fit(scores, angles).predict(test_scores),
    "PCA of its pixels": from_pixels.fit(pixels, angles).predict(test_pixels),
}

# %%
# On the left a curve that reaches 1 early needs few labels; chance is one in six. On
# the right each point is a frame of a test puppet: the nearer to the diagonal, the
# better.

figure, panels = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
for (attribute, shares), marker in zip(accuracy.items(), "os^D", strict=True):
    panels[0].plot(numbers, shares, marker=marker, markersize=4, label=attribute)
panels[0].axhline(1 / 6, color="0.6", linestyle="--", linewidth=1)
panels[0].set(xscale="log", xticks=numbers, xticklabels=numbers, ylim=(0, 1.05))
panels[0].minorticks_off()
panels[0].set(xlabel="labelled puppets", ylabel="accuracy on test puppets")
panels[0].legend(
    frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderpad=0
)
for axes, (name, values) in zip(panels[1:], predicted.items(), strict=True):
    jitter = np.random.default_rng(0).uniform(-4, 4, len(values))
    axes.scatter(test_angles + jitter, values, s=3, alpha=0.25, linewidths=0)
    axes.plot((15, 160), (15, 160), color="0.4", linewidth=1)
    axes.set(xlabel="arm angle (degrees)", ylabel="predicted")
    score = r2_score(test_angles, values)
    axes.set_title(f"{name}: $R^2$ = {score:.2f}", fontsize="medium")
for axes in panels:
    axes.spines[["top", "right"]].set_visible(False)
figure.savefig(out / "labels.png", dpi=200)
