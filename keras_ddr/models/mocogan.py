"""MoCoGAN: videos drawn from one content vector and a path of motion vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from keras_ddr import checks
from keras_ddr.arguments import check_number, check_seed, check_whole
from keras_ddr.codes import Codes, with_noise
from keras_ddr.errors import InputError
from keras_ddr.gaussian import DiagonalGaussian
from keras_ddr.layers import DCGANDecoder, DCGANEncoder
from keras_ddr.layers.dcgan import initializer
from keras_ddr.models.base import PublishedModel, as_numpy, call_frozen, per_frame
from keras_ddr.presets import Preset

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import ImageShape, Tensor

__all__ = ["MoCoGAN"]

_LOG_VARIANCE = -9.0  # of codes, which have no posterior
_KERNEL = 4  # in space and, at most, in time
_FEATURES = 128  # of a frame, in the encoder
_DEPTH = 5  # convolutions of the discriminator of videos


@keras.saving.register_keras_serializable(package="keras_ddr")
class MoCoGAN(PublishedModel):
    """Draws videos: f is their content z_C, z the motion z_M of each of their frames.

    z_C ~ N(0, I) once a video; z_M comes out of a GRU that takes noise at each frame.
    A generator draws frames of both. A discriminator of single frames and one of
    videos learn to tell them from real ones, and the generator learns to pass for real
    with both. There is no way from frames to codes, unless `encoder` adds one.

    Args:
        image_shape: `(H, W, C)` of a frame; H and W multiples of 16.
        static_dim: Dimensions of z_C.
        dynamic_dim: Dimensions of z: z_M, behind a one-hot category if there are some.
        categories: Kinds of motion, one of which is drawn for a video; the
            discriminator of videos learns to read it, as in InfoGAN. 0 for none.
        frames_per_set: Frames of a window.
        frame_stride: Distance of the frames of a window.
        images_per_set: Frames of a window that the discriminator of images sees.
        filters: Channels of the largest map of each network.
        encoder: Whether to train an encoder on the generator's own draws. It is this
            package's, not the paper's.
        seed: Non-negative integer that starts the random draws of training.
        **kwargs: As for `keras.Model`.

    References:
        Tulyakov, Liu, Yang and Kautz, "MoCoGAN: Decomposing Motion and Content for
        Video Generation", 2017.
    """

    frame_order = "ordered"
    comparable_loss = False
    presets = {
        "small": Preset(
            "For two CPU cores: about thirty CPU minutes with frames of 64×64×3.",
            {
                "static_dim": 32,
                "dynamic_dim": 8,
                "frames_per_set": 8,
                "frame_stride": 1,
                "images_per_set": 4,
                "filters": 16,
            },
            training={
                "batch_size": 8,
                # Few steps need a higher rate than many.
                "learning_rate": 1.5e-3,
                "schedule": "cosine",
                "beta_1": 0.5,
                "steps": 8_000,
            },
        ),
        "published": Preset(
            "Sizes and training of the published code.",
            {"images_per_set": 3},
            training={
                "batch_size": 3,
                "learning_rate": 2e-4,
                "beta_1": 0.5,
                "steps": 100_000,
            },
        ),
    }
    _arguments = (
        *("static_dim", "dynamic_dim", "categories", "frames_per_set"),
        *("frame_stride", "images_per_set", "filters", "encoder"),
    )

    def __init__(
        self,
        image_shape: ImageShape = (64, 64, 3),
        static_dim: int = 50,
        dynamic_dim: int = 10,
        categories: int = 0,
        frames_per_set: int = 16,
        frame_stride: int = 2,
        images_per_set: int = 1,
        filters: int = 64,
        encoder: bool = False,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        sizes = {
            "static_dim": static_dim,
            "dynamic_dim": dynamic_dim,
            "frames_per_set": frames_per_set,
            "frame_stride": frame_stride,
            "images_per_set": images_per_set,
            "filters": filters,
        }
        super().__init__(image_shape, seed, sizes, **kwargs)
        if not isinstance(encoder, bool):
            raise InputError(f"encoder={encoder!r}; it must be true or false")
        check_whole(0, self.dynamic_dim - 1, categories=categories)
        check_whole(1, self.frames_per_set, images_per_set=images_per_set)
        self.categories = int(categories)
        self.encoder = encoder
        self.loss_parts = (
            *("generator_loss", "image_discriminator_loss"),
            *("video_discriminator_loss",),
            *(["category_loss"] if categories else []),
            *(["encoder_loss"] if encoder else []),
        )
        if not encoder:
            self.lacks_codes = (
                "has no encoder: it only draws; ddr fit --set encoder=true trains "
                "one with it"
            )
        self._make_networks()
        self._finish()

    def _make_networks(self) -> None:
        policy, dim = self.dtype_policy, self.motion_dim
        self.motion = keras.layers.GRU(
            dim,
            return_sequences=True,
            kernel_initializer=initializer("uniform"),
            recurrent_initializer=initializer("uniform"),
            bias_initializer=keras.initializers.RandomUniform(-(dim**-0.5), dim**-0.5),
            dtype="float32",
            name="motion",
        )
        self.motion.build((None, self.frames_per_set, dim))
        self.generator = DCGANDecoder(
            self.image_shape,
            self.filters,
            slope=0.0,
            use_bias=False,
            dtype=policy,
            name="generator",
        )
        self.generator.build((None, self.static_dim + self.dynamic_dim))
        self.image_discriminator = _discriminator(
            self.image_shape, self.filters, 1, policy
        )
        video = (self.frames_per_set, *self.image_shape)
        self.video_discriminator = _discriminator(
            video, self.filters, 1 + self.categories, policy
        )
        if self.encoder:
            dim = self.static_dim + self.dynamic_dim
            self.reader = keras.Sequential(
                [
                    DCGANEncoder(_FEATURES, self.filters, dtype=policy),
                    keras.layers.Dense(dim, dtype="float32"),
                ],
                name="reader",
            )
            self.reader.build((None, *self.image_shape))

    @property
    def motion_dim(self) -> int:
        """Dimensions of z_M."""
        return self.dynamic_dim - self.categories

    # --- the loss -------------------------------------------------------------------

    def forward_pass(self, frames: Tensor, training: bool | None) -> dict[str, Tensor]:
        """Logits of the discriminators for the frames and for as many drawn videos."""
        codes, places = self._draws(ops.shape(frames)[0], training)
        drawn = per_frame(self.generator, codes, training=training)
        outputs = self._judged(ops.cast(frames, "float32"), drawn, places, training)
        outputs["codes"] = ops.stop_gradient(codes)
        if self.encoder:
            outputs["found"] = per_frame(
                self.reader, ops.stop_gradient(drawn), training=training
            )
        return outputs

    def _draws(
        self, number: int | Tensor, training: bool | None
    ) -> tuple[Tensor, Tensor]:
        """Codes of new videos `(B, N, …)`, and which frames are looked at, one-hot."""
        frames, dim = self.frames_per_set, self.motion_dim
        widths = [self.static_dim, self.categories, dim, frames * dim, frames]
        zeros = ops.zeros((number, sum(widths)), "float32")
        # One draw: of the stream that is saved with the model.
        noise = self.draw(zeros, zeros, training)
        content, category, begin, path, places = ops.split(
            noise, np.cumsum(widths)[:-1].tolist(), axis=1
        )
        path = ops.reshape(path, (-1, frames, dim))
        parts = [content[:, None]]
        if self.categories:
            category = ops.one_hot(ops.argmax(category, axis=1), self.categories)
            parts.append(category[:, None])
        parts = [ops.repeat(part, frames, axis=1) for part in parts]
        codes = ops.concatenate(
            [*parts, self.motion(path, initial_state=begin)], axis=2
        )
        order = ops.argsort(places, axis=1)[:, : self.images_per_set]
        return codes, ops.one_hot(order, frames)

    def _judged(
        self, frames: Tensor, drawn: Tensor, picks: Tensor, training: bool | None
    ) -> dict[str, Tensor]:
        """Logits `(B, …, logits)` for real frames and drawn ones.

        "passed" equals "drawn" in value; the generator learns by the former, and
        the discriminators by the others.
        """

        def images(x: Tensor) -> Tensor:
            x = ops.einsum("bkt,bthwc->bkhwc", picks, x)
            return ops.reshape(x, (-1, *self.image_shape))

        outputs = {}
        for kind, network, view in (
            ("image", self.image_discriminator, images),
            ("video", self.video_discriminator, lambda x: x),
        ):
            real, passed = (view(2.0 * x - 1.0) for x in (frames, drawn))
            seen = {
                "real": network(real, training=training),
                "drawn": network(ops.stop_gradient(passed), training=training),
                "passed": call_frozen(network, passed, training=bool(training)),
            }
            places = -1 if kind == "image" else seen["real"].shape[1]
            for name, logits in seen.items():
                logits = ops.cast(logits, "float32")
                shape = (ops.shape(frames)[0], places, logits.shape[-1])
                outputs[f"{kind}_{name}"] = ops.reshape(logits, shape)
        return outputs

    def parts(
        self, frames: Tensor, y: Tensor | None, outputs: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Cross-entropies of each set, `(B,)` float32, and the error of the encoder."""

        def told(name: str, real: bool) -> Tensor:
            logits = outputs[name][..., 0]
            return ops.mean(ops.softplus(-logits if real else logits), axis=1)

        found = {
            "generator_loss": told("image_passed", True) + told("video_passed", True)
        }
        for kind in ("image", "video"):
            found[f"{kind}_discriminator_loss"] = told(f"{kind}_real", True) + told(
                f"{kind}_drawn", False
            )
        if self.categories:
            found["category_loss"] = self._category_loss(outputs)
        if self.encoder:
            error = ops.square(outputs["found"] - outputs["codes"])
            # z_C is one of a video, as its mean over frames is.
            static = ops.mean(outputs["found"], axis=1) - outputs["codes"][:, 0]
            static = ops.sum(ops.square(static[:, : self.static_dim]), axis=1)
            dynamic = ops.sum(ops.mean(error, axis=1)[:, self.static_dim :], axis=1)
            found["encoder_loss"] = static + dynamic
        return found

    def _category_loss(self, outputs: dict[str, Tensor]) -> Tensor:
        """Nats: the discriminator learns to read categories, the generator shows them.

        Its value counts once, its gradient for either.
        """
        first = self.static_dim
        drawn = outputs["codes"][:, :1, first : first + self.categories]
        read, shown = (
            -ops.mean(
                ops.sum(drawn * ops.log_softmax(outputs[name][..., 1:]), axis=-1),
                axis=1,
            )
            for name in ("video_drawn", "video_passed")
        )
        return read + shown - ops.stop_gradient(shown)

    # --- what it is used for --------------------------------------------------------

    def encode(
        self, frames: ArrayLike, *, seed: int = 0, noise: float = 0.0, **options: Any
    ) -> Codes:
        """z_C and z of frames, by the encoder that learned from draws.

        Arguments are as for `SequenceModel`. Codes are points: their log-variance is
        -9 everywhere.
        """
        if not self.encoder:
            return super().encode(frames, seed=seed, noise=noise, **options)
        check_seed(seed=seed)
        check_number(noise=noise)
        frames = checks.check_sequence(frames, self.image_shape, 1)
        images = checks.intensities(frames)
        found = self._programs("encoder", self.reader, [images])
        static, dynamic = np.split(found, [self.static_dim], axis=1)
        z = DiagonalGaussian(dynamic, np.full_like(dynamic, _LOG_VARIANCE))
        f = static.mean(axis=0)
        f = DiagonalGaussian(f, np.full_like(f, _LOG_VARIANCE))
        return Codes(f, with_noise(z, frames, noise, seed))

    def decode_pairs(
        self, static: NDArray[np.float32], dynamic: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Frames of pairs of z_C and z."""
        codes = np.concatenate([static, dynamic], axis=1)
        return as_numpy(self._programs("generator", self.generator, [codes]))

    def draw_dynamic(
        self, static: NDArray[np.float32], generator: np.random.Generator
    ) -> NDArray[np.float32]:
        """Paths of videos: those of the GRU, and one category for each of them.

        The first axis of `static` `(T, ..., static_dim)` are the frames in time.
        """
        frames, *videos = static.shape[:-1]
        dim, count = self.motion_dim, math.prod(videos)
        begin = generator.standard_normal((count, dim), "float32")
        path = generator.standard_normal((count, frames, dim), "float32")
        motion = as_numpy(self.motion(path, initial_state=ops.convert_to_tensor(begin)))
        if self.categories:
            drawn = generator.integers(0, self.categories, count)
            category = np.eye(self.categories, dtype="float32")[drawn][:, None]
            shape = (count, frames, self.categories)
            motion = np.concatenate([np.broadcast_to(category, shape), motion], axis=2)
        return np.swapaxes(motion, 0, 1).reshape(*static.shape[:-1], self.dynamic_dim)


def _discriminator(
    shape: tuple[int, ...], filters: int, logits: int, policy: Any
) -> keras.Sequential:
    """Convolutions with stride 2: a logit a patch of an image, some a video."""
    *times, height, width, _ = shape
    convolution = keras.layers.Conv3D if times else keras.layers.Conv2D
    pad = keras.layers.ZeroPadding3D if times else keras.layers.ZeroPadding2D
    normal = {"momentum": 0.9, "epsilon": 1e-5}
    kernels = [(t,) for t in _kernels_in_time(times[0])] if times else [()] * 4
    step = (1,) * len(times)
    layers: list[keras.layers.Layer] = []
    for k, kernel in enumerate(kernels):
        last = k + 1 == len(kernels)
        size, stride = (_KERNEL, _KERNEL), (2, 2)
        if k == 4:  # over all that is left
            size, stride = (height // 16, width // 16), (1, 1)
        else:
            layers.append(pad((*(0 for _ in times), 1, 1), dtype=policy))
        layers.append(
            convolution(
                logits if last else filters * 2**k,
                (*kernel, *size),
                (*step, *stride),
                use_bias=False,
                kernel_initializer=initializer("uniform"),
                dtype=policy,
            )
        )
        if 0 < k and not last:
            layers.append(keras.layers.BatchNormalization(dtype=policy, **normal))
        if not last:
            layers.append(keras.layers.LeakyReLU(0.2, dtype=policy))
    name = "video_discriminator" if times else "image_discriminator"
    network = keras.Sequential(layers, name=name)
    network.build((None, *shape))
    return network


def _kernels_in_time(frames: int) -> list[int]:
    """Sizes in time of the convolutions, which leave one step of up to 16 frames."""
    least, more = divmod(min(frames - 1, _DEPTH * (_KERNEL - 1)), _DEPTH)
    return [1 + least + (k < more) for k in range(_DEPTH)]
