"""The seam: a model of sequences, as the rest of the package knows it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from keras_ddr.arguments import check_choice, check_seed, check_whole
from keras_ddr.code_densities import Densities
from keras_ddr.codes import Codes
from keras_ddr.errors import InputError
from keras_ddr.fitted_on_sets import FittedOnSets
from keras_ddr.presets import OWN, Preset, find_preset, load_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.alignment import Alignment
    from keras_ddr.typing import ImageShape

__all__ = ["SequenceModel"]


class SequenceModel(FittedOnSets):
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
        table: "sequences" or "persons" where training sets come with their rows in a
            table of them, see `FrameSets`; arguments of the class like `table_size`.
        presets: Dict from a name to a `keras_ddr.presets.Preset`.
        objective_class: Class of `objective` as `compile` takes it, or `None`.
        begun_with: Makes a model of what `init` may be of another class, or `None`.
        lacks_codes: Why `encode` finds no codes, where a model only draws; else "".
        comparable_loss: Whether a smaller loss on val means a better model.
        has_prior_of_dynamic: Whether z has a prior that depends on f, so that z̃ is not
            z itself.
        densities: `keras_ddr.code_densities.Densities` of f and z̃, fitted after the
            training and saved with the weights, or `None`; `fit` forgets them.
    """

    image_shape: ImageShape
    static_dim: int
    dynamic_dim: int
    frames_per_set: int = 1
    frame_order: str = "random"
    frame_stride: int = 1
    table: str = ""
    table_size: int | None = None
    presets: ClassVar[dict[str, Preset]] = {"small": OWN}
    objective_class: ClassVar[Callable[..., Any] | None] = None
    begun_with: ClassVar[Callable[..., Any] | None] = None
    lacks_codes: str = ""
    comparable_loss: bool = True
    has_prior_of_dynamic: bool = False
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

    @property
    def alignment(self) -> Alignment | None:
        """The alignment of z̃ that the densities hold, or `None`."""
        return None if self.densities is None else self.densities.alignment

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

        It is z itself where p(z | f) is a standard normal and nothing was aligned.
        Leading axes of f and z broadcast.
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
                learned nothing; "auto" is "fitted" where there are densities. The z of
                a model of ordered frames always comes from its prior: it moves.

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
        if fitted is None and density == "fitted":
            raise InputError(
                "density='fitted', but this model has no densities; fit them with "
                "keras_ddr.densities.fit_densities(model, store), or give "
                "density='prior'"
            )
        draw_static = self.draw_static if fitted is None else fitted.static.sample
        static = draw_static(sequences, generator)
        if fitted is not None and self.frame_order == "random":
            drawn = fitted.dynamic.sample(sequences * frames, generator)
            drawn = drawn.reshape(sequences, frames, -1)
            return self.decode(static, self.unstandardize(static[:, None], drawn))
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


def _for_each(static: ArrayLike, dynamic: ArrayLike) -> NDArray[np.float32]:
    """Values of z with the leading axes of both broadcast."""
    dynamic = np.asarray(dynamic, "float32")
    leading = np.broadcast_shapes(np.shape(static)[:-1], dynamic.shape[:-1])
    return np.broadcast_to(dynamic, (*leading, dynamic.shape[-1]))
