"""The model: its parts, its ELBO and its training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import keras
import numpy as np
from keras import ops

from keras_ddr import checks, configs, likelihoods
from keras_ddr.arguments import check_choice, check_number, check_seed, check_whole
from keras_ddr.errors import InputError
from keras_ddr.inference import Inference
from keras_ddr.layers import (
    ConditionalGaussianPrior,
    DynamicEncoder,
    FrameDecoder,
    FrameEncoder,
    GaussianSampling,
    PairwiseStaticEncoder,
    PooledStaticEncoder,
    StandardGaussianPrior,
)
from keras_ddr.objective import Objective
from keras_ddr.programs import Programs
from keras_ddr.training import TrainStep
from keras_ddr.training.callbacks import EpochSetter, LossWatch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from keras_ddr.likelihoods import Likelihood
    from keras_ddr.typing import ImageShape, Shape, Tensor

__all__ = ["DDR"]

AGGREGATIONS = ("concat", "mean", "pooled")
DYNAMIC_FRAMES = ("shared", "distinct")
DYNAMIC_PRIORS = ("conditional", "standard")
# Attributes with weights, in the order in which frames pass them.
PARTS = (
    "frame_encoder",
    "static_encoder",
    "dynamic_encoder",
    "prior",
    "frame_decoder",
    "likelihood",
)


def _without_backend(part: Any) -> Any:
    """A configuration whose optimizers are those of Keras.

    On PyTorch Keras writes optimizers as classes of that backend, which no other one
    can use.
    """
    if isinstance(part, list):
        return [_without_backend(item) for item in part]
    if not isinstance(part, dict):
        return part
    part = {name: _without_backend(item) for name, item in part.items()}
    if str(part.get("module")).startswith("keras.src.backend.torch.optimizers"):
        part.update(module="keras.optimizers", registered_name=None)
    return part


@keras.saving.register_keras_serializable(package="keras_ddr")
class DDR(TrainStep, Objective, Inference, keras.Model):
    """Learns f of a sequence and z of each frame from N frames in no order.

    The model is built as soon as it is made. `compile` needs an optimizer only: the
    loss is the negative ELBO of the paper, and labels are not used.

    Args:
        image_shape: `(H, W, C)` of a frame; H and W multiples of 16.
        static_dim: Dimensions of f.
        dynamic_dim: Dimensions of z.
        frames_per_set: N, the frames from which f is inferred, at least 2; 1 is
            possible with aggregation "pooled" (a variational autoencoder of frames).
        filters: Channels of the frame encoder and decoder.
        pair_filters: Channels of the static encoder's convolutions.
        hidden_units: Units of all hidden dense layers.
        aggregation: How the static encoder joins frames: pairs with "concat" (the
            paper) or "mean", see `keras_ddr.layers.PairwiseStaticEncoder`, or single
            frames with "pooled", see `keras_ddr.layers.PooledStaticEncoder`.
        dynamic_frames: The frames of a set whose z is inferred and that are decoded:
            "shared" are those from which f comes (the paper); "distinct" are N others,
            so that a set has 2N frames (the question at the end of section 5).
        dynamic_prior: p(z | f), "conditional" (learned, the paper) or "standard".
        likelihood: "bernoulli" (the paper), "continuous_bernoulli", "normal", or a
            `keras_ddr.likelihoods.Likelihood`.
        kl_weight: Factor on both KL terms; 1 is the ELBO.
        static_kl_weight: Further factor on the KL of f. 1 is the ELBO of a set; N / T
            that of a whole sequence of T frames, which has one f, divided among its
            sets.
        kl_warmup: Training steps in which the factor rises in equal parts to
            `kl_weight`; 0 for none.
        free_bits: Nats that each dimension of f (of a sequence) and of z (of a frame)
            may take for nothing: training does not push a KL below, in the mean over a
            batch (Kingma et al. 2016, Appendix C.8; on several TensorFlow devices, over
            the part of each). 0 is the ELBO.
        independence_weight: Nats that a frame pays for each unit of
            `keras_ddr.objective.dependence` of z̃ on the sequence, in a batch (or the
            part of a device); for data whose sequences show the same range of motion.
            0 is the ELBO.
        seed: Non-negative integer that starts the random draws of f and z.
        **kwargs: As for `keras.Model`.

    Call arguments:
        frames: `(B, N, H, W, C)`, channels last; integers 0 to 255 are divided by
            255, floats are taken as they are and must lie in [0, 1]. With distinct
            dynamic frames `(B, 2N, H, W, C)`: f is inferred from the first N, and what
            is returned of frames is of the others.
        training: Draw f and z from their posteriors (`True`) or use the means.

    Call returns:
        Dict of tensors: `reconstruction_logits` `(B, N, H, W, C)`; `static_mean` and
        `static_log_variance` `(B, static_dim)`; `dynamic_mean` and
        `dynamic_log_variance` `(B, N, dynamic_dim)`; `prior_mean` and
        `prior_log_variance` `(B, dynamic_dim)`.

    Raises:
        InputError: An argument that cannot be used.

    Example:
        >>> import numpy as np
        >>> from keras_ddr import DDR
        >>> model = DDR((32, 32, 1), static_dim=8, filters=8, pair_filters=8)
        >>> codes = model.encode(np.zeros((5, 32, 32, 1), "uint8"))
        >>> codes.static.mean.shape, codes.dynamic.mean.shape
        ((8,), (5, 2))

    References:
        Helminger, Djelouah, Gross and Weber, "Disentangled Dynamic Representations
        from Unordered Data", 2018; sections 2 and Appendix C.
    """

    built: bool

    def __init__(
        self,
        image_shape: ImageShape = (64, 64, 3),
        static_dim: int = 256,
        dynamic_dim: int = 2,
        frames_per_set: int = 3,
        filters: int = 256,
        pair_filters: int = 512,
        hidden_units: int = 512,
        aggregation: str = "concat",
        dynamic_frames: str = "shared",
        dynamic_prior: str = "conditional",
        likelihood: str | Likelihood | dict[str, Any] = "bernoulli",
        kl_weight: float = 1.0,
        static_kl_weight: float = 1.0,
        kl_warmup: int = 0,
        free_bits: float = 0.0,
        independence_weight: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        check_choice(AGGREGATIONS, aggregation=aggregation)
        check_choice(DYNAMIC_FRAMES, dynamic_frames=dynamic_frames)
        check_choice(DYNAMIC_PRIORS, dynamic_prior=dynamic_prior)
        least = checks.least_frames(aggregation)
        check_whole(least, frames_per_set=frames_per_set)
        check_whole(
            static_dim=static_dim,
            dynamic_dim=dynamic_dim,
            filters=filters,
            pair_filters=pair_filters,
            hidden_units=hidden_units,
        )
        checks.check_image_shape(image_shape)
        check_seed(seed=seed)
        check_number(
            kl_weight=kl_weight,
            static_kl_weight=static_kl_weight,
            free_bits=free_bits,
            independence_weight=independence_weight,
        )
        if independence_weight and frames_per_set < 2:
            raise InputError(
                f"independence_weight={independence_weight} compares the frames of a "
                "set; take frames_per_set of at least 2, or leave it at 0"
            )
        if kl_warmup != 0:
            check_whole(kl_warmup=kl_warmup)
        super().__init__(**kwargs)
        height, width, channels = (int(size) for size in image_shape)
        self.image_shape = height, width, channels
        self.static_dim = static_dim = int(static_dim)  # NumPy's are taken as well
        self.dynamic_dim = dynamic_dim = int(dynamic_dim)
        self.frames_per_set = frames_per_set = int(frames_per_set)
        self.filters = filters = int(filters)
        self.pair_filters = pair_filters = int(pair_filters)
        self.hidden_units = hidden_units = int(hidden_units)
        self.aggregation = aggregation
        self.dynamic_frames = dynamic_frames
        self.dynamic_prior = dynamic_prior
        self.kl_weight = kl_weight
        self.static_kl_weight = static_kl_weight
        self.kl_warmup = int(kl_warmup)
        self.free_bits = free_bits
        self.independence_weight = independence_weight
        self.seed = int(seed)
        self.likelihood = likelihoods.get(likelihood)
        shared = {"dtype": self.dtype_policy}
        self.frame_encoder = FrameEncoder(filters, name="frame_encoder", **shared)
        sizes = static_dim, pair_filters, hidden_units
        named = {"name": "static_encoder", **shared}
        if aggregation == "pooled":
            self.static_encoder = PooledStaticEncoder(*sizes, **named)
        else:
            self.static_encoder = PairwiseStaticEncoder(*sizes, aggregation, **named)
        self.dynamic_encoder = DynamicEncoder(
            dynamic_dim, hidden_units, name="dynamic_encoder", **shared
        )
        if dynamic_prior == "standard":
            self.prior = StandardGaussianPrior(dynamic_dim, name="prior", **shared)
        else:
            self.prior = ConditionalGaussianPrior(
                dynamic_dim, hidden_units, name="prior", **shared
            )
        self.frame_decoder = FrameDecoder(
            self.image_shape, filters, name="frame_decoder", **shared
        )
        self.sampling = GaussianSampling(self.seed, name="sampling")
        self._make_trackers()
        self._evaluating = False
        self._programs = Programs(self)
        self.build((None, self.set_size, *self.image_shape))

    @classmethod
    def from_config_name(
        cls, name: str, channels: int | None = None, **overrides: Any
    ) -> Self:
        """Make a model from a named configuration.

        Args:
            name: "mmnist", "sprites" or "affwild" (the paper's), "recommended",
                "small" or "tiny".
            channels: C of the frames, if it is not the configuration's.
            **overrides: Any argument of `DDR`.

        Returns:
            A new `DDR`.

        Raises:
            InputError: The name or an argument cannot be used.
        """
        arguments = {**configs.get(name)["model"], **overrides}
        if channels is not None:
            arguments["image_shape"] = (*arguments["image_shape"][:2], channels)
        return cls(**arguments)

    @property
    def channels(self) -> int:
        """C of a frame."""
        return self.image_shape[-1]

    @property
    def set_size(self) -> int:
        """Frames of a set of training data: N, or 2N with distinct dynamic frames."""
        return self.frames_per_set * (2 if self.dynamic_frames == "distinct" else 1)

    def build(self, input_shape: Shape) -> None:
        """Create all weights; `input_shape` is `(B, N, H, W, C)`."""
        if self.built:
            return
        frames_shape = (None, self.frames_per_set, *input_shape[2:])
        features_shape = self.frame_encoder.compute_output_shape(frames_shape)
        static_shape = (None, self.static_dim)
        dynamic_shape = (None, self.frames_per_set, self.dynamic_dim)
        self.frame_encoder.build(frames_shape)
        self.static_encoder.build(features_shape)
        self.dynamic_encoder.build(static_shape, features_shape)
        self.prior.build(static_shape)
        self.frame_decoder.build(static_shape, dynamic_shape)
        self.sampling.build(static_shape, static_shape)
        if not self.likelihood.built:  # one that came out of a file is
            self.likelihood.build(frames_shape, frames_shape)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the same model again, and which parts are frozen."""
        frozen = [name for name in PARTS if not getattr(self, name).trainable]
        return {
            **super().get_config(),
            **({"frozen": frozen} if frozen and self.trainable else {}),
            "image_shape": self.image_shape,
            "static_dim": self.static_dim,
            "dynamic_dim": self.dynamic_dim,
            "frames_per_set": self.frames_per_set,
            "filters": self.filters,
            "pair_filters": self.pair_filters,
            "hidden_units": self.hidden_units,
            "aggregation": self.aggregation,
            "dynamic_frames": self.dynamic_frames,
            "dynamic_prior": self.dynamic_prior,
            "likelihood": keras.saving.serialize_keras_object(self.likelihood),
            "kl_weight": self.kl_weight,
            "static_kl_weight": self.static_kl_weight,
            "kl_warmup": self.kl_warmup,
            "free_bits": self.free_bits,
            "independence_weight": self.independence_weight,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Make the model that `get_config` has described.

        Args:
            config: What `get_config` gave.
            custom_objects: As in Keras.

        Returns:
            A new `DDR` with random weights.
        """
        config = dict(config)
        frozen = config.pop("frozen", ())
        model = super().from_config(config, custom_objects)
        for name in frozen:
            getattr(model, name).trainable = False
        return model

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer | None = None,
        loss: None = None,
        jit_compile: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        """Set the optimizer.

        Args:
            optimizer: A Keras optimizer or its name; the paper's Adam at 1e-4 where
                `None`.
            loss: Must be `None`, as must metrics: the loss is the negative ELBO, and
                its parts are shown.
            jit_compile: As in Keras.
            **kwargs: As for `keras.Model.compile`.

        Raises:
            InputError: A loss or metrics were given.
        """
        if loss is not None:
            raise InputError("DDR has its own loss, the negative ELBO; leave out loss=")
        for name in ("metrics", "weighted_metrics", "loss_weights"):
            if kwargs.get(name) is not None:
                raise InputError(
                    f"DDR has no labels to compare with; leave out {name}= and measure "
                    "in a callback, or with keras_ddr.evaluation"
                )
        if optimizer is None:
            optimizer = keras.optimizers.Adam(1e-4)
        super().compile(
            optimizer=optimizer, loss=None, jit_compile=jit_compile, **kwargs
        )
        self._requested_jit_compile = jit_compile
        # Keras skips the state of an optimizer that isn't built when it loads weights.
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    def get_compile_config(self) -> dict[str, Any] | None:
        """What `compile` was given; Keras writes it into `.keras` files."""
        config = super().get_compile_config()
        if config:
            # Keras would write what "auto" meant on this backend, and another one
            # that loads the file would run slowly.
            config["jit_compile"] = self._requested_jit_compile
            config = _without_backend(config)
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as before saving; Keras asks for this where compile is overridden."""
        # Files of older versions name classes of PyTorch's.
        config = _without_backend(config)
        self.compile(**keras.saving.deserialize_keras_object(config))

    def call(self, frames: Tensor, training: bool | None = None) -> dict[str, Tensor]:
        """Encode sets of frames and decode them again; see the class."""
        frames = self._intensities(frames)
        features = self.frame_encoder(frames)
        compared, features = self._roles(features)
        static_mean, static_log_variance = self.static_encoder(compared)
        static = self._draw(static_mean, static_log_variance, training)
        dynamic_mean, dynamic_log_variance = self.dynamic_encoder(static, features)
        dynamic = self._draw(dynamic_mean, dynamic_log_variance, training)
        prior_mean, prior_log_variance = self.prior(static)
        return {
            "reconstruction_logits": self.frame_decoder(static, dynamic),
            "static_mean": static_mean,
            "static_log_variance": static_log_variance,
            "dynamic_mean": dynamic_mean,
            "dynamic_log_variance": dynamic_log_variance,
            "prior_mean": prior_mean,
            "prior_log_variance": prior_log_variance,
        }

    def _roles(self, of_set: Tensor) -> tuple[Tensor, Tensor]:
        """What f is inferred from, and what z is inferred for; `(B, N, …)` each."""
        if self.dynamic_frames == "distinct":
            return of_set[:, : self.frames_per_set], of_set[:, self.frames_per_set :]
        return of_set, of_set

    def _intensities(self, frames: Tensor, dtype: str | None = None) -> Tensor:
        integers = keras.backend.standardize_dtype(frames.dtype).startswith(
            ("int", "uint")
        )
        frames = ops.cast(frames, dtype or self.compute_dtype)
        return frames / 255.0 if integers else frames

    def _draw(
        self, mean: Tensor, log_variance: Tensor, training: bool | None
    ) -> Tensor:
        if training or self._evaluating:
            return self.sampling(mean, log_variance, training=bool(training))
        return mean

    def fit(
        self,
        x: Any = None,
        y: None = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        *,
        shuffle: bool = True,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train on sets of frames; arguments as for `keras.Model.fit`.

        Args:
            x: A `FrameSets`, an array of sets `(S, N, H, W, C)`, or any data that
                `keras.Model.fit` takes and that yields such batches.
            y: Must be `None`: there are no labels.
            batch_size: Sets a batch, for arrays; Keras takes 32 where `None`.
            epochs: As in Keras.
            verbose: As in Keras.
            callbacks: List of Keras callbacks.
            shuffle: As in Keras; a `FrameSets` has its own order and ignores it.
            **kwargs: As for `keras.Model.fit`. `validation_data` takes what `x` takes.

        Returns:
            `keras.callbacks.History` with the keys `loss`, `reconstruction_loss`,
            `kl_static`, `kl_dynamic`, and the same with `val_`.

        Raises:
            InputError: The frames do not fit the model or lie outside [0, 1].
            LossNotFinite: The loss became NaN or infinite; it says where and in which
                part.
        """
        x = self._checked(x, y, "x")
        if kwargs.get("validation_data") is not None:
            kwargs["validation_data"] = self._checked_validation(
                kwargs["validation_data"]
            )
        added = [LossWatch()]
        if hasattr(x, "set_epoch"):
            shuffle = False
            if kwargs.get("steps_per_epoch") and hasattr(x, "with_steps"):
                # Keras would carry an iterator over into the next epoch.
                x = x.with_steps(kwargs.pop("steps_per_epoch"))
            added.append(EpochSetter(x))
        callbacks = _with_first(added, callbacks)
        # A callback that restores sets it; of an interrupted training it would stay.
        self._initial_epoch = 0
        try:
            return super().fit(
                x,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                shuffle=shuffle,
                **kwargs,
            )
        finally:
            if isinstance(callbacks, keras.callbacks.CallbackList):  # the caller's
                del callbacks.callbacks[: len(added)]

    def evaluate(self, x: Any = None, y: None = None, **kwargs: Any) -> Any:
        """ELBO and its parts, with draws that are the same at every call.

        Arguments as for `keras.Model.evaluate`; `x` as for `fit`.

        Raises:
            InputError: The frames do not fit the model or lie outside [0, 1].
        """
        if not kwargs.get("_use_cached_eval_dataset"):
            x = self._checked(x, y, "x")
        self.sampling.reset_evaluation()
        return super().evaluate(x, **kwargs)

    def test_step(self, *args: Any, **kwargs: Any) -> Any:
        """Keras's step, with f and z drawn from their posteriors."""
        self._evaluating = True
        try:
            return super().test_step(*args, **kwargs)
        finally:
            self._evaluating = False

    def predict(self, x: Any, **kwargs: Any) -> dict[str, NDArray[np.float32]]:
        """Posterior means and reconstructions of sets of frames.

        Args:
            x: As for `fit`.
            **kwargs: As for `keras.Model.predict`.

        Returns:
            Dict of NumPy arrays: what `call` gives, with `reconstruction` (expected
            intensities in [0, 1]) in place of `reconstruction_logits`.

        Raises:
            InputError: The frames do not fit the model or lie outside [0, 1].
        """
        outputs = super().predict(self._checked(x, None, "x"), **kwargs)
        logits = outputs.pop("reconstruction_logits")
        return {"reconstruction": self._expected_images(logits), **outputs}

    def _checked(self, x: Any, y: None, argument: str) -> Any:
        if y is not None:
            raise InputError(
                "y was given, but DDR learns without labels; leave it out "
                "(frames go in x, as sets of shape (sets, frames, height, width, "
                "channels))"
            )
        if getattr(x, "adapts", False):
            x = x.for_model(self.set_size)
        exact = self.aggregation == "concat" or self.dynamic_frames == "distinct"
        least = checks.least_frames(self.aggregation)
        number = self.set_size if exact else None
        return checks.check_sets(x, self.image_shape, number, argument, least)

    def _checked_validation(self, data: Any) -> Any:
        if isinstance(data, list) and all(np.ndim(part) == 4 for part in data):
            data = (data,)  # sets, as for x; Keras takes a list for a tuple
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        x = self._checked(x, y, "validation_data")
        return x if sample_weight is None else (x, None, sample_weight)


def _with_first(added: list[keras.callbacks.Callback], callbacks: Any) -> Any:
    if isinstance(callbacks, keras.callbacks.CallbackList):
        for callback in added:
            callback.set_model(callbacks.model)
        callbacks.callbacks[:0] = added
        return callbacks
    if callbacks is None:
        callbacks = []
    elif not isinstance(callbacks, list | tuple):
        callbacks = [callbacks]
    return [*added, *callbacks]
