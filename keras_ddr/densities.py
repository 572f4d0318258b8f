"""Densities of the codes of trained sequences, from which new ones are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.alignment import fit_alignment
from keras_ddr.arguments import check_seed
from keras_ddr.code_densities import Densities, IndependentSubspaces
from keras_ddr.encoding import encode_frames
from keras_ddr.mixture import GaussianMixture

if TYPE_CHECKING:
    from keras_ddr.data.store import FrameStore
    from keras_ddr.sequence_model import SequenceModel

__all__ = ["fit_densities"]

_SEQUENCES = {"train": 2000, "val": 300}
_FRAMES = 32  # of a sequence
_POINTS = 2000  # z̃ that a density is fitted to


def fit_densities(
    model: SequenceModel, store: FrameStore, seed: int = 0, alignment: bool = True
) -> Densities:
    """Fit densities of f and z̃ to the codes of train, and give them to the model.

    p(f) is a standard normal, and codes fill a small part of it: f that is drawn from
    it looks like nobody. A mixture of Gaussians that is fitted to codes after the
    training (ex-post density estimation) has its mass where they are. Its size is the
    one that explains codes of val best; without val it is one Gaussian.

    Where p(z | f) is learned, z̃ is aligned as well: see `keras_ddr.alignment`.

    Args:
        model: A trained `SequenceModel`; its `densities` are replaced.
        store: `FrameStore` that it was trained on.
        seed: Of the choice of sequences and frames, 2000 and 32 of each at most, and of
            the fits.
        alignment: Whether to align z̃, if that explains codes of val better.

    Returns:
        `keras_ddr.code_densities.Densities`. `model.save` keeps them.

    Raises:
        InputError: No sequence of train is long enough.

    References:
        Ghosh et al., "From Variational to Deterministic Autoencoders", 2020, section 4,
        for autoencoders.
    """
    check_seed(seed=seed)
    store.require("train", model.frames_per_set)
    model.densities = None  # z̃ is to be that of the prior
    generator = np.random.default_rng([seed, 5])
    codes = {}
    for split, most in _SEQUENCES.items():
        known = store.select(split, model.frames_per_set)
        parts = []
        for i in np.sort(generator.permutation(len(known))[:most]):
            chosen = generator.permutation(known[i].length)[:_FRAMES]
            parts.append((known[i], np.sort(chosen)))
        encoded = encode_frames(model, store, parts, seed=seed)
        codes[split] = [(c.static, c.standardized) for _, c in encoded]
    # The decoder has never told apart what differs by less than this.
    noise = np.mean([f.variance for f, _ in codes["train"]], axis=0)
    codes = {k: [(f.mean, scores) for f, scores in v] for k, v in codes.items()}
    found = None
    if alignment and model.has_prior_of_dynamic:
        found = fit_alignment(codes["train"], codes["val"], seed)
    static, dynamic = {}, {}
    for split, pairs in codes.items():
        static[split] = [f for f, _ in pairs]
        if found is not None:
            pairs = [(f, found.forth(f, scores)) for f, scores in pairs]
        scores = [score for _, of_frames in pairs for score in of_frames]
        order = generator.permutation(len(scores))[:_POINTS]
        dynamic[split] = [scores[i] for i in order]
    model.densities = Densities(
        IndependentSubspaces.fit(static["train"], static["val"], seed, noise),
        GaussianMixture.fit(dynamic["train"], dynamic["val"], seed),
        found,
    )
    return model.densities
