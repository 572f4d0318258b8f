"""Train on puppets with `model.fit`, then look at the codes.

Run it from anywhere: `python examples/train_puppets.py`. It takes about two minutes on
two CPU cores and writes into the folder `puppets-example`.
"""

import pathlib

import keras

from keras_ddr import DDR
from keras_ddr.data import FrameSets
from keras_ddr.datasets import puppets
from keras_ddr.visualization import plot_manifold, save_figure

folder = pathlib.Path("puppets-example")
folder.mkdir(exist_ok=True)
store = puppets.prepare(folder / "store", identities=200, overwrite=True)
train = FrameSets(store, batch_size=32, steps=100)
val = FrameSets(store, batch_size=32, split="val", fixed=True)

keras.utils.set_random_seed(0)
model = DDR.from_config_name("tiny")
model.compile(keras.optimizers.Adam(1e-3))
model.fit(train, validation_data=val, epochs=5)
model.save(folder / "model.keras")

people = store.select("test")[:3]
codes = [model.encode(store.frames(person.index)) for person in people]
figure = plot_manifold(model, codes, names=[person.name for person in people])
print(save_figure(figure, folder / "manifold.png"))
