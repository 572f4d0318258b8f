"""FrameSets: what is drawn, how often, and that nothing but the seed decides it."""

import pickle
import threading
from collections import Counter

import keras
import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.data import FrameSets, SequenceRecord, write_arrays, write_store

pytestmark = pytest.mark.backend


def _store(path, lengths, *, size=16, **arguments):
    """A store whose pixels say sequence and frame: channels (sequence, frame)."""
    frames = []
    for number, length in enumerate(lengths):
        pixels = np.empty((length, size, size, 2), np.uint8)
        pixels[..., 0] = number
        pixels[..., 1] = np.arange(length)[:, None, None]
        frames.append(pixels)
    return write_arrays(path, frames, **arguments)


@pytest.fixture
def store(tmp_path):
    return _store(tmp_path / "store", [5, 9, 3, 20, 7, 4, 3, 11, 6, 8])


def _read(x):
    """Sequence and frame numbers (B, N) of a batch."""
    assert (x == x[:, :, :1, :1]).all()
    return x[:, :, 0, 0, 0], x[:, :, 0, 0, 1]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_epoch_has_each_sequence_once(store, workers):
    sets = FrameSets(store, 3, batch_size=4, workers=workers)
    assert len(sets) == 3
    batches = [x for (x,) in sets]
    assert [x.shape[0] for x in batches] == [4, 4, 2]
    assert batches[0].shape == (4, 3, 16, 16, 2) and batches[0].dtype == np.uint8
    seen = []
    for x in batches:
        sequences, frames = _read(x)
        assert (sequences == sequences[:, :1]).all()
        for row, number in zip(frames, sequences[:, 0], strict=True):
            assert len(set(row)) == 3
            assert row.max() < store.sequences[number].length
        seen += sequences[:, 0].tolist()
    assert sorted(seen) == list(range(10))
    with pytest.raises(IndexError):
        sets[3]


def test_batch_follows_from_seed_epoch_and_index_alone(store):
    def batch(sets, epoch, index):
        sets.set_epoch(epoch)
        assert sets.epoch == epoch
        return sets[index][0]

    sets = FrameSets(store, 3, batch_size=4, seed=5, workers=2)
    expected = {(e, i): batch(sets, e, i) for e in range(3) for i in range(3)}
    other = FrameSets(store, 3, batch_size=4, seed=5, workers=0)
    for (epoch, index), x in reversed(expected.items()):
        np.testing.assert_array_equal(batch(other, epoch, index), x)
        np.testing.assert_array_equal(batch(sets, epoch, index), x)
    assert len({x.tobytes() for x in expected.values()}) == 9
    seeded = FrameSets(store, 3, batch_size=4, seed=6)
    assert not np.array_equal(seeded[0][0], expected[0, 0])
    copied = pickle.loads(pickle.dumps(sets))
    np.testing.assert_array_equal(batch(copied, 1, 2), expected[1, 2])


def test_draws_say_what_a_batch_holds(store):
    sets = FrameSets(store, 2, batch_size=4, seed=1)
    sets.set_epoch(3)
    sequences, frames = _read(sets[2][0])
    chosen, numbers = sets.draws(3, 2)
    np.testing.assert_array_equal(sequences[:, 0], chosen)
    np.testing.assert_array_equal(frames, numbers)


def test_the_seed_gives_these_draws(store):
    """Fixed numbers: a change here changes every run that was ever made."""
    sequences, frames = FrameSets(store, 3, batch_size=3, seed=1).draws(2, 0)
    assert sequences.tolist() == [8, 4, 3]
    assert frames.tolist() == [[1, 3, 2], [3, 0, 6], [5, 1, 6]]


