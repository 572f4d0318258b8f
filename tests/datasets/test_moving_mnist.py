"""Moving MNIST: straight ways with reflection, on made digits and on real ones."""

import gzip

import keras
import numpy as np
import pytest

from flat_options import flat
from keras_ddr import InputError
from keras_ddr.data import FrameStore
from keras_ddr.datasets import moving_mnist

SPLITS = ("train", "val", "test")


def _write_idx(path, array):
    header = np.array([2048 + array.ndim, *array.shape], ">u4").tobytes()
    content = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def _digits(number, seed=0):
    """Noise images, all different, of the classes 0, 1, … 9, 0, …"""
    random = np.random.default_rng(seed)
    images = random.integers(1, 256, (number, 28, 28), np.uint8)
    return images, np.arange(number, dtype=np.uint8) % 10


def _write_digits(folder, number=60, part="t10k", end=".gz", seed=0):
    images, classes = _digits(number, seed)
    _write_idx(folder / f"{part}-images-idx3-ubyte{end}", images)
    _write_idx(folder / f"{part}-labels-idx1-ubyte{end}", classes)
    return images, classes


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "digits"
    folder.mkdir()
    _write_digits(folder)
    return folder


def _prepare(tmp_path, source, sequences=6, progress=None, **arguments):
    return moving_mnist.prepare(
        tmp_path / "store",
        source,
        sequences=sequences,
        progress=progress,
        **flat(**arguments),
    )


def _positions(store, i, digits=2):
    """Positions (T, D, 2) that the labels of a sequence tell."""
    labels = store.frame_labels(i)
    return np.stack(
        [
            np.stack([labels[f"x_{n}"], labels[f"y_{n}"]], -1)
            for n in range(1, digits + 1)
        ],
        1,
    )


def _shown(store, i, digits):
    """The digit images of a sequence, cut from a frame in which they are apart."""
    corners = np.rint(_positions(store, i, digits)).astype(int)
    for frame, places in zip(store.frames(i)[..., 0], corners, strict=True):
        apart = [
            np.abs(places[a] - places[b]).max() >= 28
            for a in range(digits)
            for b in range(a)
        ]
        if all(apart):
            return [frame[y : y + 28, x : x + 28] for x, y in places]
    return None


def _walk(position, velocity, length, extent):
    """Step by step, turning round at each wall that is met."""
    way = []
    for _ in range(length):
        way.append(position)
        position += velocity
        while not 0 <= position <= extent:
            position = -position if position < 0 else 2 * extent - position
            velocity = -velocity
    return way


