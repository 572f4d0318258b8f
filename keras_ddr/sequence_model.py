"""The seam: a model of sequences, as the rest of the package knows it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self

import keras
import numpy as np

from keras_ddr import checks
from keras_ddr.arguments import check_choice, check_seed, check_whole
from keras_ddr.codes import Codes
from keras_ddr.errors import InputError
from keras_ddr.mixture import Densities
from keras_ddr.presets import OWN, Preset, find_preset, load_weights
from keras_ddr.training.callbacks import EpochSetter, LossWatch, with_first
from keras_ddr.training.configuration import without_backend

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.typing import ImageShape, StrPath

__all__ = ["SequenceModel"]


class SequenceModel(keras.Model):
    """One static code f a sequence and one dynamic code z a frame.

    Runs, commands, evaluation and figures know this class alone. A model of your own
    sets the attributes, registers itself with
    `keras.saving.register_keras_serializable`, and defines `encode`, `decode_pairs`,
    `get_config`, and `call` with `compute_loss` (or a `train_step`). With a learned
    p(z | f) it also defines `standardize`, `unstandardize` and, with another p(f),
    `draw_static`.

    Attributes:
        image_shape: `(H, W, C)` of a frame.
        static_dim: Dimensions of f.
        dynamic_dim: Dimensions of z.
        frames_per_set: Fewest frames that `encode` takes.
        frame_order: Training sets hold "random" frames of a sequence in no order, or
            "ordered" ones, a window.
        frame_stride: Distance of the frames of a window.
        presets: Dict from a name to a `keras_ddr.presets.Preset`.
        objective_class: Class of the object that `compile` takes as `objective`, or
            `None`.
        lacks_codes: Why `encode` finds no codes, where a model only draws; else "".
        densities: `keras_ddr.mixture.Densities` of f and z̃ that `fit_densities` fitted
            after the training, or `None`. They are saved with the weights; `fit`
            forgets them.
    """

    image_shape: ImageShape
    static_dim: int
    dynamic_dim: int
    frames_per_set: int = 1
    frame_order: str = "random"
    frame_stride: int = 1
    presets: ClassVar[dict[str, Preset]] = {"small": OWN}
    objective_class: ClassVar[Callable[..., Any] | None] = None
    lacks_codes: str = ""
    densities: Densities | None = None
    built: bool

    @classmethod
    def from_preset(
        cls, name: str, weights: bool | None = None, **overrides: Any
    ) -> Self:
        """Make a model from a preset.

        Args:
            name: Key of `presets`.
            weights: Whether to give it the trained weights that come with the preset;
                by default where there are some and nothing is overridden. Otherwise
                weights are random.
            **overrides: Arguments of the class in place of the preset's, whose
                objective is the one that `compile` uses where it is given none.

        Raises:
            InputError: There is no such preset, or none of its weights fit.
        """
        preset = find_preset(cls.presets, name)
        model = cls(**{**preset.model, **overrides})
        if weights is None:
            weights = bool(preset.weights) and not overrides
        if weights:
            load_weights(model, name, preset.weights)
        if cls.objective_class is not None:
            model.objective = cls.objective_class(**preset.objective)
        return model

    # --- what it is trained on ------------------------------------------------------

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

    # --- what it is used for --------------------------------------------------------

    def encode(
        self, frames: ArrayLike, *, seed: int = 0, noise: float = 0.0, **options: Any
    ) -> Codes:
        """Find f of a sequence and z of each of its frames.

        Args:
            frames: One sequence `(T, H, W, C)`, T ≥ `frames_per_set`; integers 0 to 255
                or floats in [0, 1].
            seed: Of every random choice.
            noise: Posterior standard deviations of random noise on the mean of each z.
            **options: Of the class.
        """
        if self.lacks_codes:
            raise InputError(f"{type(self).__name__} {self.lacks_codes}")
        raise NotImplementedError

    def decode(self, static: ArrayLike, dynamic: ArrayLike) -> NDArray[np.float32]:
        """Images of f and z: expected intensities, float32 in [0, 1], `(..., H, W, C)`.

        Args:
            static: f, `(..., static_dim)`.
            dynamic: z, `(..., dynamic_dim)`. Leading axes broadcast; z may have one
                more, the frames: f `(B, static_dim)` with z `(B, N, dynamic_dim)`.
        """
        static = np.asarray(static, dtype="float32")
        dynamic = np.asarray(dynamic, dtype="float32")
        for name, value, size in (
            ("static", static, self.static_dim),
            ("dynamic", dynamic, self.dynamic_dim),
        ):
            if value.ndim == 0 or value.shape[-1] != size:
                raise InputError(
                    f"{name} has shape {value.shape}; its last axis must be {size}"
                )
        if dynamic.ndim == static.ndim + 1:
            static = static[..., None, :]
        try:
            leading = np.broadcast_shapes(static.shape[:-1], dynamic.shape[:-1])
        except ValueError:
            raise InputError(
                f"static {static.shape} and dynamic {dynamic.shape} do not belong "
                "together; give z one more axis than f, or the same leading axes"
            ) from None
        static = np.broadcast_to(static, (*leading, self.static_dim))
        dynamic = np.broadcast_to(dynamic, (*leading, self.dynamic_dim))
        if not math.prod(leading):
            return np.zeros((*leading, *self.image_shape), "float32")
        images = self.decode_pairs(
            static.reshape(-1, self.static_dim), dynamic.reshape(-1, self.dynamic_dim)
        )
        return images.reshape(*leading, *self.image_shape)

    def decode_pairs(
        self, static: NDArray[np.float32], dynamic: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """As `decode`, of pairs of f `(T, static_dim)` and z `(T, dynamic_dim)`."""
        raise NotImplementedError

    def standardize(self, static: ArrayLike, dynamic: ArrayLike) -> NDArray[np.float32]:
        """z̃ of z: its place under p(z | f), which means the same for every f.

        It is z itself where p(z | f) is a standard normal. Leading axes of f and z
        broadcast.
        """
        return _for_each(static, dynamic)

    def unstandardize(
        self, static: ArrayLike, standardized: ArrayLike
    ) -> NDArray[np.float32]:
        """The inverse of `standardize`: z of z̃, with the same arguments."""
        return _for_each(static, standardized)

    def draw_static(
        self, number: int, generator: np.random.Generator
    ) -> NDArray[np.float32]:
        """Draws of f ~ p(f), `(number, static_dim)`."""
        return generator.standard_normal((number, self.static_dim), "float32")

    def draw_dynamic(
        self, static: NDArray[np.float32], generator: np.random.Generator
    ) -> NDArray[np.float32]:
        """One draw of z for each f `(..., static_dim)`; frames are the first axis."""
        shape = (*static.shape[:-1], self.dynamic_dim)
        return self.unstandardize(static, generator.standard_normal(shape, "float32"))

    def sample(
        self, sequences: int = 1, frames: int = 8, seed: int = 0, density: str = "auto"
    ) -> NDArray[np.float32]:
        """Draw f of new sequences and z of their frames; their images.

        Args:
            sequences: Draws of f.
            frames: Draws of z for each.
            seed: Of all draws.
            density: "fitted" draws f and z̃ from `densities`, "prior" f ~ p(f) and
                z ~ p(z | f), which has places where no sequence is and the decoder has
                learned nothing; "auto" is "fitted" where there are densities.

        Returns:
            Expected intensities, `(sequences, frames, H, W, C)` float32 in [0, 1].

        Raises:
            InputError: An argument cannot be used, or nothing was fitted.
        """
        check_whole(sequences=sequences, frames=frames)
        check_seed(seed=seed)
        check_choice(("auto", "fitted", "prior"), density=density)
        generator = np.random.default_rng(seed)
        fitted = None if density == "prior" else self.densities
        if fitted is not None:
            static = fitted.static.sample(sequences, generator)
            drawn = fitted.dynamic.sample(sequences * frames, generator)
            drawn = drawn.reshape(sequences, frames, -1)
            return self.decode(static, self.unstandardize(static[:, None], drawn))
        if density == "fitted":
            raise InputError(
                "density='fitted', but this model has no densities; fit them with "
                "keras_ddr.densities.fit_densities(model, store), or give "
                "density='prior'"
            )
        static = self.draw_static(sequences, generator)
        repeated = np.broadcast_to(static, (frames, *static.shape))
        dynamic = self.draw_dynamic(repeated, generator)
        return self.decode(static, np.swapaxes(dynamic, 0, 1))

    def swap(
        self,
        static_from: ArrayLike | Codes,
        dynamic_from: ArrayLike | Codes,
        align: str = "none",
    ) -> NDArray[np.float32]:
        """Images of one sequence's f with another's z.

        Args:
            static_from: Frames `(T, H, W, C)` of a sequence, or its `Codes`.
            dynamic_from: The same of the sequence whose dynamics are wanted.
            align: "none" takes z as it is. "prior" carries it over as z̃: its place
                under the one p(z | f) becomes that under the other.

        Returns:
            Expected intensities, `(T, H, W, C)` float32 in [0, 1], one for each frame
            of `dynamic_from`.
        """
        check_choice(("none", "prior"), align=align)
        static_from, dynamic_from = (
            codes if isinstance(codes, Codes) else self.encode(codes)
            for codes in (static_from, dynamic_from)
        )
        dynamic = dynamic_from.dynamic.mean
        if align == "prior":
            dynamic = self.unstandardize(
                static_from.static.mean, dynamic_from.standardized
            )
        return self.decode(static_from.static.mean, dynamic)

    # --- Keras ----------------------------------------------------------------------

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
            found = tuple(density.dim for density in self.densities)
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
                    f"{type(self).__name__} has its own loss and no labels to compare "
                    f"with; leave out {name}= and measure in a callback, or with "
                    "keras_ddr.evaluation"
                )
        if optimizer is None:
            optimizer = keras.optimizers.Adam(1e-4)
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
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
        # A callback that restores sets it; of an interrupted training it would stay.
        self._initial_epoch = 0
        try:
            return super().fit(x, y, callbacks=callbacks, shuffle=shuffle, **kwargs)
        finally:
            if isinstance(callbacks, keras.callbacks.CallbackList):  # the caller's
                del callbacks.callbacks[: len(added)]

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
            x = x.for_model(self.set_size, self.frame_order, self.frame_stride)
        least, exact = self.set_limits()
        return checks.check_sets(x, self.image_shape, exact, argument, least)

    def _checked_validation(self, data: Any) -> Any:
        if isinstance(data, list) and all(np.ndim(part) == 4 for part in data):
            data = (data,)  # sets, as for x; Keras takes a list for a tuple
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        x = self._checked(x, y, "validation_data")
        if sample_weight is not None:
            return x, y, sample_weight
        return x if y is None else (x, y)


def _for_each(static: ArrayLike, dynamic: ArrayLike) -> NDArray[np.float32]:
    """Values of z with the leading axes of both broadcast."""
    dynamic = np.asarray(dynamic, "float32")
    leading = np.broadcast_shapes(np.shape(static)[:-1], dynamic.shape[:-1])
    return np.broadcast_to(dynamic, (*leading, dynamic.shape[-1]))