def test_steps_give_full_batches(store):
    sets = FrameSets(store, 3, batch_size=4, steps=7)
    assert len(sets) == 7
    counts = Counter(_read(x)[0][n, 0] for (x,) in sets for n in range(len(x)))
    assert sum(counts.values()) == 28
    # 28 draws of 10 sequences: two full rounds and 8 of a third.
    assert sorted(counts.values()) == [2, 2] + [3] * 8
    again = FrameSets(store, 3, batch_size=4).with_steps(7)
    np.testing.assert_array_equal(again[6][0], sets[6][0])
    twice = FrameSets(store, 3, batch_size=4, sets_per_sequence=2)
    counts = Counter(_read(x)[0][n, 0] for (x,) in twice for n in range(len(x)))
    assert set(counts.values()) == {2}


def test_fixed_sets_stay(store):
    sets = FrameSets(store, 3, batch_size=4, fixed=True)
    before = sets[1][0]
    sets.set_epoch(9)
    np.testing.assert_array_equal(sets[1][0], before)


def test_drawn_by_source_then_by_sequence(tmp_path):
    # Source "long" was cut into 8 sequences, "short" into 2; two have no source.
    sources = ["long"] * 8 + ["short"] * 2 + ["", ""]
    store = _store(tmp_path / "s", [4] * 12, sources=sources)
    sets = FrameSets(store, 2, batch_size=4, steps=20)
    counts = Counter(_read(x)[0][n, 0] for (x,) in sets for n in range(4))
    assert [counts[10], counts[11], counts[8], counts[9]] == [20, 20, 10, 10]
    assert sorted(counts[n] for n in range(8)) == [2] * 4 + [3] * 4
    # Within a round every source comes once.
    for (x,) in sets:
        assert len({sources[n] or n for n in _read(x)[0][:, 0]}) == 4


def test_frames_are_drawn_uniformly_and_in_random_order(tmp_path):
    store = _store(tmp_path / "s", [5])
    sets = FrameSets(store, 3, batch_size=3000, steps=2)
    _, frames = sets.draws(0, 0)
    counts = Counter(map(tuple, frames.tolist()))
    # 60 ordered triples, 50 times each: a chi-squared far below its 0.1 % limit (98).
    assert len(counts) == 60
    assert sum((n - 50) ** 2 / 50 for n in counts.values()) < 98
    whole = FrameSets(store, 5, batch_size=100, steps=1).draws(0, 0)[1]
    assert (np.sort(whole, axis=1) == np.arange(5)).all()


@pytest.mark.parametrize("stride", [1, 3])
def test_windows_are_in_order_and_start_uniformly(tmp_path, stride):
    store = _store(tmp_path / "s", [12])
    sets = FrameSets(
        store, 3, batch_size=3000, steps=2, order="ordered", stride=stride, workers=0
    )
    _, frames = sets.draws(0, 0)
    np.testing.assert_array_equal(frames, frames[:, :1] + stride * np.arange(3))
    starts = 12 - 2 * stride
    counts = np.bincount(frames[:, 0], minlength=starts)
    assert len(counts) == starts and sets.span == 2 * stride + 1
    expected = 3000 / starts
    assert ((counts - expected) ** 2 / expected).sum() < 30
    np.testing.assert_array_equal(_read(sets[1][0][:5])[1], sets.draws(0, 1)[1][:5])


def test_windows_follow_from_seed_epoch_and_index_alone(store):
    about = {"batch_size": 4, "seed": 5, "order": "ordered", "stride": 1}
    sets, again = (FrameSets(store, 3, **about) for _ in range(2))
    for epoch in (0, 1):
        for one, two in zip(sets.draws(epoch, 1), again.draws(epoch, 1), strict=True):
            np.testing.assert_array_equal(one, two)
    assert not np.array_equal(sets.draws(0, 1)[1], sets.draws(1, 1)[1])
    # The same sequences as without order.
    unordered = FrameSets(store, 3, batch_size=4, seed=5)
    np.testing.assert_array_equal(sets.draws(1, 0)[0], unordered.draws(1, 0)[0])
    fixed = FrameSets(store, 3, fixed=True, **about)
    np.testing.assert_array_equal(fixed.draws(7, 1)[1], sets.draws(0, 1)[1])


