"""DDR: the model of the paper, its parts, its forward pass and its loss."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import keras
from keras import ops

from keras_ddr import likelihoods
from keras_ddr.arguments import check_choice, check_seed, check_whole
from keras_ddr.checks import check_channels_last, check_image_shape
from keras_ddr.inference import Inference
from keras_ddr.layers import (
    ComponentsDecoder,
    ComponentsDynamicEncoder,
    ComponentsEncoder,
    ConditionalGaussianPrior,
    DynamicEncoder,
    FrameDecoder,
    FrameEncoder,
    GaussianSampling,
    PairwiseStaticEncoder,
    PooledStaticEncoder,
    PrincipalComponents,
    StandardGaussianPrior,
    WarpingDecoder,
)
from keras_ddr.loss import ObjectiveLoss
from keras_ddr.presets import PRESETS
from keras_ddr.programs import Programs
from keras_ddr.training import TrainStep

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.likelihoods import Likelihood
    from keras_ddr.typing import ImageShape, Shape, Tensor

__all__ = ["DDR"]

AGGREGATIONS = ("concat", "mean", "pooled")
DYNAMIC_FRAMES = ("shared", "distinct")
DYNAMIC_PRIORS = ("conditional", "standard")
DECODERS = ("direct", "warping", "components")
# Arguments that may be layers of the user's own, in the order in which frames pass.
_LAYERS = (
    "frame_encoder",
    "static_encoder",
    "dynamic_encoder",
    "prior",
    "frame_decoder",
)
_SIZES = (
    "static_dim",
    "dynamic_dim",
    "frames_per_set",
    "filters",
    "pair_filters",
    "hidden_units",
    "components",
)
_TIMES = 20  # frames for each component


@keras.saving.register_keras_serializable(package="keras_ddr")
class DDR(TrainStep, ObjectiveLoss, Inference):
    """Learns f of a sequence and z of each frame from N frames in no order.

    The model is built as soon as it is made; `compile` needs an optimizer only.

    Args:
        image_shape: `(H, W, C)` of a frame; H and W multiples of 16.
        static_dim: Dimensions of f.
        dynamic_dim: Dimensions of z.
        frames_per_set: N, the frames from which f is inferred, at least 2; 1 is
            possible with aggregation "pooled" (a variational autoencoder of frames).
        filters: Channels of the default frame encoder and decoder.
        pair_filters: Channels of the default static encoder's convolutions.
        hidden_units: Units of all hidden dense layers of the default parts.
        aggregation: How the default static encoder joins frames: pairs with "concat"
            (the paper) or "mean", see `keras_ddr.layers.PairwiseStaticEncoder`, or
            single frames with "pooled", see `keras_ddr.layers.PooledStaticEncoder`.
        dynamic_frames: The frames of a set whose z is inferred and that are decoded:
            "shared" are those from which f comes (the paper); "distinct" are N others,
            so that a set has 2N frames (the question at the end of section 5).
        dynamic_prior: The default p(z | f), "conditional" (learned, the paper) or
            "standard".
        decoder: The default frame decoder, "direct" (the paper), or "warping", see
            `keras_ddr.layers.WarpingDecoder`; or "components": encoder and decoder of
            frames are dense networks on scores of principal components, which `adapt`
            finds before training, see `keras_ddr.layers.PrincipalComponents`.
        components: Principal components of the decoder of that name.
        likelihood: "bernoulli" (the paper, and where `None`), "continuous_bernoulli",
            "normal", or a `keras_ddr.likelihoods.Likelihood`; decoder "components" has
            its own, `keras_ddr.likelihoods.ComponentsNormal`.
        frame_encoder: Keras layer from frames `(B, H, W, C)`, floats in [0, 1], to maps
            `(B, h, w, c)` or vectors `(B, c)`; `FrameEncoder` where `None`.
        static_encoder: Keras layer from the maps of sets `(B, N, h, w, c)` to the
            tuple (mean, log-variance) of q(f | x_S), `(B, static_dim)` each. If it has
            an attribute `fewest_frames`, it takes any N from there on.
        dynamic_encoder: Keras layer from f `(B, static_dim)` and maps
            `(B, N, h, w, c)` to the tuple of q(z | f, x), `(B, N, dynamic_dim)` each.
        prior: Keras layer from f to the tuple of p(z | f), `(B, dynamic_dim)` each.
        frame_decoder: Keras layer from f and z `(B, N, dynamic_dim)` to the outputs of
            the likelihood `(B, N, H, W, C)`; or, with one input, from f and z side by
            side `(B, static_dim + dynamic_dim)` to those of a frame `(B, H, W, C)`.
        seed: Non-negative integer that starts the random draws of f and z.
        **kwargs: As for `keras.Model`.

    Call arguments:
        frames: `(B, N, H, W, C)`, channels last; integers 0 to 255 are divided by
            255, floats are taken as they are and must lie in [0, 1]. With distinct
            dynamic frames `(B, 2N, H, W, C)`: f is inferred from the first N, and z
            and reconstructions are those of the others.
        training: Draw f and z from their posteriors (`True`) or use the means.

    Call returns:
        Dict of tensors: `reconstruction_logits`, the outputs of the decoder,
        `(B, N, H, W, C)`, or scores `(B, N, K)` of "components"; `static_mean` and
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

    presets = PRESETS

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
        decoder: str = "direct",
        components: int = 512,
        likelihood: str | Likelihood | None = None,
        frame_encoder: keras.layers.Layer | None = None,
        static_encoder: keras.layers.Layer | None = None,
        dynamic_encoder: keras.layers.Layer | None = None,
        prior: keras.layers.Layer | None = None,
        frame_decoder: keras.layers.Layer | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        check_choice(AGGREGATIONS, aggregation=aggregation)
        check_choice(DYNAMIC_FRAMES, dynamic_frames=dynamic_frames)
        check_choice(DYNAMIC_PRIORS, dynamic_prior=dynamic_prior)
        check_choice(DECODERS, decoder=decoder)
        check_image_shape(image_shape)
        check_seed(seed=seed)
        given = locals()
        sizes = {name: given[name] for name in _SIZES}
        check_whole(**sizes)
        super().__init__(**kwargs)
        for name, size in sizes.items():
            setattr(self, name, int(size))  # NumPy's are taken as well
        height, width, channels = (int(size) for size in image_shape)
        self.image_shape = height, width, channels
        self.aggregation = aggregation
        self.dynamic_frames = dynamic_frames
        self.dynamic_prior = dynamic_prior
        self.decoder = decoder
        self._components = None
        if decoder == "components":
            self._components = PrincipalComponents(
                self.image_shape, self.components, name="components"
            )
        self.seed = int(seed)
        self.likelihood = likelihoods.get(likelihood, self._components)
        self._own = [name for name in _LAYERS if given[name] is not None]
        parts = {name: given[name] or self._default(name) for name in _LAYERS}
        check_channels_last(parts)
        self.frame_encoder = parts["frame_encoder"]
        self.static_encoder = parts["static_encoder"]
        self.dynamic_encoder = parts["dynamic_encoder"]
        self.prior = parts["prior"]
        self.frame_decoder = parts["frame_decoder"]
        self.sampling = GaussianSampling(self.seed, name="sampling")
        check_whole(self.set_limits()[0], frames_per_set=frames_per_set)
        self._make_trackers()
        self._programs = Programs()
        self.build((None, self.set_size, *self.image_shape))
        # Building locks it, and a subclass may go on after `super().__init__`.
        self._tracker.unlock()

    # --- parts ----------------------------------------------------------------------

    def _default(self, name: str) -> keras.layers.Layer:
        kind: Any
        sizes: Any
        pair = self.pair_filters, self.hidden_units
        prior: tuple[Any, ...] = ConditionalGaussianPrior, self.dynamic_dim, pair[1]
        if self.dynamic_prior == "standard":
            prior = StandardGaussianPrior, self.dynamic_dim
        decoder: tuple[Any, ...] = FrameDecoder, self.image_shape, self.filters
        if self.decoder == "warping":
            decoder = WarpingDecoder, *decoder[1:], self.hidden_units
        static: tuple[Any, ...] = PooledStaticEncoder, self.static_dim, *pair
        if self.aggregation != "pooled":
            static = PairwiseStaticEncoder, *static[1:], self.aggregation
        encoder: tuple[Any, ...] = FrameEncoder, self.filters
        dynamic: tuple[Any, ...] = DynamicEncoder, self.dynamic_dim, self.hidden_units
        if self._components is not None:
            products, of_z = 2 * self.components, max(1, self.hidden_units // 2)
            encoder = ComponentsEncoder, self._components, self.hidden_units
            static = *static, 1  # the size of the kernels
            dynamic = ComponentsDynamicEncoder, self.dynamic_dim, of_z, products
            decoder = ComponentsDecoder, self.components, of_z, products
        kind, *sizes = {
            "frame_encoder": encoder,
            "static_encoder": static,
            "dynamic_encoder": dynamic,
            "prior": prior,
            "frame_decoder": decoder,
        }[name]
        return kind(*sizes, name=name, dtype=self.dtype_policy)

    def adapt(self, frames: ArrayLike) -> None:
        """Find the principal components of `decoder="components"`.

        `fit` does so with twenty frames of its sets for each component, if nobody did.
        They are held in memory as float32: 64×64×3 and 512 components take 0.5 GB.

        Args:
            frames: `(n, H, W, C)` of many sequences, integers 0 to 255 or floats in
                [0, 1].

        Raises:
            InputError: There are fewer frames than components.
        """
        if self._components is not None:
            self._components.adapt(frames, self.seed)

    def before_fit(self, frames: Callable[[int], NDArray[Any]]) -> None:
        """See `keras_ddr.SequenceModel`."""
        if self._components is not None and not self._components.adapted:
            self.adapt(frames(_TIMES * self.components))

    @property
    def set_size(self) -> int:
        """Frames of a training set: N, or 2N with distinct dynamic frames."""
        return self.frames_per_set * (2 if self.dynamic_frames == "distinct" else 1)

    def set_limits(self) -> tuple[int, int | None]:
        """Fewest frames of a training set, and the one number that fits, or `None`."""
        fewest = self.any_number()
        if fewest is None:
            return getattr(self.static_encoder, "compares", 1), self.set_size
        return fewest, self.set_size if self.dynamic_frames == "distinct" else None

    def any_number(self) -> int | None:
        """Fewest frames of which f can be found; `None` where it takes N alone."""
        return getattr(self.static_encoder, "fewest_frames", None)

    def build(self, input_shape: Shape) -> None:
        """Create all weights; `input_shape` is `(B, N, H, W, C)`."""
        if self.built:
            return
        frames_shape = (None, self.frames_per_set, *input_shape[2:])
        static_shape = (None, self.static_dim)
        dynamic_shape = (None, self.frames_per_set, self.dynamic_dim)
        self._decodes_frames = _has_one_input(self.frame_decoder)
        decoded = [static_shape, dynamic_shape]
        if self._decodes_frames:
            decoded = [(None, self.static_dim + self.dynamic_dim)]
        outputs_shape = frames_shape
        if self._components is not None:
            outputs_shape = (*dynamic_shape[:2], self.components)
        if not self.frame_encoder.built:
            self.frame_encoder.build((None, *input_shape[2:]))
        maps = self.frame_encoder.compute_output_shape((None, *input_shape[2:]))[1:]
        maps = maps if len(maps) == 3 else (1, 1, *maps)
        features_shape = (None, self.frames_per_set, *maps)
        for layer, shapes in (
            (self.static_encoder, [features_shape]),
            (self.dynamic_encoder, [static_shape, features_shape]),
            (self.prior, [static_shape]),
            (self.frame_decoder, decoded),
            (self.sampling, [static_shape, static_shape]),
            (self.likelihood, [outputs_shape, frames_shape]),
        ):
            if not layer.built:  # one that came out of a file is
                layer.build(*shapes)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the same model again, and which parts are frozen."""
        own = {name: getattr(self, name) for name in self._own}
        parts = (*_LAYERS, "likelihood")
        frozen = [name for name in parts if not getattr(self, name).trainable]
        return {
            **super().get_config(),
            **({"frozen": frozen} if frozen and self.trainable else {}),
            "image_shape": self.image_shape,
            **{name: getattr(self, name) for name in _SIZES},
            "aggregation": self.aggregation,
            "dynamic_frames": self.dynamic_frames,
            "dynamic_prior": self.dynamic_prior,
            "decoder": self.decoder,
            "likelihood": None
            if self._components is not None
            else keras.saving.serialize_keras_object(self.likelihood),
            **keras.saving.serialize_keras_object(own),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Make the model that `get_config` has described, with random weights."""
        config = dict(config)
        frozen = config.pop("frozen", ())
        for name in (*_LAYERS, "likelihood"):
            if isinstance(config.get(name), dict):
                config[name] = keras.saving.deserialize_keras_object(
                    config[name], custom_objects
                )
        model = super().from_config(config, custom_objects)
        for name in frozen:
            getattr(model, name).trainable = False
        return model

    # --- forward --------------------------------------------------------------------

    def call(self, frames: Tensor, training: bool | None = None) -> dict[str, Tensor]:
        """Encode sets of frames and decode them again; see the class."""
        draw = functools.partial(self.draw, training=training)
        return self.forward_pass(self.intensities(frames), draw)

    def unpack(self, data: Any) -> tuple[Tensor, Any, Any]:
        """Frames of a batch, or their coordinates, found once a step; its weights."""
        x, y, sample_weight = super().unpack(data)
        if self._components is None or "frame_encoder" in self._own:
            return x, y, sample_weight
        # JAX has no weights here, and its compiler finds what is asked for twice.
        if keras.backend.backend() != "jax":
            x = self._components.coordinates(x)
        return x, y, sample_weight

    def forward_pass(
        self, frames: Tensor, draw: Callable[[Tensor, Tensor], Tensor]
    ) -> dict[str, Tensor]:
        """The one pass that training, evaluation and likelihoods share.

        It takes frames as `call` does, floats in [0, 1], and a function `draw` of the
        mean and log-variance of a posterior, which gives the f, and then the z, to go
        on with; it returns the dict of `call`.
        """
        compared, features = self.roles(self.features(frames))
        static_mean, static_log_variance = self.static_encoder(compared)
        static = draw(static_mean, static_log_variance)
        return {
            "static_mean": static_mean,
            "static_log_variance": static_log_variance,
            **self.given_static(static, features, draw),
        }

    def features(self, frames: Tensor) -> Tensor:
        """Maps h `(…, h, w, c)` of frames `(…, H, W, C)`, floats in [0, 1]."""
        whole = tuple(frames.shape[-3:]) == self.image_shape
        axes = 3 if whole else 1  # of a frame; coordinates have one
        leading = (-1, *frames.shape[1:-axes])
        x = self.frame_encoder(ops.reshape(frames, (-1, *frames.shape[-axes:])))
        maps = x.shape[1:] if len(x.shape) == 4 else (1, 1, *x.shape[1:])
        return ops.reshape(x, (*leading, *maps))

    def roles(self, of_set: Tensor) -> tuple[Tensor, Tensor]:
        """Values of the frames that f comes from, and of those that are decoded."""
        if self.dynamic_frames == "distinct":
            return of_set[:, : self.frames_per_set], of_set[:, self.frames_per_set :]
        return of_set, of_set

    def given_static(
        self, static: Tensor, features: Tensor, draw: Callable[[Tensor, Tensor], Tensor]
    ) -> dict[str, Tensor]:
        """Second half of `forward_pass`: z and the outputs for f `(B, static_dim)`."""
        dynamic_mean, dynamic_log_variance = self.dynamic_encoder(static, features)
        prior_mean, prior_log_variance = self.prior(static)
        dynamic = draw(dynamic_mean, dynamic_log_variance)
        return {
            "reconstruction_logits": self.outputs(static, dynamic),
            "dynamic_mean": dynamic_mean,
            "dynamic_log_variance": dynamic_log_variance,
            "prior_mean": prior_mean,
            "prior_log_variance": prior_log_variance,
        }

    def outputs(self, static: Tensor, dynamic: Tensor) -> Tensor:
        """Outputs of the decoder, as in `call`, of f and z `(B, N, dynamic_dim)`."""
        if not self._decodes_frames:
            return self.frame_decoder(static, dynamic)
        number = dynamic.shape[1]
        static = ops.repeat(ops.expand_dims(static, 1), number, axis=1)
        codes = ops.concatenate([static, ops.cast(dynamic, static.dtype)], axis=-1)
        x = self.frame_decoder(ops.reshape(codes, (-1, codes.shape[-1])))
        return ops.reshape(x, (-1, number, *x.shape[1:]))

    # --- Keras ----------------------------------------------------------------------

    def predict(self, x: Any, **kwargs: Any) -> dict[str, NDArray[np.float32]]:
        """Posterior means and reconstructions of sets of frames.

        Args:
            x: As for `fit`; frames that do not fit are an `InputError`.
            **kwargs: As for `keras.Model.predict`.

        Returns:
            Dict of NumPy arrays: what `call` gives, with `reconstruction` (expected
            intensities in [0, 1]) in place of `reconstruction_logits`.
        """
        outputs = super().predict(self._checked(x, None, "x"), **kwargs)
        logits = outputs.pop("reconstruction_logits")
        return {"reconstruction": self.expected_images(logits), **outputs}


def _has_one_input(layer: keras.layers.Layer) -> bool:
    """Whether a layer takes one tensor, as stock layers and models do."""
    if isinstance(layer, keras.Sequential):
        return True
    if isinstance(layer, keras.Model) and hasattr(layer, "inputs"):
        return len(layer.inputs or ()) == 1
    names = inspect.signature(layer.call).parameters
    return len(set(names) - {"training", "mask"}) == 1
