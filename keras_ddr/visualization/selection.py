"""The sequences and frames that a figure shows, and their codes."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.arguments import check_seed, check_whole
from keras_ddr.encoding import encode_frames
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from keras_ddr.codes import Codes
    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.sequence_model import SequenceModel

_CONTEXT = 64  # frames of a long sequence that f is taken from
# Least standard deviation of intensities, of 255: in each frame, and over time.
_CONTRAST, _MOTION = 20.0, 0.5
_LOOKED_AT = 8  # frames of a sequence, to tell whether there is something to see
_TRIED = 40  # other sequences for each that shows nothing


@dataclasses.dataclass(frozen=True)
class Shown:
    """T frames of a sequence, and their codes."""

    sequence: Sequence
    positions: NDArray[np.integer]  # (T,) in the sequence
    frames: NDArray[np.uint8]  # (T, H, W, C)
    codes: Codes

    @property
    def static(self) -> NDArray[np.float32]:
        """f, `(static_dim,)`."""
        return self.codes.static.mean

    @property
    def dynamic(self) -> NDArray[np.float32]:
        """z, `(T, dynamic_dim)`."""
        return self.codes.dynamic.mean

    @property
    def standardized(self) -> NDArray[np.float32]:
        """z̃, `(T, dynamic_dim)`."""
        return self.codes.standardized


def pick_sequences(
    store: FrameStore,
    sequences: int | Iterable[int | str | Sequence],
    split: str | None = None,
    min_length: int = 1,
    seed: int | None = None,
    *,
    apart: bool = True,
) -> list[Sequence]:
    """At most so many sequences of a split, evenly spread without a seed, or a list.

    `apart`: of different people (or videos), where there are enough of them, and others
    in place of dark and of still ones.
    """
    if not isinstance(sequences, int | np.integer):
        return [_find(store, item, min_length) for item in sequences]
    found = store.require(split, min_length)
    check_whole(sequences=sequences)
    number = min(int(sequences), len(found))
    found = one_of_each(found, number) if apart else found
    if seed is None:
        chosen = _spread(len(found), number)
    else:
        check_seed(seed=seed)
        generator = np.random.default_rng(seed)
        chosen = generator.choice(len(found), size=number, replace=False)
    picked = [found[i] for i in chosen]
    return seen_well(store, picked, found, seed) if apart else picked


def seen_well(
    store: FrameStore,
    picked: list[Sequence],
    found: list[Sequence],
    seed: int | None = None,
) -> list[Sequence]:
    """Sequences picked of those found, others for those that are dark or still."""
    dull = [
        k for k, sequence in enumerate(picked) if not _shows_something(store, sequence)
    ]
    taken = {sequence.index for sequence in picked}
    others = [sequence for sequence in found if sequence.index not in taken]
    order = np.random.default_rng(seed or 0).permutation(len(others))
    tried = (others[i] for i in order[: _TRIED * len(dull)])
    better = (sequence for sequence in tried if _shows_something(store, sequence))
    # Where there are too few others, what was picked stays.
    replaced = dict(zip(dull, better, strict=False))
    return [replaced.get(k, sequence) for k, sequence in enumerate(picked)]


def _shows_something(store: FrameStore, sequence: Sequence) -> bool:
    """Whether frames have contrast, and change."""
    places = _spread(sequence.length, min(_LOOKED_AT, sequence.length))
    frames = store.frames(sequence.index, places).astype("float32")
    contrast = frames.std(axis=(1, 2)).mean(axis=-1).min()
    return bool(contrast > _CONTRAST and frames.std(axis=0).mean() > _MOTION)


def pick_frames(
    sequence: Sequence, frames: int | Collection[int]
) -> NDArray[np.integer]:
    """Positions of at most `frames` frames, evenly spread, or those of a list."""
    if isinstance(frames, int | np.integer):
        check_whole(frames=frames)
        return _spread(sequence.length, min(int(frames), sequence.length))
    positions = np.asarray(frames, dtype=int)
    if positions.size == 0 or positions.min() < 0 or positions.max() >= sequence.length:
        raise InputError(
            f"frames {list(frames)} are not all in the sequence {sequence.name!r}, "
            f"which has frames 0 to {sequence.length - 1}"
        )
    return positions


def pick_shown(
    model: SequenceModel,
    store: FrameStore,
    sequences: int | Iterable[int | str | Sequence],
    frames: int | Collection[int],
    split: str | None,
    seed: int | None,
) -> list[Shown]:
    """Codes of the frames that `pick_frames` finds in the picked sequences."""
    chosen = pick_sequences(store, sequences, split, model.frames_per_set, seed)
    return encode_shown(model, store, [(s, pick_frames(s, frames)) for s in chosen])


def encode_shown(
    model: SequenceModel,
    store: FrameStore,
    wanted: Collection[tuple[Sequence, ArrayLike]],
) -> list[Shown]:
    """Codes of frames that are shown; f is taken from the sequence around them."""
    number = max(_CONTEXT, model.frames_per_set)
    parts = [
        (s, np.union1d(_spread(s.length, min(number, s.length)), positions))
        for s, positions in wanted
    ]
    encoded = encode_frames(model, store, parts)
    shown = []
    for (sequence, positions), (_, used) in zip(wanted, parts, strict=True):
        frames, codes = next(encoded)
        rows = np.searchsorted(used, positions)
        z = codes.dynamic
        of_rows = type(z)(z.mean[rows], z.log_variance[rows])
        of_these = dataclasses.replace(codes, dynamic=of_rows)
        shown.append(Shown(sequence, np.asarray(positions), frames[rows], of_these))
    return shown


def one_of_each(found: list[Sequence], least: int) -> list[Sequence]:
    """The longest sequence of each person or video, or all if these are too few."""
    longest: dict[str, Sequence] = {}
    for sequence in found:
        who = sequence.person or sequence.source or sequence.name
        if who not in longest or sequence.length > longest[who].length:
            longest[who] = sequence
    if len(longest) < least:
        return found
    return sorted(longest.values(), key=lambda sequence: sequence.index)


def _spread(length: int, number: int) -> NDArray[np.integer]:
    """Evenly spread positions."""
    return np.linspace(0, length - 1, number).round().astype(int)


def _find(store: FrameStore, item: int | str | Sequence, min_length: int) -> Sequence:
    """A sequence by its index or name."""
    if isinstance(item, int | np.integer):
        if not 0 <= item < len(store):
            raise InputError(
                f"{store.path} has no sequence {item}; it has 0 to {len(store) - 1}"
            )
        item = store.sequences[item]
    elif isinstance(item, str):
        names = [sequence.name for sequence in store.sequences]
        if item not in names:
            near = [name for name in names if item.lower() in name.lower()] or names
            more = f" and {len(near) - 3} more" if len(near) > 3 else ""
            raise InputError(
                f"{store.path} has no sequence named {item!r}; there are "
                f"{', '.join(near[:3])}{more}"
            )
        item = store.sequences[names.index(item)]
    if item.length < min_length:
        raise InputError(
            f"the sequence {item.name!r} of {store.path} has {item.length} frames; "
            f"at least {min_length} are needed"
        )
    return item