def test_what_is_left_open_is_as_the_model_takes_it(tmp_path):
    store = _store(tmp_path / "s", [12])
    model = {"frames_per_set": 4, "order": "ordered", "stride": 2}
    sets = FrameSets(store, steps=3, seed=9)
    sets.set_epoch(5)
    adapted = sets.for_model(**model)
    assert sets.adapts and not adapted.adapts
    assert [getattr(adapted, name) for name in model] == [*model.values()]
    assert (adapted.epoch, adapted.steps, adapted.seed) == (5, 3, 9)
    kept = FrameSets(store, 3, order="random").for_model(**model)
    assert (kept.frames_per_set, kept.order, kept.stride) == (3, "random", 1)


def test_windows_that_are_refused(tmp_path):
    store = _store(tmp_path / "s", [6, 7], names=["a", "b"])
    assert len(FrameSets(store, 3, order="ordered", stride=2)) == 1
    message = r"1 of 2 sequences have fewer frames than the 7 of a window: a \(6\);"
    with pytest.raises(InputError, match=message):
        FrameSets(store, 3, order="ordered", stride=3)
    with pytest.raises(InputError, match="stride=2: sets in random order"):
        FrameSets(store, 3, stride=2)
    with pytest.raises(InputError, match="order='sorted'; use one of random, ordered"):
        FrameSets(store, 3, order="sorted")
    with pytest.raises(InputError, match="stride=0"):
        FrameSets(store, 3, order="ordered", stride=0)


def test_windows_need_frames_in_order(tmp_path):
    frames = np.zeros((5, 16, 16, 1), np.uint8)
    for name, ordered in (("pictures", False), ("video", True)):
        records = [SequenceRecord(name, frames)]
        write_store(tmp_path / "both" / name, records, ordered=ordered)
    # Of several stores as one, one without order is enough.
    for path in (tmp_path / "both", tmp_path / "both" / "pictures"):
        message = f"^{path}: its frames are in no order in time, but the model"
        with pytest.raises(InputError, match=message):
            FrameSets(path, order="ordered")
        with pytest.raises(InputError, match=message):
            FrameSets(path).for_model(3, order="ordered")
        assert len(FrameSets(path, order="random")) == 1
    assert len(FrameSets(tmp_path / "both" / "video", order="ordered")) == 1


def test_only_the_split(tmp_path):
    splits = ["train"] * 3 + ["val"] * 2 + ["test"]
    store = _store(tmp_path / "s", [4] * 6, splits=splits)
    for split, expected in {"train": 3, "val": 2, "test": 1, "all": 6}.items():
        assert FrameSets(store, split=split).num_draws == expected
    (x,) = FrameSets(str(store.path), split="val")[0]
    assert set(_read(x)[0][:, 0]) == {3, 4}


def test_what_is_refused(tmp_path):
    names = [f"clip{n}" for n in range(9)]
    store = _store(tmp_path / "s", [2] * 7 + [3, 4], names=names)
    with pytest.raises(InputError) as error:
        FrameSets(store, 3)
    message = str(error.value)
    assert "\n" not in message
    assert "7 of 9 sequences have fewer frames than the 3" in message
    assert "clip4 (2) and 2 more" in message and "clip5" not in message
    assert len(FrameSets(store, 2)) == 1
    with pytest.raises(InputError, match="in the split 'val'; its splits are train"):
        FrameSets(store, 2, split="val")
    with pytest.raises(InputError, match="split='dev'"):
        FrameSets(store, 2, split="dev")
    for name in ("frames_per_set", "batch_size", "sets_per_sequence", "steps"):
        with pytest.raises(InputError, match=f"{name}=0"):
            FrameSets(store, **{"frames_per_set": 2, name: 0})
    with pytest.raises(InputError, match="seed"):
        FrameSets(store, 2, seed=-1)
    with pytest.raises(InputError, match="use_multiprocessing"):
        FrameSets(store, 2, use_multiprocessing=True)