def test_one_digit_for_200_steps():
    way = moving_mnist.trajectory((10, 20), (3, 5), 200, 36)
    assert way.shape == (200, 2)
    assert way.min() >= 0 and way.max() <= 36
    steps = np.abs(np.diff(way, axis=0))
    turns = steps != (3, 5)
    assert (steps <= (3, 5)).all()
    # Unfolded, the ways lead to 607 and 1015 px, past a wall every 36 px; y comes to
    # lie on every fifth of its walls and loses nothing there.
    assert turns.sum(0).tolist() == [607 // 36, 1015 // 36 - 5]
    # A step with a turn goes on from the wall: what is left of it is not lost.
    lengths = np.hypot(*steps[~turns.any(1)].T)
    np.testing.assert_allclose(lengths, np.hypot(3, 5))
    assert way[:, 0].tolist() == _walk(10, 3, 200, 36)
    assert way[:, 1].tolist() == _walk(20, 5, 200, 36)
    # No step rests at a wall.
    assert (steps.max(1) > 0).all()


def test_reflection_mirrors_and_reaches_beyond_one_wall():
    np.testing.assert_allclose(
        moving_mnist.trajectory(0.9, 0.12, 3, 1.0), [0.9, 0.98, 0.86]
    )
    for velocity in (-3, 0, 36, 72, 100, -250):
        way = moving_mnist.trajectory(35, velocity, 50, 36)
        assert way.tolist() == _walk(35, velocity, 50, 36)


def test_overlap_is_the_brighter_digit():
    patches = np.full((2, 28, 28), 200, np.uint8)
    frames = moving_mnist.render(patches, np.full((3, 2, 2), 7.0))
    assert frames.shape == (3, 64, 64, 1) and frames.dtype == np.uint8
    assert np.unique(frames).tolist() == [0, 200]
    patches[1] = 100
    # x is the column and y the row, and the nearest pixel counts.
    (frame,) = moving_mnist.render(patches, np.array([[(30.4, 4.6), (36, 20)]]))
    expected = np.zeros((64, 64), int)
    expected[20:48, 36:64] = 100
    expected[5:33, 30:58] = 200
    assert (frame[..., 0] == expected).all()


def test_real_digits_and_their_labels(tmp_path, mnist_root):
    seen = []
    store = _prepare(tmp_path, mnist_root, 200, progress=lambda *now: seen.append(now))
    assert seen == [(n, 200) for n in range(1, 201)]
    assert store.frame_shape == (64, 64, 1) and store.dataset == "moving_mnist"
    assert {sequence.length for sequence in store.sequences} == {20}
    assert [len(store.select(s)) for s in SPLITS] == [160, 20, 20]
    assert [s.name for s in store.sequences[159:161]] == ["train-00160", "val-00001"]
    assert "CC BY-SA 3.0" in store.meta["licence"]
    info = store.labels
    assert info["digit_1"].classes == info["digit_2"].classes == (*"0123456789",)
    assert len(info["digits"].classes) == 55
    assert info["x_1"].unit == info["y_2"].unit == "px"

    images, classes = moving_mnist.load_digits(mnist_root)
    number_of = {image.tobytes(): n for n, image in enumerate(images)}
    pools = {split: set() for split in SPLITS}
    ways = []
    for sequence in store.sequences:
        one, two = (sequence.labels[f"digit_{n}"] for n in (1, 2))
        assert one <= two and sequence.labels["digits"] == f"{one}-{two}"
        positions = _positions(store, sequence.index)
        ways.append(positions)
        shown = _shown(store, sequence.index, 2)
        if shown is None:
            continue
        numbers = [number_of[image.tobytes()] for image in shown]
        assert [str(classes[number]) for number in numbers] == [one, two]
        pools[sequence.split].update(numbers)
        # The labels and the digits are all that the frames show.
        drawn = moving_mnist.render(images[numbers], positions)
        assert (drawn == store.frames(sequence.index)).all()
    assert min(len(pool) for pool in pools.values()) > 20
    assert sum(map(len, pools.values())) == len(set.union(*pools.values()))

    ways = np.array(ways)
    assert ways.min() >= 0 and ways.max() <= 36
    steps = np.linalg.norm(np.diff(ways, axis=1), axis=-1)
    assert steps.max() < 3.6 + 1e-4
    # The other steps hold a turn.
    straight = np.abs(steps - 3.6) < 1e-4
    assert 0.7 < straight.mean() < 0.95
    # Starts fill the room and directions the circle.
    assert (np.histogram(ways[:, 0], 4, (0, 36))[0] > 150).all()
    speeds = np.diff(ways[:, :2], axis=1)[straight[:, :1]]
    angles = np.arctan2(speeds[:, 1], speeds[:, 0])
    assert (np.histogram(angles, 4, (-np.pi, np.pi))[0] > 60).all()


@pytest.mark.parametrize("digits", [1, 3])
def test_other_numbers_of_digits(tmp_path, root, digits):
    images, classes = _digits(60)
    store = _prepare(tmp_path, root, 12, digits=digits, length=30, shares=(1, 0, 0))
    names = [f"digit_{n + 1}" for n in range(digits)]
    assert set(store.labels) == {"digits", "source_frame", "time", *names} | {
        f"{axis}_{n + 1}" for axis in "xy" for n in range(digits)
    }
    assert len(store.labels["digits"].classes) == (10 if digits == 1 else 220)
    for sequence in store.sequences:
        assert sequence.length == 30 and sequence.split == "train"
        values = [sequence.labels[name] for name in names]
        assert values == sorted(values)
        assert sequence.labels["digits"] == "-".join(values)
        shown = _shown(store, sequence.index, digits)
        if digits == 1:
            (number,) = np.flatnonzero((images == shown[0]).all((1, 2)))
            assert str(classes[number]) == values[0]
            # Every pixel of these digits is above 0, so the rest is the ground.
            frames = store.frames(sequence.index)
            assert ((frames > 0).sum((1, 2, 3)) == 28 * 28).all()


def test_pools_are_disjoint_and_hold_every_class():
    random = np.random.default_rng(1)
    classes = random.permutation(np.repeat(np.arange(10), np.arange(3, 33, 3)))
    pools = moving_mnist.split_digits(classes, (0.8, 0.1, 0.1), seed=3)
    everything = np.concatenate([pools[split] for split in SPLITS])
    assert sorted(everything) == list(range(len(classes)))
    for pool in pools.values():
        assert set(classes[pool]) == set(range(10))
    assert 0.7 < len(pools["train"]) / len(classes) < 0.85
    other = moving_mnist.split_digits(classes, (0.8, 0.1, 0.1), seed=4)
    assert other["val"].tolist() != pools["val"].tolist()


def test_the_seed_decides(tmp_path, root):
    def made(seed):
        path = _prepare(tmp_path, root, seed=seed, overwrite=True).path
        return {file.name: file.read_bytes() for file in path.iterdir()}

    first = made(1)
    assert made(1) == first
    assert made(2)["frames.npy"] != first["frames.npy"]


def test_a_folder_gives_all_its_digits_once(tmp_path, root):
    test_images, _ = _digits(60)
    # Packed and unpacked, this is one set.
    _write_digits(root, end="")
    train_images, train_classes = _write_digits(root, 45, "train", seed=1)
    images, classes = moving_mnist.load_digits(root)
    assert images.dtype == np.uint8 and classes.shape == (105,)
    assert (images == np.concatenate([train_images, test_images])).all()
    assert (classes[:45] == train_classes).all()


def test_an_image_file_has_its_labels_beside_it(tmp_path, root):
    images, classes = moving_mnist.load_digits(root / "t10k-images-idx3-ubyte.gz")
    assert (images == _digits(60)[0]).all() and (classes == _digits(60)[1]).all()
    # Labels may be packed where images are not; older copies have a dot in the name.
    _write_idx(root / "train-images.idx3-ubyte", images[:20])
    _write_idx(root / "train-labels.idx1-ubyte.gz", classes[:20])
    assert len(moving_mnist.load_digits(root / "train-images.idx3-ubyte")[1]) == 20
    assert len(moving_mnist.load_digits(root)[1]) == 80


def test_the_real_files(mnist_root):
    images, classes = moving_mnist.load_digits(mnist_root)
    assert images.shape == (10000, 28, 28)
    # Known of the test digits: the first classes and how many there are of each.
    assert classes[:5].tolist() == [7, 2, 1, 0, 4]
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(classes).tolist() == counts
    # A 1 is narrow and upright: a transposed image would be low and wide.
    ones = images[classes == 1].mean(0) > 64
    assert ones.any(1).sum() > 2 * ones.any(0).sum()


def test_digits_from_keras(tmp_path, monkeypatch):
    train, test = _digits(40, 1), _digits(20, 2)
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: (train, test))
    images, classes = moving_mnist.load_digits("keras")
    assert (images == np.concatenate([train[0], test[0]])).all()
    assert (classes[40:] == test[1]).all()
    assert len(_prepare(tmp_path, "keras")) == 6

    def fail():
        raise Exception("URL fetch failure on https://x: None --\n no route")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    with pytest.raises(InputError, match="could not load MNIST .URL fetch failure"):
        _prepare(tmp_path, "keras", overwrite=True)
    assert len(FrameStore.open(tmp_path / "store")) == 6


