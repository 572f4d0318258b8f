"""f, z_i → x_i: a still picture of f, moved as z says, and what is new in the frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_ddr.layers.frame_decoder import FrameDecoder
from keras_ddr.layers.gaussian_head import Part

if TYPE_CHECKING:
    from keras_ddr.typing import ImageShape, Shape, Tensor

__all__ = ["WarpingDecoder"]

_COARSE = 4  # pixels between two motions, which are interpolated
_PIXELS = 8.0  # that an output of 1 moves


@keras.saving.register_keras_serializable(package="keras_ddr")
class WarpingDecoder(Part):
    """Decodes f once a set, moves the picture for each z, and adds what is new.

    x̃_i(p) = still(f)(p + motion(f, z_i)(p)) + new(f, z_i)(p), outputs of the likelihood
    at the pixel p. A face that turns, and a mouth that opens a little, are motions of
    one picture, which stays sharp and somebody's; what comes to sight is drawn anew.
    Our own, not of the paper; after Shu et al., "Deforming Autoencoders", 2018.

    Args:
        image_shape: `(H, W, C)` of a frame, H and W multiples of 16.
        filters: Channels of the deconvolutions; those of the new have half as many.
        hidden_units: Units of a dense layer before the motion, and before the new.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        static: f, `(B, static_dim)`.
        dynamic: z, `(B, N, dynamic_dim)`.
    """

    _arguments = ("image_shape", "filters", "hidden_units")

    def __init__(
        self,
        image_shape: ImageShape,
        filters: int = 256,
        hidden_units: int = 512,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        height, width, channels = image_shape
        self.image_shape = height, width, channels
        self.filters = filters
        self.hidden_units = hidden_units
        kind: dict[str, Any] = {"dtype": self.dtype_policy}
        self.still = FrameDecoder(self.image_shape, filters, name="still", **kind)
        kind["hidden_units"] = hidden_units
        self.motion = FrameDecoder(
            (height // _COARSE, width // _COARSE, 2),
            filters,
            steps=2,
            # At the start little moves, so that motions are learned where they help.
            last_scale=1e-3,
            name="motion",
            **kind,
        )
        new = max(1, filters // 2)
        self.new = FrameDecoder(self.image_shape, new, name="new", **kind)

    def build(self, static_shape: Shape, dynamic_shape: Shape) -> None:
        """Create the weights of the three decoders."""
        self.still.build(static_shape, (*dynamic_shape[:-2], 1, 0))
        self.motion.build(static_shape, dynamic_shape)
        self.new.build(static_shape, dynamic_shape)
        self.built = True

    def call(self, static: Tensor, dynamic: Tensor) -> Tensor:
        """Return outputs (logits) `(B, N, H, W, C)`."""
        nothing = ops.expand_dims(static, 1)[..., :0]
        still = self.still(static, nothing)[:, 0]
        return warp(still, self._pixels(static, dynamic)) + self.new(static, dynamic)

    def _pixels(self, static: Tensor, dynamic: Tensor) -> Tensor:
        """Where each pixel of a frame comes from, `(B, N, H, W, 2)` down and right."""
        motion = _PIXELS * self.motion(static, dynamic)
        number, *coarse = motion.shape[1:]
        motion = ops.image.resize(
            ops.reshape(motion, (-1, *coarse)),
            self.image_shape[:2],
            interpolation="bilinear",
            data_format="channels_last",
        )
        return ops.reshape(motion, (-1, number, *self.image_shape[:2], 2))

    def compute_output_shape(self, static_shape: Shape, dynamic_shape: Shape) -> Shape:
        """Shape of the outputs."""
        return (*dynamic_shape[:2], *self.image_shape)


def warp(images: Tensor, motion: Tensor) -> Tensor:
    """Pictures whose pixels come from elsewhere in others, interpolated linearly.

    Args:
        images: `(B, H, W, C)`, H and W at least 2.
        motion: `(B, N, H, W, 2)`: pixel (y, x) of a result is that at (y, x) + motion;
            beyond the border, the nearest that there is.

    Returns:
        `(B, N, H, W, C)`.
    """
    height, width, channels = images.shape[1:]
    rows = ops.arange(height, dtype=motion.dtype)[:, None] + motion[..., 0]
    columns = ops.arange(width, dtype=motion.dtype) + motion[..., 1]
    rows = ops.clip(rows, 0.0, height - 1.0)
    columns = ops.clip(columns, 0.0, width - 1.0)
    # The last pixel is the far corner of the square before it.
    top = ops.clip(ops.floor(ops.stop_gradient(rows)), 0.0, height - 2.0)
    left = ops.clip(ops.floor(ops.stop_gradient(columns)), 0.0, width - 2.0)
    down = ops.reshape(rows - top, (-1, 1))
    right = ops.reshape(columns - left, (-1, 1))
    sets = ops.arange(ops.shape(images)[0], dtype="int32")[:, None, None, None]
    place = ops.cast(top, "int32") + sets * height
    place = ops.reshape(place * width + ops.cast(left, "int32"), (-1,))
    pixels = ops.reshape(images, (-1, channels))
    first, second, third, fourth = (
        ops.take(pixels, place + step, axis=0) for step in (0, 1, width, width + 1)
    )
    upper = first + (second - first) * right
    lower = third + (fourth - third) * right
    shape = (-1, motion.shape[1], height, width, channels)
    return ops.reshape(upper + (lower - upper) * down, shape)
