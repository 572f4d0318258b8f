"""Densities of the codes of trained sequences, from which new ones are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.arguments import check_seed
from keras_ddr.encoding import encode_frames
from keras_ddr.mixture import Densities, GaussianMixture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.codes import Codes
    from keras_ddr.data.store import FrameStore
    from keras_ddr.sequence_model import SequenceModel
    from keras_ddr.typing import Progress

__all__ = ["fit_densities"]

_SEQUENCES = {"train": 2000, "val": 300}
_FRAMES = 32  # of a sequence
_POINTS = 4000  # z̃ that a density is fitted to


def fit_densities(
    model: SequenceModel,
    store: FrameStore,
    seed: int = 0,
    progress: Progress | None = None,
) -> Densities:
    """Fit densities of f and z̃ to the codes of train, and give them to the model.

    p(f) is a standard normal, and codes fill a small part of it: f that is drawn from
    it looks like nobody. A mixture of Gaussians that is fitted to codes after the
    training (ex-post density estimation) has its mass where they are. Its size is the
    one that explains codes of val best; without val it is one Gaussian.

    Args:
        model: A trained `SequenceModel`; its `densities` are replaced.
        store: `FrameStore` that it was trained on.
        seed: Of the choice of sequences and frames, 2000 and 32 of each at most, and of
            the fits.
        progress: Called with (sequences encoded, all sequences), or `None`.

    Returns:
        `keras_ddr.mixture.Densities`. `model.save` keeps them.

    Raises:
        InputError: No sequence of train is long enough.

    References:
        Ghosh et al., "From Variational to Deterministic Autoencoders", 2020, section 4,
        for autoencoders.
    """
    check_seed(seed=seed)
    generator = np.random.default_rng([seed, 5])
    parts, splits = [], []
    store.require("train", model.frames_per_set)
    for split, most in _SEQUENCES.items():
        found = store.select(split, model.frames_per_set)
        for i in np.sort(generator.permutation(len(found))[:most]):
            chosen = generator.permutation(found[i].length)[:_FRAMES]
            parts.append((found[i], np.sort(chosen)))
            splits.append(split)
    codes = [c for _, c in encode_frames(model, store, parts, progress, seed=seed)]
    train = [c for c, split in zip(codes, splits, strict=True) if split == "train"]
    val = [c for c, split in zip(codes, splits, strict=True) if split == "val"]

    none = np.zeros((0, model.dynamic_dim), "float32")

    def frames(codes: list[Codes]) -> NDArray[np.float32]:
        """z̃ of frames, at most so many."""
        scores = np.concatenate([*(c.standardized for c in codes), none])
        return scores[generator.permutation(len(scores))[:_POINTS]]

    static = GaussianMixture.fit(
        [c.static.mean for c in train], [c.static.mean for c in val], seed
    )
    dynamic = GaussianMixture.fit(frames(train), frames(val), seed)
    model.densities = Densities(static, dynamic)
    return model.densities
