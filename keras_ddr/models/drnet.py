"""DrNet: content and pose of a video, which a scene discriminator keeps apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from keras_ddr import checks
from keras_ddr.arguments import check_number
from keras_ddr.codes import Codes
from keras_ddr.gaussian import DiagonalGaussian
from keras_ddr.layers import DCGANDecoder, DCGANEncoder
from keras_ddr.layers.dcgan import initializer
from keras_ddr.models.base import PublishedModel, call_frozen
from keras_ddr.presets import Preset

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import ImageShape, Shape, Tensor

__all__ = ["DrNet"]

_CERTAIN = -9.0  # log-variance of codes that have none
_FRAMES = 4  # of a training set: two for content, two for pose


class ContentAndPose(PublishedModel):
    """The coder that both stages of DrNet share.

    Args:
        image_shape: `(H, W, C)` of a frame; H and W multiples of 16.
        seed: Non-negative integer that starts the random draws of training.
        sizes: Dict of "static_dim", "dynamic_dim", "filters" and whatever else is a
            whole number of at least 1.
        **kwargs: As for `keras.Model`.
    """

    static_dim: int
    dynamic_dim: int
    filters: int
    frames_per_set = 1

    def __init__(
        self, image_shape: ImageShape, seed: int, sizes: dict[str, int], **kwargs: Any
    ) -> None:
        super().__init__(image_shape, seed, sizes, **kwargs)
        common = {"filters": self.filters, "dtype": self.dtype_policy}
        frames, codes = (None, *self.image_shape), self.static_dim + self.dynamic_dim
        self.content_encoder = DCGANEncoder(
            self.static_dim, name="content_encoder", **common
        )
        self.pose_encoder = DCGANEncoder(
            self.dynamic_dim, name="pose_encoder", **common
        )
        self.decoder = DCGANDecoder(self.image_shape, name="decoder", **common)
        self.content_encoder.build(frames)
        self.pose_encoder.build(frames)
        self.decoder.build((None, codes))

    def encode(  # type: ignore[override]
        self, frames: ArrayLike, *, seed: int = 0, noise: float = 0.0
    ) -> Codes:
        """Find f, the mean content of the frames, and z, the pose of each.

        Args:
            frames: One sequence `(T, H, W, C)`, T ≥ 1; integers 0 to 255 or floats in
                [0, 1].
            seed: Without effect: nothing is drawn.
            noise: Without effect: the codes have no posterior.

        Returns:
            `Codes`, all within (−1, 1); every log-variance is −9, which stands for
            none.
        """
        frames = checks.check_sequence(frames, self.image_shape, 1)
        content, pose = (
            np.concatenate(
                [
                    self._programs(layer.name, layer, [checks.intensities(part)])
                    for part in np.split(frames, range(64, len(frames), 64))
                ]
            ).astype("float32")
            for layer in (self.content_encoder, self.pose_encoder)
        )
        certain = [
            DiagonalGaussian(code, np.full_like(code, _CERTAIN))
            for code in (content.mean(axis=0), pose)
        ]
        return Codes(certain[0], certain[1])

    def decode_pairs(
        self, static: NDArray[np.float32], dynamic: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Images `(T, H, W, C)` of T pairs of f and z, see `SequenceModel`."""
        codes = np.concatenate([static, dynamic], axis=1)
        return self._programs("decoder", self.decoder, [codes])


def _discriminator(units: int, poses: Shape, dtype: Any) -> keras.Sequential:
    """Two poses, joined, to the logit of their being of different clips."""
    layers = [
        keras.layers.Dense(
            width,
            activation,
            kernel_initializer=initializer("uniform"),
            dtype=dtype if activation else "float32",
        )
        for width, activation in ((units, "relu"), (units, "relu"), (1, None))
    ]
    network = keras.Sequential(layers, name="discriminator")
    network.build(poses)
    return network