def _published(path, shape=(20, 3, 64, 64), dtype=np.uint8):
    """Frame t is filled with t, and sequence n with 20 n more."""
    array = np.zeros(shape, dtype)
    array += np.arange(shape[0], dtype=dtype).reshape(-1, *[1] * (len(shape) - 1))
    array += 20 * np.arange(shape[1], dtype=dtype).reshape(-1, *[1] * (len(shape) - 2))
    np.save(path, array)
    return path


def test_the_published_file_is_time_first(tmp_path, monkeypatch):
    # Chunks smaller than the file.
    monkeypatch.setattr(moving_mnist, "_CHUNK", 2)
    path = _published(tmp_path / "mnist_test_seq.npy", (20, 7, 64, 64))
    seen = []
    store = _prepare(tmp_path, path, None, progress=lambda *now: seen.append(now))
    assert seen == [(n, 7) for n in range(1, 8)]
    assert [s.name for s in store.sequences] == [f"column-{n:05d}" for n in range(7)]
    for n in range(7):
        frames = store.frames(n)
        assert frames.shape == (20, 64, 64, 1)
        assert (frames == np.arange(20).reshape(-1, 1, 1, 1) + 20 * n).all()
    assert sorted({s.split for s in store.sequences}) == ["test", "train", "val"]
    assert [len(store.select(s)) for s in SPLITS] == [5, 1, 1]
    splits = {tuple(s.split for s in store.sequences)}
    for seed in range(1, 5):
        other = _prepare(tmp_path, path, None, seed=seed, overwrite=True)
        splits.add(tuple(s.split for s in other.sequences))
    assert len(splits) > 1
    fewer = _prepare(tmp_path, path, 3, overwrite=True)
    assert [s.name for s in fewer.sequences] == [f"column-{n:05d}" for n in range(3)]
    assert (fewer.frames(2)[19] == 59).all()


