"""Predicted frames against true ones, of predictors with known answers."""

import json

import numpy as np
import pytest
from own_model import Plain

from keras_ddr.data import write_arrays
from keras_ddr.evaluation import Prediction, evaluate
from keras_ddr.evaluation.reconstruction import structural_similarity


class Predictor(Plain):
    """Draws are the last frame, moved towards white by what is drawn for each."""

    lacks_codes = "predicts frames"
    shifts = (0.5, 0.0, 0.1)

    def predict_frames(self, frames, number, draws=1, seed=0):
        last = frames[-1].astype("float32") / 255
        moved = [last + shift * (1 - last) for shift in self.shifts[:draws]]
        return np.stack([[image] * number for image in moved])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Sequences of 8 frames, but for one of 5; those of test stand still."""
    random = np.random.default_rng(0)
    frames = [random.integers(0, 256, (8, 16, 16, 1), "uint8") for _ in range(6)]
    still = [
        np.repeat(random.integers(0, 256, (1, 16, 16, 1), "uint8"), n, axis=0)
        for n in (8, 8, 5)
    ]
    path = tmp_path_factory.mktemp("stores") / "still"
    return write_arrays(path, [*frames, *still], splits=["train"] * 6 + ["test"] * 3)


def test_the_best_draw_of_known_ones(store):
    model = Predictor((16, 16, 1))
    measure = Prediction(past=2, future=4, draws=3)
    report = evaluate(model, store, metrics=[measure])
    score = report.prediction
    assert (score.sequences, score.left_out) == (2, 1)
    # The second draw is the truth, as is the last frame.
    for name in ("best", "last_frame"):
        assert getattr(score.ssim, name) == pytest.approx(1)
        assert getattr(score.psnr, name) == pytest.approx(100)
    frames = [store.frames(k)[0] / 255 for k in (6, 7)]
    errors = np.array(
        [[np.square(s * (1 - x)).mean() for s in (0.5, 0.1)] for x in frames]
    )
    psnr = (100 - 10 * np.log10(errors).sum(axis=1)) / 3
    assert score.psnr.mean == pytest.approx(psnr.mean(), rel=1e-5)
    assert score.psnr.curves["mean"] == pytest.approx([psnr.mean()] * 4, rel=1e-5)
    ssim = [
        np.mean([structural_similarity(x + s * (1 - x), x) for s in model.shifts])
        for x in frames
    ]
    assert score.ssim.mean == pytest.approx(np.mean(ssim), rel=1e-5)
    mean = np.mean([store.frames(k) for k in range(6)], axis=(0, 1)) / 255
    floor = [-10 * np.log10(np.square(x - mean).mean()) for x in frames]
    assert score.psnr.mean_image == pytest.approx(np.mean(floor), rel=1e-5)
    low, high = score.psnr.intervals["mean_image"]
    assert (low, high) == pytest.approx((min(floor), max(floor)))


def test_a_draw_is_best_for_all_of_its_frames(store):
    """Not frame by frame, and each likeness has a best draw of its own."""
    model = Predictor((16, 16, 1))
    model.shifts = (0.3, 0.1, 0.2)
    one = evaluate(model, store, metrics=[Prediction(past=3, future=2, draws=1)])
    three = evaluate(model, store, metrics=[Prediction(past=3, future=2, draws=3)])
    first, best = one.prediction.psnr, three.prediction.psnr
    assert first.best == first.mean
    # 0.1 in place of 0.3 of the way.
    assert best.best - first.best == pytest.approx(20 * np.log10(3), rel=1e-5)


def test_the_report_and_its_limits(store):
    model = Predictor((16, 16, 1))
    measure = Prediction(past=2, future=4, draws=3)
    report = evaluate(model, store, metrics=[measure, "reconstruction"])
    table = report.table()
    assert "1 more of fewer than 6 frames are left out." in table
    assert max(len(line) for line in table.splitlines()) <= 100
    assert "reconstruction: Predictor predicts frames" in table
    json.dumps(report.to_dict(), allow_nan=False)
    [skipped] = evaluate(model, store, metrics="prediction").skipped
    assert "no sequence has 5 + 10 frames; give fewer with --past" in skipped.reason
