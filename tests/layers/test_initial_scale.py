"""Signals neither die nor blow up on their way through fresh convolutions."""

import numpy as np
import pytest
from keras import ops

from keras_ddr.layers import FrameDecoder, FrameEncoder

pytestmark = pytest.mark.backend


def _spread(x):
    return float(ops.convert_to_numpy(ops.std(x)))


def test_encoder_keeps_the_scale(rng):
    encoder = FrameEncoder(filters=64)
    noise = rng.standard_normal((4, 64, 64, 3), dtype="float32")
    assert 0.3 < _spread(encoder(noise)) < 3


def test_decoder_keeps_the_scale_up_to_its_small_outputs(rng):
    decoder = FrameDecoder((64, 64, 3), filters=64)
    static = rng.standard_normal((4, 16), dtype="float32")
    dynamic = rng.standard_normal((4, 2, 2), dtype="float32")
    outputs = decoder(static, dynamic)
    assert 0.1 < _spread(outputs) < 1.5
    assert np.abs(ops.convert_to_numpy(outputs)).max() < 10