def test_twenty_sequences_of_twenty_frames_are_time_first(tmp_path):
    path = tmp_path / "mnist_test_seq.npy"
    array = np.zeros((20, 20, 64, 64), np.uint8)
    array[:] = np.arange(20, dtype=np.uint8).reshape(-1, 1, 1, 1)
    np.save(path, array)
    store = _prepare(tmp_path, path, None)
    assert (store.frames(5)[:, 0, 0, 0] == np.arange(20)).all()


@pytest.mark.parametrize("shape", [(3, 20, 64, 64), (20, 3, 64, 64, 1), (20, 64, 64)])
def test_other_orders_are_refused(tmp_path, shape):
    message = _refused(tmp_path, _published(tmp_path / "a.npy", shape))
    assert f"uint8 {shape}" in message and "(20, N, 64, 64), time first" in message


def _refused(tmp_path, source, **arguments):
    with pytest.raises(InputError) as error:
        moving_mnist.prepare(tmp_path / "store", source, **flat(**arguments))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "store").exists()
    return str(error.value)


def test_bad_published_files(tmp_path):
    path = tmp_path / "seq.npy"
    np.save(path, np.array([{}, 1], object))
    assert "seq.npy: cannot be read" in _refused(tmp_path, path)
    _published(path, dtype=np.float32)
    assert "float32 (20, 3, 64, 64)" in _refused(tmp_path, path)
    for content in (b"", b"plain text\n" * 9, path.read_bytes()[:9000]):
        path.write_bytes(content)
        assert "seq.npy: cannot be read" in _refused(tmp_path, path)
    with open(path, "wb") as file:
        np.savez(file, np.zeros(3))
    assert "seq.npy: cannot be read" in _refused(tmp_path, path)
    _published(path, (20, 2, 64, 64))
    assert "holds 2 sequences, but 3 are needed" in _refused(tmp_path, path)
    _published(path, (20, 0, 64, 64))
    assert "holds 0 sequences" in _refused(tmp_path, path)
    _published(path)
    assert "4 are asked for" in _refused(tmp_path, path, sequences=4)
    assert "leave out length" in _refused(tmp_path, path, length=10)
    assert "leave out length and digits" in _refused(tmp_path, path, digits=1)
    assert "splits" in _refused(tmp_path, path, shares=(0.5, 0.1, 0.1))


