"""Draw clips of people who do not exist, for the pictures of the pages.

python docs/images/faces3d/clips.py ICT-FaceKit CLIPS --people 12
"""

import argparse
import pathlib

import numpy as np

from keras_ddr.datasets.faces3d import _looks
from keras_ddr.datasets.faces3d_drawing import Scene, picture
from keras_ddr.datasets.faces3d_head import Figure, Head
from keras_ddr.datasets.faces3d_model import load_model, shape_weights
from keras_ddr.media.moving import write_moving

_RATE, _SIZE = 25, 192


def _bumps(random, frames, number, width):
    """From 0 to 1: `number` soft bumps of `width` frames each."""
    places = (np.arange(number) + random.uniform(0.15, 0.85, number)) * frames / number
    away = (np.arange(frames)[:, None] - places) / width
    return np.exp(-4 * away**2).max(axis=1, initial=0)


def _sway(random, frames, seconds):
    """From -1 to 1: a swing of about that many seconds."""
    time, phase = np.arange(frames) / _RATE, random.uniform(0, 2 * np.pi, 2)
    fast, slow = 2 * np.pi / seconds, np.pi / seconds
    return 0.6 * np.sin(fast * time + phase[0]) + 0.4 * np.sin(slow * time + phase[1])


def clip(head, number, frames, seed=3):
    """Somebody who looks around, talks and smiles: `frames` pictures."""
    random = np.random.default_rng([seed, number])
    looks = _looks(number, seed)
    figure = Figure(head, random.normal(size=100).astype(np.float32), looks)
    ground = tuple(random.uniform(90, 210, 3))
    scene = Scene(light=(-0.5, 0.4, 0.8), zoom=0.88, background=(ground, ground))
    yaw = 0.5 * _sway(random, frames, random.uniform(3, 5))
    pitch = 0.05 * _sway(random, frames, 4)
    talks = _bumps(random, frames, frames // 14, 7) * _bumps(random, frames, 2, 60)
    smiles = _bumps(random, frames, 2, 22)
    blinks = _bumps(random, frames, frames // 70, 3)
    for i in range(frames):
        expression = {
            "jawOpen": float(0.9 * talks[i] * (1 - smiles[i])),
            "mouthSmile": float(smiles[i]),
            "cheekSquint": float(0.6 * smiles[i]),
            "eyeBlink": float(blinks[i]),
        }
        shape = figure.shape(shape_weights(expression))
        yield picture(shape, figure.quads, (yaw[i], pitch[i], 0), scene, _SIZE)


def main():
    """Write `person-01.mp4` and so on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="clone of ICT-FaceKit")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--people", type=int, default=12)
    parser.add_argument("--frames", type=int, default=200)
    given = parser.parse_args()
    given.folder.mkdir(exist_ok=True)
    head = Head(load_model(given.model))
    for number in range(given.people):
        frames = np.stack(list(clip(head, number, given.frames)))
        path = given.folder / f"person-{number + 1:02}.mp4"
        write_moving(
            path, lambda some, all=frames: (all[n] for n in some), len(frames), _RATE
        )
        print(path)


if __name__ == "__main__":
    main()