def test_many_threads_and_changing_epochs(store):
    """Whatever is read at once, every batch is one of its epoch."""
    sets = FrameSets(store, 3, batch_size=4, workers=2)
    plain = FrameSets(store, 3, batch_size=4, workers=0)
    expected = {}
    for epoch in range(3):
        plain.set_epoch(epoch)
        for index in range(3):
            expected.setdefault(index, set()).add(plain[index][0].tobytes())
    wrong = []

    def read():
        for n in range(60):
            if sets[n % 3][0].tobytes() not in expected[n % 3]:
                wrong.append(n)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(300):
        sets.set_epoch(n % 3)
    for thread in threads:
        thread.join()
    assert not wrong


# --- inside Keras ---------------------------------------------------------------------


class MeanCode(keras.Model):
    """Its loss is the code of a batch, so that the logs show which batch was seen."""

    def __init__(self):
        super().__init__()
        self.scale = keras.layers.Dense(1, use_bias=False)

    def build(self, shape):
        self.scale.build((None, 1))
        self.built = True

    def call(self, x, training=False):
        x = keras.ops.cast(x, "float32")
        code = keras.ops.mean(x, axis=(1, 2, 3, 4))[:, None]
        return code + 0 * self.scale(code)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        return keras.ops.mean(y_pred)


class _Recorder(keras.callbacks.Callback):
    def __init__(self, sets):
        super().__init__()
        self.sets, self.epochs = sets, {}

    def on_epoch_begin(self, epoch, logs=None):
        self.sets.set_epoch(epoch)
        self.seen = self.epochs[epoch] = []
        self.total = self.items = 0

    def on_train_batch_end(self, batch, logs=None):
        # The logged loss is the mean over the items so far.
        size = min(4, 10 - batch % 3 * 4)
        self.items += size
        total = float(logs["loss"]) * self.items
        self.seen.append((total - self.total) / size)
        self.total = total


def _expected(store, epoch, batches=3, **arguments):
    sets = FrameSets(store, 3, batch_size=4, workers=0, **arguments)
    sets.set_epoch(epoch)
    means = []
    for index in range(batches):
        (x,) = sets[index]
        means.append(np.mean(x, dtype="float64"))
    return means


@pytest.mark.timeout(60)
@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize("workers", [0, 2])
def test_fit_sees_each_batch_of_each_epoch_in_order(store, workers, built):
    sets = FrameSets(store, 3, batch_size=4, workers=workers)
    recorder = _Recorder(sets)
    model = MeanCode()
    model.compile("sgd")
    if built:
        model.build((None, 3, 16, 16, 2))
    model.fit(
        sets,
        initial_epoch=2,
        epochs=5,
        verbose=0,
        shuffle=False,
        callbacks=[recorder],
        validation_data=FrameSets(store, 3, batch_size=4, fixed=True),
    )
    assert list(recorder.epochs) == [2, 3, 4]
    for epoch, means in recorder.epochs.items():
        np.testing.assert_allclose(means, _expected(store, epoch), rtol=1e-4)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("workers", [0, 2])
def test_loss_is_weighted_by_items(store, workers):
    sets = FrameSets(store, 3, batch_size=4, workers=workers)
    model = MeanCode()
    model.compile("sgd")
    loss = model.evaluate(sets, verbose=0)
    loss = loss["loss"] if isinstance(loss, dict) else loss
    means = _expected(store, 0)
    expected = (4 * means[0] + 4 * means[1] + 2 * means[2]) / 10
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("workers", [0, 2])
def test_with_steps_in_place_of_steps_per_epoch(store, workers):
    sets = FrameSets(store, 3, batch_size=4, workers=workers).with_steps(2)
    seen = {}

    class Recorder(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            sets.set_epoch(epoch)

        def on_epoch_end(self, epoch, logs=None):
            seen[epoch] = logs["loss"]

    model = MeanCode()
    model.compile("sgd")
    model.fit(sets, epochs=3, verbose=0, shuffle=False, callbacks=[Recorder()])
    for epoch, loss in seen.items():
        expected = np.mean(_expected(store, epoch, 2, steps=2))
        np.testing.assert_allclose(loss, expected, rtol=1e-5)
