"""Game characters: sprites from a clone of the LPC sheets
=======================================================

The paper's *Sprites* are characters put together from layers: a body, legs, a torso and
hair in six variants each, 1296 characters in all. Each is drawn in the same 178 poses:
it casts a spell, thrusts, walks, slashes, shoots and falls, most of it in four
directions. Again **f** should hold what a character looks like and **z**, two numbers a
frame, its pose.

The sheets are art of the Liberated Pixel Cup, under CC-BY-SA 3.0 or GPL 3.0 with
credits to their authors (``AUTHORS.txt`` in the repository). They are not part of this
package. Get them and name their folder:

.. code-block:: sh

   git clone https://github.com/jrconway3/Universal-LPC-spritesheet
   python examples/plot_sprites.py Universal-LPC-spritesheet

In place of the argument you can set the environment variable ``LPC_SPRITESHEET``.
Pictures made from the sheets come under the same licences: name the authors when you
show them.
"""

import os
import pathlib
import sys

import keras

from keras_ddr import DDR
from keras_ddr.data import FrameSets
from keras_ddr.datasets import sprites
from keras_ddr.visualization import (
    plot_manifold,
    plot_reconstruction,
    plot_store,
    plot_swap,
    save_figure,
)

out = pathlib.Path("out/sprites")
out.mkdir(parents=True, exist_ok=True)
sheets = (sys.argv[1:] or [os.environ.get("LPC_SPRITESHEET", "")])[0]
if not sheets:
    print(
        "There is nothing to see without the sheets. Get them with\n"
        "  git clone https://github.com/jrconway3/Universal-LPC-spritesheet\n"
        "and set LPC_SPRITESHEET to that folder, or give it as an argument."
    )

# %%
# The data
# --------
# 150 characters are enough for a first look. They are composed from the sheets and
# dealt out to training, validation and test.

if sheets:
    store = sprites.prepare(out / "store", sheets, identities=150, overwrite=True)
    print(store)
    save_figure(plot_store(store, sequences=4, frames=12, seed=0), out / "frames.png")

# %%
# Training
# --------
# Only the data and the number of steps differ from the example of the puppets.
# ``small`` would need its twenty minutes for sharper figures, so this is ``tiny``
# again; the results in the documentation show longer trainings.

if sheets:
    steps, epochs = 300, 8
    keras.utils.set_random_seed(0)
    model = DDR.from_preset("tiny")
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, (epochs - 1) * steps, warmup_target=7.5e-3, warmup_steps=steps
    )
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=1e3))
    train = FrameSets(store, batch_size=16, steps=steps)
    val = FrameSets(store, batch_size=16, split="val", fixed=True)
    model.fit(train, validation_data=val, epochs=epochs, verbose=2)

# %%
# How well does it know characters that it has never seen? The upper rows are frames of
# the test split, the lower rows are decoded from their f and z. Hair, shirt and
# direction are right; skin, legs and the frames of a fall are not in the codes yet.

if sheets:
    figure = plot_reconstruction(model, store, sequences=3, frames=8, split="test")
    save_figure(figure, out / "reconstruction.png")

# %%
# The plane of z
# --------------
# A panel is one character. Poses that look alike lie side by side: directions have
# regions of their own, and the regions are the same in each panel.

if sheets:
    people = store.select("test")[:3]
    codes = [model.encode(store.frames(person.index)) for person in people]
    figure = plot_manifold(
        model,
        codes,
        grid=7,
        quantiles=(0.05, 0.95),
        originals=[store.frames(person.index)[130] for person in people],
    )
    save_figure(figure, out / "manifold.png")

# %%
# The character at the left in the pose on top. Directions carry over; raised arms are
# still blurred.

if sheets:
    figure = plot_swap(model, store, identities=4, dynamics=8, split="test", seed=4)
    save_figure(figure, out / "swap.png")
# sphinx_gallery_thumbnail_number = 4
