"""Somebody's script: `python train.py STORE FOLDER EPOCHS STEPS`."""

import json
import pathlib
import sys

import keras

from keras_ddr import DDR
from keras_ddr.callbacks import SaveAndResume
from keras_ddr.data import FrameSets, FrameStore

store, folder = FrameStore.open(sys.argv[1]), pathlib.Path(sys.argv[2])
epochs, steps = map(int, sys.argv[3:])
keras.utils.set_random_seed(0)
model = DDR(
    (16, 16, 3),
    frames_per_set=2,
    static_dim=4,
    filters=4,
    pair_filters=4,
    hidden_units=8,
    aggregation="mean",
    dtype="mixed_bfloat16",
)
rate = keras.optimizers.schedules.CosineDecay(1e-3, epochs * steps)
# An odd number of steps ends an epoch between two changes of the weights.
model.compile(
    keras.optimizers.Adam(rate, global_clipnorm=20.0, gradient_accumulation_steps=2)
)
arguments = {"frames_per_set": 2, "batch_size": 2}
resume = SaveAndResume(folder)
model.fit(
    FrameSets(store, split="train", steps=steps, **arguments),
    validation_data=FrameSets(store, split="val", steps=2, fixed=True, **arguments),
    epochs=epochs,
    verbose=0,
    callbacks=[resume],
)
model.save(folder / "model.keras")
(folder / "history.json").write_text(json.dumps(resume.history))
