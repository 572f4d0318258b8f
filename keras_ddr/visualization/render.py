"""Films of sequences: as the model sees them, and with the motion of another."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.data.store import Sequence
from keras_ddr.errors import InputError
from keras_ddr.visualization.render_layout import Film, Layout, save_film
from keras_ddr.visualization.selection import encode_shown, pick_sequences

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.sequence_model import SequenceModel
    from keras_ddr.typing import StrPath

__all__ = ["render_reconstruction", "render_swap"]

_SHARE = 0.65  # of the width of a picture, for the name behind "moves as"


def render_reconstruction(
    model: SequenceModel,
    store: FrameStore,
    path: StrPath,
    sequence: int | str | Sequence | None = None,
    *,
    split: str | None = None,
    seed: int | None = None,
    film: Film | None = None,
) -> Path:
    """Write a film of a sequence beside its reconstruction from posterior means.

    Args:
        model: A trained `SequenceModel`.
        store: `FrameStore` with frames of the model's image shape.
        path: File ending in .mp4 or .webm, or in .gif or .webp, which repeat for ever;
            in a folder that exists. It is written whole or not at all.
        sequence: Name or index of the sequence; one of the split where `None`.
        split: Split that a sequence is taken from; `None` for all.
        seed: Seed of a random choice of the sequence; the first one where `None`.
        film: `Film` with the frames, their rate and size, and more.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        InputError: A sequence is not in the store, too short or does not fit the model,
            the path cannot be used, or nothing on this machine encodes such a film.

    Warns:
        UserWarning: The rate of frames is not known.
    """
    film = film or Film()
    path = film.check(path)
    [chosen] = _pick(model, store, sequence, 1, split, seed)
    positions = film.positions(chosen)
    [shown] = encode_shown(model, store, [(chosen, positions)])

    def images(numbers: NDArray[np.integer]) -> dict[tuple[int, int], NDArray]:
        decoded = model.decode(shown.static, shown.dynamic[numbers])
        return {(0, 0): shown.frames[numbers], (0, 1): decoded}

    layout = Layout(model.image_shape, 1, 2, film)
    for column, name in enumerate(layout.cut([chosen.name, "reconstruction"])):
        layout.write(0, column, name)
    fps = film.rate(store, chosen, positions)
    return save_film(path, layout, images, len(positions), fps, film)


def render_swap(
    model: SequenceModel,
    store: FrameStore,
    path: StrPath,
    static: int | str | Sequence | Iterable[int | str | Sequence] | None = None,
    dynamic: int | str | Sequence | None = None,
    *,
    standardized: bool = True,
    moving: bool = False,
    split: str | None = None,
    seed: int | None = None,
    film: Film | None = None,
) -> Path:
    """Write a film of one's looks, another's motion, and the looks with the motion.

    Args:
        model: As of `render_reconstruction`, and so are the others.
        store: Likewise.
        path: Likewise.
        static: Name or index of the sequence that gives f, or a list of several; one of
            the split, of another person than `dynamic` where there is one, where
            `None`.
        dynamic: Name or index of the sequence that gives z; likewise.
        standardized: Whether z is carried over as z̃, which sequences have in common,
            or as it is.
        moving: Whether sequences that give f are shown in their own motion, to and fro
            if it is shorter, or else their first frame.
        split: Likewise.
        seed: Likewise.
        film: Likewise; frames and their rate are those of `dynamic`.

    Returns:
        As of `render_reconstruction`.

    Raises:
        InputError: Likewise.

    Warns:
        UserWarning: Likewise.
    """
    film = film or Film()
    path = film.check(path)
    motion, looks = _pair(model, store, static, dynamic, split, seed)
    positions = film.positions(motion)
    count = len(positions)
    own = [_to_and_fro(s.length, count if moving else 1) for s in looks]
    wanted = [(motion, positions), *zip(looks, own, strict=True)]
    of_motion, *of_looks = encode_shown(model, store, wanted)

    def images(numbers: NDArray[np.integer]) -> dict[tuple[int, int], NDArray]:
        shown = {first: of_motion.frames[numbers]}
        for (own_place, place), each in zip(places, of_looks, strict=True):
            z = of_motion.dynamic[numbers]
            if standardized:
                z = model.unstandardize(each.static, of_motion.standardized[numbers])
            shown[own_place] = each.frames[numbers if moving else 0 * numbers]
            shown[place] = model.decode(each.static, z)
        return shown

    # One under another, or all three in a row.
    first, places = (1, 0), [((0, k + 1), (1, k + 1)) for k in range(len(looks))]
    if len(looks) == 1:
        first, places = (0, 1), [((0, 0), (0, 2))]
    rows, columns = (2, len(looks) + 1) if len(looks) > 1 else (1, 3)
    layout = Layout(model.image_shape, rows, columns, film, lines=2)
    names = [motion.name, *(sequence.name for sequence in looks)]
    [mover, *cut] = layout.cut(names)
    short = layout.cut(names, _SHARE)[0]
    layout.write(*first, mover, "motion")
    for (own_place, place), name in zip(places, cut, strict=True):
        layout.write(*own_place, name, "looks")
        layout.write(*place, name, f"moves as {short}")
    fps = film.rate(store, motion, positions)
    return save_film(path, layout, images, count, fps, film)


def _pick(
    model: SequenceModel,
    store: FrameStore,
    given: int | str | Sequence | Iterable[int | str | Sequence] | None,
    number: int,
    split: str | None,
    seed: int | None,
) -> list[Sequence]:
    """Sequences that are named, or some of the split; films need two frames."""
    least = max(2, model.frames_per_set)
    if given is None:
        return pick_sequences(store, number, split, least, seed)
    if isinstance(given, int | np.integer | str | Sequence):
        given = [given]
    return pick_sequences(store, given, split, least)


def _pair(
    model: SequenceModel,
    store: FrameStore,
    static: int | str | Sequence | Iterable[int | str | Sequence] | None,
    dynamic: int | str | Sequence | None,
    split: str | None,
    seed: int | None,
) -> tuple[Sequence, list[Sequence]]:
    """The sequence that gives z, and those that give f."""
    looks = _pick(model, store, static, 2, split, seed)
    motion = _pick(model, store, dynamic, 2, split, seed)
    if not looks:
        raise InputError("static is empty; give at least one sequence")
    if static is None and dynamic is None and len(looks) < 2:
        raise InputError(
            f"{store.path}: holds one sequence that can be shown, and a swap needs "
            "two; choose another split, or name the same one twice"
        )
    if dynamic is None:
        taken = [] if static is None else [sequence.index for sequence in looks]
        motion = [s for s in motion if s.index not in taken][-1:] or motion
    if static is None:
        looks = [s for s in looks if s.index != motion[0].index][:1] or looks[:1]
    return motion[0], looks


def _to_and_fro(length: int, count: int) -> NDArray[np.integer]:
    """Positions from the first frame to the last, back, and so on."""
    round_trip = max(1, 2 * length - 2)
    places = np.arange(count) % round_trip
    return np.minimum(places, round_trip - places)
