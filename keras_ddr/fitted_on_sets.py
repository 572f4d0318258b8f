"""Methods of Keras, for models that are trained on sets of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_ddr import checks
from keras_ddr.code_densities import Densities
from keras_ddr.errors import InputError
from keras_ddr.training.callbacks import EpochSetter, LossWatch, with_first
from keras_ddr.training.configuration import without_backend

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from keras_ddr.typing import ImageShape, StrPath

__all__ = ["FittedOnSets"]


class FittedOnSets(keras.Model):
    """Base of `SequenceModel`, which says what its attributes are."""

    image_shape: ImageShape
    static_dim: int
    dynamic_dim: int
    frames_per_set: int
    frame_order: str
    frame_stride: int
    table: str
    table_size: int | None
    densities: Densities | None
    built: bool

    @property
    def set_size(self) -> int:
        """Frames of a training set."""
        return self.frames_per_set

    @property
    def history_keys(self) -> tuple[str, ...]:
        """Names of the loss and its parts, as the history shows them."""
        return tuple(metric.name for metric in self.metrics)

    @property
    def warming_up(self) -> bool:
        """Whether the loss still changes by design."""
        return False

    def set_limits(self) -> tuple[int, int | None]:
        """Fewest frames of a training set, and the one number that fits, or `None`."""
        return self.set_size, self.set_size

    def save_own_variables(self, store: Any) -> None:
        """As in Keras, with the densities beside the weights."""
        super().save_own_variables(store)
        if self.densities is not None:
            for name, values in self.densities.arrays().items():
                store[name] = values

    def load_own_variables(self, store: Any) -> None:
        """As in Keras, with the densities beside the weights."""
        content = {name: store[name] for name in store.keys()}  # noqa: SIM118
        self.densities = Densities.taken_from(content)
        if self.densities is not None:
            found = self.densities.dims
            if found != (self.static_dim, self.dynamic_dim):
                raise InputError(f"its densities are of {found} dimensions")
        super().load_own_variables(content)

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer | None = None,
        *,
        jit_compile: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        """As in Keras, but the loss is the model's own; Adam at 1e-4 where `None`."""
        for name in ("loss", "metrics", "weighted_metrics", "loss_weights"):
            if kwargs.get(name) is not None:
                raise InputError(
                    f"{type(self).__name__} has its own loss; leave out {name}= and "
                    "measure in a callback, or with keras_ddr.evaluation"
                )
        adam = optimizer or keras.optimizers.Adam(1e-4)
        super().compile(optimizer=adam, jit_compile=jit_compile, **kwargs)
        self._requested_jit_compile = jit_compile
        # Keras's follows floatx, and half precision holds no loss. Set without Keras,
        # which would count it twice.
        tracker = keras.metrics.Mean(name="loss", dtype="float32")
        object.__setattr__(self, "_loss_tracker", tracker)
        self._build_parts()
        # Keras skips the state of an optimizer that isn't built when it loads weights.
        if self.built and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    def _build_parts(self) -> None:
        """Make the weights of parts that a subclass has added to a built model."""
        if self.built and not all(layer.built for layer in self._flatten_layers()):
            self._call_once()

    def _call_once(self) -> None:
        self(np.zeros((1, self.set_size, *self.image_shape), "uint8"))

    def build_from_config(self, config: dict[str, Any]) -> None:
        """As in Keras, which loads weights into parts that are built."""
        super().build_from_config(config)
        self._build_parts()

    def export(
        self, filepath: StrPath, format: str = "tf_saved_model", **kwargs: Any
    ) -> None:
        """Write the forward pass for serving; arguments as for `keras.Model.export`.

        Without `input_signature` it takes sets of frames as stores hold them: uint8
        `(B, N, H, W, C)`, with N = `set_size`.
        """
        self._call_once()  # Keras wants one, which a file or JAX does not make
        shape = (None, self.set_size, *self.image_shape)
        if kwargs.get("input_signature") is None:
            kwargs["input_signature"] = [keras.InputSpec(shape=shape, dtype="uint8")]
        super().export(str(filepath), format, **kwargs)

    def get_compile_config(self) -> dict[str, Any] | None:
        """As in Keras, for all backends."""
        config = super().get_compile_config()
        if config:
            # Keras would write what "auto" meant on this backend, and another one
            # that loads the file would run slowly.
            config["jit_compile"] = self._requested_jit_compile
            config = without_backend(config)
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """As in Keras, which asks for this where `compile` is overridden."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        *,
        callbacks: Any = None,
        shuffle: bool = True,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train on sets of frames; arguments as for `keras.Model.fit`.

        Args:
            x: A `FrameSets`, an array of sets `(S, N, H, W, C)`, or any data that
                `keras.Model.fit` takes and that yields such batches; `validation_data`
                likewise.
            y: Labels of the sets, for a class of your own whose `compute_loss` or
                `train_step` uses them; otherwise there are none.
            callbacks: As in Keras.
            shuffle: As in Keras; a `FrameSets` has its own order and ignores it.
            **kwargs: As in Keras; `batch_size` counts sets.

        Returns:
            `keras.callbacks.History` with the keys `history_keys`, and the same with
            `val_`.

        Raises:
            InputError: The frames do not fit the model or lie outside [0, 1].
            LossNotFinite: The loss became NaN or infinite: where, and in which part.
        """
        x = self._checked(x, y, "x")
        if (held_out := kwargs.get("validation_data")) is not None:
            kwargs["validation_data"] = self._checked_validation(held_out)
        added = [LossWatch()]
        if hasattr(x, "set_epoch"):
            shuffle = False
            if kwargs.get("steps_per_epoch") and hasattr(x, "with_steps"):
                # Keras would carry an iterator over into the next epoch.
                x = x.with_steps(kwargs.pop("steps_per_epoch"))
            added.append(EpochSetter(x))
        callbacks = with_first(added, callbacks)
        self.densities = None  # those of other weights
        self.before_fit(lambda most: _frames_of(x, most, self.image_shape))
        # A callback that restores sets it; of an interrupted training it would stay.
        self._initial_epoch = 0
        try:
            return super().fit(x, y, callbacks=callbacks, shuffle=shuffle, **kwargs)
        finally:
            if isinstance(callbacks, keras.callbacks.CallbackList):  # the caller's
                del callbacks.callbacks[: len(added)]

    def before_fit(self, frames: Callable[[int], NDArray[Any]]) -> None:
        """Take what the model needs to know of the data before its first step.

        Args:
            frames: Function of a number, that returns at most so many frames of the
                training sets, `(n, H, W, C)`.
        """

    def evaluate(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """Loss and its parts; arguments as in Keras, `x` and `y` as in `fit`."""
        if not kwargs.get("_use_cached_eval_dataset"):
            x = self._checked(x, y, "x")
        return super().evaluate(x, y, **kwargs)

    def _takes_labels(self) -> bool:
        """Whether a class of the user's has a loss, which may use labels."""
        methods = [getattr(type(self), name) for name in ("compute_loss", "train_step")]
        known = ("keras", "keras_ddr")
        return any(method.__module__.split(".")[0] not in known for method in methods)

    def _checked(self, x: Any, y: Any, argument: str) -> Any:
        """Training data that fit the model."""
        if y is not None and not self._takes_labels():
            raise InputError(
                f"y was given, but {type(self).__name__} learns without labels; leave "
                "it out (frames go in x, as sets of shape (sets, frames, height, "
                "width, channels))"
            )
        if getattr(x, "adapts", False):
            order = self.frame_order, self.frame_stride
            x = x.for_model(self.set_size, *order, self.table, self.table_size)
        least, exact = self.set_limits()
        return checks.check_sets(x, self.image_shape, exact, argument, least)

    def _checked_validation(self, data: Any) -> Any:
        if isinstance(data, list) and all(np.ndim(part) == 4 for part in data):
            data = (data,)  # sets, as for x; Keras takes a list for a tuple
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        x = self._checked(x, y, "validation_data")
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)


def _frames_of(sets: Any, most: int, image_shape: ImageShape) -> NDArray[Any]:
    """Frames `(n, H, W, C)` of training sets, at most so many."""
    if isinstance(sets, np.ndarray):
        return sets.reshape(-1, *image_shape)[:most]
    if not isinstance(sets, keras.utils.PyDataset):
        raise InputError(
            "frames that give no second look cannot be learned from before training; "
            "call model.adapt(frames), or give an array or FrameSets"
        )
    found: list[NDArray[Any]] = []
    number, batch = 0, 0
    while number < most and batch < sets.num_batches:
        frames = sets[batch]
        frames = frames[0] if isinstance(frames, tuple) else frames
        found.append(np.asarray(frames).reshape(-1, *image_shape))
        number += len(found[-1])
        batch += 1
    return np.concatenate(found)[:most]
