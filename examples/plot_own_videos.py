"""Your own videos: from files to a list of moments
================================================

You have videos and want to find the moments at which something happens, without naming
it beforehand. **z** of a frame describes the movement in it, so the moments at which z
reaches an extreme are a first list to look at. This example goes the whole way with
commands of a terminal. Its videos are drawn, so that no person is shown; for videos of
people leave out ``--crop none``, and faces are found, followed and cropped.
"""

import csv
import pathlib
import shutil
import subprocess
import sys

import cv2
import numpy as np

from keras_ddr.data import FrameStore
from keras_ddr.datasets import puppets
from keras_ddr.runs import Run
from keras_ddr.visualization import plot_dynamics, save_figure

out = pathlib.Path("out/own_videos")
(out / "videos").mkdir(parents=True, exist_ok=True)

# %%
# Some videos
# -----------
# Ten puppets do gymnastics for eight seconds each. Now and then one lifts its arms or
# spreads its legs, and sometimes both at once. If you have videos, skip this part.

RATE, FRAMES = 25, 200


def exercise(random, at_rest, at_most, times):
    """Angle in each frame of a limb that is moved a few times."""
    frame = np.arange(FRAMES)[:, None]
    centre = (np.arange(times) + random.uniform(0.3, 0.7, times)) * FRAMES / times
    height = random.uniform(0.6, 1.0, times)
    bumps = height * np.exp(-0.5 * np.square((frame - centre) / 7))
    return at_rest + (at_most - at_rest) * bumps.max(axis=1)


random = np.random.default_rng(0)
for number in range(10):
    colours = {
        name: list(classes)[random.integers(len(classes))]
        for name, classes in puppets.ATTRIBUTES.items()
    }
    arms = exercise(random, 18, 160, 4)
    legs = exercise(random, 4, 65, 3)
    path = str(out / "videos" / f"gymnast-{number}.mp4")
    video = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), RATE, (128, 128))
    for frame in puppets.render(colours, arms, legs, size=128):
        video.write(frame[..., ::-1])  # OpenCV wants blue first
    video.release()


# %%
# Frames out of videos
# --------------------
# All commands are entered in a terminal; the function below does that for this page.
# ``--crop none`` takes whole frames. ``--splits 1 0 0`` trains on all videos: with a
# handful of people there is nothing to hold back, and we want to know about just these
# people.


def ddr(*arguments):
    """Run a `ddr` command and show what it prints."""
    print(" ".join(["$ ddr", *map(str, arguments)]).replace(" --", " \\\n    --"))
    program = shutil.which("ddr", path=pathlib.Path(sys.executable).parent)
    done = subprocess.run(
        [program, *map(str, arguments)],
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    )
    print(done.stdout)


videos, store, run = out / "videos", out / "store", out / "run"
ddr(
    *("preprocess", "videos", videos, store),
    *("--crop", "none", "--splits", 1, 0, 0),
    *("--preview", out / "sheet.png", "--overwrite"),
)

# %%
# The sheet shows the frames of the store. Look at it before anything else: a model will
# learn every mistake that is there.
#
# Training
# --------
# ``tiny`` is quick. For videos of people take ``--config small`` and its 2000 steps.

ddr(
    *("fit", store, "--out", run, "--overwrite"),
    *("--config", "tiny", "--steps", 600, "--save-every", 200),
)

# %%
# The moments
# -----------
# The table has a row for every peak and valley of z: the video, the component of z, the
# frame and its time, and the height of the curve above its surroundings
# (``prominence``, in standard deviations under p(z | f)). ``--sheet`` shows the frames.
# The first five rows are printed below.

ddr(
    *("events", run, store, out / "events.csv", "--sheet", out / "events.png"),
    *("--sequence", "gymnast-0#1", "--sequence", "gymnast-1#1"),
    *("--prominence", 1, "--overwrite"),
)
with open(out / "events.csv", newline="") as file:
    for row in list(csv.DictReader(file))[:5]:
        print("{time} s: {kind} of z{component}, prominence {prominence}".format(**row))

# %%
# Each row is a video. A frame from its middle stands apart at the left, then follow the
# frames of its moments, with ▲ for a peak of z and ▼ for a valley.
#
# The rest is Python: the curve of one component of z over a whole video, with the
# frames at its extremes. It turns where the arms are up and where they are down again,
# and nobody had told the model about arms. Which component follows the arms, and
# whether up is a peak or a valley, is chance and may differ on another machine.

model, frames = Run.open(run).model(), FrameStore.open(store)
figure = plot_dynamics(model, frames, "gymnast-0#1", component=1, prominence=1.0)
save_figure(figure, out / "dynamics.png")
# sphinx_gallery_thumbnail_number = 3
