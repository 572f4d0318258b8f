"""The decoder that moves a picture: `warp` against SciPy, and its own parts."""

import numpy as np
import pytest
from keras import ops
from scipy.ndimage import map_coordinates

from keras_ddr import layers
from keras_ddr.layers.warping_decoder import warp
from layer_checks import check_layer

pytestmark = pytest.mark.backend


def test_pixels_come_from_where_the_motion_says(rng):
    images = rng.random((2, 7, 9, 3)).astype("float32")
    # Far over the border, too.
    motion = rng.uniform(-5, 5, (2, 3, 7, 9, 2)).astype("float32")
    found = ops.convert_to_numpy(warp(images, motion))
    rows, columns = np.meshgrid(np.arange(7), np.arange(9), indexing="ij")
    for b, n, c in np.ndindex(2, 3, 3):
        places = rows + motion[b, n, ..., 0], columns + motion[b, n, ..., 1]
        expected = map_coordinates(images[b, ..., c], places, order=1, mode="nearest")
        np.testing.assert_allclose(found[b, n, ..., c], expected, atol=1e-5)


def test_without_motion_the_picture_stays(rng):
    images = rng.random((2, 4, 6, 1)).astype("float32")
    still = warp(images, np.zeros((2, 2, 4, 6, 2), "float32"))
    np.testing.assert_allclose(ops.convert_to_numpy(still)[:, 1], images, atol=1e-6)


def test_warping_decoder(rng, tmp_path):
    layer = layers.WarpingDecoder((32, 48, 3), filters=5, hidden_units=7)
    f, z = (rng.random(shape, dtype="float32") for shape in ((2, 6), (2, 3, 2)))
    outputs = check_layer(layer, f, z, weights=30, tmp_path=tmp_path)
    assert outputs.shape == (2, 3, 32, 48, 3)


def test_a_frame_is_the_picture_moved_and_what_is_new(rng):
    layer = layers.WarpingDecoder((32, 32, 3), filters=8, hidden_units=8)
    f, z = (rng.normal(size=s).astype("float32") for s in ((2, 6), (2, 3, 2)))
    layer(f, z)
    last = layer.motion.deconvolutions[-1]
    moves = ops.convert_to_numpy(layer.motion(f, z))
    assert np.abs(moves).mean() < 0.1  # little at the start
    # A motion of one pixel down shows each row one row further up.
    last.kernel.assign(np.zeros(last.kernel.shape, "float32"))
    for down in (0, 1):
        last.bias.assign([down / 8, 0.0])
        still = ops.convert_to_numpy(layer.still(f, z[:, :1, :0]))
        moved = still[:, :, np.minimum(np.arange(32) + down, 31)]
        expected = moved + ops.convert_to_numpy(layer.new(f, z))
        found = ops.convert_to_numpy(layer(f, z))
        np.testing.assert_allclose(found, expected, atol=1e-5)
