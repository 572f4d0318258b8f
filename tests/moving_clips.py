"""Clips of a square that moves: easy for a judge, and with codes that are known."""

import numpy as np

from keras_ddr import Codes, DiagonalGaussian, SequenceModel
from keras_ddr.data import Label, SequenceRecord, write_store

COLOURS, GROUNDS = ("red", "green", "blue"), ("black", "grey")
ACTIONS = ("right", "down", "still")
LENGTH, SIZE = 4, 16
_LABELS = {
    "colour": Label("sequence", "categorical", COLOURS),
    "ground": Label("sequence", "categorical", GROUNDS),
    "action": Label("frame", "categorical", ACTIONS),
    "phase": Label("frame", "categorical", [str(t) for t in range(LENGTH)]),
}


def frame(colour, ground, action, phase):
    """A frame, from the numbers of the classes."""
    image = np.full((SIZE, SIZE, 3), 60 * ground, np.uint8)
    place = 1 + 3 * phase
    row, column = [(6, place), (place, 6), (6, 6)][action]
    image[row : row + 4, column : column + 4] = 0
    image[row : row + 4, column : column + 4, colour] = 255
    return image


def clip(colour, ground, action):
    """A clip, from the numbers of the classes."""
    return np.stack([frame(colour, ground, action, phase) for phase in range(LENGTH)])


def write_clips(path, people=36, sequences="clips"):
    """A store of three clips of each person: as three sequences, or as one."""
    records = []
    for person in range(people):
        colour, ground = person % 3, person // 3 % 2
        who = {"colour": COLOURS[colour], "ground": GROUNDS[ground]}
        split = ("val", "test", "train")[min(person // 6, 2)]
        each = [range(3)] if sequences == "characters" else [[a] for a in range(3)]
        for actions in each:
            frame_labels = {
                "action": np.repeat(actions, LENGTH).astype("int32"),
                "phase": np.tile(np.arange(LENGTH), len(actions)).astype("int32"),
            }
            records.append(
                SequenceRecord(
                    f"{person}-{len(records)}",
                    np.concatenate([clip(colour, ground, a) for a in actions]),
                    split,
                    f"person-{person}",
                    labels=who,
                    frame_labels=frame_labels,
                )
            )
    return write_store(path, records, labels=_LABELS)


class Codec(SequenceModel):
    """f: colour and ground; z: action and phase; p(z | f) is moved by what f says.

    "all in f": f has the action of the first frame, too, and decides on it.
    """

    image_shape, frames_per_set = (SIZE, SIZE, 3), 1
    static_dim, dynamic_dim = 8, 12

    def __init__(self, kind="right"):
        super().__init__()
        self.kind = kind

    def encode(self, frames, *, seed=0):
        known = {
            frame(*who).tobytes(): who for who in np.ndindex(3, 2, len(ACTIONS), LENGTH)
        }
        seen = np.array([known[x.tobytes()] for x in frames])
        colour, ground, action, _ = seen[0]
        f = np.concatenate([np.eye(3)[colour], np.eye(2)[ground], np.eye(3)[action]])
        z = self.unstandardize(f, np.eye(12)[LENGTH * seen[:, 2] + seen[:, 3]])
        prior = self.unstandardize(f, np.zeros(12))
        return Codes(*(_certain(code) for code in (f, z)), _around(prior))

    def unstandardize(self, static, standardized):
        moved = np.asarray(standardized, "float32").copy()
        moved = moved + np.zeros((*np.shape(static)[:-1], 1), "float32")
        moved[..., 0] += 4 * static[..., 0]
        return moved

    def draw_dynamic(self, static, generator):
        # In order along the first axis: one action, and its phases.
        action = generator.integers(3, size=static.shape[1:-1])
        phases = np.arange(LENGTH).reshape(-1, *([1] * (static.ndim - 2)))
        return self.unstandardize(static, np.eye(12)[LENGTH * action + phases])

    def decode_pairs(self, static, dynamic):
        z = np.array(dynamic)
        z[:, 0] -= 4 * static[:, 0]
        action, phase = np.divmod(z.argmax(axis=1), LENGTH)
        if self.kind == "all in f":
            action = static[:, 5:].argmax(axis=1)
        who = static[:, :3].argmax(axis=1), static[:, 3:5].argmax(axis=1)
        shown = zip(*who, action, phase, strict=True)
        return np.stack([frame(*x) for x in shown]).astype("float32") / 255


class OnlyDraws(SequenceModel):
    """A model without codes; it draws one clip again and again."""

    image_shape, static_dim, dynamic_dim = (SIZE, SIZE, 3), 1, 1
    lacks_codes = "only draws"

    def sample(self, sequences=1, frames=8, seed=0, density="auto"):
        return np.broadcast_to(clip(0, 0, 0) / 255, (sequences, frames, SIZE, SIZE, 3))


def _certain(mean):
    mean = np.asarray(mean, "float32")
    return DiagonalGaussian(mean, np.full_like(mean, -9))


def _around(mean):
    return DiagonalGaussian(mean, np.zeros_like(mean))
