"""The second stage of DrNet: what comes next, by an LSTM over its poses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import keras
import numpy as np
from keras import ops

from keras_ddr.arguments import check_seed, check_whole
from keras_ddr.errors import InputError
from keras_ddr.layers.gaussian_head import Part
from keras_ddr.models.base import as_numpy, per_frame
from keras_ddr.models.drnet import ContentAndPose, DrNet
from keras_ddr.presets import Preset, find_preset

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import ImageShape, Shape, Tensor

__all__ = ["DrNetPrediction"]

_OF_DRNET = ("image_shape", "static_dim", "dynamic_dim", "filters")
_LAYERS = ("content_encoder", "pose_encoder", "decoder")


@keras.saving.register_keras_serializable(package="keras_ddr")
class PosePredictor(Part):
    """The pose of the next frame, after those of all frames so far and their content.

    Args:
        dynamic_dim: Values of a pose.
        hidden_units: Units of the first dense layer and of each of two LSTMs.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        poses: `(B, T, dynamic_dim)`.
        content: `(B, static_dim)`.
        states: What a call for earlier frames gave; `None` at the beginning.

    Call returns:
        Poses of the frames 1 to T + 1 counted from 0, `(B, T, dynamic_dim)` float32 in
        (−1, 1), and the states after the last.
    """

    _arguments = ("dynamic_dim", "hidden_units")

    def __init__(self, dynamic_dim: int, hidden_units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dynamic_dim = dynamic_dim
        self.hidden_units = hidden_units
        self.first = keras.layers.Dense(
            hidden_units, dtype=self.dtype_policy, name="first"
        )
        self.lstms = [
            keras.layers.LSTM(
                hidden_units,
                return_sequences=True,
                return_state=True,
                unit_forget_bias=False,
                dtype=self.dtype_policy,
                name=f"lstm_{number}",
            )
            for number in (1, 2)
        ]
        self.last = keras.layers.Dense(
            dynamic_dim, "tanh", dtype="float32", name="last"
        )

    def build(self, poses_shape: Shape, content_shape: Shape) -> None:
        """Create all weights."""
        self.first.build((None, None, poses_shape[-1] + content_shape[-1]))
        for lstm in self.lstms:
            lstm.build((None, None, self.hidden_units))
        self.last.build((None, None, self.hidden_units))
        self.built = True

    def call(
        self, poses: Tensor, content: Tensor, states: Any = None
    ) -> tuple[Tensor, list[Any]]:
        """Return the next poses, and the states."""
        repeated = ops.repeat(content[:, None], poses.shape[1], axis=1)
        x = self.first(ops.concatenate([poses, repeated], axis=-1))
        found = []
        for lstm, state in zip(self.lstms, states or [None, None], strict=True):
            x, *state = lstm(x, initial_state=state)
            found.append(state)
        return self.last(x), found


@keras.saving.register_keras_serializable(package="keras_ddr")
class DrNetPrediction(ContentAndPose):
    """Frames to come: the poses of a trained `DrNet`, continued by an LSTM.

    `DrNetPrediction.begun_with(drnet, "small")` makes one; the encoders and the decoder
    are those of the `DrNet` and stay as they are, so that the codes are the same. It
    learns from windows of frames in order the pose of each next frame, given the poses
    before it and f, the mean content of the window. Predicting, it goes on from its own
    poses.

    Args:
        image_shape: `(H, W, C)` of a frame; H and W multiples of 16.
        static_dim: Dimensions of f.
        dynamic_dim: Dimensions of z.
        filters: Channels of the largest map of encoders and decoder.
        hidden_units: Units of each of the two LSTMs.
        window: Frames of a training window, at least 2.
        seed: Non-negative integer; nothing is drawn.
        **kwargs: As for `keras.Model`.

    References:
        Denton and Birodkar (2017), section 3.1, "Forward Prediction".
    """

    loss_parts = ("prediction_loss",)
    frame_order = "ordered"
    presets = {
        "small": Preset(
            "For two CPU cores: some minutes of training.",
            {"hidden_units": 128, "window": 12},
            training={
                "batch_size": 32,
                "learning_rate": 2e-3,
                "schedule": "cosine",
                "steps": 2_000,
            },
        ),
        "published": Preset(
            "As published, for a GPU.",
            training={"batch_size": 100, "learning_rate": 2e-3, "steps": 50_000},
        ),
    }
    _arguments = (*_OF_DRNET[1:], "hidden_units", "window")
    hidden_units: int
    window: int

    def __init__(
        self,
        image_shape: ImageShape = (64, 64, 3),
        static_dim: int = 128,
        dynamic_dim: int = 10,
        filters: int = 64,
        hidden_units: int = 256,
        window: int = 21,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        check_whole(2, window=window)
        sizes = {
            "static_dim": static_dim,
            "dynamic_dim": dynamic_dim,
            "filters": filters,
            "hidden_units": hidden_units,
            "window": window,
        }
        super().__init__(image_shape, seed, sizes, **kwargs)
        for name in _LAYERS:
            getattr(self, name).trainable = False
        self.predictor = PosePredictor(
            self.dynamic_dim,
            self.hidden_units,
            dtype=self.dtype_policy,
            name="predictor",
        )
        self._finish()

    @classmethod
    def from_preset(
        cls, name: str, weights: bool | None = None, **overrides: Any
    ) -> Self:
        """Refuse: there is nothing to predict without a trained `DrNet`."""
        raise InputError(
            f"{cls.__name__} goes on from a trained DrNet; give its run with --init, "
            f"or in Python call {cls.__name__}.begun_with(drnet, preset)"
        )

    @classmethod
    def begun_with(cls, model: Any, preset: str = "small", **arguments: Any) -> Self:
        """Make one that continues the poses of a trained model.

        Args:
            model: `DrNet`; it stays as it is.
            preset: Key of `presets`.
            **arguments: Arguments of the class that replace those of the preset; the
                sizes of `model` cannot be.

        Raises:
            InputError: It is another model, or an argument is a size of `model`.
        """
        if not isinstance(model, DrNet):
            raise InputError(
                f"init: is a {type(model).__name__}, and {cls.__name__} goes on from a "
                "DrNet; give a run of ddr fit --model drnet"
            )
        if fixed := [name for name in arguments if name in _OF_DRNET]:
            raise InputError(
                f"{', '.join(fixed)}: a run that begins with a trained model has its "
                "sizes; leave them out"
            )
        sizes = {name: getattr(model, name) for name in _OF_DRNET}
        chosen = {**find_preset(cls.presets, preset).model, **arguments}
        begun = cls(**sizes, **chosen)
        for name in _LAYERS:
            getattr(begun, name).set_weights(getattr(model, name).get_weights())
        return begun

    @property
    def set_size(self) -> int:
        """Frames of a window."""
        return self.window

    def forward_pass(self, frames: Tensor, training: bool | None) -> dict[str, Tensor]:
        """Poses of all frames, `(B, N, …)`, and those predicted for all but the first.

        The encoders normalise as they do in `encode`.
        """
        poses = ops.cast(per_frame(self.pose_encoder, frames), "float32")
        contents = ops.cast(per_frame(self.content_encoder, frames), "float32")
        content = ops.mean(contents, axis=1)
        predicted, _ = self.predictor(poses[:, :-1], content)
        return {"poses": poses, "content": content, "predicted": predicted}

    def parts(
        self, frames: Tensor, y: Tensor | None, outputs: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """The mean squared error of poses, `(B,)`."""
        error = ops.square(outputs["predicted"] - outputs["poses"][:, 1:])
        return {"prediction_loss": ops.mean(error, axis=(1, 2))}

    def predict_frames(
        self, frames: ArrayLike, number: int, draws: int = 1, seed: int = 0
    ) -> NDArray[np.float32]:
        """Predict what follows some frames.

        Args:
            frames: The first frames of a sequence, in order, `(T, H, W, C)`, T ≥ 1;
                integers 0 to 255 or floats in [0, 1].
            number: How many frames to predict.
            draws: How many predictions to give; all are the same, since nothing is
                drawn.
            seed: Without effect.

        Returns:
            Expected intensities, `(draws, number, H, W, C)` float32 in [0, 1].

        Raises:
            InputError: An argument cannot be used.
        """
        check_whole(number=number, draws=draws)
        check_seed(seed=seed)
        codes = self.encode(frames)
        content = ops.convert_to_tensor(codes.static.mean[None])
        given, states, found = codes.dynamic.mean[None], None, []
        for _ in range(number):
            poses, states = self.predictor(
                ops.convert_to_tensor(given), content, states
            )
            given = as_numpy(poses)[:, -1:]
            found.append(given[0, 0])
        images = self.decode(codes.static.mean, np.stack(found))
        return np.repeat(images[None], draws, axis=0)
