"""FHVAE: its loss by hand, its table, and means of sequences that are not in it."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

import gradients
from keras_ddr import InputError
from keras_ddr.data import FrameSets, write_arrays
from keras_ddr.models import FHVAE
from keras_ddr.runs import Run

pytestmark = pytest.mark.backend

_TINY = {"static_dim": 3, "dynamic_dim": 2, "filters": 2, "hidden_units": 4}
_ROWS = np.array([[0, 5], [4, 7], [2, 2], [-1, 9]], "int32")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    made = FHVAE((16, 16, 1), table_size=5, frames_per_set=2, **_TINY)
    made.compile(keras.optimizers.Adam(1e-2))
    return made


@pytest.fixture
def frames(rng):
    return rng.integers(0, 256, (4, 2, 16, 16, 1), "uint8")


def _arrays(tensors):
    return {name: ops.convert_to_numpy(tensor) for name, tensor in tensors.items()}


def _kl(mean, log_variance, other):
    """KL of normals, the second of variance ¼."""
    variance = np.exp(log_variance)
    return 0.5 * (4 * variance + 4 * (mean - other) ** 2 - 1 - np.log(4 * variance))


def test_the_loss_by_hand(model, frames):
    x = frames.astype("float32") / 255
    outputs = model(frames)
    parts = _arrays(model.parts(ops.convert_to_tensor(x), _ROWS, outputs))
    found, table = _arrays(outputs), ops.convert_to_numpy(model.means)
    for b, (row, length) in enumerate(_ROWS):
        z1 = found["sequence_mean"][b]
        mu = table[row] if row >= 0 else z1.sum(0) / 2.25
        length = length if row >= 0 else 2
        of_x = stats.norm.logpdf(x[b], found["images"][b], 0.1).sum()
        kl_sequence = _kl(z1, found["sequence_log_variance"][b], mu).sum()
        z2, log_variance = (found[f"dynamic_{k}"][b] for k in ("mean", "log_variance"))
        kl = 0.5 * (z2**2 + np.exp(log_variance) - 1 - log_variance).sum()
        scores = -((z1[:, None] - table) ** 2).sum(-1) / (2 * 0.25)
        shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        for name, expected in (
            ("reconstruction_loss", -of_x),
            ("kl_sequence", kl_sequence),
            ("kl_dynamic", kl),
            ("mean_loss", -2 * stats.norm.logpdf(mu).sum() / length),
            ("discriminative_loss", -np.log(shares[:, row]).sum() if row >= 0 else 0),
        ):
            assert parts[name][b] == pytest.approx(expected, rel=1e-4, abs=1e-5), name
    total = sum(parts[name] for name in model.loss_parts[:4]).mean()
    total += 10 * parts["discriminative_loss"].mean()
    loss = model.compute_loss(frames, _ROWS, outputs)
    assert float(loss) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 10.0])
def test_rows_of_others_learn_by_the_discriminative_term_alone(model, frames, alpha):
    outputs = model(frames)
    model.part_weights = {"discriminative_loss": alpha}
    loss = lambda: model.compute_loss(frames, _ROWS, outputs)  # noqa: E731
    found = [0.0 if g is None else g for g in _gradients(loss, model)]
    model.part_weights = {"discriminative_loss": 10.0}
    place = [w is model.means for w in model.trainable_weights].index(True)
    moved = np.abs(found[place]).max(axis=1) > 0
    assert moved.tolist() == [True, alpha > 0, True, alpha > 0, True]


def _gradients(loss, model):
    """Gradients of a loss for the table alone."""

    class Table:
        trainable_weights = [model.means]

        def zero_grad(self):
            model.zero_grad()

    found = iter(gradients.gradients(loss, Table()))
    return [next(found) if w is model.means else None for w in model.trainable_weights]


def test_f_is_the_closed_form_and_knows_no_order(model, rng):
    frames = rng.integers(0, 256, (70, 16, 16, 1), "uint8")
    codes = model.encode(frames)
    z1 = ops.convert_to_numpy(model(frames[None])["sequence_mean"])[0]
    np.testing.assert_allclose(codes.static.mean, z1.sum(0) / 70.25, atol=1e-5)
    np.testing.assert_allclose(codes.static.variance, 0.25 / 70.25, rtol=1e-5)
    # It is the most probable mean: there the derivative of the log-density is 0.
    slope = ((z1 - codes.static.mean) / 0.25).sum(0) - codes.static.mean
    np.testing.assert_allclose(slope, 0, atol=2e-3)
    order = rng.permutation(70)
    other = model.encode(frames[order])
    np.testing.assert_allclose(other.static.mean, codes.static.mean, atol=1e-5)
    np.testing.assert_allclose(other.dynamic.mean, codes.dynamic.mean[order], atol=1e-5)


def test_published_size():
    made = FHVAE.from_preset("published", table_size=100)
    encoder = 3_807_424  # as tests/layers/test_dcgan.py counts it
    posteriors = (128 + 1) * 256 + (128 + 32 + 1) * 256 + 2 * (256 + 1) * 2 * 32
    kernels = 16 * (64 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3)
    decoder = kernels + 3 * (512 + 256 + 128 + 64) + 3
    counted = sum(int(np.prod(w.shape)) for w in made.trainable_weights)
    assert counted == encoder + posteriors + decoder + 100 * 32


def test_a_file_has_the_table(model, frames, tmp_path):
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.get_config() == model.get_config()
    one, other = (
        float(m.compute_loss(frames, _ROWS, m(frames))) for m in (model, loaded)
    )
    assert other == pytest.approx(one, rel=1e-6)


def _store(path, **arguments):
    return write_arrays(path, np.zeros((4, 3, 16, 16, 1), "uint8"), **arguments)


def _create(folder, store, **model):
    return Run.create(folder, store, model_class=FHVAE, model={**_TINY, **model})


_ON = ["train", "train", "train", "val"]


def test_a_run_has_a_row_for_each(tmp_path):
    store = _store(tmp_path / "store", splits=_ON, persons=["Ann", "Bob", "Ann", "Cy"])
    run = _create(tmp_path / "run", store, table="persons", frames_per_set=2)
    config = run.config["model"]["config"]
    assert (config["table"], config["table_size"]) == ("persons", 2)
    model = FHVAE((16, 16, 1), 2, frames_per_set=2, table="persons", **_TINY)
    _, y = run.sets(model, store, 1)[0]
    assert {tuple(row) for row in y} == {(0, 6), (1, 3)}
    _, y = run.validation_sets(model, store)[0]
    assert (y == [-1, 3]).all()


def test_what_no_table_can_be_made_of(tmp_path):
    store = _store(tmp_path / "store", splits=_ON)
    for model, said in (
        ({"table": "persons"}, "a sequence of the split train has no person"),
        ({"table": "videos"}, "table='videos'; use one of sequences, persons"),
        ({"table_size": 3}, "table_size: the store says how large it is"),
        ({"alpha": -1}, "alpha=-1; it must be a number of at least 0"),
    ):
        with pytest.raises(InputError, match=said):
            _create(tmp_path / "run", store, **model)
    alone = _store(tmp_path / "alone", splits=["train", "val", "val", "val"])
    with pytest.raises(InputError, match="has one of the sequences alone"):
        _create(tmp_path / "run", alone)
    assert not (tmp_path / "run").exists()


def test_rows_that_do_not_fit(model, frames, tmp_path):
    for y, said in (
        (None, "y is missing; give integers"),
        (np.zeros(4), r"y is of float64 and has shape \(4,\)"),
        (np.array([[5, 3]] * 4), "y has rows up to 5"),
    ):
        with pytest.raises(InputError, match=said):
            model.fit(frames, y, verbose=0)
    store = _store(tmp_path / "store", splits=_ON)
    with pytest.raises(InputError, match="has 3 sequences, but the model has a table"):
        model.fit(FrameSets(store, batch_size=2), verbose=0)