@keras.saving.register_keras_serializable(package="keras_ddr")
class DrNet(ContentAndPose):
    """Content of a video and pose of each frame, by an adversarial loss.

    A content encoder gives f, a pose encoder z, both deterministic and within (−1, 1).
    From four frames of a clip in any order the decoder gives the third by the content
    of the first and its own pose, the contents of the first two are drawn together,
    and a discriminator learns whether two poses are of one clip, while the pose
    encoder makes that impossible to tell.

    The history's loss is what the encoders and the decoder descend; the part of the
    discriminator, `discriminator_loss`, stands beside it.

    Args:
        image_shape: `(H, W, C)` of a frame; H and W multiples of 16.
        static_dim: Dimensions of f.
        dynamic_dim: Dimensions of z.
        filters: Channels of the largest map of encoders and decoder.
        hidden_units: Units of each hidden layer of the discriminator.
        adversarial_weight: Weight of the cross-entropy to .5 in the loss.
        seed: Non-negative integer that starts the random pairs of clips.
        **kwargs: As for `keras.Model`.

    References:
        Denton and Birodkar, "Unsupervised Learning of Disentangled Representations from
        Video" (2017), section 3.
    """

    loss_parts = (
        *("reconstruction_loss", "similarity_loss", "adversarial_loss"),
        "discriminator_loss",
    )
    presets = {
        "small": Preset(
            "For two CPU cores: about half an hour of training.",
            {"static_dim": 64, "filters": 32, "hidden_units": 256},
            training={
                "batch_size": 32,
                "learning_rate": 2e-3,
                "schedule": "cosine",
                "steps": 6_000,
            },
        ),
        "published": Preset(
            "As published, for a GPU.",
            training={"batch_size": 100, "learning_rate": 2e-3, "steps": 120_000},
        ),
    }
    _arguments = (
        *("static_dim", "dynamic_dim", "filters", "hidden_units"),
        "adversarial_weight",
    )
    hidden_units: int

    def __init__(
        self,
        image_shape: ImageShape = (64, 64, 3),
        static_dim: int = 128,
        dynamic_dim: int = 10,
        filters: int = 64,
        hidden_units: int = 512,
        adversarial_weight: float = 0.1,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        check_number(adversarial_weight=adversarial_weight)
        sizes = {
            "static_dim": static_dim,
            "dynamic_dim": dynamic_dim,
            "filters": filters,
            "hidden_units": hidden_units,
        }
        super().__init__(image_shape, seed, sizes, **kwargs)
        self.adversarial_weight = float(adversarial_weight)
        self.part_weights = {"adversarial_loss": self.adversarial_weight}
        self.discriminator = _discriminator(
            self.hidden_units, (None, 2 * self.dynamic_dim), self.dtype_policy
        )
        self._finish()

    @property
    def set_size(self) -> int:
        """Four frames: two for content, two for pose."""
        return _FRAMES

    def forward_pass(self, frames: Tensor, training: bool | None) -> dict[str, Tensor]:
        """Contents, poses and what is made of them, see `PublishedModel`.

        Logits of the discriminator are "same" and "different" for two poses of one clip
        and of two, with a gradient for its weights alone, and "confused" for those of
        one clip, with a gradient for the first pose alone.
        """
        train = bool(training)
        # Each is a batch of its own for the normalisation. The second content and the
        # second pose are targets: neither encoder learns from them.
        content = self.content_encoder(frames[:, 0], training=train)
        target = ops.stop_gradient(self.content_encoder(frames[:, 1], training=train))
        pose = self.pose_encoder(frames[:, 2], training=train)
        other = ops.stop_gradient(self.pose_encoder(frames[:, 3], training=train))
        seen = ops.stop_gradient(pose)
        foreign = ops.take(other, self._partners(frames, training), axis=0)
        images = self.decoder(ops.concatenate([content, pose], axis=1), training=train)
        pairs = [ops.concatenate([seen, second], axis=1) for second in (other, foreign)]
        own = ops.concatenate([pose, other], axis=1)
        outputs = {
            "content": content,
            "target": target,
            "pose": pose,
            "reconstruction": images,
            "same": self.discriminator(pairs[0])[:, 0],
            "different": self.discriminator(pairs[1])[:, 0],
            "confused": call_frozen(self.discriminator, own)[:, 0],
        }
        return {name: ops.cast(value, "float32") for name, value in outputs.items()}

    def _partners(self, frames: Tensor, training: bool | None) -> Tensor:
        """For each clip of a batch another one, `(B,)`: the next of a random circle."""
        zeros = ops.zeros_like(ops.cast(frames[:, 0, 0, 0, 0], "float32"))
        order = ops.argsort(self.draw(zeros, zeros, training))
        return ops.take(ops.roll(order, -1), ops.argsort(order), axis=0)

    def parts(
        self, frames: Tensor, y: Tensor | None, outputs: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Parts of the loss of each set, `(B,)`, means over values."""
        error = ops.square(outputs["reconstruction"] - frames[:, 2])
        distance = ops.square(outputs["content"] - outputs["target"])
        # −log of a sigmoid, and of 1 minus it, is softplus of −x and of x.
        wrong = ops.softplus(outputs["same"]) + ops.softplus(-outputs["different"])
        told = ops.softplus(outputs["confused"]) + ops.softplus(-outputs["confused"])
        return {
            "reconstruction_loss": ops.mean(error, axis=(1, 2, 3)),
            "similarity_loss": ops.mean(distance, axis=1),
            "adversarial_loss": 0.5 * told,
            "discriminator_loss": 0.5 * wrong,
        }

    def get_metrics_result(self) -> dict[str, Tensor]:
        """Means over the batches so far; the loss is without the discriminator's."""
        logs = super().get_metrics_result()
        # A discriminator that cannot tell has a high loss, and is what is wanted: the
        # best model on val is the one of the others.
        return {**logs, "loss": logs["loss"] - logs["discriminator_loss"]}