def test_bad_digit_files(tmp_path, root):
    images = root / "t10k-images-idx3-ubyte.gz"
    labels = root / "t10k-labels-idx1-ubyte.gz"
    whole, classes = images.read_bytes(), labels.read_bytes()
    plain = gzip.decompress(whole)
    flipped = bytearray(whole)
    flipped[len(flipped) // 2] ^= 255
    for content, part in {
        b"": "is empty",
        b"some text, not digits\n": "is something else, but an idx file of images",
        whole[:-1000]: "cannot be read",
        bytes(flipped): "cannot be read",
        whole[:10] + b"\xff" + whole[11:]: "cannot be read",
        plain[:-1]: f"has {len(plain) - 1} bytes (unpacked), but {len(plain)}",
        plain + b"x": f"has {len(plain) + 1} bytes",
        plain[:10]: "ends in its header",
        # A header that asks for more than any memory.
        plain[:4] + b"\xff" * 12 + plain[16:]: f"has {len(plain)} bytes (unpacked)",
        classes: "holds labels, but an idx file of images",
    }.items():
        images.write_bytes(content)
        for source in (images, root):
            message = _refused(tmp_path, source)
            assert message.startswith(f"{images}: {part}"), message
    _write_idx(images, np.zeros((60, 20, 20)))
    assert "holds images (60, 20, 20)" in _refused(tmp_path, root)
    _write_idx(images, np.zeros((0, 28, 28)))
    assert "holds images (0, 28, 28)" in _refused(tmp_path, root)
    images.write_bytes(whole)
    for content, part in {
        whole: "holds images, but an idx file of labels",
        classes[:-9]: "cannot be read",
    }.items():
        labels.write_bytes(content)
        assert _refused(tmp_path, images).startswith(f"{labels}: {part}")
    _write_idx(labels, np.zeros(59))
    assert "59 labels for the 60 images" in _refused(tmp_path, images)
    _write_idx(labels, np.full(60, 10))
    assert "the class 10" in _refused(tmp_path, images)
    labels.unlink()
    assert _refused(tmp_path, root).startswith(f"{labels}: is missing")
    images.rename(root / "digits.gz")
    assert "standard names" in _refused(tmp_path, root / "digits.gz")
    assert "holds no MNIST images" in _refused(tmp_path, root)


def test_bad_arguments(tmp_path, root):
    assert "no such file or folder" in _refused(tmp_path, tmp_path / "none")
    for name, values in {
        "sequences": (2, 0, 4.5, "many"),
        "length": (1, 2.5, None),
        "digits": (0, 4, "two"),
        "seed": (-1, 0.5, None),
        "shares": ((0.8, 0.1, 0.2), (1, 0), (1.2, -0.1, -0.1), "abc", None),
    }.items():
        for value in values:
            message = _refused(tmp_path, root, **{name: value})
            said = f"{name}={value!r}; it must be a whole number"
            if name == "shares":
                # Named as they are typed: 0.8 0.1 0.2.
                typed = " ".join(map(str, value)) if isinstance(value, tuple) else value
                said = f"splits: {typed}"
            assert message.startswith(said)
    _write_digits(root, 10)
    assert "too few to give val" in _refused(tmp_path, root)
    _prepare(tmp_path, root, shares=(1, 0, 0))
    with pytest.raises(InputError, match="exists already"):
        _prepare(tmp_path, root, shares=(1, 0, 0))
