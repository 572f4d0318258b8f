"""Puppets, a model of their size with random weights, and codecs with known answers."""

import zlib

import keras
import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from keras_ddr import DDR
from keras_ddr.codes import Codes
from keras_ddr.datasets import puppets
from keras_ddr.densities import fit_densities
from keras_ddr.evaluation import EncodedSplit, Material
from keras_ddr.gaussian import DiagonalGaussian
from keras_ddr.sequence_model import SequenceModel

_NAMES = list(puppets.ATTRIBUTES)
_CLASSES = {name: list(classes) for name, classes in puppets.ATTRIBUTES.items()}
_WHO = 24  # dimensions of four attributes of six classes


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "puppets"
    return puppets.prepare(path, identities=24, size=32, arms=4, legs=3)


@pytest.fixture(scope="session")
def model(store):
    keras.utils.set_random_seed(1)
    sizes = {"static_dim": 4, "filters": 6, "pair_filters": 6, "hidden_units": 8}
    model = DDR((32, 32, 3), **sizes)
    fit_densities(model, store)
    return model


@pytest.fixture(scope="session")
def many(tmp_path_factory):
    """Puppets enough for shares near chance to be told from it."""
    path = tmp_path_factory.mktemp("stores") / "many"
    return puppets.prepare(path, identities=120, size=32, arms=4, legs=3)


class World:
    """All puppets in all poses of a store, and who is who."""

    def __init__(self, store):
        self.size = store.frame_shape[0]
        labels = store.frame_labels(0)
        self.angles = labels["arm_angle"], labels["leg_angle"]
        self.grid = [len(np.unique(angles)) for angles in self.angles]
        self._drawn = {}
        self.known = {}  # bytes of a frame -> four class numbers, pose
        for sequence in store.sequences:
            who = tuple(_CLASSES[n].index(sequence.labels[n]) for n in _NAMES)
            np.testing.assert_array_equal(
                self.frames(who), store.frames(sequence.index)
            )

    def frames(self, who):
        if who not in self._drawn:
            attributes = {n: _CLASSES[n][i] for n, i in zip(_NAMES, who, strict=True)}
            frames = puppets.render(attributes, *self.angles, self.size)
            for pose, frame in enumerate(frames):
                assert self.known.setdefault(frame.tobytes(), (who, pose)) == (
                    who,
                    pose,
                )
            self._drawn[who] = frames
        return self._drawn[who]

    def look(self, frame):
        if frame.dtype != np.uint8:
            frame = np.rint(255 * np.asarray(frame)).astype(np.uint8)
        return self.known[frame.tobytes()]

    def who_code(self, who):
        code = np.full((4, 6), -0.4)
        code[np.arange(4), who] = 2.0
        return code.reshape(-1)

    def who_of(self, code):
        return tuple(code.reshape(4, 6).argmax(axis=1).tolist())

    def pose_code(self, pose):
        place = np.array(divmod(pose, self.grid[1]))
        return ndtri((place + 0.5) / self.grid)

    def pose_of(self, code):
        arm, leg = np.minimum(ndtr(code) * self.grid, np.subtract(self.grid, 1))
        return int(arm) * self.grid[1] + int(leg)


class Codec(SequenceModel):
    """A model whose codes are known; p(z | f) is normal.

    "oracle": f is the four attributes, z the two angles. "shifted": z is moved by what
    f says, as p(z | f) is. "all in f": z is noise that the decoder ignores. "all in
    z": f is. "random": both are, and what is decoded has nothing to do with them.
    """

    frames_per_set = 3
    static_dim = _WHO

    def __init__(self, world, kind):
        super().__init__()
        self.world, self.kind = world, kind
        self.image_shape = (world.size, world.size, 3)
        self.dynamic_dim = _WHO + 2 if kind == "all in z" else 2

    def encode(self, frames, *, seed=0):
        seen = [self.world.look(frame) for frame in frames]
        noise = np.random.default_rng(zlib.crc32(np.ascontiguousarray(frames)))
        f = self.world.who_code(seen[0][0])
        z = np.stack([self.world.pose_code(pose) for _, pose in seen])
        if self.kind == "all in z":
            z = np.concatenate([np.tile(f, (len(z), 1)), z], axis=1)
        if self.kind in ("all in z", "random"):
            f = noise.standard_normal(f.shape)
        if self.kind in ("all in f", "random"):
            z = noise.standard_normal(z.shape)
        f = f.astype("float32")
        z = self.unstandardize(f, z)
        mean = self.unstandardize(f, np.zeros(self.dynamic_dim))
        prior = DiagonalGaussian(mean, np.zeros_like(mean))
        return Codes(_certain(f), _certain(z), prior)

    def unstandardize(self, static, standardized):
        z = np.asarray(standardized, "float32")
        return z + 3 * static[..., :2] if self.kind == "shifted" else z

    def decode_pairs(self, static, dynamic):
        images = [self._image(f, z) for f, z in zip(static, dynamic, strict=True)]
        return np.stack(images).astype("float32") / np.float32(255)

    def _image(self, f, z):
        if self.kind == "shifted":
            z = z - 3 * f[:2]
        who, pose = self.world.who_of(f), self.world.pose_of(z[-2:])
        if self.kind == "all in f":
            pose = 5
        if self.kind == "all in z":
            who = self.world.who_of(z[:_WHO])
        if self.kind == "random":
            noise = np.random.default_rng(zlib.crc32(f.tobytes() + z.tobytes()))
            who = tuple(noise.integers(6, size=4).tolist())
            pose = int(noise.integers(np.prod(self.world.grid)))
        return self.world.frames(who)[pose]


class OracleJudge:
    """Names attributes and poses without error, with probabilities 0 and 1."""

    def __init__(self, world, targets):
        self.world, self.targets = world, targets

    def predict(self, images):
        seen = [self.world.look(image) for image in images]
        found = {}
        for target in self.targets:
            if target.scope == "sequence":
                column = _NAMES.index(target.name)
                names = [_CLASSES[target.name][who[column]] for who, _ in seen]
            else:
                poses = [divmod(pose, self.world.grid[1]) for _, pose in seen]
                names = [f"arms-{arm}-legs-{leg}" for arm, leg in poses]
            numbers = [target.classes.index(name) for name in names]
            found[target.name] = np.eye(len(target.classes))[numbers]
        return found


@pytest.fixture(scope="session")
def material():
    """A function that gives a measure the sequences of a store to score on."""

    def make(model, store, sequences=None, fit=None, seed=0, **encoding):
        generator = np.random.default_rng(0)
        sequences = store.select("test") if sequences is None else sequences
        test = EncodedSplit(store, sequences, 10_000, generator)
        fit = EncodedSplit(store, fit or sequences, 10_000, generator)
        for part in (fit, test):
            part.encode(model, seed, encoding=encoding)
        return Material(model, store, test, fit, seed, [], lambda done, total: None)

    return make


def _certain(mean):
    mean = np.asarray(mean, "float32")
    return DiagonalGaussian(mean, np.full_like(mean, -7.0))


@pytest.fixture(scope="session")
def world(many):
    return World(many)


@pytest.fixture(scope="session")
def codec(world):
    """A function from the kind of a codec to the codec."""
    return lambda kind: Codec(world, kind)


@pytest.fixture(scope="session")
def oracle_judge(world):
    return lambda targets: OracleJudge(world, targets)
